"""Which customers, in which order: values travel as parameters, names come from a fixed list.

``FILTERS`` is that list. A filter is one entry: store, page, addresses, API and its description all
loop over it. A column that the scores carry is enough; lists of it are counted as segments when a
store is published, which are the choices of the page's form.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from clv.decide.acquisition.tiers import TIERS
from clv.errors import InputError
from clv.format import month
from clv.store.filter_kinds import (
    FilterField,
    FlagFilter,
    ListFilter,
    RangeFilter,
    StartFilter,
    printable,
)

FROM_LOG = ("cohort", "first_date", "last_date", "historic_orders", "historic_revenue")


def month_or_text(cohort: str) -> str:
    """A month in words; what is none, as it is."""
    try:
        return month(cohort)
    except ValueError:
        return cohort


FILTERS: dict[str, FilterField] = {
    field.name: field
    for field in (
        StartFilter(
            name="prefix",
            column=None,
            label="Customer",
            description="How the id begins, as text.",
            example="c-1",
        ),
        RangeFilter(
            name="value",
            column="clv",
            label="Value",
            description="CLV in the currency",
            unit="money",
        ),
        RangeFilter(
            name="churn",
            column="churn_probability",
            label="Churn risk",
            description="Churn probability, 0 to 1",
            least=0,
            most=1,
            unit="%",
        ),
        RangeFilter(
            name="recency",
            column="days_since_last",
            label="Days since the last order",
            description="Days since the last order",
            least=0,
        ),
        RangeFilter(
            name="repeats",
            column="frequency",
            label="Repeat orders",
            description="Orders after the first; renewals made",
            least=0,
        ),
        FlagFilter(
            name="eligible",
            column="eligible",
            label="Contact",
            description="Only those who may (true) or must not (false) be contacted.",
            choices=("All", "Allowed", "Not allowed"),
            phrases=("may be contacted", "must not be contacted"),
            of_contact=True,
        ),
        ListFilter(
            name="tiers",
            column="tier",
            label="Tier",
            description="Any of these tiers.",
            example=["top 1%"],
            phrase="tier",
            allowed=tuple(TIERS),
            order="min(rank)",
        ),
        ListFilter(
            name="channels",
            column="channel",
            label="Channel",
            description="Any of these channels.",
            example=["search"],
            phrase="channel",
        ),
        ListFilter(
            name="cohorts",
            column="cohort",
            label="First order in",
            description="Months of the first order.",
            example=["2011-03"],
            phrase="first order in",
            order="min(cohort)",
            show=month_or_text,
        ),
        ListFilter(
            name="reasons",
            column="reason",
            label="No contact, because",
            description="Any of these reasons not to be contacted.",
            phrase="not contacted:",
            missing=None,  # who may be contacted has no reason
            order="count(*) DESC",
            of_contact=True,
        ),
    )
}


@dataclass(frozen=True, init=False)
class Filter:
    """Customers to be shown, counted or exported; what is not given does not matter.

    Parameters
    ----------
    values
        By the names of ``FILTERS``: a text for ``prefix``; tuples of texts for ``tiers``,
        ``channels``, ``cohorts`` (months of the first purchase, such as "2011-03") and ``reasons``
        (why a customer must not be contacted); pairs (from, to), both included, None open, for
        ``recency`` in days, ``churn`` as a probability and ``value`` in the store's currency;
        True or False for ``eligible``.

    Raises
    ------
    InputError
        There is no such filter, or the value is none that it may have: a text that is too long or
        not Unicode, a tier that does not exist, a bound that is not a number or above the other.

    Examples
    --------
    >>> Filter(tiers=("top 1%",), churn=(0.5, None)).where({"tier", "churn_probability"})
    ('WHERE churn_probability >= ? AND tier IN (?)', [0.5, 'top 1%'])
    >>> Filter().where(())
    ('', [])
    >>> Filter(churn=(0.5, None))["churn"], Filter()["tiers"]
    ((0.5, None), ())
    """

    values: Mapping[str, Any]

    def __init__(self, **values: Any) -> None:
        for name, value in values.items():
            if name not in FILTERS:
                raise no_filter(name, FILTERS)
            FILTERS[name].check(value)
        in_order = {n: values[n] for n, f in FILTERS.items() if values.get(n, f.empty) != f.empty}
        object.__setattr__(self, "values", in_order)

    def __getitem__(self, name: str) -> Any:
        return self.values.get(name, FILTERS[name].empty)

    def with_values(self, **values: Any) -> Filter:
        """The same filter but for these values."""
        return Filter(**{**self.values, **values})

    def where(self, columns: Collection[str]) -> tuple[str, list[Any]]:
        """The condition in SQL with its parameters, on a store with these ``columns``.

        Raises
        ------
        InputError
            The store lacks a column that is asked for.
        """
        conditions, parameters = [], []
        for name, value in self.values.items():
            require_column(FILTERS[name].column, columns)
            for condition, of_condition in FILTERS[name].conditions(value):
                conditions.append(condition)
                parameters += of_condition
        return (f"WHERE {' AND '.join(conditions)}" if conditions else ""), parameters


@dataclass(frozen=True)
class Sort:
    """The order of customers: by a column of the store; those without a value come last.

    Examples
    --------
    >>> Sort("churn_probability").order({"churn_probability"})
    'ORDER BY "churn_probability" DESC NULLS LAST, no'
    >>> Sort("clv").order({"clv"})  # ranks are of CLV, and no two are alike
    'ORDER BY rank ASC'
    """

    by: str = "clv"
    descending: bool = True

    def order(self, columns: Collection[str]) -> str:
        """The order in SQL; ``InputError`` if the store has no such column."""
        require_column(self.by, columns)
        if self.by in ("clv", "rank"):
            best_first = self.descending == (self.by == "clv")
            return f"ORDER BY rank {'ASC' if best_first else 'DESC'}"
        name = self.by.replace('"', '""')
        return f'ORDER BY "{name}" {"DESC" if self.descending else "ASC"} NULLS LAST, no'


def list_filters() -> list[ListFilter]:
    """Those whose values are counted as segments."""
    return [field for field in FILTERS.values() if isinstance(field, ListFilter)]


def no_filter(name: str, names: Collection[str]) -> InputError:
    """What to raise for a filter that does not exist."""
    return InputError(f"there is no filter {name[:40]!r}.", hint=f"use {', '.join(names)}.")


def require_column(column: str | None, columns: Collection[str]) -> None:
    """Raise ``InputError`` unless a store with these ``columns`` has the column."""
    if column is None or column in columns:
        return
    hint = "publish with the order log." if column in FROM_LOG else "see the columns of the store."
    raise InputError(f"this store has no column {printable(column)}.", hint=hint)
