"""Amounts of one column of a table in one format."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from clv.format import money, unknown


def money_column(
    amounts: Iterable[float | None], currency: str = ""
) -> Callable[[float | None], str]:
    """How the amounts of one column are written: all in full units, or all with pence.

    >>> amounts = (152.4, 87.21, 0.2, None)
    >>> [money_column(amounts, "GBP")(amount) for amount in amounts]
    ['£152', '£87', 'under £1', '–']
    >>> [money_column((7.5, 12), "GBP")(amount) for amount in (7.5, 12)]
    ['£7.50', '£12.00']
    """
    seen = [abs(amount) for amount in amounts if amount is not None and not unknown(amount)]
    whole = max(seen, default=0.0) >= 99.995 or all(float(size).is_integer() for size in seen)

    def write(amount: float | None) -> str:
        if amount is None or unknown(amount) or not whole:
            return money(amount, currency, cents=True)
        if 0 < amount < 0.5:
            return f"under {money(1.0, currency)}"
        return money(round(float(amount), 0) + 0.0, currency)  # no minus before a 0

    return write
