"""What a campaign of several offers costs and earns in all, how sure that is, and in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from clv.decide.retention.actions import WITHIN_WINDOW, AnyAction
from clv.decide.retention.campaign import CONTACTED, Campaign
from clv.decide.retention.hull import NOBODY, Assignment, Index
from clv.decide.retention.offer import ENDS, Offer, Treatment
from clv.decide.scores import ALIVE
from clv.defaults import DEAD
from clv.findings import Finding, finding, within
from clv.notebook import InNotebook

Range = tuple[float, float]
STATED = ("horizon", "currency", "as_of", "model_version")  # of the terms
MORE = (0.1, 0.5)  # shares of more budget that are tried
FEWEST = 50  # of either group, below which an uplift model learns nothing


@dataclass(frozen=True)
class OfferTotals:
    """One offer's part of a campaign; money in currency.

    ``save_rate`` and its range are None where the gain of each customer is measured; then
    ``gain_basis`` says what it is: the margin within the campaign's window, or a lift times a
    column of the scores.
    ``break_even_save_rate`` is where the customers contacted with it earn nothing together, None
    where nobody is or no save rate is behind it. ``place_price`` is what one more place would
    earn; 0 where its capacity does not bind.
    """

    name: str
    audience: int
    control: int
    cost: float
    expected_gain: float
    expected_profit: float
    cost_range: Range
    gain_range: Range
    control_forgone_profit: float
    save_rate: float | None
    save_rate_range: Range | None
    save_rate_source: str
    gain_basis: str | None
    break_even_save_rate: float | None
    capacity: int | None
    place_price: float


@dataclass(frozen=True)
class BiggerBudget:
    """What more money would earn: the sum added, customers added, and their profit."""

    added: float
    customers: int
    profit: float


@dataclass(frozen=True)
class CampaignSummary(InNotebook):
    """What a campaign costs and earns; gains as present contribution margin.

    Parameters
    ----------
    customers, eligible, audience, control
        Customers in the scores; with an offer that pays; contacted; held out.
    not_contacted
        Why the others are not contacted, with their number.
    offers
        Totals by offer.
    budget, cost, unspent
        Budget (None: no limit), its expected use, and what is left.
    expected_gain, expected_profit
        Of the customers contacted.
    cost_range, gain_range, profit_range
        If every effect were at the low, or the high, end of its range at once.
    break_even_gain
        The share of the expected gain at which the campaign earns nothing; None without audience.
    most_missed
        No plan within this budget and these capacities earns more than this much above it.
    marginal_gain
        What the next unit of money would gain; None without a budget, 0 where nobody is left.
    bigger
        A tenth and a half more budget; empty without a budget.
    control_forgone_profit
        Expected profit given up by not contacting the control group: the price of learning.
    horizon, currency, as_of, date, model_version
        From the scores, None where they do not say; the day of the campaign.
    findings
        What it says and what it rests on; ``str`` writes each out.
    """

    customers: int
    eligible: int
    audience: int
    control: int
    not_contacted: Mapping[str, int]
    offers: tuple[OfferTotals, ...]
    budget: float | None
    cost: float
    unspent: float | None
    expected_gain: float
    expected_profit: float
    cost_range: Range
    gain_range: Range
    profit_range: Range
    break_even_gain: float | None
    most_missed: float
    marginal_gain: float | None
    bigger: tuple[BiggerBudget, ...]
    control_forgone_profit: float
    horizon: str | None = None
    currency: str | None = None
    as_of: Any = None
    date: Any = None
    model_version: str | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def save_rate_source(self) -> str:
        """Of the offers that are used: "assumed", "measured" or "assumed and measured"."""
        used = {o.save_rate_source for o in self.offers if o.audience} or {
            o.save_rate_source for o in self.offers
        }
        return used.pop() if len(used) == 1 else "assumed and measured"

    @property
    def lead(self) -> Finding:
        """What it comes to; no profit of one offer before anybody knows how many it saves."""
        if not self.audience:
            return finding("campaign.nobody")
        totals = {"audience": self.audience, "cost": self.cost}
        even = self.offers[0].break_even_save_rate if len(self.offers) == 1 else None
        if self.save_rate_source == "assumed" and even is not None:
            says = finding("campaign.pays_from", **totals, even=even)
        else:
            says = finding("campaign.lead", **totals, profit=self.expected_profit)
        return says.within(self.currency or "")

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values that JSON can hold; dates in ISO form."""
        days = {
            name: None if getattr(self, name) is None else str(getattr(self, name))[:10]
            for name in ("as_of", "date")
        }
        says = [each.to_dict() for each in self.findings]
        more = {"save_rate_source": self.save_rate_source, "findings": says, **days}
        return asdict(self) | more | {"not_contacted": dict(self.not_contacted)}

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))


