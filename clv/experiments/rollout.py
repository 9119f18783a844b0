"""What a test is worth: the decision that it would change, in money.

The decision is to do something to so many customers or to leave it. One of them earns
v (lift - b), with b = contact cost / v the break-even lift, and what is known of the lift today is
N(m, s^2). With L(u) = phi(u) - u (1 - Phi(u)), the unit normal loss [1]_:

    EVPI   customers * v * s  L(|m - b| / s)       what it would be worth to know the lift
    EVSI   customers * v * s' L(|m - b| / s')      what a test of standard error e is worth
           s' = s^2 / sqrt(s^2 + e^2)              how far it is expected to move m

References
----------
.. [1] Raiffa & Schlaifer 1961, Applied Statistical Decision Theory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtr

from clv.errors import InputError

NINETY = 1.6448536269514722  # standard deviations to either side of a 90% range


@dataclass(frozen=True)
class Rollout:
    """The decision that a test is for: to do something to all these customers, or to leave it.

    Parameters
    ----------
    customers
        Whom it is decided about, those of the test among them.
    value
        What one of them is worth that the lift raises: CLV, or the margin within the test's weeks.
    contact_cost
        What doing it costs per customer.
    lift_range
        Where the lift lies with 90%, by what is known today; None takes from nothing to twice the
        lift that the test is planned for, an assumption.

    Examples
    --------
    >>> from clv import Rollout
    >>> decision = Rollout(customers=20_000, value=90.0, contact_cost=4.0, lift_range=(0.0, 0.1))
    >>> round(decision.break_even, 4), round(decision.worth_knowing())
    (0.0444, 17192)
    """

    customers: int
    value: float
    contact_cost: float = 0.0
    lift_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not (self.customers >= 1 and int(self.customers) == self.customers):
            raise InputError(f"{self.customers} is no number of customers to decide about.")
        if not 0 < self.value < math.inf:
            raise InputError(f"value = {self.value} is not what a customer is worth.")
        if not 0 <= self.contact_cost < math.inf:
            raise InputError(f"contact_cost is {self.contact_cost}.", hint="give 0 or more.")
        if self.lift_range is not None:
            low, high = self.lift_range
            if not (-1 <= low < high < math.inf):
                raise InputError(
                    f"lift_range = {self.lift_range} is no range of lifts.",
                    hint="give the lower end first, as fractions: (-0.02, 0.1).",
                )

    @property
    def break_even(self) -> float:
        """The lift that pays for the contact."""
        return self.contact_cost / self.value

    @property
    def mean(self) -> float:
        """The lift expected today."""
        low, high = self._range
        return (low + high) / 2

    @property
    def spread(self) -> float:
        """How unsure it is: the standard deviation of the lift, as known today."""
        low, high = self._range
        return (high - low) / (2 * NINETY)

    @property
    def today(self) -> float:
        """What the better of doing it and leaving it is expected to earn today."""
        return self.customers * max(self.per_customer, 0.0)

    @property
    def per_customer(self) -> float:
        """What doing it is expected to earn per customer."""
        return self.value * self.mean - self.contact_cost

    def worth_knowing(self, standard_error: float = 0.0, customers: int | None = None) -> float:
        """EVSI of a test whose lift has this standard error; EVPI where it has none."""
        decided = self.customers if customers is None else max(customers, 0)
        moved = self.moved(standard_error)
        return decided * self.value * moved * _loss(abs(self.mean - self.break_even) / moved)

    def chance_of_change(self, standard_error: float) -> float:
        """The chance that the test turns today's decision round."""
        away = abs(self.mean - self.break_even) / self.moved(standard_error)
        return float(ndtr(-away))

    def moved(self, standard_error: float) -> float:
        """Standard deviation of what will be expected once the test is read."""
        return self.spread**2 / math.hypot(self.spread, standard_error)

    @property
    def _range(self) -> tuple[float, float]:
        if self.lift_range is None:
            raise InputError("nothing is known of the lift.", hint="give lift_range=(low, high).")
        return self.lift_range


def _loss(u: float) -> float:
    """The unit normal loss L(u) = E[max(Z - u, 0)]."""
    return math.exp(-u * u / 2) / math.sqrt(2 * math.pi) - u * float(ndtr(-u))
