"""Money, dates, percentages and counts as people write them, by currency and locale.

The figures follow the locale (``locales.py``; Babel knows how); the words stay English.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from clv.locales import current_locale

if TYPE_CHECKING:
    from babel import Locale

NONE = "–"  # a figure that is not known
MINUS = "−"
SCALES = (1e9, 1e6, 1e3)
MOST = 1e18  # amounts that are written in full
ATTRIBUTED = "attributed, not incremental"
LISTED = 3  # names in one sentence
MEASURES = {"gini": "Gini", "rmse": "RMSE"}  # as they are called


def money(amount: float | None, currency: str = "", *, cents: bool = False) -> str:
    r"""An amount in full; pence only where they matter, or with ``cents``, in columns that add up.

    >>> money(8415230.4, "GBP"), money(12.3, "EUR"), money(-40, "CHF"), money(None)
    ('£8,415,230', '€12.30', '−CHF\xa040', '–')
    >>> money(0.002, "USD"), money(99.999, "USD"), money(2e30, "USD"), money(400, "USD", cents=True)
    ('under $0.01', '$100', '$2e+30', '$400.00')
    """
    if amount is None or unknown(amount):
        return NONE
    size = abs(amount)
    if 0 < size < 0.005 and not cents:
        return f"under {_priced(0.01, 2, currency)}" if amount > 0 else _priced(0, 0, currency)
    digits = 0 if (size >= 99.995 or float(amount).is_integer()) and not cents else 2
    return _signed(amount, _priced(size, digits, currency))


def large_money(amount: float | None, currency: str = "") -> str:
    """An amount to be taken in at a glance, to three figures.

    >>> large_money(8415230.4, "GBP"), large_money(41_200, "USD"), large_money(812, "")
    ('£8.42m', '$41.2k', '812')
    """
    if amount is None or unknown(amount):
        return NONE
    scale = next((scale for scale in SCALES if abs(amount) >= 0.9995 * scale), 1.0)
    size = abs(amount) / scale
    digits = 0 if size >= 99.95 else 1 if size >= 9.995 else 2
    return _scaled(amount, scale, digits, currency) or money(amount, currency)


def headline_money(amount: float | None, currency: str = "") -> str:
    """An amount in full as long as that is taken in at a glance.

    >>> headline_money(1_234_567, "GBP"), headline_money(198_928_970, "GBP")
    ('£1,234,567', '£199m')
    """
    write = large_money if not unknown(amount) and abs(amount or 0.0) >= 1e7 else money
    return write(amount, currency)


def short_money(amount: float, currency: str = "") -> str:
    """An amount beside the axis of a chart.

    >>> short_money(2_500_000, "GBP"), short_money(0, "GBP"), short_money(40_000)
    ('£2.5m', '£0', '40k')
    """
    size = abs(amount)
    scale = next((scale for scale in SCALES if size >= scale), 1.0)
    short = _scaled(amount, scale, _decimals(size / scale, 6), currency)
    return short or _signed(amount, _priced(size, _decimals(size, 6), currency))


def returns(ratio: float | None, currency: str = "") -> str:
    """What money brings, by the money spent.

    >>> returns(1.98, "GBP"), returns(1.98)
    ('£1.98 for every £1 spent', '1.98 for every 1 spent')
    """
    if ratio is None or unknown(ratio):
        return NONE
    return f"{money(ratio, currency)} for every {money(1, currency)} spent"


def ratio(value: float | None) -> str:
    """One figure by another; one that somebody typed, to a hundredth, stays as it is.

    >>> ratio(3), ratio(2.75), ratio(3.0412), ratio(0.2531), ratio(None)
    ('3 : 1', '2.75 : 1', '3.0 : 1', '0.25 : 1', '–')
    """
    if value is None or unknown(value):
        return NONE
    typed = value == round(value, 2)
    digits = _decimals(abs(value)) if typed else 1 if abs(value) >= 1 else 2
    return f"{_signed(value, _number(abs(value), digits))} : 1"


def number(value: float | None, digits: int = 2) -> str:
    """A plain figure, to so many places.

    >>> number(0.4213), number(-1.25, 1), number(1234.5), number(None)
    ('0.42', '−1.2', '1,234.50', '–')
    """
    if value is None or unknown(value):
        return NONE
    return _signed(value, _number(abs(value), digits))


def fine_number(value: float | None) -> str:
    """A measure between 0 and 1, to three places.

    >>> fine_number(0.42131)
    '0.421'
    """
    return number(value, 3)


def difference(value: float) -> str:
    """How many more or less, with its sign.

    >>> difference(12), difference(-1250.4)
    ('+12', '−1,250')
    """
    return ("+" if value > 0 else "") + count(value)


def whole_number(value: float | None) -> str:
    """A figure without places behind the point.

    >>> whole_number(1234.5), whole_number(-40)
    ('1,234', '−40')
    """
    return number(value, 0)


def figure(value: float | None, digits: int = 4) -> str:
    """A parameter, to so many figures, without an exponent unless it is tiny.

    >>> figure(42253.1), figure(0.8314), figure(2.36e-11), figure(-3.5)
    ('42,253', '0.8314', '2.36e-11', '−3.5')
    """
    if value is None or unknown(value):
        return NONE
    size = abs(value)
    return _signed(
        value, f"{size:.{digits}g}" if 0 < size < 1e-4 else _number(size, _decimals(size, digits))
    )


def count(number: float | None) -> str:
    """A number of things.

    >>> count(16563), count(0.7), count(None)
    ('16,563', '0.7', '–')
    """
    if number is None or unknown(number):
        return NONE
    size = abs(number)
    whole = float(number).is_integer() or size >= 100
    return _signed(number, _number(size, 0 if whole else _decimals(size)))


def counted(number: float, noun: str, plural: str = "") -> str:
    """A number with its noun.

    >>> counted(1, "customer"), counted(2300, "customer")
    ('1 customer', '2,300 customers')
    """
    return f"{count(number)} {noun if number == 1 else plural or noun + 's'}"


def percent(share: float | None) -> str:
    """A share; one place more where it is small and not a whole number.

    >>> percent(0.314), percent(0.0314), percent(0.0002), percent(0), percent(1), percent(0.9996)
    ('31%', '3.1%', 'under 0.1%', '0%', '100%', 'nearly 100%')
    >>> percent(0.05)
    '5%'
    """
    if share is None or unknown(share):
        return NONE
    size = abs(share)
    if 0 < size < 0.001:
        return f"under {_percent(0.001, 1)}"
    if 0.995 <= size < 1 - 1e-12:  # less is the dust of a sum
        return f"nearly {_percent(1, 0)}"
    whole = size >= 0.1 or math.isclose(100 * size, round(100 * size), abs_tol=1e-9)
    return _signed(share, _percent(size, 0 if whole else 1))


def typed_percent(share: float) -> str:
    """A share that somebody typed, in full.

    >>> typed_percent(0.125), typed_percent(0.1), typed_percent(1 / 3)
    ('12.5%', '10%', '33.3333%')
    """
    return _signed(share, _percent(abs(share), _decimals(abs(100 * share), 6)))


def fine_percent(share: float | None) -> str:
    """A share to one place, where it stands beside another one.

    >>> fine_percent(0.8957), fine_percent(0.9), fine_percent(None)
    ('89.6%', '90.0%', '–')
    """
    return NONE if share is None or unknown(share) else _signed(share, _percent(abs(share), 1))


def change(share: float | None) -> str:
    """A share more or less, with its sign.

    >>> change(0.123), change(-0.041), change(0)
    ('+12%', '−4.1%', '0%')
    """
    if share is None or unknown(share):
        return NONE
    return f"+{percent(share)}" if share >= 0.001 else percent(share)


def day(date: dt.date | str | None, *, short: bool = False) -> str:
    """A date.

    >>> day("2011-12-09"), day(dt.date(2011, 12, 9), short=True), day(None)
    ('9 December 2011', '9 Dec 2011', '–')
    """
    if date is None:
        return NONE
    return _dated(str(date)[:10], "medium" if short else "long", current_locale())


def month(text: str, parts: str = "yMMMM") -> str:
    """A month, such as that of a cohort; or other parts of a date.

    >>> month("2011-03"), month("2011-03-09", "yMMM"), month("2011-03-09", "MMMd")
    ('March 2011', 'Mar 2011', '9 Mar')
    """
    return _dated(text if len(text) > len("2011-03") else f"{text}-01", parts, current_locale())


@lru_cache(4096)
def _dated(text: str, parts: str, locale: Locale) -> str:
    """A day in ISO form, by one of Babel's formats or by the parts of it that are to be seen."""
    from babel.dates import format_date, format_skeleton

    value = dt.date.fromisoformat(text)
    if parts in ("medium", "long"):
        return format_date(value, parts, locale=locale)
    return str(format_skeleton(parts, dt.datetime.combine(value, dt.time()), locale=locale))