def summarise(campaign: Campaign, choice: Assignment, budget: float) -> CampaignSummary:
    """Add up a plan, try bigger budgets, and say what was found."""
    groups = _groups(campaign, choice)
    offers = tuple(_totals(campaign, choice, k, *rows) for k, rows in enumerate(groups))
    cost, gain = sum(o.cost for o in offers), sum(o.expected_gain for o in offers)
    costs, gains = _added(o.cost_range for o in offers), _added(o.gain_range for o in offers)
    limited = bool(np.isfinite(budget))
    stated: dict[str, Any] = {name: campaign.terms.get(name) for name in STATED}
    summary = CampaignSummary(
        customers=len(campaign.scores),
        eligible=len(campaign.candidates),
        audience=sum(o.audience for o in offers),
        control=sum(o.control for o in offers),
        not_contacted=_counted(campaign, choice, limited),
        offers=offers,
        budget=budget if limited else None,
        cost=cost,
        unspent=max(budget - cost, 0.0) if limited else None,
        expected_gain=gain,
        expected_profit=gain - cost,
        cost_range=costs,
        gain_range=gains,
        profit_range=(gains[0] - costs[0], gains[1] - costs[1]),
        break_even_gain=cost / gain if gain > 0 else None,
        most_missed=max(choice.bound - choice.profit, 0.0),
        marginal_gain=choice.marginal if limited else None,
        bigger=tuple(_bigger(campaign, choice, budget)) if limited else (),
        control_forgone_profit=sum(o.control_forgone_profit for o in offers),
        date=campaign.date,
        **stated,
    )
    says = _findings(campaign, summary, [rows for rows, _ in groups])
    return replace(summary, findings=within(says, summary.currency or ""))


def _groups(campaign: Campaign, choice: Assignment) -> list[tuple[Index, Index]]:
    """By offer, the rows of the scores contacted with it, and those held out."""
    listed = np.flatnonzero(choice.action != NOBODY)
    rows, held = campaign.candidates[listed], campaign.held_out[listed]
    offered = [choice.action[listed] == k for k in range(len(campaign.actions))]
    return [(rows[mine & ~held], rows[mine & held]) for mine in offered]


def _added(ranges: Iterable[Range]) -> Range:
    low, high = zip(*ranges, strict=True)
    return sum(low), sum(high)


def _counted(campaign: Campaign, choice: Assignment, limited: bool) -> dict[str, int]:
    """Why customers are not contacted, with their number."""
    texts, code = campaign.reasons(choice, limited)
    counts = np.bincount(code[code != CONTACTED], minlength=len(texts)).tolist()
    return {text: n for text, n in zip(texts, counts, strict=True) if n}


def _totals(
    campaign: Campaign, choice: Assignment, k: int, contacted: Index, held_out: Index
) -> OfferTotals:
    action = campaign.actions[k]
    cost, gain = (float(amounts[contacted].sum()) for amounts in (action.cost, action.gain))
    forgone = float((action.gain[held_out] - action.cost[held_out]).sum())
    (low_cost, low_gain), (high_cost, high_gain) = (
        [float(amounts.sum()) for amounts in action.at_end(end, contacted)] for end in ENDS
    )
    offer = action.offer if isinstance(action.offer, Offer) else None
    return OfferTotals(
        name=action.name,
        audience=len(contacted),
        control=len(held_out),
        cost=cost,
        expected_gain=gain,
        expected_profit=gain - cost,
        cost_range=(low_cost, high_cost),
        gain_range=(low_gain, high_gain),
        control_forgone_profit=forgone,
        save_rate=None if offer is None else offer.mean_save_rate,
        save_rate_range=None if offer is None else offer.save_rate_range,
        save_rate_source=action.source,
        gain_basis=action.basis,
        break_even_save_rate=_break_even(action, contacted),
        capacity=action.offer.capacity,
        place_price=float(choice.prices[k]),
    )


def _break_even(action: AnyAction, rows: Index) -> float | None:
    """The save rate at which these customers' profit, a straight line in it, is 0."""
    if not isinstance(action, Treatment) or not len(rows):
        return None
    return float(action.fixed[rows].sum()) / float(action.per_rate[rows].sum())


def _bigger(campaign: Campaign, choice: Assignment, budget: float) -> Iterator[BiggerBudget]:
    audience = campaign.audience(choice)
    for share in MORE:
        more = choice if choice.marginal == 0 else campaign.choose(budget * (1 + share))
        added = campaign.audience(more) - audience
        yield BiggerBudget(budget * share, added, more.profit - choice.profit)


