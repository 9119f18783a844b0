"""How good is a forecast? Arrays in, a number or a table out; no model inside.

::

    metrics.py     one number or table for one forecast
    holdout.py     several forecasts beside naive ones, and purchases tracked over time
    placement.py   where what happened lies in what was predicted: log score, coverage, PIT
    policy.py      what a targeting policy earns, judged on a randomised campaign
"""

from clv.evaluate.holdout import NAIVE, holdout_table, naive_forecasts, tracking, verdict
from clv.evaluate.metrics import (
    auc,
    brier_score,
    count_log_score,
    decile_error,
    decile_table,
    frequency_table,
    gain_curve,
    gini,
    judge,
    log_loss,
    mean_absolute_error,
    rank_correlation,
    root_mean_squared_error,
    total_bias,
)
from clv.evaluate.placement import LEVELS, count_placement, interval_coverage, pit_histogram
from clv.evaluate.policy import (
    EMPC,
    Experiment,
    PolicyValue,
    UpliftCurve,
    contact_best,
    empc,
    policy_table,
    uplift_curve,
)

__all__ = [
    "EMPC",
    "LEVELS",
    "NAIVE",
    "Experiment",
    "PolicyValue",
    "UpliftCurve",
    "auc",
    "brier_score",
    "contact_best",
    "count_log_score",
    "count_placement",
    "decile_error",
    "decile_table",
    "empc",
    "frequency_table",
    "gain_curve",
    "gini",
    "holdout_table",
    "interval_coverage",
    "judge",
    "log_loss",
    "mean_absolute_error",
    "naive_forecasts",
    "pit_histogram",
    "policy_table",
    "rank_correlation",
    "root_mean_squared_error",
    "total_bias",
    "tracking",
    "uplift_curve",
    "verdict",
]
