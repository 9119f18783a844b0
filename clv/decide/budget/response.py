"""Response curves: how many new customers a channel brings for the money spent in one period.

Every curve is concave, starts at (0, 0) and answers the same three questions:

``customers(spend)``
    n(s), customers bought by spending s.
``marginal(spend)``
    n'(s), customers bought by the next unit of money; 1 / n'(s) is the marginal CAC.
``spend_at(marginal)``
    the inverse of n': up to which spend the next unit of money still buys ``marginal`` customers.

The parameters may be arrays: ``Power.stack(curves)`` is one curve that stands for many, and all
three questions are answered for all of them at once. A new curve is a new class in this file with
its parameters and its formulas, and a name in ``CURVES``; mirror ``MichaelisMenten``. To have it
estimated as well, add its shape to ``SHAPES`` in ``clv.decide.response.shapes``.

``over(periods)``
    the curve for several periods at once, the money spread evenly over them.

Every curve also carries ``assumed``, the names of those parameters that nobody has estimated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from clv.errors import InputError
from clv.schema import Floats

NEWTON_STEPS = 30  # Hill's inverse takes about 6

Parameter = float | Floats


@dataclass(frozen=True)
class Response(ABC):
    """What every response curve can be asked; see the top of this module."""

    assumed: tuple[str, ...] = field(default=(), kw_only=True)

    @abstractmethod
    def customers(self, spend: ArrayLike) -> Floats:
        """n(s): new customers in a period with this spend."""

    @abstractmethod
    def marginal(self, spend: ArrayLike) -> Floats:
        """n'(s): new customers per further unit of money at this spend."""

    @abstractmethod
    def spend_at(self, marginal: ArrayLike) -> Floats:
        """The spend s with n'(s) = ``marginal``; 0 where not even the first unit buys that."""

    @abstractmethod
    def over(self, periods: float) -> Self:
        """N(S) = W n(S / W): total spend S spread evenly over W periods.

        >>> round(float(Power(k=12, b=0.6).over(13).customers(13 * 500)), 6)
        6493.915018
        >>> round(13 * float(Power(k=12, b=0.6).customers(500)), 6)
        6493.915018
        """

    def convex_until(self, power: ArrayLike = 1.0) -> Floats:
        """The spend up to which n(s)^power bends upwards; 0 for a concave curve.

        >>> float(Power(k=12, b=0.6).convex_until())
        0.0
        """
        return np.zeros_like(np.asarray(power, dtype=np.float64))

    def within(self, lo: Floats, hi: Floats) -> Self:
        """The curve as it is asked between two spends, each of shape (channels,)."""
        return self

    @property
    def valleys(self) -> tuple[tuple[float, ...], ...]:
        """By channel, the spends from which the curve bends upwards once more; () for none."""
        return ()

    def elasticity(self, spend: ArrayLike) -> Floats:
        """Elasticity s n'(s) / n(s): by how many % customers grow with 1% more spend.

        >>> round(float(MichaelisMenten(V=900, K=20_000).elasticity(20_000)), 6)
        0.5
        """
        s = np.asarray(spend, dtype=np.float64)
        return np.asarray(s * self.marginal(s) / self.customers(s))

    @property
    def kind(self) -> Hashable:
        """Curves of one kind can be stacked."""
        return type(self)

    @classmethod
    @abstractmethod
    def stack(cls, curves: Sequence[Self]) -> Self:
        """One curve whose parameters are arrays over ``curves``, all of one kind."""


@dataclass(frozen=True)
class Formula(Response):
    """A curve by a formula, whose parameters are all positive.

    Attributes
    ----------
    name
        What plan files and the API call it.
    """

    name: ClassVar[str]

    def __post_init__(self) -> None:
        for name, limits in self.parameters().items():
            value, limit = getattr(self, name), limits.get("below")
            _positive(name, value)
            if limit is not None and np.any(np.asarray(value) >= limit):
                what = f"{name} = {value} of a response curve is not below {limit:g}."
                raise InputError(what, hint=limits["why"])

    @classmethod
    def parameters(cls) -> dict[str, Mapping[str, Any]]:
        """Its parameters by name, each with its limit "below", if there is one, and "why".

        >>> list(Power.parameters()), Power.parameters()["b"]["below"]
        (['k', 'b'], 1.0)
        """
        return {field.name: field.metadata for field in fields(cls) if field.name != "assumed"}

    @classmethod
    def stack(cls, curves: Sequence[Self]) -> Self:
        """One curve whose parameters are arrays over ``curves``, all of this class."""
        arrays: dict[str, Any] = {
            name: np.array([getattr(curve, name) for curve in curves]) for name in cls.parameters()
        }
        return cls(**arrays)


