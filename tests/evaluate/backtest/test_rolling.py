"""The rolling origin: figures against second computations, distributions against a known truth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from clv.errors import InputError
from clv.evaluate import NAIVE, gini, total_bias
from clv.evaluate.backtest import Origin, RollingOrigin, origins, spaced_cutoffs
from clv.evaluate.backtest.forecast import model_forecast
from clv.evaluate.backtest.learned_forecasts import BOOSTED
from clv.forecast.adoption import POOLED
from clv.history import read_history, read_spend
from clv.periods import Duration
from clv.simulate import simulate_brand
from clv.value.predictive import purchase_quantiles, value_cdf
from clv.value.value import Terms

MODELS = ["BG/NBD", "MBG/NBD", "Pareto/NBD"]
NAIVE_ORDER = ["own past rate", "population mean", "recency rule", "same as last period"]


def test_the_table_has_everybody_at_every_cutoff(rolling: RollingOrigin) -> None:
    table = rolling.table
    assert table["forecast"].unique().tolist() == [*MODELS, POOLED, BOOSTED, *NAIVE_ORDER]
    assert len(table) == 2 * 3 * 9
    assert not table.duplicated(["what", "cutoff", "forecast"]).any()
    counts = table[table["what"] == "purchases"]
    assert counts[["log_score", "inside_90", "gini", "decile_error"]].notna().all(axis=None)
    money = table[table["what"] == "money"].set_index("forecast")
    assert money.loc[[*MODELS, POOLED], "inside_90"].notna().all()
    assert money.loc[[BOOSTED, *NAIVE], "inside_90"].isna().all()
    assert money["log_score"].isna().all()


def test_figures_are_those_of_the_forecasts(rolling: RollingOrigin) -> None:
    origin, judged = rolling.of_forecaster("MBG/NBD")[1]
    model = origin.calibration.purchases["mbg_nbd"]
    expected = model.conditional_expected_purchases(13, origin.calibration.summary)
    row = rolling.table.query(
        "what == 'purchases' and forecast == 'MBG/NBD' and cutoff == @origin.calibration.cutoff"
    ).iloc[0]
    assert row["bias"] == pytest.approx(total_bias(origin.purchases, expected))
    assert row["gini"] == pytest.approx(gini(origin.purchases, expected))
    counts = origin.purchases.astype(int)
    p = model.probability_of_purchases(np.arange(counts.max() + 1), 13, origin.calibration.summary)
    score = -np.log(p[np.arange(len(counts)), counts])
    np.testing.assert_allclose(judged.log_score, score)
    assert row["log_score"] == pytest.approx(score.mean())


def test_means_are_over_all_cutoffs_or_missing(rolling: RollingOrigin) -> None:
    means = rolling.means().set_index(["what", "forecast"])
    rows = rolling.table.query("what == 'money' and forecast == 'own past rate'")
    ours = means.loc["money", "own past rate"]
    assert ours["gini"] == pytest.approx(rows["gini"].mean())
    bias = rows["predicted_total"].sum() / rows["actual_total"].sum() - 1
    assert ours["bias"] == pytest.approx(bias)
    assert ours["cutoffs"] == 3
    late = [one for one in rolling.judged[0] if one.forecast.name == "recency rule"]
    silent = dataclasses.replace(late[0], log_score=None, placement={})
    first = tuple(one if one is not late[0] else silent for one in rolling.judged[0])
    other = RollingOrigin(rolling.origins, (first, *rolling.judged[1:])).means()
    score = other.set_index(["what", "forecast"]).loc["purchases", "log_score"]
    assert np.isnan(score["recency rule"])
    assert score["BG/NBD"] == means.loc["purchases", "log_score"]["BG/NBD"]


def test_coverage_is_that_of_the_quantiles_that_customers_are_told(rolling: RollingOrigin) -> None:
    """Inside by the quantiles of clv.value.predictive, another way to the same intervals."""
    covered = rolling.table.query("what == 'purchases' and forecast == 'BG/NBD'")
    for (origin, _), (_, row) in zip(
        rolling.of_forecaster("BG/NBD"), covered.iterrows(), strict=True
    ):
        model = origin.calibration.purchases["bg_nbd"]
        low, high = purchase_quantiles(model, 13, origin.calibration.summary, [0.05, 0.95]).T
        inside = ((low <= origin.purchases) & (origin.purchases <= high)).mean()
        assert row["inside_90"] == pytest.approx(inside, abs=1e-12)


@pytest.mark.parametrize("name", ["bg_nbd", "pareto_nbd"])
def test_money_is_distributed_as_customers_are_told(name: str, three: tuple[Origin, ...]) -> None:
    """The mixture over counts against the tabled distribution of clv.value.predictive."""
    known, money = three[1].calibration, three[1].money
    within = model_forecast(known, known.purchases[name], name).money_within
    assert within is not None
    _, told = value_cdf(
        known.purchases[name],
        known.spend,
        read_history(known.summary),
        read_spend(known.summary)[1],
        Terms(1.0, 0.0, Duration(13, "week")),
        "week",
        money,
    )
    np.testing.assert_allclose(within(money), told, atol=1e-3)


@pytest.mark.slow
def test_every_model_is_sure_of_as_much_as_it_should_be_where_it_is_true() -> None:
    """A SIMULATED base that buys as BG/NBD and Gamma-Gamma say: nominal coverage, flat PIT."""
    brand = simulate_brand(seed=3, customers=6000, weeks=60, offer=None)
    log = brand.orders[["customer_id", "date", "amount"]]
    day = pd.to_datetime(log["date"]).dt.date
    cutoffs, days = spaced_cutoffs(day.min(), day.max(), 2, Duration(13, "week"))
    found = RollingOrigin.from_origins(origins(log, cutoffs, days), with_pool=False)
    coverage = found.coverage().query("forecast == 'BG/NBD'")
    assert set(coverage["what"]) == {"purchases", "money"}
    np.testing.assert_allclose(coverage["randomized"], coverage["nominal"], atol=0.012)
    assert (coverage["inside"] >= coverage["nominal"] - 0.01).all()
    for what in ("purchases", "money"):
        assert found.pit("BG/NBD", what)["share"].to_numpy() == pytest.approx(0.1, abs=0.012)


def test_naive_counts_spread_as_they_did_before(three: tuple[Origin, ...]) -> None:
    """The population mean, the same for all, is a plain negative binomial: fit one by SciPy."""
    known = three[2].calibration
    judged = RollingOrigin.from_origins(three[2:], with_pool=False).of_forecaster("population mean")
    chances = judged[0][1].forecast.chances
    assert chances is not None
    assert known.earlier is not None
    mean, counts = judged[0][1].forecast.purchases, known.earlier.purchases
    before = known.earlier.calibration.summary
    rate = before["frequency"].sum() / before["T"].sum() * 13

    def cost(size: float) -> float:
        return float(-stats.nbinom.logpmf(counts, size, size / (size + rate)).sum())

    sizes = np.exp(np.linspace(-3, 2, 2001))
    best = sizes[np.argmin([cost(size) for size in sizes])]
    expected = stats.nbinom.pmf(np.arange(5), best, best / (best + mean[0]))
    np.testing.assert_allclose(chances(np.arange(5.0))[0], expected, rtol=0.01)


def test_deciles_add_up(rolling: RollingOrigin) -> None:
    deciles = rolling.deciles("money").query("forecast == 'BG/NBD'")
    by_cutoff = (deciles["customers"] * deciles["actual_mean"]).groupby(deciles["cutoff"]).sum()
    expected = [origin.money.sum() for origin in rolling.origins]
    np.testing.assert_allclose(by_cutoff, expected)


def test_it_takes_holdouts_of_one_length(three: tuple[Origin, ...]) -> None:
    shorter = Origin.from_log(
        three[0].calibration.log, three[0].calibration.earlier.calibration.cutoff, 30
    )  # type: ignore[union-attr]
    with pytest.raises(InputError, match="holdouts of one length"):
        RollingOrigin.from_origins([shorter, three[1]])
    with pytest.raises(InputError, match="holdouts of one length"):
        RollingOrigin.from_origins([])
