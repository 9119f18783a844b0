"""How sure a published plan is: its draws beside it in a store, and what each way to spend gains.

The plan's own curves are thinned, so that a slider answers at once; these draws are not, and draw j
of one channel goes with draw j of every other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator

from clv.app.plan_files.sections import Finite, MeanCurve, Strict, as_tuple
from clv.app.requests import OfferBody
from clv.decide.budget.allocate import allocate
from clv.decide.budget.allocation import Allocation
from clv.decide.budget.channel import Channel
from clv.decide.budget.draws import MeanOfDraws
from clv.decide.budget.gain_curve import GainCurve
from clv.decide.budget.modes import Target
from clv.decide.budget.plan_gain import PlanGain, plan_gain
from clv.decide.budget.response import Formula
from clv.errors import ClvError, InputError, PlanError
from clv.findings import Finding, Provenance, finding
from clv.io.settings_errors import settings_of
from clv.schema import Floats

DOCUMENT = "plan_draws"
MOST = 400  # draws that a store keeps
DIGITS = 6
HINT = "publish again, with what clv itself wrote."
STATED = "its curves and values are stated, not estimated"


class ChannelDraws(Strict):
    """The draws of one channel: of its curve, and of the value of a customer where those vary."""

    curve: MeanCurve
    values: Annotated[tuple[Finite, ...], BeforeValidator(as_tuple)] = ()


class PlanDraws(Strict):
    """The document ``plan_draws``: what is known of each channel, by name."""

    channels: dict[str, ChannelDraws]

    @classmethod
    def read(cls, document: Any) -> PlanDraws | None:
        """The draws of a store; None where none were published, ``InputError`` if these are none.

        >>> PlanDraws.read(None)
        """
        if document is None:
            return None
        return settings_of(cls, document, "the document plan_draws", HINT)

    @classmethod
    def written(
        cls, channels: Sequence[Channel], values: Mapping[str, Floats]
    ) -> dict[str, Any] | None:
        """The document of channels whose curves have draws; None without any."""
        listed = {}
        for channel in channels:
            if isinstance(channel.response, MeanOfDraws):
                curve = MeanCurve.written(_first(channel.response))
                drawn = values_drawn([channel], values).get(channel.name, np.empty(0))[:MOST]
                listed[channel.name] = {
                    "curve": curve.model_dump(mode="json"),
                    "values": [_short(value) for value in drawn.tolist()],
                }
        return {"channels": listed} if listed else None

    def drawn(self, channels: Sequence[Channel]) -> tuple[list[Channel], dict[str, Floats]]:
        """The channels with these draws for curves, and draws of the values by channel."""
        curves = {name: drawn.curve.build() for name, drawn in self.channels.items()}
        values = {
            name: np.array(drawn.values) for name, drawn in self.channels.items() if drawn.values
        }
        channels_drawn = [
            replace(channel, response=curves[channel.name]) if channel.name in curves else channel
            for channel in channels
        ]
        return channels_drawn, {c.name: values[c.name] for c in channels if c.name in values}

    @property
    def count(self) -> int:
        """How many draws there are."""
        curve = next(iter(self.channels.values())).curve
        return len(next(iter(curve.draws.values())))


def values_drawn(channels: Sequence[Channel], values: Mapping[str, Floats]) -> dict[str, Floats]:
    """The draws of those channels whose value is theirs, and not one that the plan states."""
    return {
        c.name: values[c.name]
        for c in channels
        if c.name in values and np.isclose(c.value, values[c.name].mean(), rtol=1e-6)
    }


def _first(curve: MeanOfDraws) -> MeanOfDraws:
    """Its first draws, in figures that are short enough to be retained."""
    parameters: dict[str, Any] = {
        name: np.array(
            [_short(value) for value in np.atleast_1d(getattr(curve.draws, name))[:MOST]]
        )
        for name in curve.draws.parameters()
    }
    draws: Formula = replace(curve.draws, **parameters)
    return replace(curve, draws=draws)


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


@dataclass(frozen=True)
class SplitGain:
    """What one way to spend the money is expected to gain over today's.

    Attributes
    ----------
    split
        What the money is spent on: "channels and retention" or "channels alone".
    expected
        Profit above today's split; None where that is not known.
    sure
        The same over the draws, with its interval; None where nothing was drawn.
    basis
        Whether what counts most was measured, estimated or assumed.
    """

    split: str
    expected: float | None
    sure: PlanGain | None
    basis: Provenance


@dataclass(frozen=True)
class PlanMarket:
    """What a published plan chooses from: as ``allocate`` takes it, and the draws beside it.

    ``offer`` is what is behind ``retention``; its save rate is drawn too.
    """

    channels: Sequence[Channel]
    retention: GainCurve | None
    offer: OfferBody | None
    target: Target | None
    periods: float
    draws: PlanDraws | None

    def gains(self, best: Allocation) -> tuple[tuple[SplitGain, ...], tuple[Finding, ...]]:
        """The gain of the best plan over today's split and, where it keeps customers, without.

        The second part says why an interval is not known. Nothing is known without today's split.
        """
        gains: list[SplitGain] = []
        notes: list[Finding] = []
        alone: Allocation | None = best
        if self.offer is not None and best.retention_spend > 0:
            gains.append(self._gain("channels and retention", best, notes))
            alone = self._without_retention(best, notes)
        if alone is not None:
            gains.append(self._gain("channels alone", alone, notes))
        stated = tuple(gain for gain in gains if gain.expected is not None)
        return stated, tuple({str(note): note for note in notes}.values()) if stated else ()

    def _without_retention(self, best: Allocation, notes: list[Finding]) -> Allocation | None:
        try:
            return allocate(
                self.channels,
                best.budget,
                target=self.target,
                periods=self.periods,
                currency=best.currency,
            )
        except PlanError as error:  # channels alone cannot spend what was set
            notes.append(finding("uncertainty.needs_retention", why=_first_line(error)))
            return None

    def _gain(self, split: str, plan: Allocation, notes: list[Finding]) -> SplitGain:
        basis: Provenance = "estimated" if self.estimated else "assumed"
        if plan.retention_spend and self.offer is not None:
            basis = "assumed" if self.offer.save_rate_source == "assumed" else basis
        try:
            return SplitGain(split, plan.profit_gain, self.sure(plan), basis)
        except (InputError, PlanError) as error:
            notes.append(finding("uncertainty.not_possible", why=_first_line(error)))
        return SplitGain(split, plan.profit_gain, None, basis)

    @property
    def estimated(self) -> bool:
        """Whether curves were estimated, also where a store of an earlier version has no draws."""
        return any(isinstance(channel.response, MeanOfDraws) for channel in self.channels)

    def sure(self, plan: Allocation) -> PlanGain | None:
        """The gain of a plan over the draws; None where today's split is not known."""
        if self.draws is None:
            why = "its draws are not in this store, publish again" if self.estimated else STATED
            raise InputError(f"{why}.")
        channels, values = self.draws.drawn(self.channels)
        retained = self._kept(self.draws.count) if plan.retention_spend else np.ones(1)
        return plan_gain(
            channels, plan, self.retention, values=values, retained=retained, periods=self.periods
        )

    def _kept(self, count: int) -> Floats:
        """Draws of what retention keeps, over what is expected of it."""
        if self.offer is None:
            return np.ones(1)
        offer = self.offer.offer()
        return offer.drawn_save_rates(count) / offer.mean_save_rate


def _first_line(error: ClvError) -> str:
    return error.message.splitlines()[0]
