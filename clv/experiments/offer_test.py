"""The test of a retention offer whose save rate nobody has measured yet.

The outcome is whether a customer buys within the churn horizon: 1 - q without the offer, g q more
with it. Of its variance the scores know var(q) beforehand if they are calibrated, so

    R^2      var(q) / (p (1 - p)),  p = mean of 1 - q
    lift     g mean(q) / p

At a save rate g customer i earns a_i g - f_i, see ``clv.decide.retention.offer``. Known for
certain, g tells whom to contact; a test of standard error e of g leaves doubt::

    EVPI     E sum max(0, a g - f)  -  sum max(0, a E[g] - f)
    EVSI     the same over N(E[g], s'^2), s' = s^2 / sqrt(s^2 + e^2), for those not in the test
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import NDArray
from scipy.special import ndtri

from clv.decide.retention.campaign import Campaign
from clv.decide.retention.hull import Index
from clv.decide.retention.offer import RANGE, BetaRate, Offer, Treatment
from clv.defaults import TEST_CONTROL_SHARE, TEST_LEVEL, TEST_POWER
from clv.errors import InputError
from clv.experiments.planned_test import PlannedTest, plan_test
from clv.experiments.rollout import NINETY
from clv.findings import Finding, finding, within
from clv.format import counted
from clv.notebook import InNotebook
from clv.schema import Floats

CELLS = 4096  # a power of 2: no rounding moves a value from one to the next
POINTS = 101  # of the save rate, over which worth is averaged


@dataclass(frozen=True)
class OfferTest(InNotebook):
    """A test of a retention offer; money in ``currency``.

    Attributes
    ----------
    offer
        What is offered, with the save rate as it is known today.
    planned
        Customers of both groups, and how long.
    candidates
        Customers whom the offer may pay for: at the upper end of the save rate.
    contacted, contacted_low, contacted_high
        How many it pays to contact at the mean save rate, and at either end of it.
    save_rate_error
        Standard error of the save rate that the test gives.
    evpi, evsi, cost
        What knowing the save rate would be worth, what this test is worth for those who are not in
        it, and what it costs by what is expected today.
    currency
        Of all money; empty if that is not stated.
    in_revenue
        That money counts revenue, where the scores say so.
    """

    offer: Offer
    planned: PlannedTest
    candidates: int
    contacted: int
    contacted_low: int
    contacted_high: int
    save_rate_error: float
    evpi: float
    evsi: float
    cost: float
    currency: str = ""
    in_revenue: tuple[Finding, ...] = ()

    @property
    def tested(self) -> int:
        """Customers of both groups, as far as there are as many."""
        return min(self.planned.customers, self.candidates)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What it takes and gives, in words."""
        return within(_findings(self), self.currency)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        low, high = self.offer.save_rate_range
        return {
            "offer": self.offer.name,
            "save_rate": self.offer.mean_save_rate,
            "save_rate_low": low,
            "save_rate_high": high,
            "save_rate_source": self.offer.save_rate_source,
            "save_rate_error": self.save_rate_error,
            "n_per_arm": self.planned.n_per_arm,
            "customers": self.planned.customers,
            "tested": self.tested,
            "r2": self.planned.size.r2,
            "weeks": self.planned.weeks,
            "candidates": self.candidates,
            "contacted": self.contacted,
            "contacted_low": self.contacted_low,
            "contacted_high": self.contacted_high,
            "evpi": self.evpi,
            "evsi": self.evsi,
            "cost": self.cost,
            "currency": self.currency or None,
            "findings": [each.to_dict() for each in self.findings],
        }

    def __str__(self) -> str:
        heading = f"a test of {self.offer.name} on {counted(self.tested, 'customer')}"
        return "\n".join([heading, *(f"  {each}" for each in self.findings)])


