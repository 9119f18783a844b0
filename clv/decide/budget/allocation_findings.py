"""What an allocation says, and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from clv.decide.budget.draws import MeanOfDraws
from clv.decide.budget.modes import MinimumCost, TargetLtvToCac
from clv.decide.budget.one_period import starts_slowly, within_one_period
from clv.decide.budget.one_period_mean import OnePeriodMean
from clv.decide.budget.response import Hill
from clv.decide.budget.solver import Market, SpendPlan
from clv.decide.budget.whole_periods import OnePeriodHill
from clv.findings import Finding, finding
from clv.format import LISTED, counted
from clv.schema import Floats

if TYPE_CHECKING:
    from clv.decide.budget.channel import Channel
    from clv.decide.budget.problem import AllocationProblem

SURE = 1.001  # what is counted by what comes true: more is worth a sentence


def findings(
    problem: AllocationProblem, plan: SpendPlan, cac: Floats, target_cost: float | None
) -> Iterator[Finding]:
    """What is worth saying, the price of the budget first."""
    market = problem.market
    if not isinstance(problem.target, MinimumCost):
        yield _shadow_price(market, plan, problem.budget)
    yield from _target(problem, plan, target_cost)
    if len(market.retention):
        yield _retention(market, plan, problem.target)
    yield from _split(market, plan)
    yield from _cheapest_is_not_best(problem, plan, cac)
    if math.isfinite(plan.mu):
        yield from _held_by_bounds(problem, plan)


def against_current(gain: float | None, feasible: bool) -> Iterator[Finding]:
    """How the plan compares with today's, if that is known."""
    if gain is not None:
        side = "above" if gain >= 0 else "below"
        yield finding(f"plan.{side}_{'today' if feasible else 'broken'}", gain=abs(gain))


def notes(problem: AllocationProblem, plan: SpendPlan, retention_named: bool) -> Iterator[Finding]:
    """What the plan rests on: attribution, assumptions, horizon."""
    channels, market = problem.channels, problem.market
    if attributed := [c.name for c in channels if c.incrementality == 1]:
        yield finding("basis.attributed", channels=attributed)
    for parameter in sorted({name for c in channels for name in c.response.assumed}):
        names = [c.name for c in channels if parameter in c.response.assumed]
        yield finding("basis.parameter", parameter=parameter, channels=names)
    if declining := [c.name for c in channels if c.decline]:
        yield finding("basis.declining", channels=declining)
    yield from _slow_starts(problem, plan)
    yield from market.retention.notes
    if market.retention.customers_at(plan.retention) % 1:
        yield finding("retention.last_in_part")
    if len(market.retention) and not retention_named:
        yield finding("retention.not_named")
    if problem.periods != 1:
        yield finding("basis.periods", span=counted(problem.periods, problem.period))
    if problem.horizon:
        yield finding("basis.horizon", horizon=problem.horizon)
    else:
        yield finding("basis.no_horizon")


def _slow_starts(problem: AllocationProblem, plan: SpendPlan) -> Iterator[Finding]:
    """Spend on S-shaped curves below their tangent, where alternating beats an even spend."""
    won = problem.share * problem.counted.customers(plan.spend)
    for i, channel in enumerate(problem.channels):
        curve, spend = channel.response, float(plan.spend[i]) / problem.periods
        if isinstance(curve, MeanOfDraws) and starts_slowly(channel):
            yield from _slow_start_unsure(problem, channel, spend, float(won[i]))
            continue
        if not (isinstance(curve, Hill | OnePeriodMean) and 0 < spend < curve.tangent):
            continue
        if problem.periods != 1 and isinstance(curve, OnePeriodHill):
            yield from _in_whole_periods(problem, channel, spend * problem.periods)
            continue
        pulse = float(curve.tangent)
        best = channel.incrementality * float(curve.s_shaped(pulse))
        even = channel.incrementality * float(curve.s_shaped(spend))
        values: dict[str, Any] = {"channel": channel.name, "pulse": pulse}
        if won[i] <= even * problem.periods * (1 + 1e-9):
            values |= {"spend": spend, "customers": even, "alternating": best * spend / pulse}
            yield finding("basis.slow_start_once", **values)
        else:
            values |= {"share": spend / pulse, "even": even * problem.periods}
            yield finding("basis.slow_start", **values)


def _in_whole_periods(
    problem: AllocationProblem, channel: Channel, total: float
) -> Iterator[Finding]:
    """In how many of a few periods a total is spent, where that is not all of them."""
    curve = within_one_period(channel.response).over(problem.periods)
    length = float(curve.length_at(total))
    if length < problem.periods:
        periods = channel.incrementality * problem.periods
        even = periods * float(curve.s_shaped(total / problem.periods))
        values = {"share": length / problem.periods, "pulse": total / length, "even": even}
        yield finding("basis.slow_start", channel=channel.name, **values)


def _slow_start_unsure(
    problem: AllocationProblem, channel: Channel, spend: float, won: float
) -> Iterator[Finding]:
    """Where over several periods each draw is counted at a rhythm of its own, which nobody knows.

    One rhythm for all brings the envelope of the mean curve, the plan the mean of the envelopes.
    """
    curve = within_one_period(channel.response)
    pulse = max(float(curve.tangent), spend)
    periods = channel.incrementality * problem.periods
    even, at_pulse = (periods * float(curve.customers(s)) for s in (spend, pulse))
    share = spend / pulse
    if won > SURE * share * at_pulse:
        values: dict[str, Any] = {"channel": channel.name, "pulse": pulse, "share": share}
        sure = {"counted": won, "sure": share * at_pulse, "even": even}
        yield finding("basis.slow_start_unsure", **values, **sure)


