"""Shares and rates are fractions: checked here, with a word to who typed a percentage."""

from __future__ import annotations

from typing import Any, SupportsFloat

from clv.errors import InputError


def check_share(name: str, value: Any, within: str = "[0, 1]", hint: str = "") -> None:
    """Raise ``InputError`` unless a share is ``within`` its limits, written as in mathematics.

    >>> check_share("margin_rate", 30, "(0, 1]")
    Traceback (most recent call last):
    ...
    clv.errors.InputError: margin_rate = 30 is not in (0, 1].
    Hint: it is a fraction: write 0.3 for 30%.
    """
    if outside(value, within):
        raise InputError(
            f"{name} = {value} is not in {within}.",
            hint=hint_of_percent(value) or hint or "give a fraction, such as 0.3 for 30%.",
        )


def parse_share(text: str) -> float:
    """A share as people type it; ``ValueError`` if it is none.

    >>> parse_share("0.3"), parse_share("30%")
    (0.3, 0.3)
    """
    number = float(text.strip().removesuffix("%"))
    return number / 100 if "%" in text else number


def outside(value: Any, within: str) -> bool:
    """Whether a value is no number within limits.

    >>> outside(0, "(0, 1]"), outside(1, "(0, 1]"), outside("half", "(0, 1]")
    (True, False, True)
    """
    if isinstance(value, bool | str) or not isinstance(value, SupportsFloat):
        return True
    try:
        share, (low, high) = float(value), map(float, within[1:-1].split(","))
    except OverflowError:  # hundreds of digits
        return True
    above = share >= low if within[0] == "[" else share > low
    return not (above and (share <= high if within[-1] == "]" else share < high))


def hint_of_percent(value: Any) -> str:
    """What to write for what looks like a percentage; empty for anything else.

    >>> hint_of_percent(50), hint_of_percent(0.5)
    ('it is a fraction: write 0.5 for 50%.', '')
    """
    if outside(value, "(1, 100]"):
        return ""
    return f"it is a fraction: write {float(value) / 100:g} for {float(value):g}%."