def plan_offer_test(
    scores: IntoFrame,
    offer: Offer,
    *,
    control_share: float = TEST_CONTROL_SHARE,
    power: float = TEST_POWER,
    level: float = TEST_LEVEL,
    weeks: float = 13.0,
) -> OfferTest:
    """How to test a retention offer, what that costs, and what knowing its save rate is worth.

    Parameters
    ----------
    scores
        One row per customer: customer_id, churn_probability, value_at_stake.
    offer
        Its costs, and the save rate as it is known today: a range or a ``BetaRate``.
    control_share
        Share of those in the test who are held out.
    power, level
        Chance to see the mean save rate if it is there, and to see one that is not (two-sided).
    weeks
        The churn horizon, after which a customer counts as lost.

    Returns
    -------
    OfferTest
        Customers, cost, EVPI and EVSI, with ``findings`` in words.

    Raises
    ------
    InputError, ColumnError, RowError
        The scores cannot be used, the save rate is one number, or the offer pays for nobody.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from clv import Offer, plan_offer_test
    >>> rng = np.random.default_rng(0)
    >>> scores = pd.DataFrame({"customer_id": range(20_000), "value_at_stake": 20.0,
    ...                        "churn_probability": rng.random(20_000)})
    >>> test = plan_offer_test(scores, Offer(contact_cost=2, save_rate=(0.0001, 0.2)))
    >>> test.contacted_low, 0 < test.evsi < test.evpi
    (0, True)
    """
    campaign = Campaign.prepare(scores, offer, control_share=0.0)
    return of_campaign(
        campaign, offer, control_share=control_share, power=power, level=level, weeks=weeks
    )


def of_campaign(
    campaign: Campaign,
    offer: Offer,
    *,
    control_share: float = TEST_CONTROL_SHARE,
    power: float = TEST_POWER,
    level: float = TEST_LEVEL,
    weeks: float = 13.0,
) -> OfferTest:
    """The test of the offer of a campaign at hand, as ``plan_offer_test`` has it."""
    low, high = offer.save_rate_range
    if not low < high:
        raise InputError(
            f"the save rate of {offer.name} is one number, {low:g}: a test could not change it.",
            hint="give the range in which it may lie, such as (0.05, 0.3).",
        )
    action = campaign.actions[0]
    assert isinstance(action, Treatment)
    ever = (action.per_rate > action.fixed) & (action.per_rate > 0)
    for barred in campaign.barred.values():
        ever &= ~barred
    rows = np.flatnonzero(ever & (action.per_rate * high > action.fixed))
    if len(rows) < 2:
        raise InputError(
            f"{offer.name} pays for nobody, whatever the save rate between {low:g} and {high:g}.",
            hint="make the offer cheaper, or leave it.",
        )
    risk = campaign.scores.churn_probability[rows]
    planned = _sized(risk, offer.mean_save_rate, control_share, power, level, weeks)
    lines = action.per_rate[ever], action.fixed[ever]
    currency = str(campaign.scores.currency or "")
    test = _with_worth(offer, planned, lines, float(risk.mean()), currency)
    return replace(test, in_revenue=campaign.in_revenue)


@dataclass(frozen=True)
class _Earned:
    """What customers earn at each of some save rates, by contacting those whom it pays for.

    Each customer is put where the rate first suffices, and what stands there is added up: a sort of
    all customers would take longer than all else of an answer.

    ``per_rate`` and ``fixed`` are sums over the ``count`` customers who pay at each of ``rates``.
    """

    rates: Floats
    count: NDArray[np.intp]
    per_rate: Floats
    fixed: Floats

    @classmethod
    def of(cls, per_rate: Floats, fixed: Floats, suffices: Floats, rates: Floats) -> _Earned:
        """Of customers whom it pays to contact above the rate that ``suffices``."""
        rates = np.unique(rates)
        place = _places(rates, suffices)

        def summed(weights: Floats | None) -> Any:
            return np.bincount(place, weights, len(rates) + 1)[:-1].cumsum()

        return cls(rates, summed(None), summed(per_rate), summed(fixed))

    def paying(self, rate: float) -> int:
        """How many it pays to contact."""
        return int(self.count[np.searchsorted(self.rates, rate)])

    def best(self, rate: float | Floats) -> Floats:
        """By contacting those."""
        return self.at(rate, np.asarray(rate))

    def at(self, whom: float | Floats, rate: float | Floats) -> Floats:
        """By contacting those whom another rate would pay for."""
        place = np.searchsorted(self.rates, whom)
        return np.asarray(self.per_rate[place] * rate - self.fixed[place])


def _places(rates: Floats, values: Floats) -> Index:
    """How many of the rising ``rates`` are at or below each of the values, all in [0, 1].

    As ``np.searchsorted(rates, values, side="right")``, which goes through the rates for each of a
    million values: most lie in a cell of [0, 1] that no rate divides, where a table has the answer.

    >>> _places(np.array([0.1, 0.5]), np.array([0.05, 0.1, 0.3, 0.9]))
    array([0, 1, 1, 2])
    """
    edges = np.arange(CELLS + 2) / CELLS
    below = np.searchsorted(rates, edges[:-1], side="right")
    divided = np.searchsorted(rates, edges[1:], side="left") > below
    cell = (values * CELLS).astype(np.int32)
    place = below[cell]
    at = np.flatnonzero(divided[cell])
    place[at] = np.searchsorted(rates, values[at], side="right")
    return place


