"""SIMULATED markets for studies of budgets, and the simple ways to plan on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

import numpy as np
import pandas as pd

from clv.decide.budget.allocate import allocate
from clv.decide.budget.channel import Channel
from clv.decide.budget.response import Power
from clv.periods import continuous_rate, periods_per_year
from clv.schema import Floats
from clv.simulate import CHANNELS, SimulatedChannel
from clv.simulate.market import LogWeeks, channel_table, draw_channels, spend_table
from clv.simulate.process import discounted_purchases

MARGIN, HORIZON_WEEKS, DISCOUNT = 0.35, 156.0, 0.10
FIRST_DAY = pd.Timestamp("2024-01-01")

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


def draw_market(design: Design, rng: np.random.Generator) -> SimulatedMarket:
    """Channels, weeks of spend around today's, and who came."""
    table = channel_table(design.channels(rng), design.a_week, design.phi)
    calendar = LogWeeks(FIRST_DAY, design.weeks)
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


def allocated(channels: Sequence[Channel], budget: float | None = None) -> tuple[Floats, float]:
    """Spend of the best plan, with today's money if not stated, and the time that it took."""
    money = sum(c.current or 0.0 for c in channels) if budget is None else budget
    plan, took = timed(lambda: allocate(channels, money))
    return np.array(list(plan.spend.values())), took


def log_log(market: SimulatedMarket) -> tuple[Floats, Floats]:
    """Each channel's regression of log (n + 1/2) on log spend, its slope held inside (0, 1)."""
    x = np.log(market.spent_by_week)
    y = np.log(market.won + 0.5)
    x0, y0 = x.mean(axis=1), y.mean(axis=1)
    away = x - x0[:, None]
    b = np.clip((away * y).sum(axis=1) / (away**2).sum(axis=1), 0.01, 0.99)
    return through(np.exp(x0), np.exp(y0), np.asarray(b))


def through(spend: Floats, customers: Floats, b: Floats) -> tuple[Floats, Floats]:
    """The power curves of elasticity b through one point each."""
    return np.asarray(customers * spend**-b), b


def constant_cac(market: SimulatedMarket, bounds: Sequence[Channel]) -> Floats:
    """Every customer costs what customers cost so far: the best channels up to their caps."""
    low, high = np.array([c.bounds() for c in bounds]).T
    value_for_money = market.value * market.won.sum(axis=1) / market.spent_by_week.sum(axis=1)
    spend: Floats = low.copy()
    for c in np.argsort(-value_for_money):
        spend[c] += min(high[c] - low[c], market.today.sum() - spend.sum())
    return spend


def timed(do: Callable[[], T]) -> tuple[T, float]:
    """A result and the seconds that it took."""
    start = perf_counter()
    return do(), perf_counter() - start
