"""Several actions per customer under one budget: upper hulls, sorted, and cut where it runs out.

A customer's actions are points (cost, gain). Only those on the upper hull from (0, 0) can be part
of a best plan; going along it, every *step* to the next dearer action gains less per unit of cost
than the one before. So the steps of all customers, sorted by gain per cost, may be taken from the
top: a customer's first step comes before the second, and the plan is the optimum of the linear
programme that may split one customer [1]_. What is not split loses at most what the money left
over would have gained at the next step's rate.

References
----------
.. [1] Sinha & Zoltners 1979, The multiple-choice knapsack problem; Pisinger 1995.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from clv.schema import Floats

Index = NDArray[np.intp]
Flags = NDArray[np.bool_]
_Columns = tuple[Index, Index, Floats, Floats, Floats]  # customer, action, cost, gain, ratio
NOBODY = -1  # the action of whoever is left alone
FEW = 20_000  # as many are sorted as they are
ROUNDING = 1e-12  # a sum of costs carries rounding: a budget that equals it must pay for it


@dataclass(frozen=True)
class Steps:
    """Steps along customers' hulls, best first; arrays of shape (steps,).

    Parameters
    ----------
    customer, action
        Whose step it is, and the action that it leads to.
    cost, gain
        What it adds to those of the action before.
    ratio
        Gain per unit of cost; infinite where the step is free.
    counted
        Whether it takes money: the control group takes none.
    """

    customer: Index
    action: Index
    cost: Floats
    gain: Floats
    ratio: Floats
    counted: Flags

    @cached_property
    def spent(self) -> Floats:
        """What it costs to go down to each step."""
        return np.cumsum(np.where(self.counted, self.cost, 0.0))

    @cached_property
    def earned(self) -> Floats:
        """What it earns beyond its cost to go down to each step."""
        return np.cumsum(np.where(self.counted, self.gain - self.cost, 0.0))

    def __len__(self) -> int:
        return len(self.ratio)


@dataclass(frozen=True)
class Assignment:
    """One action or none for each customer.

    Parameters
    ----------
    action
        Shape (customers,); ``NOBODY`` for none. Held-out customers have the action that they would
        have got.
    profit
        Gain minus cost of those who are not held out.
    bound
        No plan within the budget and the capacities earns more.
    marginal
        What the next unit of money would gain, next to the budget; 0 where nobody is left.
    prices
        What one more customer for each action would earn; 0 where capacity does not bind.
    """

    action: Index
    profit: float
    bound: float
    marginal: float
    prices: Floats


def hull_steps(
    cost: Floats, gain: Floats, draw: Floats, held_out: Flags | None = None, least: float = 1.0
) -> Steps:
    """The steps of all customers that gain more than ``least`` per unit of cost, best first.

    Parameters
    ----------
    cost, gain
        Shape (actions, customers), in currency; a gain of -inf rules an action out.
    draw
        Breaks ties, shape (customers,).
    held_out
        Whose steps take no money, shape (customers,); nobody's if None.

    Examples
    --------
    A letter (1, 8), a call (4, 14) and a visit (6, 15), where the visit does not pay.

    >>> steps = hull_steps(np.array([[1.0], [4.0], [6.0]]), np.array([[8.0], [14.0], [15.0]]),
    ...                    np.zeros(1))
    >>> steps.action, steps.ratio
    (array([0, 1]), array([8., 2.]))
    """
    steps = (
        _only(cost[0], gain[0], draw, least) if len(cost) == 1 else _march(cost, gain, draw, least)
    )
    customer, *_ = steps
    counted = np.ones(len(customer), bool) if held_out is None else ~held_out[customer]
    return Steps(*steps, counted)


def best_first(ratio: Floats, draw: Floats) -> Index:
    """Places by ratio, falling, ties by the draw; what ties in both stays in order.

    ``lexsort`` gives the same in ten times the time. Draws that rise need no sort of their own.

    >>> best_first(np.array([1.0, 3.0, 3.0]), np.array([0.2, 0.8, 0.5]))
    array([2, 1, 0])
    """
    if (draw[1:] >= draw[:-1]).all():
        return _falling(ratio)
    by_draw = np.argsort(draw, kind="stable")
    return by_draw[_falling(ratio[by_draw])]


def _falling(values: Floats) -> Index:
    """Places of the largest values first; what ties stays in order.

    Many are sorted as whole numbers, which is fast: the leading bits of a number that is not
    negative, as they lie in memory, with its place behind them. Numbers so close that those bits
    are the same are put right after it.
    """
    if len(values) < FEW or values.min() < 0:
        return np.argsort(-values, kind="stable")
    behind = np.uint64(len(values).bit_length())
    place = np.uint64(2 ** int(behind) - 1)
    keys = ~(values + 0.0).view(np.uint64) & ~place  # + 0.0: so that -0.0 ties with 0.0
    keys |= np.arange(len(values), dtype=np.uint64)
    keys.sort()
    order = (keys & place).astype(np.intp)
    keys >>= behind
    close = np.flatnonzero(keys[1:] == keys[:-1])
    close = close[values[order[close]] != values[order[close + 1]]]
    if len(close):
        at = np.flatnonzero(_among(keys, np.unique(keys[close])))
        order[at] = order[at][np.lexsort((order[at], -values[order[at]], keys[at]))]
    return order


def _among(rising: NDArray[np.uint64], some: NDArray[np.uint64]) -> Flags:
    """Whether each of the rising numbers is one of some."""
    edge = np.zeros(len(rising) + 1, dtype=np.int8)
    edge[np.searchsorted(rising, some, side="left")] += 1
    edge[np.searchsorted(rising, some, side="right")] -= 1
    return np.cumsum(edge[:-1], dtype=np.int8).astype(bool)


def largest(values: Floats, most: int) -> Index:
    """Places of the ``most`` largest values, the largest first; what ties stays in order.

    >>> largest(np.array([1.0, 3.0, 2.0, 3.0]), 3)
    array([1, 3, 2])
    """
    if not 0 < most < len(values):
        return np.argsort(-values, kind="stable")[:most]
    at = np.flatnonzero(values >= -np.partition(-values, most - 1)[most - 1])
    return np.asarray(at[np.argsort(-values[at], kind="stable")][:most])


def _only(cost: Floats, gain: Floats, draw: Floats, least: float) -> _Columns:
    """The one step of whoever has one, best first, where there is one action."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = gain / cost
        who = np.flatnonzero(ratio > least)
        if len(who) == len(ratio):  # so no array need be gone through for them
            who = best_first(ratio, draw)
        else:
            who = who[best_first(ratio[who], draw[who])]
        cost, gain = cost[who], gain[who]
        return who, np.zeros(len(who), dtype=np.intp), cost, gain, gain / cost


