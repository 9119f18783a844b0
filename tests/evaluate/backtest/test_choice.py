"""The choice of a purchase model: right where the truth is known, and said in plain words."""

from __future__ import annotations

import datetime as dt
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from clv.evaluate.backtest import RollingOrigin, choose, choose_purchase_model, origins
from clv.evaluate.backtest.choice import gap, mean_log_scores
from clv.probability import bg_nbd, mbg_nbd
from clv.schema import Floats

START = pd.Timestamp("2020-01-01")


def log_of(rate: Floats, leaves_after: Floats, rng: np.random.Generator) -> pd.DataFrame:
    """Two years of purchases of customers won in the first half year, on whole days."""
    first = rng.uniform(0, 26, len(rate))
    rows = []
    for i, start in enumerate(first):
        gaps = rng.exponential(1 / rate[i], 400)[: int(min(leaves_after[i] - 1, 400))]
        times = np.append(start, start + np.cumsum(gaps))
        rows += [(i, int(7 * time)) for time in times if time < 104]
    frame = pd.DataFrame(rows, columns=["customer_id", "day"])
    date = START + pd.to_timedelta(frame["day"], unit="D")
    return frame.assign(date=date, amount=rng.gamma(5.0, 4.0, len(frame)))


def simulated(name: str, n: int, seed: int) -> pd.DataFrame:
    """Customers who may leave after every repeat purchase (bg_nbd), or the first too (mbg_nbd)."""
    rng = np.random.default_rng(seed)
    rate, p = rng.gamma(0.8, 1 / 6, n), rng.beta(1.2, 1.8, n)
    after = rng.geometric(p) + (name == "bg_nbd")  # number of the last purchase, the first is 1
    return log_of(np.maximum(rate, 1e-6), after.astype(float), rng)


@pytest.mark.slow
def test_the_true_model_is_chosen_where_it_matters() -> None:
    """Half leave after their first purchase, which BG/NBD cannot say; where none do, it is kept."""
    left_at_once = choose_purchase_model(simulated("mbg_nbd", 2500, 1))
    assert left_at_once.name == "mbg_nbd"
    scores = left_at_once.log_scores
    assert scores["BG/NBD"] > scores["MBG/NBD"] + 0.001
    stayed = choose_purchase_model(simulated("bg_nbd", 2500, 2))
    assert stayed.name == "bg_nbd"
    assert "BG/NBD beats every naive forecast on log score" in str(stayed)


@pytest.mark.parametrize(("name", "model"), [("bg_nbd", bg_nbd), ("mbg_nbd", mbg_nbd)])
def test_the_simulated_logs_are_of_the_models(name: str, model: ModuleType) -> None:
    """Their mean number of repeat purchases against the models' own simulators."""
    log = simulated(name, 4000, 5)
    repeats = len(log) - log["customer_id"].nunique()
    rng = np.random.default_rng(6)
    ages = 104 - rng.uniform(0, 26, 80_000)
    drawn = model.simulate(bg_nbd.BgNbdTheta(0.8, 6.0, 1.2, 1.8), ages, rng)
    assert repeats / 4000 == pytest.approx(drawn.x.mean(), rel=0.06)


@pytest.mark.slow
def test_regular_customers_have_their_model_and_intervals_that_hold() -> None:
    """Waiting times are Erlang-3: MBG/NBD's intervals are too wide, those of the choice hold."""
    rng, n, rows = np.random.default_rng(0), 2_000, []
    first, rate = rng.integers(0, 280, n), rng.gamma(1.6, 1 / 48, n) + 1e-6
    for i, p in enumerate(rng.beta(0.8, 8.0, n)):
        gaps = rng.gamma(3.0, 1 / (3 * rate[i]), min(rng.geometric(p), 500) - 1)
        days = np.append(first[i], first[i] + gaps.cumsum())
        rows += [(i, START + pd.Timedelta(days=int(day))) for day in days if day < 560]
    log = pd.DataFrame(rows, columns=["customer_id", "date"])
    log["amount"] = rng.gamma(5.0, 4.0, len(log))
    cutoffs = [START.date() + dt.timedelta(days) for days in (384, 468)]
    rolling = RollingOrigin.from_origins(
        origins(log, cutoffs, 84), with_pool=False, with_money=False
    )
    assert choose(rolling).name == "mbg_cnbd"
    assert min(o.calibration.purchases["mbg_cnbd"].k_ for o in rolling.origins) > 1
    inside = rolling.coverage()
    inside = inside[(inside["what"] == "purchases") & (inside["nominal"] == 0.9)]
    held = inside.set_index("forecast")["randomized"]
    assert 0.88 <= held["MBG/CNBD-k"] <= 0.92 < held["MBG/NBD"]


