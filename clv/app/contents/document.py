"""StoreParts: documents, tables and notes on their way into a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clv.errors import ClvError, InputError
from clv.findings import Finding, finding

# Notes on what a publish goes without.
NOT_MADE = ("store.not_made", "store.no_offers", "store.subscribers_left")


@dataclass(frozen=True)
class StoreParts:
    """What one source adds to a store.

    Attributes
    ----------
    documents, tables
        By name.
    notes
        What to know about them.
    refused
        Sources that add nothing, as the notes say.
    """

    documents: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[Finding, ...] = ()
    refused: frozenset[str] = frozenset()

    def then(self, other: StoreParts) -> StoreParts:
        """Both, ``other`` in the place of what has the same name.

        >>> StoreParts({"a": 1, "b": 1}).then(StoreParts({"a": 2})).documents
        {'a': 2, 'b': 1}
        """
        return StoreParts(
            {**self.documents, **other.documents},
            {**self.tables, **other.tables},
            (*self.notes, *other.notes),
            self.refused | other.refused,
        )


# Sources that a publish can go without, in words.
SOURCES = {
    "spend": "spend by channel", "contacts": "contacts", "campaigns": "campaigns",
    "offers": "next offers", "offer_report": "a report of offers", "total": "the total value",
    "reasons": "reasons for the churn risk", "changes": "what changed since the last run",
    "runs": "figures over the runs", "taken_on": "what was published before",
}  # fmt: skip


def made_or_why(source: str, make: Callable[[], StoreParts]) -> StoreParts:
    """What a source adds, or why it adds nothing: scores are published all the same.

    >>> made_or_why("total", lambda: StoreParts({"total": 1})).documents
    {'total': 1}
    """
    try:
        return make()
    except ClvError as error:
        return not_made(source, error)


def not_made(source: str, error: ClvError) -> StoreParts:
    """That a source adds nothing, and why."""
    note = finding("store.not_made", what=SOURCES.get(source, source), why=first_line(error))
    return StoreParts(notes=(note,), refused=frozenset({source}))


def first_line(error: ClvError) -> str:
    """What an error says, without what to try."""
    return error.message.splitlines()[0]


def require_currency(what: str, currency: object, scores: Mapping[str, Any]) -> None:
    """Raise ``InputError`` where both say their currency, and not the same one.

    >>> require_currency("the plan", "EUR", {"currency": "EUR"})
    >>> require_currency("the plan", None, {"currency": "EUR"})
    """
    currency_of_scores = scores.get("currency")
    if currency and currency_of_scores and str(currency) != str(currency_of_scores):
        raise InputError(
            f"{what} is in {currency}, the scores are in {currency_of_scores}.",
            hint="convert it first: money in a store is of one currency.",
        )
