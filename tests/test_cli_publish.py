"""``clv publish`` and ``clv rollback`` as their user meets them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from clv.data.cdnow import END_OF_CALIBRATION, cdnow_log
from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.scorer import CustomerScorer
from clv.serve.store import Store

DAYS = {"then": str(END_OF_CALIBRATION), "now": "1998-06-30"}


@pytest.fixture(scope="module")
def home(cdnow_scorer: CustomerScorer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scoring runs, the log behind them with names of its own, the model, a table, a note."""
    folder = tmp_path_factory.mktemp("publish")
    raw = cdnow_log(sample=True)[["customer_id", "date", "amount"]]
    raw.rename(columns={"date": "bought"}).to_csv(folder / "log.csv", index=False)
    for name, day in DAYS.items():
        log, _ = clean(raw, as_of=day)
        cdnow_scorer.predict(summarize(log, as_of=day)).to_parquet(folder / f"{name}.parquet")
    cdnow_scorer.save(folder / "model")
    (folder / "channels.csv").write_text("channel,cac\nsearch,12.5\n")
    (folder / "note.json").write_text('{"by": "ann"}')
    (folder / "broken.json").write_text("{")
    return folder


@pytest.fixture
def publish(run, home, tmp_path):
    return lambda name, *words: run(
        "publish", home / f"{name}.parquet", "--to", tmp_path / "st", *words
    )


def test_what_is_published_is_the_run_with_its_orders_and_the_model(publish, home, tmp_path):
    words = ("--log", home / "log.csv", "-c", "date=bought", "--model", home / "model")
    named = ("--table", f"channels={home / 'channels.csv'}", "--document", f"n={home}/note.json")
    done = publish("then", *words, *named)
    assert done.code == 0, done.err
    scores = pd.read_parquet(home / "then.parquet").set_index("customer_id")
    orders = pd.read_csv(home / "log.csv", parse_dates=["bought"])
    mine = orders[(orders["customer_id"] == 1) & (orders["bought"] <= DAYS["then"])]
    assert f"{len(scores):,} customers as of {DAYS['then']}" in done.said
    assert f"Next: clv serve --store {tmp_path / 'st'}" in done.out
    with Store.open(tmp_path / "st") as store:
        assert store.totals().customers == len(scores)
        assert store.customer("1")["clv"] == pytest.approx(scores.loc[1, "clv"])
        assert sum(row["amount"] for row in store.orders_of("1")) == pytest.approx(
            mine["amount"].sum()
        )
        assert store.table("channels").to_pylist() == [{"channel": "search", "cac": 12.5}]
        assert store.document("n") == {"by": "ann"}
        assert store.document("model_card")["version"] == scores["model_version"].iloc[0]
        assert store.document("total")["mean"] == pytest.approx(scores["clv"].sum(), rel=1e-6)


def served(folder: Path) -> str:
    with Store.open(folder) as store:
        return str(store.terms["as_of"])


def test_the_run_before_is_one_command_away(run, publish, tmp_path):
    store = tmp_path / "st"
    publish("then")
    alone = run("rollback", store)
    assert alone.code == 3
    assert "no earlier store" in alone.failed
    publish("now")
    assert served(store) == DAYS["now"]
    back = run("rollback", store)
    assert back.code == 0
    assert "Now served: model" in back.said
    assert served(store) == DAYS["then"]
    run("rollback", store)
    assert served(store) == DAYS["now"]
    assert len(list((store / "stores").glob("*.duckdb"))) == 2


FAILURES = [
    (2, "is not NAME=FILE", ("--table", "channels.csv")),
    (3, "there is no file", ("--table", "channels=nowhere.csv")),
    (3, "is not JSON", ("--document", "note=broken.json")),
    (3, "there is no file", ("--log", "nowhere.csv")),
    (6, "holds no scorer.json", ("--model", ".")),
]


@pytest.mark.parametrize(("code", "said", "words"), FAILURES, ids=lambda case: str(case))
def test_what_fails_leaves_the_earlier_run_in_place(
    run, publish, home, monkeypatch, tmp_path, code, said, words
):
    publish("then")
    monkeypatch.chdir(home)
    ended = publish("now", *words)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.failed
    assert served(tmp_path / "st") == DAYS["then"]


def test_scores_of_another_model_are_not_published_with_this_card(run, home, tmp_path):
    scores = pd.read_parquet(home / "then.parquet").assign(model_version="1997-01-01-0")
    scores.to_parquet(tmp_path / "other.parquet")
    words = ("--to", tmp_path / "st", "--model", home / "model")
    ended = run("publish", tmp_path / "other.parquet", *words)
    assert ended.code == 6
    assert "score anew" in ended.failed
    assert run("rollback", tmp_path / "st").code == 3
