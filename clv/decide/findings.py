"""An allocation in words: what it says, and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from clv.decide.budget import Market, Plan
from clv.decide.words import ATTRIBUTED, SHOWN, money, some
from clv.schema import Floats

if TYPE_CHECKING:
    from clv.decide.allocate import Channel


def findings(
    channels: Sequence[Channel], market: Market, plan: Plan, budget: float, cac: Floats
) -> Iterator[str]:
    """One sentence per finding, the price of the budget first."""
    names = [c.name for c in channels]
    value = np.array([c.value for c in channels], dtype=np.float64)
    yield _shadow_price(market, plan, budget)
    if len(market.retention):
        yield _retention(market, plan)
    yield from _cheapest_is_not_best(names, value, plan, cac)
    if math.isfinite(plan.mu):
        yield from _held_by_bounds(names, market, plan)


def against_current(gain: float | None, feasible: bool) -> tuple[str, ...]:
    """How the plan compares with today's, if that is known."""
    if gain is None:
        return ()
    words = f"Expected profit is {money(abs(gain))} {'above' if gain >= 0 else 'below'} today's"
    return (f"{words}." if feasible else f"{words}, which breaks the bounds or the budget given.",)


def notes(
    channels: Sequence[Channel], market: Market, plan: Plan, retention_named: bool
) -> Iterator[str]:
    """What the plan rests on: attribution, assumptions, horizon."""
    if attributed := [c.name for c in channels if c.incrementality == 1]:
        yield (
            f"The customers of {some(attributed)} are {ATTRIBUTED}: some would have come anyway. "
            "A lift or geo test gives the incrementality factor."
        )
    for parameter in sorted({name for c in channels for name in c.response.assumed}):
        of = [c.name for c in channels if parameter in c.response.assumed]
        yield f"{parameter} of the response curve of {some(of)} is assumed, not estimated."
    yield from market.retention.notes
    if market.retention.customers_at(plan.retention) % 1:
        yield "The last retained customer is funded in part only."
    if len(market.retention) and not retention_named:
        yield "Today's plan names no retention; it is taken to spend nothing there."
    horizon = next((c.horizon for c in channels if c.horizon), market.retention.horizon)
    yield (
        f"Values are counted over {horizon}."
        if horizon
        else "The horizon of the values is not stated; it must be the same for every option."
    )


def _shadow_price(market: Market, plan: Plan, budget: float) -> str:
    if math.isinf(budget):
        return "Beyond this plan the next unit of money buys less value than it costs."
    if plan.mu == 1:
        left = money(max(budget - plan.total, 0.0))
        return f"{left} of the budget stays unspent: it would buy less value than it costs."
    if math.isinf(plan.mu):
        return "Nothing is left to decide on: the first unit of money would be worth most."
    step = 10.0 ** (math.floor(math.log10(budget)) - 1) if budget > 0 else 1.0
    return f"The next {money(step)} of budget buys about {money(step * plan.mu)} of value."


def _retention(market: Market, plan: Plan) -> str:
    count = market.retention.customers_at(plan.retention)
    if count == 0:
        best = money(market.retention.edges(0.0)[1])
        return f"Retention gets nothing: its best customer returns {best} per unit of cost."
    gain = money(market.retention.gain_at(plan.retention))
    return (
        f"Retention gets {money(plan.retention)} for {count:,.6g} customers "
        f"and keeps {gain} of value."
    )


def _cheapest_is_not_best(
    names: Sequence[str], value: Floats, plan: Plan, cac: Floats
) -> Iterator[str]:
    funded = np.flatnonzero(np.isfinite(cac) & (plan.spend > 0))
    if len(funded) < 2:
        return
    cheap = funded[np.argmin(cac[funded])]
    dear = funded[np.argmax(value[funded])]
    if value[dear] > value[cheap]:
        yield (
            f"The cheapest new customers come from {names[cheap]} (CAC {money(cac[cheap])}), "
            f"the most valuable from {names[dear]} (worth {money(value[dear])} each): "
            "what counts is what the next unit of money buys."
        )


def _held_by_bounds(names: Sequence[str], market: Market, plan: Plan) -> Iterator[str]:
    worth = market.worth(plan.spend)
    lower = plan.spend <= market.lo
    upper = plan.spend >= market.hi
    for index in np.flatnonzero(lower & ~upper & (plan.spend == 0))[:SHOWN]:
        yield f"{names[index]} gets nothing: its first unit would buy {money(worth[index])}."
    for index in np.flatnonzero(lower & ~upper & (plan.spend > 0))[:SHOWN]:
        yield (
            f"{names[index]} is held up at its lower bound {money(plan.spend[index])}, "
            f"where the last unit buys {money(worth[index])}."
        )
    for index in np.flatnonzero(upper & (market.hi > 0))[:SHOWN]:
        locked = market.lo[index] == market.hi[index]
        held = "locked at" if locked else "held at its upper bound"
        yield (
            f"{names[index]} is {held} {money(plan.spend[index])}, "
            f"where the next unit would buy {money(worth[index])}."
        )
