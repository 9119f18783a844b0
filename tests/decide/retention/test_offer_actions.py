"""Keep, remind and cross-sell in one plan: gains, the best of each customer, one budget."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

import clv
from clv.decide.retention.offer_actions import offered_items
from clv.errors import InputError, RowError

N = 400


@pytest.fixture(scope="module")
def brand():
    """Scores, and up to three next offers of a customer."""
    rng = np.random.default_rng(5)
    risk = rng.beta(2, 2, N)
    scores = {"customer_id": np.arange(N), "churn_probability": risk}
    scores = pd.DataFrame(scores | {"value_at_stake": rng.gamma(1.0, 30.0, N)})
    rows = []
    for who in range(0, N, 2):
        for rank, kind in enumerate(rng.choice(["reminder", "new", "upsell"], 3), start=1):
            chance, spend, margin = rng.uniform(0.05, 0.6), rng.gamma(2.0, 20.0), 0.4
            value = chance * spend * margin - 0.5
            rows.append((who, rank, f"p{rank}{who}", kind, chance, spend, margin, value))
    names = ["customer_id", "rank", "item", "kind", "chance", "spend", "margin", "value"]
    return scores, pd.DataFrame(rows, columns=names)


@pytest.fixture(scope="module")
def actions(brand):
    return clv.next_offer_actions(*brand, incremental_share=0.3)


def test_an_action_gains_what_its_best_offer_adds(brand, actions):
    scores, offers = brand
    assert [action.name for action in actions] == ["new", "reminder", "upsell"]
    for action in actions:
        table = action.effects.set_index("customer_id")
        assert table.index.tolist() == scores["customer_id"].tolist()
        for who in (0, 1, 2, 10, 44):
            theirs = offers[(offers["customer_id"] == who) & (offers["kind"] == action.name)]
            gain = (0.3 * theirs["chance"] * theirs["spend"] * theirs["margin"]).max()
            assert table.loc[who, "expected_gain"] == pytest.approx(np.nan_to_num(gain))
            assert table.loc[who, "cost"] == pytest.approx(0.5)


@pytest.mark.parametrize("budget", [20.0, 60.0])
def test_one_budget_earns_more_than_any_action_alone(brand, actions, budget):
    scores, _ = brand
    keep = clv.Offer(contact_cost=1.0, save_rate=0.3, name="keep")
    settings = {"budget": budget, "control_share": 0.2, "seed": 3}
    plans = [clv.plan_campaign(scores, each, **settings) for each in (keep, *actions)]
    joint = clv.plan_campaign(scores, [keep, *actions], **settings)
    profits = [plan.summary.expected_profit for plan in plans]
    assert joint.summary.expected_profit > max(profits)
    assert joint.summary.cost <= budget + 1e-9
    assert joint.table["customer_id"].is_unique
    assert len(set(joint.table["action"])) > 1
    held = set(joint.table[joint.table["group"] == "control"]["customer_id"])
    for plan in plans:  # one control group: nobody who is held out here is contacted there
        contacted = plan.table[plan.table["group"] == "treat"]["customer_id"]
        assert not held & set(contacted)


def test_without_a_budget_everybody_gets_what_earns_most(brand, actions):
    scores, _ = brand
    keep = clv.Offer(contact_cost=1.0, save_rate=0.3, name="keep")
    plan = clv.plan_campaign(scores, [keep, *actions], control_share=0.0)
    gains = [0.3 * (scores["churn_probability"] * scores["value_at_stake"]).to_numpy() - 1.0]
    gains += [(each.effects["expected_gain"] - each.effects["cost"]).to_numpy() for each in actions]
    best = np.maximum(np.max(gains, axis=0), 0.0)
    assert plan.summary.expected_profit == pytest.approx(best.sum())


def test_the_plan_says_which_item(brand, actions):
    scores, offers = brand
    keep = clv.Offer(contact_cost=1.0, save_rate=0.3, name="keep")
    table = clv.plan_campaign(scores, [keep, *actions], budget=60).table
    table["item"] = offered_items(table, offers)
    assert table.loc[table["action"] == "keep", "item"].isna().all()
    of_offers = table[table["action"] != "keep"]
    kinds = offers.set_index(["customer_id", "item"])["kind"]
    for row in of_offers.itertuples():
        assert kinds[row.customer_id, row.item] == row.action


def test_what_cannot_be_planned_is_said(brand):
    scores, offers = brand
    with pytest.raises(InputError, match="nothing says which share"):
        clv.next_offer_actions(scores, offers)
    with pytest.raises(InputError, match="none of the customers"):
        clv.next_offer_actions(
            scores.assign(customer_id=scores["customer_id"] + 10_000), offers, 0.3
        )
    for name, value in product(("chance", "value"), (np.nan, 1e9)):
        if (name, value) != ("chance", 1e9):
            with pytest.raises(RowError, match="a row of the table of offers"):
                clv.next_offer_actions(scores, offers.assign(**{name: value}), 0.3)
    assumed = offers.assign(increment=0.1 * offers["chance"])
    same = clv.next_offer_actions(scores, assumed)[0].effects["expected_gain"]
    other = clv.next_offer_actions(scores, offers, 0.1)[0].effects["expected_gain"]
    assert same.to_numpy() == pytest.approx(other.to_numpy())
