"""Plots draw the numbers they were given, in words and colours that can be read."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import sync_playwright
from scipy import stats

from clv import evaluate
from clv.probability.bg_nbd import BetaGeoNBD
from clv.report import plots
from clv.simulate import simulate_customers


@pytest.fixture(scope="module")
def holdout():
    """Frequency, predicted and actual purchases of simulated customers."""
    x = simulate_customers(3000, seed=2)["frequency"].to_numpy()
    predicted = 0.2 + 0.5 * x
    return x, predicted, np.random.default_rng(3).poisson(predicted)


@pytest.fixture
def calibration(holdout):
    x, predicted, actual = holdout
    table = evaluate.frequency_table(x, actual, predicted)
    return table, plots.plot_calibration(table, horizon="39 weeks")


@pytest.fixture
def tracked():
    rng = np.random.default_rng(1)
    first, repeats = rng.integers(0, 10, 200), rng.integers(0, 40, 2000)
    return evaluate.tracking(first, repeats, lambda t: 0.3 * t, end=40)


@pytest.fixture
def channels():
    spend = np.linspace(0, 1000, 50)
    curves = pd.concat(
        pd.DataFrame({"channel": name, "spend": spend, "customers": k * spend**0.5})
        for name, k in (("search", 3.0), ("social", 2.9), ("Pin & Co <$>", 1.0))
    )
    plans = pd.DataFrame(
        {
            "channel": ["social", "search", "Pin & Co <$>"],
            "today": [500, 400, 100],
            "proposed": [250, 600, 150],
        }
    )
    return curves, plans


def every_chart(holdout, tracked, channels):
    x, predicted, actual = holdout
    grid = plots.alive_grid(39)
    alive = 1 / (1 + np.exp(grid["frequency"] / 3 - grid["recency"] / 6))
    table = evaluate.frequency_table(x, actual, predicted)
    return {
        "calibration": plots.plot_calibration(table, horizon="39 weeks"),
        "tracking": plots.plot_tracking(tracked, cutoff=20),
        "gain": plots.plot_gain(actual, {"model": predicted}, horizon="39 weeks"),
        "alive": plots.plot_alive_matrix(grid, alive),
        "response": plots.plot_response(*channels, currency="$"),
        "frontier": plots.plot_frontier(
            pd.DataFrame({"budget": [1.0, 2, 3], "profit": [1.0, 1.5, 1.6]}),
            planned=(2, 1.5),
            currency="$",
        ),
        "increments": plots.plot_increments(tracked, cutoff=20),
        "deciles": plots.plot_deciles(evaluate.decile_table(actual, predicted), horizon="39 weeks"),
        "coverage": plots.plot_coverage(coverage(), horizon="39 weeks"),
        "expected": plots.plot_expected_matrix(grid, 20 * alive, horizon="39 weeks"),
        "lorenz": plots.plot_lorenz(predicted),
        "values": plots.plot_value_distribution(predicted, terms="over 3 years", currency="$"),
        "heterogeneity": plots.plot_heterogeneity(rates().query("rate.str.startswith('p')")),
    }


def coverage():
    kinds = ["purchases of a customer", "the total"]
    return pd.DataFrame(
        {
            "interval": np.repeat(kinds, 3),
            "nominal": [0.8, 0.9, 0.95] * 2,
            "measured": [0.83, 0.91, 0.96, 0.33, 0.67, 1.0],
        }
    )


def rates():
    return BetaGeoNBD.from_params(r=2, alpha=10, a=1, b=3, unit="week").heterogeneity()


def series_of(chart):
    """The series by label; the last of each."""
    return {series.label: series for series in chart.plot.series}


def words_of(chart):
    """What is written in a chart: legend, names beside points."""
    return {key.label for key in chart.keys} | {label.text for label in chart.plot.labels}


def test_calibration_draws_both_means_of_every_class(calibration):
    table, chart = calibration
    series = series_of(chart)
    assert np.array_equal(series["actual"].y, table["actual_mean"])
    assert np.array_equal(series["predicted"].y, table["predicted_mean"])
    assert chart.plot.x.ticks[-1][1] == f"7+\n{table['customers'].iloc[-1]:,}"
    assert chart.plot.y.low == 0
    assert "39 weeks" in chart.caption
    last = table.iloc[-1]
    assert chart.table.rows[-1] == (
        "7+",
        f"{last['customers']:,.0f}",
        f"{last['actual_mean']:,.2f}",
        f"{last['predicted_mean']:,.2f}",
    )


def test_tracking_ends_at_the_totals_and_marks_the_holdout(tracked):
    chart = plots.plot_tracking(tracked, cutoff=20)
    shade, border, actual, expected = chart.plot.series
    assert actual.y[-1] == tracked["actual_cumulative"].iloc[-1]
    assert expected.y[-1] == tracked["expected_cumulative"].iloc[-1]
    assert set(border.x) == {20}
    assert shade.x == [20, 40]
    assert {"fitted", "held out"} <= words_of(chart)
    assert {"actual: 2,000", "expected: 2,117 (+5.9%)"} <= words_of(chart)


def test_tracking_without_a_cutoff_says_nothing_of_a_holdout(tracked):
    chart = plots.plot_tracking(tracked)
    assert "held out" not in words_of(chart)
    assert "held out" not in chart.svg


def test_gain_draws_the_curve_and_names_the_gini(holdout):
    _, predicted, actual = holdout
    chart = plots.plot_gain(
        actual, {"model": predicted, "nothing": np.ones(len(actual))}, horizon="39 weeks"
    )
    series = series_of(chart)
    label = f"model: Gini {evaluate.gini(actual, predicted):.2f}"
    customers, cumulative = evaluate.gain_curve(actual, predicted)
    assert np.array_equal(series[label].x, customers)
    assert np.array_equal(series[label].y, cumulative)
    assert "nothing: Gini 0.00" in series
    best = np.argsort(-predicted, kind="stable")
    share = float(np.interp(0.2, customers, cumulative))
    assert share == pytest.approx(actual[best[:600]].sum() / actual.sum(), abs=0.02)
    assert f"account for {share:.0%}" in chart.caption
    assert f"best 20%: {share:.0%}" in words_of(chart)
    assert chart.table.rows[3] == ("20%", f"{share:.0%}", "20%")


def test_the_alive_matrix_has_a_cell_per_history():
    grid = plots.alive_grid(26, frequency=5, steps=13)
    assert len(grid) == 5 * 14
    assert (grid["recency"] <= grid["T"]).all()
    assert grid["frequency"].min() == 1
    shuffled = grid.sample(frac=1, random_state=1)
    chart = plots.plot_alive_matrix(shuffled, shuffled["recency"] / 26, unit="day")
    (field,) = chart.plot.series
    assert np.allclose(field.values, np.tile(np.linspace(0, 1, 14), (5, 1)))
    assert "26 days" in chart.caption
    assert [key.label for key in chart.keys] == [
        "under 10%",
        "10% to 30%",
        "30% to 50%",
        "50% to 70%",
        "70% to 90%",
        "over 90%",
    ]
    assert chart.table.rows[4] == ("5", "under 0.1%", "15%", "31%", "46%", "69%", "85%", "100%")


def test_response_puts_both_plans_on_the_curve(channels):
    curves, plans = channels
    chart = plots.plot_response(curves, plans)
    points = [s for s in chart.plot.series if s.kind in ("rings", "dots")]
    placed = {(s.tone, s.label): (s.x[0], s.y[0]) for s in points}
    search = "1"  # first in curves
    assert placed[search, "today"] == pytest.approx((400, 3 * 400**0.5), rel=1e-3)
    assert placed[search, "proposed"] == pytest.approx((600, 3 * 600**0.5), rel=1e-3)
    assert len(points) == 6
    assert {"search", "social", "Pin & Co <$>"} <= words_of(chart)
    assert chart.table.rows[0] == ("search", "today", "400", "60")


def test_response_draws_the_interval_and_what_was_observed():
    spend = np.linspace(0, 900, 50)
    curve = pd.DataFrame({"channel": "tv", "spend": spend, "customers": 3 * spend**0.5})
    curve = curve.assign(customers_low=2 * spend**0.5, customers_high=4 * spend**0.5)
    plans = pd.DataFrame({"channel": ["tv"], "today": [np.nan], "proposed": [600.0]})
    chart = plots.plot_response(curve, plans, title="tv", observed=(200, 500))
    series = series_of(chart)
    assert max(series["90% of the draws"].y) == pytest.approx(4 * 30)
    assert max(series["90% of the draws"].low) == pytest.approx(2 * 30)
    assert tuple(series["observed"].x) == (200, 500)
    assert len([s for s in chart.plot.series if s.kind in ("rings", "dots")]) == 1
    assert "today" not in " ".join(words_of(chart))  # it is not known


def test_the_frontier_marks_the_plan_today_and_the_best():
    budget = np.linspace(0, 100, 20)
    rows = pd.DataFrame({"budget": budget, "profit": 20 * np.sqrt(budget) - budget})
    chart = plots.plot_frontier(rows, planned=(50, 91.4), today=(50, 80), best=(100, 100))
    points = {(s.x[0], s.y[0]) for s in chart.plot.series if s.kind in ("rings", "dots")}
    assert points == {(50, 91.4), (50, 80), (100, 100)}
    assert {"this plan", "today", "greatest profit"} <= words_of(chart)
    assert chart.plot.x.label == "Budget"


def test_the_expected_matrix_draws_the_forecast_of_each_history():
    grid = plots.alive_grid(26, frequency=5, steps=13)
    chart = plots.plot_expected_matrix(grid, grid["frequency"], horizon="1 year")
    (field,) = chart.plot.series
    assert np.allclose(field.values, np.repeat(np.arange(1, 6), 14).reshape(5, 14))
    assert "1 year" in chart.title


def test_deciles_draw_both_means_and_say_what_the_first_group_made(holdout):
    _, predicted, actual = holdout
    table = evaluate.decile_table(actual, predicted)
    chart = plots.plot_deciles(table, horizon="39 weeks")
    series = series_of(chart)
    assert np.array_equal(series["actual"].y, table["actual_mean"])
    assert np.array_equal(series["predicted"].y, table["predicted_mean"])
    assert f"{table['actual_share'].iloc[0]:.0%}" in chart.caption


def test_increments_draw_what_each_period_added(tracked):
    chart = plots.plot_increments(tracked, cutoff=20, unit="day")
    series = series_of(chart)
    assert np.array_equal(series["actual"].y, tracked["actual"])
    assert np.array_equal(series["expected"].y, tracked["expected"])
    assert chart.plot.y.label == "Repeat purchases per day"
    assert "held out" in words_of(chart)


def test_coverage_is_drawn_as_measured_against_promised():
    chart = plots.plot_coverage(coverage(), horizon="39 weeks")
    series = series_of(chart)["the total"]
    assert series.x == pytest.approx([0.8, 0.9, 0.95])
    assert series.y == pytest.approx([0.33, 0.67, 1.0])
    assert chart.plot.y.low < 0.33
    assert chart.table.rows[3] == ("the total", "80%", "33.0%")


def test_lorenz_holds_the_shares_of_the_best():
    value = np.r_[np.full(99, 1.0), 101.0]
    chart = plots.plot_lorenz(value)
    assert {"best 1%: 50%", "best 5%: 52%", "best 20%: 60%"} <= words_of(chart)
    raw = 1 - 2 * np.trapezoid(np.cumsum(np.r_[0, np.sort(value)]) / 200, np.linspace(0, 1, 101))
    assert f"Gini {raw:.2f}" in chart.caption
    assert chart.table.rows == [("1%", "50%"), ("5%", "52%"), ("20%", "60%")]


def test_the_value_distribution_counts_every_customer_and_marks_mean_and_median():
    value = np.r_[np.zeros(10), np.full(70, 5.0), np.full(20, 50.0)]
    chart = plots.plot_value_distribution(value, terms="over 3 years")
    bars = series_of(chart)["customers"]
    assert sum(bars.y) == 100
    assert bars.y[0] == 10
    assert {"mean 13.50", "median 5"} <= words_of(chart)
    in_class = {row[0]: row[1] for row in chart.table.rows}
    assert sum(int(number) for number in in_class.values()) == 100
    assert next(iter(in_class)).startswith("under 0.")


def test_heterogeneity_is_the_quantiles_of_the_rate():
    table = rates()
    assert table["rate"].nunique() == 2
    one = table[table["rate"] == "purchases per week while a customer"]
    known = stats.gamma(2, scale=1 / 10)
    assert known.cdf(one["value"]) == pytest.approx(one["share"].to_numpy())
    words = plots.plot_heterogeneity(one).caption
    assert f"half are below {known.median():.4g}" in words


def test_every_plot_is_a_valid_svg_with_its_text(holdout, tracked, channels):
    for chart in every_chart(holdout, tracked, channels).values():
        root = ElementTree.fromstring(chart.standalone())
        assert (root.get("role"), root.get("width")) == ("img", "720")
        assert root.get("aria-label") == chart.title
        written = " ".join(text or "" for text in root.itertext())
        assert chart.title in written
        assert chart.plot.x.label in written
        assert chart.plot.y.label in written
        assert not [e for e in root.iter() if e.get("id")]
        assert len(chart.table.rows) > 1


OUTSIDE = """svg => {
  const frame = svg.getBoundingClientRect();
  const words = [...svg.querySelectorAll("text")].filter(word => word.textContent);
  return words.filter(word => {
    const box = word.getBoundingClientRect();
    return box.left < frame.left || box.right > frame.right
      || box.top < frame.top || box.bottom > frame.bottom;
  }).map(word => word.textContent);
}"""
MEETING = """svg => {
  const words = [...svg.querySelectorAll("text")].filter(word => word.textContent);
  const boxes = words.map(word => [word.textContent, word.getBoundingClientRect()]);
  return boxes.flatMap(([a, p], i) => boxes.slice(i + 1).filter(([, q]) =>
    p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 3 && q.top < p.bottom - 3
  ).map(([b]) => `${a} | ${b}`));
}"""


@pytest.mark.slow
def test_words_stay_inside_the_figure_and_apart_from_each_other(holdout, tracked, channels):
    if shutil.which("chromium") is None:
        pytest.skip("this test needs Debian's chromium: apt-get install chromium")
    flags = ["--no-sandbox", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        page = browser.new_page()
        for name, chart in every_chart(holdout, tracked, channels).items():
            page.set_content(chart.standalone())
            figure = page.locator("svg.chart")
            assert (name, figure.evaluate(OUTSIDE)) == (name, [])
            assert (name, figure.evaluate(MEETING)) == (name, [])
        browser.close()


def test_threads_draw_what_one_thread_draws(tracked):
    def draw(_: int) -> str:
        return plots.plot_tracking(tracked, cutoff=20).standalone()

    alone = draw(0)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(draw, range(8))) == {alone}
