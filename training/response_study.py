"""How much of the possible gain a plan reaches on SIMULATED markets, by how its curves were found.

    python -m training.response_study [--repetitions 60]

Each repetition draws a market, shows every method its weeks of spend and new customers, lets it
spread today's money anew within the same step caps, and pays the plan out under the true curves.
All methods know what a customer is worth. The oracle knows the true curves. At the end plans run
and learn: see ``learning_rounds.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, minimize

from clv.cli.application import command
from clv.cli.main import run
from clv.decide.budget.channel import Channel
from clv.decide.budget.solver import group_curves
from clv.decide.response.curves import ResponseCurves, response_curves
from clv.schema import Floats
from training.learning_rounds import LEARNING, learning_table
from training.simulated_markets import (
    DESIGNS,
    Design,
    SimulatedMarket,
    allocated,
    constant_cac,
    draw_market,
    log_log,
    through,
    timed,
)

ORACLE = "oracle: the true curves"
CHOSEN = "pooled, shape chosen"
POWER = "pooled power curves"
SLSQP = "the same curves, SLSQP"
HALF = "elasticity 1/2 for all"
LOG_LOG = "log-log regression per channel"
CONSTANT = "constant CAC"


@dataclass(frozen=True)
class Result:
    """What all repetitions of a design gave.

    ``gain`` and ``seconds`` hold one row per repetition and one column per method; ``covered``
    whether the 90% interval of each elasticity held the truth.
    """

    gain: pd.DataFrame
    seconds: pd.DataFrame
    today: float
    covered: NDArray[np.bool_]

    def share(self) -> pd.Series[float]:
        """Mean gain of each method over the oracle's."""
        mean = self.gain.mean()
        return mean.div(float(mean[ORACLE]))

    def table(self) -> pd.DataFrame:
        """Per method: gain over today's profit, its share of the oracle's, and time per plan."""
        rng = np.random.default_rng(0)
        rows = rng.integers(len(self.gain), size=(1000, len(self.gain)))
        again = self.gain.to_numpy()[rows].mean(axis=1)
        error = (again / again[:, [self.gain.columns.get_loc(ORACLE)]]).std(axis=0)
        return pd.DataFrame(
            {
                "gain": self.gain.mean() / self.today,
                "share of oracle's": self.share(),
                "standard error": error,
                "ms per plan": 1000 * self.seconds.mean(),
            }
        )


@command("python -m training.response_study --repetitions 60")
def main(repetitions: int = 60) -> None:
    """All designs, one table each; then what re-planning from a plan's own weeks gains."""
    for design in DESIGNS:
        result = study(design, repetitions)
        print(f"{design.name}: {design.weeks} weeks, {repetitions} repetitions")
        print(result.table().to_string(float_format="{:.3f}".format))
        print(f"90% intervals of the elasticity hold the truth: {result.covered.mean():.1%}\n")
    print("Plan, act, learn: share of the oracle's gain")
    print(learning_table(LEARNING, repetitions).to_string(float_format="{:.3f}".format))


def study(design: Design, repetitions: int, *, choose: bool = True, seed: int = 0) -> Result:
    """Draw markets and let all methods plan; without ``choose`` the shape is not looked for."""
    markets = [
        draw_market(design, np.random.default_rng([seed, number])) for number in range(repetitions)
    ]
    trials = [_trial(market, choose) for market in markets]
    return Result(
        pd.DataFrame([trial.gain for trial in trials]),
        pd.DataFrame([trial.seconds for trial in trials]),
        float(np.mean([market.profit(market.today) for market in markets])),
        np.concatenate([trial.covered for trial in trials]),
    )


@dataclass(frozen=True)
class Trial:
    """One market: gain in profit and time by method, and which intervals hold the truth."""

    gain: dict[str, float]
    seconds: dict[str, float]
    covered: NDArray[np.bool_]


def _trial(market: SimulatedMarket, choose: bool) -> Trial:
    curves, took = timed(lambda: response_curves(market.spend, shape="power", time="nothing"))
    plans = _plans(market, curves) | (_chosen(market) if choose else {})
    base, extra = market.profit(market.today), {POWER: took, SLSQP: took}
    return Trial(
        {name: market.profit(spend) - base for name, (spend, _) in plans.items()},
        {name: seconds + extra.get(name, 0.0) for name, (_, seconds) in plans.items()},
        _covered(market, curves),
    )


def _plans(market: SimulatedMarket, curves: ResponseCurves) -> dict[str, tuple[Floats, float]]:
    """Spend and time of every method."""
    pooled = [
        replace(curves[name].to_channel(float(v)), current=float(s))
        for name, v, s in zip(market.names, market.value, market.today, strict=True)
    ]
    count = len(market.names)
    alone = market.channels(*log_log(market))
    half = through(market.today, market.won.mean(axis=1), np.full(count, 0.5))
    return {
        ORACLE: allocated(market.channels(np.asarray(market.truth.k), np.asarray(market.truth.b))),
        POWER: allocated(pooled),
        SLSQP: timed(lambda: _slsqp(pooled)),
        HALF: allocated(market.channels(*half)),
        LOG_LOG: allocated(alone),
        CONSTANT: timed(lambda: constant_cac(market, alone)),
    }


def _chosen(market: SimulatedMarket) -> dict[str, tuple[Floats, float]]:
    curves, took = timed(lambda: response_curves(market.spend))
    values = zip(market.names, market.value, strict=True)
    spend, more = allocated([curves[name].to_channel(float(v)) for name, v in values])
    return {CHOSEN: (spend, took + more)}


def _slsqp(channels: Sequence[Channel]) -> Floats:
    """SciPy's general-purpose solver as it comes, from today's plan, on the same mean curves."""
    ((_, curve),) = group_curves([c.response for c in channels])
    value = np.array([c.value for c in channels], dtype=np.float64)
    today = np.array([c.current or 0.0 for c in channels], dtype=np.float64)
    total = float(today.sum())

    def loss(spend: Floats) -> tuple[float, Floats]:
        return -float(value @ curve.customers(spend)), -value * curve.marginal(spend)

    optimum = minimize(
        loss,
        today,
        jac=True,
        bounds=[c.bounds() for c in channels],
        constraints=LinearConstraint(np.ones((1, len(today))), total, total),
        method="SLSQP",
    )
    return np.asarray(optimum.x, dtype=np.float64)


def _covered(market: SimulatedMarket, curves: ResponseCurves) -> NDArray[np.bool_]:
    elasticities = [curves[name].elasticity for name in market.names]
    b = np.asarray(market.truth.b)
    return np.array([e.low <= true <= e.high for e, true in zip(elasticities, b, strict=True)])


if __name__ == "__main__":
    run(main, "python -m training.response_study")