@dataclass(frozen=True)
class Power(Formula):
    """n(s) = k s^b with elasticity 0 < b < 1: 1% more spend brings b% more customers.

    Parameters
    ----------
    k
        Customers bought by the first unit of money.
    b
        Elasticity.

    assumed
        Parameters that were assumed and not estimated, by name.

    Examples
    --------
    >>> search = Power(k=12, b=0.6)
    >>> round(float(search.customers(10_000)), 1)
    3014.3
    >>> round(float(1 / search.marginal(10_000)), 3)  # marginal CAC
    5.529
    """

    name: ClassVar[str] = "power"
    k: Parameter
    b: Parameter = field(
        metadata={
            "below": 1.0,
            "why": "with b >= 1 the next customer never costs more than the last; most channels "
            "lie between 0.2 and 0.8.",
        }
    )

    @classmethod
    def from_point(cls, spend: float, customers: float, b: float | None = None) -> Power:
        """The curve through one observed point, n(s) = n0 (s / s0)^b.

        Without ``b`` the elasticity is 0.5, the middle of the prior that the literature's
        estimates suggest, and the curve says that it is assumed.

        >>> curve = Power.from_point(spend=5_000, customers=400)
        >>> curve.b, curve.assumed
        (0.5, ('b',))
        >>> round(float(curve.customers(5_000)), 9)
        400.0
        """
        _positive("spend", spend)
        _positive("customers", customers)
        elasticity = 0.5 if b is None else b
        return cls(customers * spend**-elasticity, elasticity, assumed=("b",) if b is None else ())

    def customers(self, spend: ArrayLike) -> Floats:
        """n(s) = k s^b."""
        return np.asarray(self.k * not_negative(spend) ** self.b)

    def marginal(self, spend: ArrayLike) -> Floats:
        """n'(s) = k b s^(b - 1), infinite at s = 0."""
        with np.errstate(divide="ignore"):
            return np.asarray(self.k * self.b * not_negative(spend) ** (self.b - 1))

    def spend_at(self, marginal: ArrayLike) -> Floats:
        """The spend s = (k b / n')^(1 / (1 - b))."""
        with np.errstate(divide="ignore", over="ignore", under="ignore"):
            ratio = self.k * self.b / np.asarray(marginal, dtype=np.float64)
            return np.asarray(ratio ** (1 / (1 - self.b)))

    def over(self, periods: float) -> Power:
        """N(S) = W^(1 - b) k S^b."""
        _positive("periods", periods)
        return replace(self, k=self.k * periods ** (1 - self.b))


@dataclass(frozen=True)
class MichaelisMenten(Formula):
    """n(s) = V s / (K + s): at most V customers a period, half of them at spend K.

    Parameters
    ----------
    V
        Customers that no spend exceeds.
    K
        Spend that brings half of them.

    assumed
        Parameters that were assumed and not estimated, by name.

    Examples
    --------
    >>> video = MichaelisMenten(V=900, K=20_000)
    >>> float(video.customers(20_000))
    450.0
    >>> round(float(1 / video.marginal(0)), 3)  # the first customer's CAC, K / V
    22.222
    """

    name: ClassVar[str] = "michaelis-menten"
    V: Parameter
    K: Parameter

    def customers(self, spend: ArrayLike) -> Floats:
        """n(s) = V s / (K + s)."""
        s = not_negative(spend)
        return np.asarray(self.V * (s / (self.K + s)))

    def marginal(self, spend: ArrayLike) -> Floats:
        """n'(s) = V K / (K + s)^2."""
        s = not_negative(spend)
        return np.asarray(self.V / (self.K + s) * (self.K / (self.K + s)))

    def spend_at(self, marginal: ArrayLike) -> Floats:
        """The spend s = sqrt(V K / n') - K, and 0 where n'(0) = V / K is below n'."""
        with np.errstate(divide="ignore", over="ignore", under="ignore"):
            ratio = self.V / self.K / np.asarray(marginal, dtype=np.float64)
            return np.asarray(self.K * np.maximum(np.sqrt(ratio) - 1, 0.0))

    def over(self, periods: float) -> MichaelisMenten:
        """N(S) = W V S / (W K + S)."""
        _positive("periods", periods)
        return replace(self, V=self.V * periods, K=self.K * periods)