def _sized(
    q: Floats, rate: float, control_share: float, power: float, level: float, weeks: float
) -> PlannedTest:
    """Customers of a test on whether customers buy, known beforehand as well as q tells."""
    p = float(1 - q.mean())
    if not 0 < p < 1:
        raise InputError("all customers buy, or none does: there is nothing to keep or to see.")
    spread = p * (1 - p)
    r2 = min(float(q.var()) / spread, 0.99)
    lift = min(rate * (1 - p) / p, 1.0)
    return plan_test(
        p, math.sqrt(spread), lift, r2=r2, control_share=control_share, power=power, level=level,
        weeks=weeks,
    )  # fmt: skip


def _with_worth(
    offer: Offer, planned: PlannedTest, lines: tuple[Floats, Floats], risk: float, currency: str
) -> OfferTest:
    low, high = offer.save_rate_range
    places = (np.arange(POINTS) + 0.5) / POINTS
    per_rate, fixed = lines
    suffices = fixed / per_rate
    mean, customers = offer.mean_save_rate, int(np.count_nonzero(suffices < high))
    tested = min(planned.customers, customers)
    error = planned.size.standard_error(tested) / risk
    rates, spread = _rates(offer, places)
    moved = spread**2 / math.hypot(spread, error)
    expected = np.clip(mean + moved * ndtri(places), 0.0, 1.0)
    points = np.concatenate([[low, mean, high], rates, expected])
    earns = _Earned.of(per_rate, fixed, suffices, points)
    today, rest = float(earns.best(mean)), 1 - tested / customers
    # held out though it pays, and contacted though it does not
    held, wasted = today, today - float(earns.at(high, mean))
    share = planned.size.control_share
    return OfferTest(
        offer=offer,
        planned=planned,
        candidates=customers,
        contacted=earns.paying(mean),
        contacted_low=earns.paying(low),
        contacted_high=earns.paying(high),
        save_rate_error=error,
        evpi=max(float(earns.best(rates).mean()) - today, 0.0),
        evsi=rest * max(float(earns.best(expected).mean()) - today, 0.0),
        cost=(share * held + (1 - share) * wasted) * tested / customers,
        currency=currency,
    )


def _rates(offer: Offer, places: Floats) -> tuple[Floats, float]:
    """Save rates at evenly spread chances, of mean E[g], and their standard deviation."""
    if isinstance(offer.save_rate, BetaRate):
        rates = np.array([offer.save_rate.quantile(u) for u in places.tolist()])
    else:
        low, high = offer.save_rate_range
        wide = (high - low) / (2 * NINETY)
        rates = np.clip((low + high) / 2 + wide * ndtri(places), 0.0, 1.0)
    rates = np.clip(rates + offer.mean_save_rate - rates.mean(), 0.0, 1.0)
    return rates, float(rates.std())


def _findings(test: OfferTest) -> Iterator[Finding]:
    planned, (low, high) = test.planned, test.offer.save_rate_range
    source = test.offer.save_rate_source
    yield finding(
        "experiment.offer_range",
        low=low,
        high=high,
        level=RANGE[1] - RANGE[0],
        fewest=test.contacted_low,
        most=test.contacted_high,
    ).based_on(source)
    yield finding(
        "experiment.offer_size",
        treated=planned.treated,
        control=planned.control,
        rate=test.offer.mean_save_rate,
        power=planned.size.power,
        weeks=planned.weeks,
    )
    yield finding(
        "experiment.covariate", r2=planned.size.r2, customers=2 * planned.n_per_arm_unadjusted
    )
    if test.tested < planned.customers:
        yield finding("experiment.offer_few", customers=test.candidates, error=test.save_rate_error)
    pays = "offer_pays" if test.evsi > test.cost else "offer_pays_not"
    yield finding(
        "experiment.offer_worth",
        evpi=test.evpi,
        evsi=test.evsi,
        cost=test.cost,
        verdict=finding(f"experiment.{pays}"),
    ).based_on(source)
    yield from test.in_revenue
