"""How much of the possible gain a plan reaches on SIMULATED markets, by how its curves were found.

    python -m training.response_study [--repetitions 60]

Each repetition draws a market, shows every method its weeks of spend and new customers, lets it
spread today's money anew within the same step caps, and pays the plan out under the true curves.
All methods know what a customer is worth. The oracle knows the true curves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, minimize

from clv.cli.application import command
from clv.cli.main import run
from clv.decide.budget.allocate import allocate
from clv.decide.budget.channel import Channel
from clv.decide.budget.response import Power
from clv.decide.budget.solver import group_curves
from clv.decide.response.curves import ResponseCurves, response_curves
from clv.periods import continuous_rate, periods_per_year
from clv.schema import Floats
from clv.simulate import CHANNELS, SimulatedChannel
from clv.simulate.market import LogWeeks, channel_table, draw_channels, spend_table
from clv.simulate.process import discounted_purchases

MARGIN, HORIZON_WEEKS, DISCOUNT = 0.35, 156.0, 0.10
ORACLE = "oracle: the true curves"
CHOSEN = "pooled, shape chosen"
POWER = "pooled power curves"
SLSQP = "the same curves, SLSQP"
HALF = "elasticity 1/2 for all"
LOG_LOG = "log-log regression per channel"
CONSTANT = "constant CAC"

T = TypeVar("T")
MakeChannels = Callable[[np.random.Generator], Sequence[SimulatedChannel]]


@dataclass(frozen=True)
class Design:
    """A kind of market: where its channels come from, new customers a week, weeks seen."""

    name: str
    channels: MakeChannels
    a_week: float
    weeks: int = 12
    variation: float = 0.3
    phi: float = 40.0


DESIGNS = (
    Design("12 drawn channels", lambda rng: draw_channels(rng, 12), 600),
    Design("6 drawn channels", lambda rng: draw_channels(rng, 6), 300),
    Design("12 drawn channels, a year", lambda rng: draw_channels(rng, 12), 600, weeks=52),
    Design("the demo brand's 4", lambda rng: CHANNELS, 200),
    Design("the demo brand's 4, 2 years", lambda rng: CHANNELS, 200, weeks=104),
)


@dataclass(frozen=True)
class SimulatedMarket:
    """One drawn market: what is seen (``spend``), and the truth; arrays of shape (channels,)."""

    spend: pd.DataFrame
    names: list[str]
    truth: Power
    value: Floats
    spent_by_week: Floats  # spend, (channels, weeks)
    won: Floats  # new customers, (channels, weeks)

    @property
    def today(self) -> Floats:
        """Mean weekly spend, which is also the budget."""
        return np.asarray(self.spent_by_week.mean(axis=1))

    def profit(self, spend: Floats) -> float:
        """Value of the new customers a week of ``spend`` truly brings, less the spend."""
        return float(self.value @ self.truth.customers(spend) - spend.sum())

    def channels(self, k: Floats, b: Floats) -> list[Channel]:
        """The channels with power curves k s^b."""
        return [
            Channel(
                name,
                Power(float(k[c]), float(b[c])),
                float(self.value[c]),
                current=float(self.today[c]),
                observed=(float(self.spent_by_week[c].min()), float(self.spent_by_week[c].max())),
            )
            for c, name in enumerate(self.names)
        ]


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
    """All designs, one table each."""
    for design in DESIGNS:
        result = study(design, repetitions)
        print(f"{design.name}: {design.weeks} weeks, {repetitions} repetitions")
        print(result.table().to_string(float_format="{:.3f}".format))
        print(f"90% intervals of the elasticity hold the truth: {result.covered.mean():.1%}\n")


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
    curves, took = _timed(lambda: response_curves(market.spend, shape="power", time="nothing"))
    plans = _plans(market, curves) | (_chosen(market) if choose else {})
    base, extra = market.profit(market.today), {POWER: took, SLSQP: took}
    return Trial(
        {name: market.profit(spend) - base for name, (spend, _) in plans.items()},
        {name: seconds + extra.get(name, 0.0) for name, (_, seconds) in plans.items()},
        _covered(market, curves),
    )


def draw_market(design: Design, rng: np.random.Generator) -> SimulatedMarket:
    """Channels, weeks of spend around today's, and who came."""
    table = channel_table(design.channels(rng), design.a_week, design.phi)
    calendar = LogWeeks(pd.Timestamp("2024-01-01"), design.weeks)
    spend = spend_table(rng, table, calendar, design.variation, season=0.0)
    paid = (table["weekly_spend"] > 0).to_numpy()
    spent, won = (
        spend[name].to_numpy().reshape(design.weeks, len(table)).T[paid].astype(float)
        for name in ("spend", "new_customers")
    )
    table = table[paid]
    delta = continuous_rate(DISCOUNT, periods_per_year("week"))
    repeats = discounted_purchases(
        table["r"], table["alpha"], table["a"], table["b"], HORIZON_WEEKS, delta
    )
    return SimulatedMarket(
        spend[spend["spend"] > 0].drop(columns="fixed_cost"),
        list(table.index),
        Power(table["response_k"].to_numpy(), table["response_b"].to_numpy()),
        (MARGIN * table["p"] * table["v"] / (table["q"] - 1) * (1 + repeats)).to_numpy(),
        spent,
        won,
    )


