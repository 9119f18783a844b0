"""What an address or a form asks for: which customers, in which order, on which page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from clv.errors import InputError
from clv.format import capital, month
from clv.store import Filter, Sort
from clv.store.filters import LISTS, RANGES, Range

Fields = Mapping[str, Sequence[str]]

PERCENT = ("churn",)  # ranges that people write in percent
NAMES = {"recency": "days since the last order", "churn": "churn risk", "value": "value"}
ELIGIBLE = {"yes": True, "no": False}
ENDS = ("from", "to")
ONE = ("prefix", "eligible", "sort", "order", "page", *(f"{r}_{e}" for r in RANGES for e in ENDS))
OTHER = ("csrf", "format")  # what forms carry besides


def fields_of(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """What was typed, by its name; a field that was left empty is none.

    >>> fields_of([("tiers", "top 1%"), ("prefix", ""), ("tiers", "1 to 5%")])
    {'tiers': ['top 1%', '1 to 5%']}
    """
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if value.strip():
            found.setdefault(name, []).append(value.strip() if name != "prefix" else value)
    return found


def chosen(fields: Fields) -> Filter:
    """The customers that are asked for.

    Raises
    ------
    InputError
        A field does not exist, is given twice, or is none of what it may be.

    >>> chosen({"churn_from": ["50"], "eligible": ["yes"]})
    Filter(prefix='', tiers=(), channels=(), cohorts=(), reasons=(), recency=(None, None),
           churn=(0.5, None), value=(None, None), eligible=True)
    """
    _check_names(fields)
    eligible = one(fields, "eligible")
    if eligible and eligible not in ELIGIBLE:
        raise InputError(f"eligible = {eligible[:40]!r} is neither yes nor no.")
    return Filter(
        prefix=one(fields, "prefix"),
        eligible=ELIGIBLE.get(eligible),
        tiers=tuple(fields.get("tiers", ())),
        channels=tuple(fields.get("channels", ())),
        cohorts=tuple(fields.get("cohorts", ())),
        reasons=tuple(fields.get("reasons", ())),
        recency=_range(fields, "recency"),
        churn=_range(fields, "churn"),
        value=_range(fields, "value"),
    )


def ordered(fields: Fields) -> Sort:
    """The order that is asked for; the most valuable first if none is.

    >>> ordered({"sort": ["days_since_last"], "order": ["asc"]})
    Sort(by='days_since_last', descending=False)
    """
    order = one(fields, "order") or "desc"
    if order not in ("asc", "desc"):
        raise InputError(f"order = {order[:40]!r} is unknown.", hint="use asc or desc.")
    return Sort(one(fields, "sort") or "clv", order == "desc")


def page_number(fields: Fields) -> int:
    """The page that is asked for, from 1."""
    text = one(fields, "page") or "1"
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InputError(f"page = {text[:40]!r} is not a number.", hint="count pages from 1.")
    return int(text)


def one(fields: Fields, name: str) -> str:
    """The only value of a field; empty if there is none."""
    values = fields.get(name, ())
    if len(values) > 1:
        raise InputError(f"{name} is given {len(values)} times.", hint="give it once.")
    return values[0] if values else ""


def in_words(fields: Fields) -> list[str]:
    """What is asked for, in short phrases; nothing for everybody.

    >>> in_words({"tiers": ["top 1%", "1 to 5%"], "recency_from": ["90"], "cohorts": ["2011-03"]})
    ['tier top 1% or 1 to 5%', 'first order in March 2011', 'days since the last order from 90']
    """
    asked = chosen(fields)
    said = [f"id begins with {asked.prefix}"] if asked.prefix else []
    for name, many in (("tier", asked.tiers), ("channel", asked.channels)):
        said += [f"{name} {' or '.join(many)}"] if many else []
    said += [f"first order in {' or '.join(map(_month, asked.cohorts))}"] if asked.cohorts else []
    for name in RANGES:
        ends = [f"{end} {v}" for end in ENDS if (v := one(fields, f"{name}_{end}"))]
        unit = "%" if name in PERCENT else ""
        said += [f"{NAMES[name]} {' '.join(ends)}{unit}"] if ends else []
    if asked.eligible is not None:
        said.append("may be contacted" if asked.eligible else "must not be contacted")
    return said + [f"not contacted: {' or '.join(asked.reasons)}"] * bool(asked.reasons)


def how_many(fields: Fields) -> int:
    """How many filters are set; both ends of a range are one.

    >>> how_many({"tiers": ["top 1%", "1 to 5%"], "churn_from": ["50"], "churn_to": ["80"]})
    2
    """
    names = {name.removesuffix("_from").removesuffix("_to") for name in fields}
    return len(names & {"prefix", "eligible", *LISTS, *RANGES})


def for_the_log(asked: Filter) -> dict[str, object]:
    """A filter for the audit: what was typed to find one customer goes by ``search``."""
    lists: dict[str, object] = {name: list(v) for name in LISTS if (v := getattr(asked, name))}
    ranges = {name: v for name in RANGES if (v := getattr(asked, name)) != (None, None)}
    more = {} if asked.eligible is None else {"eligible": asked.eligible}
    return ({"search": asked.prefix} if asked.prefix else {}) | lists | ranges | more


def file_name(as_of: str, kind: str, asked: Filter) -> str:
    """The name of an export; it says whether it is of everybody.

    >>> file_name("2011-12-09", "csv", Filter(eligible=True))
    'customers-2011-12-09-filtered.csv'
    """
    return f"customers-{as_of}{'' if asked == Filter() else '-filtered'}.{kind}"


def _check_names(fields: Fields) -> None:
    known = (*ONE, *LISTS, *OTHER)
    for name in fields:
        if name not in known:
            raise InputError(
                f"there is no filter {name[:40]!r}.",
                hint=f"use {', '.join(n for n in known if n not in OTHER)}.",
            )


def _range(fields: Fields, name: str) -> Range:
    scale = 100.0 if name in PERCENT else 1.0
    low, high = (_number(fields, f"{name}_{end}", scale) for end in ENDS)
    if low is not None and high is not None and low > high:
        shown = " to ".join(one(fields, f"{name}_{end}") for end in ENDS)
        raise InputError(f"{capital(NAMES[name])} from {shown} holds nobody.", hint="swap the two.")
    return low, high


def _number(fields: Fields, name: str, scale: float) -> float | None:
    text = one(fields, name)
    if not text:
        return None
    try:
        value = float(text.replace(",", ""))
    except ValueError as error:
        what, end = name.rsplit("_", 1)
        raise InputError(
            f"{capital(NAMES[what])}, {end}: {text[:40]!r} is not a number.",
            hint="write it as 90 or 12.5.",
        ) from error
    return value / scale


def _month(cohort: str) -> str:
    try:
        return month(cohort)
    except ValueError:
        return cohort
