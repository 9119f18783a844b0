"""What first orders say as numbers z: amounts on a log scale, channels and days as levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from clv.errors import InputError
from clv.schema import Floats

FEWEST = 50  # customers of a level; fewer are put together
LEVELS = 12  # of a column at most
REST = "all others"
STEPS = (0.1, 0.2, 0.4, 0.8)  # standard deviations that numbers are rounded to for the fit
PATTERNS = 80  # different customers that a fit should see at most
FAR = 3.0  # standard deviations: beyond, a number counts as that far


@dataclass(frozen=True)
class NumberCode:
    """A number: its log where all are positive, in standard deviations from the mean."""

    name: str
    log: bool
    mean: float
    sd: float

    @property
    def effects(self) -> tuple[str, ...]:
        """What it adds to z."""
        return (self.name,)

    @property
    def words(self) -> tuple[str, ...]:
        """The same as people read it."""
        return (f"a higher {self.name} (by one standard deviation)",)

    @classmethod
    def from_column(cls, name: str, values: Floats) -> Self:
        """As most of the values ask for."""
        log = bool(np.quantile(values, 0.01) > 0)
        scaled = np.log(np.maximum(values, _least(values))) if log else values
        if not scaled.std() > 0:
            raise InputError(f"{name} is the same in every first order.", hint="leave it out.")
        return cls(name, log, float(scaled.mean()), float(scaled.std()))

    def code(self, column: pd.Series) -> Floats:
        """Shape (n, 1)."""
        values = np.asarray(column, dtype=np.float64)
        floor = np.exp(self.mean - FAR * self.sd)
        scaled = np.log(np.maximum(values, floor)) if self.log else values
        return np.clip((scaled - self.mean) / self.sd, -FAR, FAR)[:, None]


def _least(values: Floats) -> float:
    return float(values[values > 0].min())


@dataclass(frozen=True)
class LevelCode:
    """Levels; the first, the most frequent, is what others stand against."""

    name: str
    levels: tuple[str, ...]

    @property
    def effects(self) -> tuple[str, ...]:
        """What it adds to z, such as "channel=search"."""
        return tuple(f"{self.name}={level}" for level in self.levels[1:])

    @property
    def words(self) -> tuple[str, ...]:
        """The same as people read it."""
        return tuple(f"{effect} beside {self.levels[0]}" for effect in self.effects)

    @classmethod
    def from_column(cls, name: str, values: pd.Series) -> Self:
        """The levels with customers enough; the others are one."""
        counts = values.astype(str).value_counts()
        frequent = counts[counts >= FEWEST].index[:LEVELS]
        levels = sorted(frequent, key=lambda level: (-counts[level], level))
        if len(levels) < len(counts):
            levels.append(REST)
        if len(levels) < 2:
            raise InputError(f"{name} is the same in every first order.", hint="leave it out.")
        return cls(name, tuple(levels))

    def code(self, column: pd.Series) -> Floats:
        """Shape (n, levels - 1); a level that was never seen is among the others."""
        names = column.astype(str).where(column.astype(str).isin(self.levels), REST)
        return np.asarray(names.to_numpy()[:, None] == np.asarray(self.levels[1:]), float)


@dataclass(frozen=True)
class FirstOrderCoding:
    """How first orders become z."""

    codes: tuple[NumberCode | LevelCode, ...]

    @classmethod
    def from_table(cls, table: pd.DataFrame, covariates: Sequence[str]) -> Self:
        """As a table of first orders asks for.

        Raises
        ------
        InputError
            A covariate is the same in every first order, or none is named.
        """
        names = list(dict.fromkeys(covariates))
        if not names:
            raise InputError("no covariates are named.", hint='covariates=["amount", "channel"].')
        is_number = {name: pd.api.types.is_float_dtype(table[name]) for name in names}
        codes = (
            NumberCode.from_column(name, table[name].to_numpy(dtype=np.float64))
            if is_number[name]
            else LevelCode.from_column(name, table[name])
            for name in names
        )
        return cls(tuple(codes))

    @property
    def names(self) -> list[str]:
        """The columns of z."""
        return [effect for code in self.codes for effect in code.effects]

    @property
    def words(self) -> list[str]:
        """What each of them is, as people read it."""
        return [words for code in self.codes for words in code.words]

    def z(self, table: pd.DataFrame) -> Floats:
        """Shape (n, k)."""
        return np.hstack([code.code(table[code.name]) for code in self.codes])

    def rounded(self, table: pd.DataFrame) -> pd.DataFrame:
        """Z with numbers rounded, so that customers share patterns and a fit sees few of them."""
        z = self.z(table)
        for step in STEPS:
            near = np.round(z / step) * step
            levels = np.isin(z, (0.0, 1.0)).all(axis=0)
            near[:, levels] = z[:, levels]
            if len(np.unique(near, axis=0)) <= PATTERNS:
                break
        return pd.DataFrame(near, columns=self.names)

    def to_dict(self) -> list[dict[str, Any]]:
        """As JSON values."""
        return [vars(code) for code in self.codes]
