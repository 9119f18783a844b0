"""The shapes a response curve can have, each with one unknown per channel that means the same.

A curve is n(s) = exp(A) g(s / s0): A is the log of the customers at the channel's usual spend s0,
and ln g depends on one number eta, with an elasticity of 1/2 at s0 where eta = 0. So one prior on
eta serves all shapes, and none is favoured by it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from scipy.special import expit

from clv.decide.budget.response import Exponential, Formula, Hill, MichaelisMenten, Power, Tanh
from clv.schema import Floats

LARGEST_LOG = 690.0  # exp overflows at 709


class Shape(ABC):
    """What the estimation asks of a shape; arrays broadcast against each other."""

    name: str
    unknown: str  # the curve's parameter that eta stands for

    @abstractmethod
    def growth(self, log_u: Floats, eta: Floats) -> tuple[Floats, Floats]:
        """The log of g at spend u s0, 0 at u = 1, and its derivative by eta."""

    @abstractmethod
    def curve(self, A: Floats, eta: Floats, usual: float) -> Formula:
        """The response curve; its parameters have the shape of ``A`` and ``eta``."""

    def bend(self, log_u: Floats, eta: Floats) -> Floats:
        """The second derivative of ln g by eta, from differences of the first."""
        h = 1e-5
        return (self.growth(log_u, eta + h)[1] - self.growth(log_u, eta - h)[1]) / (2 * h)


class PowerShape(Shape):
    """g(u) = u^b with b = logistic(eta).

    >>> value, _ = PowerShape().growth(np.log(4.0), np.array(0.0))
    >>> round(float(np.exp(value)), 9)
    2.0
    """

    name = "power"
    unknown = "b"

    def growth(self, log_u: Floats, eta: Floats) -> tuple[Floats, Floats]:
        """Elasticity times log spend."""
        b = expit(eta)
        return b * log_u, b * (1 - b) * log_u

    def curve(self, A: Floats, eta: Floats, usual: float) -> Power:
        """With k = exp(A) / s0^b."""
        b = expit(eta)
        return Power(np.exp(A - b * np.log(usual)), b)


class Saturating(Shape):
    """g(u) = h(x) / h(x0) with x = s / K: a curve h that flattens out, and K = s0 exp(eta - half).

    ``half`` is the ln x at which h has an elasticity of 1/2.
    """

    half: float
    unknown = "K"

    @abstractmethod
    def log_h(self, log_x: Floats) -> Floats:
        """The log of h(x)."""

    @abstractmethod
    def elasticity(self, log_x: Floats) -> Floats:
        """Elasticity x h'(x) / h(x)."""

    @abstractmethod
    def saturated(self, V: Floats, K: Floats) -> Formula:
        """The curve V h(s / K)."""

    def growth(self, log_u: Floats, eta: Floats) -> tuple[Floats, Floats]:
        """Ratio of h at s and at s0, in logs."""
        at_usual = np.clip(self.half - eta, -LARGEST_LOG, LARGEST_LOG)
        there = np.clip(log_u + self.half - eta, -LARGEST_LOG, LARGEST_LOG)
        value = self.log_h(there) - self.log_h(at_usual)
        return value, self.elasticity(at_usual) - self.elasticity(there)

    def curve(self, A: Floats, eta: Floats, usual: float) -> Formula:
        """V = exp(A) / h(s0 / K)."""
        V = np.exp(A - self.log_h(np.asarray(self.half - eta)))
        return self.saturated(V, usual * np.exp(eta - self.half))


class MichaelisMentenShape(Saturating):
    """h(x) = x / (1 + x)."""

    name = "Michaelis-Menten"
    half = 0.0

    def log_h(self, log_x: Floats) -> Floats:
        """The log of h."""
        return -np.logaddexp(0.0, -log_x)

    def elasticity(self, log_x: Floats) -> Floats:
        """Elasticity 1 / (1 + x)."""
        return np.asarray(expit(-log_x))

    def saturated(self, V: Floats, K: Floats) -> MichaelisMenten:
        """The curve."""
        return MichaelisMenten(V, K)


class ExponentialShape(Saturating):
    """h(x) = 1 - exp(-x)."""

    name = "1-exp"
    half = 0.22827533  # x / (exp(x) - 1) = 1/2

    def log_h(self, log_x: Floats) -> Floats:
        """The log of h."""
        return np.log(-np.expm1(-np.exp(log_x)))

    def elasticity(self, log_x: Floats) -> Floats:
        """Elasticity x / (exp(x) - 1)."""
        x = np.minimum(np.exp(log_x), LARGEST_LOG)
        return np.asarray(x / np.expm1(x))

    def saturated(self, V: Floats, K: Floats) -> Exponential:
        """The curve."""
        return Exponential(V, K)


class TanhShape(Saturating):
    """h(x) = tanh(x), with c = K / V."""

    name = "tanh"
    unknown = "S"
    half = 0.08494712  # 2 x / sinh(2 x) = 1/2

    def log_h(self, log_x: Floats) -> Floats:
        """The log of h."""
        return np.log(np.tanh(np.exp(log_x)))

    def elasticity(self, log_x: Floats) -> Floats:
        """Elasticity 2 x / sinh(2 x)."""
        x = np.minimum(2 * np.exp(log_x), LARGEST_LOG)
        return np.asarray(x / np.sinh(x))

    def saturated(self, V: Floats, K: Floats) -> Tanh:
        """The curve."""
        return Tanh(V, K / V)


class HillShape(Saturating):
    """h(x) = x^a / (1 + x^a), S-shaped; the exponent a is one of a few tried, not estimated.

    >>> shape = HillShape(2)
    >>> round(float(shape.elasticity(np.array(shape.half))), 9)
    0.5
    """

    def __init__(self, exponent: float) -> None:
        self.exponent = exponent
        self.name = f"Hill with exponent {exponent:g}"
        self.half = float(np.log(2 * exponent - 1) / exponent)

    def log_h(self, log_x: Floats) -> Floats:
        """The log of h."""
        return -np.logaddexp(0.0, -self.exponent * log_x)

    def elasticity(self, log_x: Floats) -> Floats:
        """Elasticity a / (1 + x^a)."""
        return np.asarray(self.exponent * expit(-self.exponent * log_x))

    def saturated(self, V: Floats, K: Floats) -> Hill:
        """The curve's concave envelope."""
        return Hill(V, K, np.full(np.shape(V), self.exponent), assumed=("exponent",))


# Whose turn it is when curves are estimated; the first is kept unless another forecasts better.
SHAPES: dict[str, Shape] = {
    shape.name: shape
    for shape in (
        PowerShape(),
        MichaelisMentenShape(),
        ExponentialShape(),
        TanhShape(),
        HillShape(2.0),
        HillShape(3.0),
    )
}
