"""Charts of models and plans: each function takes a table or arrays and returns a ``Chart``.

::

    forecasts.py   calibration, deciles, tracking, increments, gain curve, coverage
    histories.py   P(alive) and expected purchases by frequency and recency
    customers.py   Lorenz curve, distribution of value, heterogeneity of the rates
    budgets.py     response curves with today's and the proposed point, the budget frontier
    waterfalls.py  a sum, the steps to another, and that one
    change_waterfall.py  what changed since an earlier run
    funnels.py     leads by stage, channels at equal age
    offers.py      items by what their offers bring, hits of rankings
    referrals.py   what referrals earn by who would not have come otherwise
    trials.py      power by customers of a test, what a campaign returned both ways
"""

from clv.report.plots.budgets import plot_frontier, plot_response
from clv.report.plots.customers import plot_heterogeneity, plot_lorenz, plot_value_distribution
from clv.report.plots.forecasts import (
    plot_calibration,
    plot_coverage,
    plot_deciles,
    plot_gain,
    plot_increments,
    plot_tracking,
)
from clv.report.plots.funnels import plot_funnel, plot_lead_channels
from clv.report.plots.histories import alive_grid, plot_alive_matrix, plot_expected_matrix
from clv.report.plots.offers import plot_offer_hits, plot_offer_items
from clv.report.plots.referrals import plot_referrals
from clv.report.plots.trials import plot_power, plot_roi

__all__ = [
    "alive_grid",
    "plot_alive_matrix",
    "plot_calibration",
    "plot_coverage",
    "plot_deciles",
    "plot_expected_matrix",
    "plot_frontier",
    "plot_funnel",
    "plot_gain",
    "plot_heterogeneity",
    "plot_increments",
    "plot_lead_channels",
    "plot_lorenz",
    "plot_offer_hits",
    "plot_offer_items",
    "plot_power",
    "plot_referrals",
    "plot_response",
    "plot_roi",
    "plot_tracking",
    "plot_value_distribution",
]
