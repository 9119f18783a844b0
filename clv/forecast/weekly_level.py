"""The level of a customer base week by week: season, slow drift and shocks, by a Gaussian process.

``y`` is the log of what a base bought in a week over what its purchase model expected. Its
covariance between weeks D apart is

    a^2 exp(-|D| / l) + g^2 exp(-2 sin^2(pi D / 52.18) / r^2),

a drift that forgets within l weeks and a season that returns every year; each week adds noise t^2
and the chance of counting, 1 / expected. The five numbers are those of highest posterior density
under lognormal priors: a year of weeks alone would not tell them. An event of unknown effect, such
as a sale, adds the square of its share of the week times a broad prior variance, so that what it
did before is what it is expected to do again.

References
----------
.. [1] Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, chapters 2 and 5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from clv.periods import periods_per_year
from clv.schema import Floats

YEAR = periods_per_year("week")
EVENT_SD = 0.5  # prior of what an event does to the log level of a whole week
BEFORE = 26  # weeks that a forecast of weeks gone by is made from at least
OWN = 4  # how many such forecasts the level's own opinion of its spread counts for
OUTLIER = 2.5  # robust standard deviations beyond which a week is a shock, not the level


class LevelParameters(NamedTuple):
    """Amplitude and memory (weeks) of the drift, amplitude and width of the season, noise."""

    a: float
    l: float  # noqa: E741 - the symbol of the covariance above
    g: float
    r: float
    t: float


MEDIAN = LevelParameters(0.15, 26.0, 0.15, 0.7, 0.08)
LOG_SD = LevelParameters(0.7, 0.8, 0.7, 0.4, 0.7)
CENTRE = np.log(MEDIAN)


Shares = Callable[[Floats], Floats]


def no_events(weeks: Floats) -> Floats:
    """The shares of events in weeks, shape (n, events): there are none."""
    return np.zeros((len(weeks), 0))


@dataclass(frozen=True, eq=False)
class WeeklyLevel:
    """The level given the weeks that were seen; see ``fit``.

    Attributes
    ----------
    parameters
        Of the covariance.
    weeks
        Numbers of the weeks that were seen, shape (n,).
    events
        Gives the share of each event of unknown effect in weeks, shape (n, events).
    """

    parameters: LevelParameters
    weeks: Floats
    events: Shares
    _y: Floats
    _noise: Floats  # variance of each
    _factor: tuple[Floats, bool]
    _weight: Floats  # K^-1 y

    @classmethod
    def fit(cls, weeks: Floats, y: Floats, variance: Floats, events: Shares = no_events) -> Self:
        """The level from log ratios ``y`` at ``weeks``, with the counting variance of each.

        A week further off than ``OUTLIER`` robust standard deviations gets the square of its
        residual as variance: it happened, and says little about the weeks around it.
        """
        level = cls._most_likely(weeks, y, variance, events)
        residual = y - level.mean(weeks)
        robust_sd = 1.4826 * float(np.median(np.abs(residual - np.median(residual))))
        shock = np.abs(residual) > OUTLIER * robust_sd
        if not shock.any():
            return level
        return cls._most_likely(weeks, y, variance + np.where(shock, residual**2, 0.0), events)

    def mean(self, weeks: ArrayLike) -> Floats:
        """The expected log level of any weeks, past or to come."""
        return self._kernel(np.asarray(weeks, dtype=np.float64), self.weeks) @ self._weight

    def covariance(self, weeks: ArrayLike) -> Floats:
        """How unsure that is: the posterior covariance of the weeks' log levels, without noise."""
        at = np.asarray(weeks, dtype=np.float64)
        across = self._kernel(at, self.weeks)
        solved = cho_solve(self._factor, across.T)
        return np.asarray(self._kernel(at, at) - across @ solved)

    def spread(self, length: int) -> float:
        """By what the standard deviation of a forecast of ``length`` weeks is to be multiplied.

        The weeks gone by are forecast from those before them, as many at a time: their errors,
        over what the level expects them to be, beside ``OWN`` errors that are just as expected.
        """
        first, squares = float(self.weeks[-1]) + 1 - length, []
        while first - self.weeks[0] >= BEFORE:
            ahead = (self.weeks >= first) & (self.weeks < first + length)
            if ahead.any():
                squares.append(self._error_squared(self.weeks < first, ahead))
            first -= length
        return float(np.sqrt((OWN + sum(squares)) / (OWN + len(squares))))

    def _error_squared(self, before: NDArray[np.bool_], ahead: NDArray[np.bool_]) -> float:
        """Of the mean over some weeks by others, over its variance."""
        covariance = self._kernel(self.weeks, self.weeks) + np.diag(self._noise)
        across = self._kernel(self.weeks[ahead], self.weeks[before])
        pull = cho_solve(cho_factor(covariance[np.ix_(before, before)], lower=True), across.T)
        error = (self._y[ahead] - self._y[before] @ pull).mean()
        return float(error**2 / (covariance[np.ix_(ahead, ahead)] - across @ pull).mean())

    def _kernel(self, one: Floats, other: Floats) -> Floats:
        p = self.parameters
        return _drift(p, one, other) + _season(p, one, other) + _shared(self.events, one, other)

    @classmethod
    def _most_likely(cls, weeks: Floats, y: Floats, variance: Floats, events: Shares) -> Self:
        cost = _Cost(weeks, y, variance, _shared(events, weeks, weeks))
        bounds = [*zip(CENTRE - 5, CENTRE + 5, strict=True)]
        best = minimize(cost, CENTRE, jac=True, method="L-BFGS-B", bounds=bounds)
        parameters = LevelParameters(*np.exp(best.x).tolist())
        factor = cho_factor(cost.covariance(parameters)[0], lower=True)
        noise = parameters.t**2 + variance
        return cls(parameters, weeks, events, y, noise, factor, cho_solve(factor, y))


