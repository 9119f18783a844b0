"""The pooled forecast at an origin, its boosted trees alone, and the reference engine of the field.

All learn from what was known at the cutoff, also whether the pool is used.
"""

from __future__ import annotations

import importlib.util
import io
from contextlib import redirect_stdout, suppress
from typing import Any

import numpy as np
from scipy import special as sc

from clv.errors import FitError
from clv.evaluate.backtest.forecast import Forecast, model_forecast, within_money
from clv.evaluate.backtest.origin import Calibration
from clv.forecast.adoption import POOLED
from clv.forecast.learner import hurdle_chances
from clv.history import read_spend
from clv.probability.bg_nbd import BetaGeoNBD
from clv.schema import Floats

BOOSTED, LIFETIMES = "gradient boosting", "lifetimes BG/NBD"


def pooled(calibration: Calibration) -> list[Forecast]:
    """The pool, and plain boosting; none where nothing could be learned."""
    pool, adopted = calibration.adoption.pool, calibration.adoption.adopted
    if pool is None:
        return []
    customers, theta = calibration.customers, calibration.spend._parameters()
    x, zbar = read_spend(calibration.summary)
    ours = pool.forecast(customers)
    scale = ours.money / (ours.purchases * customers.spend)

    def within(amount: Floats) -> Floats:
        return within_money(amount / scale, ours.chances, ours.purchases, theta, x, zbar)

    reading = pool.learner.read(customers.X)
    p, e = sc.expit(reading.odds), reading.beyond

    def chances(k: Floats, rows: Any = slice(None)) -> Floats:
        return hurdle_chances(np.asarray(k), p[rows, None], e[rows, None], pool.learner.size)

    return [
        Forecast(POOLED, False, ours.purchases, ours.money, ours.chances, within, adopted),
        Forecast(BOOSTED, False, p * (1 + e), p * reading.pays, chances),
    ]


def peers(calibration: Calibration) -> list[Forecast]:
    """The forecast of the lifetimes package, where it is installed and its fit converges."""
    if importlib.util.find_spec("lifetimes") is None:
        return []
    model = BetaGeoNBD(unit=calibration.unit, engine="lifetimes")
    with suppress(FitError), redirect_stdout(io.StringIO()):  # it prints what went wrong
        return [model_forecast(calibration, model.fit(calibration.summary), LIFETIMES)]
    return []
