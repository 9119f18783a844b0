"""Which customers, in which order: values travel as parameters, names come from a fixed list."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from clv.decide.acquisition.tiers import TIERS
from clv.errors import InputError

Range = tuple[float | None, float | None]

LISTS = {"tiers": "tier", "channels": "channel", "cohorts": "cohort", "reasons": "reason"}
RANGES = {"recency": "days_since_last", "churn": "churn_probability", "value": "clv"}
FROM_LOG = ("cohort", "first_date", "last_date", "historic_orders", "historic_revenue")
LONGEST, MOST = 200, 1000  # characters of a text, values of a list


@dataclass(frozen=True)
class Filter:
    """Customers to be shown, counted or exported; what is not given does not matter.

    Parameters
    ----------
    prefix
        How the customer's id begins, upper and lower case told apart.
    tiers, channels, cohorts, reasons
        Any of these; a cohort is the month of the first purchase, such as "2011-03", a reason why
        a customer must not be contacted.
    recency
        Days since the last purchase, from and to, both included; None leaves a side open.
    churn
        Churn probability, in the same way.
    value
        CLV in the store's currency, in the same way.
    eligible
        Whether the scores say that the customer may be contacted.

    Raises
    ------
    InputError
        A text is no text, is too long or not Unicode, a tier does not exist, a bound is not a
        number, or the lower one is above the upper.

    Examples
    --------
    >>> Filter(tiers=("top 1%",), churn=(0.5, None)).where({"tier", "churn_probability"})
    ('WHERE tier IN (?) AND churn_probability >= ?', ['top 1%', 0.5])
    >>> Filter().where(())
    ('', [])
    """

    prefix: str = ""
    tiers: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    cohorts: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    recency: Range = (None, None)
    churn: Range = (None, None)
    value: Range = (None, None)
    eligible: bool | None = None

    def __post_init__(self) -> None:
        _check_text("prefix", self.prefix)
        for name in LISTS:
            _check_list(name, getattr(self, name))
        for name in RANGES:
            _check_range(name, getattr(self, name))
        unknown = [tier for tier in self.tiers if tier not in TIERS]
        if unknown:
            raise InputError(f"there is no tier {unknown[0]!r}.", hint=f"use {', '.join(TIERS)}.")
        if self.eligible not in (None, True, False):
            raise InputError("eligible is neither true nor false.")

    def where(self, columns: Collection[str]) -> tuple[str, list[Any]]:
        """The condition in SQL with its parameters, on a store with these ``columns``.

        Raises
        ------
        InputError
            The store lacks a column that is asked for.
        """
        conditions, parameters = [], []
        for column, condition, values in self._conditions():
            require_column(column, columns)
            conditions.append(condition)
            parameters += values
        return (f"WHERE {' AND '.join(conditions)}" if conditions else ""), parameters

    def _conditions(self) -> Iterator[tuple[str | None, str, list[Any]]]:
        """Column, condition and parameters, one by one."""
        if self.prefix:
            yield None, "starts_with(key, ?)", [self.prefix]
        for name, column in LISTS.items():
            if values := getattr(self, name):
                yield column, f"{column} IN ({', '.join('?' * len(values))})", list(values)
        for name, column in RANGES.items():
            for bound, sign in zip(getattr(self, name), (">=", "<="), strict=True):
                if bound is not None:
                    yield column, f"{column} {sign} ?", [float(bound)]
        if self.eligible is not None:
            yield "eligible", "coalesce(eligible, false) = ?", [bool(self.eligible)]


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


def require_column(column: str | None, columns: Collection[str]) -> None:
    """Raise ``InputError`` unless a store with these ``columns`` has the column."""
    if column is None or column in columns:
        return
    hint = "publish with the order log." if column in FROM_LOG else "see the columns of the store."
    raise InputError(f"this store has no column {_shown(column)}.", hint=hint)


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str) or len(value) > LONGEST:
        raise InputError(f"{name} is not a text of at most {LONGEST} characters.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{name} = {_shown(value)} is not Unicode text.") from error


def _check_list(name: str, values: object) -> None:
    if not isinstance(values, tuple) or len(values) > MOST:
        raise InputError(f"{name} is not a tuple of at most {MOST:,} texts.")
    for value in values:
        _check_text(f"an entry of {name}", value)


def _check_range(name: str, bounds: object) -> None:
    if not isinstance(bounds, tuple) or len(bounds) != 2:
        raise InputError(f"{name} is not a range.", hint="give a pair (from, to); None is open.")
    known = [bound for bound in bounds if bound is not None]
    if not all(isinstance(bound, (int, float)) and math.isfinite(bound) for bound in known):
        raise InputError(f"a bound of {name} is not a number.")
    if known != sorted(known):
        raise InputError(f"{name} from {known[0]:g} to {known[1]:g} holds nobody.")


def _shown(value: object) -> str:
    return ascii(str(value)[:LONGEST])