@dataclass(frozen=True, eq=False)
class _Cost:
    """Minus the log posterior of the parameters, with its derivative by the log of each."""

    weeks: Floats
    y: Floats
    variance: Floats
    shared: Floats

    def covariance(self, theta: LevelParameters) -> tuple[Floats, Floats, Floats]:
        """Of ``y``, and its parts that are the drift and the season."""
        drift, season = (part(theta, self.weeks, self.weeks) for part in (_drift, _season))
        return drift + season + self.shared + np.diag(theta.t**2 + self.variance), drift, season

    def __call__(self, log_theta: Floats) -> tuple[float, Floats]:
        theta, off = LevelParameters(*np.exp(log_theta)), (log_theta - CENTRE) / np.asarray(LOG_SD)
        K, drift, season = self.covariance(theta)
        factor = cho_factor(K, lower=True)
        solved = cho_solve(factor, self.y)
        D = np.abs(self.weeks[:, None] - self.weeks)
        wave = np.sin(np.pi * D / YEAR) ** 2
        moved = (2 * drift, drift * D / theta.l, 2 * season, season * 4 * wave / theta.r**2)
        # d/dtheta of (y' K^-1 y + log |K|) / 2 is tr((K^-1 - K^-1 y y' K^-1) dK) / 2
        pull = cho_solve(factor, np.eye(len(K))) - np.outer(solved, solved)
        slope = [float((pull * by).sum()) / 2 for by in moved]
        slope.append(float(np.trace(pull)) * theta.t**2)
        log_det = 2 * np.log(np.diag(factor[0])).sum()
        cost = (self.y @ solved + log_det + off @ off) / 2
        return float(cost), np.asarray(slope) + off / np.asarray(LOG_SD)


def _drift(parameters: LevelParameters, one: Floats, other: Floats) -> Floats:
    D = np.abs(one[:, None] - other)
    return np.asarray(parameters.a**2 * np.exp(-D / parameters.l))


def _season(parameters: LevelParameters, one: Floats, other: Floats) -> Floats:
    wave = np.sin(np.pi * (one[:, None] - other) / YEAR) ** 2
    return np.asarray(parameters.g**2 * np.exp(-2 * wave / parameters.r**2))


def _shared(events: Shares, one: Floats, other: Floats) -> Floats:
    return np.asarray(EVENT_SD**2 * events(one) @ events(other).T)
