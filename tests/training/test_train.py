"""Training: an honest backtest, everything logged, and errors that a user can act on."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clv.app import mlflow_store, registry
from clv.app.training import backtest as judging
from clv.app.training import steps
from clv.app.training.backtest import MONEY, PURCHASES, Backtest, backtest
from clv.app.training.config import Config
from clv.app.training.evidence import worth_of_new
from clv.app.training.steps import read_training_log
from clv.cli.main import run as run_command
from clv.cli.screen import Screen
from clv.evaluate import holdout_table
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.simulate import simulate_brand
from clv.value.value import Terms
from training import train as recipe

ROOT = Path(__file__).resolve().parents[2]
RETAIL = ROOT / "training" / "online_retail.toml"
CUTOFF = dt.date(1997, 9, 30)


def config_of(path: Path, **sections: dict[str, Any]) -> Config:
    plain: dict[str, Any] = {"data": {"files": [str(path)]}, "holdout": {"cutoff": CUTOFF}}
    for name, fields in sections.items():
        plain[name] = plain.get(name, {}) | fields
    return Config.from_values(plain, Path("run.toml"))


def judge(log: pd.DataFrame, path: Path, **sections: dict[str, Any]) -> Backtest:
    """The backtest of a log, as the recipe runs it on a file."""
    log.to_parquet(path)
    config = config_of(path, **sections)
    data = read_training_log(config)
    return backtest(data.raw, data.clean, config)


@pytest.fixture(scope="module")
def cdnow(cdnow_clean: pd.DataFrame) -> pd.DataFrame:
    return cdnow_clean[["customer_id", "date", "amount"]]


@pytest.fixture(scope="module")
def judged(cdnow: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Backtest:
    return judge(cdnow, tmp_path_factory.mktemp("cdnow") / "log.parquet")


def test_the_holdout_holds_what_happened(judged: Backtest, cdnow: pd.DataFrame) -> None:
    """Against counting by hand, and the total that Fader and Hardie's papers print: 1882."""
    late = cdnow[pd.to_datetime(cdnow["date"]) > pd.Timestamp(CUTOFF)]
    assert judged.actual(PURCHASES).sum() == len(late) == 1882
    assert judged.actual(MONEY).sum() == pytest.approx(late["amount"].sum())
    assert judged.length == pytest.approx(39)
    assert judged.horizon == "39 weeks"
    assert judged.whole == pytest.approx((dt.date(1998, 6, 30) - dt.date(1997, 1, 1)).days / 7)


def test_the_model_is_fitted_on_the_calibration_alone(judged: Backtest) -> None:
    """The published estimates, but for the few orders without money that clean() leaves out."""
    assert judged.purchases.params_ == pytest.approx(
        {"r": 0.2426, "alpha": 4.414, "a": 0.793, "b": 2.426}, rel=0.03
    )
    again = BetaGeoNBD(unit="week").fit(judged.customers)
    expected = again.conditional_expected_purchases(39, judged.customers)
    np.testing.assert_allclose(judged.forecasts[PURCHASES]["BG/NBD"], expected)


def spoiled(cdnow: pd.DataFrame, refunds: bool) -> pd.DataFrame:
    """Another future: more and dearer orders, or every order of the last weeks undone later."""
    date = pd.to_datetime(cdnow["date"])
    late, last = date > pd.Timestamp(CUTOFF), date > pd.Timestamp("1997-09-01")
    if not refunds:
        extra = cdnow[late].assign(date=cdnow[late]["date"] - dt.timedelta(days=1))
        extra = extra[pd.to_datetime(extra["date"]) > pd.Timestamp(CUTOFF)]
        dearer = cdnow.assign(amount=cdnow["amount"].where(~late, 100 * cdnow["amount"]))
        return pd.concat([dearer, extra])
    undone = cdnow[last & ~late].assign(date=pd.Timestamp("1997-11-01"))
    return pd.concat([cdnow, undone.assign(amount=-undone["amount"])])