@dataclass(frozen=True)
class Exponential(Formula):
    """n(s) = V (1 - exp(-s / K)): each further K of spend wins 63% of who is left to win.

    Parameters
    ----------
    V
        Customers that no spend exceeds.
    K
        Spend that brings 63% of them.

    assumed
        Parameters that were assumed and not estimated, by name.

    Examples
    --------
    >>> display = Exponential(V=900, K=20_000)
    >>> round(float(display.customers(20_000)), 1)
    568.9
    """

    name: ClassVar[str] = "exponential"
    V: Parameter
    K: Parameter

    def customers(self, spend: ArrayLike) -> Floats:
        """n(s) = V (1 - exp(-s / K))."""
        return np.asarray(-self.V * np.expm1(-not_negative(spend) / self.K))

    def marginal(self, spend: ArrayLike) -> Floats:
        """n'(s) = V / K exp(-s / K)."""
        return np.asarray(self.V / self.K * np.exp(-not_negative(spend) / self.K))

    def spend_at(self, marginal: ArrayLike) -> Floats:
        """The spend s = K ln(V / (K n')), and 0 where n'(0) = V / K is below n'."""
        with np.errstate(divide="ignore", over="ignore"):
            ratio = self.V / self.K / np.asarray(marginal, dtype=np.float64)
            return np.asarray(self.K * np.maximum(np.log(ratio), 0.0))

    def over(self, periods: float) -> Exponential:
        """N(S) = W V (1 - exp(-S / (W K)))."""
        _positive("periods", periods)
        return replace(self, V=self.V * periods, K=self.K * periods)


@dataclass(frozen=True)
class Tanh(Formula):
    """n(s) = S tanh(s / (S c)): the first customers cost c each, and no spend exceeds S.

    Parameters
    ----------
    S
        Customers that no spend exceeds.
    c
        CAC of the first customer.

    assumed
        Parameters that were assumed and not estimated, by name.

    Examples
    --------
    >>> radio = Tanh(S=900, c=20)
    >>> round(float(1 / radio.marginal(0)), 9)
    20.0
    >>> round(float(radio.customers(18_000)), 1)
    685.4
    """

    name: ClassVar[str] = "tanh"
    S: Parameter
    c: Parameter

    def customers(self, spend: ArrayLike) -> Floats:
        """n(s) = S tanh(s / (S c))."""
        return np.asarray(self.S * np.tanh(not_negative(spend) / (self.S * self.c)))

    def marginal(self, spend: ArrayLike) -> Floats:
        """n'(s) = 1 / (c cosh(s / (S c))^2)."""
        # 1 / cosh(x) = 2 q / (1 + q^2) with q = exp(-x), which cannot overflow
        q = np.exp(-not_negative(spend) / (self.S * self.c))
        return np.asarray((2 * q / (1 + q * q)) ** 2 / self.c)

    def spend_at(self, marginal: ArrayLike) -> Floats:
        """The spend s = S c acosh(sqrt(1 / (c n'))), and 0 where n'(0) = 1 / c is below n'."""
        with np.errstate(divide="ignore", over="ignore"):
            ratio = 1 / (self.c * np.asarray(marginal, dtype=np.float64))
            return np.asarray(self.S * self.c * np.arccosh(np.sqrt(np.maximum(ratio, 1.0))))

    def over(self, periods: float) -> Tanh:
        """N(S) = W S tanh(S / (W S c))."""
        _positive("periods", periods)
        return replace(self, S=self.S * periods)


