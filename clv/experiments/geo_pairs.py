r"""Tests by region: alike regions in pairs, one of each drawn by chance, read by that chance.

Regions are paired by what they brought before, the richest two first, and in each pair a coin says
which one gets the money. With l_i the difference treated - other of pair i while the test ran, e_i
the same before it, and an effect t in every treated region:

    r_i(t)      l_i - t - b(t) e_i,   b(t) = sum e (l - t) / sum e^2
    effect      where mean r(t) = 0: the intercept of a regression of l on e
    p-value     of t: share of the ways the coins could have fallen whose |mean r(t)| is as large
    interval    the effects that are not refused

Another coin turns the signs of l_i - t and e_i together, so b(t) stays what it is, and the test
rests on the coins alone, not on weeks or regions being independent or normal. Up to 14 pairs all
ways are counted, beyond that a sample of them [1]_.

References
----------
.. [1] Imbens & Rubin 2015, Causal Inference, chapters 5 and 10.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame
from scipy.special import ndtri

from clv.decide.response.panel import LiftTest
from clv.decide.scores import draw_by_id
from clv.defaults import LEVEL, SEED, TEST_LEVEL, TEST_POWER
from clv.errors import InputError
from clv.findings import Finding, finding
from clv.notebook import InNotebook
from clv.schema import Floats, as_frame, collect, numbers, reject_rows, same_kind
from clv.shares import check_share

REGIONS = ("region", "period", "outcome")
PAIRS = ("region", "pair", "treated")
ALL_WAYS = 14  # pairs up to which every way of the coins is counted
WAYS = 8191  # of the coins, drawn beyond that
FEWEST = 4  # pairs, with which an effect may be seen at 12.5%
NORMAL = float(ndtri(0.95))


@dataclass(frozen=True)
class MeasuredRegions(InNotebook):
    """What a test by region found, in customers (or whatever was counted) a period.

    Attributes
    ----------
    after, before
        Difference of each pair, treated less the other, a period: while it ran, and before, which
        is 0 where nothing is given.
    level
        Of the interval.
    extra_spend
        Money more a period in all treated regions together; None if not stated.
    """

    after: tuple[float, ...]
    before: tuple[float, ...]
    level: float
    extra_spend: float | None = None

    @property
    def pairs(self) -> int:
        """How many."""
        return len(self.after)

    @property
    def effect(self) -> float:
        """In a treated region, a period."""
        return self._line[0]

    @property
    def total(self) -> float:
        """In all treated regions together, a period."""
        return self.pairs * self.effect

    @property
    def standard_error(self) -> float:
        """Of the effect, by the spread of the pairs about the line."""
        return self._line[1]

    @cached_property
    def p_value(self) -> float:
        """Of no effect in any region."""
        return self._p_value(0.0)

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The effects, the same in every region, that the coins do not refuse; may be infinite."""
        return self._end(-1.0), self._end(1.0)

    @cached_property
    def _arrays(self) -> tuple[Floats, Floats, Floats]:
        return np.array(self.after), np.array(self.before), signs(self.pairs)

    @cached_property
    def _line(self) -> tuple[float, float]:
        """Intercept of the regression on before, and its standard error."""
        after, before, _ = self._arrays
        X = np.column_stack([np.ones(self.pairs), before])
        inverse = np.linalg.pinv(X.T @ X, hermitian=True)
        beta = inverse @ X.T @ after
        freedom = max(self.pairs - np.linalg.matrix_rank(X), 1)
        residuals = after - X @ beta
        return float(beta[0]), math.sqrt(
            float(residuals @ residuals) / freedom * float(inverse[0, 0])
        )

    def _p_value(self, effect: float) -> float:
        """Share of the ways of the coins whose mean lies as far off as that of how they fell."""
        after, before, ways = self._arrays
        spread = float(before @ before)
        slope = float(before @ (after - effect)) / spread if spread > 0 else 0.0
        means = np.abs(ways @ (after - effect - slope * before))
        return float((means >= means[0] * (1 - 1e-12) - 1e-300).mean())

    def _end(self, side: float) -> float:
        """The farthest effect on one side that is not refused, by bisection."""
        alpha, effect, near = 1 - self.level, self.effect, 0.0
        far = 8.0 * (float(np.abs(np.array(self.after) - effect).max()) or 1e-12)
        if self._p_value(effect + side * far) > alpha:
            return side * math.inf
        for _ in range(60):
            middle = (near + far) / 2
            inside = self._p_value(effect + side * middle) > alpha
            near, far = (middle, far) if inside else (near, middle)
        return effect + side * near

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What was found, in words."""
        low, high = self.interval
        values: dict[str, Any] = {"effect": self.total, "level": self.level, "pairs": self.pairs}
        values |= {"low": self.pairs * low, "high": self.pairs * high}
        sure = "seen" if low > 0 or high < 0 else "open"
        findings = [finding(f"experiment.regions_{sure}", p=self.p_value, **values)]
        if self.extra_spend and self.total > 0:
            findings.append(finding("experiment.regions_cost", each=self.extra_spend / self.total))
        return tuple(findings)

    def lift_test(self, channel: str, spend: float) -> LiftTest:
        """The same as response curves take it: of a channel that spends ``spend`` in all regions.

        Half of the regions were treated, so the channel's spend everywhere would have risen by
        twice the extra spend, and its customers by twice the total.

        Raises
        ------
        InputError
            The extra spend is not known.
        """
        if not self.extra_spend:
            raise InputError(
                "nothing says what was spent more in the treated regions.",
                hint="give extra_spend, a period, in all of them together.",
            )
        low, high = self.interval
        error = max(self.standard_error, (high - low) / (2 * NORMAL))
        return LiftTest(
            channel, spend, 2 * self.extra_spend, 2 * self.total, 2 * self.pairs * error
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        low, high = self.interval
        return {
            "pairs": self.pairs,
            "effect": self.effect,
            "standard_error": self.standard_error,
            "low": low,
            "high": high,
            "level": self.level,
            "total": self.total,
            "p_value": self.p_value,
            "after": list(self.after),
            "before": list(self.before),
            "extra_spend": self.extra_spend,
            "findings": [each.to_dict() for each in self.findings],
        }

    def __str__(self) -> str:
        heading = f"a test of {self.pairs} pairs of regions"
        return "\n".join([heading, *(f"  {each}" for each in self.findings)])


def pair_regions(history: IntoFrame, *, seed: int = SEED) -> Any:
    """Regions in pairs that brought alike, one of each drawn by chance to get the money.

    Parameters
    ----------
    history
        What came before: region, period, outcome (new customers), a row each.
    seed
        Another seed, other coins.

    Returns
    -------
    The same kind of table
        region, pair (0, 1, ...; None for one left over) and treated (1 or 0).

    Raises
    ------
    InputError, ColumnError, RowError
        A column is missing, a region has no row for a period, or there are fewer than 4 pairs.

    Examples
    --------
    >>> import pandas as pd
    >>> from clv import pair_regions
    >>> brought = {"region": list("abcdefgh"), "period": 1, "outcome": [9, 1, 8, 2, 5, 4, 7, 3]}
    >>> pairs = pair_regions(pd.DataFrame(brought))
    >>> ["".join(sorted(both)) for _, both in pairs.groupby("pair")["region"]]
    ['ac', 'eg', 'fh', 'bd']
    >>> set(pairs.groupby("pair")["treated"].sum())
    {1}
    """
    names, totals = _by_region(history)
    matched = _matched(totals)
    if len(matched) < FEWEST:
        raise InputError(
            f"{len(names)} regions make {len(matched)} pairs; a test takes {FEWEST}.",
            hint="take smaller regions, such as towns in the place of states.",
        )
    coins = draw_by_id([f"{names[a]}|{names[b]}" for a, b in matched], seed)
    rows = []
    for number, ((a, b), coin) in enumerate(zip(matched, coins, strict=True)):
        first = a if coin < 0.5 else b
        rows += [(names[a], number, int(first == a)), (names[b], number, int(first == b))]
    columns = dict(zip(PAIRS, map(list, zip(*rows, strict=True)), strict=True))
    table = nw.from_dict(columns, backend=as_frame(history).collect().implementation)
    return same_kind(table, history)


def measure_regions(
    pairs: IntoFrame,
    after: IntoFrame,
    history: IntoFrame | None = None,
    *,
    extra_spend: float | None = None,
    level: float = LEVEL,
) -> MeasuredRegions:
    """What a test by region found, by the chance that drew the regions.

    Parameters
    ----------
    pairs
        From ``pair_regions``: region, pair, treated.
    after, history
        What came while the test ran, and before it: region, period, outcome.
    extra_spend
        Money more a period, in all treated regions together.
    level
        Of the interval.

    Returns
    -------
    MeasuredRegions
        Effect, p-value and interval; ``lift_test`` is what ``clv.response_curves`` takes.

    Raises
    ------
    InputError, ColumnError, RowError
        A column is missing, a region of a pair has no outcome, or there are too few pairs.

    Examples
    --------
    >>> import pandas as pd
    >>> from clv import measure_regions
    >>> pairs = {"region": list("abcdefghij"), "pair": [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]}
    >>> pairs = pd.DataFrame(pairs | {"treated": [1, 0] * 5})
    >>> after = pd.DataFrame({"region": list("abcdefghij"), "period": 1,
    ...                       "outcome": [9, 5, 8, 5, 7, 4, 8, 3, 6, 3]})
    >>> found = measure_regions(pairs, after)
    >>> found.effect, found.p_value
    (3.6, 0.0625)
    """
    check_share("level", level, "(0, 1)")
    table = collect(pairs, PAIRS, "the table of pairs")
    rows = _paired(table)
    late = _outcomes(after, rows)
    early = np.zeros(len(rows)) if history is None else _outcomes(history, rows)
    return MeasuredRegions(tuple(late.tolist()), tuple(early.tolist()), level, extra_spend)


def pairs_needed(
    effect: float, deviation: float, power: float = TEST_POWER, level: float = TEST_LEVEL
) -> int:
    """Pairs that show an effect in a region, where differences of pairs vary by ``deviation``.

    >>> pairs_needed(5.0, 10.0)
    32
    """
    check_share("power", power, "(0, 1)")
    check_share("level", level, "(0, 0.5]")
    z = float(ndtri(1 - level / 2) + ndtri(power))
    return max(math.ceil((z * deviation / effect) ** 2), FEWEST)


def signs(pairs: int) -> Floats:
    """The ways the coins could have fallen, a row each; the first is how they fell."""
    if pairs <= ALL_WAYS:
        bits = (np.arange(2**pairs)[:, None] >> np.arange(pairs)) & 1
    else:
        bits = np.random.default_rng(0).integers(0, 2, (WAYS + 1, pairs))
        bits[0] = 0
    return np.asarray(1.0 - 2.0 * bits)


def _by_region(history: IntoFrame) -> tuple[list[str], Floats]:
    """Names in order, and the outcomes of each region in a row, by period."""
    rows = collect(history, REGIONS, "the table of regions")
    values = numbers(rows, "outcome", "the table of regions")
    labels = {name: rows[name].to_numpy() for name in ("region", "period")}
    reject_rows(~np.isfinite(values), "outcome is missing", labels)
    names, region = np.unique([str(v) for v in rows["region"].to_list()], return_inverse=True)
    periods, period = np.unique([str(v) for v in rows["period"].to_list()], return_inverse=True)
    table = np.full((len(names), len(periods)), np.nan)
    table[region, period] = values
    if len(values) > np.isfinite(table).sum():
        raise InputError("a region has two rows for one period.", hint="add them up first.")
    if np.isnan(table).any():
        place = np.argwhere(np.isnan(table))[0]
        raise InputError(
            f"{names[place[0]]} has no row for {periods[place[1]]}.",
            hint="give every region every period, 0 where nobody came.",
        )
    return names.tolist(), table


def _matched(totals: Floats) -> list[tuple[int, int]]:
    """Neighbours by their mean, the greatest first; of an odd number the smallest is left over."""
    order = np.argsort(-totals.mean(axis=1), kind="stable")
    return [(int(order[k]), int(order[k + 1])) for k in range(0, len(order) - 1, 2)]


def _paired(table: nw.DataFrame[Any]) -> list[tuple[str, str]]:
    """Treated and other region of each pair."""
    sides: dict[Any, dict[int, str]] = {}
    for region, pair, treated in table.select(PAIRS).iter_rows():
        if pair is not None and pair == pair:
            sides.setdefault(pair, {})[int(treated)] = str(region)
    if broken := [pair for pair, both in sides.items() if set(both) != {0, 1}]:
        raise InputError(f"pair {broken[0]} has no treated and one other region.")
    if len(sides) < FEWEST:
        raise InputError(f"{len(sides)} pairs are too few; a test takes {FEWEST}.")
    return [(both[1], both[0]) for both in sides.values()]


def _outcomes(table: IntoFrame, rows: Sequence[tuple[str, str]]) -> Floats:
    """Difference of each pair, mean over the periods."""
    names, values = _by_region(table)
    mean: Mapping[str, float] = dict(zip(names, values.mean(axis=1).tolist(), strict=True))
    if lack := [name for pair in rows for name in pair if name not in mean]:
        raise InputError(f"region {lack[0]} of a pair has no outcome.")
    return np.array([mean[treated] - mean[other] for treated, other in rows])
