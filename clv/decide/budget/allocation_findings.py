"""An allocation in words: what it says, and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from clv.decide.budget.modes import MinimumCost, TargetLtvToCac
from clv.decide.budget.solver import Market, Plan
from clv.format import ATTRIBUTED, SHOWN, cash, some
from clv.schema import Floats

if TYPE_CHECKING:
    from clv.decide.budget.problem import Problem


def findings(problem: Problem, plan: Plan, cac: Floats, target_cost: float | None) -> Iterator[str]:
    """One sentence per finding, the price of the budget first."""
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


def against_current(gain: float | None, feasible: bool) -> tuple[str, ...]:
    """How the plan compares with today's, if that is known."""
    if gain is None:
        return ()
    words = f"Expected profit is {cash(abs(gain))} {'above' if gain >= 0 else 'below'} today's"
    return (f"{words}." if feasible else f"{words}, which breaks the bounds or the budget given.",)


def notes(problem: Problem, plan: Plan, retention_named: bool) -> Iterator[str]:
    """What the plan rests on: attribution, assumptions, horizon."""
    channels, market = problem.channels, problem.market
    if attributed := [c.name for c in channels if c.incrementality == 1]:
        yield (
            f"The customers of {some(attributed)} are {ATTRIBUTED}: some would have come anyway. "
            "A lift or geo test gives the incrementality factor."
        )
    for parameter in sorted({name for c in channels for name in c.response.assumed}):
        of = [c.name for c in channels if parameter in c.response.assumed]
        yield f"{parameter} of the response curve of {some(of)} is assumed, not estimated."
    if declining := [c.name for c in channels if c.decline]:
        yield f"New customers of {some(declining)} get worse as spend grows, by the decline given."
    yield from market.retention.notes
    if market.retention.customers_at(plan.retention) % 1:
        yield "The last retained customer is funded in part only."
    if len(market.retention) and not retention_named:
        yield "Today's plan names no retention; it is taken to spend nothing there."
    if problem.periods != 1:
        yield f"Money is for {problem.periods:g} periods of the response curves, spread evenly."
    yield (
        f"Values are counted over {problem.horizon}."
        if problem.horizon
        else "The horizon of the values is not stated; it must be the same for every option."
    )


def _shadow_price(market: Market, plan: Plan, budget: float) -> str:
    if math.isinf(budget):
        return "Beyond this plan the next unit of money buys less value than it costs."
    if plan.mu == 1:
        left = cash(max(budget - plan.total, 0.0))
        if plan.shadow > 0:
            return f"{left} of the budget stays unspent, as the target allows no more."
        return f"{left} of the budget stays unspent: it would buy less value than it costs."
    if math.isinf(plan.mu):
        return "Nothing is left to decide on: the first unit of money would be worth most."
    step = 10.0 ** (math.floor(math.log10(budget)) - 1) if budget > 0 else 1.0
    return f"The next {cash(step)} of budget buys about {cash(step * plan.mu)} of value."


def _target(problem: Problem, plan: Plan, cost: float | None) -> Iterator[str]:
    target = problem.target
    if target is None:
        return
    if isinstance(target, MinimumCost):
        found = float(problem.share @ problem.counted.customers(plan.spend))
        yield f"{found:,.6g} new customers cost {cash(float(plan.spend.sum()))}."
        if plan.shadow > 0:
            yield f"The last of them costs {cash(plan.shadow)}."
        return
    binds = plan.shadow > 0 if target.per == "portfolio" else _holds_down(problem, plan)
    price = f" and costs {cash(cost)} of profit" if binds and cost is not None else ""
    yield f"The target is {target}: it {'binds' if binds else 'does not bind'}{price}."
    reached = target.reached(problem.market, problem.share, plan)
    if math.isfinite(reached):
        shown = f"{reached:.4g} : 1" if isinstance(target, TargetLtvToCac) else cash(reached)
        yield f"Over all channels the plan reaches {shown}."
    if isinstance(target, TargetLtvToCac):
        yield (
            "LTV:CAC is 1 / elasticity where profit is greatest, so 3 : 1 is right only at an "
            "elasticity of 1/3."
        )


def _holds_down(problem: Problem, plan: Plan) -> bool:
    """Whether the bounds that a target sets for single channels hold any of them down."""
    tighter = problem.bounded().hi < problem.market.hi
    return bool((tighter & (plan.spend >= problem.bounded().hi)).any())


def _retention(market: Market, plan: Plan, target: object) -> str:
    count = market.retention.customers_at(plan.retention)
    if isinstance(target, MinimumCost):
        return "Retention gets nothing: it wins no new customers, which is what was asked for."
    if count == 0:
        best = cash(market.retention.edges(0.0)[1])
        return f"Retention gets nothing: its best customer returns {best} per unit of cost."
    gain = cash(market.retention.gain_at(plan.retention))
    return (
        f"Retention gets {cash(plan.retention)} for {count:,.6g} customers "
        f"and keeps {gain} of value."
    )


def _split(market: Market, plan: Plan) -> Iterator[str]:
    """Acquisition : retention, and why there."""
    won, kept = float(plan.spend.sum()), plan.retention
    if not (won > 0 and kept > 0):
        return
    last, next_ = market.retention.edges(kept)
    after = f"the next customer to keep would return {cash(next_)}"
    if next_ == 0:
        after = "nobody else is left to keep"
    yield (
        f"Acquisition : retention is {100 * won / (won + kept):.0f} : "
        f"{100 * kept / (won + kept):.0f}. The last customer kept returns {cash(last)} per unit "
        f"of cost and {after}; the last unit spent on channels free to move buys {cash(plan.mu)}."
    )


def _cheapest_is_not_best(problem: Problem, plan: Plan, cac: Floats) -> Iterator[str]:
    funded = np.flatnonzero(np.isfinite(cac) & (plan.spend > 0))
    if len(funded) < 2:
        return
    names, value = problem.names, np.array([c.value for c in problem.channels])
    cheap = funded[np.argmin(cac[funded])]
    dear = funded[np.argmax(value[funded])]
    if value[dear] > value[cheap]:
        yield (
            f"The cheapest new customers come from {names[cheap]} (CAC {cash(cac[cheap])}), "
            f"the most valuable from {names[dear]} (worth {cash(value[dear])} each): "
            "what counts is what the next unit of money buys."
        )


def _held_by_bounds(problem: Problem, plan: Plan) -> Iterator[str]:
    market, names = problem.market, problem.names
    worth = market.marginal_value(plan.spend)
    lower = plan.spend <= market.lo
    upper = plan.spend >= market.hi
    for index in np.flatnonzero(lower & ~upper & (plan.spend == 0))[:SHOWN]:
        yield f"{names[index]} gets nothing: its first unit would buy {cash(worth[index])}."
    for index in np.flatnonzero(lower & ~upper & (plan.spend > 0))[:SHOWN]:
        cap = problem.channels[index].lo < market.lo[index]
        yield (
            f"{names[index]} is held up at its {'step cap' if cap else 'lower bound'} "
            f"{cash(plan.spend[index])}, where the last unit buys {cash(worth[index])}."
        )
    for index in np.flatnonzero(upper & (market.hi > 0))[:SHOWN]:
        locked = market.lo[index] == market.hi[index]
        cap = problem.channels[index].hi > market.hi[index]
        held = f"held at its {'step cap' if cap else 'upper bound'}"
        yield (
            f"{names[index]} is {'locked at' if locked else held} {cash(plan.spend[index])}, "
            f"where the next unit would buy {cash(worth[index])}."
        )
