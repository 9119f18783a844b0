"""How prices of customers who stay move: from plan to plan, as moves were seen.

From each plan customers move at a rate, to other plans or to another price of the same one, and
there go on as that plan's customers do. What a price is on average after t months is then
exp(A t) 1, A[p, q] the rate of moves from p to q times the size of their step, less all moves out
of p where p = q. One customer's price is not that average: it stays, or steps. Rates are shrunk
to that of all plans, and are as uncertain as the moves seen leave them. Who has not moved for long
is taken to move as often as who has just come: where half of all customers move up once and the
others never do, to twice the price, that made two years' revenue 16% too high (a growth that goes
on for everybody 24%).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.linalg import expm
from scipy.stats import gamma

from clv.contracts.billing_tables import Interval
from clv.contracts.contract_tables import ContractTable
from clv.schema import Floats

PATHS = 100  # of one customer's price, all equally likely
SIZES = (0.1, 0.3, 0.5, 0.7, 0.9)  # levels of the sizes of steps that are kept
UNSEEN = 0.5  # moves added to those seen: none seen is not none to come
Steps = Sequence[tuple[str, float, Sequence[float]]]


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
        Of each plan, the moves seen, shrunk towards all plans, and the customer-months they rest
        on: their ratio is the rate a month.
    steps
        From each plan: to which, with which share of the moves, and the sizes of the step (price
        after over before, equally likely).
    """

    overall: float
    moves: int
    rates: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    steps: Mapping[str, Steps] = field(default_factory=dict)

    def of(self, plan: str) -> float:
        """The growth of a plan's price a month, at first."""
        if plan not in self.rates:
            return self.overall
        return float(self._generator().sum(axis=1)[list(self.rates).index(plan)])

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        steps = {
            plan: [[to, share, list(sizes)] for to, share, sizes in each]
            for plan, each in self.steps.items()
        }
        rates = {plan: list(pair) for plan, pair in self.rates.items()}
        return {"overall": self.overall, "moves": self.moves, "rates": rates, "steps": steps}

    def paths(self, plan: str, period: float, steps: int) -> Floats:
        """What a price may be at each payment over what it is at the first.

        Parameters
        ----------
        plan
            The one that is paid.
        period
            From payment to payment, in months.
        steps
            Payments.

        Returns
        -------
        Shape (paths, steps); all paths are equally likely, and their mean is exp(A t) 1.
        """
        if plan not in self.rates:
            return np.asarray((1 + self.overall) ** (period * np.arange(steps)))[None]
        start = list(self.rates).index(plan)
        price = self._drawn(start, period, steps)
        return np.asarray(price * (self._mean(start, period, steps) / price.mean(axis=0)))

    def _rate(self) -> Floats:
        return np.array([moves / months for moves, months in self.rates.values()])

    def _generator(self) -> Floats:
        plans = {plan: k for k, plan in enumerate(self.rates)}
        rate = self._rate()
        A = np.diag(-rate)
        for plan, k in plans.items():
            for to, share, sizes in self.steps[plan]:
                A[k, plans[to]] += rate[k] * share * np.mean(sizes)
        return A

    def _mean(self, start: int, period: float, steps: int) -> Floats:
        ahead, step = np.ones((steps, len(self.rates))), expm(self._generator() * period)
        for k in range(1, steps):
            ahead[k] = step @ ahead[k - 1]
        return ahead[:, start]

    def _drawn(self, start: int, period: float, steps: int) -> Floats:
        """Prices of customers of one plan, one step a payment at most."""
        rng = np.random.default_rng(0)  # the same paths for everybody, today and tomorrow
        plans = {plan: k for k, plan in enumerate(self.rates)}
        moves, months = list(self.rates.values())[start]
        level = (np.arange(PATHS) + 0.5) / PATHS
        plan_rate = rng.permutation(gamma.ppf(level, moves + UNSEEN) / months)  # the plan's rate
        rate, plan_now = self._rate(), np.full(PATHS, start)
        price = np.ones((PATHS, steps))
        for k in range(1, steps):
            now = np.where(plan_now == start, plan_rate, rate[plan_now])
            moved = np.flatnonzero(rng.random(PATHS) < -np.expm1(-now * period))
            price[:, k] = price[:, k - 1]
            for path in moved:
                targets = self.steps[list(plans)[plan_now[path]]]
                to, _, sizes = targets[rng.choice(len(targets), p=[t[1] for t in targets])]
                price[path, k] *= rng.choice(sizes)
                plan_now[path] = plans[to]
        return price


NO_MOVES = PriceGrowth(0.0, 0)
MOVES = """
WITH s AS (
    SELECT *, datediff('day', start, least(coalesce(until, $1::DATE), $1::DATE)) / 30.4375 AS months
    FROM spells WHERE unit = $2 AND length = $3),
moves AS (
    SELECT s.plan, f.plan AS to_plan, f.mrr - s.mrr AS moved, f.mrr / s.mrr AS size
    FROM s JOIN s f ON s.customer = f.customer AND s.currency = f.currency
    AND f.start = s.until AND f._row <> s._row WHERE s.mrr > 0)
"""
EXPOSED = "SELECT plan, sum(mrr * months), sum(months) FROM s GROUP BY plan ORDER BY plan"
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
    db, until = table.source.connection, [table.as_of, interval.unit, interval.length]
    exposed = [row for row in db.execute(MOVES + EXPOSED, until).fetchall() if row[2] > 0]
    plans = [row[0] for row in exposed]
    moves_seen = [row for row in db.execute(MOVES + STEPS, until).fetchall() if row[0] in plans]
    if not moves_seen:
        return NO_MOVES
    n = np.array([float(sum(row[2] for row in moves_seen if row[0] == plan)) for plan in plans])
    months = np.array([float(row[2]) for row in exposed])
    rate, trust = _shrunk(n / months, np.maximum(n.sum() / months.sum() / months, 1e-12), months)
    everywhere = sorted(size for row in moves_seen for size in row[4])
    usual = tuple(float(size) for size in np.quantile(everywhere, SIZES))
    steps: dict[str, Steps] = {
        plan: [
            (to if to in plans else plan, count / total, tuple(map(float, sizes)))
            for of, to, count, _, sizes in moves_seen
            if of == plan
        ]
        or [(plan, 1.0, usual)]
        for plan, total in zip(plans, n, strict=True)
    }
    moved = sum(float(row[3]) for row in moves_seen)
    pairs = zip(plans, map(float, rate * trust), map(float, trust), strict=True)
    return PriceGrowth(
        moved / sum(float(row[1]) for row in exposed),
        int(n.sum()),
        {plan: (moves, behind) for plan, moves, behind in pairs},
        steps,
    )


def _shrunk(rate: Floats, variance: Floats, months: Floats) -> tuple[Floats, Floats]:
    """Rates moved towards their mean by how much of their spread is noise, and the months that each
    rests on: its own, and those of all by how alike plans are.
    """
    weight = 1 / variance
    mean = float(weight @ rate / weight.sum())
    excess = float(weight @ (rate - mean) ** 2) - (len(rate) - 1)
    scale = weight.sum() - (weight**2).sum() / weight.sum()
    between = max(excess / scale, 0.0) if scale > 0 else 0.0
    share = between / (between + variance)
    center = float(np.sum(rate / (between + variance)) / np.sum(1 / (between + variance)))
    return share * rate + (1 - share) * center, share * months + (1 - share) * months.sum()
