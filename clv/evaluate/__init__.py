"""How good is a forecast? Arrays in, a number or a table out; no model inside.

::

    metrics.py   one number or table for one forecast
    holdout.py   several forecasts beside naive ones, and purchases tracked over time
"""

from clv.evaluate.holdout import NAIVE, holdout_table, naive_forecasts, tracking, verdict
from clv.evaluate.metrics import (
    auc,
    brier_score,
    count_log_score,
    decile_table,
    frequency_table,
    gain_curve,
    gini,
    log_loss,
    mean_absolute_error,
    rank_correlation,
    root_mean_squared_error,
    total_bias,
)

__all__ = [
    "NAIVE",
    "auc",
    "brier_score",
    "count_log_score",
    "decile_table",
    "frequency_table",
    "gain_curve",
    "gini",
    "holdout_table",
    "log_loss",
    "mean_absolute_error",
    "naive_forecasts",
    "rank_correlation",
    "root_mean_squared_error",
    "total_bias",
    "tracking",
    "verdict",
]
