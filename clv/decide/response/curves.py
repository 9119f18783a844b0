"""Response curves estimated from a spend table, all channels at once, with draws.

    curves = response_curves(spend)
    allocate([curve.to_channel(value[curve.name]) for curve in curves.channels], budget)

Channels are partially pooled (``pooled.py``), so a channel whose spend hardly moved borrows its
elasticity from the others and says so. The shape of the curves and the effect of time are chosen
by how well they predict the last periods (``forward.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import NDArray

from clv.decide.acquisition.channels import _factors
from clv.decide.budget.response import Formula
from clv.decide.response.channel_curve import ChannelCurve
from clv.decide.response.curve_findings import against_test, findings, notes
from clv.decide.response.forward import DRAWS, choose, time_effects
from clv.decide.response.panel import (
    LiftTest,
    Observed,
    Panel,
    planned_periods,
    read_observed,
)
from clv.decide.response.pooled import Fitted, Unknowns, fit
from clv.decide.response.shapes import SHAPES, Shape
from clv.errors import InputError
from clv.findings import Finding, finding
from clv.format import listed
from clv.periods import Duration
from clv.schema import Floats

LITTLE = 0.1  # own evidence below which an elasticity is called assumed
POWER = "power"


@dataclass(frozen=True)
class ResponseCurves:
    """The curves of all paid channels.

    Parameters
    ----------
    channels
        One ``ChannelCurve`` each, by name.
    shape, time
        Which shape the curves have, and which effect of time stands beside them.
    phi
        Dispersion of a period's new customers around the curve: variance mu + mu^2 / phi.
    findings, notes
        What was found, and what it rests on; ``str`` writes each out.
    """

    channels: tuple[ChannelCurve, ...]
    shape: str
    time: str
    phi: float
    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...]

    def __getitem__(self, name: str) -> ChannelCurve:
        """The curve of one channel."""
        return {curve.name: curve for curve in self.channels}[name]

    def to_frame(self, backend: Literal["pandas", "polars", "pyarrow"] = "pandas") -> Any:
        """One row per channel: elasticity, CAC and marginal CAC with 90% intervals, and more."""
        rows = [curve.to_dict() for curve in self.channels]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        return nw.from_dict(columns, backend=backend).to_native()


def response_curves(
    spend: IntoFrame,
    customers: IntoFrame | None = None,
    *,
    shape: str | None = None,
    time: str | None = None,
    lift_tests: Sequence[LiftTest] = (),
    incrementality: float | Mapping[str, float] = 1.0,
    current: Mapping[str, float] | None = None,
    period_length: str | Duration | None = None,
    plan_from: str | date | None = None,
    draws: int = 500,
    seed: int = 0,
) -> ResponseCurves:
    """How many new customers each channel brings for its money, estimated for all at once.

    Parameters
    ----------
    spend
        channel, period (its first day, or a label), spend [, fixed_cost] [, new_customers].
        Periods without spend tell how many customers come anyway; missing ones are unknown.
    customers
        Where new customers are counted when the spend table does not; see ``channel_costs``.
    shape
        "power", "Michaelis-Menten", "1-exp", "tanh", "Hill with exponent 2" or "... 3". None:
        the power curve, unless another one predicts the last periods better beyond chance.
    time
        What moves all channels together: "nothing", "trend", "season and trend" (from 2 years
        on), "shared by the channels" (one effect a period, below 2 years). None: chosen alike.
    lift_tests
        Lift or geo tests, as further evidence on the curves.
    incrementality
        Share of the attributed customers that would not have come anyway, in (0, 1], one for
        all or by channel. Default 1, with a warning in the notes.
    current
        Today's spend a period by channel; by default the mean of the periods with spend.
    period_length
        Length of a period, inferred from the gaps between their first days by default.
    plan_from
        First day of the periods in which a plan of such curves was spent. They teach as all others
        do, but step caps stay around what was observed before, and today's spend is theirs.
    draws, seed
        How many draws of the parameters, and the seed of NumPy's default generator.

    Returns
    -------
    ResponseCurves
        By name of channel: its curve (new customers per period of the spend table against money per
        period) with draws and intervals; ``findings`` say what is estimated and what is assumed.

    Raises
    ------
    ColumnError, RowError
        A column is missing; a spend is missing or negative; new customers are no whole numbers.
    InputError
        No channel spent money, or an option is unknown.
    FitError
        The data allow no maximum.

    Examples
    --------
    One observed point is enough, and the elasticity is then the prior's:

    >>> import pandas as pd
    >>> point = {"channel": ["search"], "period": ["2024-01"], "spend": [5000.0]}
    >>> curves = response_curves(pd.DataFrame(point | {"new_customers": [400]}))
    >>> round(float(curves["search"].curve.customers(5000)))
    400
    >>> print(curves.findings[0])
    b of search is assumed, not estimated: ...
    """
    if draws < 1:
        raise InputError(f"draws = {draws}.", hint="give 1 or more; 500 are usual.")
    length = None if period_length is None else Duration.parse(period_length)
    observed = read_observed(spend, customers, length)
    factors = _factors(incrementality, list(observed.names))
    rng = np.random.default_rng(seed)
    effects = time_effects(observed.periods, len(observed.names))
    panels = {
        name: observed.panel(lift_tests, factors, *effect) for name, effect in effects.items()
    }
    by_time = choose(
        "time", time, {name: (panel, SHAPES[POWER]) for name, panel in panels.items()}, rng
    )
    panel = panels[by_time.chosen]
    by_shape = choose("shape", shape, {name: (panel, kind) for name, kind in SHAPES.items()}, rng)
    fitted = fit(panel, SHAPES[by_shape.chosen])
    drawn = fitted.draws(draws, rng)
    blind = observed.panel((), factors, *effects[by_time.chosen])
    untested = _gains_untested(blind, fitted.posterior.shape, lift_tests, observed.names, rng)
    ran = None if plan_from is None else planned_periods(observed, plan_from)
    curves = tuple(_channel_curves(observed, fitted, drawn, factors, current or {}, ran))
    learned = () if ran is None else (finding("curves.learned", periods=int(ran.sum())),)
    return ResponseCurves(
        curves,
        shape=by_shape.chosen,
        time=by_time.chosen,
        phi=float(np.exp(fitted.mode.log_phi)),
        findings=tuple(findings(curves, by_shape, by_time))
        + tuple(line for test, gain in untested for line in against_test(test, gain, factors)),
        notes=(*learned, *notes(curves, observed.notes)),
    )


def _channel_curves(
    observed: Observed,
    fitted: Fitted,
    drawn: Unknowns,
    factors: Mapping[str, float],
    current: Mapping[str, float],
    ran: NDArray[np.bool_] | None,
) -> Iterator[ChannelCurve]:
    if unknown := sorted(set(current) - set(observed.names)):
        raise InputError(f"the current spend names {listed(unknown)}, which have no spend.")
    shape, mode, evidence = fitted.posterior.shape, fitted.mode, fitted.own_evidence()
    usual = fitted.posterior.panel.usual
    spend, fixed = (observed.mean_when_paid(v, ran) for v in (observed.spend, observed.fixed_cost))
    for c, name in enumerate(observed.names):
        paid = observed.before_plan(c, ran)
        curve = _plain(shape.curve(mode.A[c], mode.eta[c], float(usual[c])))
        if evidence[c] < LITTLE:
            curve = replace(curve, assumed=(*curve.assumed, shape.unknown))
        yield ChannelCurve(
            name=name,
            curve=curve,
            draws=shape.curve(drawn.A[:, c], drawn.eta[:, c], float(usual[c])),
            current_spend=float(current.get(name, spend[c])),
            fixed_cost=float(fixed[c]),
            observed=(float(paid.min()), float(paid.max())),
            periods=int(observed.paid[c].sum()),
            incrementality=factors[name],
            own_evidence=float(evidence[c]),
        )


def _gains_untested(
    panel: Panel,
    shape: Shape,
    tests: Sequence[LiftTest],
    names: Sequence[str],
    rng: np.random.Generator,
) -> Iterator[tuple[LiftTest, Floats]]:
    """Each lift test with draws of its gain by curves that have not seen any test."""
    if not tests:
        return
    drawn = fit(panel, shape).draws(DRAWS, rng)
    for test in tests:
        c = names.index(test.channel)
        curve = shape.curve(drawn.A[:, c], drawn.eta[:, c], float(panel.usual[c]))
        after = curve.customers(test.spend + test.extra_spend)
        yield test, np.asarray(after - curve.customers(test.spend))


def _plain(curve: Formula) -> Formula:
    """The curve with plain numbers in place of NumPy's."""
    numbers: dict[str, Any] = {name: float(getattr(curve, name)) for name in curve.parameters()}
    return replace(curve, **numbers)
