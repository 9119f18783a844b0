"""The balance of acquisition and retention for a firm that knows only its totals.

Per prospect A is spent on acquisition and a share a = C_a (1 - exp(-k_a A)) is won; per customer
and year R is spent on retention and a share ret = C_r (1 - exp(-k_r R)) is kept; each customer
brings the margin m a year and the discount rate is d. What a prospect is worth,

    a m - A + a (m - R / ret) (r' + r'^2 + ...),   r' = ret / (1 + d),

is greatest where the last customer costs the same, won or kept: 1 / a'(A) = 1 / ret'(R) = C, with
C = [m (1 + d) - R] / (1 + d - ret).

References
----------
.. [1] Blattberg & Deighton (1996), Manage marketing by the customer equity test, Harvard Business
   Review 74(4).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy.optimize import brentq

from clv.errors import InputError
from clv.format import money, percent
from clv.shares import check_share


@dataclass(frozen=True)
class Balance:
    """The best spend on winning and on keeping customers; money in the currency of the margin.

    Parameters
    ----------
    acquisition
        A*: spend per prospect.
    retention
        R*: spend per customer and year.
    acquisition_rate, retention_rate
        Shares won and kept at that spend.
    marginal_cost
        C: what the last customer costs, won or kept, which is what one is worth from then on; 0
        where not even the first is worth it.
    value_per_prospect
        What a prospect is worth in all.
    """

    acquisition: float
    retention: float
    acquisition_rate: float
    retention_rate: float
    marginal_cost: float
    value_per_prospect: float

    def __str__(self) -> str:
        return (
            f"Spend {money(self.acquisition)} per prospect to win "
            f"{percent(self.acquisition_rate)} of them and {money(self.retention)} per customer "
            f"and year to keep {percent(self.retention_rate)}; the last customer then costs "
            f"{money(self.marginal_cost)}, won or kept."
        )


@dataclass(frozen=True)
class Ceiling:
    """A share C (1 - exp(-k s)) reached by spending s per head.

    >>> curve = Ceiling.through(spend=20, share=0.25, ceiling=0.4)
    >>> round(curve.share(20), 12), curve.share(1e6)
    (0.25, 0.4)
    """

    ceiling: float
    k: float

    def __post_init__(self) -> None:
        hint = "the ceiling is the share that no spend exceeds, in (0, 1]; k is positive."
        check_share("ceiling", self.ceiling, "(0, 1]", hint)
        if not 0 < self.k < math.inf:
            raise InputError(f"k = {self.k} is no curve.", hint=hint)

    @classmethod
    def through(cls, spend: float, share: float, ceiling: float) -> Ceiling:
        """The curve through today's spend and share, with a ceiling that someone has judged."""
        check_share("share", share, "(0, 1]")
        if not (spend > 0 and share < ceiling):
            raise InputError(
                f"a share of {share} at a spend of {spend} lies on no curve below {ceiling}.",
                hint="spend above 0, and a share above 0 and below the ceiling.",
            )
        return cls(ceiling, -math.log1p(-share / ceiling) / spend)

    def share(self, spend: float) -> float:
        """The share reached by ``spend``."""
        return -self.ceiling * math.expm1(-self.k * spend)

    def cost_of_last(self, spend: float) -> float:
        """1 / share'(s): what the last one costs."""
        return math.exp(self.k * spend) / (self.ceiling * self.k)

    def spend_at(self, cost: float) -> float:
        """Up to which spend the last one costs no more than ``cost``."""
        return max(math.log(self.ceiling * self.k * cost) / self.k, 0.0) if cost > 0 else 0.0


def balance(
    margin: float, discount_rate: float, acquisition: Ceiling, retention: Ceiling
) -> Balance:
    """The spend on acquisition and retention that makes a prospect worth most.

    Parameters
    ----------
    margin
        m: yearly contribution margin of a customer, before retention spend, in currency.
    discount_rate
        d: annual effective rate, as a fraction.
    acquisition
        Share of prospects won against spend per prospect.
    retention
        Share of customers kept for another year against spend per customer and year.

    Returns
    -------
    Balance
        Spend per prospect and per customer and year, the shares won and kept, what a won customer
        and what a prospect is worth, all in the currency of ``margin``.

    Raises
    ------
    InputError
        The margin is not positive, the rate is not above -1, or customers could be kept for ever.

    Examples
    --------
    >>> found = balance(100, 0.15, Ceiling(0.3, 0.05), Ceiling(0.8, 0.08))
    >>> round(found.retention, 6), round(found.marginal_cost, 6), round(found.acquisition, 6)
    (31.963502, 201.53285, 22.124946)
    """
    check_share("discount_rate", discount_rate, "(-1, 1)")
    if not 0 < margin < math.inf:
        raise InputError(
            f"a margin of {margin} cannot be balanced.", hint="give a positive yearly margin."
        )
    if retention.ceiling >= 1 + discount_rate:
        raise InputError(
            "customers who may all be kept for ever, undiscounted, are worth any amount.",
            hint="give a ceiling of retention below 1, or a positive discount rate.",
        )

    def lifetime_value(R: float) -> float:
        return (margin * (1 + discount_rate) - R) / (1 + discount_rate - retention.share(R))

    R = _best_retention(lifetime_value, retention, margin * (1 + discount_rate))
    C = lifetime_value(R)
    A = acquisition.spend_at(C)
    won = acquisition.share(A)
    # as a m + a (m - R / ret) (r' + r'^2 + ...) = a C
    return Balance(A, R, won, retention.share(R), C, won * C - A)


def _best_retention(
    lifetime_value: Callable[[float], float], retention: Ceiling, highest: float
) -> float:
    """R with 1 / ret'(R) = C(R); 0 where the first customer kept costs more than C."""

    def gap(R: float) -> float:
        return lifetime_value(R) - retention.cost_of_last(R)

    if gap(0.0) <= 0:
        return 0.0
    high = min(highest, 700 / retention.k)  # C is 0 at the one, the cost a huge number at the other
    return float(brentq(gap, 0.0, high, xtol=1e-12, rtol=1e-14))
