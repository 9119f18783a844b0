"""Maximum likelihood over positive parameters: the search, and its Newton steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from threadpoolctl import threadpool_limits

from clv.errors import FitError
from clv.history import Cells, Levels
from clv.probability.boundary import (
    FAR,
    NEAR,
    LogLikelihood,
    far_out,
    moved_in,
    to_limit,
)
from clv.probability.near_limits import (
    FLAT,
    NearLimits,
    Spread,
    corrected,
    near_limit_steps,
    spread_over_logs,
)
from clv.schema import Floats

ROWS = 65_536  # looked at together
KEPT = 4  # answers of all data: the places that steps come back to
ENOUGH = 1e-8  # gradient of the mean log-likelihood: short by 1e-16 of curvature a customer


@dataclass(frozen=True)
class Optimum:
    """Where the search ended: parameters, total log-likelihood, and how sure the place is."""

    theta: Floats
    log_likelihood: float
    gradient_norm: float
    condition: float
    starts: int
    starts_agreeing: int


def maximize(
    log_likelihood: LogLikelihood,
    starts: Sequence[Sequence[float]],
    lower: Sequence[float],
    upper: Sequence[float],
    weight: float,
    rough: Sequence[LogLikelihood] = (),
    parts: Sequence[Callable[[Floats], Contributions]] = (),
) -> Optimum:
    """Maximise a log-likelihood over positive parameters from several starts.

    The search runs over the logs of the parameters with L-BFGS-B, on the mean over customers, and
    is finished by Newton steps on the Hessian that differences of the gradient give.

    Parameters
    ----------
    log_likelihood
        theta of shape (k,) to the total log-likelihood and its gradient by theta.
    starts, lower, upper
        Starting points and bounds of theta, all positive.
    weight
        Number of customers, which turns the total into a mean.
    rough
        The log-likelihood of samples that stand for the same number of customers, each larger than
        the one before. Starts are then compared on the first, the best of them is followed on the
        others, and curvature is taken on the last; all data only finish.
    parts
        theta to what each customer adds, for each of ``rough`` and for all data: the spread of
        their slopes is a curvature for where that of a sample does not do, near a limit.

    Raises
    ------
    FitError
        If the log-likelihood is finite at none of the starts.
    """
    objective = _mean_over_logs(log_likelihood, weight)
    spreads: list[Spread | None] = [spread_over_logs(spread_of(part), weight) for part in parts]
    first, *rest = [*(_mean_over_logs(part, weight) for part in rough), objective]
    low, high = np.log(lower), np.log(upper)
    with threadpool_limits(1, "blas"):  # few parameters: threads would only wait for each other
        ends = [_search(first, np.log(start), low, high) for start in starts]
        values = np.array([first(end)[0] for end in ends])
        if not np.isfinite(values).any():
            raise FitError(
                "the likelihood is not finite at any starting point.",
                hint="look for extreme values of frequency or monetary_value.",
            )
        best = _newton(first, ends[int(np.nanargmin(values))], low, high)
        coarse, curvature = first, _hessian(first, best)
        for finer, spread in zip(rest, spreads[1:] or [None] * len(rest), strict=True):
            best = _finish(finer, best, curvature, low, high, spread)
            if finer is not objective:
                coarse, curvature = finer, _hessian(finer, best)
        nearer = _nearer(objective, coarse, best, low, high)
        if nearer is not best:
            best, curvature = nearer, _hessian(objective, nearer)
        value, gradient = objective(best)
    free = _free(best, gradient, low, high)
    # Starts agree if their log-likelihoods do, but for the rounding of a large sum.
    close = max(1e-6, 1e-12 * abs(value) * weight)
    return Optimum(
        theta=np.exp(best),
        log_likelihood=-value * weight,
        gradient_norm=float(np.max(np.abs(gradient[free]), initial=0.0)),
        condition=_condition(curvature[np.ix_(free, free)]),
        starts=len(ends),
        starts_agreeing=int(np.sum((values - np.nanmin(values)) * weight < close)),
    )


def sample(weight: Floats, size: int) -> tuple[NDArray[np.intp], Floats]:
    """A systematic sample of weighted rows, and the weights with which it stands for all of them.

    Every total/size-th customer is taken in the order of the rows, so a heavy row is taken many
    times, and rows in order stand for those around them.

    >>> rows, weights = sample(np.array([2.0, 4.0, 2.0]), 4)
    >>> rows, weights
    (array([0, 1, 2]), array([2., 4., 2.]))
    """
    ends = np.cumsum(weight)
    step = ends[-1] / size
    rows, hits = np.unique(
        np.searchsorted(ends, (np.arange(size) + 0.5) * step), return_counts=True
    )
    return rows, hits * step


def sample_cells(cells: Cells, size: int) -> Cells:
    """A ``sample`` of the customers of cells, which stands for all of them."""
    rows, count = sample(cells.count, size)
    part = cells.where(rows)
    return Cells(part.x, part.t_x, part.T, count)


def _mean_over_logs(log_likelihood: LogLikelihood, weight: float) -> LogLikelihood:
    """Minus the mean log-likelihood, and its gradient, by the logs of the parameters.

    The last answers are kept: a search ends where the next step begins.
    """
    kept: dict[bytes, tuple[float, Floats]] = {}

    def objective(log_theta: Floats) -> tuple[float, Floats]:
        place = log_theta.tobytes()
        if place not in kept:
            theta = np.exp(log_theta)
            value, gradient = log_likelihood(theta)
            kept[place] = -value / weight, -gradient * theta / weight
            if len(kept) > KEPT:
                del kept[next(iter(kept))]
        value, gradient = kept[place]
        return value, gradient.copy()

    return objective


def _search(objective: LogLikelihood, start: Floats, low: Floats, high: Floats) -> Floats:
    """L-BFGS-B, which is taken to a limit as soon as it is on its way there."""
    x, tried = np.clip(start, low, high), set[tuple[int, ...]]()

    def look(intermediate_result: optimize.OptimizeResult) -> None:
        if not tried.issuperset(far_out(intermediate_result.x)):
            raise StopIteration

    while True:
        optimum = optimize.minimize(
            objective,
            x,
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(low, high, strict=True)),
            options={"maxiter": 1000, "maxfun": 3000, "ftol": 1e-13, "gtol": 1e-10},
            callback=look,
        )
        x = np.asarray(optimum.x, dtype=np.float64)
        new = set(far_out(x)) - tried
        if not new:
            return x
        tried |= new
        for far in new:
            x = to_limit(objective, x, list(far), low, high)


def _finish(
    objective: LogLikelihood,
    x: Floats,
    curvature: Floats,
    low: Floats,
    high: Floats,
    spread: Spread | None = None,
) -> Floats:
    """From a sample's optimum to that of all data: steps on its curvature, or on theirs.

    A full search where neither gets there. Where pairs lean out together, steps near their limits
    come first.
    """
    if spread and NearLimits.of(x).leaning:
        x = _off_limits(objective, x)
        for _ in range(2):  # what leans may be others after a while
            x = near_limit_steps(objective, spread, x, low, high)
            if _is_top(objective, x, low, high):
                return x
    for of_all in (False, True):
        x = _newton(objective, x, low, high, _hessian(objective, x) if of_all else curvature)
        if _is_top(objective, x, low, high):
            return x
    return _newton(objective, _search(objective, x, low, high), low, high)


def _nearer(
    objective: LogLikelihood, coarse: LogLikelihood, x: Floats, low: Floats, high: Floats
) -> Floats:
    """A better place nearer in, where a search went to a limit that is none.

    Near a limit, which a pair of parameters such as a and b has in common, the log-likelihood is
    flat, and a search that a sample led there stays. Nearer in its slope says which way is up, and
    the slope nearer still about how far: it is nearly a parabola in 1/u, for a parameter u.
    """
    for far in map(list, far_out(x)):
        side = np.sign(x[far])
        slopes = [float(objective(moved_in(x, far, FAR))[1][far] @ side)]
        if slopes[0] <= 0:
            continue
        slopes.append(float(objective(moved_in(x, far, NEAR))[1][far] @ side))
        inverse = np.exp([-FAR, -NEAR])
        linear, square = np.linalg.solve(np.array([inverse, 2 * inverse**2]).T, -np.array(slopes))
        top = np.log(-2 * square / linear) if square > 0 > linear else NEAR
        start = moved_in(x, far, float(np.clip(top, 0.0, FAR)))
        found = _finish(objective, start, _hessian(coarse, start), low, high)
        if objective(found)[0] < objective(x)[0]:
            x = found
    return x


def _is_top(objective: LogLikelihood, x: Floats, low: Floats, high: Floats) -> bool:
    gradient = objective(x)[1]
    return bool(np.max(np.abs(gradient[_free(x, gradient, low, high)]), initial=0.0) < ENOUGH)


def _off_limits(objective: LogLikelihood, x: Floats) -> Floats:
    """Nearer in, where a sample led to a limit that is none of all data.

    Near a limit the log-likelihood is flat, and a search that was led there stays. Nearer in its
    slope says which way is up.
    """
    for far in map(list, far_out(x)):
        nearer = moved_in(x, far, FAR)
        if objective(nearer)[1][far] @ np.sign(x[far]) > 0:
            x = nearer
    return x


def _newton(
    objective: LogLikelihood,
    x: Floats,
    low: Floats,
    high: Floats,
    curvature: Floats | None = None,
) -> Floats:
    """Newton steps on the Hessian, or on a given curvature, each kept only if it is downhill.

    A given one is corrected by what each step shows, which saves looks at all data.
    """
    value, gradient = objective(x)
    steps, enough = (5, 1e-10) if curvature is None else (20, ENOUGH)
    for _ in range(steps):
        free = _free(x, gradient, low, high)
        if np.max(np.abs(gradient[free]), initial=0.0) < enough:
            break
        hessian = (_hessian(objective, x) if curvature is None else curvature)[np.ix_(free, free)]
        curved, axes = np.linalg.eigh(hessian)
        bent = np.abs(curved) > FLAT * np.abs(curved).max()  # others lead nowhere
        if not np.all(curved[bent] > 0):  # a Newton step would lead anywhere
            break
        step = np.zeros_like(x)
        step[free] = axes[:, bent] @ ((gradient[free] @ axes[:, bent]) / curved[bent])
        tried = np.clip(x - step, low, high)
        new_value, new_gradient = objective(tried)
        # Uphill by more than rounding.
        if not new_value <= value + 1e-13:
            break
        if curvature is not None:
            curvature = corrected(curvature, tried - x, new_gradient - gradient)
        x, value, gradient = tried, new_value, new_gradient
    return x


def _free(x: Floats, gradient: Floats, low: Floats, high: Floats) -> NDArray[np.bool_]:
    """Which parameters are not pressed against a bound."""
    pressed = ((x <= low + 1e-6) & (gradient > 0)) | ((x >= high - 1e-6) & (gradient < 0))
    return np.asarray(~pressed)


def _hessian(objective: LogLikelihood, x: Floats) -> Floats:
    """Central differences of the gradient, made symmetric."""
    # Of a log: 0.01% of a parameter.
    h = 1e-4
    rows = [(objective(x + h * e)[1] - objective(x - h * e)[1]) / (2 * h) for e in np.eye(len(x))]
    return (np.array(rows) + np.array(rows).T) / 2


def _condition(hessian: Floats) -> float:
    """Ratio of the Hessian's extreme curvatures; infinite where it is flat or not convex."""
    if hessian.size == 0:
        return 1.0
    curvature = np.linalg.eigvalsh(hessian)
    return float(curvature[-1] / curvature[0]) if curvature[0] > 0 else float("inf")


