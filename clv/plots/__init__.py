"""Plots: each function takes a table or arrays and returns matplotlib Axes in one house style.

::

    forecasts.py   calibration, tracking, gain curve, P(alive) matrix
    budgets.py     response curves with today's and the proposed point
    style.py       the style, and to_png, to_svg
"""

from clv.plots.budgets import plot_response
from clv.plots.forecasts import (
    alive_grid,
    plot_alive_matrix,
    plot_calibration,
    plot_gain,
    plot_tracking,
)
from clv.plots.style import to_png, to_svg

__all__ = [
    "alive_grid",
    "plot_alive_matrix",
    "plot_calibration",
    "plot_gain",
    "plot_response",
    "plot_tracking",
    "to_png",
    "to_svg",
]
