"""Charts of histories: who is still a customer, and who will buy, by frequency and recency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from clv.format import count, figure, number, percent
from clv.report.charts import Axis, Chart, Shades, Table, line_chart, number_axis, table_of

ALIVE = (0.1, 0.3, 0.5, 0.7, 0.9)  # where the shades of P(alive) end
COLUMNS = 7  # of recency, in the table behind a field of shades


def alive_grid(T: float, frequency: int = 20, steps: int = 60) -> pd.DataFrame:
    """Histories on which to compute P(alive) for :func:`plot_alive_matrix`.

    Parameters
    ----------
    T
        The age of the customers: time since the first purchase.
    frequency
        The most repeat purchases.
    steps
        Recency is 0 to T in so many steps; the first a trifle above 0, as repeats take time.

    Returns
    -------
    pandas.DataFrame
        A summary with columns frequency, recency and T, a row per history.

    Examples
    --------
    >>> alive_grid(10, frequency=1, steps=2)["recency"].round(3).tolist()
    [0.0, 5.0, 10.0]
    """
    recency = np.linspace(1e-9 * T, T, steps + 1)
    x = np.repeat(np.arange(1, frequency + 1), len(recency))
    return pd.DataFrame({"frequency": x, "recency": np.tile(recency, frequency), "T": T})


def plot_alive_matrix(grid: pd.DataFrame, probability: ArrayLike, *, unit: str = "week") -> Chart:
    """P(alive) by frequency and recency, for customers of one age.

    Parameters
    ----------
    grid
        Of :func:`alive_grid`.
    probability
        The model's P(alive) of its rows.
    unit
        What time is counted in.

    Returns
    -------
    Chart
        A field of shades, a row per frequency and a column per recency.
    """
    ends = [percent(level) for level in ALIVE]
    caption = f"Probability of being alive, customers who first bought {_age(grid, unit)} ago."
    return _matrix(
        "Who is still a customer", caption, grid, probability, unit, ALIVE, ends, percent
    )


def plot_expected_matrix(
    grid: pd.DataFrame, expected: ArrayLike, *, horizon: str, unit: str = "week"
) -> Chart:
    """Expected purchases by frequency and recency, for customers of one age.

    Parameters
    ----------
    grid
        Of :func:`alive_grid`.
    expected
        The model's forecast for its rows over ``horizon``.
    horizon
        A length of time in words.
    unit
        What time is counted in.

    Returns
    -------
    Chart
        A field of shades, a row per frequency and a column per recency.
    """
    most = float(np.max(expected))
    levels = [level for level, _ in number_axis(0, most, ticks=6).ticks if 0 < level < most]
    caption = f"By history, customers who first bought {_age(grid, unit)} ago."
    title = f"Expected purchases in the next {horizon}"
    names = [count(level) for level in levels]
    return _matrix(title, caption, grid, expected, unit, levels, names, number)


def _age(grid: pd.DataFrame, unit: str) -> str:
    return f"{grid['T'].iloc[0]:g} {unit}s"


def _matrix(
    title: str,
    caption: str,
    grid: pd.DataFrame,
    values: ArrayLike,
    unit: str,
    levels: Sequence[float],
    ends: Sequence[str],
    write: Callable[[float], str],
) -> Chart:
    """A value by recency and frequency as shades that end at levels."""
    matrix = grid.assign(value=np.asarray(values)).pivot(
        index="frequency", columns="recency", values="value"
    )
    columns, rows = _edges(matrix.columns.to_numpy()), _edges(matrix.index.to_numpy())
    between = [f"{low} to {high}" for low, high in pairwise(ends)]
    names = [f"under {ends[0]}", *between, f"over {ends[-1]}"] if ends else ["all"]
    return line_chart(
        title,
        caption,
        [Shades(columns, rows, matrix.to_numpy().tolist(), levels, names)],
        _within(number_axis(0, columns[-1], f"Age at the last purchase, in {unit}s"), columns),
        _within(number_axis(0, rows[-1], "Repeat purchases", ticks=6), rows),
        _some_recencies(matrix, unit, write),
        caption,
        height=330,
    )


def _edges(places: np.ndarray) -> list[float]:
    """Where the cells around evenly spaced places begin and end.

    >>> _edges(np.array([1.0, 2.0, 3.0]))
    [0.5, 1.5, 2.5, 3.5]
    """
    half = (places[1] - places[0]) / 2 if len(places) > 1 else 0.5
    return [float(places[0] - half), *(places + half).tolist()]


def _within(axis: Axis, edges: Sequence[float]) -> Axis:
    """The axis from the first edge to the last."""
    inside = tuple(tick for tick in axis.ticks if edges[0] <= tick[0] <= edges[-1])
    return replace(axis, low=edges[0], high=edges[-1], ticks=inside)


def _some_recencies(matrix: pd.DataFrame, unit: str, write: Callable[[float], str]) -> Table:
    """Every frequency at a few recencies."""
    few = np.unique(np.linspace(0, matrix.shape[1] - 1, COLUMNS).round().astype(int))
    rows = matrix.iloc[:, few]
    headings = [figure(recency, 3) for recency in rows.columns.astype(float).tolist()]
    frame = rows.set_axis(headings, axis="columns").reset_index()
    caption = f"Repeat purchases down, age at the last purchase across, in {unit}s"
    named = frame.rename(columns={"frequency": "Repeat purchases"})
    return table_of(named, caption, dict.fromkeys(headings, write))
