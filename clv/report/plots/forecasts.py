"""Charts of forecasts: how far they came true, and whom they rank first."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from clv.evaluate import gain_curve, gini
from clv.format import change, count, fine_percent, number, percent, whole_number
from clv.report.charts import (
    Axis,
    Chart,
    Label,
    Series,
    Table,
    column_chart,
    line_chart,
    number_axis,
    share_axis,
    table_of,
)
from clv.schema import Floats

TONES = "123456"
SHARES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)  # of customers, in the table of a gain curve
EXPECTED, ACTUAL = "1", "2"  # tones, as on every chart


def plot_calibration(table: pd.DataFrame, *, horizon: str, what: str = "purchases") -> Chart:
    """Actual and predicted mean by number of repeat purchases in calibration.

    Parameters
    ----------
    table
        Of :func:`clv.evaluate.frequency_table`: a row per class of frequency.
    horizon
        The length of the holdout in words, such as "39 weeks".
    what
        Names that which was predicted.

    Returns
    -------
    Chart
        Series "actual" and "predicted", per customer over the holdout.

    Examples
    --------
    >>> from clv.evaluate import frequency_table
    >>> table = frequency_table([0, 0, 1], [0.0, 1.0, 2.0], [0.4, 0.6, 1.5])
    >>> [key.label for key in plot_calibration(table, horizon="1 year").keys]
    ['predicted', 'actual']
    """
    classes = [
        f"{frequency}\n{count(customers)}"
        for frequency, customers in zip(table["frequency"], table["customers"], strict=True)
    ]
    return _means(
        table,
        classes,
        f"Predicted and actual {what} by past frequency",
        f"Mean per customer in the next {horizon}; below each class its number of customers.",
        ("Repeat purchases in calibration", f"{what.capitalize()} per customer"),
    )


def plot_deciles(table: pd.DataFrame, *, horizon: str, what: str = "purchases") -> Chart:
    """Actual and predicted mean in equal groups of customers, the best predicted first.

    Parameters
    ----------
    table
        Of :func:`clv.evaluate.decile_table`: a row per group.
    horizon
        The length of the holdout in words, such as "39 weeks".
    what
        Names that which was predicted.

    Returns
    -------
    Chart
        Series "actual" and "predicted", per customer over the holdout.

    Examples
    --------
    >>> from clv.evaluate import decile_table
    >>> table = decile_table([0.0, 1.0, 2.0, 5.0], [0.1, 1.2, 2.2, 4.0], groups=2)
    >>> list(plot_deciles(table, horizon="1 year").plot.series[1].y)
    [3.5, 0.5]
    """
    best, customers = table["actual_share"].iloc[0], table["customers"].iloc[0]
    return _means(
        table,
        [f"{group}" for group in table["group"]],
        f"Predicted and actual {what} by predicted rank",
        f"Mean per customer in the next {horizon}; "
        f"the first group made {percent(best)} of all {what}.",
        (
            f"Groups of {count(customers)} customers, best predicted first",
            f"{what.capitalize()} per customer",
        ),
    )


def _means(
    table: pd.DataFrame, classes: list[str], title: str, caption: str, labels: tuple[str, str]
) -> Chart:
    """The actual and the predicted mean of each class beside each other."""
    means = {name: table[f"{name}_mean"].tolist() for name in ("predicted", "actual")}
    columns = [table.columns[0], "customers", "actual_mean", "predicted_mean"]
    headings = {name: str(name).replace("_", " ").capitalize() for name in columns}
    behind = table_of(table[columns].rename(columns=headings), "Mean per customer")
    y = number_axis(0, max(*means["predicted"], *means["actual"], 0.0), labels[1])
    return column_chart(title, caption, classes, means, y, behind, caption, label=labels[0])


def plot_tracking(table: pd.DataFrame, *, cutoff: float | None = None, unit: str = "week") -> Chart:
    """Cumulative repeat purchases, as they happened and as the model expected them.

    Parameters
    ----------
    table
        Of :func:`clv.evaluate.tracking`: a row per period.
    cutoff
        What lies beyond was held out, in periods since the first day.
    unit
        What a period is called.

    Returns
    -------
    Chart
        Two series, cumulative from 0 over all customers of the calibration.
    """
    time = [0.0, *table["time"].tolist()]
    actual = [0.0, *table["actual_cumulative"].tolist()]
    expected = [0.0, *table["expected_cumulative"].tolist()]
    y = number_axis(0, max(actual[-1], expected[-1]), "Repeat purchases")
    miss = f" ({change(expected[-1] / actual[-1] - 1)})" if actual[-1] else ""
    series = [
        Series(f"actual: {whole_number(actual[-1])}", time, actual, "line", ACTUAL),
        Series(f"expected: {whole_number(expected[-1])}{miss}", time, expected, "dash", EXPECTED),
    ]
    caption = "Cumulative, over all customers of the calibration; the legend says the end."
    columns = ["time", "actual_cumulative", "expected_cumulative"]
    title = "Repeat purchases over time, actual and expected"
    return _over_time(title, caption, series, y, table[columns], cutoff, unit)


def plot_increments(
    table: pd.DataFrame, *, cutoff: float | None = None, unit: str = "week"
) -> Chart:
    """Repeat purchases period by period, as they happened and as the model expected them.

    Parameters
    ----------
    table
        Of :func:`clv.evaluate.tracking`: a row per period.
    cutoff
        What lies beyond was held out, in periods since the first day.
    unit
        What a period is called.

    Returns
    -------
    Chart
        Series "actual" and "expected", purchases per period.
    """
    time, actual, expected = (table[name].tolist() for name in ("time", "actual", "expected"))
    y = number_axis(0, max(*actual, *expected, 0.0), f"Repeat purchases per {unit}")
    series = [
        Series("actual", time, actual, "line", ACTUAL),
        Series("expected", time, expected, "dash", EXPECTED),
    ]
    caption = "Seasons and campaigns show as waves that the model does not know."
    title = f"Repeat purchases {unit} by {unit}, actual and expected"
    rows = table[["time", "actual", "expected"]]
    return _over_time(title, caption, series, y, rows, cutoff, unit)


def _over_time(
    title: str,
    caption: str,
    series: list[Series],
    y: Axis,
    rows: pd.DataFrame,
    cutoff: float | None,
    unit: str,
) -> Chart:
    """Series over the periods since the first day, with what was held out."""
    end = float(rows["time"].iloc[-1])
    x = number_axis(0, end, f"{unit.capitalize()}s since the first day")
    names: list[Label] = []
    if cutoff is not None:
        held_out = Series("", [cutoff, end], [y.high, y.high], "band", "6", low=[0.0, 0.0])
        border = Series("", [cutoff, cutoff], [0.0, y.high], "dash", "6")
        series = [held_out, border, *series]
        height = 0.88 * y.high
        names = [
            Label(cutoff, height, "fitted", "left"),
            Label(cutoff, height, "held out", "right"),
        ]
    headings = {name: str(name).removesuffix("_cumulative").capitalize() for name in rows}
    table = table_of(
        rows.rename(columns={**headings, "time": f"After {unit}s"}),
        caption,
        dict.fromkeys(("Actual", "Expected"), whole_number) | {f"After {unit}s": count},
    )
    return line_chart(title, caption, series, x, y, table, caption, labels=names)


def plot_coverage(table: pd.DataFrame, *, horizon: str) -> Chart:
    """How often the intervals held what happened, beside how often they promise to.

    Parameters
    ----------
    table
        Columns interval (what it is of: "purchases of a customer", ...), nominal, measured: the
        promised and the measured share, a row per kind and level.
    horizon
        The length of the holdout in words.

    Returns
    -------
    Chart
        A series per kind of interval: measured over promised share.
    """
    shares = table[["nominal", "measured"]].to_numpy()
    x = share_axis("Promised share", float(shares[:, 0].min()) - 0.05)
    y = share_axis("Measured share", float(shares.min()) - 0.05)
    first = max(x.low, y.low)
    series = [Series("as promised", [first, 1.0], [first, 1.0], "dash", "6")]
    kinds = table.groupby("interval", sort=False)
    for tone, (name, rows) in zip(cycle(TONES), kinds, strict=False):
        levels = rows.sort_values("nominal")
        points = levels["nominal"].tolist(), levels["measured"].tolist()
        series += [
            Series(str(name), *points, "line", tone),
            Series(str(name), *points, "dots", tone),
        ]
    caption = f"Share of outcomes inside, over the next {horizon}; on the dashed line is right."
    columns = {"interval": "Interval of", "nominal": "Promised", "measured": "Measured"}
    rows = table[list(columns)].rename(columns=columns)
    behind = table_of(rows, caption, {"Promised": percent, "Measured": fine_percent})
    title = "Do the intervals hold what they promise?"
    return line_chart(title, caption, series, x, y, behind, caption)


def plot_gain(
    actual: ArrayLike,
    scores: Mapping[str, ArrayLike],
    *,
    horizon: str,
    what: str = "purchases",
    top: float = 0.2,
) -> Chart:
    """Share of what happened that the best customers by each score account for.

    Parameters
    ----------
    actual
        What each customer did in the holdout, shape (n,).
    scores
        What customers are ranked by, up to six by name; shape (n,) each.
    horizon
        The length of the holdout in words.
    what
        Names that which was held out.
    top
        The share of customers to mark on the first curve.

    Returns
    -------
    Chart
        A series per score, named with its Gini coefficient; "perfect ranking" and "by chance".

    Examples
    --------
    >>> chart = plot_gain([0.0, 1.0, 3.0], {"model": [1.0, 2.0, 3.0]}, horizon="1 year")
    >>> [key.label for key in chart.keys]
    ['model: Gini 1.00', 'perfect ranking', 'by chance']
    """
    curves = {name: gain_curve(actual, score) for name, score in scores.items()}
    first = next(iter(curves))
    share = float(np.interp(top, *curves[first]))
    series = [
        Series("perfect ranking", *_lists(gain_curve(actual, actual)), "line", "6"),
        Series("by chance", [0.0, 1.0], [0.0, 1.0], "dash", "6"),
    ]
    for tone, (name, curve) in zip(cycle(TONES), curves.items(), strict=False):
        label = f"{name}: Gini {number(gini(actual, scores[name]))}"
        series.insert(len(series) - 2, Series(label, *_lists(curve), "line", tone))
    series.append(Series("", [top], [share], "dots"))
    held = percent(share)
    caption = f"The best {percent(top)} of customers by {first} account for {held} of the {what}."
    return line_chart(
        f"Who made the {what} of the next {horizon}",
        caption,
        series,
        share_axis("Share of customers, best first"),
        share_axis(f"Share of {what}"),
        _gain_table(curves, what),
        caption,
        labels=[Label(top, share, f"best {percent(top)}: {held}", below=True)],
    )


def _gain_table(curves: Mapping[str, tuple[Floats, Floats]], what: str) -> Table:
    rows = {"Best customers": SHARES} | {
        name: np.interp(SHARES, *curve) for name, curve in curves.items()
    }
    caption = f"Share of {what} that the best customers by each score account for"
    return table_of(pd.DataFrame(rows), caption, dict.fromkeys(rows, percent))


def _lists(curve: tuple[Floats, Floats]) -> tuple[list[float], list[float]]:
    return curve[0].tolist(), curve[1].tolist()