def _findings(
    campaign: Campaign, summary: CampaignSummary, contacted: Sequence[Index]
) -> Iterator[Finding]:
    yield finding(
        "campaign.audience",
        audience=summary.audience,
        control=summary.control,
        customers=summary.customers,
    )
    yield _totals_say(summary)
    yield from campaign.in_revenue
    yield from campaign.as_if_never_left
    for offer in summary.offers:
        yield _effect(offer)
        if offer.place_price > 0:
            name = "The offer" if offer.name == "offer" else offer.name
            yield finding("campaign.full", offer=name, price=offer.place_price)
    if len({o.save_rate_source for o in summary.offers if o.audience}) > 1:
        yield finding("campaign.hopeful_guess")
    if summary.break_even_gain is not None:
        yield finding("campaign.break_even", share=summary.break_even_gain)
    yield from _budget(summary)
    yield from _nearly_gone(campaign, contacted)
    yield from _experiment(campaign, summary)
    yield from _scored(campaign)


def _totals_say(summary: CampaignSummary) -> Finding:
    low, high = summary.profit_range
    values = {"cost": summary.cost, "gain": summary.expected_gain}
    values["profit"] = summary.expected_profit
    if high > low:
        return finding("campaign.totals_range", **values, low=low, high=high)
    return finding("campaign.totals", **values)


def _effect(offer: OfferTotals) -> Finding:
    """What an offer's gain rests on; a campaign of one offer that has no name does not name it."""
    values: dict[str, Any] = {"source": offer.save_rate_source}
    code = "campaign.measured"
    if offer.save_rate is not None:
        code = "campaign.save_rate"
        values["rate"] = offer.save_rate
    elif offer.gain_basis is not None:
        code += "_as"
        values["gain"] = _gain_basis(offer.gain_basis)
    if offer.name != "offer":
        code += "_of"
        values |= {"offer": offer.name, "audience": offer.audience}
    if offer.save_rate is not None and offer.break_even_save_rate is not None:
        code += "_even"
        values["even"] = offer.break_even_save_rate
    return finding(code, **values).based_on(offer.save_rate_source)


def _gain_basis(basis: str) -> str:
    return basis if basis == WITHIN_WINDOW else str(finding("campaign.lift_times", column=basis))


def _budget(summary: CampaignSummary) -> Iterator[Finding]:
    if summary.unspent is None or summary.marginal_gain is None:
        return
    if summary.marginal_gain == 0:
        yield finding("campaign.left_nobody", left=summary.unspent)
        return
    bound = _up(summary.most_missed)
    if round(summary.unspent, 2) == bound == 0:
        yield finding("campaign.all_spent")
    else:
        yield finding("campaign.left_bound", left=summary.unspent, bound=bound)
    yield finding("campaign.next_money", returned=summary.marginal_gain)
    for share, more in zip(MORE, summary.bigger, strict=True):
        yield finding(
            "campaign.more_budget",
            share=share,
            added=more.added,
            customers=more.customers,
            profit=more.profit,
        )


def _up(amount: float) -> float:
    """A bound in cents, rounded up."""
    return math.ceil(amount * 100 - 1e-6) / 100


def _nearly_gone(campaign: Campaign, contacted: Sequence[Index]) -> Iterator[Finding]:
    """Under one save rate for everybody silent, large customers who have left rank high."""
    if ALIVE not in campaign.scores.measures:
        return
    alive = campaign.scores.measures[ALIVE]
    for action, rows in zip(campaign.actions, contacted, strict=True):
        if not isinstance(action, Treatment) or action.source != "assumed":
            continue
        departed = rows[alive[rows] < DEAD]
        total = float(action.gain[rows].sum())
        if total > 0 and (share := float(action.gain[departed].sum()) / total) > 0.1:
            silent = action.offer.leavers == "silent"
            remedy = finding("campaign.remedy_gone" if silent else "campaign.remedy")
            yield finding(
                "campaign.nearly_gone",
                share=share,
                offer="the offer" if action.name == "offer" else action.name,
                customers=len(departed),
                alive=DEAD,
                remedy=remedy,
            )


def _scored(campaign: Campaign) -> Iterator[Finding]:
    """What the scores mean, where a gain rests on them and on one rate for everybody."""
    if not any(isinstance(action, Treatment) for action in campaign.actions):
        return
    if horizon := campaign.terms.get("horizon"):
        window = campaign.terms.get("churn_horizon")
        lost = campaign.scores.words.lost
        if window:
            durations = {"window": str(window), "horizon": str(horizon)}
            yield finding("campaign.risk_within", lost=lost, **durations)
        else:
            yield finding("campaign.risk", lost=lost.rstrip(","), horizon=str(horizon))
    yield finding("campaign.one_rate")


def _experiment(campaign: Campaign, summary: CampaignSummary) -> Iterator[Finding]:
    if campaign.control_share == 0:
        yield finding("campaign.no_control")
        return
    few = [o.name for o in summary.offers if o.audience and min(o.control, o.audience) < FEWEST]
    if summary.control:
        share, profit = campaign.control_share, summary.control_forgone_profit
        yield finding("campaign.control", share=share, profit=profit)
    if few:
        yield finding("campaign.control_too_small", least=FEWEST, offers=few)
