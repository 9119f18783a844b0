"""Next offers as actions of a retention plan: keep, remind and cross-sell within one budget.

Of each kind (reminder, new, upsell) a customer's best offer is one action; the plan then chooses
between these and what keeps the customer, by the same hull and with the same control group. An
offer gains what it adds and not what is bought with it: the chance times the share of the purchases
that are due to it, which is assumed until a campaign has measured it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from narwhals.typing import IntoFrame

from clv.decide.retention.actions import MeasuredOffer
from clv.errors import InputError, RowError
from clv.schema import Floats, collect, numbers
from clv.shares import check_share

WHAT = "the table of offers"
NEEDED = ("customer_id", "rank", "item", "kind", "chance", "spend", "margin", "value")


def next_offer_actions(
    scores: IntoFrame, offers: IntoFrame, incremental_share: float | None = None
) -> list[MeasuredOffer]:
    """The best offer of each kind to every customer, as ``plan_campaign`` takes it.

    Parameters
    ----------
    scores
        The table that is planned with; its column customer_id counts.
    offers
        The table of ``next_best_offers``, or the file that ``clv offers --output`` wrote.
    incremental_share
        Assumed: of the purchases, the share that is due to the offer; None takes the column
        increment that the table has where the share was assumed there.

    Returns
    -------
    list of MeasuredOffer
        One of each kind that is in the table, named for it: its gain is margin within the offers'
        horizon, called assumed, and nothing for who has no such offer.

    Raises
    ------
    InputError
        No share is known, or none of the customers of the scores has an offer.
    ColumnError, RowError
        A column is missing, or a chance, an amount or a kind.

    Examples
    --------
    >>> scores = pd.DataFrame({"customer_id": ["ann", "bob"]})
    >>> offers = pd.DataFrame({"customer_id": ["ann"], "rank": [1], "item": ["tea"],
    ...     "kind": ["new"], "chance": [0.2], "spend": [50.0], "margin": [0.4], "value": [3.5]})
    >>> action = next_offer_actions(scores, offers, incremental_share=0.5)[0]
    >>> action.name, action.effects[["customer_id", "cost", "expected_gain"]].values.tolist()
    ('new', [['ann', 0.5, 2.0], ['bob', 0.5, 0.0]])
    """
    table = _read(offers, incremental_share)
    ids = collect(scores, ("customer_id",), "the scores")["customer_id"].to_list()
    places = pd.Index(map(str, ids))
    if not places.isin(table["customer_id"]).any():
        raise InputError(
            "none of the customers of the scores has an offer.",
            hint="take offers and scores of the same shop, with the same customer ids.",
        )
    cost = float(table["cost"].median())
    actions = []
    for kind, rows in table.groupby("kind", sort=True):
        first = rows.sort_values("gain", ascending=False).drop_duplicates("customer_id")
        best = first.set_index("customer_id").reindex(places)
        effects = pd.DataFrame(
            {
                "customer_id": ids,
                "cost": best["cost"].fillna(cost).to_numpy(),
                "expected_gain": best["gain"].fillna(0.0).to_numpy(),
                "lift_source": "assumed",
            }
        )
        actions.append(MeasuredOffer(str(kind), effects))
    return actions


def offered_items(planned: IntoFrame, offers: IntoFrame) -> list[str | None]:
    """What each row of a plan offers: the item of the best offer of the kind that is its action.

    Parameters
    ----------
    planned
        The table of a plan: customer_id and action.
    offers
        As ``next_offer_actions`` takes them.

    Returns
    -------
    list
        As long as the table, None for a customer who is to be kept.
    """
    table = _read(offers, 1.0).sort_values("gain", ascending=False)
    best = table.drop_duplicates(["customer_id", "kind"]).set_index(["customer_id", "kind"])["item"]
    rows = collect(planned, ("customer_id", "action"), "the plan")
    keys = zip(map(str, rows["customer_id"].to_list()), rows["action"].to_list(), strict=True)
    items = best.reindex(pd.MultiIndex.from_tuples(list(keys), names=best.index.names))
    return [None if pd.isna(item) else str(item) for item in items]


def _read(offers: IntoFrame, share: float | None) -> pd.DataFrame:
    """customer_id as text, kind, item, cost and gain of every offer."""
    rows = collect(offers, NEEDED, WHAT, ("increment",))
    chance, spend, margin, value = (numbers(rows, name, WHAT) for name in NEEDED[4:])
    brings = chance * spend * margin  # whoever makes the purchase
    added = _added(rows, chance, share)
    gain, cost = added * spend * margin, brings - value
    table = pd.DataFrame(
        {
            "customer_id": list(map(str, rows["customer_id"].to_list())),
            "kind": rows["kind"].to_list(),
            "item": rows["item"].to_list(),
            "gain": gain,
            "cost": np.where(np.abs(cost) < 1e-9 * np.maximum(brings, 1), 0.0, cost),
        }
    )
    wrong = ~np.isfinite(gain) | ~np.isfinite(cost) | (table["cost"] < 0) | table["kind"].isna()
    if wrong.any():
        raise RowError.of(
            f"a row of {WHAT} has no kind, chance, spend, margin or value, or a cost below 0",
            int(wrong.sum()),
            [f"customer {who}" for who in table["customer_id"][wrong][:3]],
            hint="take the table that clv offers --output writes.",
        )
    return table


def _added(rows: Any, chance: Floats, share: float | None) -> Floats:
    """The chance of a purchase that would not be made without the offer."""
    if share is not None:
        check_share("incremental_share", share, "[0, 1]")
        return chance * share
    added = numbers(rows, "increment", WHAT) if "increment" in rows.columns else chance * np.nan
    if not np.isfinite(added).all():
        raise InputError(
            "nothing says which share of the purchases is due to an offer.",
            hint="give incremental_share (in clv offers --incremental-share), as an assumption, or "
            "measure it with a campaign.",
        )
    return added