@pytest.mark.parametrize("refunds", [False, True])
def test_the_holdout_never_reaches_a_forecast(
    refunds: bool, judged: Backtest, cdnow: pd.DataFrame, tmp_path: Path
) -> None:
    other = judge(spoiled(cdnow, refunds), tmp_path / "log.parquet")
    assert other.digest != judged.digest or refunds
    for what in (PURCHASES, MONEY):
        for name, forecast in judged.forecasts[what].items():
            np.testing.assert_array_equal(other.forecasts[what][name], forecast)


def test_same_as_last_period_is_what_was_bought_then(
    judged: Backtest, cdnow: pd.DataFrame, tmp_path: Path
) -> None:
    """A holdout as long as the calibration, to the day, looks back on all of it; a day more not."""
    assert (
        judged.forecasts[PURCHASES]["same as last period"].sum()
        == (judged.customers["frequency"] + 1).sum()
    )
    earlier = judge(cdnow, tmp_path / "log.parquet", holdout={"cutoff": dt.date(1997, 9, 29)})
    assert "same as last period" not in earlier.forecasts[PURCHASES]
    shorter = judge(cdnow, tmp_path / "log.parquet", holdout={"end": dt.date(1997, 12, 31)})
    days = (dt.date(1997, 12, 31) - CUTOFF).days
    day = pd.to_datetime(cdnow["date"])
    start = pd.Timestamp(CUTOFF) - pd.Timedelta(days=days)
    recent = cdnow[(day > start) & (day <= pd.Timestamp(CUTOFF))]
    by_hand = recent.groupby("customer_id")["amount"].agg(["size", "sum"])
    by_hand = by_hand.reindex(shorter.customers["customer_id"]).fillna(0)
    counted = shorter.forecasts[PURCHASES]["same as last period"]
    spent = shorter.forecasts[MONEY]["same as last period"]
    np.testing.assert_array_equal(counted, by_hand["size"])
    np.testing.assert_allclose(spent, by_hand["sum"])
    assert counted.sum() > 0


def test_the_figures_are_those_of_the_table(judged: Backtest) -> None:
    figures = judged.figures()
    model = judged.table(MONEY).iloc[0]
    assert figures["money/gini/model"] == model["gini"]
    assert figures["money/bias/own_past_rate"] == judged.table(MONEY).iloc[1]["bias"]
    assert all(np.isfinite(value) for value in figures.values())
    counts = judged.actual(PURCHASES).astype(int)
    chances = judged.purchases.probability_of_purchases(
        np.arange(counts.max() + 1), 39, judged.customers
    )
    score = -np.log(chances[np.arange(len(counts)), counts]).mean()
    assert figures["purchases/log_score/model"] == pytest.approx(score)


def test_tracking_adds_up_customer_by_customer(judged: Backtest, cdnow: pd.DataFrame) -> None:
    tracked = judged.tracking()
    end = pd.Timestamp("1997-01-01") + pd.Timedelta(weeks=tracked["time"].iloc[-1])
    assert end == pd.Timestamp("1998-06-24")  # the last whole week
    seen = cdnow[pd.to_datetime(cdnow["date"]) <= end]
    repeats = len(seen) - seen["customer_id"].nunique()
    assert tracked["actual_cumulative"].iloc[-1] == repeats
    ages = (end - pd.to_datetime(cdnow.groupby("customer_id")["date"].min())).dt.days / 7
    expected = judged.purchases.expected_purchases(ages.to_numpy()).sum()
    assert tracked["expected_cumulative"].iloc[-1] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("totals", "said"),
    [
        ((80.0, 70.0, 60.0), ["20% short", "season"]),
        ((80.0, 105.0, 60.0), ["20% short"]),
        ((130.0, 120.0, 140.0), ["30% over", "season"]),
        ((95.0, 10.0, 20.0), []),
    ],
)
def test_a_total_far_off_is_said_in_words(
    judged: Backtest, totals: Sequence[float], said: list[str]
) -> None:
    names = ("model", "own past rate", "population mean")
    rows = {name: np.full(10, total / 10) for name, total in zip(names, totals, strict=True)}
    table = holdout_table(np.full(10, 10.0), rows)
    words = [str(each) for each in judging.total_findings(table, PURCHASES, judged)]
    assert len(words) == len(said)
    assert all(part in sentence for part, sentence in zip(said, words, strict=True))


