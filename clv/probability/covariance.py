"""How sure a fit is of its parameters: covariance, draws from it, and the bootstrap beside it.

All of it lives on the coordinates of a model: the logs of its parameters, or of what a parameter
has above its lower limit, as in log(q - 1) of the Gamma-Gamma. There a likelihood is nearest to a
normal one, no draw leaves the parameter space, and the time unit and the currency drop out.

The *sandwich* H^-1 J H^-1 [1]_ holds where the model is only close to the truth; the inverse
Hessian H^-1 alone takes it to be the truth, and is too sure of itself where it is not.

References
----------
.. [1] White (1982), Maximum likelihood estimation of misspecified models, Econometrica 50(1).
.. [2] Efron & Tibshirani (1993), An introduction to the bootstrap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, Self

import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from clv.errors import FitError, InputError
from clv.findings import Finding, finding, saved
from clv.format import number
from clv.probability.optimize import Contributions, blocks
from clv.schema import Floats

Kind = Literal["sandwich", "hessian"]

FLAT = 3.0  # standard error of a log from which on a direction counts as not settled at all
ROUGH = 1.0  # and from which on a normal distribution of the log is a rough picture
FEW = 10  # distinct rows per parameter below which their scores do not tell a spread
REACH = np.log(1e6)  # how far a draw may go from the fit, either way


@dataclass(frozen=True, eq=False)
class Covariance:
    """The covariance of a model's coordinates.

    Attributes
    ----------
    coordinates
        Their names, such as "log r" or "log(q - 1)".
    matrix
        Shape (k, k), positive semidefinite. A direction that the data do not settle has variance
        0 in it, and ``notes`` says which: there the parameters are held, not known.
    kind
        "sandwich" or "hessian".
    notes
        What is held, and where a normal distribution is a rough picture.
    """

    coordinates: tuple[str, ...]
    matrix: Floats
    kind: Kind
    notes: tuple[Finding, ...] = ()

    @property
    def standard_errors(self) -> dict[str, float]:
        """The standard error of each coordinate: 0.06 of a log is about 6% of the parameter.

        >>> Covariance(("log r",), np.array([[0.04]]), "sandwich").standard_errors
        {'log r': 0.2}
        """
        return dict(zip(self.coordinates, map(float, np.sqrt(np.diag(self.matrix))), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "of": list(self.coordinates),
            "matrix": self.matrix.tolist(),
            "kind": self.kind,
            "notes": saved(self.notes),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Covariance:
        """What ``to_dict`` wrote."""
        matrix = np.asarray(saved["matrix"], dtype=np.float64)
        notes = tuple(map(Finding.from_dict, saved["notes"]))
        return cls(tuple(saved["of"]), matrix, saved["kind"], notes)

    def __str__(self) -> str:
        errors = "  ".join(
            f"{name} {number(value, 4)}" for name, value in self.standard_errors.items()
        )
        lines = [f"standard errors ({self.kind}): {errors}"]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


class Held(NamedTuple):
    """A constraint under which a model was fitted.

    ``directions``, shape (k, free): how the coordinates can move under it; ``variance``, shape
    (k, k): the sampling error of what they are held to; ``note``: the same in words.
    """

    directions: Floats
    variance: Floats
    note: Finding | None


class Parametric(Protocol):
    """What is asked of a model to say how sure its parameters are; ``FittedModel`` is one."""

    limits: ClassVar[Mapping[str, float]]
    params_: dict[str, float]
    covariance_: Covariance | None

    def _contributions_at(self, values: Floats, observed: Any) -> Contributions: ...

    def _at(self, values: Floats) -> Self: ...

    def _observed(self, X: IntoFrame, sample_weight: ArrayLike | None) -> Any: ...

    def _held(self, observed: Any) -> Held | None: ...

    def _refit(self, observed: Any, weight: Floats) -> Floats: ...


def _free(k: int) -> Held:
    """No constraint."""
    return Held(np.eye(k), np.zeros((k, k)), None)


def covariance(
    model: Parametric,
    X: IntoFrame,
    sample_weight: ArrayLike | None = None,
    kind: Kind = "sandwich",
) -> Covariance:
    """The covariance of a fitted model's coordinates, from the table that it was fitted on.

    H is taken by differences of the analytic gradient, J = sum of count * score score' over the
    cells; both cost 2k + 1 evaluations of the likelihood and hold no customers. Where the
    likelihood is flat the inverse is that of the directions that are settled, and a note says so.

    Examples
    --------
    >>> from clv.data.cdnow import cdnow_summary
    >>> from clv.probability.bg_nbd import BetaGeoNBD
    >>> X = cdnow_summary()
    >>> print(covariance(BetaGeoNBD().fit(X), X))
    standard errors (sandwich): log r 0.0593  log alpha 0.1054  log a 0.2283  log b 0.2818
    """
    if kind not in ("sandwich", "hessian"):
        raise InputError(f"kind={kind!r}: use 'sandwich' or 'hessian'.")
    observed, log_theta = model._observed(X, sample_weight), coordinates(model)
    names, held = coordinate_names(model), model._held(observed) or _free(len(log_theta))
    free = held.directions
    with threadpool_limits(1, "blas"):
        # of many millions there is no room for the shares of all rows beside those of each step
        weight = contributions_at(model, observed, log_theta).weight
        inverse, flat = _inverse(free.T @ information(model, observed, log_theta, weight) @ free)
        notes = [held.note] if held.note else []
        notes += _flat_notes(flat @ free.T, names)
        scores = _Scores(contributions_at(model, observed, log_theta), log_theta, free)
        score = scores.total()
        # A Newton step would move the parameters by this many standard errors, squared.
        if float(score @ inverse @ score) > 0.25:
            notes.append(finding("interval.not_the_maximum"))
        if kind == "sandwich" and len(weight) < FEW * len(log_theta):
            kind = "hessian"
            notes.append(finding("interval.no_sandwich", customers=len(weight)))
        if kind == "sandwich":
            inverse = scores.between(inverse)
    matrix = free @ inverse @ free.T + held.variance
    notes += _rough_notes(matrix, names)
    return Covariance(names, (matrix + matrix.T) / 2, kind, tuple(notes))


def draws(model: Parametric, n: int, seed: int = 0) -> Floats:
    """Parameters drawn from what is known of them: shape (n, k), in the order of ``names``.

    Normal on the model's coordinates, with the covariance that the model carries; all draws are
    in the parameter space.

    Raises
    ------
    FitError
        The model carries no covariance.

    Examples
    --------
    >>> from clv.data.cdnow import cdnow_summary
    >>> from clv.probability.bg_nbd import BetaGeoNBD
    >>> X = cdnow_summary()
    >>> sure = BetaGeoNBD().fit(X).with_covariance(X)
    >>> np.log(draws(sure, 10_000)).std(axis=0).round(2)
    array([0.06, 0.11, 0.23, 0.28])
    """
    covariance = model.covariance_
    if covariance is None:
        raise FitError(
            f"this {type(model).__name__} carries no covariance, so nothing can be drawn.",
            hint="model = model.with_covariance(X), X the table that it was fitted on.",
        )
    # By eigenvectors: a constraint or a flat direction makes it singular, where Cholesky fails.
    variance, directions = np.linalg.eigh(covariance.matrix)
    root = directions * np.sqrt(np.maximum(variance, 0.0))
    normal = np.random.default_rng(seed).standard_normal((n, len(root)))
    moved = coordinates(model) + np.clip(normal @ root.T, -REACH, REACH)
    return np.asarray(_limits(model) + np.exp(moved))


def at_coordinates(model: Any, where: Floats, sure: Covariance | None = None) -> Any:
    """A model of the same kind and settings at other coordinates, with their covariance."""
    other = with_parameters(model, _limits(model) + np.exp(where))
    other.covariance_ = sure
    return other


def with_parameters(model: Parametric, theta: ArrayLike) -> Any:
    """A model of the same kind and settings at other parameters, such as one of ``draws``."""
    return model._at(np.asarray(theta, dtype=np.float64))


def bootstrap(
    model: Parametric,
    X: IntoFrame,
    n: int = 200,
    seed: int = 0,
    sample_weight: ArrayLike | None = None,
) -> Floats:
    """Parameters refitted to n resamples of the customers [2]_: shape (n, k).

    A resample of customers is a multinomial count of the distinct cells; each refit starts from
    the optimum. It assumes least and costs n fits, and is the check on ``covariance``.

    Examples
    --------
    >>> from clv.data.cdnow import cdnow_summary
    >>> from clv.probability.bg_nbd import BetaGeoNBD
    >>> X = cdnow_summary()
    >>> bootstrap(BetaGeoNBD().fit(X), X, n=5).shape
    (5, 4)
    """
    observed, rng = model._observed(X, sample_weight), np.random.default_rng(seed)
    log_theta = coordinates(model)
    with threadpool_limits(1, "blas"):
        weight = model._contributions_at(_values(model), observed).weight
        inverse, flat = _inverse(information(model, observed, log_theta, weight))
        customers, share = round(float(weight.sum())), weight / weight.sum()
        near = len(flat) == 0 and model._held(observed) is None

        def refit(counts: Floats) -> Floats:
            refitted = _climb(model, observed, counts, log_theta, inverse) if near else None
            return model._refit(observed, counts) if refitted is None else refitted

        resamples = (rng.multinomial(customers, share).astype(np.float64) for _ in range(n))
        return np.array([refit(counts) for counts in resamples])


def coordinates(model: Parametric) -> Floats:
    """Where a model stands: the logs of its parameters above their limits, shape (k,)."""
    return np.log(_values(model) - _limits(model))


def coordinate_names(model: Parametric) -> tuple[str, ...]:
    """What the coordinates are called, such as "log r" or "log(q - 1)"."""
    limits = model.limits
    return tuple(f"log({n} - {limits[n]:g})" if n in limits else f"log {n}" for n in model.params_)


def _values(model: Parametric) -> Floats:
    return np.array(list(model.params_.values()))


def _limits(model: Parametric) -> Floats:
    return np.array([model.limits.get(name, 0.0) for name in model.params_])


@dataclass(frozen=True)
class _Scores:
    """The gradients of all rows by the coordinates, in directions, some rows after the others."""

    parts: Contributions
    log_theta: Floats
    directions: Floats

    def __iter__(self) -> Iterator[tuple[Floats, Floats]]:
        """The gradient of one customer of each of some rows (k, n), and their weights (n,)."""
        above = np.exp(self.log_theta)[:, None]
        for rows in blocks(len(self.parts.weight)):
            yield self.directions.T @ (self.parts.slopes(rows) * above), self.parts.weight[rows]

    def total(self) -> Floats:
        """The gradient of all customers, shape (k,)."""
        return np.asarray(sum(scores @ weight for scores, weight in self))

    def between(self, inverse: Floats) -> Floats:
        """H^-1 J H^-1 as roots times their transposes: no rounding makes a variance negative."""
        return np.asarray(sum(_squared(inverse @ s * np.sqrt(w)) for s, w in self))


def _squared(root: Floats) -> Floats:
    return np.asarray(root @ root.T)


def contributions_at(model: Parametric, observed: Any, where: Floats) -> Contributions:
    """What each row adds to the log-likelihood at these coordinates."""
    return model._contributions_at(_limits(model) + np.exp(where), observed)


def slope(model: Parametric, observed: Any, log_theta: Floats, weight: Floats) -> Floats:
    """The gradient of the log-likelihood of the rows, under these weights, by the coordinates."""
    above = np.exp(log_theta)
    parts = contributions_at(model, observed, log_theta)
    of_levels = np.bincount(parts.levels.of_row, weight, minlength=parts.by_level.shape[1])
    return np.asarray((parts.by_level[1:] @ of_levels + parts.by_row[1:] @ weight) * above)


def information(model: Parametric, observed: Any, log_theta: Floats, weight: Floats) -> Floats:
    """Minus the Hessian of the log-likelihood by the coordinates: differences of the gradient."""
    h = 1e-4

    def slope_at(where: Floats) -> Floats:
        return slope(model, observed, where, weight)

    rows = np.array(
        [
            (slope_at(log_theta - h * e) - slope_at(log_theta + h * e)) / (2 * h)
            for e in np.eye(len(log_theta))
        ]
    )
    return np.asarray((rows + rows.T) / 2)


def _climb(
    model: Parametric, observed: Any, weight: Floats, start: Floats, inverse: Floats
) -> Floats | None:
    """The maximum under other weights by steps on the curvature of the given ones, if it is near.

    The curvature is taken anew where a few steps do not settle it. None if the maximum is not
    reached, or lies so far off that the fit has to look for it.
    """
    where = start
    for steps in range(1, 26):
        score = slope(model, observed, where, weight)
        step = inverse @ score
        if 0 <= float(step @ score) < 1e-10:  # in standard errors, squared
            return np.asarray(_limits(model) + np.exp(where))
        where = where + step
        if not np.max(np.abs(where - start)) < 2.0:
            return None
        if steps % 6 == 0:
            inverse, flat = _inverse(information(model, observed, where, weight))
            if len(flat):
                return None
    return None


def _inverse(information: Floats) -> tuple[Floats, Floats]:
    """The inverse on the directions that are settled, and the flat directions, shape (m, k)."""
    if not np.isfinite(information).all():
        raise FitError(
            "the likelihood is not finite around the parameters, so their covariance is unknown.",
            hint="look at report_: the fit ended where the model says next to nothing.",
        )
    curvature, directions = np.linalg.eigh(information)
    # Flat is a standard error beyond FLAT, or a curvature that is rounding beside the steepest.
    settled: NDArray[np.bool_] = curvature > max(FLAT**-2, 1e-8 * float(curvature[-1]))
    basis = directions[:, settled]
    return (basis / curvature[settled]) @ basis.T, directions[:, ~settled].T


def _flat_notes(flat: Floats, names: Sequence[str]) -> list[Finding]:
    """What the flat directions mean: coordinates that are not settled at all, and combinations."""
    if not len(flat):
        return []
    alone = np.square(flat).sum(axis=0) > 0.99
    _, size, along = np.linalg.svd(np.where(alone, 0.0, flat), full_matrices=False)
    terms = [name for name, flag in zip(names, alone, strict=True) if flag]
    terms += [_combination(direction, names) for direction in along[size > 0.5]]
    return [finding("interval.flat", directions="; ".join(terms))]


def _combination(direction: Floats, names: Sequence[str]) -> str:
    """Such as "+0.71 log r +0.71 log alpha": the first sign is free, so it is plus."""
    shares = zip(direction, names, strict=True)
    large = [(share, name) for share, name in shares if abs(share) > 0.2]
    return " ".join(f"{np.sign(large[0][0]) * share:+.2f} {name}" for share, name in large)


def _rough_notes(matrix: Floats, names: Sequence[str]) -> list[Finding]:
    """Which coordinates are known so poorly that a normal distribution is a rough picture."""
    errors = zip(names, np.sqrt(np.diag(matrix)), strict=True)
    wide = [f"{name} {number(error, 1)}" for name, error in errors if error > ROUGH]
    return [finding("interval.rough", wide=", ".join(wide))] if wide else []
