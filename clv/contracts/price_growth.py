"""How prices of customers who stay move: from plan to plan, as moves were seen.

From each plan customers move, to other plans or to another price of the same one, and there go on
as that plan's customers do. Customers are not equally ready to move: their rates are
Gamma(r, a), so who has paid one price for d months moves on at the rate r / (a + d) a month (Lomax
1954), the less the longer: where some move once and the others never do, who has not moved for long
never will. Who has moved before does so again at a rate that is a factor of that, as was seen. Each
plan's rate is shrunk to that of all plans, and is as uncertain as the moves seen leave it. One
customer's price stays, or steps; what it is on average comes from the chance of a step at each
payment.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import gamma

from clv.contracts.billing_tables import Interval
from clv.contracts.contract_tables import ContractTable
from clv.schema import Floats

PATHS = 100  # of one customer's price, all equally likely
SIZES = (0.1, 0.3, 0.5, 0.7, 0.9)  # levels of the sizes of steps that are kept
UNSEEN = 0.5  # moves added to those seen: none seen is not none to come
ALIKE = 1.0  # moves after a first one, taken as seen at the rate of first ones
SCALES = np.geomspace(0.5, 1e5, 200)  # months a; at the last, all customers move at one rate
SETTLED = 2.0  # twice the log-likelihood that a second parameter must add (Akaike)
LENGTHS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)  # months at a price, told apart
Steps = Sequence[tuple[str, float, Sequence[float]]]


class PriceAge(NamedTuple):
    """How long a customer has paid one price, in months, and whether another before it."""

    months: float = 0.0
    again: bool = False


NEW = PriceAge()


@dataclass(frozen=True)
class PriceGrowth:
    """How the prices of customers who stay move, from plan moves of one billing period.

    Attributes
    ----------
    overall
        Of all plans together, a fraction of the price a month.
    moves
        How many changes of price it rests on.
    rates
        Of each plan, the moves seen, shrunk towards all plans, and those expected if its customers
        moved as all do: their ratio is the plan's own factor.
    steps
        From each plan: to which, with which share of the moves, and the sizes of the step (price
        after over before, equally likely).
    pace
        r and a (months): who has paid one price for d months moves at the rate r / (a + d).
    again
        Factor on it of who has moved before.
    """

    overall: float
    moves: int
    rates: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    steps: Mapping[str, Steps] = field(default_factory=dict)
    pace: tuple[float, float] = (0.0, 1.0)
    again: float = 1.0

    def of(self, plan: str, age: PriceAge = NEW) -> float:
        """The growth of a plan's price a month, now."""
        if plan not in self.rates:
            return self.overall
        k, (r, a) = list(self.rates).index(plan), self.pace
        up = float(self._targets()[k].sum() - 1)
        return float(r / (a + age.months) * self._factor(age.again) * self._plan_factors()[k] * up)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        document = asdict(self)
        steps = {
            plan: [[to, share, list(sizes)] for to, share, sizes in each]
            for plan, each in self.steps.items()
        }
        rates = {plan: list(pair) for plan, pair in self.rates.items()}
        return document | {"rates": rates, "steps": steps, "pace": list(self.pace)}

    def mean(self, plan: str, period: float, steps: int, age: PriceAge = NEW) -> Floats:
        """What a price is on average at each payment over what it is at the first.

        Parameters
        ----------
        plan
            The one that is paid.
        period
            From payment to payment, in months.
        steps
            Payments.
        age
            Of the price at the first.

        Returns
        -------
        Shape (steps,).
        """
        if plan not in self.rates:
            return np.asarray((1 + self.overall) ** (period * np.arange(steps)))
        return self._mean(list(self.rates).index(plan), period, steps, age)

    def paths(self, plan: str, period: float, steps: int, age: PriceAge = NEW) -> Floats:
        """What a price may be, as ``mean`` says it on average: shape (paths, steps), all equally
        likely.
        """
        if plan not in self.rates:
            return self.mean(plan, period, steps)[None]
        return self._drawn(list(self.rates).index(plan), period, steps, age)

    def _plan_factors(self) -> Floats:
        """Each plan's factor on the rate of all."""
        return np.array([moves / expected for moves, expected in self.rates.values()])

    def _factor(self, again: Any) -> Any:
        return np.where(again, self.again, 1.0)

    def _chance(self, months: Any, period: float, factor: Any) -> Floats:
        """Of a step within a period by who has paid one price for so many months."""
        r, a = self.pace
        return np.asarray(-np.expm1(-r * factor * np.log1p(period / (a + months))))

    def _targets(self) -> Floats:
        """From plan to plan: share of the moves times the mean size of the step."""
        plans = {plan: k for k, plan in enumerate(self.rates)}
        A = np.zeros((len(plans), len(plans)))
        for plan, k in plans.items():
            for to, share, sizes in self.steps[plan]:
                A[k, plans[to]] += share * np.mean(sizes)
        return A

    def _mean(self, start: int, period: float, steps: int, age: PriceAge) -> Floats:
        """By the number of payments left: of who has just moved, by plan and months since."""
        ages, factors, A = period * np.arange(steps), self._plan_factors(), self._targets()
        moves = self._chance(ages, period, factors[:, None] * self.again)  # (plans, ages)
        first = self._chance(age.months + ages, period, factors[start] * self._factor(age.again))
        since, mine = np.ones((len(factors), steps)), np.ones(steps)
        mean = np.ones(steps)
        for k in range(1, steps):
            moved = A @ since[:, 0]
            after = steps - k
            stay, go = 1 - first[:after], first[:after] * moved[start]
            mine = stay * mine[1:] + go
            since = (1 - moves[:, :after]) * since[:, 1:] + moves[:, :after] * moved[:, None]
            mean[k] = mine[0]
        return mean

    def _drawn(self, start: int, period: float, steps: int, age: PriceAge) -> Floats:
        """Prices of customers of one plan, one step a payment at most."""
        rng = np.random.default_rng(0)  # the same paths for everybody, today and tomorrow
        moves, expected = list(self.rates.values())[start]
        level = (np.arange(PATHS) + 0.5) / PATHS
        factors = np.tile(self._plan_factors(), (PATHS, 1))
        factors[:, start] = rng.permutation(gamma.ppf(level, moves + UNSEEN) / expected)
        place, plan_now, months = (
            np.arange(PATHS),
            np.full(PATHS, start),
            np.full(PATHS, age.months),
        )
        again, price = np.full(PATHS, age.again), np.ones((PATHS, steps))
        reached, plan_of, size_of = self._choices()
        for k in range(1, steps):
            factor = factors[place, plan_now] * self._factor(again)
            moved = np.flatnonzero(rng.random(PATHS) < self._chance(months, period, factor))
            months = months + period
            price[:, k] = price[:, k - 1]
            now = plan_now[moved]
            which = (rng.random(len(moved))[:, None] > reached[now]).sum(axis=1)
            price[moved, k] *= size_of[now, which]
            plan_now[moved], months[moved], again[moved] = plan_of[now, which], 0.0, True
        return price

    def _choices(self) -> tuple[Floats, Any, Floats]:
        """Of each plan's steps, cumulative shares, plans and sizes: shape (plans, steps)."""
        plans = {plan: k for k, plan in enumerate(self.rates)}
        each = [
            [
                (p / len(sizes), plans[to], size)
                for to, p, sizes in self.steps[plan]
                for size in sizes
            ]
            for plan in plans
        ]
        widest = max(map(len, each))
        table = np.array([row + [(0.0, *row[-1][1:])] * (widest - len(row)) for row in each])
        reached = np.cumsum(table[:, :, 0], axis=1)
        reached[:, -1] = 1.0
        return reached, table[:, :, 1].astype(np.intp), table[:, :, 2]


