"""Streams, datasets and Delta tables give what the same table in PyArrow gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest
from pyarrow import dataset, parquet

import clv
from clv.data.cdnow import cdnow_log
from clv.errors import InputError


@pytest.fixture(scope="module")
def log() -> pa.Table:
    return pa.table(cdnow_log(sample=True)[["customer_id", "date", "amount"]])


def as_dataset(log: pa.Table, folder: Path) -> Any:
    half = len(log) // 2
    for part, rows in enumerate((log.slice(0, half), log.slice(half))):
        parquet.write_table(rows, folder / f"{part}.parquet")
    return dataset.dataset(folder)


def as_delta(log: pa.Table, folder: Path) -> Any:
    deltalake.write_deltalake(folder, log)
    deltalake.write_deltalake(folder, log.slice(0, 7), mode="append")
    table = deltalake.DeltaTable(folder)
    table.restore(0)  # the seven rows are in its files, and no part of it
    return table


KINDS: list[Callable[[pa.Table, Path], Any]] = [
    lambda log, _: log.to_reader(500),
    as_dataset,
    lambda log, folder: as_dataset(log, folder).scanner(batch_size=500).to_reader(),
    as_delta,
]


@pytest.mark.parametrize("kind", KINDS, ids=["reader", "dataset", "scanner", "delta"])
def test_a_log_of_any_kind_gives_the_same_scores(kind, log, published_scorer, tmp_path):
    want, report = clv.clean(log)
    got, of_kind = clv.clean(kind(log, tmp_path))
    assert of_kind == report
    summary = clv.summarize(kind(want, tmp_path / "clean") if kind is KINDS[0] else got)
    rows = summary.order("customer_id").to_arrow_table()
    expected = clv.summarize(want).sort_by("customer_id")
    assert rows.select(expected.column_names).to_pydict() == expected.to_pydict()
    scorer = published_scorer(clv.Terms(0.3, currency="USD"), "1998-06-30")
    assert isinstance(scorer, clv.CustomerScorer)  # a public name, whose calls look at tables
    scores = scorer.predict(rows.to_reader()).order("customer_id").to_arrow_table()
    assert scores["clv"].to_pylist() == scorer.predict(expected)["clv"].to_pylist()


def test_an_estimator_takes_them(log, tmp_path):
    summary = clv.summarize(clv.clean(log)[0])
    want = clv.BetaGeoNBD().fit(summary).params_
    parquet.write_table(summary, tmp_path / "summary.parquet")
    assert clv.BetaGeoNBD().fit(dataset.dataset(tmp_path)).params_ == want


def test_a_delta_table_that_cannot_be_read_says_what_to_hand_over(log, tmp_path, monkeypatch):
    table = as_delta(log, tmp_path)

    def refuse(self: object) -> None:
        raise RuntimeError("reader version 3 is not supported.\nmore")

    monkeypatch.setattr(deltalake.DeltaTable, "to_pyarrow_dataset", refuse)
    with pytest.raises(InputError, match="reader version 3 is not supported") as caught:
        clv.clean(table)
    assert "to_pyarrow_table" in str(caught.value.hint)
