"""Chances to move on from stage to stage, by channel; their product is the chance to be won.

Each stage has a clock of its own, which starts when a lead reaches it. On it a channel moves its
leads on k times as often as all do, k ~ Gamma with mean 1 over the channels, so that a channel of
few leads stays near the others (credibility, as in Buehlmann & Straub 1970). Where it has moves
enough, k is its own in each span of the clock: channels differ in speed, not only in the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from clv.defaults import LEVEL
from clv.funnel.lead_table import LeadTable
from clv.funnel.time_to_win import ConversionCurve, ShareWithin, conversion_curve
from clv.schema import Floats

FEWEST = 20  # leads that must have been at a stage so long
DRAWS = 400
NOT_BEGUN = -1.0  # the age of who has not reached a stage yet: even its first day is ahead
MOVES_A_SPAN, MOST_SPANS = 30, 10
ENOUGH_MOVES = 30  # of a channel, from which on it has a pace of its own in every span
OWN_PACE, ONE_PACE = 0.5, 1e6  # shapes of gamma distributions of the pace within a channel


@dataclass(frozen=True)
class StageMoves:
    """From one stage to the next.

    Attributes
    ----------
    moved, lost
        Kaplan-Meier of moving on and of being lost meanwhile, on the stage's clock.
    reach
        How many days of the clock the log shows.
    edges
        Where the spans of the clock begin and end, days; shape (spans + 1,).
    moves, expected
        Moves of each channel's leads by span, and as many as the pace of all would give; shape
        (channels, spans).
    prior, span_prior
        How alike the channels are, and the spans within each, shape (channels,): shapes of gamma
        distributions.
    """

    moved: ConversionCurve
    lost: ConversionCurve
    reach: float
    edges: Floats
    moves: Floats
    expected: Floats
    prior: float
    span_prior: Floats

    @property
    def pace(self) -> Floats:
        """How many times as often leads move on as all do; shape (channels, spans)."""
        channel_pace = (self.moves.sum(1) + self.prior) / (self.expected.sum(1) + self.prior)
        a = self.span_prior[:, None]
        return np.asarray(
            channel_pace[:, None] * (self.moves + a) / (channel_pace[:, None] * self.expected + a)
        )

    def draw_paces(self, n: int, rng: np.random.Generator) -> Floats:
        """Draws of ``pace``, shape (n, channels, spans)."""
        counts, expected = self.moves.sum(1) + self.prior, self.expected.sum(1) + self.prior
        channel_pace = rng.gamma(counts, 1 / expected, (n, len(counts)))[:, :, None]
        a = self.span_prior[:, None]
        span = rng.gamma(self.moves + a, 1.0, (n, *self.moves.shape)) / (
            channel_pace * self.expected + a
        )
        return np.asarray(channel_pace * span)

    def chance(
        self, channel: NDArray[np.integer], age: Floats, pace: Floats | None = None
    ) -> Floats:
        """The chance to move on within the clock's reach, given neither that nor loss by ``age``.

        Parameters
        ----------
        channel, age
            Of each lead; shape (leads,).
        pace
            As estimated if None.
        """
        k = (self.pace if pace is None else pace)[channel]
        now, end = (
            (k * _within_spans(self.moved, self.edges, days)).sum(axis=1)
            for days in (age, np.full(len(age), self.reach))
        )
        lost_hazard = self.lost.hazard(np.minimum(age, self.lost.longest))
        ahead = np.exp(-now) - np.exp(-end)
        still = np.maximum(np.exp(-now) + np.expm1(-lost_hazard), 1e-9)
        return np.asarray(np.clip(ahead / still, 0.0, 1.0))


def _within_spans(curve: ConversionCurve, edges: Floats, age: Floats) -> Floats:
    """How much hazard each span brings up to an age; shape (leads, spans)."""
    return np.diff(curve.hazard(np.minimum(age[:, None], edges)), axis=1)


@dataclass(frozen=True)
class WinModel:
    """The chance of each lead to be won.

    Attributes
    ----------
    channels
        Names, in order.
    stages
        Those that the chances step through; leads of a table without days of the stages between
        have the first and the last alone.
    moves
        From each stage to the next.
    """

    channels: tuple[str, ...]
    stages: tuple[str, ...]
    moves: tuple[StageMoves, ...]

    def of_new_leads(self, level: float = LEVEL, seed: int = 0) -> list[ShareWithin]:
        """The chance of a new lead of each channel to be won, with its interval."""
        which, age = np.arange(len(self.channels)), np.full(len(self.channels), NOT_BEGUN)
        share = np.prod([move.chance(which, age) for move in self.moves], axis=0)
        rng = np.random.default_rng(seed)
        drawn = np.ones((DRAWS, len(self.channels)))
        for move in self.moves:
            drawn *= [move.chance(which, age, pace) for pace in move.draw_paces(DRAWS, rng)]
        low, high = np.quantile(drawn, [0.5 - level / 2, 0.5 + level / 2], axis=0)
        return [ShareWithin(*map(float, each)) for each in zip(share, low, high, strict=True)]

    def of(self, table: LeadTable) -> Floats:
        """The chance of each lead of a table; 1 if it was won, 0 if it was lost; shape (leads,)."""
        places = _places(table, self.stages)
        days, reached = table.days[:, places], table.reached[:, places]
        channel = channel_of(table, self.channels)
        at = reached.sum(axis=1) - 1
        chance = np.ones(len(at))
        for place, move in enumerate(self.moves):
            here = at == place
            age = np.maximum(table.follow_up - days[:, place], 0)
            chance[here] *= move.chance(channel[here], age[here])
            before = at < place
            chance[before] *= move.chance(channel[before], np.full(before.sum(), NOT_BEGUN))
        chance[table.leads["lost"].to_numpy(dtype=bool) & ~table.won] = 0.0
        return chance


def channel_of(table: LeadTable, channels: Sequence[str]) -> NDArray[np.integer]:
    """The place of each lead's channel among ``channels``, which are sorted; shape (leads,)."""
    return np.searchsorted(np.array(channels, dtype=object), table.leads["channel"])


