"""What each constraint of a plan costs: the best plan without it, less the best plan with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from clv.decide.budget import Plan
from clv.decide.modes import MinimumCost, Target, TargetLtvToCac
from clv.decide.problem import Problem
from clv.decide.words import money
from clv.errors import PlanError

if TYPE_CHECKING:
    from clv.decide.allocate import Channel

MOST = 50  # bounds that are tried, those that hold most money down or up first
NOTHING = 1e-9  # of the profit: less than this is rounding


@dataclass(frozen=True)
class ConstraintCost:
    """One constraint that binds.

    Parameters
    ----------
    constraint
        What it is, such as "holding search at most 5,000".
    cost
        Profit that the best plan without it has above the best plan with it, in currency (with a
        target of customers: money saved); infinite where the plan without it is beyond all numbers.
    words
        The same in a sentence.
    """

    constraint: str
    cost: float
    words: str


def constraint_costs(
    channels: Sequence[Channel],
    budget: float | None = None,
    retention: object = None,
    *,
    target: Target | None = None,
    periods: float = 1.0,
) -> tuple[ConstraintCost, ...]:
    """What the budget, the target and every bound that binds cost, dearest first.

    Each is left out by itself and the plan is solved again, so the costs do not add up. Bounds that
    a target sets are part of the target. The arguments are those of ``allocate``.

    Examples
    --------
    >>> from clv.decide.allocate import Channel
    >>> from clv.decide.response import Power
    >>> channels = [
    ...     Channel("search", Power(12, 0.6), 60, hi=5_000),
    ...     Channel("social", Power(30, 0.45), 80),
    ... ]
    >>> for found in constraint_costs(channels, 30_000):
    ...     print(found.words)
    The budget of 30,000 costs 196,665 of profit.
    Holding search at most 5,000 costs 79,225 of profit.
    """
    problem = Problem.of(channels, budget, retention, target, periods)
    plan = problem.solve()
    had = _objective(problem, plan)
    found = []
    for name, without in _relaxed(problem, plan):
        cost = _gain(without, had)
        if cost > NOTHING * max(1.0, abs(had)):
            found.append(ConstraintCost(name, cost, _sentence(name, cost, problem.target)))
    return tuple(sorted(found, key=lambda c: -c.cost))


def _objective(problem: Problem, plan: Plan) -> float:
    """Profit, or with a target of customers the money not spent."""
    cheapest = isinstance(problem.target, MinimumCost)
    return -plan.total if cheapest else problem.profit(plan)


def _gain(problem: Problem, had: float) -> float:
    try:
        return _objective(problem, problem.solve()) - had
    except PlanError:
        return math.inf  # without the constraint the plan is beyond all numbers


def _relaxed(problem: Problem, plan: Plan) -> Iterator[tuple[str, Problem]]:
    """The problem without one of its constraints, for each that may bind."""
    if math.isfinite(problem.budget) and plan.mu > 1:
        without = replace(problem, budget=math.inf)
        yield f"the budget of {money(problem.budget)}", without
    if problem.target is not None and not isinstance(problem.target, MinimumCost):
        yield f"the target, {problem.target},", replace(problem, target=None)
    lo, hi = problem.market.lo, problem.market.hi
    moved = np.flatnonzero((plan.spend <= lo) & (lo > 0) | (plan.spend >= hi))
    worth = problem.market.worth(plan.spend)[moved]
    weight = np.abs(worth / min(plan.mu, 1e300) - 1) * np.maximum(plan.spend[moved], 1.0)
    for index in moved[np.argsort(-weight)][:MOST]:
        yield _bound_name(problem, plan, int(index)), _without_bounds(problem, int(index))


def _without_bounds(problem: Problem, index: int) -> Problem:
    lo, hi = problem.market.lo.copy(), problem.market.hi.copy()
    lo[index], hi[index] = 0.0, math.inf
    return problem.with_bounds(lo, hi)


def _bound_name(problem: Problem, plan: Plan, index: int) -> str:
    channel, spend = problem.channels[index], money(plan.spend[index])
    lo, hi = problem.market.lo[index], problem.market.hi[index]
    if lo == hi:
        return f"holding {channel.name} at {spend}"
    capped = channel.lo < lo if plan.spend[index] <= lo else channel.hi > hi
    side = "least" if plan.spend[index] <= lo else "most"
    return f"holding {channel.name} at {side} {spend}{' (step cap)' if capped else ''}"


def _sentence(name: str, cost: float, target: Target | None) -> str:
    what = "money" if isinstance(target, MinimumCost) else "profit"
    amount = f"{money(cost)} of {what}" if math.isfinite(cost) else f"more {what} than can be said"
    words = f"{name[0].upper()}{name[1:]} costs {amount}."
    if isinstance(target, TargetLtvToCac) and name.startswith("the target"):
        words += f" {target.amount:.4g} : 1 is a wish, not a law: profit is greatest at 1 / b."
    return words
