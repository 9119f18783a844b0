"""Models of groups of customers, such as acquisition channels, partially pooled towards the base.

A group's parameters maximise its own log-likelihood plus that of the other customers, these
weighted to count as m customers in all (a power prior [1]_). A group with many more customers than
m gets its own parameters; one with few gets nearly those of the others, as every direction that
its own history does not settle is settled by theirs.

**How many others count** follows from how much the groups differ. Own parameters raise a group's
log-likelihood above that at the base's parameters; twice that gain, D, would be k (1 - n / N) on
average for k parameters and n of N customers if all groups were alike. If their parameters vary by
kappa times the inverse information of one customer, it is that times (1 + kappa n). So

    kappa = sum(D - k f) / (k sum(n f)),  f = 1 - n / N,   m = 1 / (kappa (1 + h)),

where h, the sum over the other groups of their squared shares, is the part that their own mean
varies; m is at most the number of the others, who can count once at most.

References
----------
.. [1] Ibrahim & Chen (2000), Power prior distributions for regression models, Statistical Science
   15(1). The moments are those of DerSimonian & Laird (1986), with likelihood ratios.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import NDArray
from sklearn.base import clone

from clv.errors import FitError
from clv.probability.covariance import Covariance, covariance
from clv.probability.fitted import FittedModel
from clv.schema import Floats

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
        n / (n + m): how much of what it rests on is the group's own history.
    """

    model: Model
    own_share: float


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
    sizes = {name: _size(model, X, rows) for name, rows in groups.items()}
    everyone = _size(model, X, np.ones(len(next(iter(groups.values()))), dtype=bool))
    kappa = _between(model, X, groups, sizes, everyone)
    return {
        name: _pooled(model, X, rows, sizes, name, kappa, everyone) for name, rows in groups.items()
    }


def _pooled(
    model: Model,
    X: IntoFrame,
    rows: NDArray[np.bool_],
    sizes: Mapping[str, float],
    name: str,
    kappa: float,
    everyone: float,
) -> Pooled[Model]:
    members, others = sizes[name], everyone - sizes[name]
    if others == 0:
        return Pooled(_with_laplace(model, X, np.ones(len(rows))), 1.0)
    shares = [n / others for other, n in sizes.items() if other != name]
    # The others vary, too: their mean adds the variance kappa sum(share^2) to the group's.
    m = min(1 / (kappa * (1 + float(np.sum(np.square(shares))))), others) if kappa > 0 else others
    if members == 0:
        return Pooled(_of_a_new_group(model, X, len(rows), 1 / m), 0.0)
    weight = np.where(rows, 1.0, m / others)
    fitted = _like(model).fit(X, sample_weight=weight)
    return Pooled(_with_laplace(fitted, X, weight), members / (members + m))


def _between(
    model: Model, X: IntoFrame, groups: Masks, sizes: Mapping[str, float], everyone: float
) -> float:
    """kappa: how much the groups' parameters vary, against the information of one customer."""
    k, excess, scale = len(model.names), 0.0, 0.0
    for name, rows in groups.items():
        n = sizes[name]
        if 0 < n < everyone:
            free = 1 - n / everyone
            # With equal parameters D is k (1 - n/N) on average; the rest is how much they vary.
            excess += _likelihood_ratio(model, X, rows) - k * free
            scale += k * n * free
    return max(excess / scale, 0.0) if scale > 0 else 0.0


def _likelihood_ratio(model: Model, X: IntoFrame, rows: NDArray[np.bool_]) -> float:
    """D: twice the gain in log-likelihood of a group by parameters of its own."""
    weight = rows.astype(np.float64)
    try:
        best: float = _like(model).fit(X, sample_weight=weight).log_likelihood_
    except FitError:  # nobody bought twice: without any repeat purchases that is certain, log 1
        best = 0.0
    return max(2 * (best - _log_likelihood(model, X, weight)), 0.0)


def _like(model: Model) -> Model:
    """An unfitted model of the same kind, in the same time unit."""
    other: Model = clone(model)
    if hasattr(model, "unit_"):
        other.set_params(unit=model.unit_)
    return other


def _log_likelihood(model: Model, X: IntoFrame, weight: Floats) -> float:
    observed = model._observed(X, weight)
    return float(model._contributions(model._parameters(), observed).total()[0])


def _size(model: Model, X: IntoFrame, rows: NDArray[np.bool_]) -> float:
    """How many customers the likelihood sees; of those for spend, repeat buyers alone."""
    if not rows.any():
        return 0.0
    try:
        observed: Any = model._observed(X, rows.astype(np.float64))
    except FitError:  # nobody bought twice
        return 0.0
    return float((observed.count if hasattr(observed, "count") else observed.weight).sum())


def _with_laplace(model: Model, X: IntoFrame, weight: Floats) -> Model:
    """The same model with the inverse Hessian of what it maximises."""
    sure = copy.copy(model)
    sure.covariance_ = covariance(model, X, weight, kind="hessian")
    return sure


def _of_a_new_group(model: Model, X: IntoFrame, rows: int, variance: float) -> Model:
    """The base's model, as sure of a new group as the groups are alike.

    ``variance`` is that of a group, against the information of one customer; that of the base is
    its inverse Hessian, so both add up to a multiple of it.
    """
    base = _with_laplace(model, X, np.ones(rows))
    covariance: Covariance = base.covariance_  # type: ignore[assignment] # set one line above
    customers = _size(model, X, np.ones(rows, dtype=bool))
    base.covariance_ = replace(covariance, matrix=covariance.matrix * (1 + customers * variance))
    return base
