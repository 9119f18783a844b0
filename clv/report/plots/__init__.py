"""Plots: each function takes a table or arrays and returns matplotlib Axes in one house style.

::

    forecasts.py   calibration, deciles, tracking, increments, gain curve, coverage, matrices
    customers.py   Lorenz curve, distribution of value, heterogeneity of the rates
    budgets.py     response curves with today's and the proposed point, the budget frontier
    style.py       the style, and to_png, to_svg
"""

from clv.report.plots.budgets import plot_frontier, plot_response
from clv.report.plots.customers import plot_heterogeneity, plot_lorenz, plot_value_distribution
from clv.report.plots.forecasts import (
    alive_grid,
    plot_alive_matrix,
    plot_calibration,
    plot_coverage,
    plot_deciles,
    plot_expected_matrix,
    plot_gain,
    plot_increments,
    plot_tracking,
)
from clv.report.plots.style import to_png, to_svg

__all__ = [
    "alive_grid",
    "plot_alive_matrix",
    "plot_calibration",
    "plot_coverage",
    "plot_deciles",
    "plot_expected_matrix",
    "plot_frontier",
    "plot_gain",
    "plot_heterogeneity",
    "plot_increments",
    "plot_lorenz",
    "plot_response",
    "plot_tracking",
    "plot_value_distribution",
    "to_png",
    "to_svg",
]
