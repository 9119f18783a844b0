"""Time units, durations and discount rates: the only place that knows how long a week or a year is.

A model never converts units. It is fitted in the unit of its data, and whoever calls it says a
duration with its unit (``Duration.parse("3 years")``) and asks for its length in the model's unit.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, get_args

from clv.errors import InputError
from clv.shares import check_share

Unit = Literal["day", "week", "month", "year"]

DAYS_PER_YEAR = 365.25
DAYS: dict[Unit, float] = {
    "day": 1.0,
    "week": 7.0,
    "month": DAYS_PER_YEAR / 12,
    "year": DAYS_PER_YEAR,
}


def as_unit(name: str) -> Unit:
    """The unit that ``name`` means, singular or plural.

    >>> as_unit("Weeks")
    'week'
    """
    unit = str(name).strip().lower().removesuffix("s")
    if unit not in DAYS:
        raise InputError(
            f"{name!r} is not a time unit.", hint=f"use one of {', '.join(get_args(Unit))}."
        )
    return unit


def periods_per_year(unit: Unit) -> float:
    """How many units a year has, counting 365.25 days.

    >>> round(periods_per_year("week"), 4)
    52.1786
    """
    return DAYS_PER_YEAR / DAYS[unit]


def continuous_rate(annual: float, per_year: float) -> float:
    """The continuous discount rate per unit, delta = ln(1 + d) / N.

    Parameters
    ----------
    annual
        Annual effective rate d, as a fraction: 0.10 for 10% a year.
    per_year
        N, units per year: ``periods_per_year("week")``, or the 52 that the papers use.

    Examples
    --------
    >>> round(continuous_rate(0.15, 52), 7)
    0.0026877
    """
    check_share("annual_discount_rate", annual, "(-1, 1)", "such as 0.10 for 10% a year.")
    return math.log1p(annual) / per_year


@dataclass(frozen=True)
class Duration:
    """A length of time that knows its unit.

    Parameters
    ----------
    length
        How many of the unit; positive.
    unit
        "day", "week", "month" or "year".

    Examples
    --------
    >>> Duration.parse("13 weeks").to("day")
    91.0
    >>> str(Duration(3, "year"))
    '3 years'
    """

    length: float
    unit: Unit

    def __post_init__(self) -> None:
        if not (math.isfinite(self.length) and self.length > 0):
            raise InputError(f"a duration of {self.length} {self.unit}s is not positive.")

    @classmethod
    def parse(cls, text: str | Duration) -> Duration:
        """Read ``"90 days"``, ``"13 weeks"``, ``"1.5 years"``.

        Parameters
        ----------
        text
            A number and a unit; a ``Duration`` is passed through.

        Returns
        -------
        The duration.

        Raises
        ------
        InputError
            The text is no length of time.
        """
        if isinstance(text, Duration):
            return text
        match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*([A-Za-z]+)\s*", str(text))
        if match is None:
            raise InputError(
                f"{text!r} is not a duration.", hint='write a number and a unit, as in "13 weeks".'
            )
        return cls(float(match[1]), as_unit(match[2]))

    def to(self, unit: Unit) -> float:
        """The length in ``unit``."""
        return self.length if unit == self.unit else self.length * DAYS[self.unit] / DAYS[unit]

    def __str__(self) -> str:
        length = repr(float(self.length)).removesuffix(".0")  # all digits: it is read back
        return f"{length} {self.unit}" + ("" if self.length == 1 else "s")
