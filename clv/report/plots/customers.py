"""Charts of a customer base: how its value is spread, and how its customers differ."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from clv.evaluate import gain_curve, gini
from clv.format import count, figure, money, number, percent
from clv.report.charts import (
    Chart,
    Label,
    Series,
    line_chart,
    log_money_axis,
    number_axis,
    share_axis,
    table_of,
)

TOPS = (0.01, 0.05, 0.20)  # the shares of customers that a reader asks for
BARS = 30  # of a distribution


def plot_lorenz(value: ArrayLike, *, what: str = "value", name: str = "customers") -> Chart:
    """How concentrated the value is: the share of the best customers in it.

    Parameters
    ----------
    value
        Of each customer, shape (n,), none negative, not all zero.
    what, name
        What is counted, and what the customers are called, in words.

    Returns
    -------
    Chart
        The share of value over the share of customers, best first; the best 1%, 5% and 20% named.

    Examples
    --------
    >>> [label.text for label in plot_lorenz([1.0] * 80 + [6.0] * 20).plot.labels]
    ['best 1%: 3%', 'best 5%: 15%', 'best 20%: 60%']
    """
    values = np.asarray(value, dtype=np.float64)
    share, cumulative = gain_curve(values, values)
    tops = {top: float(np.interp(top, share, cumulative)) for top in TOPS}
    x, y = share.tolist(), cumulative.tolist()
    evenness = number(gini(values, values, normalized=False))
    caption = f"Gini {evenness}; the best 20% hold {percent(tops[0.2])}."
    rows = pd.DataFrame({"Best": tops.keys(), f"Share of the {what}": tops.values()})
    return line_chart(
        f"How few {name} hold most of the {what}",
        caption,
        [
            Series("", x, y, "band", low=x),
            Series(f"{what} of the best {name}", x, y),
            Series("if all were worth the same", [0.0, 1.0], [0.0, 1.0], "dash", "6"),
            Series("", list(tops), list(tops.values()), "dots"),
        ],
        share_axis(f"Share of {name}, best first"),
        share_axis(f"Share of the {what}"),
        table_of(rows, caption, dict.fromkeys(map(str, rows), percent)),
        caption,
        labels=[
            Label(top, part, f"best {percent(top)}: {percent(part)}", below=True)
            for top, part in tops.items()
        ],
    )


def plot_value_distribution(value: ArrayLike, *, terms: str, currency: str = "") -> Chart:
    """How many customers have which value, on a logarithmic scale, median and mean marked.

    Customers worth less than a hundredth of the mean stand together in the first bar.

    Parameters
    ----------
    value
        Of each customer, shape (n,), none negative, not all zero.
    terms
        What the values are, in words: horizon, discounting, margin or revenue.
    currency
        Of the values.

    Returns
    -------
    Chart
        Bars that hold every customer once, in classes of value.

    Examples
    --------
    >>> chart = plot_value_distribution([1.0, 2.0, 9.0], terms="over 3 years", currency="EUR")
    >>> [key.label for key in chart.keys], sum(chart.plot.series[0].y)
    (['customers', 'mean €4', 'median €2'], 3)
    """
    values = np.asarray(value, dtype=np.float64)
    mean, median = float(values.mean()), float(np.median(values))
    floor = mean / 100
    edges = np.geomspace(floor, max(values.max(), 10 * floor) * (1 + 1e-9), BARS + 1)
    counts = np.histogram(np.maximum(values, floor), edges)[0].tolist()
    lower, upper = edges[:-1].tolist(), edges[1:].tolist()
    first = f"under {money(upper[0], currency)}"
    classes = [first] + [
        f"{money(low, currency)} to {money(high, currency)}"
        for low, high in zip(lower[1:], upper[1:], strict=True)
    ]
    y = number_axis(0, max(counts), "Customers")
    hints = [f"{name}: {count(n)}" for name, n in zip(classes, counts, strict=True)]
    rows = pd.DataFrame({"Value of a customer": classes, "Customers": counts})
    return line_chart(
        "What the customers are worth",
        f"{terms}. Mean {money(mean, currency)}, median {money(median, currency)}.",
        [
            Series("customers", lower, counts, "bars", right=upper, hints=hints),
            _upright(f"mean {money(mean, currency)}", mean, y.high, "2"),
            _upright(f"median {money(median, currency)}", max(median, floor), y.high, "6"),
        ],
        log_money_axis(floor, upper[-1], currency, "Value of a customer"),
        y,
        table_of(rows, terms),
        terms,
    )


def _upright(label: str, x: float, top: float, tone: str) -> Series:
    return Series(label, [x, x], [0.0, top], "dash", tone)


def plot_heterogeneity(table: pd.DataFrame) -> Chart:
    """How customers differ in a rate that nobody sees, such as purchases per week.

    Parameters
    ----------
    table
        The rows of one rate from ``PurchaseModel.heterogeneity``: columns rate (its name), share
        (of customers at or below) and value.

    Returns
    -------
    Chart
        The rate over the share of customers; where one in ten, half and nine in ten are, marked.
    """
    (name,) = table["rate"].unique()
    share, value = table["share"].to_numpy(), table["value"].to_numpy()
    marks = [0.1, 0.5, 0.9]
    low, middle, high = (0.0 if v < 1e-9 else float(v) for v in np.interp(marks, share, value))
    caption = (
        f"One in ten is below {figure(low)}, half are below {figure(middle)}, one in ten is above "
        f"{figure(high)}."
    )
    rows = pd.DataFrame({"Share of customers": marks, "at or below": [low, middle, high]})
    return line_chart(
        f"How customers differ: {name}",
        caption,
        [
            Series(str(name), share.tolist(), value.tolist()),
            Series("10%, 50%, 90% of customers", marks, [low, middle, high], "dots"),
        ],
        share_axis("Share of customers, lowest first"),
        number_axis(0, float(value.max()), str(name).capitalize()),
        table_of(rows, str(name), {"Share of customers": percent, "at or below": figure}),
        caption,
    )
