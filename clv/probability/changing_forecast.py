"""What customers who are alive will do while covariates change: integrals over what is to come."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import special as sc

from clv.probability.changing_covariates import Leaving, Paths, gained
from clv.probability.runs import Indices, summed
from clv.probability.special import log_rising
from clv.schema import Floats

Verb = Callable[[Paths], Floats]  # of n customers who are alive: shape (n,), or with a last axis


def purchases(delta: ArrayLike) -> Verb:
    """The expected purchases, each worth exp(-delta y) at time y; several rates add an axis.

    E[lambda] a(y) times the chance to be there still at y.
    """

    def verb(paths: Paths) -> Floats:
        n, (of, y, rate, _) = len(paths.R), _rates(paths)
        per = [summed(of, rate * np.exp(-d * y), n) for d in np.atleast_1d(delta)]
        mean = (paths.R / paths.alpha)[:, None] * np.column_stack(per)
        return np.asarray(mean if np.ndim(delta) else mean[:, 0])

    return verb


def pairs(delta: float) -> Verb:
    """The discounted ordered pairs of purchases: who buys at y has bought at all times before."""

    def verb(paths: Paths) -> Floats:
        of, y, rate, (run, u) = _rates(paths)
        begin = gained(paths.length, paths.of)
        within = -np.expm1(-delta * paths.length) / delta if delta else paths.length
        earlier = gained(paths.a * np.exp(-delta * begin) * within, paths.of)
        since = -np.expm1(-delta * u) / delta if delta else u
        before = earlier[run] + paths.a[run] * np.exp(-delta * begin[run]) * since
        both = summed(of, rate * np.exp(-delta * y) * before, len(paths.R))
        return np.asarray(2 * paths.R * (paths.R + 1) / paths.alpha**2 * both)

    return verb


def first_purchase(paths: Paths) -> Floats:
    """P(at least one purchase): the first one comes while the customer is there."""
    nodes = paths.nodes()
    run, of = nodes.run, paths.of[nodes.run]
    A, C = paths.A[run] + paths.a[run] * nodes.u, paths.C[run] + paths.c[run] * nodes.u
    R, alpha, beta = paths.R[of], paths.alpha[of], paths.beta[of]
    quiet = np.exp(-(R + 1) * np.log1p(A / alpha) - paths.s * np.log1p(C / beta))
    return summed(of, nodes.dy * paths.a[run] * R / alpha * quiet, len(paths.R))


def counts(k: Floats) -> Verb:
    """P(exactly k purchases), shape (n, len(k)): of those who stay, and of those who leave."""

    def verb(paths: Paths) -> Floats:
        silent = Leaving.from_paths(paths, quiet=False, power=float(np.max(k)))
        of, n = paths.of[silent.nodes.run], len(paths.R)
        alpha_T, _ = paths.to_end()
        at_end, at_node = 1 - paths.alpha / alpha_T, silent.A / (paths.alpha[of] + silent.A)
        columns = []
        for each in k:
            log_ways = log_rising(paths.R, each) - sc.gammaln(each + 1)
            left = silent.leaves * np.exp(log_ways[of] + sc.xlogy(each, at_node))
            stayed = silent.stays * np.exp(log_ways + sc.xlogy(each, at_end))
            columns.append(stayed + summed(of, left, n))
        return np.column_stack(columns)

    return verb


def _rates(paths: Paths) -> tuple[Indices, Floats, Floats, tuple[Indices, Floats]]:
    """Of each node: whose, its time from the moment on, a times the chance to be there, place."""
    nodes = paths.nodes(quiet=False)
    run, of = nodes.run, paths.of[nodes.run]
    C = paths.C[run] + paths.c[run] * nodes.u
    there = np.exp(-paths.s * np.log1p(C / paths.beta[of]))
    y = gained(paths.length, paths.of)[run] + nodes.u
    return of, y, nodes.dy * paths.a[run] * there, (run, nodes.u)
