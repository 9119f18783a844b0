"""``clv publish`` and ``clv rollback`` as their user meets them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from clv.app.budget_plan import published, solve
from clv.app.simulated_brand import write_brand
from clv.churn.model import ChurnModel
from clv.data.cdnow import END_OF_CALIBRATION, cdnow_log
from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.errors import ModelError
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.gamma_gamma import GammaGamma
from clv.scorer import CustomerScorer
from clv.simulate import simulate_brand
from clv.store import Store
from clv.value.value import Terms

DAYS = {"then": str(END_OF_CALIBRATION), "now": "1998-06-30"}


@pytest.fixture(scope="module")
def home(cdnow_scorer: CustomerScorer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scoring runs, the log behind them with names of its own, the model, a table, a note."""
    folder = tmp_path_factory.mktemp("publish")
    raw = cdnow_log(sample=True)[["customer_id", "date", "amount"]]
    raw.rename(columns={"date": "bought"}).to_csv(folder / "log.csv", index=False)
    for name, day in DAYS.items():
        log, _ = clean(raw, as_of=day)
        wide = cdnow_scorer.churn.attach(summarize(log, as_of=day), log, day, "week")
        cdnow_scorer.predict(wide).to_parquet(folder / f"{name}.parquet")
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


@pytest.fixture(scope="module")
def brand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a small simulated brand, with a model that was trained a quarter ago."""
    folder = tmp_path_factory.mktemp("brand")
    made = simulate_brand(seed=5, customers=3000)
    write_brand(made, folder / "brand", seed=5)
    then = (made.as_of - pd.Timedelta(weeks=13)).date()
    log, _ = clean(made.orders)
    summary = summarize(log, as_of=then)
    scorer = CustomerScorer(
        purchases=BetaGeoNBD(unit="week").fit(summary),
        spend=GammaGamma().fit(summary),
        churn=ChurnModel(Duration(13, "week"), None, "no pool was asked for"),
        terms=Terms(0.35, 0.10, Duration(3, "year"), "EUR"),
        unit="week",
        as_of=str(then),
    )
    scorer.save(folder / "model")
    return folder


PLANNED = """
budget = 9000
periods = 13
[curves]
spend = "brand/spend.csv"
log = "brand/orders.csv"
model = "model"
[retention]
scores = "scores.parquet"
contact_cost = 1
"""
WRITTEN = {"targets": "targets.csv", "eligibility": "who.csv", "monitor": "monitor.json"}


@pytest.mark.slow
def test_every_command_fills_its_part_of_the_pages(run, brand, monkeypatch):
    monkeypatch.chdir(brand)
    Path("plan.toml").write_text(PLANNED)
    orders = ("brand/orders.csv", "--model", "model")
    assert run("score", *orders, "-o", "scores.parquet").code == 0
    cost = ("--contact-cost", 1, "--budget", 200, "--bought-within", 7)
    files = ("-o", WRITTEN["targets"], "--eligibility", WRITTEN["eligibility"])
    assert run("targets", "scores.parquet", *cost, *files).code == 0
    assert run("monitor", *orders, "-o", WRITTEN["monitor"]).code in (0, 8)
    words = ("publish", "scores.parquet", "--log", *orders, "--to", "store")
    spend, plan = ("--spend", "brand/spend.csv"), ("--plan", "plan.toml")
    given = [word for option, file in WRITTEN.items() for word in (f"--{option}", file)]
    done = run(*words, *spend, *plan, *given)
    assert done.code == 0, done.err
    best = pd.read_csv(WRITTEN["targets"]).iloc[0]
    with Store.open("store") as store:
        assert store.tables == ("channels", "cohorts", "curves", "model_files", "targets")
        documents = {"data_report", "model_card", "monitor", "plan", "repeat_revenue", "terms"}
        documents |= {"concentration", "total", "order_months", "plan_draws", "run_figures"}
        documents.add("stated_plan")  # which a publish from the page takes along
        assert documents == set(store.documents)
        (row,) = store.rows_of("targets", str(best["customer_id"]))
        assert (row["group"], row["cost"]) == (best["group"], pytest.approx(best["cost"]))
        reasons = {row["segment"]: row["customers"] for row in store.segments()["reason"]}
        who = pd.read_csv(WRITTEN["eligibility"])
        assert reasons["bought within 7 days"] == (who["reason"] == "bought within 7 days").sum()
        assert store.table("channels")["cac"].null_count == 1  # of organic
        plan = store.document("plan")
        assert (plan["budget"], plan["retention"]["contact_cost"]) == (9000, 1)
        assert solve(store, published(store), published(store).setting).allocation.profit > 0


WRONG = [
    (3, "the spend table is in GBP, the scores are in USD", "--spend", "pounds.csv"),
    (3, "is no report of a monitor", "--monitor", "note.json"),
    (3, "there is no plan nowhere.toml", "--plan", "nowhere.toml"),
    (3, "the plan is in GBP, the scores are in USD", "--plan", "pounds.toml"),
    (3, "has no column customer_id", "--targets", "channels.csv"),
    (3, "has no column customer_id", "--eligibility", "channels.csv"),
    (3, "says how to clean a log", "--date-format", "%d.%m.%Y"),
]
POUNDS = """
currency = "GBP"
[[channels]]
name = "a"
value = 60
current = 100
response = { curve = "power", k = 1, b = 0.5 }
"""


@pytest.mark.parametrize(("code", "said", "option", "file"), WRONG, ids=lambda case: str(case))
def test_what_does_not_fit_the_scores_is_refused(
    run, publish, home, monkeypatch, tmp_path, code, said, option, file
):
    (home / "pounds.csv").write_text(
        "channel,period,spend,new_customers,currency\nsearch,2024-01,10,2,GBP\n"
    )
    (home / "pounds.toml").write_text(POUNDS)
    publish("then")
    monkeypatch.chdir(home)
    ended = publish("now", option, file)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.failed
    assert served(tmp_path / "st") == DAYS["then"]


def test_nothing_is_given_twice(publish, home):
    ended = publish("then", "--plan", "p.toml", "--document", f"plan={home / 'note.json'}")
    assert ended.code == 3
    assert "plan is given twice" in ended.failed


FAILURES = [
    (2, "is not NAME=FILE", ("--table", "channels.csv")),
    (3, "there is no file", ("--table", "channels=nowhere.csv")),
    (3, "is no valid JSON", ("--document", "note=broken.json")),
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


@pytest.mark.parametrize(("section", "name"), [('[model]\nname = "shop"\n', "shop"), ("", "clv")])
def test_the_model_in_use_is_of_the_name_that_the_file_says(
    run, tmp_path, monkeypatch, section, name
):
    def refuse(uri):
        raise ModelError(f"asked for {uri}")

    monkeypatch.setattr("clv.app.registry.load_scorer", refuse)
    file = tmp_path / "shop.toml"
    file.write_text(f'[data]\nfiles = "orders.csv"\n{section}')
    assert f"asked for models:/{name}@champion" in run("publish", "--config", file).err
