"""Amounts that people set: a number and a slider under one name, which agree without a script.

A form sends three fields for each dial: ``NAME`` from the number, ``NAME.slide`` from the slider
and ``NAME.was``, what both showed when the page was made, such as "640 600". What has moved since
is what was meant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from clv.app.budget_plan import written
from clv.errors import InputError
from clv.format import symbol

SLIDE, WAS = ".slide", ".was"
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
NOTCHES = 200  # about so many stops of a slider


@dataclass(frozen=True)
class Dial:
    """A number with its slider, ready to be drawn by the macro ``dial``.

    Attributes
    ----------
    name, label
        Of the field.
    value
        What both show; the slider shows the stop next to it.
    low, high, step
        Ends and stops of the slider; the number may lie between them, and beyond ``high``.
    unit, hint
        What stands behind the label, and below it.

    Examples
    --------
    >>> Dial("budget", "Budget", 12_340, 0, 50_000, 250).slide
    '12250'
    """

    name: str
    label: str
    value: float
    low: float
    high: float
    step: float
    unit: str = ""
    hint: str = ""

    @property
    def number(self) -> str:
        """The value as a field shows it."""
        return written(self.value)

    @property
    def slide(self) -> str:
        """Where a browser puts the slider."""
        return written(self._stop(self.value))

    @property
    def was(self) -> str:
        """What both show, to be sent along."""
        return f"{self.number} {self.slide}"

    def turned(self, query: Mapping[str, str]) -> bool:
        """Whether a form says anything other than what it showed."""
        was = self._parsed(query.get(self.name + WAS, "").partition(" ")[0])
        return was is None or not _same(self.read(query), was)

    def read(self, query: Mapping[str, str]) -> float:
        """What a form means; ``value`` where it does not say.

        Raises
        ------
        InputError
            A field is no number, or is below ``low``.

        Examples
        --------
        >>> dial = Dial("budget", "Budget", 0, 0, 1000, 100)
        >>> dial.read({"budget": "660", "budget.slide": "600", "budget.was": "640 600"})
        660.0
        >>> dial.read({"budget": "640", "budget.slide": "900", "budget.was": "640 600"})
        900.0
        """
        number = self._parsed(query.get(self.name, ""))
        slide = self._parsed(query.get(self.name + SLIDE, ""))
        drawn = self._parsed(query.get(self.name + WAS, "").partition(" ")[2])
        moved = slide is not None and drawn is not None and not _same(slide, drawn)
        number_typed = slide if moved or number is None else number
        return self.value if number_typed is None else number_typed

    def _stop(self, value: float) -> float:
        """The stop nearest to a value, as a browser finds it."""
        last = math.floor((self.high - self.low) / self.step + 1e-9)
        steps = math.floor((value - self.low) / self.step + 0.5)
        return self.low + self.step * min(max(steps, 0), last)

    def _parsed(self, text: str) -> float | None:
        if text.strip() == "":
            return None
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and self.low <= number < 1e15):
            raise InputError(
                f"{self.label} is {text[:40]!r}.",
                hint=f"give a number of at least {written(self.low)}.",
            )
        return number


def in_currency(currency: str) -> str:
    """What stands behind the label of an amount.

    >>> in_currency("EUR"), in_currency("")
    ('in €', '')
    """
    return f"in {symbol(currency)}" if currency else ""


def stops(most: float) -> tuple[float, float]:
    """The end of a slider that reaches ``most``, and the step between its stops.

    >>> stops(18_340), stops(0)
    ((18400.0, 100.0), (1.0, 0.005))
    """
    top = most if most > 0 and math.isfinite(most) else 1.0
    rough = top / NOTCHES
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(scale * factor for factor in STEPS if scale * factor >= rough * 0.999)
    return step * math.ceil(top / step - 1e-9), step


def _same(number: float, other: float) -> bool:
    return math.isclose(number, other, rel_tol=1e-9, abs_tol=0.0051)
