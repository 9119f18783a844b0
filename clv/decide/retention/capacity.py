"""The same with a capacity for each action: one more multiplier for each that binds.

With a price mu for money and a price nu for a place in each action, every customer takes the
action of greatest gain - mu cost - nu, or none. The dual, the sum of these plus what the budget and
the places are worth, is convex and bounds every plan from above; its least value is the optimum of
the linear programme. It is found by cutting planes: every evaluation says where the least value
cannot be, the best guess is asked next. The plan is then made to fit, and what it falls short of
the bound by is reported.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from clv.decide.retention.hull import (
    NOBODY,
    ROUNDING,
    Assignment,
    Flags,
    Index,
    Steps,
    fund,
    totals,
)
from clv.schema import Floats

ROUNDS = 80  # cutting planes at most
CLOSE = 1e-7  # of the dual, where the search ends
SAMPLE = 20_000  # customers to guess the prices from
NEAR = 0.25  # of the guess, to either side, where the prices are looked for first
PASSES = 3  # of making the plan fit and filling what is left


@dataclass(frozen=True)
class Knapsack:
    """Customers, actions, money and places; ``cost`` and ``gain`` of shape (actions, customers)."""

    cost: Floats
    gain: Floats
    budget: float
    capacity: Floats
    held_out: Flags
    draw: Floats
    steps: Steps | None = None

    @cached_property
    def counted(self) -> Floats:
        """1 for whoever takes money and a place, 0 for the control group."""
        return (~self.held_out).astype(np.float64)

    @cached_property
    def limits(self) -> Floats:
        """Money, then places: what theta prices."""
        return np.concatenate([[self.budget], self.capacity])

    @cached_property
    def priced(self) -> Index:
        """Which of the limits there are."""
        return np.flatnonzero(np.isfinite(self.limits))

    def reduced(self, theta: Floats) -> Floats:
        """The surplus: gain less (1 + theta_0) cost less the price of a place."""
        surplus: Floats = self.gain - (1 + theta[0]) * self.cost
        surplus -= theta[1:, None]
        return surplus

    def dual(self, theta: Floats) -> tuple[float, Floats]:
        """Its value at the prices theta (mu - 1, nu), and a subgradient; shape (1 + actions,)."""
        surplus = self.reduced(theta)
        action, best = _best(surplus)
        used = np.zeros(len(theta))
        for k in range(len(surplus)):
            chosen = self.counted * (action == k)
            used[0] += float(chosen @ self.cost[k])
            used[k + 1] = float(chosen.sum())
        slope = np.zeros(len(theta))
        slope[self.priced] = (self.limits - used)[self.priced]
        value = float(np.maximum(best, 0.0) @ self.counted)
        return value + float((theta * np.where(theta > 0, self.limits, 0.0)).sum()), slope

    def profit(self, action: Index) -> float:
        """Gain less cost of those who count."""
        return totals(self.gain - self.cost, action, ~self.held_out)


def choose(
    cost: Floats,
    gain: Floats,
    budget: float,
    capacity: Floats,
    held_out: Flags,
    draw: Floats,
    steps: Steps | None = None,
) -> Assignment:
    """The best plan within a budget and the capacities, never worse than any one action alone.

    Parameters
    ----------
    cost, gain, budget, held_out, draw, steps
        As for ``clv.decide.retention.hull.fund``.
    capacity
        Most customers to contact by each action, shape (actions,); infinite for no limit.

    Examples
    --------
    Ten customers alike, a call for three of them at most.

    >>> cost, gain = np.repeat([[1.0], [4.0]], 10, 1), np.repeat([[8.0], [14.0]], 10, 1)
    >>> alike = {"held_out": np.zeros(10, bool), "draw": np.arange(10) / 10}
    >>> plan = choose(cost, gain, np.inf, np.array([np.inf, 3.0]), **alike)
    >>> np.bincount(plan.action), plan.profit, plan.prices
    (array([7, 3]), 79.0, array([0., 3.]))
    """
    affordable = cost <= budget * (1 + ROUNDING)
    if not affordable.all():  # no part of what is dearer can be bought
        gain, steps = np.where(affordable, gain, -np.inf), None
    best = _with_places(Knapsack(cost, gain, budget, capacity, held_out, draw, steps))
    if len(cost) > 1 and best.bound > best.profit * (1 + ROUNDING):
        for k in range(len(cost)):
            alone = np.full_like(gain, -np.inf)
            alone[k] = gain[k]
            problem = Knapsack(cost, alone, budget, capacity, held_out, draw)
            theta = np.concatenate([[max(best.marginal - 1, 0.0)], best.prices])
            if problem.dual(theta)[0] <= best.profit:
                continue  # it cannot be better
            other = _with_places(problem)
            if other.profit > best.profit:
                best = replace(best, action=other.action, profit=other.profit)
    return best


def _with_places(problem: Knapsack) -> Assignment:
    free = fund(
        problem.cost, problem.gain, problem.budget, problem.held_out, problem.draw, problem.steps
    )
    if not np.isfinite(problem.capacity).any():
        return free
    used = _used(problem, free.action)
    # where money ends the list, the step that no longer fits must have had a place too
    if (used + (free.marginal > 0) <= problem.capacity).all():
        return free
    theta, bound = _least(problem, max(free.marginal - 1, 0.0))
    action = _fitted(problem, theta)
    if (used <= problem.capacity).all() and free.profit > problem.profit(action):
        action = free.action
    profit = problem.profit(action)
    marginal = 1 + float(theta[0]) if theta[0] > 0 else 0.0
    return Assignment(action, profit, max(min(bound, free.bound), profit), marginal, theta[1:])


def _best(surplus: Floats) -> tuple[Index, Floats]:
    """The action of most surplus for each customer, and that; ``NOBODY`` where it is not > 0."""
    action = np.zeros(surplus.shape[1], dtype=np.intp)
    best = surplus[0].copy()
    for k in range(1, len(surplus)):
        better = surplus[k] > best
        action[better] = k
        np.maximum(best, surplus[k], out=best)
    action[~(best > 0)] = NOBODY
    return action, best


def _used(problem: Knapsack, action: Index) -> Floats:
    """Places taken in each action."""
    counted = action[(action != NOBODY) & ~problem.held_out]
    return np.bincount(counted, minlength=len(problem.cost)).astype(np.float64)


def _least(problem: Knapsack, free: float) -> tuple[Floats, float]:
    """The prices at which the dual is least, and its value there.

    Among many customers it is looked for around the prices that a sample of them gives.
    """
    top = np.where(problem.gain > -np.inf, problem.gain - problem.cost, 0.0).max(axis=1)
    most = np.concatenate([[4 * free + 1], np.maximum(top, 0.0)])[problem.priced]
    lower, upper = np.zeros(len(most)), np.where(most > 0, most, 1.0)
    if len(problem.draw) > 5 * SAMPLE:
        guess = _least(_sample(problem), free)[0][problem.priced]
        near = NEAR * (guess + 0.01 * upper)
        theta, value, gap = _search(problem, np.maximum(guess - near, 0.0), guess + near)
        inside = (theta > guess - near) & (theta < guess + near) | (theta == 0)
        if inside.all() and gap <= CLOSE * abs(value):
            return _spread(problem, theta), value
    theta, value, _ = _search(problem, lower, upper)
    if 0 in problem.priced and theta[0] > 0.999 * upper[0]:
        return _least(problem, 10 * free + 10)  # places that are short can make money dearer
    return _spread(problem, theta), value


def _sample(problem: Knapsack) -> Knapsack:
    """Some of the customers, with as much of the money and the places."""
    sampled = np.modf(problem.draw * 1e6)[0] < SAMPLE / len(problem.draw)
    share = float(problem.counted[sampled].sum() / problem.counted.sum())
    return Knapsack(
        problem.cost[:, sampled],
        problem.gain[:, sampled],
        problem.budget * share,
        problem.capacity * share,
        problem.held_out[sampled],
        problem.draw[sampled],
    )


def _search(problem: Knapsack, lower: Floats, upper: Floats) -> tuple[Floats, float, float]:
    """Cutting planes in a box of prices: where the dual is least, its value, and the gap left."""
    point, width = np.full(len(lower), 0.5), upper - lower
    cuts: list[tuple[float, Floats]] = []
    best, where, least = np.inf, point, -np.inf
    for _ in range(ROUNDS):
        value, slope = problem.dual(_spread(problem, lower + point * width))
        by_width = slope[problem.priced] * width
        cuts.append((value - float(by_width @ point), by_width))
        if value < best:
            best, where = value, point
        point, least = _lowest(cuts)
        if best - least <= CLOSE * abs(best):
            break
    return lower + where * width, best, best - least


def _spread(problem: Knapsack, prices: Floats) -> Floats:
    """The prices of the limits that there are among all, the others 0."""
    theta = np.zeros(len(problem.limits))
    theta[problem.priced] = prices
    return theta


def _lowest(cuts: list[tuple[float, Floats]]) -> tuple[Floats, float]:
    """Where the highest of the cuts, a + b x each, is lowest for x in [0, 1]^d."""
    from scipy.optimize import linprog

    a, b = np.array([cut[0] for cut in cuts]), np.array([cut[1] for cut in cuts])
    scale = max(float(np.abs(a).max()), float(np.abs(b).max()), 1e-300)
    d = b.shape[1]
    solution = linprog(
        np.concatenate([np.zeros(d), [1.0]]),
        A_ub=np.column_stack([b / scale, -np.ones(len(a))]),
        b_ub=-a / scale,
        bounds=[(0.0, 1.0)] * d + [(None, None)],
        method="highs-ds",
    )
    if solution.x is None or solution.fun is None:
        return np.full(d, 0.5), -np.inf
    return np.clip(solution.x[:d], 0.0, 1.0), float(solution.fun) * scale


def _fitted(problem: Knapsack, theta: Floats) -> Index:
    """The plan at these prices, made to fit: over places, then over money, then what is left."""
    surplus = problem.reduced(theta)
    action, _ = _best(surplus)
    for _ in range(PASSES):
        for k in range(len(surplus)):
            action = _relieved(problem, surplus, action, k)
    for k in range(len(surplus)):
        action = _relieved(problem, surplus, action, k, to_others=False)
    action = _within_budget(problem, surplus, action)
    for _ in range(PASSES):
        for k in np.argsort(-theta[1:], kind="stable").tolist():
            action = _filled(problem, surplus, action, k)
    return action


def _relieved(
    problem: Knapsack, surplus: Floats, action: Index, k: int, *, to_others: bool = True
) -> Index:
    """``action`` with so many customers moved out of k as are above its capacity."""
    excess = _used(problem, action)[k] - problem.capacity[k]
    if excess <= 0:
        return action
    others = surplus.copy()
    full = _used(problem, action) >= problem.capacity
    others[full if to_others else np.ones(len(surplus), dtype=bool)] = -np.inf
    who = np.flatnonzero(action == k)
    instead, value = _best(others[:, who])
    order = np.lexsort((problem.draw[who], surplus[k, who] - np.maximum(value, 0.0)))
    enough = int(np.searchsorted(np.cumsum(problem.counted[who[order]]), excess - 0.5)) + 1
    moved = order[:enough]
    out = action.copy()
    out[who[moved]] = instead[moved]
    return out


def _within_budget(problem: Knapsack, surplus: Floats, action: Index) -> Index:
    """``action`` without those worth least per unit of cost, until the money suffices."""
    who = np.flatnonzero(action != NOBODY)
    cost = problem.cost[action[who], who]
    over = float(cost @ problem.counted[who]) - problem.budget * (1 + ROUNDING)
    if not over > 0:
        return action
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(cost > 0, surplus[action[who], who] / cost, np.inf)
    order = np.lexsort((problem.draw[who], rate))
    saved = np.cumsum((cost * problem.counted[who])[order])
    out = action.copy()
    out[who[order[: int(np.searchsorted(saved, over)) + 1]]] = NOBODY
    return out


def _filled(problem: Knapsack, surplus: Floats, action: Index, k: int) -> Index:
    """``action`` with customers moved to k, those who lose least at the prices first."""
    rows = np.arange(len(action))
    has = action != NOBODY
    cost = np.where(has, problem.cost[action, rows], 0.0)
    gain = np.where(has, problem.gain[action, rows], 0.0)
    places = problem.capacity[k] - _used(problem, action)[k]
    money = problem.budget - float(cost @ problem.counted)
    more, dearer = problem.gain[k] - gain, problem.cost[k] - cost
    who = np.flatnonzero((more > dearer) & (action != k))
    if places < 1 or not len(who):
        return action
    loss = np.where(has[who], surplus[action[who], who], 0.0) - surplus[k, who]
    if len(who) > SAMPLE:  # nobody far from the margin is moved
        near = loss <= np.partition(loss, SAMPLE)[SAMPLE]
        who, loss = who[near], loss[near]
    order = who[np.lexsort((problem.draw[who], loss))]
    spent = np.maximum.accumulate(np.cumsum((dearer * problem.counted)[order]))
    fits = (spent <= max(money, 0.0)) & (np.cumsum(problem.counted[order]) <= places)
    stop = len(fits) if fits.all() else int(np.argmin(fits))
    out = action.copy()
    if problem.counted[order[:stop]].any():
        out[order[:stop]] = k
    return out
