"""Features as bounded numbers: quantile knots for numbers, 0 or 1 for levels of a text.

A number is mapped to [-1, 1] by the quantiles it had in training, straight between them and flat
beyond. So a scale does not matter, a customer who spent a hundred times the median is merely the
last in line, and the map is a few numbers that JSON can hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike

from clv.errors import InputError
from clv.schema import Floats, numbers, reject_rows, require_columns

KNOTS = 33
MOST_LEVELS = 20
MISSING = "missing"
WHAT = "the features"


@dataclass(frozen=True)
class Columns:
    """Which features count, and how each becomes a number; made by ``Columns.of``.

    Attributes
    ----------
    knots
        By numeric column: quantiles in training, rising.
    levels
        By text column: its levels in training; any other level counts as none of them.
    """

    knots: Mapping[str, tuple[float, ...]]
    levels: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, rows: nw.DataFrame[Any], names: Sequence[str]) -> Columns:
        """The map for those of ``names`` that are numbers or short lists of texts and vary.

        >>> import pandas as pd
        >>> rows = nw.from_native(pd.DataFrame({"clv": [1.0, 3.0], "tier": ["a", "b"], "k": 1}))
        >>> Columns.of(rows, rows.columns).names
        ('clv', 'tier=a', 'tier=b')
        """
        knots: dict[str, tuple[float, ...]] = {}
        levels: dict[str, tuple[str, ...]] = {}
        for name in names:
            if rows[name].dtype.is_numeric():
                found = np.unique(np.quantile(_number(rows, name), np.linspace(0, 1, KNOTS)))
                if len(found) > 1:
                    knots[name] = tuple(found.tolist())
            elif rows[name].dtype in (nw.String, nw.Categorical, nw.Enum):
                texts = sorted(set(_texts(rows, name)))
                if 1 < len(texts) <= MOST_LEVELS:
                    levels[name] = tuple(texts)
        if not knots and not levels:
            raise InputError(
                "there is no feature to learn from: no column of numbers or texts that varies.",
                hint="join the scores as of the day before the campaign.",
            )
        return cls(knots, levels)

    @property
    def names(self) -> tuple[str, ...]:
        """One name per column of ``transform``."""
        of_levels = (f"{name}={level}" for name, some in self.levels.items() for level in some)
        return (*self.knots, *of_levels)

    def transform(self, rows: nw.DataFrame[Any]) -> Floats:
        """The features of ``rows`` as numbers in [-1, 1], shape (n, k).

        Raises
        ------
        ColumnError
            A column is missing or holds no numbers where it did.
        RowError
            A number is missing or infinite.
        """
        require_columns(rows.lazy(), [*self.knots, *self.levels], WHAT)
        columns = [_place(_number(rows, name), knots) for name, knots in self.knots.items()]
        for name, some in self.levels.items():
            columns += [_is(rows[name], level) for level in some]
        return np.column_stack(columns)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "knots": {name: list(knots) for name, knots in self.knots.items()},
            "levels": {name: list(some) for name, some in self.levels.items()},
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Columns:
        """The map that ``to_dict`` wrote."""
        return cls(
            {name: tuple(knots) for name, knots in saved["knots"].items()},
            {name: tuple(some) for name, some in saved["levels"].items()},
        )


def _place(values: Floats, knots: ArrayLike) -> Floats:
    at = np.asarray(knots, dtype=np.float64)
    return np.interp(values, at, np.linspace(-1.0, 1.0, len(at)))


def _number(rows: nw.DataFrame[Any], name: str) -> Floats:
    values = numbers(rows, name, WHAT)
    label = "customer_id" if "customer_id" in rows.columns else None
    shown: dict[str, Any] = {label: rows[label]} if label else {"row": np.arange(len(values))}
    reject_rows(
        ~np.isfinite(values),
        f"{name} is missing or infinite",
        {**shown, name: values},
        hint="fill the gaps, or leave the column out.",
    )
    return values


def _is(texts: nw.Series[Any], level: str) -> Floats:
    same = texts.is_null() if level == MISSING else texts.cast(nw.String) == level
    return np.asarray(same.fill_null(False).to_numpy(), dtype=np.float64)


def _texts(rows: nw.DataFrame[Any], name: str) -> list[str]:
    return [MISSING if text is None else str(text) for text in rows[name].to_list()]
