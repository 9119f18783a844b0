"""The final regression: a pooled lift, and as much difference between customers as the data bear.

    lift(x) = sum over bases of weight * base(x) * (level + theta' z(x))

A *base* is what the lift is thought to be proportional to: nothing ("everybody"), the churn
probability (then level + theta'z is a save rate), or the probability of having left. The level is
not penalised, theta is; the penalty is chosen out of fold and may be infinite, which leaves the
pooled lift. Bases weigh exp(-loss / (2 sigma^2)) by their out-of-fold squared loss, so that a small
log mixes them and a large one decides.

A save rate has a prior, that of the EMPC measure (``clv.defaults``), taken as Normal. Always it
speaks for bases whose pooled save rate is plausible (a lift of 0.04 and a rate of 0.3: a base with
a mean near 0.13), by 3 nats or so, which a large log overrules. Only where the log cannot tell the
lift from nothing does it enter the level too, and there is no theta.

All sums over customers are taken once, per fold; the rest is algebra with k x k matrices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from clv.defaults import SAVE_RATE_A, SAVE_RATE_B, SAVE_RATE_MEAN
from clv.schema import Floats
from clv.uplift.effects import FOLDS, Ints

EVERYBODY = "everybody"
SAVE_RATE_SD = (SAVE_RATE_MEAN * (1 - SAVE_RATE_MEAN) / (SAVE_RATE_A + SAVE_RATE_B + 1)) ** 0.5
ASSUMED = (SAVE_RATE_MEAN, SAVE_RATE_SD)  # of the Beta that is taken for a save rate
PENALTIES = (*np.logspace(1, 6, 16).tolist(), np.inf)


@dataclass(frozen=True)
class Part:
    """One base with its weight, coefficients (level first, then theta) and their covariance."""

    base: str
    weight: float
    coefficients: Floats
    covariance: Floats

    def predict(self, base: Floats, Z: Floats) -> tuple[Floats, Floats]:
        """Lift and its variance at each row."""
        level, theta, V = self.coefficients[0], self.coefficients[1:], self.covariance
        variance = V[0, 0] + Z @ (2 * V[0, 1:])
        variance += np.einsum("ij,ij->i", Z @ V[1:, 1:], Z)
        return base * (level + Z @ theta), base**2 * variance


@dataclass(frozen=True)
class Lift:
    """The lift of every customer, as a mixture over bases."""

    parts: tuple[Part, ...]

    @property
    def pooled(self) -> bool:
        """Whether customers differ by their base alone."""
        return all(not part.coefficients[1:].any() for part in self.parts)

    def predict(self, bases: Mapping[str, Floats], Z: Floats) -> tuple[Floats, Floats]:
        """Lift and its standard error at each row; arrays of shape (n,)."""
        mean, square = np.zeros(len(Z)), np.zeros(len(Z))
        for part in self.parts:
            lift, variance = part.predict(bases[part.base], Z)
            mean += part.weight * lift
            square += part.weight * (variance + lift**2)
        return mean, np.sqrt(np.maximum(square - mean**2, 0.0))

    def to_dict(self) -> list[dict[str, Any]]:
        """JSON values."""
        return [
            {
                "base": part.base,
                "weight": part.weight,
                "coefficients": part.coefficients.tolist(),
                "covariance": part.covariance.tolist(),
            }
            for part in self.parts
        ]

    @classmethod
    def from_dict(cls, saved: list[dict[str, Any]]) -> Lift:
        """The lift that ``to_dict`` wrote."""
        return cls(
            tuple(
                Part(
                    part["base"],
                    part["weight"],
                    np.array(part["coefficients"]),
                    np.array(part["covariance"]),
                )
                for part in saved
            )
        )


@dataclass(frozen=True)
class Sums:
    """A'A, A'psi and psi'psi by fold, for the design A = base * (1, z)."""

    AA: Floats
    Ay: Floats
    yy: Floats
    n: Floats

    @classmethod
    def from_rows(cls, psi: Floats, base: Floats, Z: Floats, fold: Ints) -> Sums:
        """Add up fold by fold."""
        rows = [(_design(base[fold == f], Z[fold == f]), psi[fold == f]) for f in range(FOLDS)]
        return cls(
            np.array([A.T @ A for A, _ in rows]),
            np.array([A.T @ y for A, y in rows]),
            np.array([y @ y for _, y in rows]),
            np.array([len(y) for _, y in rows], dtype=np.float64),
        )

    def fit(self, folds: list[int], penalty: float) -> tuple[Floats, Floats]:
        """Coefficients from these folds, and the inverse of the penalised A'A."""
        AA, Ay, n = self.AA[folds].sum(axis=0), self.Ay[folds].sum(axis=0), self.n[folds].sum()
        inverse = np.zeros_like(AA)
        if np.isinf(penalty):
            # An infinite penalty leaves the level alone.
            inverse[0, 0] = 1 / AA[0, 0]
        else:
            ridge = np.full(len(Ay), penalty * AA[0, 0] / n)
            # The level itself is never penalised.
            ridge[0] = 0.0
            inverse = np.linalg.inv(AA + np.diag(ridge))
        return inverse @ Ay, inverse

    def loss(self, theta: Floats, fold: int) -> float:
        """Sum of (psi - A theta)^2 over a fold."""
        return float(self.yy[fold] - 2 * theta @ self.Ay[fold] + theta @ self.AA[fold] @ theta)

    def held_out(self, folds: list[int], penalty: float) -> float:
        """Loss over ``folds``, each predicted from the others."""
        return sum(self.loss(self.fit([g for g in folds if g != f], penalty)[0], f) for f in folds)

    def variance(self, folds: list[int]) -> float:
        """sigma^2 of psi: nearly all of it is noise.

        Where all did alike it is as if one had not: no log makes certain.
        """
        return max(float(self.yy[folds].sum()), 1.0) / float(self.n[folds].sum())