def _shadow_price(market: Market, plan: SpendPlan, budget: float) -> Finding:
    if math.isinf(budget):
        return finding("plan.enough")
    if plan.mu == 1:
        code = "plan.unspent_for_target" if plan.shadow > 0 else "plan.unspent"
        return finding(code, left=max(budget - plan.total, 0.0))
    if math.isinf(plan.mu):
        return finding("plan.nothing_free")
    # a step that reads well: a tenth of the budget's power of ten
    step = 10.0 ** (math.floor(math.log10(budget)) - 1) if budget > 0 else 1.0
    return finding("plan.next_budget", step=step, value=step * plan.mu)


def _target(problem: AllocationProblem, plan: SpendPlan, cost: float | None) -> Iterator[Finding]:
    target = problem.target
    if target is None:
        return
    if isinstance(target, MinimumCost):
        won = float(problem.share @ problem.counted.customers(plan.spend))
        yield finding("target.lowest_cost", customers=won, cost=float(plan.spend.sum()))
        if plan.shadow > 0:
            yield finding("target.last_customer", cost=plan.shadow)
        return
    binds = plan.shadow > 0 if target.per == "portfolio" else _holds_down(problem, plan)
    if not binds:
        yield finding("target.met_anyway", target=target.clause)
    elif cost is None:
        yield finding("target.binds", target=target.clause)
    else:
        yield finding("target.binds_at_cost", target=target.clause, cost=cost)
    reached = target.reached(problem.market, problem.share, plan)
    ratio = isinstance(target, TargetLtvToCac)
    if math.isfinite(reached):
        yield finding(f"target.reached_{'ltv' if ratio else 'cac'}", reached=reached)
    if ratio:
        yield finding("target.ratio_is_rule_of_thumb")


def _holds_down(problem: AllocationProblem, plan: SpendPlan) -> bool:
    """Whether the bounds that a target sets for single channels hold any of them down."""
    tighter = problem.bounded().hi < problem.market.hi
    return bool((tighter & (plan.spend >= problem.bounded().hi)).any())


def _retention(market: Market, plan: SpendPlan, target: object) -> Finding:
    count = market.retention.customers_at(plan.retention)
    if isinstance(target, MinimumCost):
        return finding("retention.no_new_customers")
    if count == 0:
        return finding("retention.nothing", best=market.retention.edges(0.0)[1])
    gain = market.retention.gain_at(plan.retention)
    return finding("retention.gets", spend=plan.retention, customers=count, gain=gain)


def _split(market: Market, plan: SpendPlan) -> Iterator[Finding]:
    """How the money is split between winning and keeping customers, and why there."""
    acquisition, retention = float(plan.spend.sum()), plan.retention
    if not (acquisition > 0 and retention > 0):
        return
    last, next_ = market.retention.edges(retention)
    share = retention / (acquisition + retention)
    values = {"acquisition": 1 - share, "retention": share, "last": last, "channels": plan.mu}
    if next_ == 0:
        yield finding("retention.split_nobody_left", **values)
    else:
        yield finding("retention.split", **values, next=next_)


def _cheapest_is_not_best(
    problem: AllocationProblem, plan: SpendPlan, cac: Floats
) -> Iterator[Finding]:
    funded = np.flatnonzero(np.isfinite(cac) & (plan.spend > 0))
    if len(funded) < 2:
        return
    names, value = problem.names, np.array([c.value for c in problem.channels])
    cheapest = funded[np.argmin(cac[funded])]
    best = funded[np.argmax(value[funded])]
    if value[best] > value[cheapest]:
        yield finding(
            "plan.cheapest_not_best",
            cheapest=names[cheapest],
            cac=float(cac[cheapest]),
            best=names[best],
            value=float(value[best]),
        )


def _held_by_bounds(problem: AllocationProblem, plan: SpendPlan) -> Iterator[Finding]:
    """The channels that a bound holds, and what it keeps them from; the first few of each side."""
    market = problem.market
    returned = market.marginal_value(plan.spend)
    lower, upper = plan.spend <= market.lo, plan.spend >= market.hi
    sides = (lower & ~upper & (plan.spend == 0), lower & ~upper & (plan.spend > 0))
    for side in (*sides, upper & (market.hi > 0)):
        for index in np.flatnonzero(side & np.isfinite(returned))[:LISTED]:
            code = bound_of(problem, plan, int(index))
            spend = {"spend": float(plan.spend[index])} if plan.spend[index] > 0 else {}
            why = finding(f"limit.{code}", returned=float(returned[index]), **spend)
            sentence = "limit.held" if spend else "limit.gets"
            yield finding(sentence, channel=problem.names[index], why=why)


def bound_of(problem: AllocationProblem, plan: SpendPlan, index: int) -> str:
    """Which bound holds a channel: its own, or one that limits the step from today's spend."""
    channel, market = problem.channels[index], problem.market
    if market.lo[index] == market.hi[index]:
        return "locked"
    if plan.spend[index] == 0:
        return "nothing"
    if plan.spend[index] <= market.lo[index]:
        return "step_down" if channel.lo < market.lo[index] else "minimum"
    return "step_up" if channel.hi > market.hi[index] else "maximum"
