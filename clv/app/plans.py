"""From plan files to worked-out plans: read, estimate, allocate, and say how sure it is.

::

    plan.toml [+ spend table + order log + model] --read_plan()--> Planned --> terminal, JSON, page

``work_out`` does the same for channels that are at hand. Decisions take tables; this is where the
files behind a plan are read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clv.app.channels import read_summary
from clv.app.outlook import Outlook, has_draws, outlook
from clv.app.plan_files.plan_file import EstimatedPlan, Plan
from clv.decide.budget.allocate import allocate
from clv.decide.budget.allocation import Allocation
from clv.decide.budget.channel import Channel
from clv.decide.budget.draws import MeanOfDraws
from clv.decide.budget.modes import Target, TargetLtvToCac
from clv.decide.budget.scenarios import ConstraintCost, budget_frontier, compare, constraint_costs
from clv.decide.budget.uncertainty import PlanUncertainty, plan_uncertainty
from clv.decide.response.curves import ResponseCurves, response_curves
from clv.errors import InputError, PlanError
from clv.findings import Finding, finding, within
from clv.format import listed
from clv.io.files import read_table
from clv.periods import Duration
from clv.schema import Floats
from clv.value.by_channel import ChannelModels, models_by_channel
from clv.value.value import Terms, new_customer_value

if TYPE_CHECKING:
    import pyarrow as pa

    from clv.scorer import CustomerScorer

MODEL = "models:/clv@champion"
RATIO = 3.0  # the ratio of LTV:CAC that people ask for
SHIFT = 0.2  # how far the budget of the scenarios beside a plan lies from its own


@dataclass(frozen=True)
class Known:
    """What was estimated; all empty for a plan that states every curve and value.

    Parameters
    ----------
    curves
        Response curves with draws, from a spend table.
    models, terms
        Purchase and spend models by channel, and what values are stated under.
    values
        Draws of the value of a new customer by channel, as many as of the curves.
    period
        What one period of the curves is called: "week", "month", ... or "period".
    """

    curves: ResponseCurves | None = None
    models: Mapping[str, ChannelModels] = field(default_factory=dict)
    terms: Terms | None = None
    values: Mapping[str, Floats] = field(default_factory=dict)
    period: str = "period"


@dataclass(frozen=True)
class Planned:
    """A plan with all that follows from it; money in ``currency``, for all ``periods`` together.

    Parameters
    ----------
    name
        What to call it beside others.
    channels
        As they were allocated.
    allocation
        The best plan.
    costs
        What each constraint costs, dearest first.
    ratio
        What LTV:CAC of 3 : 1 would cost; None where the plan has another target.
    frontier
        What other budgets would buy, as a PyArrow table.
    scenarios
        This plan beside the same with other budgets, unless it has a target, as a PyArrow table;
        see ``compare``.
    outlook
        Per channel: CAC, LTV:CAC and payback at the plan, with intervals where there are draws.
    uncertainty
        How sure the plan is; None where nothing has draws, and ``unsure`` says why.
    """

    name: str
    channels: tuple[Channel, ...]
    periods: float
    currency: str
    known: Known
    allocation: Allocation
    costs: tuple[ConstraintCost, ...]
    ratio: Finding | None
    frontier: pa.Table
    scenarios: pa.Table
    outlook: tuple[Outlook, ...]
    uncertainty: PlanUncertainty | None
    unsure: Finding | None

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What the plan says, the price of the budget first."""
        sure = () if self.uncertainty is None else self.uncertainty.findings[:-1]
        asked = () if self.ratio is None else (self.ratio,)
        return (*self.allocation.findings, *self.cautions, *sure, *self.unsure_of, *asked)

    @property
    def unsure_of(self) -> tuple[Finding, ...]:
        """What the draws leave out."""
        if self.uncertainty is None or not self.allocation.retention_gain:
            return ()
        return (finding("uncertainty.retention_certain"),)

    @property
    def cautions(self) -> tuple[Finding, ...]:
        """Where the plan goes beyond what was observed."""
        beyond = _beyond(self.channels, self.allocation, self.periods, self.known.period)
        return within(beyond, self.currency)

    @cached_property
    def notes(self) -> tuple[Finding, ...]:
        """What the plan rests on."""
        curves = self.known.curves
        found = [*self.allocation.notes]
        if curves is not None:
            found += curves.findings
            found += [note for note in curves.notes if note.code != "basis.attributed"]
        found += [*_on_caps(self.channels, self.periods), finding("basis.media_spend")]
        found += [] if self.unsure is None else [self.unsure]
        return tuple({str(note): note for note in within(found, self.currency)}.values())

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values: the fields of the allocation, then what belongs to it."""
        curves = self.known.curves
        return {
            **self.allocation.to_dict(),
            "currency": self.currency or None,
            "periods": self.periods,
            "period": self.known.period,
            "channels": [row.to_dict() for row in self.outlook],
            "constraint_costs": [cost.to_dict() for cost in self.costs],
            "cost_of_3_to_1": None if self.ratio is None else str(self.ratio),
            "uncertainty": None if self.uncertainty is None else self.uncertainty.to_dict(),
            "frontier": self.frontier.to_pylist(),
            "scenarios": self.scenarios.to_pylist(),
            "curves": None if curves is None else curves.to_frame("pyarrow").to_pylist(),
            "terms": None if self.known.terms is None else str(self.known.terms),
            "findings": [each.to_dict() for each in self.findings],
            "notes": [each.to_dict() for each in self.notes],
        }


def read_plan(path: str | Path, name: str | None = None) -> Planned:
    """A plan file worked out, with the files that it names; ``name`` is the file's by default.

    Raises
    ------
    InputError, PlanError, ModelError
        The plan or a file that it names cannot be used, or no allocation satisfies it.
    """
    plan = Plan.read(path)
    known = Known()
    if isinstance(plan, EstimatedPlan):
        plan, known = estimate(plan)
    return work_out(
        plan.to_channels(),
        plan.budget,
        plan.retention_curve(),
        plan.current(),
        target=plan.to_target(),
        periods=plan.periods,
        known=known,
        name=name or Path(path).stem,
        currency=plan.currency or (known.terms.currency if known.terms else ""),
    )


def work_out(
    channels: Sequence[Channel],
    budget: float | None = None,
    retention: object = None,
    current: Mapping[str, float] | None = None,
    *,
    target: Target | None = None,
    periods: float = 1.0,
    known: Known | None = None,
    name: str = "plan",
    currency: str = "",
) -> Planned:
    """Allocate, and find out all that belongs to the plan. The arguments are ``allocate``'s.

    Raises
    ------
    PlanError
        The plan is infeasible or ill-defined.

    Examples
    --------
    >>> from clv.decide.budget.response import Power
    >>> channels = [Channel("search", Power(12, 0.6), 60), Channel("social", Power(30, 0.45), 80)]
    >>> planned = work_out(channels, 30_000)
    >>> print(planned.costs[0].words)
    The budget of 30,000 costs 2,589,058 of profit.
    """
    found = known or Known()
    best = allocate(
        channels, budget, retention, current, target=target, periods=periods, currency=currency
    )
    ratio, asked = _three_to_one(channels, budget, retention, target, periods)
    costs = constraint_costs(
        channels, budget, retention, target=target, periods=periods, currency=currency
    )
    sure, unsure = _uncertainty(channels, best, retention, found, periods)
    others = {} if target else _other_budgets(channels, budget, retention, periods)
    return Planned(
        name=name,
        channels=tuple(channels),
        periods=periods,
        currency=currency,
        known=found,
        allocation=best,
        costs=costs,
        ratio=None if ratio is None else ratio.within(currency),
        frontier=budget_frontier(channels, None, retention, periods=periods, backend="pyarrow"),
        scenarios=compare({"this plan": best, **others, **asked}, backend="pyarrow"),
        outlook=tuple(
            outlook(channel, best, periods, found.values, found.models, found.terms)
            for channel in channels
        ),
        uncertainty=sure,
        unsure=unsure,
    )


def side_by_side(plans: Sequence[Planned]) -> pa.Table:
    """Plans in one table, one row each; see ``compare``.

    Raises
    ------
    InputError
        Two plans have one name, or they count values over different horizons or in different
        currencies.
    """
    names = [plan.name for plan in plans]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(
            f"two plans are called {twice[0]}.", hint="name them: --scenario NAME=FILE."
        )
    if len(currencies := {plan.currency for plan in plans} - {""}) > 1:
        raise InputError(f"the plans are in {' and '.join(sorted(currencies))}.")
    return compare({plan.name: plan.allocation for plan in plans}, backend="pyarrow")


def estimate(plan: EstimatedPlan) -> tuple[EstimatedPlan, Known]:
    """The plan with the channels of its spend table, and what is known of these.

    Raises
    ------
    InputError, ModelError
        A file cannot be used, or nothing says what a new customer of some channel is worth.
    """
    told, folder = plan.curves, plan.folder
    spend = read_table(folder / told.spend)
    scorer = None if told.log is None else _scorer(plan)
    summary = None
    if scorer is not None and told.log is not None:
        summary = read_summary(str(folder / told.log), scorer, told.columns, told.as_of)
    stated = {channel.name: channel for channel in plan.channels if channel.response is None}
    curves = response_curves(
        spend,
        None if "new_customers" in spend.column_names else summary,
        shape=told.shape,
        time=told.time,
        lift_tests=[test.build() for test in told.lift_tests],
        incrementality={n: c.incrementality for n, c in stated.items() if c.incrementality < 1},
        period_length=told.period_length,
        draws=told.draws,
        seed=told.seed,
    )
    known = Known(curves, period=_called(spend, told.period_length))
    if scorer is not None:
        terms = _terms(plan, scorer)
        known = with_values(known, summary, scorer, terms)
    return plan.with_channels(_channels(plan, known)), known


def with_values(known: Known, summary: Any, scorer: CustomerScorer, terms: Terms) -> Known:
    """What is known, with the value of a new customer of each channel of the curves."""
    curves = () if known.curves is None else known.curves.channels
    names = [curve.name for curve in curves]
    models = models_by_channel(summary, scorer.purchases, scorer.spend, names)
    count = 500 if known.curves is None else _draws(known.curves)
    values = {
        name: model.value_draws(terms, count) for name, model in models.items() if has_draws(model)
    }
    return replace(known, models=models, terms=terms, values=values)


def to_channels(known: Known, periods: float = 1.0) -> list[Channel]:
    """The channels of estimated curves and values, at their mean value over the draws."""
    if known.curves is None or known.terms is None:
        raise InputError("neither curves nor values were estimated.")
    horizon = str(known.terms.horizon)
    return [
        curve.to_channel(_worth(known, curve.name), periods=periods, horizon=horizon)
        for curve in known.curves.channels
    ]


def _channels(plan: EstimatedPlan, known: Known) -> list[Channel]:
    """The estimated channels; the plan states the value of those that no log tells."""
    if known.terms is not None:
        return to_channels(known, plan.periods)
    curves = () if known.curves is None else known.curves.channels
    value = {channel.name: channel.value for channel in plan.channels}
    if lack := [curve.name for curve in curves if value.get(curve.name) is None]:
        raise InputError(
            f"nothing says what a new customer of {listed(lack)} is worth.",
            hint="state value in [[channels]], or give log and model in [curves].",
        )
    return [
        curve.to_channel(value[curve.name] or 0.0, periods=plan.periods, horizon=plan.horizon)
        for curve in curves
    ]


def _worth(known: Known, name: str) -> float:
    """The mean over the draws, as of the curves, or the likeliest value without any."""
    if name in known.values:
        return float(known.values[name].mean())
    model, terms = known.models[name], known.terms or Terms()
    worth = new_customer_value(model.purchases, model.spend, terms, model.first_amount)
    return worth.new_customer_clv


def _scorer(plan: EstimatedPlan) -> CustomerScorer:
    from clv.app.registry import load_scorer

    model = plan.curves.model or MODEL
    beside = plan.folder / model
    return load_scorer(beside if beside.is_dir() else model)


def _terms(plan: EstimatedPlan, scorer: CustomerScorer) -> Terms:
    """The model's terms, at the plan's horizon if it states one."""
    terms = scorer.terms
    if plan.currency and terms.currency and plan.currency != terms.currency:
        raise InputError(f"the plan is in {plan.currency}, its model in {terms.currency}.")
    return terms if plan.horizon is None else replace(terms, horizon=Duration.parse(plan.horizon))


def _draws(curves: ResponseCurves) -> int:
    drawn = curves.channels[0].draws
    return max(np.size(getattr(drawn, name)) for name in drawn.parameters())


def _called(spend: pa.Table, length: str | None) -> str:
    """What one period of a spend table is called."""
    from clv.decide.acquisition.spend import Periods

    given = None if length is None else Duration.parse(length)
    periods = Periods.from_values(spend["period"].to_pylist(), given)
    days = {(end - start).days for start, end in zip(periods.starts, periods.ends, strict=False)}
    for name, lengths in {"day": {1}, "week": {7}, "month": {28, 29, 30, 31}}.items():
        if days and days <= lengths:
            return name
    return "period"


def _three_to_one(
    channels: Sequence[Channel],
    budget: float | None,
    retention: object,
    target: Target | None,
    periods: float,
) -> tuple[Finding | None, dict[str, Allocation]]:
    """What LTV:CAC of 3 : 1 would cost, and the plan that has it."""
    if target is not None or not channels:
        return None, {}
    asked = TargetLtvToCac(RATIO)
    try:
        plan = allocate(channels, budget, retention, target=asked, periods=periods)
    except PlanError as error:
        why = _first_reason(error)
        return finding("target.three_to_one_beyond", ratio=RATIO, why=why), {}
    if not plan.target_cost or plan.target_multiplier == 0:
        return finding("target.three_to_one_free", ratio=RATIO), {}
    spend, cost = sum(plan.spend.values()), plan.target_cost
    costs = finding("target.three_to_one", ratio=RATIO, cost=cost, spend=spend)
    return costs, {"LTV:CAC 3:1": plan}


def _first_reason(error: PlanError) -> str:
    return error.message.splitlines()[0]


def _uncertainty(
    channels: Sequence[Channel],
    best: Allocation,
    retention: object,
    known: Known,
    periods: float,
) -> tuple[PlanUncertainty | None, Finding | None]:
    if not any(isinstance(channel.response, MeanOfDraws) for channel in channels):
        return None, finding("uncertainty.stated")
    names = {channel.name for channel in channels}
    values = {name: draws for name, draws in known.values.items() if name in names}
    try:
        return plan_uncertainty(channels, best, retention, values=values, periods=periods), None
    except PlanError as error:
        return None, finding("uncertainty.not_possible", why=_first_reason(error))


def _other_budgets(
    channels: Sequence[Channel],
    budget: float | None,
    retention: object,
    periods: float,
) -> dict[str, Allocation]:
    """The same plan with less and with more money, as far as its bounds allow that."""
    found: dict[str, Allocation] = {}
    if budget is None or not math.isfinite(budget):
        return found
    for share in (-SHIFT, SHIFT):
        try:
            found[f"budget {share:+.0%}"] = allocate(
                channels, (1 + share) * budget, retention, periods=periods
            )
        except PlanError:
            continue  # its bounds need more money
    return found


def _beyond(
    channels: Sequence[Channel], plan: Allocation, periods: float, period: str
) -> Iterator[Finding]:
    """Where a plan spends more than was ever observed, at the same pace."""
    for channel in channels:
        each, seen = plan.spend[channel.name] / periods, channel.observed
        if seen is not None and each > seen[1] * (1 + 1e-9):
            amounts = {"most": seen[1], "spend": each}
            yield finding("limit.beyond_observed", channel=channel.name, period=period, **amounts)


def _on_caps(channels: Sequence[Channel], periods: float) -> Iterator[Finding]:
    """How far channels may move that have no bounds of their own."""
    capped = [c.name for c in channels if c.bounds(periods) != (c.lo, c.hi)]
    if capped:
        yield finding("basis.step_limits", channels=capped)
