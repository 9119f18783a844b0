"""Monitoring against a world whose truth is known: quiet where nothing changed, else loud."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest

from clv.data.summary import summarize
from clv.errors import InputError, MonitorError
from clv.monitoring import MonitorReport, Thresholds, monitor
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.gamma_gamma import GammaGamma
from clv.scorer import CustomerScorer
from clv.value.totals import total_purchases
from clv.value.value import Terms

START, SINCE, UNTIL = map(pd.Timestamp, ("2023-01-02", "2023-12-31", "2024-06-30"))


def world(seed: int, customers: int = 3000) -> pd.DataFrame:
    """Orders of BG/NBD customers with gamma spend, won evenly over a year and a half."""
    rng = np.random.default_rng(seed)
    end = (UNTIL - START).days
    first = rng.integers(0, end, customers)
    rate, dropout = rng.gamma(0.8, 1 / 40, customers), rng.beta(1.2, 3.0, customers)
    mean = 6.0 * 20 / rng.gamma(5, size=customers)
    orders = []
    for i in range(customers):
        t = float(first[i])
        while t <= end:
            orders.append((i, t, rng.gamma(6.0, mean[i] / 6.0)))
            if len(orders) > 1 and t > first[i] and rng.random() < dropout[i]:
                break
            t += rng.exponential(1 / rate[i]) if rate[i] > 0 else np.inf
    log = pd.DataFrame(orders, columns=["customer_id", "date", "amount"])
    log["date"] = START + pd.to_timedelta(log["date"].astype(int), unit="D")
    return log.groupby(["customer_id", "date"], as_index=False)["amount"].sum()


def trained(log: pd.DataFrame) -> CustomerScorer:
    past = log[log["date"] <= SINCE]
    terms = Terms(0.3, currency="EUR")
    return CustomerScorer.fit(past, terms, churn_horizon=Duration(8, "week"))


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    return world(0)


@pytest.fixture(scope="module")
def scorer(log) -> CustomerScorer:
    return trained(log)


@pytest.fixture(scope="module")
def light(log, scorer) -> CustomerScorer:
    """The same without covariances: no draws, wrong only in its intervals."""
    past = summarize(log[log["date"] <= SINCE])
    models = {"purchases": BetaGeoNBD(unit="week").fit(past), "spend": GammaGamma().fit(past)}
    return replace(scorer, **models)


@pytest.fixture(scope="module")
def scores(log, scorer) -> pd.DataFrame:
    return scorer.predict(summarize(log, as_of=SINCE))


@pytest.fixture(scope="module")
def report(log, scorer, scores) -> MonitorReport:
    return monitor(scorer, log, scores_then=scores, until=UNTIL)


def verdicts(report: MonitorReport) -> dict[str, str]:
    return {check.check: check.verdict for check in report.checks}


def test_a_world_that_goes_on_raises_no_alarm(report):
    assert report.verdict in ("ok", "watch"), str(report)
    report.require_no_alarm()
    assert verdicts(report)["purchases"] == "ok"
    assert verdicts(report)["customer histories"] == "ok"
    assert (report.since, report.until, report.elapsed) == ("2023-12-31", "2024-06-30", "182 days")


def test_actual_and_expected_are_those_of_a_plain_count(report, log, scorer):
    known = set(log.loc[log["date"] <= SINCE, "customer_id"])
    later = log[(log["date"] > SINCE) & log["customer_id"].isin(known)]
    purchases, value = report.checks[:2]
    assert purchases.actual == len(later)
    assert value.actual == pytest.approx(later["amount"].sum())
    then = summarize(log, as_of=SINCE)
    total = total_purchases(then, scorer.purchases, Duration(182, "day"))
    assert purchases.expected == pytest.approx(total.mean)
    expected = scorer.purchases.conditional_expected_purchases(182 / 7, then)
    per_purchase = scorer.spend.expected_spend(then)
    assert value.expected == pytest.approx(float((expected * per_purchase).sum()))
    assert report.customers == len(known)
    assert report.new_customers == log["customer_id"].nunique() - len(known)


def test_customers_who_stop_buying_raise_an_alarm(log, scorer, scores):
    rng = np.random.default_rng(1)
    fewer = log[(log["date"] <= SINCE) | (rng.random(len(log)) < 0.6)]
    found = monitor(scorer, fewer, scores_then=scores)
    purchases = found.checks[0]
    assert (purchases.verdict, found.verdict) == ("alarm", "alarm")
    assert purchases.actual < purchases.low
    assert verdicts(found)["customer histories"] == "ok"
    with pytest.raises(MonitorError, match=r"purchases: .* came, .* were expected") as caught:
        found.require_no_alarm()
    assert caught.value.exit_code == 8


def test_prices_that_doubled_move_value_and_inputs_but_not_purchases(log, scorer, scores):
    dearer = log.copy()
    dearer.loc[dearer["date"] > SINCE, "amount"] *= 3
    found = verdicts(monitor(scorer, dearer, scores_then=scores))
    assert found["value"] == "alarm"
    assert found["purchases"] == "ok"
    assert found["input: monetary_value"] in ("watch", "alarm")
    assert found["input: first_amount"] in ("watch", "alarm")


def test_a_past_that_was_rewritten_is_told_from_a_bad_forecast(log, light, scores):
    early = log["date"] <= SINCE
    ids = log.loc[early, "customer_id"].unique()
    gone, late = set(ids[:40]), set(ids[40:60])
    told = log[~log["customer_id"].isin(gone)].copy()
    told.loc[told["customer_id"].isin(late), "customer_id"] += 1_000_000
    check = next(
        c for c in monitor(light, told, scores_then=scores).checks if c.check.startswith("cust")
    )
    assert check.verdict == "alarm"
    assert check.value == pytest.approx((40 + 20 + 20) / len(ids))
    assert "60 are no longer in the log, 20 of that time have come to it" in check.finding.text


def test_without_scores_of_then_nothing_is_said_of_them(log, light):
    found = monitor(light, log)
    assert any("carries no covariance" in note.text for note in found.notes)
    assert not [name for name in verdicts(found) if name.startswith(("score", "customer"))]
    assert any("without the scores of then" in note.text for note in found.notes)


def test_a_model_that_saw_the_window_says_so(log, light):
    found = monitor(light, log, since="2023-10-01")
    assert any("has seen part of what it is held against" in note.text for note in found.notes)


def test_the_record_in_all_its_forms(report, log, scorer, scores):
    saved = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert saved["verdict"] == report.verdict
    assert [row["check"] for row in saved["checks"]] == list(verdicts(report))
    for backend in ("pandas", "polars", "pyarrow"):
        table = report.to_frame(backend)
        assert table.shape[0] == len(report.checks)
    assert report.to_frame("polars")["check"].to_list() == list(verdicts(report))
    assert report.metrics()["monitor/purchases"] == report.checks[0].value
    assert report.metrics()["monitor/alarms"] == 0


def test_any_dataframe_gives_the_same_report(report, log, scorer, scores):
    tables = {"scores_then": pl.DataFrame(scores), "until": UNTIL}
    found = monitor(scorer, pl.DataFrame(log), **tables)
    assert found.metrics() == pytest.approx(report.metrics())
    assert found.findings == report.findings


def test_channels_are_compared(log, light):
    by_channel = log.assign(channel=np.where(log["customer_id"] % 2, "search", "social"))
    won_late = by_channel.groupby("customer_id")["date"].transform("min") > SINCE
    by_channel.loc[won_late, "channel"] = "tv"
    found = monitor(light, by_channel)
    assert verdicts(found)["input: channel"] == "alarm"


def test_what_cannot_be_monitored(log, scorer, scores):
    with pytest.raises(
        InputError, match=r"there are no orders after 2023-12-31, .* the log ends on 2023-12-31"
    ):
        monitor(scorer, log[log["date"] <= SINCE])
    mixed = pd.concat([scores, scores.assign(as_of="2023-11-30")])
    with pytest.raises(InputError, match="holds 2 days"):
        monitor(scorer, log, scores_then=mixed)
    with pytest.raises(InputError, match="psi_watch is above psi_alarm"):
        Thresholds(psi_watch=0.5)


@pytest.mark.slow
def test_false_alarms_of_worlds_that_go_on_are_rare(scorer):
    """Eight worlds: the 90% interval holds the purchases in most, and no total raises an alarm."""
    inside, alarms = 0, 0
    for seed in range(1, 9):
        log = world(seed, 1500)
        past = summarize(log[log["date"] <= SINCE], as_of=SINCE)
        models = {
            "purchases": BetaGeoNBD(unit="week").fit(past).with_covariance(past),
            "spend": GammaGamma().fit(past).with_covariance(past),
        }
        purchases, value = monitor(replace(scorer, **models), log, until=UNTIL).checks[:2]
        inside += purchases.verdict == "ok"
        alarms += (purchases.verdict == "alarm") + (value.verdict == "alarm")
    assert inside >= 6
    assert alarms == 0
