"""Retention lists: optimal, reproducible, honest about what is assumed."""

import dataclasses
import json
from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

from clv.decide.budget.allocate import allocate
from clv.decide.retention.offer import BetaRate, Offer, treat
from clv.decide.retention.plan import gain_curve, retention_targets
from clv.errors import ColumnError, InputError, RowError

OFFER = Offer(contact_cost=1, incentive=5)


def make_scores(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "customer_id": [f"c{i:05d}" for i in range(n)],
            "clv": rng.gamma(1, 30, n),
            "churn_probability": rng.beta(2, 2, n),
            "value_at_stake": rng.gamma(1, 60, n),
            "horizon": "3 years",
            "currency": "EUR",
            "as_of": date(2011, 8, 31),
            "model_version": "7",
        }
    )


SCORES = make_scores()


def test_the_same_kind_of_frame_and_the_same_list(kind, to_pandas):
    scores = kind(SCORES)
    table = retention_targets(scores, OFFER, 300).table
    assert type(table) is type(scores)
    expected = retention_targets(SCORES, OFFER, 300).table
    got = to_pandas(table)
    assert list(got.columns) == list(expected.columns)
    assert got["customer_id"].tolist() == expected["customer_id"].tolist()
    assert got["group"].tolist() == expected["group"].tolist()
    assert got["cost"].to_numpy() == pytest.approx(expected["cost"].to_numpy())
    assert str(got["as_of"].iloc[0])[:10] == "2011-08-31"


def test_columns_are_the_arithmetic_of_the_offer():
    table = retention_targets(SCORES, OFFER, 300).table
    q, stake = table["churn_probability"], table["value_at_stake"]
    treated = table["group"] == "treat"
    gain, cost = 0.3 * q * stake, 1 + 5 * (1 - q + 0.3 * q)
    assert table["expected_gain"].to_numpy() == pytest.approx(np.where(treated, gain, 0))
    assert table["cost"].to_numpy() == pytest.approx(np.where(treated, cost, 0))
    assert (table["expected_profit"] == table["expected_gain"] - table["cost"]).all()
    assert table["gain_per_cost"].to_numpy() == pytest.approx((gain / cost).to_numpy())
    assert table["rank"].tolist() == list(range(1, len(table) + 1))
    assert (table["gain_per_cost"].diff().dropna() <= 1e-12).all()
    assert set(table["save_rate"]) == {0.3}
    assert set(table["save_rate_source"]) == {"assumed"}
    assert set(table["model_version"]) == {"7"}


def test_the_list_ends_where_the_next_customer_no_longer_fits():
    campaign = retention_targets(SCORES, OFFER, 300)
    everybody = retention_targets(SCORES, OFFER).table
    summary = campaign.summary
    following = everybody.iloc[len(campaign.table) :]
    next_cost = following.loc[following["group"] == "treat", "cost"].iloc[0]
    assert summary.cost <= 300 < summary.cost + next_cost
    assert summary.unspent == pytest.approx(300 - summary.cost)
    assert (everybody["gain_per_cost"] > 1).all()


def test_no_plan_earns_much_more():
    """The linear programme that may split customers bounds every plan from above."""
    table = retention_targets(SCORES, OFFER, 300, control_share=0)
    t = treat(SCORES["churn_probability"], SCORES["value_at_stake"], OFFER)
    best = linprog(-t.profit, A_ub=t.cost[None, :], b_ub=[300], bounds=(0, 1))
    assert best.success
    missed = -best.fun - table.summary.expected_profit
    assert 0 <= missed < t.profit.max()  # less than one customer's profit


def test_profit_per_cost_beats_the_usual_rankings():
    """Science 6: by risk .30, by CLV .57, profit per cost 1.000 of what can be attained."""
    scores = make_scores(20_000, seed=3)
    q, stake = scores["churn_probability"].to_numpy(), scores["value_at_stake"].to_numpy()
    t = treat(q, stake, OFFER)
    budget = 0.1 * t.cost.sum()
    ours = retention_targets(scores, OFFER, budget, control_share=0).summary.expected_profit

    def share(score):
        order = np.argsort(-score)
        return t.profit[order[np.cumsum(t.cost[order]) <= budget]].sum() / ours

    assert share(q) < 0.6
    assert share(scores["clv"].to_numpy()) < 0.5  # here independent of the stake
    assert share(stake) < share(q * stake) < 1


def test_the_order_of_rows_does_not_matter():
    tied = SCORES.assign(churn_probability=0.5, value_at_stake=100.0)  # nothing but ties
    for scores in (SCORES, tied):
        shuffled = scores.sample(frac=1, random_state=1)
        a, b = (retention_targets(s, OFFER, 300).table for s in (scores, shuffled))
        pd.testing.assert_frame_equal(a, b)


