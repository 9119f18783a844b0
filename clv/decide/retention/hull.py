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

import numpy as np
from numpy.typing import NDArray

from clv.schema import Floats

Index = NDArray[np.intp]
Flags = NDArray[np.bool_]
NOBODY = -1  # the action of whoever is left alone
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
    """

    customer: Index
    action: Index
    cost: Floats
    gain: Floats
    ratio: Floats

    def __len__(self) -> int:
        return len(self.ratio)


@dataclass(frozen=True)
class Choice:
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


def hull_steps(cost: Floats, gain: Floats, draw: Floats, least: float = 1.0) -> Steps:
    """The steps of all customers that gain more than ``least`` per unit of cost, best first.

    Parameters
    ----------
    cost, gain
        Shape (actions, customers), in currency; a gain of -inf rules an action out.
    draw
        Breaks ties, shape (customers,).

    Examples
    --------
    A letter (1, 8), a call (4, 14) and a visit (6, 15), where the visit does not pay.

    >>> steps = hull_steps(np.array([[1.0], [4.0], [6.0]]), np.array([[8.0], [14.0], [15.0]]),
    ...                    np.zeros(1))
    >>> steps.action, steps.ratio
    (array([0, 1]), array([8., 2.]))
    """
    found = list(_march(cost, gain, least))
    customer = np.concatenate([step.customer for step in found])
    ratio = np.concatenate([step.ratio for step in found])
    order = best_first(ratio, draw[customer])
    return Steps(
        customer[order],
        np.concatenate([step.action for step in found])[order],
        np.concatenate([step.cost for step in found])[order],
        np.concatenate([step.gain for step in found])[order],
        ratio[order],
    )


def best_first(ratio: Floats, draw: Floats) -> Index:
    """Places by ratio, falling, ties by the draw; what ties in both stays in order.

    ``lexsort`` gives the same in three times the time: here a second sort is needed only where
    ratios tie, by the number of the tie plus the draw in [0, 1).
    """
    order = np.argsort(-ratio, kind="stable")
    ranked = ratio[order]
    new = ranked[1:] != ranked[:-1]
    if new.all():
        return order
    tie = np.cumsum(np.append(0, new))
    return np.asarray(order[np.argsort(tie + draw[order], kind="stable")])


def _march(cost: Floats, gain: Floats, least: float) -> Iterator[Steps]:
    """Round by round, the best next step of whoever has one (gift wrapping)."""
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
        yield Steps(who, best, new_c - c[on], new_g - g[on], ratio)
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
) -> Choice:
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
    steps = hull_steps(cost, gain, draw) if steps is None else steps
    counts = ~held_out[steps.customer]
    spent = np.cumsum(np.where(counts, steps.cost, 0.0))
    stop = int(np.searchsorted(spent, budget * (1 + ROUNDING), side="right"))
    stop = stop if counts[:stop].any() else 0
    action = np.full(cost.shape[1], NOBODY, dtype=np.intp)
    action[steps.customer[:stop]] = steps.action[:stop]  # the last step of each customer stays
    profit = float((steps.gain - steps.cost)[:stop][counts[:stop]].sum())
    marginal = 0.0
    if np.isfinite(budget) and counts[stop:].any():
        marginal = float(steps.ratio[stop:][counts[stop:]][0])
    left = max(budget - float(spent[stop - 1]), 0.0) if stop else budget
    missed = left * (marginal - 1) if marginal > 1 else 0.0
    return Choice(action, profit, profit + missed, marginal, np.zeros(len(cost)))


def totals(values: Floats, action: Index, counted: Flags) -> float:
    """The sum of ``values``, shape (actions, customers), over the actions of those counted."""
    rows = np.flatnonzero(counted & (action != NOBODY))
    return float(values[action[rows], rows].sum())
