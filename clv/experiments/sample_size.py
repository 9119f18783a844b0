r"""How many customers a test takes, and what it would see with fewer.

For an effect of delta per customer, an outcome of standard deviation sd, of whose variance what
was known before explains R^2, and a share c held out of n customers:

    standard error   sd sqrt((1 - R^2) / (n c (1 - c)))
    n                (z_{1 - level/2} + z_power)^2 sd^2 (1 - R^2) / (delta^2 c (1 - c))

With half held out that is 2 (z + z)^2 sd^2 (1 - R^2) / delta^2 in each group. Adjusting for what
was known before is CUPED [1]_, an analysis of covariance.

References
----------
.. [1] Deng, Xu, Kohavi & Walker 2013, Improving the sensitivity of online controlled experiments by
   utilizing pre-experiment data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtr, ndtri

from clv.defaults import TEST_CONTROL_SHARE, TEST_LEVEL, TEST_POWER
from clv.errors import InputError
from clv.shares import check_share

MOST = 10**12  # customers; more are nowhere


@dataclass(frozen=True)
class SampleSize:
    """The two groups of a test in which the effect is one for all.

    Parameters
    ----------
    sd
        Standard deviation of the outcome, per customer.
    r2
        Share of its variance that is known before.
    control_share
        Who is held out.
    power, level
        Chance to see an effect that is there, and one that is not (two-sided).
    """

    sd: float
    r2: float = 0.0
    control_share: float = TEST_CONTROL_SHARE
    power: float = TEST_POWER
    level: float = TEST_LEVEL

    def __post_init__(self) -> None:
        if not 0 < self.sd < math.inf:
            raise InputError(
                f"a standard deviation of {self.sd} makes no test.",
                hint="it is that of the outcome between customers, in its own unit.",
            )
        check_share("r2", self.r2, "[0, 1)")
        check_share("control_share", self.control_share, "(0, 1)")
        check_share("level", self.level, "(0, 0.5]")
        check_share("power", self.power, "(0, 1)")
        if self.power <= self.level / 2:
            raise InputError(f"a power of {self.power:g} is less than chance gives.")

    @property
    def errors(self) -> float:
        """Standard errors that an effect must be away from nothing, to be seen as promised."""
        return float(ndtri(1 - self.level / 2) + ndtri(self.power))

    def customers(self, effect: float) -> int:
        """Customers in both groups together.

        >>> SampleSize(sd=44.6).customers(0.1 * 9.08)
        75748
        """
        share = self.control_share * (1 - self.control_share)
        away = self.errors * self.sd / effect if effect > 0 else math.inf
        needed = away * min(away, MOST) * (1 - self.r2) / share  # min: a square may overflow
        if not needed < MOST:
            raise InputError(
                f"an effect of {effect:g} beside a standard deviation of {self.sd:g} is not seen "
                "with any number of customers.",
                hint="test something with a larger effect, or an outcome that varies less.",
            )
        return max(math.ceil(round(needed, 6)), 2)  # somebody in either group

    def split(self, customers: int) -> tuple[int, int]:
        """How many of them are treated, and how many held out."""
        control = min(max(round(self.control_share * customers), 1), max(customers - 1, 1))
        return customers - control, control

    def standard_error(self, customers: float) -> float:
        """Of the effect, with so many customers in both groups."""
        share = self.control_share * (1 - self.control_share)
        return self.sd * math.sqrt((1 - self.r2) / (share * customers))

    def detectable(self, customers: float) -> float:
        """The smallest effect that so many customers show with the power asked for."""
        return self.errors * self.standard_error(customers)

    def power_at(self, effect: float, customers: float) -> float:
        """The chance that so many customers show an effect.

        >>> size = SampleSize(sd=10.0)
        >>> round(size.power_at(1.0, size.customers(1.0)), 3)
        0.8
        """
        z = ndtri(1 - self.level / 2)
        error = self.standard_error(customers)
        away = effect / error if error > 0 else math.inf
        return float(ndtr(away - z) + ndtr(-away - z))