NO_MOVES = PriceGrowth(0.0, 0)
SPELLS = """
WITH s AS (
    SELECT *, greatest(datediff('day', start, $4::DATE), 0) / 30.4375 AS entered,
    datediff('day', start, least(coalesce(until, $1::DATE), $1::DATE)) / 30.4375 AS months
    FROM spells WHERE unit = $2 AND length = $3 AND coalesce(until > $4::DATE, true)),
moves AS MATERIALIZED (
    SELECT s.plan, f.plan AS to_plan, s._row, f._row AS to_row, f.mrr - s.mrr AS moved,
    f.mrr / s.mrr AS size FROM s JOIN s f ON s.customer = f.customer AND s.currency = f.currency
    AND f.start = s.until AND f._row <> s._row WHERE s.mrr > 0)
"""
EXPOSED = """
SELECT plan, _row IN (SELECT to_row FROM moves) AS again, entered, months, count(*) AS n,
count(*) FILTER (_row IN (SELECT _row FROM moves)) AS moved, sum(mrr * (months - entered)) AS money
FROM s WHERE months > entered GROUP BY ALL ORDER BY ALL
"""
STEPS = f"""
SELECT plan, to_plan, count(*), sum(moved), quantile_cont(size, {list(SIZES)})
FROM moves GROUP BY plan, to_plan ORDER BY plan, to_plan
"""


