"""Money, dates, percentages and counts as people write them."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

NONE = "–"  # a figure that is not known
SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$", "JPY": "¥", "INR": "₹", "CNY": "CN¥", "BRL": "R$"}
LARGE = ((1e9, "bn"), (1e6, "m"), (1e3, "k"))


def money(amount: float | None, currency: str = "") -> str:
    r"""An amount in full; pence only where they matter.

    >>> money(8415230.4, "GBP"), money(12.3, "EUR"), money(-40, "CHF"), money(None)
    ('£8,415,230', '€12.30', '−CHF\xa040', '–')
    >>> money(0.002, "USD"), money(99.999, "USD")
    ('under $0.01', '$100')
    """
    if unknown(amount):
        return NONE
    assert amount is not None
    size = abs(amount)
    if 0 < size < 0.005:
        return f"under {_unit(currency)}0.01" if amount > 0 else f"{_unit(currency)}0"
    digits = "0" if size >= 99.995 or float(amount).is_integer() else "2"
    return _signed(amount, f"{_unit(currency)}{size:,.{digits}f}")


def large_money(amount: float | None, currency: str = "") -> str:
    """An amount to be taken in at a glance, to three figures.

    >>> large_money(8415230.4, "GBP"), large_money(41_200, "USD"), large_money(812, "")
    ('£8.42m', '$41.2k', '812')
    """
    if unknown(amount):
        return NONE
    assert amount is not None
    size = abs(amount)
    for scale, letter in LARGE:
        if size >= 0.9995 * scale:
            return _signed(amount, f"{_unit(currency)}{_three(size / scale)}{letter}")
    return money(amount, currency)


def headline_money(amount: float | None, currency: str = "") -> str:
    """An amount in full as long as that is taken in at a glance.

    >>> headline_money(1_234_567, "GBP"), headline_money(198_928_970, "GBP")
    ('£1,234,567', '£199m')
    """
    large = not unknown(amount) and abs(amount or 0.0) >= 1e7
    return large_money(amount, currency) if large else money(amount, currency)


def short_money(amount: float, currency: str = "") -> str:
    """An amount beside the axis of a chart.

    >>> short_money(2_500_000, "GBP"), short_money(0, "GBP"), short_money(40_000)
    ('£2.5m', '£0', '40k')
    """
    size = abs(amount)
    for scale, letter in LARGE:
        if size >= scale:
            return _signed(amount, f"{_unit(currency)}{size / scale:.6g}{letter}")
    return _signed(amount, f"{_unit(currency)}{size:.6g}")


def count(number: float | None) -> str:
    """A number of things.

    >>> count(16563), count(0.7), count(None)
    ('16,563', '0.7', '–')
    """
    if unknown(number):
        return NONE
    assert number is not None
    whole = float(number).is_integer() or abs(number) >= 100
    return _signed(number, f"{abs(number):,.0f}" if whole else f"{abs(number):,.3g}")


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun.

    >>> counted(1, "customer"), counted(2300, "customer")
    ('1 customer', '2,300 customers')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def percent(share: float | None) -> str:
    """A share; one place more where it is small.

    >>> percent(0.314), percent(0.0314), percent(0.0002), percent(0), percent(1), percent(0.9996)
    ('31%', '3.1%', 'under 0.1%', '0%', '100%', 'nearly 100%')
    """
    if unknown(share):
        return NONE
    assert share is not None
    size = abs(share)
    if 0 < size < 0.001:
        return "under 0.1%"
    if 0.995 <= size < 1 - 1e-12:  # less is the dust of a sum
        return "nearly 100%"
    return _signed(share, f"{100 * size:.{0 if size >= 0.1 or size == 0 else 1}f}%")


def change(share: float | None) -> str:
    """A share more or less, with its sign.

    >>> change(0.123), change(-0.041), change(0)
    ('+12%', '−4.1%', '0%')
    """
    if unknown(share):
        return NONE
    assert share is not None
    return f"+{percent(share)}" if share > 0 and abs(share) >= 0.001 else percent(share)


def day(date: dt.date | str | None, *, short: bool = False) -> str:
    """A date.

    >>> day("2011-12-09"), day(dt.date(2011, 12, 9), short=True), day(None)
    ('9 December 2011', '9 Dec 2011', '–')
    """
    if date is None:
        return NONE
    found = dt.date.fromisoformat(date[:10]) if isinstance(date, str) else date
    return f"{found.day} {found:{'%b' if short else '%B'} %Y}"


def month(text: str) -> str:
    """A month, such as that of a cohort.

    >>> month("2011-03")
    'March 2011'
    """
    return f"{dt.date.fromisoformat(text + '-01'):%B %Y}"


def days(number: float | None) -> str:
    """A length of time in days, or in what is easier to take in.

    >>> days(1), days(17.2), days(70), days(400)
    ('1 day', '17 days', '70 days', '13 months')
    """
    if unknown(number):
        return NONE
    assert number is not None
    if number < 100:
        return counted(round(number), "day")
    return counted(round(number / (365.25 / 12)), "month")


def sentence(text: str) -> str:
    """Text with a capital and a full stop.

    >>> sentence("no consent"), sentence("Why?")
    ('No consent.', 'Why?')
    """
    text = capital(text.strip())
    return text + ("" if text.endswith((".", "!", "?")) else ".")


def capital(text: str) -> str:
    """Text with a capital; the name of a column stays as it is.

    >>> capital("no consent"), capital("days_since_last has moved")
    ('No consent', 'days_since_last has moved')
    """
    return text if "_" in text.split(" ")[0] else text[:1].upper() + text[1:]


def unknown(value: Any) -> bool:
    """Whether a figure is missing or no number."""
    return value is None or not math.isfinite(value)


def symbol(currency: str) -> str:
    """What a currency is called beside a field.

    >>> symbol("GBP"), symbol("CHF"), symbol("")
    ('£', 'CHF', '')
    """
    return _unit(currency).strip()


def dated(text: str) -> str:
    """Text in which days are written as people write them.

    >>> dated("Tested on 2011-09-09, see run-2011-09-09-a.")
    'Tested on 9 September 2011, see run-2011-09-09-a.'
    """
    return re.sub(r"(?<![\w-])\d{4}-\d{2}-\d{2}(?![\w-])", lambda found: day(found[0]), text)


def _unit(currency: str) -> str:
    r"""What stands before an amount.

    >>> _unit("GBP"), _unit("CHF"), _unit("")
    ('£', 'CHF\xa0', '')
    """
    return SYMBOLS.get(currency, f"{currency}\u00a0" if currency else "")


def _three(size: float) -> str:
    """Three figures, without an exponent.

    >>> _three(8.4152), _three(41.23), _three(999.7)
    ('8.42', '41.2', '1,000')
    """
    digits = 0 if size >= 99.95 else 1 if size >= 9.995 else 2
    return f"{size:,.{digits}f}"


def _signed(value: float, written: str) -> str:
    """With a minus sign that type knows, but none before what rounds to nothing."""
    return f"−{written}" if value < 0 and any(c in "123456789" for c in written) else written


# Numbers and names as the sentences of a decision write them.


ATTRIBUTED = "attributed, not incremental"
SHOWN = 3  # names in one sentence


def kind_of_customers(incrementality: Iterable[float]) -> str:
    """What new customers are counted as: incremental only where every factor is below 1.

    >>> kind_of_customers([0.8, 1.0]), kind_of_customers([0.8])
    ('attributed, not incremental', 'incremental')
    """
    return ATTRIBUTED if any(factor == 1 for factor in incrementality) else "incremental"


def cash(amount: float) -> str:
    """An amount as people write it.

    >>> cash(8515.4), cash(12.3), cash(40.0), cash(0.000012)
    ('8,515', '12.30', '40', '1.2e-05')
    """
    if abs(amount) >= 1000 or float(amount).is_integer():
        return f"{amount:,.0f}"
    return f"{amount:.2f}" if abs(amount) >= 0.1 else f"{amount:.4g}"


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are.

    >>> some(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
