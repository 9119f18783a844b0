"""What response curves say, and what they rest on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from clv.decide.response.forward import NOTHING, Verdict
from clv.findings import Finding, finding
from clv.schema import Floats

if TYPE_CHECKING:
    from clv.decide.response.channel_curve import ChannelCurve
    from clv.decide.response.panel import LiftTest

FAR = 2.0  # standard errors by which a lift test contradicts a curve


def findings(curves: Sequence[ChannelCurve], shape: Verdict, time: Verdict) -> Iterator[Finding]:
    """What the comparison of curves came to."""
    yield from _assumed(curves)
    yield _shape(shape)
    if time.rival or time.requested:
        yield _time(time)


def notes(curves: Sequence[ChannelCurve], observed: Sequence[Finding]) -> Iterator[Finding]:
    """What the curves rest on."""
    yield from observed
    if attributed := [curve.name for curve in curves if curve.incrementality == 1]:
        yield finding("basis.attributed", channels=attributed)
    yield finding("curves.extrapolation")


def _assumed(curves: Sequence[ChannelCurve]) -> Iterator[Finding]:
    """Which elasticities are not the channel's own; a shape's name says its exponent."""
    assumed = [curve for curve in curves if set(curve.curve.assumed) - {"exponent"}]
    if assumed:
        yield finding(
            "curves.elasticity_alone" if len(curves) == 1 else "curves.elasticity",
            parameter=next(name for name in assumed[0].curve.assumed if name != "exponent"),
            channels=[curve.name for curve in assumed],
            low=min(curve.elasticity.low for curve in assumed),
            high=max(curve.elasticity.high for curve in assumed),
        )


def _shape(verdict: Verdict) -> Finding:
    if verdict.requested:
        return finding("curves.shape_stated", shape=verdict.chosen)
    if verdict.rival is None:
        return finding("curves.shape_too_few", periods=verdict.periods)
    if verdict.chosen == verdict.rival:
        return finding("curves.shape_chosen", shape=verdict.chosen, **_lead(verdict))
    return finding("curves.shape_power", rival=verdict.rival, **_lead(verdict))


def _time(verdict: Verdict) -> Finding:
    if verdict.requested:
        return finding("curves.time_stated", effect=verdict.chosen)
    if verdict.chosen != NOTHING:
        return finding("curves.time_chosen", effect=verdict.chosen, **_lead(verdict))
    return finding("curves.time_none", rival=verdict.rival, **_lead(verdict))


def _lead(verdict: Verdict) -> dict[str, float]:
    return {
        "held_out": verdict.held,
        "periods": verdict.periods,
        "lead": verdict.lead,
        "error": verdict.error,
    }


def against_test(test: LiftTest, gain: Floats, factors: Mapping[str, float]) -> Iterator[Finding]:
    """Where a lift test contradicts the attributed customers, whose curve has draws of ``gain``."""
    factor = factors[test.channel]
    error = np.hypot(test.standard_error, factor * gain.std())
    if abs(test.extra_customers - factor * gain.mean()) <= FAR * error:
        return
    share = test.extra_customers / float(gain.mean())
    agrees = 0 < share < 1
    yield finding(
        "curves.lift_factor" if agrees else "curves.lift_contradicts",
        channel=test.channel,
        measured=test.extra_customers,
        spend=test.extra_spend,
        predicted=factor * float(gain.mean()),
        **({"factor": share} if agrees else {}),
    )
