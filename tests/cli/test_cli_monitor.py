"""``clv monitor`` as its user meets it: what came, the verdict, the exit code, what is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from scipy.special import hyp2f1

from clv.app.registry import read_logged
from clv.data.cdnow import END_OF_CALIBRATION, cdnow_log
from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.periods import Duration
from clv.scorer import CustomerScorer
from clv.value.value import Terms

SINCE, UNTIL = str(END_OF_CALIBRATION), "1998-06-30"
# A backtest that was far off: log(actual / predicted) of money at each of four cutoffs.
RATIOS = {"log_ratios": [0.3, -0.2, 0.25, -0.1], "explained": 0.05}
MISSES = {"days": 91, "misses": {"money": RATIOS}}


@pytest.fixture(scope="module")
def scorer(published_scorer) -> CustomerScorer:
    """The published CDNOW parameters; in 39 weeks 14% more purchases came, 18% more revenue."""
    return published_scorer(Terms(0.3, 0.15, Duration(3, "year"), "USD"), SINCE)


@pytest.fixture(scope="module")
def home(scorer, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("monitor")
    scorer.save(folder / "model")
    replace(scorer, training={"holdout": {"rolling": MISSES}}).save(folder / "tested")
    raw = cdnow_log(sample=True)[["customer_id", "date", "amount"]]
    raw.to_csv(folder / "log.csv", index=False)
    raw.rename(columns={"date": "bought"}).to_csv(folder / "renamed.csv", index=False)
    for name, day in (("then", SINCE), ("now", UNTIL)):
        log, _ = clean(raw, as_of=day)
        scorer.predict(summarize(log, as_of=day)).to_parquet(folder / f"{name}.parquet")
    return folder


@pytest.fixture
def watch(run, home):
    words = ("monitor", home / "log.csv", "--model", home / "model", "--tolerance", "0.2")
    return lambda *more: run(*words, "--scores", home / "then.parquet", *more)


def expected_purchases(past: pd.DataFrame, t: float) -> pd.Series:
    """Fader, Hardie and Lee (2005), equation 10."""
    r, alpha, a, b = 0.2426, 4.4136, 0.7929, 2.4259
    x, t_x, T = (past[name] for name in ("frequency", "recency", "T"))
    f = hyp2f1(r + x, b + x, a + b + x - 1, t / (alpha + T + t))
    bought = 1 - ((alpha + T) / (alpha + T + t)) ** (r + x) * f
    left = (x > 0) * a / (b + x - 1).clip(lower=1) * ((alpha + T) / (alpha + t_x)) ** (r + x)
    return (a + b + x - 1) / (a - 1) * bought / (1 + left)


def test_what_came_against_what_was_expected(watch, home):
    report = watch("--json").json
    purchases, value = report["checks"][:2]
    log, _ = clean(pd.read_csv(home / "log.csv", parse_dates=["date"]))
    log = log[pd.to_datetime(log["date"]) > SINCE]
    assert purchases["actual"] == len(log)
    assert value["actual"] == pytest.approx(log["amount"].sum())
    past = summarize(clean(cdnow_log(sample=True), as_of=SINCE)[0], as_of=SINCE)
    assert purchases["expected"] == pytest.approx(expected_purchases(past, 39).sum())
    assert (report["since"], report["until"], report["elapsed"]) == (SINCE, UNTIL, "273 days")
    assert report["verdict"] == "watch"


def test_a_person_reads_figures_verdicts_and_what_they_rest_on(watch, tmp_path):
    shown = watch("-o", tmp_path / "m.json")
    assert shown.code == 0
    report = json.loads((tmp_path / "m.json").read_text())
    assert f"Model {report['model_version']}: watch" in shown.said
    for check in report["checks"][:2]:
        figures = (check[name] for name in ("expected", "actual"))
        assert " ".join(f"{figure:,.0f}" for figure in figures) in shown.said
        assert f"{check['low']:,.0f}–{check['high']:,.0f}" in shown.said
    assert "revenue, USD" in shown.said
    for line in (
        "frequency 0.07 10.0% 2,349 2,349 ok",
        "recency 0.36 27% 2,349 2,349 watch",
        "T 7.75 100% 2,349 2,349 watch",
        "monetary_value 0.02 5.4% 946 1,139 ok",
        "first_amount 0 0% 2,349 2,349 ok",
        "score: clv 2.50 61% 2,349 2,349 watch",
    ):
        assert line in shown.said
    assert "Of 2,349 customers scored then, 0 are no longer in the log" in shown.said
    assert "outside its interval and more than 20% off" in shown.said
    assert "it takes a backtest" in shown.said
    assert max(len(line) for line in shown.out.splitlines() if "Written" not in line) <= 80


@pytest.mark.parametrize("json_wanted", [False, True])
def test_an_alarm_ends_with_8_once_all_is_written(watch, tmp_path, json_wanted):
    output = tmp_path / "monitor.json"
    words = ("--tolerance", "0.05", "-o", output, *(["--json"] if json_wanted else []))
    ended = watch(*words)
    report = json.loads(output.read_text())
    assert ended.code == 8
    assert report["verdict"] == "alarm"
    assert report["thresholds"]["total"] == 0.05
    alarms = [check["finding"]["text"] for check in report["checks"] if check["verdict"] == "alarm"]
    assert all(finding in ended.failed for finding in alarms)
    assert "Hint:" in ended.err
    if json_wanted:
        assert json.loads(ended.out) == report
    else:
        assert f"Written: {output}" in " ".join(ended.out.split("\n"))


def test_the_thresholds_are_those_asked_for(watch):
    asked = ("--psi-watch", "0.001", "--psi-alarm", "0.002", "--history", "0")
    report = json.loads(watch(*asked, "--json").out)
    limits = {"total": 0.2, "psi_watch": 0.001, "psi_alarm": 0.002, "history": 0.0}
    assert report["thresholds"] == limits
    drifts = [check for check in report["checks"] if check["measure"] == "PSI"]
    assert {check["watch_beyond"] for check in drifts} == {0.001}
    assert {check["alarm_beyond"] for check in drifts} == {None, 0.002}


def test_an_interval_of_another_level(run, home, watch):
    words = ("monitor", home / "log.csv", "--model", home / "model", "--tolerance", "1")
    half, most = (run(*words, "--level", level, "--json").json for level in (0.5, 0.99))
    assert (half["level"], most["level"]) == (0.5, 0.99)
    for narrow, wide in zip(half["checks"][:2], most["checks"][:2], strict=True):
        # of a normal: z(0.995) / z(0.75) = 2.576 / 0.674
        width = (wide["high"] - wide["low"]) / (narrow["high"] - narrow["low"])
        assert width == pytest.approx(2.576 / 0.674, rel=0.05)


def test_the_backtest_of_the_model_widens_what_it_allows(run, home, watch):
    """A model known to miss by a fifth is not blamed for missing by a seventh."""
    tested = run("monitor", home / "log.csv", "--model", home / "tested", "--json").json
    known = tested["checks"][0]
    assert known["verdict"] == "ok"
    blind = watch("--json").json["checks"][0]
    assert known["low"] < blind["low"] < blind["high"] < known["actual"] < known["high"]
    assert any("factor of" in n["text"] and "4 cutoffs" in n["text"] for n in tested["notes"])


def test_the_log_is_read_as_by_clv_check_and_may_end_earlier(run, home):
    words = ("monitor", home / "renamed.csv", "--model", home / "model", "-c", "date=bought")
    days = ("--since", "1997-12-31", "--as-of", "1998-03-31", "--tolerance", "0.2")
    report = run(*words, *days, "--json").json
    log, _ = clean(pd.read_csv(home / "log.csv", parse_dates=["date"]))
    day = pd.to_datetime(log["date"])
    known = set(log.loc[day <= "1997-12-31", "customer_id"])
    came = (day > "1997-12-31") & (day <= "1998-03-31") & log["customer_id"].isin(known)
    assert (report["since"], report["until"]) == ("1997-12-31", "1998-03-31")
    assert report["checks"][0]["actual"] == came.sum()
    # "bought" is the only column of dates, so nobody need say so
    assert run(*words[:-2], *days, "--json").json["checks"] == report["checks"]


def test_scores_of_today_are_made_unless_given(watch, home):
    made = watch("--json").json["checks"]
    given = watch("--scores-now", home / "now.parquet", "--json").json["checks"]
    texts = [[check["finding"]["text"] for check in checks] for checks in (given, made)]
    assert texts[0] == texts[1]
    assert {"score: clv", "score: churn_probability"} < {check["check"] for check in given}


@pytest.mark.slow
def test_a_report_is_an_mlflow_run(watch, store):
    ended = watch("--track", "watching", "--tolerance", "0.05", "-o", store / "m.json")
    assert ended.code == 8
    run_id = ended.said.split("MLflow run ")[1].split()[0]
    report = json.loads((store / "m.json").read_text())
    assert read_logged(run_id, "monitor.json") == report
    import mlflow

    told = mlflow.MlflowClient().get_run(run_id)
    assert told.data.tags["verdict"] == "alarm"
    assert told.data.metrics["monitor/purchases"] == report["checks"][0]["value"]
    assert told.data.metrics["monitor/alarms"] >= 1
    assert told.data.params["threshold_total"] == "0.05"
    assert told.data.params["since"] == SINCE


FAILURES = [
    (3, "there is no file", ("--scores-now", "nowhere.parquet")),
    (3, "scores of today are as of 1997-09-30", ("--scores-now", "then.parquet")),
    (3, "scores of then are as of 1997-09-30", ("--since", "1997-12-31")),
    (3, "level = 1.5", ("--level", "1.5")),
    (3, "total = -1.0 is not in [0, 1]", ("--tolerance", "-1")),
    (3, "end its name in .json", ("-o", "monitor.csv")),
    (3, "there are no orders after 1997-09-30", ("--as-of", "1997-09-30")),
    (3, "not a date", ("--since", "soon")),
    (6, "holds no scorer.json", ("--model", ".")),
    (2, "OURS=THEIRS", ("-c", "date")),
]


@pytest.mark.parametrize(("code", "said", "words"), FAILURES, ids=lambda case: str(case))
def test_what_cannot_be_monitored(watch, home, monkeypatch, code, said, words):
    monkeypatch.chdir(home)
    ended = watch(*words)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.failed
