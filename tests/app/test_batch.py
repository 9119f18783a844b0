"""Batch scoring: the numbers of the scorer, whatever the file and however it is cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from clv.app import batch
from clv.app.batch import score_batch, score_log
from clv.data.summary import summarize
from clv.errors import InputError
from clv.probability.gamma_gamma import GammaGamma
from clv.scorer import CustomerScorer


@pytest.fixture(scope="module")
def summary(cdnow_clean: pd.DataFrame, cdnow_scorer: CustomerScorer) -> pa.Table:
    """With what the pooled forecast reads of the log."""
    log = pa.Table.from_pandas(cdnow_clean, preserve_index=False)
    return cdnow_scorer.churn.attach(summarize(log), log, cdnow_scorer.as_of, "week")


@pytest.fixture
def log_file(cdnow_clean: pd.DataFrame, tmp_path: Path) -> Path:
    """The orders in an order of their own, so that the file does not help."""
    path = tmp_path / "orders.parquet"
    cdnow_clean.drop(columns="orders").sample(frac=1, random_state=0).to_parquet(path)
    return path


def same(one: Any, other: Any) -> None:
    pd.testing.assert_frame_equal(one, other, rtol=1e-12, check_dtype=False)


def test_a_batch_scores_as_the_scorer_does(summary: pa.Table, cdnow_scorer: CustomerScorer) -> None:
    whole = cdnow_scorer.predict(summary).to_pandas()
    rows = np.random.default_rng(0).permutation(len(whole))[:500]
    part = summary.take(rows).combine_chunks().to_batches()[0]
    scores = score_batch(part, cdnow_scorer)
    assert isinstance(scores, pa.RecordBatch)
    same(scores.to_pandas(), whole.iloc[rows].reset_index(drop=True))


def test_an_empty_batch_gives_an_empty_batch_of_the_same_columns(
    summary: pa.Table, cdnow_scorer: CustomerScorer
) -> None:
    some = summary.combine_chunks().to_batches()[0]
    empty = score_batch(some.slice(0, 0), cdnow_scorer)
    assert empty.num_rows == 0
    assert empty.schema == score_batch(some, cdnow_scorer).schema


def test_spend_that_differs_by_channel_is_scored_in_batches(
    cdnow_clean: pd.DataFrame, cdnow_scorer: CustomerScorer
) -> None:
    table = summarize(cdnow_clean)
    table["channel"] = np.where(table["customer_id"] % 2, "search", "social")
    scorer = replace(cdnow_scorer, spend=GammaGamma(covariates=["channel"]).fit(table))
    batch = pa.RecordBatch.from_pandas(table)
    same(score_batch(batch, scorer).to_pandas(), scorer.predict(table))
    assert score_batch(batch.slice(0, 0), scorer).num_rows == 0


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_log_is_scored_in_order_of_the_customers(
    suffix: str,
    log_file: Path,
    summary: pa.Table,
    cdnow_scorer: CustomerScorer,
    tmp_path: Path,
) -> None:
    output = tmp_path / f"scores{suffix}"
    report = score_log(log_file, cdnow_scorer, output)
    scores = pd.read_parquet(output) if suffix == ".parquet" else pd.read_csv(output)
    expected = cdnow_scorer.predict(summary).to_pandas()
    scores["as_of"] = pd.to_datetime(scores["as_of"]).dt.date
    same(scores, expected.sort_values("customer_id", ignore_index=True))
    assert set(scores["model_version"]) == {cdnow_scorer.version}
    assert set(scores["as_of"].map(str)) == {"1998-06-30"}
    assert (report.customers, report.purchases) == (len(scores), len(pd.read_parquet(log_file)))


def test_many_small_batches_give_the_same_file(
    log_file: Path, cdnow_scorer: CustomerScorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_log(log_file, cdnow_scorer, tmp_path / "one.parquet")
    monkeypatch.setattr(batch, "ROWS", 100)
    steps: list[tuple[int, int]] = []
    score_log(
        log_file, cdnow_scorer, tmp_path / "many.parquet", progress=lambda *step: steps.append(step)
    )
    same(pd.read_parquet(tmp_path / "many.parquet"), pd.read_parquet(tmp_path / "one.parquet"))
    done, totals = zip(*steps, strict=True)
    assert len(steps) > 10
    assert list(done) == sorted(set(done))
    assert set(totals) == {done[-1]}


def test_ids_in_text_stay_as_they_are(cdnow_scorer: CustomerScorer, tmp_path: Path) -> None:
    log = tmp_path / "orders.csv"
    log.write_text(
        "Customer;OrderDate;Total\n007;1998-01-05;10.5\n007;1998-03-01;20\n7;1998-02-01;5\n",
        encoding="utf-8",
    )
    score_log(log, cdnow_scorer, tmp_path / "scores.parquet", columns={"customer_id": "Customer"})
    scores = pd.read_parquet(tmp_path / "scores.parquet")
    assert dict(zip(scores["customer_id"], scores["frequency"], strict=True)) == {"007": 1, "7": 0}


def test_what_comes_after_as_of_is_not_known(
    cdnow_clean: pd.DataFrame, cdnow_scorer: CustomerScorer, tmp_path: Path
) -> None:
    before = cdnow_clean[cdnow_clean["date"] <= pd.Timestamp("1997-12-31")]
    for name, log in (("all", cdnow_clean), ("before", before)):
        log.drop(columns="orders").to_parquet(tmp_path / f"{name}.parquet")
        score_log(
            tmp_path / f"{name}.parquet",
            cdnow_scorer,
            tmp_path / f"{name}_scores.parquet",
            as_of="1997-12-31",
        )
    scores = pd.read_parquet(tmp_path / "all_scores.parquet")
    same(scores, pd.read_parquet(tmp_path / "before_scores.parquet"))
    assert set(scores["as_of"].map(str)) == {"1997-12-31"}


def test_the_rules_of_cleaning_reach_the_log(cdnow_scorer: CustomerScorer, tmp_path: Path) -> None:
    log = tmp_path / "orders.csv"
    log.write_text("customer_id,date,amount\na,03/12/1997,10\na,01/02/1998,20\n", encoding="utf-8")
    with pytest.raises(InputError, match="with the day or with the month first"):
        score_log(log, cdnow_scorer, tmp_path / "scores.csv")
    report = score_log(log, cdnow_scorer, tmp_path / "scores.csv", date_format="%d/%m/%Y")
    assert (str(report.first_date), str(report.last_date)) == ("1997-12-03", "1998-02-01")


def test_who_stops_it_keeps_the_old_file(
    log_file: Path, cdnow_scorer: CustomerScorer, tmp_path: Path
) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    output = tmp_path / "scores.parquet"
    output.write_text("yesterday's")
    with pytest.raises(KeyboardInterrupt):
        score_log(log_file, cdnow_scorer, output, progress=stop)
    assert output.read_text() == "yesterday's"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["orders.parquet", "scores.parquet"]


def test_a_run_that_was_stopped_goes_on_part_by_part(
    monkeypatch: pytest.MonkeyPatch, log_file: Path, cdnow_scorer: CustomerScorer, tmp_path: Path
) -> None:
    monkeypatch.setattr(batch, "ROWS", 500)
    monkeypatch.setenv("CLV_THREADS", "1")
    made: list[int] = []

    def counted(rows: pa.RecordBatch, scorer: CustomerScorer) -> pa.RecordBatch:
        made.append(rows.num_rows)
        return score_batch(rows, scorer)

    def stop(done: int, total: int) -> None:
        if done >= 1500:
            raise KeyboardInterrupt

    whole, resumed = tmp_path / "whole.parquet", tmp_path / "resumed.parquet"
    monkeypatch.setattr(batch, "score_batch", counted)
    score_log(log_file, cdnow_scorer, whole)
    in_one_run = len(made)
    with pytest.raises(KeyboardInterrupt):
        score_log(log_file, cdnow_scorer, resumed, progress=stop)
    parts = sorted((tmp_path / ".resumed.parquet.parts").iterdir())
    assert len(parts) >= 3
    assert not resumed.exists()
    damaged = parts[0].read_bytes()
    parts[0].write_bytes(damaged[:-40] + b"x" + damaged[-39:])
    made.clear()
    score_log(log_file, cdnow_scorer, resumed)
    assert len(made) == in_one_run - len(parts) + 1  # the damaged one is made anew
    assert resumed.read_bytes() == whole.read_bytes()
    assert not (tmp_path / ".resumed.parquet.parts").exists()


def test_an_error_on_a_thread_is_the_callers(
    log_file: Path, cdnow_scorer: CustomerScorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise InputError("this batch cannot be scored")

    whole = batch.score_batch
    calls = iter([whole, fail])  # the first call asks for the columns
    monkeypatch.setattr(batch, "score_batch", lambda *args: next(calls)(*args))
    with pytest.raises(InputError, match="this batch cannot be scored"):
        score_log(log_file, cdnow_scorer, tmp_path / "scores.parquet")
    assert [file.name for file in tmp_path.iterdir()] == ["orders.parquet"]


@pytest.mark.parametrize("name", ["orders.parquet", "scores.xlsx"])
def test_the_output_must_be_another_file_of_a_known_kind(
    name: str, log_file: Path, cdnow_scorer: CustomerScorer, tmp_path: Path
) -> None:
    with pytest.raises(InputError):
        score_log(log_file, cdnow_scorer, tmp_path / name)
    assert len(pd.read_parquet(log_file)) > 0


def test_ids_that_a_spreadsheet_would_run_get_an_apostrophe_in_csv_alone(
    cdnow_scorer: CustomerScorer, tmp_path: Path
) -> None:
    ids = ["+49", "-1+1", "-12", "007", "=1+1", "@A1"]
    orders = pd.DataFrame({"customer_id": ids, "date": "1998-01-05", "amount": 10.5})
    orders.to_csv(tmp_path / "orders.csv", index=False)
    for name in ("scores.csv", "scores.parquet"):
        score_log(tmp_path / "orders.csv", cdnow_scorer, tmp_path / name)
    exact = pd.read_parquet(tmp_path / "scores.parquet")
    written = pd.read_csv(tmp_path / "scores.csv", dtype={"customer_id": str})
    assert exact["customer_id"].tolist() == sorted(ids)
    risky = {"+49", "-1+1", "=1+1", "@A1"}
    assert written["customer_id"].tolist() == [f"'{i}" if i in risky else i for i in sorted(ids)]
    numbers = exact.select_dtypes("number").columns
    same(written[numbers], exact[numbers])
