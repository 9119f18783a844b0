"""Discounted revenue given some purchase: a mixture of beta primes over the number of purchases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special as sc
from scipy.interpolate import PchipInterpolator

from clv.probability.gamma_gamma import GammaGammaTheta
from clv.schema import Floats
from clv.value.predictive.counts import Future
from clv.value.predictive.lattice import LOGITS, Curves

COARSE = 20  # amounts of money that find where the others should lie
SHAPE = 1e8  # beyond it a beta distribution is a point, and its shapes overflow


def money_curves(future: Future, spend: GammaGammaTheta, delta: float) -> Curves:
    """The log of discounted revenue over v + x zbar at each tabled level, given some purchase."""

    def curves(x: Floats, T: Floats) -> Floats:
        k, mass = future.counts(x, T).lumps()
        possible = mass > 0
        discount = np.where(possible, future.mean_discount(k, x, T, delta), 1.0)
        squared = np.where(possible, future.mean_discount(k, x, T, 2 * delta), 1.0)
        return Revenue.from_counts(spend, x, k, mass, discount, squared).quantiles()

    return curves


@dataclass(frozen=True)
class Revenue:
    """A mixture over k of exp(log_scale) BetaPrime(a, b): a and the like (n, m), b (n, 1)."""

    mass: Floats
    a: Floats
    b: Floats
    log_scale: Floats

    @classmethod
    def from_counts(
        cls,
        spend: GammaGammaTheta,
        x: Floats,
        k: Floats,
        mass: Floats,
        mean: Floats,
        square: Floats,
    ) -> Revenue:
        """From k purchases and the mean and mean square of their discounts.

        The total of k discounted Gamma(p) values is taken as the Gamma with its mean p k mean and
        its variance, discounts being as good as independent given k. A shape too large to compute
        keeps that mean.
        """
        p, q, _ = spend
        shape_k = p * k / (1 + (1 + p) * np.maximum(square / mean**2 - 1, 0.0))
        shape_x = q + p * x[:, None]
        a, b = np.minimum(shape_k, SHAPE), np.minimum(shape_x, SHAPE)
        return cls(mass, a, b, np.log(mean * p * k / a) - np.log(shape_x / b))

    def logit_below(self, log_y: Floats) -> Floats:
        """The logit of P(revenue <= y), shape (n, m) as log_y."""
        odds = log_y[:, :, None] - self.log_scale[:, None, :]
        a, b = (shape[:, None, :] for shape in np.broadcast_arrays(self.a, self.b))
        score = (odds - np.log(a / b)) / np.sqrt(1 / a + 1 / b)  # normal where a and b are large
        below = (score > 0).astype(np.float64)
        # Beyond 7 standard errors of large shapes the answer is 0 or 1 to 1e-11: no beta function.
        near = (np.abs(score) < 7) | (np.minimum(a, b) < 30)
        a, b = (np.broadcast_to(shape, odds.shape)[near] for shape in (a, b))
        below[near] = sc.betainc(a, b, sc.expit(odds[near]))
        mixed = np.einsum("nk,nyk->ny", self.mass, below)
        return np.asarray(sc.logit(np.clip(mixed, 1e-9, 1 - 1e-9)))

    def quantiles(self) -> Floats:
        """The log of revenue at each of LOGITS: from an even grid to points that lie close."""
        low, high = self._ends()
        # Two passes: the first finds where the levels lie, the second interpolates close to them.
        coarse = low + (high - low) * np.linspace(0, 1, COARSE)
        close = _inverse(coarse, self.logit_below(coarse))
        return _inverse(close, self.logit_below(close))

    def _ends(self) -> tuple[Floats, Floats]:
        """Below and above nearly all revenue: the least and the greatest of the likely k."""
        tiny, rows = sc.expit(LOGITS[0]) / 3, np.arange(len(self.mass))
        reached = np.cumsum(self.mass, axis=1)
        first = np.argmax(reached > tiny / 3, axis=1)
        last = np.argmax(reached > 1 - tiny / 3, axis=1)
        ends = []
        for index, sign in ((first, 1.0), (last, -1.0)):
            a, b = self.a[rows, index], self.b[:, 0]
            # The upper end is one less a small quantile of Beta(b, a): that side keeps its digits.
            a, b = (a, b) if sign > 0 else (b, a)
            small = np.maximum(sc.betaincinv(a, b, tiny), 1e-300)
            ends.append((sign * sc.logit(small) + self.log_scale[rows, index])[:, None])
        return ends[0], ends[1]


def _inverse(log_y: Floats, logit: Floats) -> Floats:
    """The log of y at each of LOGITS, from rising points of it, row by row."""
    # The interpolation takes strictly rising points, and a distribution has flat stretches.
    step = 1e-9 * np.arange(logit.shape[1])
    rising = np.maximum.accumulate(logit, axis=1) + step
    ends = np.clip(LOGITS, rising[:, :1], rising[:, -1:])
    rows = zip(rising, log_y, ends, strict=True)
    return np.array([PchipInterpolator(x, y)(levels) for x, y, levels in rows])
