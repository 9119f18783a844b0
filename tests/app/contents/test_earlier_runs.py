"""Weekly publishing keeps what the next run needs, and says what changed since each run before."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from clv.app.publishing import RunFiles, publish_run
from clv.data.summary import summarize
from clv.findings import sentence_of
from clv.io.files import write_table
from clv.monitoring.change_report import MOVERS, change_findings
from clv.probability.bg_nbd import BetaGeoNBD
from clv.store import Store, rollback

WEEKS = 3


@pytest.fixture(scope="module")
def weekly(made, tmp_path_factory):
    """Three weekly runs of one store, the last by another model; the totals as published."""
    folder, totals = tmp_path_factory.mktemp("weekly"), []
    end = pd.Timestamp(made.terms["as_of"])
    log = made.log.to_pandas()
    for week in range(WEEKS):
        day = end - pd.Timedelta(weeks=WEEKS - 1 - week)
        scorer = made.scorer
        if week == WEEKS - 1:
            fitted = scorer.purchases.params_
            other = BetaGeoNBD.from_params(fitted | {"a": fitted["a"] * 1.1}, unit="week")
            scorer = replace(scorer, purchases=other)
        scores = scorer.predict(summarize(log, as_of=day, unit="week"))
        write_table(scores, folder / "scores.parquet")
        files = RunFiles(log=made.file("orders.csv"))
        publish_run(str(folder / "scores.parquet"), folder / "store", files, scorer=scorer)
        totals.append(scores["clv"].sum())
    return folder / "store", totals


def document(folder):
    with Store.open(folder) as store:
        return store.document("changes")


def test_a_first_run_has_nothing_to_compare_with(made, tmp_path):
    publish_run(made.file("scores.parquet"), tmp_path / "store", scorer=made.scorer)
    assert document(tmp_path / "store") is None


def test_each_run_before_is_compared_to_the_cent(weekly):
    folder, totals = weekly
    records = document(folder)
    assert len(records) == WEEKS - 1
    for back, record in enumerate(records, 1):
        then = totals[WEEKS - 1 - back]
        assert record["before"] == round(then, 2)
        assert record["after"] == round(totals[-1], 2)
        added = round(sum(record["amounts"].values()), 2)
        assert added == round(record["after"] - record["before"], 2)
        assert record["amounts"]["model"] != 0  # by the last run alone
        assert record["amounts"]["other"] == 0
        assert record["customers_after"] == record["customers_before"] + record["new"]
        assert record["since"] < record["until"]
    since = [record["since"] for record in records]
    assert since == sorted(since, reverse=True)


def test_movers_are_todays_customers_with_what_they_were_worth_then(weekly):
    folder, _ = weekly
    with Store.open(folder) as store:
        records, values = store.document("changes"), store.table("run_values").to_pandas()
        for number, record in enumerate(records, 1):
            assert len(record["movers"]) == 2 * MOVERS
            for row in record["movers"]:
                assert row["after"] == round(store.customer(row["customer_id"])["clv"], 2)
                then = values.loc[values["customer_id"] == row["customer_id"]]
                assert row["before"] == round(then[f"run_{number}"].item(), 2)
        first = records[0]["movers"][0]
        assert first["because"] in records[0]["amounts"]


def test_three_sentences_from_findings(weekly):
    record = document(weekly[0])[0]
    says = [sentence_of(each.to_dict(), "EUR") for each in change_findings(record, "EUR")]
    assert len(says) == 3
    assert "than on" in says[0]
    assert says[1].startswith("What added most was ")
    assert "expected." in says[2]


def test_publishing_the_same_run_again_keeps_its_comparison(weekly, made):
    folder, _ = weekly
    before = document(folder)
    scorer = made.scorer
    scores = folder.parent / "scores.parquet"
    fitted = scorer.purchases.params_
    other = BetaGeoNBD.from_params(fitted | {"a": fitted["a"] * 1.1}, unit="week")
    again = replace(scorer, purchases=other)
    publish_run(str(scores), folder, RunFiles(log=made.file("orders.csv")), scorer=again)
    assert document(folder) == before
    rollback(folder)
    assert document(folder) == before


def test_what_cannot_be_split_is_said(made, tmp_path):
    folder = tmp_path / "store"
    log = made.log.to_pandas()
    early = made.scorer.predict(summarize(log, as_of="2024-06-30", unit="week"))
    write_table(early, tmp_path / "early.parquet")
    publish_run(str(tmp_path / "early.parquet"), folder)
    done = publish_run(made.file("scores.parquet"), folder, scorer=made.scorer)
    assert any(note.code == "changes.no_model" for note in done.notes)
    (record,) = document(folder)
    moved = {name for name, amount in record["amounts"].items() if amount}
    assert moved == {"new", "other"}
    back = publish_run(str(tmp_path / "early.parquet"), folder)  # of an earlier day
    assert any(note.code == "changes.not_split" for note in back.notes)
    assert document(folder) is None
