"""Keep, remind and cross-sell under one budget, on SIMULATED brands with known truth.

    python -m training.joint_plan_study            # 10 brands of 4,000 active customers

The brand of ``training.uplift_study`` (an offer that brings back who has left) whose customers also
buy items, as ``simulate_order_lines`` draws them. Offers of items really add a share of their
purchases: a tenth of new items and upsell, a twentieth of reminders; the planner takes a tenth for
all, and a save rate of 0.3 among those who have left. *Attainable* is the joint plan of somebody
who knows all parameters, but of each customer only the history. Money is margin of 26 weeks less
contacts, an item's by e-mail.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

import clv
from clv.decide.retention.actions import AnyOffer
from clv.decide.retention.plan import CampaignPlan
from training.uplift_study import ACTIVE, OFFER, Models

TRUE_SHARE = {"new": 0.1, "upsell": 0.1, "reminder": 0.05}
ASSUMED_SHARE, BUDGET, COST, MARGIN = 0.1, 0.1, 0.02, 0.4
KEEP = clv.Offer(OFFER.contact_cost, OFFER.incentive, 0.3, leavers="gone", name="keep")


def next_offers(seed: int, customers: int) -> pd.DataFrame:
    """Next offers of a simulated shop, customers numbered, with the true gain of each."""
    simulated = clv.simulate_order_lines(seed, customers=customers, days=700)
    terms = clv.NextOfferTerms("26 weeks", 6, margin_rate=MARGIN, contact_cost=COST)
    ranked = clv.next_best_offers(clv.read_order_lines(simulated.lines), terms)
    table = ranked.table.to_pandas()
    chance = simulated.chance(np.arange(customers), terms.horizon_days)
    items = table["item"].astype(str).str[1:].astype(int)  # p00017 is item 17
    true = chance[table["customer_id"].astype(int), items] * table["spend"] * table["margin"]
    with_truth: pd.DataFrame = table.assign(true_gain=true * table["kind"].map(TRUE_SHARE))
    return with_truth


def truths(people: pd.DataFrame, offers: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """True cost and gain of every action to everybody, of a kind the best offer."""
    ids = people["customer_id"]
    keep = {"cost": people["expected_cost"], "expected_gain": people["expected_lift"]}
    tables = {"keep": pd.DataFrame({"customer_id": ids, **keep})}
    for kind, rows in offers.groupby("kind"):
        gain = rows.groupby("customer_id")["true_gain"].max().reindex(ids).fillna(0.0).to_numpy()
        effects = {"customer_id": ids, "cost": COST, "expected_gain": gain}
        tables[str(kind)] = pd.DataFrame(effects)
    return tables


def true_profit(plan: CampaignPlan, people: pd.DataFrame, offers: pd.DataFrame) -> float:
    """What a plan really earns: of an item the offer that the planner took for the best."""
    table = plan.table[["customer_id", "action"]]
    keep = table[table["action"] == "keep"].merge(people, on="customer_id")
    profit = float((keep["expected_lift"] - keep["expected_cost"]).sum())
    promised = offers.assign(promise=offers["chance"] * offers["spend"] * offers["margin"])
    best = promised.sort_values("promise", ascending=False).drop_duplicates(["customer_id", "kind"])
    sold = table.merge(best, left_on=["customer_id", "action"], right_on=["customer_id", "kind"])
    return profit + float((sold["true_gain"] - COST).sum())


def shares(models: Models, seed: int, customers: int) -> Mapping[str, float]:
    """One brand: the share of the attainable profit of the joint plan and of each action alone."""
    people = models.next_customers(20_000 + seed, int(customers / ACTIVE)).head(customers)
    offers = next_offers(seed, len(people))
    ids = people["customer_id"].to_numpy()
    offers = offers.assign(customer_id=ids[offers["customer_id"].astype(int)])
    budget = BUDGET * float(people["expected_cost"].sum())
    actions = clv.next_offer_actions(people, offers, ASSUMED_SHARE)
    best = [clv.MeasuredOffer(name, table) for name, table in truths(people, offers).items()]
    attainable = clv.plan_campaign(people, best, budget, control_share=0).summary.expected_profit
    plans: dict[str, Sequence[AnyOffer]] = {
        "joint": [KEEP, *actions],
        "keep": [KEEP],
        **{a.name: [a] for a in actions},
    }
    reached = {}
    for name, actions_of_plan in plans.items():
        plan = clv.plan_campaign(people, actions_of_plan, budget, control_share=0)
        reached[name] = true_profit(plan, people, offers) / attainable
    return reached


def main(repetitions: int = 10, customers: int = 4_000) -> pd.DataFrame:
    """All brands, a row each; prints means and standard errors."""
    models = Models.fit()
    table = pd.DataFrame([shares(models, seed, customers) for seed in range(repetitions)])
    print(pd.DataFrame({"share": table.mean(), "se": table.sem()}).round(3))
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--customers", type=int, default=4_000)
    stated = parser.parse_args()
    main(stated.repetitions, stated.customers)
