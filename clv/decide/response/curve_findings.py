"""Response curves in words: what was found, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from clv.decide.response.forward import NOTHING, Verdict
from clv.format import ATTRIBUTED, cash, some
from clv.schema import Floats

if TYPE_CHECKING:
    from clv.decide.response.channel_curve import ChannelCurve
    from clv.decide.response.panel import LiftTest

FAR = 2.0  # standard errors by which a lift test contradicts a curve


def findings(curves: Sequence[ChannelCurve], shape: Verdict, time: Verdict) -> Iterator[str]:
    """One sentence per finding."""
    yield from _assumed(curves)
    yield _shape(shape)
    if time.rival or time.requested:
        yield _time(time)


def notes(curves: Sequence[ChannelCurve], observed: Sequence[str]) -> Iterator[str]:
    """What the curves rest on."""
    yield from observed
    if attributed := [curve.name for curve in curves if curve.incrementality == 1]:
        yield (
            f"The customers of {some(attributed)} are {ATTRIBUTED}: some would have come anyway. "
            "A lift or geo test gives the incrementality factor."
        )
    yield (
        "Spend outside what was observed is extrapolation, which the step caps of a plan hold back."
    )


def _assumed(curves: Sequence[ChannelCurve]) -> Iterator[str]:
    """Which elasticities are not the channel's own; a shape's name says its exponent."""
    found = [curve for curve in curves if set(curve.curve.assumed) - {"exponent"}]
    if not found:
        return
    parameter = next(name for name in found[0].curve.assumed if name != "exponent")
    low = min(curve.elasticity.low for curve in found)
    high = max(curve.elasticity.high for curve in found)
    others = "the prior leaves" if len(curves) == 1 else "the prior and the other channels leave"
    yield (
        f"{parameter} of {some([curve.name for curve in found])} is assumed, not estimated: the "
        f"channel's own data say next to nothing about it. An elasticity between {low:.2f} and "
        f"{high:.2f} is what {others} open."
    )


def _shape(verdict: Verdict) -> str:
    if verdict.requested:
        return f"The shape of the curves was given: {verdict.chosen}."
    if verdict.rival is None:
        return (
            "Too few periods to compare shapes of the curve "
            f"({verdict.periods}); it is taken to be a power curve."
        )
    if verdict.chosen == verdict.rival:
        return (
            f"The shape of the curves is {verdict.chosen}, because it predicts {_last(verdict)} "
            f"better than a power curve does ({_lead(verdict)})."
        )
    return (
        f"The curves are power curves: no other shape predicts {_last(verdict)} better beyond "
        f"chance (the best of them, {verdict.rival}: {_lead(verdict)})."
    )


def _time(verdict: Verdict) -> str:
    meaning = "the curves hold for the average over a year, at the end of the time observed"
    if verdict.requested:
        return f"What moves all channels over time was given: {verdict.chosen}; {meaning}."
    if verdict.chosen != NOTHING:
        return (
            f"What moves all channels over time is {verdict.chosen}, because with it "
            f"{_last(verdict)} are predicted better ({_lead(verdict)}); {meaning}."
        )
    return (
        f"No season or trend is in the curves: none predicts {_last(verdict)} better beyond "
        f"chance (the best, {verdict.rival}: {_lead(verdict)})."
    )


def _last(verdict: Verdict) -> str:
    return f"the last {verdict.held} of {verdict.periods} periods"


def _lead(verdict: Verdict) -> str:
    return f"log score {verdict.lead:+.1f} with a standard error of {verdict.error:.1f}"


def against_test(test: LiftTest, gain: Floats, factors: Mapping[str, float]) -> Iterator[str]:
    """Where a lift test contradicts the attributed customers, whose curve has draws of ``gain``."""
    factor = factors[test.channel]
    error = np.hypot(test.standard_error, factor * gain.std())
    if abs(test.extra_customers - factor * gain.mean()) <= FAR * error:
        return
    share = test.extra_customers / float(gain.mean())
    advice = f"; incrementality = {share:.2f} would bring both together" if 0 < share < 1 else ""
    yield (
        f"The lift test of {test.channel} found {test.extra_customers:+.3g} customers from a "
        f"change of spend by {cash(test.extra_spend)}, where the curve without it has "
        f"{factor * gain.mean():+.3g}{advice}."
    )
