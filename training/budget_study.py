"""Do the intervals of a budget's gain hold the true gain? On SIMULATED brands, truth known.

    python -m training.budget_study [--brands 100] [--first 3000]

Each brand has channels that nobody has seen. Curves are estimated from its weeks of spend, values
from its orders; today's money is split anew for a quarter, and the gain over today's split, as the
page shows it with its interval, is held against the gain under the true curves and values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from clv.app.estimates import Estimates, to_channels
from clv.cli.application import command
from clv.cli.main import run
from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.decide.budget.allocate import allocate
from clv.decide.budget.plan_gain import PlanGain, plan_gain
from clv.decide.budget.response import Power
from clv.decide.response.curves import response_curves
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.gamma_gamma import GammaGamma
from clv.simulate import Brand, simulate_brand
from clv.simulate.market import draw_channels
from clv.value.by_channel import models_by_channel
from clv.value.value import Terms

QUARTER = 13  # weeks that a plan is for
CHANNELS = (4, 6, 8)  # how many a brand has, in turn
CUSTOMERS, DRAWS = 8_000, 500
TERMS = Terms(0.35, 0.10, Duration(3, "year"), "EUR")


@dataclass(frozen=True)
class JudgedGain:
    """What a plan was thought to gain over today's split, and what it truly gains."""

    expected: PlanGain
    true: float

    @property
    def holds(self) -> bool:
        """Whether the interval holds the truth."""
        return self.expected.low <= self.true <= self.expected.high


@command("python -m training.budget_study --brands 100")
def main(brands: int = 100, first: int = 0) -> None:
    """Judge so many brands from a first seed on, and print how often the intervals hold."""
    judged = [judged_gain(seed) for seed in range(first, first + brands)]
    print(table(judged).to_string(float_format="{:.3f}".format))


def table(judged: list[JudgedGain]) -> pd.Series[float]:
    """How often the truth lies within, below and above, and how far the chances can be trusted."""
    true = np.array([gain.true for gain in judged])
    expected = np.array([gain.expected.mean for gain in judged])
    return pd.Series(
        {
            "brands": len(judged),
            "within the interval": np.mean([gain.holds for gain in judged]),
            "below it": np.mean([gain.true < gain.expected.low for gain in judged]),
            "above it": np.mean([gain.true > gain.expected.high for gain in judged]),
            "true gain over expected": true.sum() / expected.sum(),
            "better than today": (true > 0).mean(),
            "chance of that, in the mean": np.mean(
                [gain.expected.probability_better for gain in judged]
            ),
        }
    )


def judged_gain(seed: int) -> JudgedGain:
    """One brand, planned and judged."""
    channels = draw_channels(np.random.default_rng([seed, 17]), CHANNELS[seed % len(CHANNELS)])
    brand = simulate_brand(seed, customers=CUSTOMERS, channels=channels, offer=None, future="1 day")
    estimates = _estimated(brand)
    planned = to_channels(estimates, QUARTER)
    best = allocate(planned, sum(c.current or 0.0 for c in planned), periods=QUARTER)
    gain = plan_gain(planned, best, values=estimates.values, periods=QUARTER)
    if gain is None or best.current is None:
        raise AssertionError("a spend table says what is spent today")
    value, market = brand.new_customer_value(str(TERMS.horizon)), brand.truth.channels
    true = 0.0
    for name, spend in best.spend.items():
        curve = Power(*market.loc[name, ["response_k", "response_b"]].astype(float)).over(QUARTER)
        won = float(curve.customers(spend)) - float(curve.customers(best.current[name]))
        true += float(value[name]) * won - (spend - best.current[name])
    return JudgedGain(gain, true)


def _estimated(brand: Brand) -> Estimates:
    """What ``clv publish`` knows of a brand from its orders and its spend."""
    log, _ = clean(brand.orders)
    summary = summarize(log)
    curves = response_curves(brand.spend, draws=DRAWS)
    purchases, spend = BetaGeoNBD().fit(summary), GammaGamma().fit(summary)
    models = models_by_channel(summary, purchases, spend, [c.name for c in curves.channels])
    values = {name: model.value_draws(TERMS, DRAWS) for name, model in models.items()}
    return Estimates(curves, models, TERMS, values, "week")


if __name__ == "__main__":
    run(main, "python -m training.budget_study")
