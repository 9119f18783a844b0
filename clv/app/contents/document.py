"""StoreParts: documents, tables and notes on their way into a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clv.errors import InputError
from clv.findings import Finding


@dataclass(frozen=True)
class StoreParts:
    """What one source adds to a store.

    Attributes
    ----------
    documents, tables
        By name.
    notes
        What to know about them.
    """

    documents: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[Finding, ...] = ()

    def then(self, other: StoreParts) -> StoreParts:
        """Both, ``other`` in the place of what has the same name.

        >>> StoreParts({"a": 1, "b": 1}).then(StoreParts({"a": 2})).documents
        {'a': 2, 'b': 1}
        """
        return StoreParts(
            {**self.documents, **other.documents},
            {**self.tables, **other.tables},
            (*self.notes, *other.notes),
        )


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