def price_growth(table: ContractTable, interval: Interval) -> PriceGrowth:
    """How prices of customers who stay move from one row of theirs to the next.

    A plan's rate of moves is shrunk to that of all plans by how much rates vary beyond their own
    noise (DerSimonian and Laird's moments). A plan from which no move was seen takes its steps, of
    any size seen, in itself.
    """
    if table.contracts is None or not table.contracts.several:
        return NO_MOVES
    db, since = table.source.connection, table.contracts.observed_from or dt.date.min
    parameters = [table.as_of, interval.unit, interval.length, since]
    rows = db.execute(SPELLS + EXPOSED, parameters).df()
    plans = [str(plan) for plan in rows["plan"].unique()]
    step_rows = [
        row for row in db.execute(SPELLS + STEPS, parameters).fetchall() if row[0] in plans
    ]
    if not step_rows or not rows["moved"].any():
        return NO_MOVES
    pace, again, expected = _pace(rows)
    by_plan = rows.assign(expected=expected).groupby("plan")[["moved", "expected"]].sum()
    n, behind = by_plan["moved"].to_numpy(dtype=np.float64), by_plan["expected"].to_numpy()
    factors, trust = _shrunk(n / behind, np.maximum(n.sum() / behind.sum() / behind, 1e-12), behind)
    pairs = zip(plans, map(float, factors * trust), map(float, trust), strict=True)
    return PriceGrowth(
        sum(float(row[3]) for row in step_rows) / float(rows["money"].sum()),
        int(n.sum()),
        {plan: (moves, trusted) for plan, moves, trusted in pairs},
        _steps(plans, step_rows),
        pace,
        again,
    )


def _steps(plans: list[str], rows: list[Any]) -> dict[str, Steps]:
    """From each plan, the steps that were seen; of who took none, those of everybody."""
    everywhere = sorted(size for row in rows for size in row[4])
    usual = tuple(float(size) for size in np.quantile(everywhere, SIZES))
    total = {plan: sum(row[2] for row in rows if row[0] == plan) for plan in plans}
    return {
        plan: [
            (to if to in plans else plan, count / total[plan], tuple(map(float, sizes)))
            for before, to, count, _, sizes in rows
            if before == plan
        ]
        or [(plan, 1.0, usual)]
        for plan in plans
    }


def _pace(rows: pd.DataFrame) -> tuple[tuple[float, float], float, Floats]:
    """Pace of first moves (r, a), factor of later ones, and the moves that each row expects.

    The likelihood of Lomax's distribution, with censoring and left truncation; r is known given a.
    """
    names = ("entered", "months", "n", "moved")
    entered, months, n, moved = (rows[name].to_numpy(dtype=np.float64) for name in names)
    later = rows["again"].to_numpy(dtype=bool)
    n_first, first = np.where(later, 0.0, n), float(moved[~later].sum())
    a = SCALES[:, None]
    risk = np.log1p((months - entered) / (a + entered))  # (scales, rows)
    r = first / (risk @ n_first)
    fit = first * np.log(r) - np.log(a + months)[:, ~later] @ moved[~later]
    best = int(np.argmax(fit))
    best = best if 2 * (fit[best] - fit[-1]) > SETTLED else len(SCALES) - 1
    expected = r[best] * risk[best] * n
    again = (float(moved[later].sum()) + ALIKE) / (float(expected[later].sum()) + ALIKE)
    pace = (float(r[best]), float(SCALES[best]))
    return pace, again, np.where(later, again, 1.0) * expected


def _shrunk(rate: Floats, variance: Floats, behind: Floats) -> tuple[Floats, Floats]:
    """Rates moved towards their mean by how much of their spread is noise, and the moves that each
    rests on: its own, and those of all by how alike plans are.
    """
    weight = 1 / variance
    mean = float(weight @ rate / weight.sum())
    excess = float(weight @ (rate - mean) ** 2) - (len(rate) - 1)
    scale = weight.sum() - (weight**2).sum() / weight.sum()
    between = max(excess / scale, 0.0) if scale > 0 else 0.0
    share = between / (between + variance)
    center = float(np.sum(rate / (between + variance)) / np.sum(1 / (between + variance)))
    return share * rate + (1 - share) * center, share * behind + (1 - share) * behind.sum()