def test_a_gap_and_its_error_by_hand(rolling: RollingOrigin) -> None:
    """The mean difference of log scores; its error over customers by a jackknife of customers."""
    behind, error = gap(rolling, "own past rate", "BG/NBD")
    scores = mean_log_scores(rolling)
    assert behind == pytest.approx(scores["own past rate"] - scores["BG/NBD"])
    rows = []
    for (origin, one), (_, two) in zip(
        rolling.of_forecaster("own past rate"), rolling.of_forecaster("BG/NBD"), strict=True
    ):
        assert one.log_score is not None
        assert two.log_score is not None
        index = origin.calibration.summary["customer_id"]
        rows.append(pd.Series(one.log_score - two.log_score, index=index))
    apart = pd.concat(rows, axis=1)
    n = apart.notna().sum()
    without = (apart.sum() - apart.fillna(0.0)) / (n - apart.notna())
    jackknife = np.sqrt((len(apart) - 1) * without.mean(axis=1).var(ddof=0))
    over_cutoffs = apart.mean().std() / np.sqrt(3)
    assert error == pytest.approx(max(jackknife, over_cutoffs), rel=1e-3)


def test_what_is_chosen_is_the_simplest_within_an_error_of_the_best(rolling: RollingOrigin) -> None:
    choice = choose(rolling)
    best = min(("BG/NBD", "MBG/NBD", "Pareto/NBD"), key=choice.log_scores.__getitem__)
    behind, error = gap(rolling, choice.title, best)
    assert behind <= max(error, 1e-4)
    for simpler in list(rolling.models)[: list(rolling.models).index(choice.title)]:
        behind, error = gap(rolling, simpler, best)
        assert behind > error
    assert str(choice.reasons[0]).startswith(f"{choice.title}: ")
    assert "The pooled forecast" in str(choice.reasons[-1])
    assert [each["text"] for each in choice.to_dict()["reasons"]] == str(choice).splitlines()


def test_where_a_naive_forecast_wins_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Customers who buy on fixed days: what each did last time is what each does next."""
    rng, rows = np.random.default_rng(4), []
    for customer in range(300):
        days = np.arange(customer % 7, 700, int(rng.choice([14, 35, 91, 200])))
        rows += [(customer, START + pd.Timedelta(days=int(day))) for day in days]
    log = pd.DataFrame(rows, columns=["customer_id", "date"]).assign(amount=20.0)
    cutoffs = [dt.date(2021, 2, 1), dt.date(2021, 5, 1)]
    log["amount"] = rng.gamma(10.0, 2.0, len(log))
    found = RollingOrigin.from_origins(origins(log, cutoffs, 180), with_pool=False)
    assert choose(found).name == "mbg_cnbd"  # which no naive forecast beats
    monkeypatch.setattr("clv.evaluate.backtest.origin.REGULAR", np.inf)
    without = RollingOrigin.from_origins(origins(log, cutoffs, 180), with_pool=False)
    said = str(choose(without))
    assert "A naive forecast is as good or better on" in said
    assert "ranking by purchases" in said.partition("A naive forecast")[2]


def test_without_a_backtest_the_simplest_model_is_used(cdnow: pd.DataFrame) -> None:
    short = cdnow[cdnow["date"] < pd.Timestamp("1997-01-20")]
    choice = choose_purchase_model(short, count=30)
    assert choice.name == "bg_nbd"
    assert "there is no backtest to choose by, as 30 cutoffs" in str(choice)
    once = cdnow.drop_duplicates("customer_id")
    assert "nobody bought twice" in str(choose_purchase_model(once))
