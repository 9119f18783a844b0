"""Campaigns of several offers: who is left alone and why, who is held out, what it earns."""

import dataclasses
import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest

from clv.decide.budget.allocate import allocate
from clv.decide.retention.actions import WITHIN_WINDOW, MeasuredOffer
from clv.decide.retention.eligibility import Rules
from clv.decide.retention.offer import BetaRate, Offer, treat
from clv.decide.retention.plan import plan_campaign, retention_targets
from clv.errors import ColumnError, InputError, RowError
from clv.uplift import fit_uplift
from clv.uplift.uplift_model import MEASURED

LETTER = Offer(1, 3, (0.1, 0.3), name="letter")
CALL = Offer(6, save_rate=0.5, name="call")


def make_scores(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "customer_id": [f"c{i:05d}" for i in range(n)],
            "churn_probability": rng.beta(2, 2, n),
            "value_at_stake": rng.gamma(1, 60, n),
            "probability_alive": rng.beta(2, 2, n),
            "days_since_last": rng.integers(0, 400, n),
            "consent": rng.random(n) < 0.8,
            "channel": rng.choice(["search", "social"], n),
            "horizon": "3 years",
            "currency": "EUR",
            "as_of": dt.date(2011, 8, 31),
            "model_version": "7",
        }
    )


SCORES = make_scores()


def test_the_same_kind_of_frame_and_the_same_plan(kind, to_pandas):
    scores = kind(SCORES)
    rules = Rules(consent="consent", bought_within=10)
    plan = plan_campaign(scores, [LETTER, CALL], 500, rules=rules, stratify="channel")
    expected = plan_campaign(SCORES, [LETTER, CALL], 500, rules=rules, stratify="channel")
    for made, other in (
        (plan.table, expected.table),
        (plan.eligibility, expected.eligibility),
    ):
        assert type(made) is type(scores)
        got = to_pandas(made)
        assert list(got.columns) == list(other.columns)
        assert got["customer_id"].tolist() == other["customer_id"].tolist()
    assert to_pandas(plan.table)["action"].tolist() == expected.table["action"].tolist()
    assert str(to_pandas(plan.table)["date"].iloc[0])[:10] == "2011-09-01"


def test_several_offers_earn_more_than_each_alone_and_stay_within_the_budget():
    plan = plan_campaign(SCORES, [LETTER, CALL], 800, control_share=0)
    assert plan.summary.cost <= 800
    for offer in (LETTER, CALL):
        alone = retention_targets(SCORES, offer, 800, control_share=0).summary
        assert plan.summary.expected_profit >= alone.expected_profit
    assert {o.name for o in plan.summary.offers if o.audience} == {"letter", "call"}


def test_columns_are_the_arithmetic_of_each_customers_offer():
    plan = plan_campaign(SCORES, [LETTER, CALL], 800)
    for offer in (LETTER, CALL):
        rows = plan.table[(plan.table["action"] == offer.name) & (plan.table["treated"] == 1)]
        t = treat(rows["churn_probability"], rows["value_at_stake"], offer)
        assert rows["cost"].to_numpy() == pytest.approx(t.cost)
        assert rows["expected_gain"].to_numpy() == pytest.approx(t.gain)
        for end, name in enumerate(("gain_low", "gain_high")):
            rate = offer.save_rate_range[end] / offer.mean_save_rate
            assert rows[name].to_numpy() == pytest.approx(rate * t.gain)
    held = plan.table[plan.table["group"] == "control"]
    assert (held[["cost", "expected_gain", "gain_high", "expected_profit"]] == 0).all(axis=None)


def test_the_summary_adds_up():
    plan = plan_campaign(SCORES, [LETTER, dataclasses.replace(CALL, capacity=20)], 800)
    table, summary = plan.table, plan.summary
    treated = table[table["treated"] == 1]
    assert summary.cost == pytest.approx(treated["cost"].sum())
    assert summary.expected_profit == pytest.approx(treated["expected_profit"].sum())
    left_out = sum(summary.not_contacted.values())
    assert left_out + summary.audience + summary.control == len(SCORES)
    assert (treated["action"] == "call").sum() == 20 == summary.offers[1].audience
    assert summary.offers[1].place_price > 0
    assert "is full: one more place would earn" in str(summary)
    for more in summary.bigger:
        bigger = plan_campaign(
            SCORES, [LETTER, dataclasses.replace(CALL, capacity=20)], 800 + more.added
        ).summary
        assert more.profit == pytest.approx(bigger.expected_profit - summary.expected_profit)
        assert more.customers == bigger.audience - summary.audience
    read = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    assert (read["date"], read["audience"]) == ("2011-09-01", summary.audience)
    assert read["offers"][0]["save_rate_source"] == "assumed"


