"""What each source adds to a store, against the functions that it comes from."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import reduce

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from clv.app.channels import channel_figures
from clv.app.contents.document import StoreParts
from clv.app.contents.handoffs import (
    of_contacts,
    of_monitor,
    of_offers,
    of_targets,
    with_eligibility,
)
from clv.app.contents.orders import Orders, of_both, of_model, of_orders, reasons_of
from clv.app.contents.plan import checked
from clv.app.contents.spend import of_spend
from clv.app.spend_file import read_spend_file
from clv.churn.reasons import churn_reasons, reasons_of_row
from clv.data.summary import summarize
from clv.decide.acquisition.cohort_grid import PAID, cohort_grid
from clv.decide.acquisition.concentration import repeat_revenue
from clv.decide.response.curves import response_curves
from clv.decide.retention.eligibility import Rules
from clv.decide.retention.offer import Offer
from clv.decide.retention.plan import plan_campaign
from clv.errors import ClvError, InputError, ModelError
from clv.io.files import read_table, write_table


@pytest.fixture(scope="module")
def orders(made) -> Orders:
    return Orders.read(made.file("orders.csv"), made.terms["as_of"], {})


def test_orders_are_cleaned_once_and_tell_of_the_base(orders, made):
    found = of_orders(orders, made.terms)
    share = repeat_revenue(made.log).share
    assert found.documents["repeat_revenue"]["share"] == pytest.approx(share)
    assert found.documents["data_report"]["customers"] == len(made.summary)
    expected = cohort_grid(made.log, orders.day)
    pd.testing.assert_frame_equal(found.tables["cohorts"].to_pandas(), expected.to_pandas())
    assert orders.summary(made.scorer).num_rows == len(made.summary)


def test_spend_gives_cohorts_their_cost(orders, made):
    spend = read_spend_file(made.file("spend.csv"), "EUR").rows
    rows = of_orders(orders, made.terms, spend).tables["cohorts"].to_pylist()
    whole = sum(r["cac"] * r["customers"] for r in rows if r["channel"] == PAID and r["age"] == 0)
    paid = sum(pc.sum(spend[name]).as_py() for name in ("spend", "fixed_cost"))
    assert whole == pytest.approx(paid, rel=0.02)  # but for days before the first order


def test_the_model_tells_its_terms_and_how_it_was_calibrated(made):
    plain = of_model(made.scorer).documents
    assert plain["terms"]["periods_per_year"] == 52.0
    assert "calibration" not in plain
    rows = [{"frequency": "0", "customers": 5, "actual_mean": 0.5, "predicted_mean": 0.4}]
    tested = replace(made.scorer, training={"holdout": {"calibration": rows}})
    assert of_model(tested).documents["calibration"] == rows


def test_a_pools_reasons_are_written_down_and_no_others(cdnow_scorer, cdnow_clean, made):
    log, churn = cdnow_clean, cdnow_scorer.churn
    wide = churn.attach(summarize(log), log, cdnow_scorer.as_of, "week")
    summary = pa.Table.from_pandas(wide, preserve_index=False)
    told = reasons_of(summary, cdnow_scorer)
    some = summary.take(np.arange(0, len(summary), 100))
    expected = churn_reasons(churn, some, cdnow_scorer.purchases, "week", 3)
    rows = told.take(np.arange(0, len(told), 100)).to_pylist()
    said = [[row["customer_id"], *map(str, reasons_of_row(row))] for row in rows]
    names = ("customer_id", "reason_1", "reason_2", "reason_3")
    rows = expected.select(names).to_pylist()
    assert said == [[cell for cell in row.values() if cell is not None] for row in rows]
    both = reduce(StoreParts.then, of_both(made.summary, made.scorer))
    assert (reasons_of(made.summary, made.scorer), both.tables) == (None, {})
    assert both.documents["total"]["mean"] == pytest.approx(pc.sum(made.scores["clv"]).as_py())


@pytest.mark.slow
def test_channels_are_those_of_clv_channels_and_bring_a_plan(made):
    spend = read_spend_file(made.file("spend.csv"), "EUR").rows
    found = of_spend(spend, made.log, made.summary, made.scorer)
    expected = channel_figures(made.file("spend.csv"), made.file("orders.csv"), made.scorer)
    pd.testing.assert_frame_equal(found.tables["channels"].to_pandas(), expected.table.to_pandas())
    curves = response_curves(spend)
    assert found.tables["curves"]["channel"].to_pylist() == [c.name for c in curves.channels]
    plan = checked(found.documents["plan"])
    assert (plan.periods, plan.currency, plan.horizon) == (13.0, "EUR", "3 years")
    assert plan.budget == pytest.approx(13 * sum(c.current_spend for c in curves.channels))
    assert plan.allocate().profit_gain >= 0
    assert "plan" not in of_spend(spend, made.log, made.summary, made.scorer, plan=False).documents


def test_spend_alone_gives_costs_alone(made):
    spend = read_spend_file(made.file("spend.csv"), "EUR").rows
    found = of_spend(spend)
    assert found.documents == {}
    assert "new_customer_value" not in found.tables["channels"].column_names
    unknown = made.summary.drop_columns(["channel"])
    told = of_spend(spend, made.log, unknown, made.scorer)
    (note,) = told.notes
    assert note.text == (
        "What customers of a channel are worth is not known: the log has no channel."
    )


def test_few_periods_bring_no_plan(made):
    spend = read_spend_file(made.file("spend.csv"), "EUR").rows
    first = pa.array(sorted(set(spend["period"].to_pylist()))[:5])
    short = spend.filter(pc.is_in(spend["period"], value_set=first))
    found = of_spend(short, made.log, made.summary, made.scorer)
    assert "plan" not in found.documents
    assert [str(note) for note in found.notes] == ["No plan: it takes 8 periods with spend."]


def test_spend_in_another_currency_is_refused(made, tmp_path):
    spend = read_table(made.file("spend.csv"))
    for currency in ("EUR", "GBP"):
        stated = spend.append_column("currency", pa.array([currency] * len(spend)))
        write_table(stated, tmp_path / f"{currency}.parquet")
    assert read_spend_file(tmp_path / "EUR.parquet", "EUR").rows.num_rows == len(spend)
    with pytest.raises(InputError, match="the spend table is in GBP, the scores are in EUR"):
        read_spend_file(tmp_path / "GBP.parquet", "EUR")
    assert read_spend_file(tmp_path / "GBP.parquet", "")


@pytest.fixture(scope="module")
def campaign(made):
    rules = Rules(bought_within=7, exclude=made.scores["customer_id"][:20].to_pylist())
    return plan_campaign(made.scores, Offer(1.0, 5.0), 300.0, rules=rules)


def test_targets_keep_what_differs_by_customer(made, campaign, tmp_path):
    for name in ("t.csv", "t.parquet"):
        write_table(campaign.table, tmp_path / name)
        found = of_targets(str(tmp_path / name), made.terms).tables["targets"]
        assert found.num_rows == campaign.table.num_rows
        assert {"customer_id", "action", "group", "rank"} <= set(found.column_names)
        assert not {"currency", "as_of", "model_version"} & set(found.column_names)


@pytest.mark.parametrize(
    ("column", "value", "error", "said"),
    [
        ("model_version", "other", ModelError, "of model other, these are of"),
        ("currency", "GBP", InputError, "targets is in GBP"),
        ("group", None, InputError, "has no column group"),
        ("as_of", "1999-01-01", None, "chosen by scores of 1 January 1999"),
    ],
)
def test_targets_of_other_scores_are_refused_or_told(
    made, campaign, tmp_path, column, value, error, said
):
    table = campaign.table.drop_columns([column])
    if value:
        table = table.append_column(column, pa.array([value] * len(table)))
    write_table(table, tmp_path / "t.parquet")
    if error is None:
        assert said in of_targets(str(tmp_path / "t.parquet"), made.terms).notes[0].text
        return
    with pytest.raises(error, match=said):
        of_targets(str(tmp_path / "t.parquet"), made.terms)


def test_eligible_is_whom_no_rule_bars(made, campaign, tmp_path):
    file = write_table(campaign.eligibility, tmp_path / "e.csv")
    shuffled = made.scores.take(np.random.default_rng(0).permutation(len(made.scores)))
    rows = with_eligibility(shuffled, str(file)).to_pandas().set_index("customer_id")
    listed = set(made.scores["customer_id"][:20].to_pylist())
    fresh = set(rows.index[rows["days_since_last"] <= 7])
    assert set(rows.index[~rows["eligible"]]) == listed | fresh
    assert set(rows.loc[sorted(listed), "reason"]) == {"on the list of exclusions"}
    assert set(rows.loc[sorted(fresh - listed), "reason"]) == {"bought within 7 days"}
    assert rows.loc[rows["eligible"], "reason"].isna().all()


def test_an_eligibility_that_does_not_fit_is_refused(made, campaign, tmp_path):
    some = write_table(campaign.eligibility.slice(5), tmp_path / "some.parquet")
    with pytest.raises(InputError, match="5 customers of the scores are not in"):
        with_eligibility(made.scores, str(some))
    with pytest.raises(InputError, match="has no column status"):
        with_eligibility(made.scores, made.file("scores.parquet"))
    own = made.scores.append_column("eligible", pa.array([True] * len(made.scores)))
    with pytest.raises(InputError, match="column eligible of their own"):
        with_eligibility(own, str(some))


REPORT = {
    "checks": [],
    "since": "2024-01-01",
    "until": "2024-03-31",
    "elapsed": "90 days",
    "customers": 5,
    "verdict": "ok",
}


def test_a_monitors_report_says_of_which_model_it_is(made, tmp_path):
    file = tmp_path / "m.json"
    for version, notes in ((made.scorer.version, 0), ("older", 1)):
        file.write_text(json.dumps(REPORT | {"model_version": version}))
        found = of_monitor(str(file), made.terms)
        assert found.documents["monitor"]["model_version"] == version
        assert len(found.notes) == notes
    for text in (json.dumps(REPORT), "[]", "7"):
        file.write_text(text)
        with pytest.raises(InputError, match="is no report of a monitor"):
            of_monitor(str(file), made.terms)


def test_offers_are_those_of_clv_offers_in_the_money_of_the_scores(made, tmp_path):
    row = {"rank": 1, "item": "tea", "kind": "new", "chance": 0.1, "spend": 5.0, "margin": 1.0}
    row |= {"customer_id": "c1", "value": 0.5, "because": "bought mugs", "currency": "XXX"}
    file = str(write_table(pa.Table.from_pylist([row]), tmp_path / "offers.parquet"))
    with pytest.raises(InputError, match="the table of offers is in XXX"):
        of_offers(file, {"currency": "GBP"})
    assert of_offers(file, {}).tables["next_offers"].to_pylist() == [row]
    without = pa.Table.from_pylist([row]).drop_columns(["because"])
    with pytest.raises(InputError, match="has no column because"):
        of_offers(str(write_table(without, tmp_path / "other.parquet")), {})


def test_contacts_are_of_customers_each_once(tmp_path):
    file = tmp_path / "contacts.csv"
    file.write_text("Customer_ID,Name,Email,Birthday\n1,Ann,ann@example.com,1 May\n2,Bob,,\n")
    table = of_contacts(str(file)).tables["contacts"]
    assert table.column_names == ["customer_id", "name", "email"]
    for text, said in (("customer_id\n1\n", "needs customer_id and one of"), (
        "customer_id,email\n1,ann@example.com\n1,bob@example.com\n", "1 rows of the contacts"
    )):  # fmt: skip
        file.write_text(text)
        with pytest.raises(ClvError, match=said) as refused:
            of_contacts(str(file))
        assert "example.com" not in str(refused.value)