def test_the_control_group_depends_on_id_and_seed_only():
    whole = retention_targets(SCORES, OFFER).table.set_index("customer_id")["group"]
    part = retention_targets(SCORES.iloc[::3], OFFER, 500).table.set_index("customer_id")["group"]
    assert (whole.loc[part.index] == part).all()
    other = retention_targets(SCORES, OFFER, seed=1).table.set_index("customer_id")["group"]
    assert (whole.sort_index() != other.sort_index()).mean() == pytest.approx(0.18, abs=0.05)


def test_control_share_and_its_balance():
    scores = make_scores(50_000, seed=4)
    table = retention_targets(scores, OFFER, control_share=0.2).table
    held = table["group"] == "control"
    assert held.mean() == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / len(table)))
    stake = table["value_at_stake"]
    difference = stake[held].mean() - stake[~held].mean()
    assert abs(difference) < 4 * stake.std() * np.sqrt(1 / held.sum() + 1 / (~held).sum())


def test_ids_of_any_type_and_a_draw_that_never_changes():
    """A control group must be the same next year; these were drawn once and written down."""
    ids = pd.DataFrame(
        {"customer_id": range(40), "churn_probability": 0.5, "value_at_stake": 100.0}
    )
    table = retention_targets(ids, OFFER, seed=0).table
    held = sorted(table.loc[table["group"] == "control", "customer_id"])
    assert held == [14, 23, 31, 34, 39]
    texts = ids.assign(customer_id=ids["customer_id"].astype(str))
    table = retention_targets(texts, OFFER, seed=0).table
    assert sorted(map(int, table.loc[table["group"] == "control", "customer_id"])) == held


def test_the_summary_adds_up():
    campaign = retention_targets(SCORES, OFFER, 300)
    table, summary = campaign.table, campaign.summary
    treated = table[table["group"] == "treat"]
    assert (summary.audience, summary.control) == (len(treated), len(table) - len(treated))
    assert (summary.cost, summary.expected_gain) == pytest.approx(
        (treated["cost"].sum(), treated["expected_gain"].sum())
    )
    assert summary.customers == len(SCORES)
    assert summary.eligible == len(retention_targets(SCORES, OFFER).table)
    not_contacted = sum(summary.not_contacted.values())
    assert not_contacted + summary.audience + summary.control == len(SCORES)
    assert (summary.horizon, summary.currency, summary.model_version) == ("3 years", "EUR", "7")


def test_ranges_are_those_of_the_save_rate():
    """The same customers under the 5% and 95% quantiles of g, worked out one by one."""
    campaign = retention_targets(SCORES, OFFER, 300)
    treated = campaign.table[campaign.table["group"] == "treat"]
    for end in (0, 1):
        rate = campaign.summary.offers[0].save_rate_range[end]
        t = treat(
            treated["churn_probability"], treated["value_at_stake"], Offer(1, 5, save_rate=rate)
        )
        assert campaign.summary.cost_range[end] == pytest.approx(t.cost.sum())
        assert campaign.summary.gain_range[end] == pytest.approx(t.gain.sum())
        assert campaign.summary.profit_range[end] == pytest.approx(t.profit.sum())


def test_the_campaign_breaks_even_where_it_says():
    campaign = retention_targets(SCORES, OFFER, 300)
    treated = campaign.table[campaign.table["group"] == "treat"]
    rate = campaign.summary.offers[0].break_even_save_rate
    t = treat(treated["churn_probability"], treated["value_at_stake"], Offer(1, 5, save_rate=rate))
    assert t.profit.sum() == pytest.approx(0, abs=1e-9)


def test_what_a_tenth_more_budget_earns():
    now, more = (retention_targets(SCORES, OFFER, b).summary for b in (300, 330))
    tenth = now.bigger[0]
    assert tenth.added == pytest.approx(30)
    assert tenth.customers == more.audience - now.audience
    assert tenth.profit == pytest.approx(more.expected_profit - now.expected_profit)


def test_a_measured_save_rate_is_labelled():
    offer = Offer(1, 5, BetaRate(6 + 40, 14 + 60), save_rate_source="measured")
    campaign = retention_targets(SCORES, offer, 300)
    assert set(campaign.table["save_rate_source"]) == {"measured"}
    assert campaign.summary.save_rate_source == "measured"
    assert "the save rate, is measured: 38%." in str(campaign.summary)
    (note,) = campaign.gain_curve.notes
    assert str(note) == "The save rate of the retention offer, 38%, is measured."
    assert note.chip == "measured"


def test_gains_in_revenue_are_called_so_once():
    says = "Gain and profit count revenue, not margin, so they are overstated: set margin_rate in"
    campaign = retention_targets(SCORES.assign(margin_rate=1.0), OFFER, 300)
    assert str(campaign.summary).count(says) == 1
    assert [str(note).startswith(says) for note in campaign.gain_curve.notes] == [False, True]
    of_margin = retention_targets(SCORES.assign(margin_rate=0.3), OFFER, 300)
    assert says not in str(of_margin.summary)