def days(number: float | None) -> str:
    """A length of time in days, or in what is easier to take in.

    >>> days(1), days(17.2), days(70), days(400), days(5471)
    ('1 day', '17 days', '70 days', '13 months', '15 years')
    """
    if number is None or unknown(number):
        return NONE
    months = number / (365.25 / 12)
    unit, length = ("day", number) if number < 100 else ("month", months)
    return counted(round(length), unit) if months < 36 else counted(round(months / 12), "year")


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


def measure(name: str) -> str:
    """A measure of forecasts as people write it, such as "Money, Gini" of money/gini."""
    what, _, of = name.partition("/")
    return f"{capital(what)}, {MEASURES.get(of, of)}"


def unknown(value: Any) -> bool:
    """Whether a figure is missing or no number."""
    return value is None or not math.isfinite(value)


def symbol(currency: str) -> str:
    """What a currency is called beside a field.

    >>> symbol("GBP"), symbol("CHF"), symbol("")
    ('£', 'CHF', '')
    """
    # of the language, not of the country: the dollar of en_AU is not that of en_US
    return _symbol(currency, current_locale().language) if currency else ""


@lru_cache
def _symbol(currency: str, language: str) -> str:
    from babel.numbers import get_currency_symbol

    return get_currency_symbol(currency, language)


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are.

    >>> listed(["a", "b", "c", "d", "e"]), listed(["a", "b"]), listed(["a"])
    ('a, b, c and 2 more', 'a and b', 'a')
    """
    if len(names) > LISTED:
        return f"{', '.join(names[:LISTED])} and {count(len(names) - LISTED)} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def kind_of_customers(incrementality: Iterable[float]) -> str:
    """What new customers are counted as: incremental only where every factor is below 1.

    >>> kind_of_customers([0.8, 1.0]), kind_of_customers([0.8])
    ('attributed, not incremental', 'incremental')
    """
    return ATTRIBUTED if any(factor == 1 for factor in incrementality) else "incremental"


def _number(size: float, digits: int) -> str:
    return _grouped(size, digits, current_locale())


@lru_cache(4096)
def _grouped(size: float, digits: int, locale: Locale) -> str:
    from babel.numbers import format_decimal

    if size >= MOST:  # beyond what a decimal of usual precision holds
        return f"{size:.3g}"
    decimals = f".{'0' * digits}" if digits else ""
    if size < 999:  # nothing to group: ten times as fast, for texts of a million customers
        return f"{size:.{digits}f}".replace(".", str(locale.number_symbols["latn"]["decimal"]))
    return format_decimal(f"{size:.{digits}f}", f"#,##0{decimals}", locale=locale)


def _priced(size: float, digits: int, currency: str) -> str:
    figure = _number(size, digits)
    pattern = current_locale().currency_formats["standard"]
    return _affixed(figure, pattern.prefix[0], pattern.suffix[0], currency)


def _scaled(amount: float, scale: float, digits: int, currency: str) -> str:
    """An amount in thousands, millions ...; empty where the language has no short word for it."""
    if scale == 1:
        return ""
    short = current_locale().compact_currency_formats["short"]["other"].get(f"{scale:.0f}")
    prefix, _, suffix = (short.pattern if short else "0").partition("0")
    if not prefix.strip("¤\u00a0 ") and not suffix.strip("¤\u00a0 0"):
        return ""
    size = _number(abs(amount) / scale, digits)
    return _signed(amount, _affixed(size, prefix, suffix.replace("'", ""), currency))


def _affixed(figure: str, before: str, after: str, currency: str) -> str:
    """A figure with its currency where the locale has it, and a space after letters."""
    if not currency:
        return (before + figure + after).replace("¤", "").strip()
    name = symbol(currency)
    space = "\u00a0" if before.endswith("¤") and name[-1].isalpha() else ""
    return (before + space).replace("¤", name) + figure + after.replace("¤", name)


def _percent(size: float, digits: int) -> str:
    pattern = current_locale().percent_formats[None]
    return f"{pattern.prefix[0]}{_number(100 * size, digits)}{pattern.suffix[0]}"


def _decimals(size: float, figures: int = 3) -> int:
    """The places that a figure of so many digits needs.

    >>> _decimals(0.7), _decimals(2.25), _decimals(250), _decimals(0.0123456), _decimals(97.5)
    (1, 2, 0, 4, 1)
    """
    if size == 0:
        return 0
    most = max(figures - 1 - math.floor(math.log10(size)), 0)
    return len(f"{size:.{most}f}".partition(".")[2].rstrip("0"))


def _signed(value: float, written: str) -> str:
    """With a minus sign that type knows, but none before what rounds to nothing."""
    return f"{MINUS}{written}" if value < 0 and any(c in "123456789" for c in written) else written
