"""The brand recipe: an honest plan, judged by the truth of the simulation."""

import pytest

from clv.simulate import simulate_brand
from training.brand import judge, plan_quarter
from training.brand_report import brand_sections


@pytest.fixture(scope="module")
def planned():
    return plan_quarter(simulate_brand(seed=1))


@pytest.mark.slow
def test_values_per_channel_are_close_to_the_truth(planned):
    truth = planned.brand.new_customer_value()
    learned = planned.values.set_index("channel")["new_customer_clv"]
    assert learned.to_dict() == pytest.approx(truth[learned.index].to_dict(), rel=0.1)


@pytest.mark.slow
def test_the_cheapest_channel_is_not_the_best_and_the_plan_says_so(planned):
    paid = planned.table[planned.table["cac"].notna()].set_index("channel")
    assert paid["cac"].idxmin() != paid["new_customer_value"].idxmax()
    cheapest, best = paid["cac"].idxmin(), paid["new_customer_value"].idxmax()
    sentence = next(str(f) for f in planned.plan.findings if f.code == "plan.cheapest_not_best")
    assert cheapest in sentence
    assert best in sentence


@pytest.mark.slow
def test_the_plan_beats_today_and_not_the_best(planned):
    judged = judge(planned)
    assert judged.today < judged.planned < judged.best
    assert judged.reached > 0.7
    assert judged.reached_on_channels > 0.85
    assert planned.quarter.uncertainty.probability_better > 0.5
    assert planned.plan.kkt_residual < 1e-8


@pytest.mark.slow
def test_learning_from_the_campaign_brings_more_than_assuming_a_save_rate(planned):
    judged = judge(planned)
    assert judged.reached > judged.reached_unlearned + 0.2
    assert judged.retention[1] > judged.guessed[1]
    hoped, had = judged.guessed
    assert hoped > 1.5 * had  # the assumed rate promised far too much


@pytest.mark.slow
def test_the_uplift_is_learned_from_the_whole_campaign_as_of_its_eve(planned):
    """As of a later day somebody would have been silent for longer than the campaign allowed."""
    assert planned.uplift.training["customers"] == len(planned.brand.campaign)
    assert planned.uplift.columns.knots["days_since_last"][-1] <= 182
    lift, error = planned.uplift.retention_lift
    true = planned.brand.truth.campaign["lift_alive"].mean()  # of being alive; buying is rarer
    assert 0 < lift < true + 3 * error


@pytest.mark.slow
def test_what_the_plan_says_of_retention_is_measured(planned):
    assert "The effect of the retention offer is measured." in map(str, planned.quarter.notes)
    assert set(planned.campaign.table["save_rate_source"]) == {"measured"}
    learned = brand_sections(planned, judge(planned))[1]
    assert "measured, not assumed" in learned.lead
    cost = planned.campaign.summary.cost
    assert cost == pytest.approx(planned.plan.retention_spend, rel=0.01)


@pytest.mark.slow
def test_the_report_says_which_channel_is_cheapest_and_which_is_worth_most(planned):
    sections = brand_sections(planned, judge(planned))
    truth = planned.brand.new_customer_value()
    best = truth[list(planned.plan.spend)].idxmax()
    sums = planned.brand.spend.groupby("channel")[["spend", "fixed_cost", "new_customers"]].sum()
    cac = (sums["spend"] + sums["fixed_cost"]) / sums["new_customers"]
    cheapest = cac[cac > 0].idxmin()
    assert cheapest != best
    lead = str(sections[0].lead)
    assert f"The cheapest new customers come from {cheapest} (" in lead
    assert f"the most valuable from {best} (worth " in lead
    drawn = [figure for section in sections for figure in section.figures]
    assert len(drawn) == len(planned.plan.spend) + 1  # every channel, and the frontier
