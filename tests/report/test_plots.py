"""Plots draw the numbers they were given, in words and colours that can be read."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from scipy import stats

from clv import evaluate
from clv.probability.bg_nbd import BetaGeoNBD
from clv.report import plots
from clv.report.plots import style
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


def every_axes(holdout, tracked, channels):
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


def lines_of(ax):
    return {str(line.get_label()): line for line in ax.lines}


def texts_of(ax):
    return [text.get_text() for text in ax.texts]


def test_calibration_draws_both_means_of_every_class(calibration):
    table, ax = calibration
    lines = lines_of(ax)
    assert np.array_equal(lines["actual"].get_ydata(), table["actual_mean"])
    assert np.array_equal(lines["predicted"].get_ydata(), table["predicted_mean"])
    ticks = [label.get_text() for label in ax.get_xticklabels()]
    assert ticks[-1] == f"7+\n{table['customers'].iloc[-1]:,}"
    assert ax.get_ylim()[0] == 0
    assert "39 weeks" in texts_of(ax)[0]


def test_tracking_ends_at_the_totals_and_marks_the_holdout(tracked):
    ax = plots.plot_tracking(tracked, cutoff=20)
    actual, expected, cutoff = ax.lines
    assert actual.get_ydata()[-1] == tracked["actual_cumulative"].iloc[-1]
    assert expected.get_ydata()[-1] == tracked["expected_cumulative"].iloc[-1]
    assert set(cutoff.get_xdata()) == {20}
    texts = texts_of(ax)
    assert {"fitted", "held out"} <= set(texts)
    miss = expected.get_ydata()[-1] / actual.get_ydata()[-1] - 1
    assert any(f"({miss:+.0%})".replace("-", "−") in text for text in texts)


def test_tracking_without_a_cutoff_says_nothing_of_a_holdout(tracked):
    assert "held out" not in texts_of(plots.plot_tracking(tracked))


def test_gain_draws_the_curve_and_names_the_gini(holdout):
    _, predicted, actual = holdout
    ax = plots.plot_gain(
        actual, {"model": predicted, "nothing": np.ones(len(actual))}, horizon="39 weeks"
    )
    label = f"model: Gini {evaluate.gini(actual, predicted):.2f}"
    customers, held = evaluate.gain_curve(actual, predicted)
    assert np.array_equal(lines_of(ax)[label].get_xydata(), np.column_stack([customers, held]))
    assert "nothing: Gini 0.00" in lines_of(ax)
    best = np.argsort(-predicted, kind="stable")
    share = float(np.interp(0.2, customers, held))
    assert share == pytest.approx(actual[best[:600]].sum() / actual.sum(), abs=0.02)
    assert f"account for {share:.0%}" in texts_of(ax)[0]


def test_the_alive_matrix_has_a_cell_per_history():
    grid = plots.alive_grid(26, frequency=5, steps=13)
    assert len(grid) == 5 * 14
    assert (grid["recency"] <= grid["T"]).all()
    assert grid["frequency"].min() == 1
    shuffled = grid.sample(frac=1, random_state=1)
    ax = plots.plot_alive_matrix(shuffled, shuffled["recency"] / 26, unit="day")
    drawn = ax.collections[0].get_array()
    assert np.allclose(drawn, np.tile(np.linspace(0, 1, 14), (5, 1)))
    assert "26 days" in texts_of(ax)[0]


def test_response_puts_both_plans_on_the_curve(channels):
    curves, plans = channels
    ax = plots.plot_response(curves, plans)
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    seen = {
        (dot.get_color(), dot.get_markerfacecolor() == "white"): dot.get_xydata() for dot in dots
    }
    search = style.COLOURS[0]  # first in curves
    assert seen[search, True] == pytest.approx(np.array([[400, 3 * 400**0.5]]), rel=1e-3)
    assert seen[search, False] == pytest.approx(np.array([[600, 3 * 600**0.5]]), rel=1e-3)
    assert len(dots) == 6
    assert {"search", "social", "Pin & Co <$>"} <= set(texts_of(ax))


def test_response_draws_the_interval_and_what_was_observed():
    spend = np.linspace(0, 900, 50)
    curve = pd.DataFrame({"channel": "tv", "spend": spend, "customers": 3 * spend**0.5})
    curve = curve.assign(customers_low=2 * spend**0.5, customers_high=4 * spend**0.5)
    plans = pd.DataFrame({"channel": ["tv"], "today": [np.nan], "proposed": [600.0]})
    ax = plots.plot_response(curve, plans, title="tv", observed=(200, 500))
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(4 * 30)
    assert ax.patches[0].get_x() == 200
    assert len([line for line in ax.lines if line.get_marker() == "o"]) == 1  # no known today
    assert "today" not in " ".join(texts_of(ax))


def test_the_frontier_marks_the_plan_today_and_the_best():
    budget = np.linspace(0, 100, 20)
    rows = pd.DataFrame({"budget": budget, "profit": 20 * np.sqrt(budget) - budget})
    ax = plots.plot_frontier(rows, planned=(50, 91.4), today=(50, 80), best=(100, 100))
    dots = {tuple(line.get_xydata()[0]) for line in ax.lines if line.get_marker() == "o"}
    assert dots == {(50, 91.4), (50, 80), (100, 100)}
    assert {"this plan", "today", "greatest profit"} <= set(texts_of(ax))
    assert "Budget" in ax.get_xlabel()


def test_the_expected_matrix_draws_the_forecast_of_each_history():
    grid = plots.alive_grid(26, frequency=5, steps=13)
    ax = plots.plot_expected_matrix(grid, grid["frequency"], horizon="1 year")
    drawn = ax.collections[0].get_array()
    assert np.allclose(drawn, np.repeat(np.arange(1, 6), 14).reshape(5, 14))
    assert "1 year" in ax.get_title(loc="left")


def test_deciles_draw_both_means_and_say_what_the_first_group_made(holdout):
    _, predicted, actual = holdout
    table = evaluate.decile_table(actual, predicted)
    ax = plots.plot_deciles(table, horizon="39 weeks")
    assert np.array_equal(lines_of(ax)["actual"].get_ydata(), table["actual_mean"])
    assert np.array_equal(lines_of(ax)["predicted"].get_ydata(), table["predicted_mean"])
    assert f"{table['actual_share'].iloc[0]:.0%}" in texts_of(ax)[0]


def test_increments_draw_what_each_period_added(tracked):
    ax = plots.plot_increments(tracked, cutoff=20, unit="day")
    assert np.array_equal(lines_of(ax)["actual"].get_ydata(), tracked["actual"])
    assert np.array_equal(lines_of(ax)["expected"].get_ydata(), tracked["expected"])
    assert ax.get_ylabel() == "Repeat purchases per day"
    assert "held out" in texts_of(ax)


def test_coverage_is_drawn_as_measured_against_promised():
    ax = plots.plot_coverage(coverage(), horizon="39 weeks")
    assert lines_of(ax)["the total"].get_xydata()[:, 1] == pytest.approx([0.33, 0.67, 1.0])
    assert ax.get_xlim()[0] < 0.33


def test_lorenz_holds_the_shares_of_the_best():
    value = np.r_[np.full(99, 1.0), 101.0]
    ax = plots.plot_lorenz(value)
    assert {"best 1%: 50%", "best 5%: 52%", "best 20%: 60%"} <= set(texts_of(ax))
    raw = 1 - 2 * np.trapezoid(np.cumsum(np.r_[0, np.sort(value)]) / 200, np.linspace(0, 1, 101))
    assert f"Gini {raw:.2f}" in texts_of(ax)[0]


def test_the_value_distribution_counts_every_customer_and_marks_mean_and_median():
    value = np.r_[np.zeros(10), np.full(70, 5.0), np.full(20, 50.0)]
    ax = plots.plot_value_distribution(value, terms="over 3 years")
    assert sum(bar.get_height() for bar in ax.patches) == 100
    assert ax.patches[0].get_height() == 10
    assert {"mean 13.5", "median 5"} <= set(texts_of(ax))


def test_heterogeneity_is_the_quantiles_of_the_rate():
    table = rates()
    assert table["rate"].nunique() == 2
    one = table[table["rate"] == "purchases per week while a customer"]
    known = stats.gamma(2, scale=1 / 10)
    assert known.cdf(one["value"]) == pytest.approx(one["share"].to_numpy())
    words = texts_of(plots.plot_heterogeneity(one))[0]
    assert f"half are below {known.median():.3g}" in words


def test_labels_that_would_meet_are_moved_apart():
    spread = style._spread([5.0, 1.0, 5.1, 5.2], gap=1.0)
    assert (np.diff(np.sort(spread)) > 0.99).all()
    assert np.array_equal(np.argsort(spread), [1, 0, 2, 3])
    assert spread[1] == 1.0
    assert spread[[0, 2, 3]].mean() == pytest.approx(5.1)


def test_every_plot_is_a_valid_svg_with_its_text(holdout, tracked, channels):
    for name, ax in every_axes(holdout, tracked, channels).items():
        svg = plots.to_svg(ax, f'the "{name}" plot')
        root = ElementTree.fromstring(svg)
        assert root.get("role") == "img"
        assert root.get("aria-label") == f'the "{name}" plot'
        written = " ".join(text or "" for text in root.itertext())
        assert ax.get_title(loc="left") in written
        assert ax.get_xlabel() in written
        assert "<metadata" not in svg
        groups = [e for e in root.iter() if e.tag.endswith("}g") and e.get("id")]
        assert not groups


def test_every_plot_is_a_png_of_the_house_size(holdout, tracked, channels):
    for ax in every_axes(holdout, tracked, channels).values():
        png = plots.to_png(ax, dpi=100)
        assert png.startswith(b"\x89PNG")
        size = int.from_bytes(png[16:20]), int.from_bytes(png[20:24])
        assert size == (720, 440)


def test_titles_and_labels_stay_inside_the_figure(holdout, tracked, channels):
    for ax in every_axes(holdout, tracked, channels).values():
        figure = ax.figure
        figure.draw_without_rendering()
        box = figure.bbox
        for text in [*ax.texts, ax.xaxis.label, ax.yaxis.label, ax._left_title]:
            extent = text.get_window_extent()
            assert box.x0 <= extent.x0
            assert extent.x1 <= box.x1
            assert box.y0 <= extent.y0
            assert extent.y1 <= box.y1


def test_threads_draw_what_one_thread_draws(tracked):
    def draw(_: int) -> str:
        return plots.to_svg(plots.plot_tracking(tracked, cutoff=20), "tracking")

    alone = draw(0)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(draw, range(8))) == {alone}


def test_an_axes_of_ones_own_is_drawn_into(tracked):
    from matplotlib.figure import Figure

    left, _ = Figure().subplots(1, 2)
    assert plots.plot_tracking(tracked, ax=left) is left


@pytest.mark.parametrize("colour", [*style.COLOURS, style.INK, style.MUTED])
def test_colours_can_be_read_on_white(colour):
    # WCAG 2 relative luminance and contrast
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 4.5


def test_importing_the_plots_loads_no_matplotlib_and_drawing_no_pyplot():
    code = (
        "import sys, clv.report.plots as p; assert 'matplotlib' not in sys.modules;"
        "p.to_png(p.plot_alive_matrix(p.alive_grid(9), [0.5] * 1220));"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
