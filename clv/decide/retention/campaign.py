"""The totals of a retention campaign, with their range over the save rate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clv.decide.retention.offer import Offer, Treatment
from clv.format import cash
from clv.schema import Floats

BEYOND_BUDGET = "beyond the budget"
Range = tuple[float, float]


@dataclass(frozen=True)
class Funding:
    """How far a budget reaches down the ranked list.

    Parameters
    ----------
    order
        Rows of the scores that are worth treating, best first.
    control
        Which of them are held out.
    stop
        How many of them are in the audience, the control group included.
    budget
        In currency; infinite for no limit.
    """

    order: NDArray[np.intp]
    control: NDArray[np.bool_]
    stop: int
    budget: float

    @classmethod
    def of(
        cls,
        treatment: Treatment,
        order: NDArray[np.intp],
        control: NDArray[np.bool_],
        budget: float,
    ) -> Funding:
        """Fund from the top, and stop at the first customer that no longer fits."""
        spent = np.cumsum(np.where(control, 0.0, treatment.cost[order]))
        # a sum of costs carries rounding: a budget that equals it must pay for it
        stop = int(np.searchsorted(spent, budget * (1 + 1e-12), side="right"))
        return cls(order, control, 0 if control[:stop].all() else stop, budget)

    @property
    def treated(self) -> NDArray[np.intp]:
        """Rows of the customers who are contacted."""
        return self.order[: self.stop][~self.control[: self.stop]]

    @property
    def held_out(self) -> NDArray[np.intp]:
        """Rows of the control group."""
        return self.order[: self.stop][self.control[: self.stop]]


@dataclass(frozen=True)
class CampaignSummary:
    """What a campaign costs and earns; money in currency, gains as present contribution margin.

    Parameters
    ----------
    customers, eligible, audience, control
        Customers in the scores; worth treating; contacted; held out.
    not_contacted
        Why the others are not contacted, with their number.
    budget, cost, unspent
        Budget (None: no limit), its expected use, and what is left because the next customer
        does not fit or nobody else pays.
    expected_gain, expected_profit
        At the mean save rate.
    cost_range, gain_range, profit_range
        The same at both ends of ``save_rate_range``.
    save_rate, save_rate_source, save_rate_range
        What the totals rest on; the range is 5% to 95% of a Beta, or as the user gave it.
    break_even_save_rate
        The save rate at which the whole campaign earns nothing; None if nobody is contacted.
    control_forgone_profit
        Expected profit given up by not contacting the control group: the price of learning.
    next_budget, next_audience, next_profit
        A tenth more budget, the customers that it would add, and the profit they would earn.
    horizon, currency, as_of, model_version
        From the scores, None where they do not say.
    """

    customers: int
    eligible: int
    audience: int
    control: int
    not_contacted: Mapping[str, int]
    budget: float | None
    cost: float
    unspent: float | None
    expected_gain: float
    expected_profit: float
    cost_range: Range
    gain_range: Range
    profit_range: Range
    save_rate: float
    save_rate_source: str
    save_rate_range: Range
    break_even_save_rate: float | None
    control_forgone_profit: float
    next_budget: float | None
    next_audience: int
    next_profit: float
    horizon: str | None = None
    currency: str | None = None
    as_of: Any = None
    model_version: str | None = None

    @classmethod
    def of(
        cls,
        treatment: Treatment,
        q: Floats,
        offer: Offer,
        funding: Funding,
        constants: Mapping[str, Any],
    ) -> CampaignSummary:
        """Add up the audience of ``funding``."""
        rows = funding.treated
        gain, cost = float(treatment.gain[rows].sum()), float(treatment.cost[rows].sum())
        line = _CostAndGain.of(offer, q[rows], gain)
        limited = bool(np.isfinite(funding.budget))
        more = Funding.of(treatment, funding.order, funding.control, funding.budget * 1.1)
        added = more.treated[len(rows) :]
        stated = ("horizon", "currency", "as_of", "model_version")
        return cls(
            customers=len(q),
            eligible=len(funding.order),
            audience=len(rows),
            control=len(funding.held_out),
            not_contacted=_not_contacted(treatment, funding),
            budget=funding.budget if limited else None,
            cost=cost,
            unspent=max(funding.budget - cost, 0.0) if limited else None,
            expected_gain=gain,
            expected_profit=gain - cost,
            cost_range=line.cost(offer.save_rate_range),
            gain_range=line.gain(offer.save_rate_range),
            profit_range=line.profit(offer.save_rate_range),
            save_rate=offer.mean_save_rate,
            save_rate_source=offer.save_rate_source,
            save_rate_range=offer.save_rate_range,
            break_even_save_rate=line.break_even if len(rows) else None,
            control_forgone_profit=float(treatment.profit[funding.held_out].sum()),
            next_budget=funding.budget * 0.1 if limited else None,
            next_audience=len(added),
            next_profit=float(treatment.profit[added].sum()),
            **{name: constants.get(name) for name in stated},
        )

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values that JSON can hold; dates in ISO form."""
        as_of = None if self.as_of is None else str(self.as_of)[:10]
        return {**asdict(self), "not_contacted": dict(self.not_contacted), "as_of": as_of}

    def __str__(self) -> str:
        return "\n".join(self._sentences())

    def _sentences(self) -> Iterator[str]:
        low, high = self.profit_range
        yield (
            f"{self.audience:,} customers to contact, {self.control:,} held out as control, "
            f"of {self.customers:,}."
        )
        yield (
            f"Cost {cash(self.cost)}, expected gain {cash(self.expected_gain)}, expected "
            f"profit {cash(self.expected_profit)} ({cash(low)} to {cash(high)})."
        )
        even = self.break_even_save_rate
        pays = "" if even is None else f"; the campaign pays above {even:.3g}"
        yield f"The save rate is {self.save_rate_source}: {self.save_rate:.3g}{pays}."
        if self.unspent is not None and self.next_budget is not None:
            beyond = BEYOND_BUDGET in self.not_contacted
            why = "the next customer does not fit" if beyond else "nobody else is worth it"
            yield f"{cash(self.unspent)} of the budget is left: {why}."
            yield (
                f"A tenth more budget ({cash(self.next_budget)}) would add "
                f"{self.next_audience:,} customers and earn {cash(self.next_profit)}."
            )


@dataclass(frozen=True)
class _CostAndGain:
    """Totals of an audience as straight lines in g: cost = fixed + slope g, gain = worth g."""

    fixed: float
    slope: float
    worth: float

    @classmethod
    def of(cls, offer: Offer, q: Floats, gain: float) -> _CostAndGain:
        c0, c1 = offer.redeemers(q)
        fixed = len(q) * offer.contact_cost + offer.incentive * float(c0.sum())
        return cls(fixed, offer.incentive * float(c1.sum()), gain / offer.mean_save_rate)

    @property
    def break_even(self) -> float:
        return self.fixed / (self.worth - self.slope)

    def cost(self, rates: Range) -> Range:
        return self.fixed + self.slope * rates[0], self.fixed + self.slope * rates[1]

    def gain(self, rates: Range) -> Range:
        return self.worth * rates[0], self.worth * rates[1]

    def profit(self, rates: Range) -> Range:
        (low, high), (least, most) = self.gain(rates), self.cost(rates)
        return low - least, high - most


def _not_contacted(treatment: Treatment, funding: Funding) -> dict[str, int]:
    counts = {reason: int(whom.sum()) for reason, whom in treatment.obstacles.items()}
    counts[BEYOND_BUDGET] = len(funding.order) - funding.stop
    return {reason: count for reason, count in counts.items() if count}
