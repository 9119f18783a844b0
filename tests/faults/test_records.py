"""Every public record, each field in turn with values that it cannot hold: refused when it is made.

What an annotation does not allow, and for money, shares, counts and days what lies outside.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import clv
from clv.errors import ClvError

from .calls import Call

NOTHING = object()
# by a word of the annotation: what is of no such kind
WRONG: dict[str, list[Any]] = {
    "float": ["one", True, float("nan"), [1.0], NOTHING, 10**400],
    "int": ["one", 1.5, True, float("nan"), [1], NOTHING],
    "str": [5, ["a"], NOTHING],
    "dt.date": ["2024", 5, pd.NaT, NOTHING],
    "tuple": [5, NOTHING, {1: 2}],
    "Mapping": [5, [1], NOTHING],
    "Literal": ["no such choice", 7, NOTHING],
    "Parameter": ["one", float("nan"), -1.0, 0.0, NOTHING],
}
MONEY = {"value", "lo", "current", "contact_cost", "incentive", "cost_to_serve", "spend"}
COUNTS = {"capacity", "top", "most_items", "most_contacts", "customers", "age", "contact_days"}
COUNTS |= {"bought_within", "silent_for", "multiplier", "length", "amount", "periods_per_year"}
SHARES = {"incrementality", "decline", "margin_rate", "save_rate", "redemption", "level", "shrink"}
SHARES |= {"incremental_share", "annual_discount_rate"}
RESULTS = {"LeadFunnel", "ReferralValue"}  # whose figures follow from others
# Fields that take anything at all, or more than their annotation says, as their docstrings tell.
OPEN = {"exclude", "contacts", "effects", "training", "response"}
ALSO = {"horizon", "bought_within", "silent_for", "contact_days"}  # text such as "13 weeks"


@pytest.fixture(scope="module")
def records(calls: dict[str, Call]) -> dict[str, Call]:
    kinds = {name: getattr(clv, name) for name in clv.__all__}
    made = {n: c for n, c in kinds.items() if inspect.isclass(c) and dataclasses.is_dataclass(c)}
    assert len(made) > 25
    assert made.keys() <= calls.keys()
    return {name: calls[name] for name in made}


def wrong_values(record: str, field: dataclasses.Field[Any]) -> Iterator[Any]:
    """What a field cannot hold, by its annotation and its name."""
    kind = str(field.type)
    alternatives = {part.split("[")[0].strip() for part in kind.split("|")}
    for word, values in WRONG.items():
        if word in alternatives and len(alternatives - {"None"}) == 1:
            yield from (value for value in values if not (value == "one" and field.name in ALSO))
    if "None" not in alternatives and field.name not in OPEN:
        yield None
    numeric = alternatives & {"float", "int", "BetaRate"} and record not in RESULTS
    if numeric and field.name in MONEY | COUNTS | SHARES:
        yield from (-1.0, float("-inf"))
    if numeric and field.name in SHARES:
        yield from (30.0, 1.5)


def test_what_a_field_cannot_hold_is_refused_when_the_record_is_made(
    records: dict[str, Call],
) -> None:
    taken, tried = [], 0
    for name, call in records.items():
        kind: Any = getattr(clv, name)
        given = call.arguments
        kind(**given)
        for field in dataclasses.fields(kind):
            for value in wrong_values(name, field) if field.init else ():
                tried += 1
                try:
                    kind(**given | {field.name: value})
                except ClvError:
                    continue
                taken.append(f"{name}({field.name}={value!r})")
    assert tried > 700
    assert not taken, "\n".join(taken)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("FunnelTerms", {"value": -1}),
        ("FunnelTerms", {"value": {"web": -1}}),
        ("Channel", {"lo": 5.0, "hi": 4.0}),
        ("Channel", {"observed": (9.0, 1.0)}),
        ("Channel", {"step": (-1.0, 2.0)}),
        ("Calendar", {"months": (1.0, 2.0)}),
        ("Calendar", {"weeks": (-1.0,) * 53}),
        ("ContractModels", {"as_of": "yesterday"}),
        ("CustomerScorer", {"as_of": "2024-02-30"}),
        ("MeasuredOffer", {"effects": pd.DataFrame({"customer_id": [1]})}),
        ("MeasuredOffer", {"effects": np.zeros(3)}),
        ("TargetCPA", {"amount": 0.0}),
        ("MinimumCost", {"customers": 0}),
    ],
)
def test_ranges_and_days_are_looked_at_when_a_record_is_made(
    records: dict[str, Call], name: str, wrong: dict[str, Any]
) -> None:
    with pytest.raises(ClvError):
        getattr(clv, name)(**records[name].arguments | wrong)
