"""Curves over (x, T) on a lattice that does not depend on who is asked about.

A node is computed when it is first needed and kept, so that a customer's quantile is the same in a
batch of millions and alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from clv.schema import Floats

BEND = 3.0  # the tabled levels lie closer in the middle, where the curves of busy customers bend
LOGITS = 10 * np.sinh(BEND * np.linspace(-1, 1, 101)) / np.sinh(BEND)
WHOLE = 8  # numbers of past purchases that are nodes each
SPACING_X, SPACING_T = 0.3, 0.15  # beyond it, in the logs of x + 1 and of age
NODES, PAIRS = 32, 2_048  # computed, and interpolated, at a time: they bound the memory
MOST = 2**31  # nodes along one side

Curves = Callable[[Floats, Floats], Floats]  # of (x, T), shape (n,): shape (n, len(LOGITS))
Ints = NDArray[np.intp]


@dataclass
class Lattice:
    """Curves at fixed nodes of (x, T), and between them by cubics in the logs.

    Largest error of a quantile seen against exact sums (3 models, ages 100 to 730 days, 3 years):
    0.1% for x below 40, 0.3% below 150, 0.8% above, where those who leave and those who stay make a
    sharp bend in the curve.

    Attributes
    ----------
    curves
        What is tabled.
    scale
        An age from which on customers of different age differ by its logarithm; None where only
        whole ages have a meaning, each of which is then a node.
    """

    curves: Curves
    scale: float | None
    _row: dict[int, int] = field(default_factory=dict)
    _values: Floats = field(default_factory=lambda: np.empty((0, len(LOGITS))))
    _lock: Lock = field(default_factory=Lock)

    def curves_at(self, x: Floats, T: Floats) -> Floats:
        """The curves of pairs (x, T) of shape (n,): shape (n, levels), never falling."""
        curves = np.empty((len(x), len(LOGITS)))
        for i in range(0, len(x), PAIRS):
            part = slice(i, i + PAIRS)
            curves[part] = self._between(x[part], T[part])
        return np.asarray(np.maximum.accumulate(curves, axis=1))

    def blocks(
        self, x: Floats, T: Floats, of_row: Ints, rows: int
    ) -> Iterator[tuple[Ints, Floats, Ints]]:
        """Some rows, the curves that they need, and which of these is whose.

        ``x``, ``T`` are the distinct pairs and ``of_row`` says which is whose.
        """
        order = np.argsort(of_row, kind="stable")
        for i in range(0, len(order), rows):
            rows_here = order[i : i + rows]
            pair = of_row[rows_here]
            near = slice(pair[0], pair[-1] + 1)
            yield rows_here, self.curves_at(x[near], T[near]), pair - pair[0]

    def _between(self, x: Floats, T: Floats) -> Floats:
        if self.scale is None:
            return self._nodes(x.astype(np.intp) * MOST + T.astype(np.intp))
        i, weight_i = _stencil(_place_of_x(x), np.log1p(x), lambda i: np.log1p(_x_of_place(i)))
        u = np.log1p(T / self.scale) / SPACING_T
        j, weight_j = _stencil(u, u, lambda j: j.astype(np.float64))
        values = self._nodes((i[:, :, None] * MOST + j[:, None, :]).ravel())
        weight = (weight_i[:, :, None] * weight_j[:, None, :]).reshape(len(x), 1, -1)
        return np.asarray(weight @ values.reshape(len(x), -1, len(LOGITS)))[:, 0]

    def _nodes(self, keys: Ints) -> Floats:
        """The curves at nodes, which are computed where they are not known yet."""
        distinct_keys, of_key = np.unique(keys, return_inverse=True)
        with self._lock:
            missing = np.array(
                [key for key in distinct_keys.tolist() if key not in self._row], np.intp
            )
            for n in range(0, len(missing), NODES):
                self._learn(missing[n : n + NODES])
            rows = np.array([self._row[key] for key in distinct_keys.tolist()], np.intp)
            return self._values[rows[of_key]]

    def _learn(self, keys: Ints) -> None:
        x, T = np.divmod(keys, MOST)
        if self.scale is None:
            curves = self.curves(x.astype(np.float64), T.astype(np.float64))
        else:
            curves = self.curves(_x_of_place(x), self.scale * np.expm1(T * SPACING_T))
        self._row |= {key: len(self._values) + n for n, key in enumerate(keys.tolist())}
        self._values = np.concatenate([self._values, curves])


def _place_of_x(x: Floats) -> Floats:
    """Where x lies among the nodes: whole numbers one by one, then evenly by log."""
    return np.where(x <= WHOLE, x, WHOLE + np.log((x + 1) / (WHOLE + 1)) / SPACING_X)


def _x_of_place(place: Ints) -> Floats:
    """The x of a node, the inverse of ``_place_of_x``."""
    beyond = (WHOLE + 1) * np.exp((place - WHOLE) * SPACING_X) - 1
    return np.where(place <= WHOLE, place, beyond)


def _stencil(
    place: Floats, target: Floats, coordinate: Callable[[Ints], Floats]
) -> tuple[Ints, Floats]:
    """Four nodes around each place and their weights, (n, 4) each; one counts where it is met."""
    nearest = np.rint(place).astype(np.intp)
    met = np.abs(place - nearest) < 1e-12
    start = np.where(met, nearest, np.maximum(np.floor(place).astype(np.intp) - 1, 0))
    index = start[:, None] + np.where(met[:, None], 0, np.arange(4))
    near = coordinate(start[:, None] + np.arange(4))
    weight = np.ones(index.shape)
    # Lagrange's weights of the cubic through four nodes.
    for i in range(4):
        for j in range(4):
            if i != j:
                weight[:, i] *= (target - near[:, j]) / (near[:, i] - near[:, j])
    # At a node all four indices are the node itself, so one weight is all.
    weight[met] = [1.0, 0.0, 0.0, 0.0]
    return index, weight


def given_purchase(buys: Floats, levels: Floats) -> Floats:
    """The logits of what is at ``levels`` once P(none) = 1 - buys lies below; -inf if none.

    Shape (n, levels).
    """
    above = np.maximum(buys[:, None] - (1 - levels), 0.0)
    logit = np.log(above, out=np.full_like(above, -np.inf), where=above > 0)
    return np.asarray(logit - np.log(1 - levels))


def slopes_of(curves: Floats) -> Floats:
    """Slopes per place in LOGITS, by fourth order, and held where a cubic would turn back."""
    rise = np.diff(curves, axis=1)
    slope = np.empty_like(curves)
    middle = (rise[:, 1:] + rise[:, :-1]) / 2
    slope[:, 0], slope[:, -1] = rise[:, 0], rise[:, -1]
    slope[:, 1:-1] = middle
    slope[:, 2:-2] += (2 * middle[:, 1:-1] - middle[:, :-2] - middle[:, 2:]) / 6
    # Fritsch & Carlson (1980): slopes of at most three times the rise keep a cubic monotone.
    slope[:, :-1] = np.clip(slope[:, :-1], 0.0, 3 * rise)
    slope[:, 1:] = np.clip(slope[:, 1:], 0.0, 3 * rise)
    return slope


def read(curves: Floats, slopes: Floats, row: NDArray[np.intp], logit: Floats) -> Floats:
    """Curves ``row`` at ``logit`` (shapes broadcast): monotone cubics, straight beyond the ends."""
    inside = np.clip(logit, LOGITS[0], LOGITS[-1])
    last = len(LOGITS) - 1
    place = (np.arcsinh(inside * np.sinh(BEND) / 10) / BEND + 1) * last / 2
    i = np.clip(place.astype(np.intp), 0, last - 1)
    u = np.clip(place - i, 0.0, 1.0)
    y0, y1, m0, m1 = curves[row, i], curves[row, i + 1], slopes[row, i], slopes[row, i + 1]
    cubic = y0 + u * (m0 + u * (3 * (y1 - y0) - 2 * m0 - m1 + u * (2 * (y0 - y1) + m0 + m1)))
    never = np.isinf(logit)
    beyond = np.where(never, 0.0, logit - inside) / (LOGITS[-1] - LOGITS[-2])
    return np.asarray(np.where(never, logit, cubic + beyond * (y1 - y0)))


def place_of(curves: Floats, y: Floats) -> Floats:
    """The logit at which each row's curve reaches y, straight beyond the ends."""
    i = np.clip((curves <= y[:, None]).sum(axis=1) - 1, 0, len(LOGITS) - 2)
    row = np.arange(len(y))
    rise = np.maximum(curves[row, i + 1] - curves[row, i], 1e-12)
    return np.asarray(LOGITS[i] + np.diff(LOGITS)[i] * (y - curves[row, i]) / rise)