@dataclass(frozen=True)
class Hill(Formula):
    """The concave envelope of the Hill curve h(s) = V s^a / (K^a + s^a), a = ``exponent``.

    With a > 1 the Hill curve is S-shaped: a little spend buys next to nothing. Up to the spend
    s* = K (a - 1)^(1 / a), where the straight line from 0 touches it, the envelope is that line:
    what alternating between nothing and s* buys over many periods. Beyond s*, and with a <= 1
    throughout, the envelope is the Hill curve itself.

    Parameters
    ----------
    V
        Customers that no spend exceeds.
    K
        Spend that brings half of them.
    exponent
        Steepness; 1 is Michaelis-Menten.

    assumed
        Parameters that were assumed and not estimated, by name.

    Examples
    --------
    >>> tv = Hill(V=900, K=20_000, exponent=2)
    >>> float(tv.tangent)
    20000.0
    >>> float(tv.customers(10_000)), float(tv.s_shaped(10_000))
    (225.0, 180.0)
    """

    name: ClassVar[str] = "hill"
    V: Parameter
    K: Parameter
    exponent: Parameter

    @property
    def tangent(self) -> Floats:
        """s*, where the line from 0 touches the curve; 0 where the exponent is at most 1."""
        a = np.asarray(self.exponent, dtype=np.float64)
        return np.asarray(self.K * np.maximum(a - 1, 0.0) ** (1 / a))

    @property
    def concave_from(self) -> Floats:
        """The spend from which ``spend_at`` looks for an answer: s*."""
        return self.tangent

    def s_shaped(self, spend: ArrayLike) -> Floats:
        """h(s), the Hill curve itself."""
        with np.errstate(divide="ignore", over="ignore"):
            return np.asarray(self.V / (1 + (self.K / not_negative(spend)) ** self.exponent))

    def customers(self, spend: ArrayLike) -> Floats:
        """n(s) = h(s), and below s* the line s h(s*) / s*."""
        s = not_negative(spend)
        touch = np.where(self.tangent > 0, self.tangent, self.K)  # no line without an s*
        return np.where(s < self.tangent, s * self._slope(touch), self.s_shaped(s))

    def marginal(self, spend: ArrayLike) -> Floats:
        """n'(s) = h'(s), and below s* its value there."""
        return self._slope(np.maximum(not_negative(spend), self.tangent))

    def spend_at(self, marginal: ArrayLike) -> Floats:
        """The spend s >= ``concave_from`` with h'(s) = n', by Newton steps; 0 where none has it.

        In y = a ln(s / K), ln h' is concave with limit -(a + 1) y / a, so that steps from there
        approach the root from one side.
        """
        slope = np.asarray(marginal, dtype=np.float64)
        a = np.asarray(self.exponent, dtype=np.float64)
        with np.errstate(divide="ignore", over="ignore"):
            target = np.log(slope * self.K / (self.V * a))
            lowest = a * np.log(self.concave_from / self.K)
            bought = slope < self._slope(self.concave_from)
        target = np.where(bought & (slope > 0), target, -1.0)
        y = np.maximum(-target * a / (a + 1), lowest)
        for _ in range(NEWTON_STEPS):
            gap = (a - 1) / a * y - 2 * np.logaddexp(0, y) - target
            fall = (a - 1) / a - 2 * expit(y)  # 0 where the curve is steepest
            step = np.divide(gap, fall, out=np.zeros_like(gap), where=fall < 0)
            y = np.maximum(y - step, lowest)
            if np.all(np.abs(step) <= 1e-14 * np.maximum(np.abs(y), 1.0)):
                break
        with np.errstate(over="ignore"):
            spend = self.K * np.exp(y / a)
        return np.asarray(np.where(bought, np.where(slope > 0, spend, np.inf), 0.0))

    def over(self, periods: float) -> Hill:
        """N(S) = W n(S / W)."""
        _positive("periods", periods)
        return replace(self, V=self.V * periods, K=self.K * periods)

    def _slope(self, s: Floats) -> Floats:
        """h'(s) = a h(s) (1 - h(s) / V) / s; at 0 its limit, infinite for an exponent below 1."""
        a = np.asarray(self.exponent, dtype=np.float64)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            x = (s / self.K) ** a
            steep = a * self.V / self.K * (s / self.K) ** (a - 1) / (1 + x) ** 2
        return np.asarray(np.where(np.isfinite(x), steep, 0.0))


# What plan files and the API can write down; a new curve is a class above and a name here.
CURVES: dict[str, type[Formula]] = {
    curve.name: curve for curve in (Power, MichaelisMenten, Exponential, Tanh, Hill)
}


def _positive(name: str, value: Parameter) -> None:
    array = np.asarray(value, dtype=np.float64)
    if not np.all(np.isfinite(array) & (array > 0)):
        raise InputError(
            f"{name} = {value} of a response curve is not a positive number.",
            hint="spend and customers are counted in the same period as the budget.",
        )


def not_negative(spend: ArrayLike) -> Floats:
    """Spend as numbers, each 0 or more."""
    s = np.asarray(spend, dtype=np.float64)
    if not np.all(s >= 0):
        raise InputError("spend is negative or missing.", hint="give money spent, 0 or more.")
    return s
