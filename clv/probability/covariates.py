"""Covariates that do not change: channel, country, gender move the parameters of a customer [1]_.

A covariate z multiplies a parameter by exp(g'z): the purchase rate, and how customers leave. All
customers with the same z share one set of parameters, so a model with covariates is an ordinary
model for each pattern of z, and each formula stays where it is.

References
----------
.. [1] Fader & Hardie (2007), Incorporating time-invariant covariates into the Pareto/NBD and
   BG/NBD models, brucehardie.com/notes/019.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import NDArray

from clv.errors import ColumnError, InputError
from clv.format import count
from clv.history import Cells, History, Levels, count_distinct
from clv.probability.optimize import Contributions
from clv.schema import Floats, as_frame, reject_rows, require_columns

MOST = 2_000  # patterns of covariates, each an ordinary model


@dataclass(frozen=True)
class Covariate:
    """A column: numbers as they are, or levels; the first, the most frequent, is their measure."""

    name: str
    levels: tuple[str, ...] = ()

    @property
    def effects(self) -> tuple[str, ...]:
        """What it adds to z, such as "channel=search"."""
        return tuple(f"{self.name}={level}" for level in self.levels[1:]) or (self.name,)

    @property
    def usual(self) -> str | float:
        """The value that others stand against."""
        return self.levels[0] if self.levels else 0.0

    @classmethod
    def from_column(cls, name: str, values: nw.Series[Any]) -> Self:
        """A column of numbers or of levels, by its type."""
        if values.dtype.is_numeric():
            return cls(name)
        counts = Counter(map(str, values.to_list()))
        levels = tuple(sorted(counts, key=lambda level: (-counts[level], level)))
        if len(levels) < 2:
            raise InputError(
                f"the covariate {name!r} is {levels[0]!r} for everybody, which explains nothing.",
                hint="leave it out.",
            )
        return cls(name, levels)

    def code(self, values: nw.Series[Any]) -> Floats:
        """The z of the column, shape (n, effects)."""
        if not self.levels:
            return np.asarray(values.to_numpy(), dtype=np.float64)[:, None]
        names = np.asarray([str(value) for value in values.to_list()])
        new = sorted(set(names.tolist()) - set(self.levels))
        if new:
            raise InputError(
                f"the covariate {self.name!r} holds {new[0]!r}, which the model has never seen.",
                hint=f"it knows {', '.join(self.levels)}; fit again, or put new ones under one of "
                "these.",
            )
        return np.asarray(names[:, None] == np.asarray(self.levels[1:]), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Patterns:
    """The distinct z, shape (patterns, k), and which of them each row has, shape (n,)."""

    z: Floats
    of_row: NDArray[np.intp]


@dataclass(frozen=True)
class PatternHistory(History):
    """Histories whose customers differ by more: each has a pattern of covariates."""

    patterns: Patterns

    def parts(self) -> Iterator[tuple[Floats, NDArray[np.intp], History]]:
        """Per pattern: z, its rows, and their histories."""
        for g, z in enumerate(self.patterns.z):
            rows = np.flatnonzero(self.patterns.of_row == g)
            yield z, rows, History(self.x[rows], self.t_x[rows], self.T[rows])


Asked = Sequence[str] | Mapping[str, Sequence[str]]
AND = " and "  # joins what one multiplier does, as in "purchases and leaving"


@dataclass(frozen=True)
class Coding:
    """How the columns of a table become z.

    ``moves`` are the effects of the model: for each what it does and (parameter, power) of what it
    multiplies, as in ``("purchases", "alpha", -1)``: alpha exp(-g'z). ``uses`` are what each
    covariate does, in the order of the multipliers: ("purchases", "channel").
    """

    covariates: tuple[Covariate, ...]
    moves: tuple[tuple[str, str, int], ...]
    uses: tuple[tuple[str, str], ...]

    @classmethod
    def from_columns(
        cls,
        asked: Asked,
        column: Callable[[str], nw.Series[Any]],
        moves: Sequence[tuple[str, str, int]],
    ) -> Self:
        """The coding of covariates, each as ``column`` gives it.

        Raises
        ------
        InputError
            A covariate is to do what nothing of the model does, or is the same for everybody.
        """
        does = [what for what, _, _ in moves]
        if not isinstance(asked, Mapping):
            asked = dict.fromkeys(does, asked)
        wrong = [key for key in asked if not set(key.split(AND)) <= set(does)]
        if wrong:
            raise InputError(
                f"covariates cannot move {wrong[0]!r} in this model.",
                hint=f"they move {', '.join(does)}; one multiplier for both is "
                f"{AND.join(does[:2])!r}.",
            )
        uses = tuple((key, name) for key, names in asked.items() for name in names)
        names = list(dict.fromkeys(name for _, name in uses))
        covariates = [Covariate.from_column(name, column(name)) for name in names]
        return cls(tuple(covariates), tuple(moves), uses)

    @property
    def names(self) -> tuple[str, ...]:
        """The multipliers as parameters, such as "purchases[channel=search]"."""
        effects = {covariate.name: covariate.effects for covariate in self.covariates}
        return tuple(f"{what}[{effect}]" for what, name in self.uses for effect in effects[name])

    @property
    def asked(self) -> Asked:
        """What ``from_columns`` was asked for."""
        by_move: dict[str, list[str]] = {}
        for what, name in self.uses:
            by_move.setdefault(what, []).append(name)
        first, *others = by_move.values()
        everywhere = list(by_move) == [what for what, _, _ in self.moves]
        return first if everywhere and all(names == first for names in others) else by_move

    @cached_property
    def design(self) -> Floats:
        """Which log multipliers add up to g of each move and effect, shape (moves, k, p)."""
        effects = [(c.name, effect) for c in self.covariates for effect in c.effects]
        used = [(what, *e) for what, name in self.uses for e in effects if e[0] == name]
        rows = [
            [[what in key.split(AND) and e == (name, effect) for key, name, effect in used]
             for e in effects]
            for what, _, _ in self.moves
        ]  # fmt: skip
        return np.array(rows, dtype=np.float64)

    def effects(self, multipliers: Floats) -> Floats:
        """The g of each move, shape (moves, k)."""
        return np.asarray(self.design @ np.log(multipliers))

    def by_multiplier(self, by_effect: Floats, multipliers: Floats) -> Floats:
        """Derivatives by the multipliers (p, n) from those by the effects (moves * k, n)."""
        flat = self.design.reshape(-1, self.design.shape[2])
        return np.asarray(flat.T @ by_effect / multipliers[:, None])

    def patterns(self, X: IntoFrame) -> Patterns:
        """The z of every row of a table.

        Raises
        ------
        ColumnError, RowError
            A covariate is missing as a column, or in some rows.
        InputError
            A level was never seen, or there are too many different customers.
        """
        rows = covariate_columns(X, [covariate.name for covariate in self.covariates])
        coded = np.hstack([c.code(rows[c.name]) for c in self.covariates])
        z, of_row = np.unique(coded, axis=0, return_inverse=True)
        if len(z) > MOST:
            raise InputError(
                f"the covariates have {count(len(z))} different values together, at most {MOST}.",
                hint="put numbers into classes, such as a first order up to 20, 50, 100.",
            )
        return Patterns(z, of_row.ravel())

    def theta(self, base: Mapping[str, float], multipliers: Floats, z: Floats) -> dict[str, float]:
        """The parameters of customers with z."""
        moved = dict(base)
        for (_, name, power), g in zip(self.moves, self.effects(multipliers), strict=True):
            moved[name] = float(base[name] * np.exp(power * (g @ z)))
        return moved

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        columns = [{"name": c.name, "levels": list(c.levels)} for c in self.covariates]
        moves, uses = (list(map(list, pairs)) for pairs in (self.moves, self.uses))
        return {"columns": columns, "moves": moves, "uses": uses}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """What ``to_dict`` wrote."""
        covariates = [Covariate(c["name"], tuple(c["levels"])) for c in saved["columns"]]
        moves = tuple((w, n, int(p)) for w, n, p in saved["moves"])
        return cls(tuple(covariates), moves, tuple((w, n) for w, n in saved["uses"]))


@dataclass(frozen=True, eq=False)
class PatternCells:
    """Cells of every pattern, what a fit sees: z of a pattern, and its distinct histories."""

    patterns: tuple[tuple[Floats, Any], ...]

    @classmethod
    def from_history(cls, history: PatternHistory, weight: Floats | None) -> Self:
        """Each pattern's customers grouped by history, or weighted one by one."""
        groups = []
        for z, rows, part in history.parts():
            if weight is None:
                (x, t_x, T), count = count_distinct(part.x, part.t_x, part.T)
                groups.append((z, Cells(x, t_x, T, count)))
            else:
                groups.append((z, Cells(part.x, part.t_x, part.T, weight[rows])))
        return cls(tuple(groups))

    @property
    def together(self) -> Any:
        """The cells of all patterns, one after the other."""
        parts = [cells for _, cells in self.patterns]
        columns = [f.name for f in fields(parts[0]) if np.ndim(getattr(parts[0], f.name))]
        joined = {n: np.concatenate([getattr(cells, n) for cells in parts]) for n in columns}
        return replace(parts[0], **joined)

    def scaled(self, scale: float) -> PatternCells:
        """With time measured in another unit."""
        return PatternCells(
            tuple((z, replace(c, t_x=c.t_x / scale, T=c.T / scale)) for z, c in self.patterns)
        )

    def reweighted(self, weight: Floats) -> PatternCells:
        """The same cells under other weights; those without one are left out."""
        ends = np.cumsum([len(cells) for _, cells in self.patterns])[:-1]
        parts = zip(self.patterns, np.split(weight, ends), strict=True)
        return PatternCells(tuple((z, cells.reweighted(w)) for (z, cells), w in parts))


def pattern_contributions(
    coding: Coding,
    names: Sequence[str],
    of_pattern: Callable[[dict[str, float], Any], Contributions],
    theta: Floats,
    observed: PatternCells,
) -> Contributions:
    """The log-likelihood of all cells and its derivatives by base parameters and multipliers.

    A pattern's parameter is p exp(+-g'z): its derivative by p is that by the pattern's own times
    the factor, and by a multiplier exp(g_k) the own times the parameter times +-z_k / exp(g_k).
    """
    base, multipliers = dict(zip(names, theta, strict=False)), theta[len(names) :]
    values, gradients = [], []
    for z, cells in observed.patterns:
        moved = coding.theta(base, multipliers, z)
        value, slope = of_pattern(moved, cells).of_rows()
        by_log = {n: slope[i] * moved[n] for i, n in enumerate(names)}
        by_base = [by_log[n] / base[n] for n in names]
        by_move = np.array([power * z_k * by_log[n] for _, n, power in coding.moves for z_k in z])
        values.append(value)
        gradients.append(np.vstack([*by_base, coding.by_multiplier(by_move, multipliers)]))
    by_row = np.vstack([np.concatenate(values), np.hstack(gradients)])
    n = by_row.shape[1]
    weight = observed.together.count
    one = Levels(np.zeros(1), np.zeros(n, dtype=np.intp), np.array([weight.sum()]))
    return Contributions(one, weight, np.zeros((len(by_row), 1)), by_row)


def covariate_columns(X: IntoFrame, names: Sequence[str]) -> nw.DataFrame[Any]:
    """The covariates of a table, checked."""
    if not names:
        raise ColumnError("no covariates are named.", hint='covariates=["channel"].')
    frame = as_frame(X, "the summary")
    require_columns(frame, names, "the summary")
    rows = frame.select(*names).collect()
    for name in names:
        missing = rows[name].is_null()
        if rows[name].dtype.is_float():
            missing = missing | ~rows[name].is_finite()
        reject_rows(missing.to_numpy(), f"{name} is missing", {name: rows[name].to_numpy()})
    return rows


def penalty(multipliers: Floats, sd: float | None) -> tuple[float, Floats]:
    """Minus the log prior of effects g ~ N(0, sd^2), and its derivative by the multipliers."""
    if sd is None:
        return 0.0, np.zeros(len(multipliers))
    g = np.log(multipliers)
    return float(g @ g) / (2 * sd**2), g / (sd**2 * multipliers)
