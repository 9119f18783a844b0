"""Pareto/NBD whose customers meet other times: season, prices, contacts move rate and leaving [1]_.

With a(t) = exp(g_t'z(t)) and c(t) = exp(g_l'z(t)) a customer buys at rate lambda a(t) and leaves
with hazard mu c(t). With A and C the integrals of a and c, the likelihood of x repeat purchases at
t_1 .. t_x, observed for T, is

    prod a(t_j) Gamma(r+x)/Gamma(r) alpha^r beta^s { (alpha+A(T))^-(r+x) (beta+C(T))^-s
        + s int_{t_x}^{T} c(y) (alpha+A(y))^-(r+x) (beta+C(y))^-(s+1) dy }.

Within a run z does not change, so A and C are straight lines there and the integrand is smooth in
the log of time since alpha or beta: Gauss-Legendre nodes in that log, few in a short run, as many
as it takes in a long one. **Given alive, a customer is a new one** with (r+x, alpha+A(T), s,
beta+C(T)) who meets what comes after T: what is asked of the future is the same integral over it.

References
----------
.. [1] Bachmann, Meierer & Naef (2021), The role of time-varying contextual factors in latent
   attrition models for customer base analysis, Marketing Science 40(4).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from clv.history import Cells
from clv.probability.runs import Indices, Runs, blocks, summed
from clv.probability.special import digamma_rise, legendre, log_rising
from clv.schema import Floats

RUNS = 16_384  # taken through the quadrature at a time
NEGLIGIBLE = 40.0  # e^-40 is below the last digit
# Nodes of a run by how far the integrand falls within it (a log) and how many scales it spans.
FALLS, SPANS = (0.1, 0.5, 4.0, 15.0, 45.0, 150.0), (0.1, 0.4, 2.0, 5.0, 10.0, 20.0)
NODES = (3, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True, eq=False)
class Paths:
    """What n customers meet from some moment on, run by run, and how they are when it comes.

    Attributes
    ----------
    of
        Whose run, shape (m,).
    a, c, length
        Rates and length of each run, shape (m,).
    A, C
        Gained from the moment to the begin of the run, shape (m,).
    R, alpha, s, beta
        Of the customers then, shape (n,).
    """

    of: Indices
    a: Floats
    c: Floats
    length: Floats
    A: Floats
    C: Floats
    R: Floats
    alpha: Floats
    s: float
    beta: Floats

    @classmethod
    def of_runs(
        cls, runs: Runs, rates: Floats, R: Floats, alpha: Floats, s: float, beta: Floats
    ) -> Self:
        """Of runs and the rates (a, c) of each z, shape (2, rows of z)."""
        a, c = rates[:, runs.code]
        A, C = (gained(rate * runs.length, runs.of) for rate in (a, c))
        return cls(runs.of, a, c, runs.length, A, C, R, alpha, s, beta)

    def to_end(self) -> tuple[Floats, Floats]:
        """Of the customers after all runs: alpha and beta, shape (n,)."""
        n = len(self.R)
        A, C = (summed(self.of, rate * self.length, n) for rate in (self.a, self.c))
        return self.alpha + A, self.beta + C

    def nodes(self, quiet: bool = True, power: float = 0.0) -> Nodes:
        """Where to evaluate an integral over the runs.

        ``quiet``: of silence, which dies out; ``power``: times A to so high a power.
        """
        R, s = self.R[self.of], self.s
        by_a = (self.alpha[self.of] + self.A) / self.a
        by_c = (self.beta[self.of] + self.C) / self.c
        end = self.length
        if quiet:  # what is left of a long run does not count
            far = by_a * np.expm1(NEGLIGIBLE / np.maximum(R, 0.06))
            end = np.minimum(end, np.minimum(far, by_c * np.expm1(NEGLIGIBLE / max(s, 0.06))))
        scale = np.minimum(by_a, by_c)
        span = np.log1p(end / scale)
        fall = R * np.log1p(end / by_a) + s * np.log1p(end / by_c) + power
        group = np.maximum(np.searchsorted(FALLS, fall), np.searchsorted(SPANS, span))
        parts = []
        for i, number in enumerate(NODES):
            rows = np.flatnonzero(group == i)
            x, weight = legendre(number)
            grown = np.expm1(span[rows, None] * x)
            u = scale[rows, None] * grown
            dy = scale[rows, None] * (1 + grown) * span[rows, None] * weight
            parts.append((np.repeat(rows, number), u.ravel(), dy.ravel()))
        return Nodes(*map(np.concatenate, zip(*parts, strict=True)))


@dataclass(frozen=True, eq=False)
class Nodes:
    """Points of time: in which run, how long after its begin, and what they weigh, shape (m,)."""

    run: Indices
    u: Floats
    dy: Floats


@dataclass(frozen=True, eq=False)
class Leaving:
    """The chances of a silent customer to be there still at the end, and to leave before.

    ``stays`` (n,) and the ``leaves`` of each node (m,), which together are the chance of silence;
    ``A`` and ``C`` of the nodes, from the moment on.
    """

    nodes: Nodes
    A: Floats
    C: Floats
    stays: Floats
    leaves: Floats

    @classmethod
    def from_paths(cls, paths: Paths, quiet: bool = True, power: float = 0.0) -> Self:
        """The chances at a moment; ``quiet`` and ``power`` as in ``Paths.nodes``."""
        nodes = paths.nodes(quiet, power)
        run, of = nodes.run, paths.of[nodes.run]
        A = paths.A[run] + paths.a[run] * nodes.u
        C = paths.C[run] + paths.c[run] * nodes.u
        R, alpha, beta = paths.R[of], paths.alpha[of], paths.beta[of]
        log_leaves = -R * np.log1p(A / alpha) - (paths.s + 1) * np.log1p(C / beta)
        leaves = paths.s / beta * nodes.dy * paths.c[run] * np.exp(log_leaves)
        alpha_T, beta_T = paths.to_end()
        log_stays = -paths.R * np.log(alpha_T / paths.alpha) - paths.s * np.log(beta_T / paths.beta)
        return cls(nodes, A, C, np.exp(log_stays), leaves)


def _cells(cells: Cells, rows: slice) -> Cells:
    return Cells(cells.x[rows], cells.t_x[rows], cells.T[rows], cells.count[rows])


def gained(gain: Floats, of: Indices) -> Floats:
    """The sum of what stands before each row of the same customer."""
    before = np.cumsum(gain) - gain
    first = np.flatnonzero(np.diff(of, prepend=-1))
    return np.maximum(before - np.repeat(before[first], np.diff(first, append=len(of))), 0.0)


def _still(gain: Floats, of: Indices, n: int) -> Floats:
    """The sum of what stands after each row of the same customer."""
    return np.asarray(summed(of, gain, n)[of] - gained(gain, of) - gain)


@dataclass(frozen=True, eq=False)
class ChangingCells:
    """What a fit sees of n customers: their histories, and what they met.

    Attributes
    ----------
    together
        Histories, and how many customers each stands for.
    bought
        The sum of z at the repeat purchases, shape (n, k).
    before, after
        Runs up to the last purchase (``summed``), and from it to the end of observation.
    z
        Shape (rows, k).
    """

    together: Cells
    bought: Floats
    before: Runs
    after: Runs
    z: Floats

    def scaled(self, scale: float) -> ChangingCells:
        """With time measured in another unit."""
        c, before, after = self.together, self.before.scaled(scale), self.after.scaled(scale)
        cells = Cells(c.x, c.t_x / scale, c.T / scale, c.count)
        return ChangingCells(cells, self.bought, before, after, self.z)

    def reweighted(self, weight: Floats) -> ChangingCells:
        """The same customers under other weights; those without one are left out."""
        rows = np.flatnonzero(weight > 0)
        c, before, after = self.together, self.before.kept(rows), self.after.kept(rows)
        cells = Cells(c.x[rows], c.t_x[rows], c.T[rows], weight[rows])
        return ChangingCells(cells, self.bought[rows], before, after, self.z)

    @cached_property
    def parts(self) -> list[ChangingCells]:
        """A few customers at a time."""
        return [
            ChangingCells(
                _cells(self.together, slice(first, last)),
                self.bought[first:last],
                self.before.of_customers(first, last),
                self.after.of_customers(first, last),
                self.z,
            )
            for first, last in blocks(self.after.of, len(self.together), RUNS)
        ]

    def now(self, theta: Floats, rates: Floats) -> Paths:
        """The customers at their last purchase, with the runs since then."""
        r, alpha, s, beta = map(float, theta)
        runs, n = self.before, len(self.together)
        A, C = (summed(runs.of, rate[runs.code] * runs.length, n) for rate in rates)
        return Paths.of_runs(self.after, rates, r + self.together.x, alpha + A, s, beta + C)


def contributions(theta: Floats, effects: Floats, observed: ChangingCells) -> Floats:
    """The log-likelihood of each customer, and its slopes.

    Parameters
    ----------
    theta
        (r, alpha, s, beta).
    effects
        g_t and g_l, shape (2, k).
    observed
        n customers, few enough for the memory.

    Returns
    -------
    Shape (1 + 4 + 2k, n): the value, and its derivatives by theta, g_t and g_l.
    """
    r, alpha, s, beta = map(float, theta)
    rates, x, n = np.exp(effects @ observed.z.T), observed.together.x, len(observed.together)
    paths = observed.now(theta, rates)
    silent = Leaving.from_paths(paths)
    run, of = silent.nodes.run, paths.of[silent.nodes.run]
    chance = silent.stays + summed(of, silent.leaves, n)
    stays, leaves = silent.stays / chance, silent.leaves / chance[of]
    A_end, C_end = paths.to_end()
    A, C = paths.alpha[of] + silent.A, paths.beta[of] + silent.C
    value = (
        observed.bought @ effects[0]
        + log_rising(r, x)
        - x * np.log(paths.alpha)
        - r * np.log(paths.alpha / alpha)
        - s * np.log(paths.beta / beta)
        + np.log(chance)
    )

    def mean(at_node: Floats, at_end: Floats) -> Floats:
        return summed(of, leaves * at_node, n) + stays * at_end

    by_A, by_C = (r + x)[of] / A, (s + 1) / C
    slopes = [
        digamma_rise(r, x) - mean(np.log(A / alpha), np.log(A_end / alpha)),
        r / alpha - mean(by_A, (r + x) / A_end),
        (1 - stays) / s - mean(np.log(C / beta), np.log(C_end / beta)),
        s / beta - mean(by_C, s / C_end),
    ]

    def by_effect(rates: Floats, run_rates: Floats, by_node: Floats, at_end: Floats) -> Floats:
        # Whatever comes at a node or at the end has all runs before it in its A or C.
        pull = leaves * by_node
        at_run = summed(run, pull, len(paths.of))
        within = summed(run, pull * silent.nodes.u, len(paths.of))
        later, end = _still(at_run, paths.of, n), stays * at_end
        after = run_rates * (paths.length * (later + end[paths.of]) + within)
        before, total = observed.before, summed(of, pull, n) + end
        met = rates[before.code] * before.length * total[before.of]
        return _by_z(observed.after, after, observed.z, n) + _by_z(before, met, observed.z, n)

    bought = observed.bought.T - by_effect(rates[0], paths.a, by_A, (r + x) / A_end)
    left = _by_z(observed.after, summed(run, leaves, len(paths.of)), observed.z, n)
    left -= by_effect(rates[1], paths.c, by_C, s / C_end)
    return np.vstack([value, *slopes, bought, left])


def _by_z(runs: Runs, weight: Floats, z: Floats, n: int) -> Floats:
    """The sum of weight times z over each customer's runs, shape (k, n)."""
    return np.array([summed(runs.of, weight * column[runs.code], n) for column in z.T])