def test_words_and_json_of_the_summary():
    summary = retention_targets(SCORES, OFFER, 300).summary
    assert "the save rate, is assumed: 30%. The offer pays for itself from" in str(summary)
    assert f"{summary.unspent:.2f} of the budget is left, too little for the next" in str(summary)
    plenty = retention_targets(SCORES, OFFER, 1e6).summary
    assert "of the budget is left: nobody else is worth the cost." in str(plenty)
    read = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    assert (read["as_of"], read["audience"]) == ("2011-08-31", summary.audience)


def test_a_budget_too_small_for_anybody_gives_an_empty_list(kind, to_pandas):
    campaign = retention_targets(kind(SCORES), OFFER, 0.5)
    assert len(to_pandas(campaign.table)) == 0
    assert (campaign.summary.audience, campaign.summary.control) == (0, 0)
    assert campaign.summary.offers[0].break_even_save_rate is None
    assert (campaign.summary.unspent, campaign.summary.expected_profit) == (0.5, 0)


def test_nobody_is_held_out_when_nobody_is_contacted():
    """Also where the first customers of the list belong to the control group."""
    for seed in range(20):
        assert len(retention_targets(SCORES, OFFER, 0.5, control_share=0.5, seed=seed).table) == 0


def test_a_budget_that_equals_a_sum_of_costs_pays_for_all_of_it():
    campaign = retention_targets(SCORES, Offer(contact_cost=0.1), 0.3, control_share=0)
    assert campaign.summary.audience == 3  # 0.1 + 0.1 + 0.1 is 0.30000000000000004


def test_a_spreadsheet_without_constants_is_enough():
    bare = SCORES[["customer_id", "churn_probability", "value_at_stake"]]
    campaign = retention_targets(bare, OFFER, 300)
    assert campaign.summary.horizon is None
    assert campaign.table["customer_id"].tolist() == (
        retention_targets(SCORES, OFFER, 300).table["customer_id"].tolist()
    )


def test_what_allocate_grants_is_what_the_list_spends():
    """Case: retention alone; the budget of the list is the spend that allocate decides on."""
    curve = gain_curve(SCORES, OFFER)
    plan = allocate([], 300, curve)
    campaign = retention_targets(SCORES, OFFER, plan.retention_spend)
    assert campaign.summary.audience == int(plan.retention_customers)
    assert plan.retention_gain - campaign.summary.expected_gain < 1.1 * plan.multiplier * 6
    assert allocate([], 300, campaign).retention_gain == plan.retention_gain
    everything = allocate([], None, campaign)
    summary = retention_targets(SCORES, OFFER, everything.retention_spend).summary
    assert summary.audience == everything.retention_customers
    assert summary.expected_gain == pytest.approx(everything.retention_gain)


def test_the_horizon_of_the_scores_meets_that_of_the_channels():
    assert gain_curve(SCORES, OFFER).horizon == "3 years"


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda s: s.drop(columns="value_at_stake"), ColumnError, "no column value_at_stake"),
        (lambda s: s.assign(churn_probability="high"), ColumnError, "not numbers"),
        (lambda s: s.assign(churn_probability=1.2), RowError, r"not in \[0, 1\] in 2,000 rows"),
        (lambda s: s.assign(churn_probability=np.nan), RowError, r"not in \[0, 1\]"),
        (lambda s: s.assign(value_at_stake=np.inf), RowError, "missing or infinite"),
        (lambda s: s.assign(customer_id="c1"), RowError, "customer_id is repeated in 2,000 rows"),
        (lambda s: s.assign(customer_id=None), RowError, "customer_id is missing"),
        (lambda s: s.assign(horizon=["1 year", "3 years"] * 1000), InputError, "mix .* horizon"),
        (lambda s: s.iloc[:0], InputError, "no customers"),
        (lambda s: s.to_dict(), InputError, "not a dataframe"),
    ],
)
def test_bad_scores_are_named(change, error, words):
    with pytest.raises(error, match=words):
        retention_targets(change(SCORES), OFFER, 300)


@pytest.mark.parametrize(
    "arguments", [{"budget": -1}, {"budget": np.nan}, {"control_share": 1}, {"control_share": -0.1}]
)
def test_bad_arguments_are_named(arguments):
    with pytest.raises(InputError):
        retention_targets(SCORES, OFFER, **arguments)


def test_records_are_frozen():
    campaign = retention_targets(SCORES, OFFER, 300)
    with pytest.raises(dataclasses.FrozenInstanceError):
        campaign.summary.cost = 0