def test_the_marginal_gain_is_what_a_little_more_money_earns():
    scores = make_scores(60_000)
    now = plan_campaign(scores, [LETTER, CALL], 8000, control_share=0).summary
    more = plan_campaign(scores, [LETTER, CALL], 8400, control_share=0).summary
    rate = (more.expected_gain - now.expected_gain) / (more.cost - now.cost)
    assert rate == pytest.approx(now.marginal_gain, rel=0.03)


def test_a_range_is_what_the_same_people_bring_at_its_ends():
    plan = plan_campaign(SCORES, [LETTER, CALL], 800)
    profit = 0.0
    for offer in (LETTER, CALL):
        low = dataclasses.replace(offer, save_rate=offer.save_rate_range[0])
        rows = plan.table[(plan.table["action"] == offer.name) & (plan.table["treated"] == 1)]
        profit += treat(rows["churn_probability"], rows["value_at_stake"], low).profit.sum()
    assert plan.summary.profit_range[0] == pytest.approx(profit)


def test_nobody_is_contacted_against_the_rules_and_everybody_is_accounted_for():
    contacts = pd.DataFrame(
        {
            "customer_id": ["c00001", "c00001", "c00002", "c00003", "c00003"],
            "date": ["2011-08-20", "2011-08-25", "2011-08-25", "2011-05-01", "2011-08-30"],
        }
    )
    rules = Rules(
        exclude=["c00000", "c00004", "nobody"],
        bought_within=14,
        silent_for=182,
        consent="consent",
        contacts=contacts,
        most_contacts=2,
        contact_days=30,
    )
    plan = plan_campaign(SCORES, [LETTER, CALL], rules=rules)
    listed = SCORES[SCORES["customer_id"].isin(plan.table["customer_id"])]
    assert listed["consent"].all()
    assert listed["days_since_last"].between(15, 182).all()
    assert not {"c00000", "c00001", "c00004"} & set(listed["customer_id"])
    why = plan.eligibility.set_index("customer_id")
    assert len(why) == len(SCORES)
    assert why.loc["c00000", "reason"] == "on the list of exclusions"
    counts = why.loc[why["status"] == "not contacted", "reason"].value_counts().to_dict()
    assert counts == dict(plan.summary.not_contacted)
    assert (why["status"] == "control").sum() == plan.summary.control
    free = make_scores().assign(consent=True, days_since_last=30)
    limited = plan_campaign(free, LETTER, rules=rules).eligibility.set_index("customer_id")
    assert limited.loc["c00001", "reason"] == "contacted 2 times or more in 30 days"
    assert limited.loc[["c00002", "c00003"], "reason"].isin(rules_reasons(limited)).sum() == 0


def rules_reasons(table):
    return {text for text in table["reason"].dropna() if text.startswith("contacted")}


def test_sleeping_dogs_are_left_alone():
    gain = np.where(np.arange(len(SCORES)) % 3 == 0, -5.0, 20.0)
    effects = pd.DataFrame(
        {"customer_id": SCORES["customer_id"], "cost": 0.0, "expected_gain": gain}
    )
    plan = plan_campaign(SCORES[["customer_id"]], MeasuredOffer("mail", effects))
    assert (plan.table["expected_gain"] >= 0).all()
    assert plan.summary.audience + plan.summary.control == (gain > 0).sum()
    lost = "every offer is expected to lose more than it keeps"
    assert plan.summary.not_contacted == {lost: (gain < 0).sum()}


@pytest.mark.parametrize("stratify", ["expected_profit", "value_at_stake", "channel"])
def test_a_stratified_control_group_has_its_share_everywhere(stratify):
    plan = plan_campaign(SCORES, [LETTER, CALL], control_share=0.2, stratify=stratify)
    table = plan.table.merge(SCORES[["customer_id", "channel"]])
    held = table["group"] == "control"
    assert held.mean() == pytest.approx(0.2, abs=1 / len(table))
    if stratify == "channel":
        by_level = held.groupby(table["channel"]).agg(["sum", "size"])
        assert (abs(by_level["sum"] - 0.2 * by_level["size"]) <= 1).all()
    assert set(table["propensity"]) == {0.8}
    other = plan_campaign(SCORES, [LETTER, CALL], control_share=0.2, stratify=stratify, seed=1)
    assert other.table["group"].tolist() != plan.table["group"].tolist()


