"""Plan, act, learn on SIMULATED markets: what re-planning from a plan's own weeks gains.

A market is planned on the weeks seen; the plan runs for some weeks, around its spend as before;
curves are estimated anew from all weeks, and the money is spread again within the step caps of the
first plan (``plan_from`` of ``response_curves``). Each plan is paid out under the true curves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from clv.decide.response.curves import response_curves
from clv.schema import Floats
from clv.simulate.market import LogWeeks, spend_table
from training.simulated_markets import (
    DESIGNS,
    FIRST_DAY,
    Design,
    SimulatedMarket,
    allocated,
    constant_cac,
    draw_market,
    log_log,
)

CONSTANT, ORACLE = "constant CAC", "oracle"
PLANS = ("first plan", "re-planned once", "re-planned twice")


@dataclass(frozen=True)
class Rounds:
    """A kind of market, and for how many weeks each plan runs."""

    design: Design
    weeks: int

    @property
    def name(self) -> str:
        """What it is called in the table."""
        return f"{self.design.name}, {self.weeks} weeks a plan"


LEARNING = (
    Rounds(DESIGNS[3], 12),
    Rounds(DESIGNS[3], 26),
    Rounds(DESIGNS[1], 12),
    Rounds(DESIGNS[0], 12),
)


def learning_table(kinds: Sequence[Rounds], repetitions: int, seed: int = 0) -> pd.DataFrame:
    """Share of the oracle's gain after each round, a row per kind of market."""
    rows = {}
    for kind in kinds:
        gains = pd.DataFrame(
            [_gains(kind, np.random.default_rng([seed, n])) for n in range(repetitions)]
        )
        rows[kind.name] = gains.mean() / float(gains[ORACLE].mean())
    return pd.DataFrame(rows).T.drop(columns=ORACLE)


def _gains(kind: Rounds, rng: np.random.Generator) -> dict[str, float]:
    """Gain over today's profit, by plan."""
    market = draw_market(kind.design, rng)
    today = market.profit(market.today)
    alone = market.channels(*log_log(market))
    truth = market.channels(np.asarray(market.truth.k), np.asarray(market.truth.b))
    plans = {ORACLE: allocated(truth)[0], CONSTANT: constant_cac(market, alone)}
    plans |= dict(zip(PLANS, _plans(kind, market, rng), strict=True))
    return {name: market.profit(spend) - today for name, spend in plans.items()}


def _plans(kind: Rounds, market: SimulatedMarket, rng: np.random.Generator) -> Iterator[Floats]:
    """Spend of the first plan, and of those made anew from its weeks and the next one's."""
    seen, first = market.spend, FIRST_DAY + pd.Timedelta(weeks=kind.design.weeks)
    for done in range(len(PLANS)):
        ran = str(first.date()) if done else None
        curves = response_curves(seen, shape="power", time="nothing", plan_from=ran)
        worth = zip(market.names, market.value, strict=True)
        channels = [curves[name].to_channel(float(value)) for name, value in worth]
        spend = allocated(channels, float(market.today.sum()))[0]
        yield spend
        weeks = LogWeeks(first + pd.Timedelta(weeks=done * kind.weeks), kind.weeks)
        table = pd.DataFrame(
            {
                "weekly_spend": spend,
                "response_k": market.truth.k,
                "response_b": market.truth.b,
                "phi": kind.design.phi,
            },
            index=pd.Index(market.names, name="channel"),
        )
        new = spend_table(rng, table, weeks, kind.design.variation, season=0.0)
        seen = pd.concat([seen, new[new["spend"] > 0].drop(columns="fixed_cost")])
