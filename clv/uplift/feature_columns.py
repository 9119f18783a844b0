"""Features as bounded numbers: quantile knots for numbers, 0 or 1 for levels of a text.

A number is mapped to [-1, 1] by the quantiles it had in training, straight between them and flat
beyond. So a scale does not matter, a customer who spent a hundred times the median is merely the
last in line, and the map is a few numbers that JSON can hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from clv.errors import InputError
from clv.schema import Floats, numbers, reject_rows, require_columns

KNOTS = 33
MOST_LEVELS = 20
MISSING = "missing"
BLOCK = 8_000  # rows whose features stay in the processor's cache
WHAT = "the features"


@dataclass(frozen=True)
class FeatureColumns:
    """Which features count, and how each becomes a number; made by ``FeatureColumns.from_table``.

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
    def from_table(cls, rows: nw.DataFrame[Any], names: Sequence[str]) -> FeatureColumns:
        """The map for those of ``names`` that are numbers or short lists of texts and vary.

        >>> import pandas as pd
        >>> rows = nw.from_native(pd.DataFrame({"clv": [1.0, 3.0], "tier": ["a", "b"], "k": 1}))
        >>> FeatureColumns.from_table(rows, rows.columns).names
        ('clv', 'tier=a', 'tier=b')
        """
        knots: dict[str, tuple[float, ...]] = {}
        levels: dict[str, tuple[str, ...]] = {}
        for name in names:
            if rows[name].dtype.is_numeric():
                quantiles = np.unique(np.quantile(_number(rows, name), np.linspace(0, 1, KNOTS)))
                if len(quantiles) > 1:
                    knots[name] = tuple(quantiles.tolist())
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
        of_levels = (f"{name}={level}" for name, levels in self.levels.items() for level in levels)
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
        Z = np.empty((len(rows), len(self.names)))
        for rows_here, block in self.blocks(rows):
            Z[rows_here] = block
        return Z

    def blocks(self, rows: nw.DataFrame[Any]) -> Iterator[tuple[slice, Floats]]:
        """The same block by block, which is several times faster where no block is kept.

        Gives the slice of the rows and their features, which the next block overwrites.
        """
        require_columns(rows.lazy(), [*self.knots, *self.levels], WHAT)
        columns: list[Any] = [_number(rows, name) for name in self.knots]
        columns += [
            _is(rows[name], level) for name, values in self.levels.items() for level in values
        ]
        knots = [np.array(values) for values in self.knots.values()]
        by_column = np.empty((len(columns), min(BLOCK, len(rows))))
        for start in range(0, len(rows), BLOCK):
            part = slice(start, min(start + BLOCK, len(rows)))
            Z = by_column[:, : part.stop - start].T
            for j, column in enumerate(columns):
                Z[:, j] = _place(column[part], knots[j]) if j < len(knots) else column[part]
            yield part, Z

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "knots": {name: list(knots) for name, knots in self.knots.items()},
            "levels": {name: list(values) for name, values in self.levels.items()},
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> FeatureColumns:
        """The map that ``to_dict`` wrote."""
        return cls(
            {name: tuple(knots) for name, knots in saved["knots"].items()},
            {name: tuple(values) for name, values in saved["levels"].items()},
        )


def _place(values: Floats, knots: Floats) -> Floats:
    """``np.interp`` onto [-1, 1]; counting so few knots is three times as fast as bisection."""
    v = np.clip(values, knots[0], knots[-1])
    passed = np.zeros(len(v), dtype=np.int8)
    for knot in knots[1:-1]:
        passed += v >= knot
    level = np.linspace(-1.0, 1.0, len(knots))
    slope = np.diff(level) / np.diff(knots)
    return level.take(passed) + slope.take(passed) * (v - knots.take(passed))


def _number(rows: nw.DataFrame[Any], name: str) -> Floats:
    values = numbers(rows, name, WHAT)
    label = "customer_id" if "customer_id" in rows.columns else None
    labels: dict[str, Any] = {label: rows[label]} if label else {"row": np.arange(len(values))}
    reject_rows(
        ~np.isfinite(values),
        f"{name} is missing or infinite",
        {**labels, name: values},
        hint="fill the gaps, or leave the column out.",
    )
    return values


def _is(texts: nw.Series[Any], level: str) -> NDArray[np.bool_]:
    same = texts.is_null() if level == MISSING else texts.cast(nw.String) == level
    return np.asarray(same.fill_null(False).to_numpy(), dtype=np.bool_)


def _texts(rows: nw.DataFrame[Any], name: str) -> list[str]:
    return [MISSING if text is None else str(text) for text in rows[name].to_list()]