def win_model(table: LeadTable) -> WinModel:
    """Learn the chances of a table of leads.

    Returns
    -------
    WinModel
        With a step for every stage whose days are in the table.
    """
    channels = tuple(sorted(table.leads["channel"].unique()))
    dated = ~(table.reached & np.isnan(table.days)).any(axis=0)
    stages = tuple(np.array(table.stages, dtype=object)[dated])
    places = _places(table, stages)
    days, reached = table.days[:, places], table.reached[:, places]
    channel = channel_of(table, channels)
    lost_day = (
        table.leads["lost_at"].to_numpy("datetime64[D]")
        - table.leads["created"].to_numpy("datetime64[D]")
    ) / np.timedelta64(1, "D")
    moves = tuple(
        _moves(days[:, k : k + 2], reached[:, k : k + 2], table.follow_up, lost_day, channel,
               len(channels))
        for k in range(len(stages) - 1)
    )  # fmt: skip
    return WinModel(channels, stages, moves)


def _places(table: LeadTable, stages: Sequence[str]) -> list[int]:
    return [table.stages.index(name) for name in stages]


def _moves(
    days: Floats,
    reached: NDArray[np.bool_],
    follow_up: Floats,
    lost_day: Floats,
    channel: NDArray[np.integer],
    channels: int,
) -> StageMoves:
    here = reached[:, 0]
    moved = reached[here, 1]
    time_left = np.maximum(follow_up[here] - days[here, 0], 0)
    wait = np.where(moved, days[here, 1] - days[here, 0], time_left)
    is_lost = ~moved & (lost_day[here] <= follow_up[here])
    lost_wait = np.where(is_lost, np.maximum(lost_day[here] - days[here, 0], 0), time_left)
    curve, lost = conversion_curve(wait, moved), conversion_curve(lost_wait, is_lost)
    reach = float(np.sort(time_left)[-min(FEWEST, len(time_left))]) if len(time_left) else 0.0
    edges = _spans(wait[moved])
    counts = np.zeros((channels, len(edges) - 1))
    place = np.searchsorted(edges, wait[moved], side="left") - 1
    np.add.at(counts, (channel[here][moved], place), 1.0)
    expected = np.zeros_like(counts)
    np.add.at(expected, channel[here], _within_spans(curve, edges, wait))
    np.add.at(expected, (channel[here][moved], place), -_rest_of_day(curve, wait[moved]))
    prior = _prior(counts.sum(1), expected.sum(1))
    span_prior = np.where(counts.sum(1) >= ENOUGH_MOVES, OWN_PACE, ONE_PACE)
    return StageMoves(curve, lost, reach, edges, counts, expected, prior, span_prior)


def _rest_of_day(curve: ConversionCurve, wait: Floats) -> Floats:
    """The hazard of a day that came after the moves on it, in the mean: nobody bore that."""
    step = curve.hazard(wait) - curve.hazard(wait - 0.5)
    return np.asarray(step - (1 - step / np.maximum(np.expm1(step), 1e-12)))


def _spans(waits: Floats) -> Floats:
    """Spans of the clock with about as many moves in each, the last without an end."""
    spans = int(np.clip(len(waits) // MOVES_A_SPAN, 1, MOST_SPANS))
    if not len(waits):
        return np.array([NOT_BEGUN, np.inf])
    inner = np.quantile(waits, np.arange(1, spans) / spans, method="lower")
    return np.concatenate([[NOT_BEGUN], np.unique(inner), [np.inf]])


def _prior(counts: Floats, expected: Floats) -> float:
    """How alike paces are, by the likelihood of counts: counts ~ Poisson(k expected), k ~ Gamma."""
    busy = expected > 0
    if busy.sum() < 2:
        return 1.0
    x, e = counts[busy], expected[busy]

    def cost(log_a: float) -> float:
        a = np.exp(log_a)
        return -float(np.sum(gammaln(x + a) - gammaln(a) + a * np.log(a) - (x + a) * np.log(e + a)))

    fit = minimize_scalar(cost, bounds=(np.log(0.5), np.log(1e4)), method="bounded")
    return float(np.exp(fit.x))
