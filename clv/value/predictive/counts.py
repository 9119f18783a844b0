"""How many purchases follow: where their probability is, and the mean discount they come at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special as sc

from clv.history import History, distinct
from clv.probability.estimator import PurchaseModel
from clv.schema import Floats
from clv.value.predictive.lattice import LOGITS, Curves

COUNTS, FIRST = 96, 12  # numbers of purchases looked at, the first of them one by one
ROWS = 16_384  # histories taken at a time: they bound the memory


@dataclass(frozen=True)
class CountGrid:
    """How many purchases follow, given at least one: n histories with numbers of purchases.

    Attributes
    ----------
    k
        Whole numbers, shape (n, COUNTS), from 1 upwards; the last is next to never passed.
    at_least
        P(N >= k | N >= 1).
    """

    k: Floats
    at_least: Floats

    def lumps(self) -> tuple[Floats, Floats]:
        """Numbers in the middle between two k, and the probability of all from one to the next."""
        after = np.append(self.k[:, 1:], self.k[:, -1:] + 1, axis=1)
        beyond = np.append(self.at_least[:, 1:], np.zeros((len(self.k), 1)), axis=1)
        return (self.k + np.maximum(after - 1, self.k)) / 2, self.at_least - beyond


@dataclass(frozen=True)
class Future:
    """What a customer with x repeat purchases at age T, who is alive, does in the next t."""

    model: PurchaseModel
    t: float

    def at_least(self, k: Floats, x: Floats, T: Floats) -> Floats:
        """P(at least k purchases), where k = 0 is certain; all of shape (n,) or all (n, 1)."""
        theta = self.model._given_alive(self.model._parameters(), x, T)
        chance = self.model._probability_of_at_least(theta, np.maximum(k, 1.0), self.t)
        return np.where(k > 0, chance, 1.0)

    def counts(self, x: Floats, T: Floats) -> CountGrid:
        """The numbers of purchases to look at, drawn to where the probability is."""
        x, T = x[:, None], T[:, None]
        stages = np.arange(self.model.stages) / self.model.stages

        def whenever(k: Floats) -> Floats:
            """Of stages that nobody sees, each is as likely at a day picked by chance."""
            cases = (self.at_least(k, *np.broadcast_arrays(x + stage, T)) for stage in stages)
            return np.asarray(sum(cases) / len(stages))

        buys = whenever(np.ones_like(x))

        def at_least(k: Floats) -> Floats:
            chance = whenever(k)
            return np.divide(chance, buys, out=(k <= 1).astype(np.float64), where=buys > 0)

        first = np.broadcast_to(np.arange(1.0, FIRST + 1), (len(x), FIRST))
        start = float(FIRST + 1)
        end = _beyond(at_least, np.full_like(x, start))
        k = np.floor(start * (end / start) ** np.linspace(0, 1, COUNTS - FIRST))
        for _ in range(3):  # each finds a peak that is 1/40 as wide as the last could see
            k = _drawn_to_mass(k, at_least(k))
        k = np.concatenate([first, k], axis=1)
        return CountGrid(k, at_least(k))

    def mean_discount(self, k: Floats, x: Floats, T: Floats, delta: float) -> Floats:
        """The mean discount of the purchases where k are made, shape (n, m) as k."""
        x, T = np.broadcast_arrays(x[:, None], T[:, None], k)[:2]
        theta = self.model._given_alive(self.model._parameters(), x, T)
        return np.asarray(self.model._mean_discount(theta, k, np.full(k.shape, self.t), delta))


def _beyond(at_least: Callable[[Floats], Floats], k: Floats) -> Floats:
    """Numbers of purchases next to never reached, by doubling."""
    for _ in range(60):
        more = at_least(k) > 1e-7
        if not more.any():
            break
        k = np.where(more, 2 * k, k)
    return k


def _drawn_to_mass(k: Floats, at_least: Floats) -> Floats:
    """As many numbers again between the same ends, even by normal score and, half, by log k."""
    score = -sc.ndtri(np.clip(at_least, 1e-7, 1 - 1e-7))
    density = np.diff(score, axis=1) / np.maximum(np.ptp(score, axis=1)[:, None], 1e-9)
    density += np.diff(np.log(k), axis=1) / np.maximum(np.log(k[:, -1:] / k[:, :1]), 1e-9)
    # Half the points by mass, half by log k, and never two on one whole number.
    steps = np.minimum(density * k.shape[1] / 2, np.diff(k, axis=1))  # one per whole number
    place = np.insert(np.cumsum(steps, axis=1), 0, 0.0, axis=1)
    even = np.linspace(0, 1, k.shape[1])
    rows = [
        np.interp(even * position[-1], position, row)
        for position, row in zip(place, k, strict=True)
    ]
    return np.asarray(np.rint(np.array(rows)))


def count_curves(future: Future) -> Curves:
    """The log of the number of purchases at each tabled level, a guess to search from."""

    def curves(x: Floats, T: Floats) -> Floats:
        counts = future.counts(x, T)
        logit = sc.logit(np.clip(1 - counts.at_least, 1e-9, 1 - 1e-12))
        pairs = zip(logit, np.log(counts.k), strict=True)
        return np.array([np.interp(LOGITS, *pair) for pair in pairs])

    return curves


def at_least_by_triple(future: Future, history: History, k: Floats) -> Floats:
    """P(at least k | alive) per row, computed once per distinct (x, T, k)."""
    chance: Any = 0.0
    for share, known in future.model._by_stage(history):
        chance = chance + share * _of_triple(future, known, k)
    return np.asarray(chance)


def _of_triple(future: Future, history: History, k: Floats) -> Floats:
    (x, T, k), of_row = distinct(history.x, history.T, k)
    chance = np.empty(len(k))
    for i in range(0, len(k), ROWS):
        part = slice(i, i + ROWS)
        chance[part] = future.at_least(k[part], x[part], T[part])
    return chance[of_row]
