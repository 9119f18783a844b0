"""Whom a campaign reaches: those who are slipping away, and those who have probably left already.

Who would not order within the churn horizon is either gone or still there and silent; an offer in
time reaches the latter. Of a customer's value at stake,

    winnable = stake max(P(churn) - (1 - P(alive)), 0)

is of the case in which the customer is still there and would leave the firm no order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clv.decide.retention.actions import value_of_a_save
from clv.decide.retention.hull import NOBODY, Index, largest
from clv.decide.retention.offer import Treatment
from clv.decide.retention.plan import CampaignPlan
from clv.decide.scores import ALIVE, RISK, STAKE
from clv.defaults import DEAD
from clv.schema import Floats


@dataclass(frozen=True)
class ListedCustomer:
    """A customer on the list of a campaign; what is not known of one is NaN.

    ``save`` is what a save by the campaign's offer is worth.
    """

    customer_id: str
    group: str
    alive: float
    churn: float
    save: float
    winnable: float
    cost: float
    break_even: float


@dataclass(frozen=True)
class CampaignLists:
    """The first customers of each list, and how many there are of each.

    ``slipping`` has the most winnable value first; ``departed`` are in the plan's own order. Scores
    without P(alive) cannot tell them apart: then all are in ``slipping``, in the plan's order.
    """

    slipping: list[ListedCustomer]
    departed: list[ListedCustomer]
    sizes: tuple[int, int]
    told_apart: bool


def slipping_and_departed(plan: CampaignPlan, most: int) -> CampaignLists:
    """The first ``most`` customers who are slipping, and as many who have probably left.

    Of a plan of one offer.
    """
    campaign, choice = plan.campaign, plan.choice
    listed = np.flatnonzero(choice.action != NOBODY)
    rows = campaign.candidates[listed]
    measures = campaign.scores.measures
    if ALIVE not in measures:
        return CampaignLists(_first(plan, listed, most), [], (len(listed), 0), False)
    departed = measures[ALIVE][rows] < DEAD
    slipping = listed[~departed]
    value = winnable(*(measures[name][rows[~departed]] for name in (RISK, ALIVE, STAKE)))
    best = slipping[largest(value, most)]
    return CampaignLists(
        _customers(plan, best),
        _first(plan, listed[departed], most),
        (len(slipping), int(departed.sum())),
        True,
    )


def winnable(churn: Floats, alive: Floats, stake: Floats) -> Floats:
    """Value of those who are still there and would not order, shape (n,), in currency.

    >>> winnable(np.array([0.9, 0.4]), np.array([0.05, 0.9]), np.array([100.0, 100.0])).round(1)
    array([ 0., 30.])
    """
    return stake * np.maximum(churn - (1 - alive), 0.0)


def _first(plan: CampaignPlan, listed: Index, most: int) -> list[ListedCustomer]:
    """In the plan's order, the most gain for its cost first."""
    campaign = plan.campaign
    rows, action = campaign.candidates[listed], campaign.actions[0]
    cost = np.maximum(action.cost[rows], 1e-12)
    return _customers(plan, listed[largest(action.gain[rows] / cost, most)])


def _customers(plan: CampaignPlan, listed: Index) -> list[ListedCustomer]:
    """The customers at these places of the candidates, of one offer."""
    campaign, action = plan.campaign, plan.campaign.actions[0]
    rows, held = campaign.candidates[listed], campaign.held_out[listed]
    measures, ids = campaign.scores.measures, campaign.scores.rows["customer_id"]
    churn, save = measures[RISK][rows], value_of_a_save(campaign.scores, action.offer)[rows]
    alive = measures[ALIVE][rows] if ALIVE in measures else np.full(len(rows), np.nan)
    even = (
        action.break_even_of(rows) if isinstance(action, Treatment) else np.full(len(rows), np.nan)
    )
    left = winnable(churn, alive, measures[STAKE][rows])
    columns = (alive, churn, save, left, action.cost[rows] * ~held, even)
    return [
        ListedCustomer(str(ids[row]), "control" if out else "treat", *figures)
        for row, out, *figures in zip(
            rows.tolist(), held.tolist(), *(column.tolist() for column in columns), strict=True
        )
    ]
