"""Which curve and which effect of time: whatever predicts the last periods from those before.

The score of a candidate is the log-probability that it gives the held-out counts, each averaged
over the draws of its parameters. The first candidate keeps its place unless another one beats it
by more than chance: by two standard errors of the difference over the held-out counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from scipy.special import logsumexp

from clv.decide.acquisition.spend import Periods
from clv.decide.response.panel import Panel
from clv.decide.response.pooled import Posterior, fit, log_nb2
from clv.decide.response.shapes import Shape
from clv.errors import InputError
from clv.periods import DAYS
from clv.schema import Floats

NOTHING, TREND, SEASON, SHARED = "nothing", "trend", "season and trend", "shared by the channels"
TREND_SD, WAVE_SD, SHARED_SD = 0.3, 0.2, 0.1  # of log customers: a year, a wave, one period
WAVES = 2  # harmonics of the year
LEAST_PERIODS, MOST_HELD_OUT = 8, 13
DRAWS = 200
BEYOND_CHANCE = 2.0  # standard errors of the lead
LEAST_LEAD = 1.0  # of the log score: draws alone make it differ by tenths


@dataclass(frozen=True)
class Verdict:
    """Which candidate was chosen and why.

    Parameters
    ----------
    chosen
        Its name.
    rival
        The best of all but the first candidate; None where nothing was compared.
    lead, error
        The rival's log score above the first candidate's, and its standard error.
    held, periods
        How many of the last periods were held out, and of how many.
    requested
        Whether the caller settled it.
    """

    chosen: str
    rival: str | None = None
    lead: float = 0.0
    error: float = 0.0
    held: int = 0
    periods: int = 0
    requested: bool = False


def choose(
    what: str,
    requested: str | None,
    candidates: Mapping[str, tuple[Panel, Shape]],
    rng: np.random.Generator,
) -> Verdict:
    """The candidate asked for, or else the winner of the comparison; the first one wins ties.

    Raises ``InputError`` if there is none of the name asked for.
    """
    first, (panel, _) = next(iter(candidates.items()))
    if requested is not None and requested not in candidates:
        raise InputError(
            f"{what} is {requested!r}; here it can be {', '.join(map(repr, candidates))}.",
            hint="leave it out, and whatever predicts the last periods best is chosen.",
        )
    if requested is not None:
        return Verdict(requested, requested=True)
    periods = panel.observed.shape[1]
    held = held_out(periods)
    learnable = panel.observed[:, : periods - held].sum(axis=1) > 1
    if len(candidates) < 2 or held == 0 or not panel.observed[learnable, periods - held :].any():
        return Verdict(first, periods=periods)
    scores = {
        name: score(panel.only(learnable), shape, held, rng)
        for name, (panel, shape) in candidates.items()
    }
    rival = max(list(scores)[1:], key=lambda name: float(scores[name].sum()))
    ahead = scores[rival] - scores[first]
    lead, error = float(ahead.sum()), float(ahead.std() * np.sqrt(len(ahead)))
    better = lead > max(BEYOND_CHANCE * error, LEAST_LEAD)
    return Verdict(rival if better else first, rival, lead, error, held, periods)


def held_out(periods: int) -> int:
    """How many of the last periods are predicted: a quarter of them, none if there are too few."""
    return 0 if periods < LEAST_PERIODS else min(periods // 4, MOST_HELD_OUT)


def score(panel: Panel, shape: Shape, held: int, rng: np.random.Generator) -> Floats:
    """Log-probability of each count in the last ``held`` periods, given those before."""
    cut = panel.observed.shape[1] - held
    draws = fit(panel.before(cut), shape).draws(DRAWS, rng)
    late = replace(panel, log_u=panel.log_u[:, cut:], time=panel.time[cut:])
    mu = Posterior(late, shape).expected(draws)
    each = log_nb2(panel.customers[:, cut:], mu, np.exp(draws.log_phi)[:, None, None])
    return np.asarray((logsumexp(each, axis=0) - np.log(DRAWS))[panel.observed[:, cut:]])


def time_effects(periods: Periods, channels: int) -> dict[str, tuple[Floats, Floats]]:
    """Candidates for the effect of time: design X (periods, effects) and prior deviations.

    All leave log customers as they are on average over a year, and at the end of the log. Years
    are told apart from 2 years on; with less, a period may have an effect that all channels share.
    """
    count = len(periods.labels)
    nothing = np.zeros((count, 0)), np.zeros(0)
    effects = {NOTHING: nothing}
    if not periods.ends:
        return effects | _shared(count, channels)
    years = np.array([_years(start, periods.starts[-1]) for start in periods.starts])
    trend = years[:, None], np.array([TREND_SD])
    effects[TREND] = trend
    if _years(periods.ends[-1], periods.starts[0]) < 2 - 7 / DAYS["year"]:
        return effects | _shared(count, channels)
    angle = 2 * np.pi * np.outer(years, np.arange(1, WAVES + 1))
    effects[SEASON] = (
        np.hstack([np.cos(angle), np.sin(angle), years[:, None]]),
        np.array([*[WAVE_SD] * 2 * WAVES, TREND_SD]),
    )
    return effects


def _shared(count: int, channels: int) -> dict[str, tuple[Floats, Floats]]:
    """One effect per period; told apart from a channel's own luck by three channels or more."""
    return {SHARED: (np.eye(count), np.full(count, SHARED_SD))} if channels > 2 else {}


def _years(day: date, since: date) -> float:
    return (day - since).days / DAYS["year"]
