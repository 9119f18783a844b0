"""How a length of time is said."""

from __future__ import annotations

from clv.errors import InputError
from clv.format import counted
from clv.periods import Duration

SAME_YEARS = 0.005  # 156 weeks are three years


def span(horizon: object) -> str:
    """A length of time as one says it: in years where it is whole years, else in its own unit.

    >>> span("156 weeks"), span("36 months"), span("13 weeks"), span("1.5 years")
    ('3 years', '3 years', '13 weeks', '1.5 years')
    >>> span("the campaign's window")
    "the campaign's window"
    """
    try:
        length = Duration.parse(str(horizon))
    except InputError:
        return str(horizon)
    years = length.to("year")
    if abs(years - max(round(years), 1)) < SAME_YEARS * years:
        return counted(round(years), "year")
    return counted(length.length, length.unit)