def test_every_customer_is_held_out_as_often_as_stated():
    """Over many seeds, also where strata are smaller than one held-out customer."""
    few = make_scores(12)
    times = np.zeros(12)
    for seed in range(250):
        plan = plan_campaign(few, CALL, control_share=0.25, stratify="expected_profit", seed=seed)
        held = plan.table.loc[plan.table["group"] == "control", "customer_id"]
        times += few["customer_id"].isin(held).to_numpy()
    listed = (
        few["customer_id"]
        .isin(plan_campaign(few, CALL, control_share=0).table["customer_id"])
        .to_numpy()
    )
    share = times[listed] / 250
    assert share == pytest.approx(np.full(listed.sum(), 0.25), abs=4 * np.sqrt(0.1875 / 250))


def test_the_order_of_rows_and_the_currency_do_not_matter():
    shuffled = SCORES.sample(frac=1, random_state=1)
    a, b = (plan_campaign(s, [LETTER, CALL], 500).table for s in (SCORES, shuffled))
    pd.testing.assert_frame_equal(a, b)
    cents = SCORES.assign(value_at_stake=100 * SCORES["value_at_stake"])
    offers = [
        dataclasses.replace(o, contact_cost=100 * o.contact_cost, incentive=100 * o.incentive)
        for o in (LETTER, CALL)
    ]
    c = plan_campaign(cents, offers, 50_000).table
    assert c["customer_id"].tolist() == a["customer_id"].tolist()
    assert c["action"].tolist() == a["action"].tolist()


def test_the_gone_are_saved_instead_of_the_silent():
    gone = dataclasses.replace(CALL, leavers="gone")
    plan = plan_campaign(SCORES, gone, control_share=0)
    table = plan.table.merge(SCORES[["customer_id", "probability_alive"]])
    saved = 0.5 * (1 - table["probability_alive"]) * table["value_at_stake"]
    assert table["expected_gain"].to_numpy() == pytest.approx(saved.to_numpy())
    with pytest.raises(ColumnError, match="probability_alive"):
        plan_campaign(SCORES.drop(columns="probability_alive"), gone)
    pd.testing.assert_frame_equal(
        retention_targets(SCORES, gone, control_share=0).table, plan.table
    )


def test_that_the_nearly_dead_rank_high_is_said():
    dead = SCORES.assign(probability_alive=np.where(SCORES["churn_probability"] > 0.6, 0.05, 0.9))
    said = str(plan_campaign(dead, LETTER, 300).summary)
    assert "(a chance below 20% that they are still customers)" in said
    assert "left for good" in said
    alive = plan_campaign(dead.assign(probability_alive=1.0), LETTER).summary
    assert "still customers" not in str(alive)


def test_reasons_stand_beside_the_customers():
    reasons = (
        SCORES[["customer_id"]]
        .iloc[5:]
        .assign(reason_1=[f"reason of {i}" for i in SCORES["customer_id"].iloc[5:]], effect_1=0.1)
    )
    table = plan_campaign(SCORES, [LETTER, CALL], reasons=reasons).table
    known = table["customer_id"].isin(reasons["customer_id"])
    assert (table["reason_1"][known] == "reason of " + table["customer_id"][known]).all()
    assert table["reason_1"][~known].isna().all()
    assert (~known).any()


def test_retention_competes_for_a_larger_budget():
    """The plan as an option of ``allocate``: what it grants is what the plan earns."""
    plan = plan_campaign(SCORES, [LETTER, CALL], 500)
    granted = allocate([], 500, plan)
    assert granted.retention_gain >= plan.summary.expected_gain
    step = plan.summary.marginal_gain * plan.summary.unspent
    assert granted.retention_gain == pytest.approx(plan.summary.expected_gain + step)
    short = plan_campaign(SCORES, [LETTER, dataclasses.replace(CALL, capacity=5)], 500)
    everybody = plan_campaign(SCORES, [LETTER, dataclasses.replace(CALL, capacity=5)])
    assert short.gain_curve.gained[-1] == pytest.approx(everybody.summary.expected_gain)


