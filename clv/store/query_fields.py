"""What an address or a form asks for: which customers, in which order, on which page."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from clv.errors import InputError
from clv.store.filter_kinds import Fields, only_value
from clv.store.filters import FILTERS, Filter, Sort, no_filter

PLACES = ("sort", "order", "page")  # where in the list
OTHER = ("csrf", "format")  # what forms carry besides
ALIKE = 0.75  # from where on a name is a misspelt one


def fields_of(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """What was typed, by its name; a field that was left empty is none.

    >>> fields_of([("tiers", "top 1%"), ("prefix", ""), ("tiers", "1 to 5%")])
    {'tiers': ['top 1%', '1 to 5%']}
    """
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        if value.strip():
            fields.setdefault(name, []).append(value.strip() if name != "prefix" else value)
    return fields


def of_address(fields: Fields) -> dict[str, list[str]]:
    """The fields without what others hang onto links; a misspelt filter stays, and is refused.

    >>> of_address({"tiers": ["top 1%"], "utm_source": ["mail"], "tier": ["top 1%"]})
    {'tiers': ['top 1%'], 'tier': ['top 1%']}
    """
    names = [*_filter_fields(), *PLACES, *OTHER]
    return {
        name: [*values]
        for name, values in fields.items()
        if name in names or get_close_matches(name, names, 1, ALIKE)
    }


def _filter_fields() -> list[str]:
    return [name for field in FILTERS.values() for name in field.parameters]


def chosen(fields: Fields) -> Filter:
    """The customers that are asked for.

    Raises
    ------
    InputError
        A field does not exist, is given twice, or is none of what it may be.

    >>> chosen({"churn_from": ["50"], "eligible": ["yes"]})
    Filter(values={'churn': (0.5, None), 'eligible': True})
    """
    names = _filter_fields()
    for name in fields:
        if name not in (*names, *PLACES, *OTHER):
            raise no_filter(name, [*names, *PLACES])
    return Filter(**{name: field.parse(fields) for name, field in FILTERS.items()})


def ordered(fields: Fields) -> Sort:
    """The order that is asked for; the most valuable first if none is.

    >>> ordered({"sort": ["days_since_last"], "order": ["asc"]})
    Sort(by='days_since_last', descending=False)
    """
    order = only_value(fields, "order") or "desc"
    if order not in ("asc", "desc"):
        raise InputError(f"order = {order[:40]!r} is unknown.", hint="use asc or desc.")
    return Sort(only_value(fields, "sort") or "clv", order == "desc")


def page_number(fields: Fields) -> int:
    """The page that is asked for, from 1."""
    text = only_value(fields, "page") or "1"
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InputError(f"page = {text[:40]!r} is not a number.", hint="count pages from 1.")
    return int(text)


def in_words(fields: Fields) -> list[str]:
    """What is asked for, in short phrases; nothing for everybody.

    >>> in_words({"tiers": ["top 1%", "1 to 5%"], "recency_from": ["90"], "cohorts": ["2011-03"]})
    ['days since the last order from 90', 'tier top 1% or 1 to 5%', 'first order in March 2011']
    """
    return [FILTERS[name].words(fields) for name in chosen(fields).values]


def how_many(fields: Fields) -> int:
    """How many filters are set; both ends of a range are one.

    >>> how_many({"tiers": ["top 1%", "1 to 5%"], "churn_from": ["50"], "churn_to": ["80"]})
    2
    """
    return sum(not set(field.parameters).isdisjoint(fields) for field in FILTERS.values())


def for_the_log(selection: Filter) -> dict[str, object]:
    """A filter for the audit: what was typed to find one customer goes by ``search``."""
    return {FILTERS[name].audit_name: value for name, value in selection.values.items()}


def file_name(as_of: str, kind: str, selection: Filter) -> str:
    """The name of an export; it says whether it is of everybody.

    >>> file_name("2011-12-09", "csv", Filter(eligible=True))
    'customers-2011-12-09-filtered.csv'
    """
    return f"customers-{as_of}{'-filtered' if selection.values else ''}.{kind}"
