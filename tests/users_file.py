"""A user's file, which mypy reads with the package (`make types`); it is never run.

Each type is the one that is named, and each mistake is an error: without one its `ignore` is not
needed, which strict mypy refuses.
"""

from typing import assert_type

import pandas as pd

import clv
from clv.data.cleaning_report import CleaningReport
from clv.decide.budget.allocation import Allocation
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.value.total_moments import Total
from clv.value.value import Terms

log, report = clv.clean(pd.DataFrame())
summary = clv.summarize(log, unit="week")
model = clv.BetaGeoNBD(unit="week").fit(summary)
assert_type(report, CleaningReport)
assert_type(summary, pd.DataFrame)
assert_type(model, BetaGeoNBD)
assert_type(clv.GammaGamma().fit(summary).expected_spend(), float)
assert_type(clv.Terms(0.3).horizon, Duration)
assert_type(
    clv.customer_value(summary, model, clv.GammaGamma(), clv.Terms(0.3)),
    pd.DataFrame,
)
assert_type(clv.CustomerScorer.load("model").terms, Terms)
assert_type(
    clv.allocate([clv.Channel("search", clv.Power(k=12, b=0.6), value=60)], 100.0),
    Allocation,
)
assert_type(clv.Duration.parse("13 weeks").to("day"), float)
assert_type(clv.total_value(summary, model, clv.GammaGamma(), clv.Terms(0.3)), Total)
clv.BetaGeoNBD(untt="week")  # type: ignore[call-arg]
model.ffit(3)  # type: ignore[attr-defined]
clv.alocate  # type: ignore[attr-defined] # noqa: B018