def make_campaign(n=6000, seed=0):
    """Everybody under 0.5 is saved by a call with chance 0.4, nobody else by anything."""
    rng = np.random.default_rng(seed)
    features = make_scores(n, seed).assign(as_of=dt.date(2011, 5, 31))
    treated = rng.integers(0, 2, n)
    back = treated * (features["churn_probability"] < 0.5) * 0.4
    margin = 30.0 * (rng.random(n) < 0.1 + back)
    log = pd.DataFrame(
        {"customer_id": features["customer_id"], "treated": treated, "cost": 2.0 * treated}
    )
    return log.assign(outcome_margin=margin, propensity=0.5), features


def test_a_finished_campaign_makes_the_next_plan_and_its_list_the_next_log():
    log, features = make_campaign()
    model = fit_uplift(log, features)
    offer = MeasuredOffer("call", model.predict(SCORES))
    plan = plan_campaign(SCORES, offer, control_share=0.3)
    assert set(plan.table["save_rate_source"]) == {"measured"}
    assert plan.summary.save_rate_source == "measured"
    assert set(plan.table["horizon"]) == {"the campaign's window"}
    assert (plan.table["churn_probability"] < 0.6).mean() > 0.8
    treated = plan.table["treated"] == 1
    bought = np.random.default_rng(0).random(len(treated)) < np.where(treated, 0.6, 0.15)
    again = fit_uplift(plan.table.assign(outcome_margin=20.0 * bought), SCORES)
    cost = plan.table.loc[treated, "cost"].mean()
    assert again.ate[0] == pytest.approx(9.0 - cost, abs=4 * again.ate[1])


def test_gains_over_different_windows_are_not_compared():
    assert WITHIN_WINDOW == MEASURED
    log, features = make_campaign()
    within = MeasuredOffer("call", fit_uplift(log, features).predict(SCORES))
    with pytest.raises(InputError, match="cannot be compared"):
        plan_campaign(SCORES, [LETTER, within])
    staked = fit_uplift(log, features, value="value_at_stake").predict(SCORES)
    plan = plan_campaign(SCORES, [LETTER, MeasuredOffer("call", staked)])
    assert plan.summary.save_rate_source == "assumed and measured"
    assert "compete with measured ones" in str(plan.summary)
    assert set(plan.table["horizon"]) == {"3 years"}


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"offers": []}, InputError, "called nothing"),
        ({"offers": [CALL, CALL]}, InputError, "called call, call"),
        ({"budget": -1}, InputError, "not an amount"),
        ({"control_share": 1.0}, InputError, "control_share = 1.0"),
        ({"date": dt.date(2011, 8, 31)}, InputError, "saw its effect"),
        ({"stratify": "colour"}, ColumnError, "colour"),
        ({"stratify": "customer_id"}, InputError, "makes no strata"),
        ({"rules": Rules(consent="channel")}, ColumnError, "neither yes nor no"),
        ({"rules": Rules(contacts=pd.DataFrame({"customer_id": [1]}))}, ColumnError, "date"),
        ({"scores": SCORES.assign(value_at_stake=np.nan)}, RowError, "value_at_stake"),
        ({"scores": SCORES.assign(customer_id="c1")}, RowError, "repeated"),
        ({"reasons": pd.DataFrame({"customer_id": [1]})}, ColumnError, "reason_1"),
        (
            {"offers": MeasuredOffer("x", SCORES.head(3).assign(cost=1, expected_gain=2))},
            RowError,
            "lack a customer",
        ),
    ],
)
def test_what_makes_no_sense_is_named(change, error, words):
    arguments = {"scores": SCORES, "offers": CALL} | change
    with pytest.raises(error, match=words):
        plan_campaign(**arguments)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Offer(1, capacity=-1),
        lambda: Offer(1, name=""),
        lambda: Offer(1, leavers="all"),
        lambda: Rules(bought_within=-1),
        lambda: Rules(most_contacts=0),
    ],
)
def test_offers_and_rules_check_themselves(make):
    with pytest.raises(InputError):
        make()


def test_nobody_at_all_is_a_plan_too():
    poor = SCORES.assign(value_at_stake=0.1)
    plan = plan_campaign(poor, [LETTER, CALL], 100)
    assert (len(plan.table), plan.summary.audience, plan.summary.cost) == (0, 0, 0)
    assert "nobody else is worth the cost" in str(plan.summary)
    assert plan.summary.not_contacted == {
        "would not pay even if every leaver were saved": len(poor)
    }


def test_a_beta_rate_gives_its_quantiles_as_the_range():
    plan = plan_campaign(SCORES, Offer(1), 300)
    assert plan.summary.offers[0].save_rate_range == pytest.approx(
        (BetaRate().quantile(0.05), BetaRate().quantile(0.95))
    )