# The log-likelihood of weighted rows, kept apart as computed: once per distinct x, once per row.
#
# A fit asks for the total and its gradient, a covariance or a bootstrap for the share of each row.


@dataclass(frozen=True)
class Contributions:
    """What each row adds to a log-likelihood (first line) and to its k derivatives (the others).

    Attributes
    ----------
    levels
        The distinct x and their weight.
    weight
        How many customers each row stands for, shape (n,).
    by_level
        What depends on x alone, shape (1 + k, number of levels).
    by_row
        The rest, shape (1 + k, n).
    """

    levels: Levels
    weight: Floats
    by_level: Floats
    by_row: Floats

    def total(self) -> tuple[float, Floats]:
        """The log-likelihood of all rows and its gradient, shape (k,)."""
        value, *gradient = self.by_level @ self.levels.weight + self.by_row @ self.weight
        return float(value), np.array(gradient)

    def spread(self) -> tuple[float, Floats, Floats]:
        """The total, and the products of the gradients of customers, added up, shape (k, k)."""
        slopes = self.of_rows()[1]
        return *self.total(), np.asarray((slopes * self.weight) @ slopes.T)

    def of_rows(self) -> tuple[Floats, Floats]:
        """The log-likelihood of one customer of each row (n,), and its gradient (k, n)."""
        rows = self.by_level[:, self.levels.of_row] + self.by_row
        return rows[0], rows[1:]

    def slopes(self, rows: slice) -> Floats:
        """The gradient of one customer of each of these rows, shape (k, number of rows)."""
        return np.asarray(self.by_level[1:, self.levels.of_row[rows]] + self.by_row[1:, rows])


def blocks(size: int) -> Iterator[slice]:
    """Rows that are looked at together, so that what is worked out on the way stays in the cache.

    >>> [*blocks(65_537)]
    [slice(0, 65536, None), slice(65536, 131072, None)]
    """
    return (slice(first, first + ROWS) for first in range(0, size, ROWS))


def total_of(part: Callable[[Floats], Contributions]) -> LogLikelihood:
    """The total log-likelihood, from what each customer adds to it."""
    return lambda theta: part(theta).total()


def spread_of(part: Callable[[Floats], Contributions]) -> Spread:
    """The same with the spread of the slopes."""
    return lambda theta: part(theta).spread()
