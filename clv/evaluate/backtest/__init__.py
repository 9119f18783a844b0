"""Forecasters judged at several cutoffs, each with its own holdout, and the choice that follows.

::

    origin.py      what is known at a cutoff, and what happened next; cutoffs
    forecast.py    what a forecaster says; the purchase models
    naive.py       rules of thumb, with a distribution (spread.py)
    learned_forecasts.py  the pool of model and boosted trees, the trees alone, peers
    rolling.py     everybody at every cutoff, in one table
    coverage.py    nominal and measured coverage, of customers and of totals
    choice.py      the purchase model to use, and why
    long_view.py   totals over years, fitted on the first part of a log
    growing_doubt.py  what totals from earlier days were off, the further ahead the more
"""

from clv.evaluate.backtest.choice import ModelChoice, choose, choose_purchase_model
from clv.evaluate.backtest.coverage import coverage_table, misses, rolling_record
from clv.evaluate.backtest.forecast import Forecast
from clv.evaluate.backtest.origin import Calibration, Origin, origins, spaced_cutoffs
from clv.evaluate.backtest.rolling import RollingOrigin

__all__ = [
    "Calibration",
    "Forecast",
    "ModelChoice",
    "Origin",
    "RollingOrigin",
    "choose",
    "choose_purchase_model",
    "coverage_table",
    "misses",
    "origins",
    "rolling_record",
    "spaced_cutoffs",
]