def fit_lift(
    psi: Floats, bases: Mapping[str, Floats], Z: Floats, fold: Ints, *, settled: bool = True
) -> Lift:
    """The lift that pseudo-outcomes ``psi`` show.

    Parameters
    ----------
    psi
        Shape (n,).
    bases
        By name, shape (n,).
    Z, fold
        Features, shape (n, k), and the fold of each row.
    settled
        Whether the average lift differs from nothing; else it is pooled.
    """
    sums = {name: Sums.from_rows(psi, base, Z, fold) for name, base in bases.items()}
    return _from_sums(sums, list(range(FOLDS)), settled)


def out_of_fold(
    psi: Floats, bases: Mapping[str, Floats], Z: Floats, fold: Ints, *, settled: bool = True
) -> Floats:
    """The lift of every row, learned on the other folds: penalty, weights and all."""
    sums = {name: Sums.from_rows(psi, base, Z, fold) for name, base in bases.items()}
    lift = np.empty(len(psi))
    for held in range(FOLDS):
        out = fold == held
        learned = _from_sums(sums, [f for f in range(FOLDS) if f != held], settled)
        lift[out] = learned.predict({k: b[out] for k, b in bases.items()}, Z[out])[0]
    return lift


def _from_sums(sums: Mapping[str, Sums], folds: list[int], settled: bool) -> Lift:
    variance = next(iter(sums.values())).variance(folds)
    risky = {name: fold_sums for name, fold_sums in sums.items() if name != EVERYBODY}
    if settled:
        fits = {name: _penalised(fold_sums, folds, variance) for name, fold_sums in sums.items()}
        fits |= {name: _likelier(fits[name], sums[name], folds, variance) for name in risky}
    elif risky:
        fits = {name: _assumed(fold_sums, folds, variance) for name, fold_sums in risky.items()}
    else:
        fits = {name: _level(fold_sums, folds, variance) for name, fold_sums in sums.items()}
    # Weights by evidence; less the largest, as exp() of a log evidence overflows.
    most = max(evidence for evidence, _, _ in fits.values())
    odds = {name: float(np.exp(evidence - most)) for name, (evidence, _, _) in fits.items()}
    total = sum(odds.values())
    return Lift(tuple(Part(k, odds[k] / total, *fits[k][1:]) for k in fits))


def _penalised(sums: Sums, folds: list[int], variance: float) -> tuple[float, Floats, Floats]:
    """Log evidence, coefficients and covariance at the penalty that predicts best."""
    losses = {penalty: sums.held_out(folds, penalty) for penalty in PENALTIES}
    best = min(losses, key=losses.__getitem__)
    coefficients, inverse = sums.fit(folds, best)
    return -losses[best] / (2 * variance), coefficients, variance * inverse


def _likelier(
    fit: tuple[float, Floats, Floats], sums: Sums, folds: list[int], variance: float
) -> tuple[float, Floats, Floats]:
    """The same with the evidence of the pooled save rate's prior, which a small log still needs."""
    _, level, v = _level(sums, folds, variance)
    return fit[0] - _surprise(level[0], v[0, 0]), *fit[1:]


def _surprise(level: float, v: float) -> float:
    """How far a save rate, measured with variance v, lies from the assumed one: log density."""
    mean, sd = ASSUMED
    return float((level - mean) ** 2 / (v + sd**2)) / 2


def _level(sums: Sums, folds: list[int], variance: float) -> tuple[float, Floats, Floats]:
    """The same with a level alone."""
    coefficients, inverse = sums.fit(folds, np.inf)
    return 0.0, coefficients, variance * inverse


def _assumed(sums: Sums, folds: list[int], variance: float) -> tuple[float, Floats, Floats]:
    """The same with a level alone whose prior is the assumed save rate; evidence by Bayes."""
    _, coefficients, covariance = _level(sums, folds, variance)
    (mean, sd), level, v = ASSUMED, float(coefficients[0]), float(covariance[0, 0])
    evidence = level**2 / (2 * v) - np.log((v + sd**2) / v) / 2 - _surprise(level, v)
    coefficients[0] = (level / v + mean / sd**2) / (1 / v + 1 / sd**2)
    covariance[0, 0] = 1 / (1 / v + 1 / sd**2)
    return float(evidence), coefficients, covariance


def _design(base: Floats, Z: Floats) -> Floats:
    return base[:, None] * np.column_stack([np.ones(len(Z)), Z])