def test_the_digest_tells_holdouts_apart(
    judged: Backtest, cdnow: pd.DataFrame, tmp_path: Path
) -> None:
    shuffled = cdnow.sample(frac=1, random_state=0)
    assert judge(shuffled, tmp_path / "a.parquet").digest == judged.digest
    end = dt.date(1998, 3, 31)
    assert judge(cdnow, tmp_path / "a.parquet", holdout={"end": end}).digest != judged.digest


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("cutoff = 2011-08-31", "cutoff = 2021-08-31"),
            "is not within the log, 2010-12-01 to 2011-12-09. Hint: leave a few usual gaps between "
            "purchases on either side of it: try 2011-09-09.",
        ),
        (('date = "ts"', 'date = "when"'), "the file has no column 'when'"),
        (("orders.parquet", "order.parquet"), "did you mean"),
        (('"merge"', '"maybe"'), "data.same_day"),
    ],
)
def test_a_users_mistake_ends_in_a_sentence_and_exit_code_3(
    change: tuple[str, str], said: str, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = RETAIL.read_text(encoding="utf-8").replace("../data", str(ROOT / "data"))
    assert change[0] in text
    (tmp_path / "run.toml").write_text(text.replace(*change), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    done = run("train", "--config", "run.toml", "--quiet")
    assert done.code == 3, done.err
    assert said in " ".join(done.err.split())
    assert done.err.startswith("Error: ")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.toml"]


def test_a_fault_is_a_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(recipe.Config, "read", fail)
    monkeypatch.setattr(sys, "argv", ["train", "--config", "x.toml"])
    with pytest.raises(SystemExit) as ended:
        run_command(recipe.main, recipe.NAME)
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in said
    assert "--debug" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(("rate", "what"), [(0.3, "contribution margin"), (1.0, "revenue")])
def test_the_worth_of_a_new_customer_says_what_it_counts(
    published_scorer: Any, rate: float, what: str
) -> None:
    scorer = published_scorer(
        Terms(rate, horizon=Duration(2, "year"), currency="GBP"), "1997-09-30"
    )
    said = worth_of_new(scorer)
    assert re.fullmatch(rf"CLV £[\d.]+ of {what} over 2 years, first purchase included", said)


@pytest.mark.slow
def test_a_brand_with_channels_margins_and_ids_of_text(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    brand = simulate_brand(customers=1500, seed=1)
    orders = brand.orders.assign(customer_id="c" + brand.orders["customer_id"].astype(str))
    orders.to_csv(tmp_path / "orders.csv", index=False)
    cutoff = (pd.Timestamp(brand.as_of) - pd.Timedelta(weeks=26)).date()
    config = config_of(
        tmp_path / "orders.csv",
        holdout={"cutoff": cutoff, "origins": 1},
        terms={"margin_rate": "measured", "currency": "EUR"},
        model={"name": "brand"},
    )
    version = recipe.train(config, Screen()).version
    scorer = registry.load_scorer("models:/brand@challenger")
    assert scorer.terms.margin_source == "measured"
    assert scorer.terms.margin_rate == pytest.approx(brand.margin, rel=1e-3)
    assert scorer.version == version.tags["model_version"]
    assert "Next: clv promote --model brand" in capsys.readouterr().out


@pytest.mark.slow
def test_clv_train_on_online_retail(store: Path, tmp_path: Path) -> None:
    """As a user runs it, from another folder: all is logged, and what is said is true."""
    command = [sys.executable, "-m", "clv", "train", "--config", str(RETAIL)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    said = " ".join(done.stdout.split())
    assert "a goes to zero" in said  # the boundary, in words
    assert "runs 23% short" in said
    assert "Every naive forecast runs short too" in said
    assert "a naive forecast wins on error per customer and total" in said
    assert "Next: clv promote --model clv" in said
    found = registry.registered("challenger")
    assert found is not None
    assert [file.name for file in tmp_path.iterdir()] == ["store"]
    _check_figures(found)
    _check_run(found)
    _check_files(store / "artifacts" / found.run_id / "artifacts", found)


def _check_run(found: registry.Registered) -> None:
    """Ten figures lead, the rest stands apart; the run says in words what it found."""
    with mlflow_store.connect() as mlflow:
        client = mlflow.MlflowClient()
        run = client.get_run(found.run_id)
        home = client.get_experiment(run.info.experiment_id)
    leading = {name: of for name, of in run.data.metrics.items() if not name.startswith("all/")}
    assert len(leading) == 10
    assert leading["money_gini"] == run.data.metrics["all/money/gini/model"]
    aucs = {of for name, of in found.metrics.items() if name.startswith("churn/auc/")}
    assert leading["churn_auc"] in aucs
    assert home.tags["mlflow.experimentKind"] == "custom_model_development"
    said = run.data.tags["mlflow.note.content"]
    assert "16,563 purchases by 4,324 customers as of 9 December 2011" in said
    assert "Held out, money from 31 August 2011" in said


def _check_figures(found: registry.Registered) -> None:
    assert found.tags["converged"] == "True"
    assert "a goes to zero" in found.tags["findings"]
    data = ROOT / "data" / "online_retail_orders.parquet"
    assert found.tags["log_sha256"] == hashlib.sha256(data.read_bytes()).hexdigest()
    assert found.metrics["data/customers"] == 4324
    assert found.metrics["purchases/bias/model"] == pytest.approx(-0.234, abs=0.001)
    assert found.metrics["money/gini/model"] > found.metrics["money/gini/own_past_rate"]
    assert found.metrics["money/rmse/model"] > found.metrics["money/rmse/same_as_last_period"]
    assert found.metrics["churn/auc/P_no_purchase_in_h"] > 0.7
    assert found.params["holdout.cutoff"] == "2011-08-31"
    assert found.params["model.purchase_model"] == "auto"
    for measure, better in (
        ("log_score", min),
        ("gini", max),
    ):  # the chosen model beats all of them
        rolling = {name: found.metrics[f"rolling/purchases/{measure}/{name}"] for name in ROLLED}
        assert better(rolling, key=rolling.__getitem__) == "BG_NBD"


ROLLED = ("BG_NBD", "own_past_rate", "population_mean", "recency_rule", "same_as_last_period")


def _check_files(folder: Path, found: registry.Registered) -> None:
    plots = {"calibration", "deciles", "tracking", "increments", "gain_purchases", "gain_money"}
    plots |= {"rolling_", "coverage", "alive", "expected", "lorenz", "values"}
    plots |= {"heterogeneity_1", "heterogeneity_2"}
    files = list(folder.glob("plots/*.svg"))
    assert {re.sub(r"\d{4}-\d\d-\d\d$", "", file.stem) for file in files} == plots
    assert all(file.read_text(encoding="utf-8").startswith("<svg ") for file in files)
    card = json.loads((folder / "model_card.json").read_text())
    assert card["version"] == found.tags["model_version"]
    holdout = card["training"]["holdout"]
    assert (holdout["cutoff"], holdout["model"]) == ("2011-08-31", "MBG/CNBD-k")
    assert card["training"]["purchase_model"]["model"] == "bg_nbd"
    assert len(holdout["rolling"]["misses"]["money"]["log_ratios"]) == 3
    table = pd.read_csv(folder / "rolling" / "table.csv")
    assert table["cutoff"].nunique() == 3
    coverage = pd.read_csv(folder / "rolling" / "coverage_in_use.csv")
    customers = coverage[coverage["what"].str.endswith("of customers")]
    np.testing.assert_allclose(customers["randomized"], customers["nominal"], atol=0.02)
    assert "it is the simpler model" in (folder / "purchase_model.txt").read_text()
    assert json.loads((folder / "data_report.json").read_text())["rows_in"] == 22190
    assert "refund" in (folder / "data_report.txt").read_text()
    assert json.loads((folder / "config.json").read_text())["model"]["unit"] == "week"
    table = pd.read_csv(folder / "holdout" / "money.csv")
    assert table["gini"].iloc[0] == pytest.approx(found.metrics["money/gini/model"])


def test_the_calendar_of_a_config_tells_the_total_what_was_known_then(
    cdnow: pd.DataFrame, tmp_path: Path
) -> None:
    of_1996 = {f"1996-{month:02}": 300.0 if month > 9 else 100.0 for month in range(1, 13)}
    of_1997 = {f"1997-{month:02}": 1.0 for month in range(1, 13)}
    plain, told, hindsight = (
        judge(cdnow, tmp_path / "log.parquet", calendar={"totals": totals}).origin.calibration
        for totals in ({}, of_1996, of_1996 | of_1997)
    )
    days = 92 * 3 + 181  # three times as much in the last quarter of the 273 days ahead
    assert 1.4 < told.total.mean / plain.total.mean < days / 273
    assert told.level == told.total.factor
    assert plain.level == 1.0
    assert hindsight.calendar.months[11] > 2 * hindsight.calendar.months[0]


def test_of_many_customers_a_sample_is_judged(
    cdnow: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same customers in every order of the rows, with all of their orders; it is said."""
    monkeypatch.setattr(steps, "JUDGED", 500)
    shuffled = cdnow.sample(frac=1, random_state=1)
    logs = []
    for place, log in enumerate((cdnow, shuffled)):
        log.to_parquet(file := tmp_path / f"{place}.parquet")
        logs.append(read_training_log(config_of(file)))
    sampled, again = (log.clean.to_pandas() for log in logs)
    assert set(sampled["customer_id"]) == set(again["customer_id"])
    assert 400 < sampled["customer_id"].nunique() < 600
    theirs = cdnow[cdnow["customer_id"].isin(sampled["customer_id"])]
    assert len(theirs) == len(sampled) == len(logs[0].raw)
    assert len(logs[0].purchases) == len(cdnow)
    scorer = steps.fit_scorer(logs[0], steps.judge(logs[0], config_of(file)), config_of(file))
    assert scorer.training is not None
    assert scorer.training["customers"] == cdnow["customer_id"].nunique()
    assert "of 2,349 customers" in scorer.card()["training"]["judged_on"]


def test_a_sample_is_judged_as_the_whole_within_the_error_that_it_states(
    judged: Backtest, cdnow: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its totals against those of all; the error against that of samples drawn by bootstrap."""
    cdnow.to_parquet(file := tmp_path / "log.parquet")
    config = config_of(file)
    monkeypatch.setattr(steps, "JUDGED", 1000)
    of_sample = steps.judge(read_training_log(config), config)
    n = len(of_sample.customers)
    assert 900 < n < 1100
    draws = np.random.default_rng(0).integers(n, size=(2000, n))
    for what in (PURCHASES, MONEY):
        sample, whole = (each.table(what).iloc[0] for each in (of_sample, judged))
        error = of_sample.sampling_error(what)
        assert abs(sample["bias"] - whole["bias"]) < 2 * error
        expected, actual = of_sample.forecasts[what][of_sample.names[what]], of_sample.actual(what)
        resampled = expected[draws].sum(axis=1) / actual[draws].sum(axis=1)
        assert error == pytest.approx(resampled.std(), rel=0.1)
        said = f"These are {n:,} customers of a sample of the log's 2,349: the total of all may be"
        assert said in of_sample.verdict(what)
        assert said not in judged.verdict(what)
        assert said in "".join(map(str, of_sample.to_dict("BG/NBD")["verdict"][what]))


def test_all_are_judged_where_there_are_no_more_than_a_sample(
    cdnow: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "JUDGED", cdnow["customer_id"].nunique())
    cdnow.to_parquet(file := tmp_path / "log.parquet")
    data = read_training_log(config_of(file))
    assert (data.sampled_of, data.judged_on) == (0, "")
    assert data.clean.equals(data.purchases.to_arrow_table())
    assert len(data.raw) == len(cdnow)