def _plans(market: SimulatedMarket, curves: ResponseCurves) -> dict[str, tuple[Floats, float]]:
    """Spend and time of every method."""
    pooled = [
        replace(curves[name].to_channel(float(v)), current=float(s))
        for name, v, s in zip(market.names, market.value, market.today, strict=True)
    ]
    count = len(market.names)
    log_log = market.channels(*_log_log(market))
    half = _through(market.today, market.won.mean(axis=1), np.full(count, 0.5))
    return {
        ORACLE: _allocated(market.channels(np.asarray(market.truth.k), np.asarray(market.truth.b))),
        POWER: _allocated(pooled),
        SLSQP: _timed(lambda: _slsqp(pooled)),
        HALF: _allocated(market.channels(*half)),
        LOG_LOG: _allocated(log_log),
        CONSTANT: _timed(lambda: _constant_cac(market, log_log)),
    }


def _chosen(market: SimulatedMarket) -> dict[str, tuple[Floats, float]]:
    curves, took = _timed(lambda: response_curves(market.spend))
    values = zip(market.names, market.value, strict=True)
    spend, more = _allocated([curves[name].to_channel(float(v)) for name, v in values])
    return {CHOSEN: (spend, took + more)}


def _allocated(channels: Sequence[Channel]) -> tuple[Floats, float]:
    budget = sum(c.current or 0.0 for c in channels)
    plan, took = _timed(lambda: allocate(channels, budget))
    return np.array(list(plan.spend.values())), took


def _log_log(market: SimulatedMarket) -> tuple[Floats, Floats]:
    """Each channel's regression of log (n + 1/2) on log spend, its slope held inside (0, 1)."""
    x = np.log(market.spent_by_week)
    y = np.log(market.won + 0.5)
    x0, y0 = x.mean(axis=1), y.mean(axis=1)
    away = x - x0[:, None]
    b = np.clip((away * y).sum(axis=1) / (away**2).sum(axis=1), 0.01, 0.99)
    return _through(np.exp(x0), np.exp(y0), np.asarray(b))


def _through(spend: Floats, customers: Floats, b: Floats) -> tuple[Floats, Floats]:
    """The power curves of elasticity b through one point each."""
    return np.asarray(customers * spend**-b), b


def _constant_cac(market: SimulatedMarket, bounds: Sequence[Channel]) -> Floats:
    """Every customer costs what customers cost so far: the best channels up to their caps."""
    low, high = np.array([c.bounds() for c in bounds]).T
    value_for_money = market.value * market.won.sum(axis=1) / market.spent_by_week.sum(axis=1)
    spend: Floats = low.copy()
    for c in np.argsort(-value_for_money):
        spend[c] += min(high[c] - low[c], market.today.sum() - spend.sum())
    return spend


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


def _timed(do: Callable[[], T]) -> tuple[T, float]:
    start = perf_counter()
    return do(), perf_counter() - start


if __name__ == "__main__":
    run(main, "python -m training.response_study")
