"""What leads are worth, and at which age they are compared: the terms of a funnel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clv.defaults import LEVEL
from clv.errors import InputError
from clv.shares import check_share


@dataclass(frozen=True)
class FunnelTerms:
    """The terms of a funnel.

    Parameters
    ----------
    age
        Days at which conversion is compared; if None the greatest that most leads have reached.
    value
        What a new customer is worth before the cost of winning him, in currency: a number, or a
        number by channel; if None the mean value of the won leads, where the table has one.
    cost_to_serve
        What working on a lead from now on costs, in currency.
    level
        Of intervals.

    Raises
    ------
    InputError
        A number is out of range.

    Examples
    --------
    >>> FunnelTerms(age=90, value={"fair": 900.0, "web": 400.0}).age
    90
    """

    age: float | None = None
    value: float | Mapping[str, float] | None = field(default=None, hash=False)
    cost_to_serve: float = 0.0
    level: float = LEVEL

    def __post_init__(self) -> None:
        check_share("level", self.level, "(0, 1)")
        _check("age", self.age, above=0)
        _check("cost_to_serve", self.cost_to_serve)
        values = self.value.items() if isinstance(self.value, Mapping) else [("", self.value)]
        for channel, value in values:
            _check(f"value of {channel}" if channel else "value", value)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        value = dict(self.value) if isinstance(self.value, Mapping) else self.value
        return {**vars(self), "value": value}


def _check(name: str, value: Any, *, above: float | None = None) -> None:
    if value is None:
        return
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not 0 <= value < np.inf:
        raise InputError(f"{name} = {value!r} is no number of 0 or more.")
    if above is not None and value <= above:
        raise InputError(f"{name} = {value!r}: give more than {above:g}.")