def _march(cost: Floats, gain: Floats, draw: Floats, least: float) -> _Columns:
    """All steps of several actions, best first."""
    rounds = zip(*_rounds(cost, gain, least), strict=True)
    customer, action, more_cost, more_gain, ratio = map(np.concatenate, rounds)
    order = best_first(ratio, draw[customer])
    return customer[order], action[order], more_cost[order], more_gain[order], ratio[order]


def _rounds(cost: Floats, gain: Floats, least: float) -> Iterator[_Columns]:
    """Round by round, the best next step of whoever has one (gift wrapping).

    A round: customer, action, cost and gain that it adds, and their ratio.
    """
    who = np.arange(cost.shape[1])
    c, g = np.zeros(len(who)), np.zeros(len(who))
    last = np.full(len(who), np.inf)
    for _ in range(len(cost)):
        best, ratio = _steepest(cost, gain, who, c, g)
        # rounding must not put a later step before an earlier one
        ratio = np.minimum(ratio, last)
        on = ratio > least
        who, best, ratio = who[on], best[on], ratio[on]
        new_c, new_g = cost[best, who], gain[best, who]
        yield who, best, new_c - c[on], new_g - g[on], ratio
        c, g, last = new_c, new_g, ratio


def _steepest(cost: Floats, gain: Floats, who: Index, c: Floats, g: Floats) -> tuple[Index, Floats]:
    """The action that rises most steeply from (c, g), the dearest of several, and its slope."""
    best, slope = np.zeros(len(who), dtype=np.intp), np.full(len(who), -np.inf)
    most = np.full(len(who), -np.inf)
    everybody = len(who) == cost.shape[1]
    for action in range(len(cost)):
        more = (gain[action] if everybody else gain[action, who]) - g
        dearer = (cost[action] if everybody else cost[action, who]) - c
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            rise = np.where((more > 0) & (dearer >= 0), more / dearer, -np.inf)
        better = (rise > slope) | ((rise == slope) & (more > most))
        best[better], slope[better], most[better] = action, rise[better], more[better]
    return best, slope


def fund(
    cost: Floats,
    gain: Floats,
    budget: float,
    held_out: Flags,
    draw: Floats,
    steps: Steps | None = None,
) -> Assignment:
    """The best plan within a budget: steps from the top, until one no longer fits.

    Parameters
    ----------
    cost, gain, draw
        As for ``hull_steps``.
    budget
        In currency; infinite for no limit.
    held_out
        Whose cost and gain do not count, shape (customers,): the control group.
    steps
        What ``hull_steps`` gives for them, where it is at hand.
    """
    steps = hull_steps(cost, gain, draw, held_out) if steps is None else steps
    stop = int(np.searchsorted(steps.spent, budget * (1 + ROUNDING), side="right"))
    stop = stop if steps.counted[:stop].any() else 0
    action = np.full(cost.shape[1], NOBODY, dtype=np.intp)
    action[steps.customer[:stop]] = steps.action[:stop]  # the last step of each customer stays
    profit = float(steps.earned[stop - 1]) if stop else 0.0
    marginal = 0.0
    if np.isfinite(budget) and steps.counted[stop:].any():
        marginal = float(steps.ratio[stop + int(np.argmax(steps.counted[stop:]))])
    money = max(budget - float(steps.spent[stop - 1]), 0.0) if stop else budget
    missed = money * (marginal - 1) if marginal > 1 else 0.0
    return Assignment(action, profit, profit + missed, marginal, np.zeros(len(cost)))


def totals(values: Floats, action: Index, counted: Flags) -> float:
    """The sum of ``values``, shape (actions, customers), over the actions of those counted."""
    rows = np.flatnonzero(counted & (action != NOBODY))
    return float(values[action[rows], rows].sum())
