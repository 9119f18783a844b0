"""A plan as people look at it: one record that terminal, report and page show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from clv.decide.budget.allocation import Allocation
from clv.decide.budget.channel import Channel, outside
from clv.decide.budget.draws import MeanOfDraws
from clv.decide.budget.gain_curve import GainCurve
from clv.decide.budget.plan_gain import PlanGain
from clv.findings import Finding, Provenance, finding
from clv.format import NONE, count, large_money, money, percent, unknown
from clv.spans import span

RETENTION, IN_ALL = "retention", "in all"
STEP = 100.0  # of budget, whose worth is a headline


class PlanFigure(NamedTuple):
    """A figure that comes first, with what belongs to it."""

    label: str
    figure: str
    detail: str
    basis: Provenance = ""


@dataclass(frozen=True)
class PlanRow:
    """What a plan changes for one option, or in all; None where there is no such figure.

    Parameters
    ----------
    option
        A channel's name, "retention" or "in all".
    today, proposed
        Spend.
    new_customers, value, average_cac, marginal_cac, ltv_to_cac
        At the proposed spend.
    why
        What holds the channel there, as a clause.
    observed
        Least and most that was spent so far, over as many periods.
    basis
        Whether what it brings was measured, estimated or assumed.
    """

    option: str
    today: float | None
    proposed: float
    new_customers: float | None
    value: float
    average_cac: float | None = None
    marginal_cac: float | None = None
    ltv_to_cac: float | None = None
    why: Finding | None = None
    observed: tuple[float, float] | None = None
    basis: Provenance = ""

    @property
    def untried(self) -> bool:
        """Whether the proposed spend lies outside what was spent so far."""
        return self.observed is not None and outside(self.proposed, self.observed)

    @property
    def change(self) -> float | None:
        """As a share of today's spend."""
        return self.proposed / self.today - 1 if self.today else None


@dataclass(frozen=True)
class PlanView:
    """What a plan is expected to earn, its first figures, and what it changes.

    ``rows`` has the channels in their order and retention, if it is part of the plan.
    """

    lead: Finding
    headlines: tuple[PlanFigure, ...]
    rows: tuple[PlanRow, ...]
    total: PlanRow

    @classmethod
    def of(
        cls,
        plan: Allocation,
        sure: PlanGain | None = None,
        channels: Sequence[Channel] = (),
        periods: float = 1.0,
        retained: Provenance = "",
    ) -> PlanView:
        """The view of an allocation.

        Parameters
        ----------
        plan
            The allocation.
        sure
            Its gain over today's with the interval, where that is known.
        channels, periods
            As they were allocated: they say what each row rests on.
        retained
            Whether what retention keeps was measured or assumed.
        """
        total = _total(plan)
        rested = {c.name: (c.observed_over(periods), basis_of(c)) for c in channels}
        rested[RETENTION] = (None, retained)
        return cls(
            _lead(plan, total.proposed),
            tuple(_headlines(plan, total.proposed, sure, retained)),
            tuple(
                replace(row, observed=rested[row.option][0], basis=rested[row.option][1])
                if row.option in rested
                else row
                for row in _rows(plan)
            ),
            total,
        )


def basis_of(channel: Channel) -> Provenance:
    """Estimated where the curve has draws, assumed where the plan states it."""
    return "estimated" if isinstance(channel.response, MeanOfDraws) else "assumed"


def retention_basis(retained: GainCurve) -> Provenance:
    """Whether what retention keeps was measured or assumed, as its notes say."""
    chips = [note.chip for note in retained.notes if note.chip in ("assumed", "measured")]
    return "assumed" if "assumed" in chips else chips[0] if chips else ""


def _lead(plan: Allocation, spent: float) -> Finding:
    gain, over, against = plan.profit_gain, None, None
    if plan.horizon:
        over = finding("plan.over_horizon", horizon=plan.horizon)
    if gain is not None:
        against = finding(f"plan.{'more' if gain >= 0 else 'less'}_than_today", gain=abs(gain))
    lead = finding("plan.earns", spend=spent, profit=plan.profit, over=over, against=against)
    return lead.within(plan.currency)


def _headlines(
    plan: Allocation, spent: float, sure: PlanGain | None, retained: Provenance
) -> Iterator[PlanFigure]:
    currency, customers = plan.currency, plan.expected_customers
    over = f", over {span(plan.horizon)}" if plan.horizon else ""
    profit = large_money(plan.profit, currency)
    basis: Provenance = retained if plan.retention_spend and retained == "assumed" else "estimated"
    yield PlanFigure(f"Expected profit{over}", profit, _against_today(plan, sure), basis)
    yield PlanFigure("Spend", large_money(spent, currency), _of_budget(plan))
    cac = f"at {money(plan.portfolio_cac, currency)} each, on average"
    each = "none are bought" if plan.portfolio_cac is None else cac
    yield PlanFigure("New customers", count(round(customers)), each, "estimated")
    yield _next_money(plan)


def _against_today(plan: Allocation, sure: PlanGain | None) -> str:
    gain = plan.profit_gain
    if gain is None:
        return "today's spend is not known for all channels"
    more = "more" if gain >= 0 else "less"
    text = f"{large_money(abs(gain), plan.currency)} {more} than today's split"
    if sure is None:
        return text
    ends = " and ".join(large_money(end, plan.currency) for end in (sure.low, sure.high))
    likely = f"{percent(sure.probability_better)} likely to be better"
    return f"{text} (90% sure: between {ends}); {likely}"


def _of_budget(plan: Allocation) -> str:
    if plan.budget is None:
        return "no limit was set"
    unspent = plan.unspent or 0.0
    return (
        "all of it is spent" if unspent < 0.5 else f"{money(unspent, plan.currency)} stay unspent"
    )


def _next_money(plan: Allocation) -> PlanFigure:
    """The shadow price."""
    label = f"The next {money(STEP, plan.currency)} would bring"
    if unknown(plan.multiplier):
        return PlanFigure(label, NONE, "nothing is left to decide on")
    if plan.multiplier <= 1:
        return PlanFigure(label, "less than it costs", "so money stays unspent", "estimated")
    value = money(STEP * plan.multiplier, plan.currency)
    return PlanFigure(label, value, "from the best use of it, at this budget", "estimated")


def _rows(plan: Allocation) -> Iterator[PlanRow]:
    today = plan.current or {}
    whys = {f.values["channel"]: f.values["why"] for f in plan.findings if "why" in f.values}
    for name, spend in plan.spend.items():
        why = whys.get(name)
        yield PlanRow(
            name,
            today.get(name),
            spend,
            plan.customers[name],
            plan.value_by_channel[name],
            plan.average_cac[name],
            plan.marginal_cac[name],
            plan.ltv_to_cac[name],
            why.within(plan.currency) if isinstance(why, Finding) else None,
        )
    if plan.retention_spend or plan.retention_gain or today.get(RETENTION):
        spent, gain = plan.retention_spend, plan.retention_gain
        yield PlanRow(RETENTION, today.get(RETENTION), spent, None, gain)


def _total(plan: Allocation) -> PlanRow:
    return PlanRow(
        IN_ALL,
        None if plan.current is None else sum(plan.current.values()),
        sum(plan.spend.values()) + plan.retention_spend,
        plan.expected_customers,
        plan.value,
        plan.portfolio_cac,
        None,
        plan.portfolio_ltv_to_cac,
    )
