"""Models of groups of customers, such as acquisition channels, partially pooled towards the base.

A group's coordinates phi (``clv.probability.covariance``) maximise its own log-likelihood, less
(phi - phi0)' P (phi - phi0) / 2 around the base's phi0. A group with much history gets its own
parameters; one with little gets the base's, in every direction that its history does not settle.

**How far groups lie apart is learned direction by direction**, as how often customers buy differs
between groups in other measure than how long they stay, and is far better known. In W (phi - phi0),
where W'W is what one customer tells about the base, a group of n customers differs by
z = W'^-1 score / n, with variance 1 / n by chance alone. What is beyond it is the variance kappa of
a direction, and P = W' diag(1 / kappa) W. With few groups kappa itself is hardly known; it is the
mean of what it may be (a flat prior on its root [1]_), and so never 0: small groups stay uncertain.

References
----------
.. [1] Gelman (2006), Prior distributions for variance parameters in hierarchical models, Bayesian
   Analysis 1(3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import NDArray
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from clv.errors import FitError
from clv.probability.boundary import LogLikelihood
from clv.probability.covariance import (
    Covariance,
    at_coordinates,
    contributions_at,
    coordinate_names,
    coordinates,
    covariance,
    information,
    slope,
)
from clv.probability.fitted import FittedModel
from clv.schema import Floats

FARTHEST = 1.5  # standard deviation of a group's log beyond which none is looked for
FLATTEST = 1e-6  # of the best known direction's information is that of the least known
REACH = 6.0  # logs between a group and the base
Model = TypeVar("Model", bound=FittedModel)
Masks = Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Pooled(Generic[Model]):
    """The model of one group.

    Parameters
    ----------
    model
        It carries a covariance: inverse Hessian of what was maximised (Laplace).
    own_share
        n kappa / (1 + n kappa), its mean over directions: how much is the group's own history.
    """

    model: Model
    own_share: float


class _Group(NamedTuple):
    """What was observed of a group, its customers, and how it differs from the base, z."""

    observed: Any
    n: float
    z: Floats


def pooled_models(model: Model, X: IntoFrame, groups: Masks) -> dict[str, Pooled[Model]]:
    """The model of every group, pooled towards all customers of a summary.

    Parameters
    ----------
    model
        Fitted on all customers.
    X
        The summary of all customers, those in no group included.
    groups
        Which rows belong to which group, each shape (n,) of bool. A group without rows gets the
        base's parameters, spread as the groups' are.
    """
    everybody = np.ones(len(next(iter(groups.values()))))
    with threadpool_limits(1, "blas"):
        base, phi0 = model._observed(X, everybody), coordinates(model)
        weight = _weight(model, base)
        curvature, axes = np.linalg.eigh(information(model, base, phi0, weight) / weight.sum())
        curvature = np.maximum(curvature, FLATTEST * curvature[-1])
        W = np.sqrt(curvature)[:, None] * axes.T
        by_name = {name: _group(model, X, rows, phi0, W) for name, rows in groups.items()}
        sizes = np.array([group.n for group in by_name.values()])
        alone = sizes == weight.sum()
        if alone.any():
            sure = at_coordinates(model, phi0, covariance(model, X, everybody, kind="hessian"))
            return {name: Pooled(sure, float(group.n > 0)) for name, group in by_name.items()}
        z = np.array([group.z for group in by_name.values()])
        chance = (1 / np.maximum(sizes, 1e-9)) * (1 - sizes / weight.sum())
        apart = sizes > 0
        kappa = np.array(
            [
                between(z[apart, j], chance[apart], FARTHEST * np.sqrt(curvature[j]))
                for j in range(len(curvature))
            ]
        )
        # The base varies with its groups, by the squares of their shares.
        prior = W.T @ (W / (kappa * (1 + np.sum((sizes / weight.sum()) ** 2)))[:, None])
        return {name: _pooled(model, group, phi0, prior, kappa) for name, group in by_name.items()}


def between(difference: Floats, chance: Floats, most: float) -> float:
    """The variance between groups that differ by so much, of which ``chance`` is variance anyway.

    Its mean, where its root is as likely to be anything up to ``most``.

    >>> round(between(np.array([-0.3, 0.1, 0.2, 0.0]), np.full(4, 1e-4), 1.0), 2)
    0.1
    """
    root = most * np.linspace(1e-3, 1, 500)
    variance = root[:, None] ** 2 + chance
    log_chance = -(np.log(variance) + difference**2 / variance).sum(axis=1) / 2
    likely = np.exp(log_chance - log_chance.max())
    return float(likely @ root**2 / likely.sum())


def _group(model: Model, X: IntoFrame, rows: NDArray[np.bool_], phi0: Floats, W: Floats) -> _Group:
    nobody = _Group(None, 0.0, np.zeros(len(phi0)))
    if not rows.any():
        return nobody
    try:
        observed = model._observed(X, rows.astype(np.float64))
    except FitError:  # nobody bought twice
        return nobody
    weight = _weight(model, observed)
    n = float(weight.sum())
    score = slope(model, observed, phi0, weight)
    return _Group(observed, n, np.asarray(np.linalg.solve(W.T, score) / n))


def _pooled(
    model: Model, group: _Group, phi0: Floats, prior: Floats, kappa: Floats
) -> Pooled[Model]:
    phi, curvature = phi0, prior
    if group.n > 0:
        weight = _weight(model, group.observed)

        def penalised(phi: Floats) -> tuple[float, Floats]:
            value = contributions_at(model, group.observed, phi).total()[0]
            pull = prior @ (phi - phi0)
            lost = float((phi - phi0) @ pull) / 2 - value
            return lost, pull - slope(model, group.observed, phi, weight)

        phi = _lowest(penalised, phi0, prior + information(model, group.observed, phi0, weight))
        curvature = prior + information(model, group.observed, phi, weight)
    bends, axes = np.linalg.eigh(curvature)
    # No direction can be known less than before its group was seen.
    spread = axes / np.maximum(bends, np.linalg.eigvalsh(prior)[0])
    sure = Covariance(coordinate_names(model), spread @ axes.T, "hessian")
    own_share = float(np.mean(group.n * kappa / (1 + group.n * kappa)))
    return Pooled(at_coordinates(model, phi, sure), own_share)


def _lowest(cost: LogLikelihood, start: Floats, curvature: Floats) -> Floats:
    """Where a cost is least, looked for in steps of one standard error each way.

    Parameters of one model are known in so different measure that a search in logs ends where it
    began: it takes the steepest direction for all there is.
    """
    bends, axes = np.linalg.eigh(curvature)
    steps = axes / np.sqrt(np.maximum(bends, 1e-6 * bends[-1]))
    level = cost(start)[0]

    def stepped(u: Floats) -> tuple[float, Floats]:
        value, slope_there = cost(start + np.clip(steps @ u, -REACH, REACH))
        return value - level, steps.T @ slope_there

    best = minimize(
        stepped,
        np.zeros(len(start)),
        jac=True,
        method="L-BFGS-B",
        options={"ftol": 1e-12, "gtol": 1e-6, "maxiter": 500},
    )
    return np.asarray(start + np.clip(steps @ best.x, -REACH, REACH))


def _weight(model: Model, observed: Any) -> Floats:
    return contributions_at(model, observed, coordinates(model)).weight
