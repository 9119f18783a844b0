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
its parameters, its check and its three formulas; mirror ``MichaelisMenten``.

Every curve also carries ``assumed``, the names of those parameters that nobody has estimated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from clv.errors import InputError
from clv.schema import Floats

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

    @classmethod
    def stack(cls, curves: Sequence[Self]) -> Self:
        """One curve whose parameters are arrays over ``curves``, all of this class."""
        names = [f.name for f in fields(cls) if f.name != "assumed"]
        arrays: dict[str, Any] = {
            name: np.array([getattr(curve, name) for curve in curves]) for name in names
        }
        return cls(**arrays)


@dataclass(frozen=True)
class Power(Response):
    """n(s) = k s^b with elasticity 0 < b < 1: 1% more spend brings b% more customers.

    Parameters
    ----------
    k
        Customers bought by the first unit of money.
    b
        Elasticity.

    Examples
    --------
    >>> search = Power(k=12, b=0.6)
    >>> round(float(search.customers(10_000)), 1)
    3014.3
    >>> round(float(1 / search.marginal(10_000)), 3)  # marginal CAC
    5.529
    """

    k: Parameter
    b: Parameter

    def __post_init__(self) -> None:
        _positive("k", self.k)
        _positive("b", self.b)
        if np.any(np.asarray(self.b) >= 1):
            raise InputError(
                f"an elasticity b of {self.b} is not below 1.",
                hint="with b >= 1 the next customer is never dearer than the last; most channels "
                "lie between 0.2 and 0.8.",
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
        return np.asarray(self.k * _not_negative(spend) ** self.b)

    def marginal(self, spend: ArrayLike) -> Floats:
        """n'(s) = k b s^(b - 1), infinite at s = 0."""
        with np.errstate(divide="ignore"):
            return np.asarray(self.k * self.b * _not_negative(spend) ** (self.b - 1))

    def spend_at(self, marginal: ArrayLike) -> Floats:
        """The spend s = (k b / n')^(1 / (1 - b))."""
        with np.errstate(divide="ignore", over="ignore", under="ignore"):
            ratio = self.k * self.b / np.asarray(marginal, dtype=np.float64)
            return np.asarray(ratio ** (1 / (1 - self.b)))


@dataclass(frozen=True)
class MichaelisMenten(Response):
    """n(s) = V s / (K + s): at most V customers a period, half of them at spend K.

    Parameters
    ----------
    V
        Customers that no spend exceeds.
    K
        Spend that brings half of them.

    Examples
    --------
    >>> video = MichaelisMenten(V=900, K=20_000)
    >>> float(video.customers(20_000))
    450.0
    >>> round(float(1 / video.marginal(0)), 3)  # the first customer's CAC, K / V
    22.222
    """

    V: Parameter
    K: Parameter

    def __post_init__(self) -> None:
        _positive("V", self.V)
        _positive("K", self.K)

    def customers(self, spend: ArrayLike) -> Floats:
        """n(s) = V s / (K + s)."""
        s = _not_negative(spend)
        return np.asarray(self.V * (s / (self.K + s)))

    def marginal(self, spend: ArrayLike) -> Floats:
        """n'(s) = V K / (K + s)^2."""
        s = _not_negative(spend)
        return np.asarray(self.V / (self.K + s) * (self.K / (self.K + s)))

    def spend_at(self, marginal: ArrayLike) -> Floats:
        """The spend s = sqrt(V K / n') - K, and 0 where n'(0) = V / K is below n'."""
        with np.errstate(divide="ignore", over="ignore", under="ignore"):
            ratio = self.V / self.K / np.asarray(marginal, dtype=np.float64)
            return np.asarray(self.K * np.maximum(np.sqrt(ratio) - 1, 0.0))


def _positive(name: str, value: Parameter) -> None:
    array = np.asarray(value, dtype=np.float64)
    if not np.all(np.isfinite(array) & (array > 0)):
        raise InputError(
            f"{name} = {value} of a response curve is not a positive number.",
            hint="spend and customers are counted in the same period as the budget.",
        )


def _not_negative(spend: ArrayLike) -> Floats:
    s = np.asarray(spend, dtype=np.float64)
    if not np.all(s >= 0):
        raise InputError("spend is negative or missing.", hint="give money spent, 0 or more.")
    return s
