"""Channels of a table of spend and of customers by their names, whatever their spelling."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from clv.errors import InputError
from clv.format import listed
from clv.intake.vocabulary import plain, vocabulary


def folded(name: str) -> str:
    """A name as it is compared: without blanks around it, in any case.

    >>> folded(" Social  Media ") == folded("social media")
    True
    """
    return " ".join(str(name).split()).casefold()


def spellings(names: Iterable[str], others: Iterable[str]) -> dict[str, str]:
    """How ``others`` spell each of the names; itself where they have none like it.

    >>> spellings(["Search ", "TV"], ["search", "social"])
    {'Search ': 'search', 'TV': 'TV'}
    """
    theirs = {folded(other): other for other in others}
    return {name: theirs.get(folded(name), name) for name in names}


def comes_unpaid(name: str) -> bool:
    """Whether a channel brings customers for nothing, by what it is called.

    >>> comes_unpaid("Organic search"), comes_unpaid("(direct)"), comes_unpaid("search")
    (True, True, False)
    """
    return plain(name) in vocabulary()["spend"]["unpaid"]


def one_sided(
    paid: Collection[str],
    listed_channels: Collection[str],
    customers: Collection[str],
    within: Collection[str],
) -> tuple[list[str], list[str]]:
    """Channels with spend and no customers ever, and with customers and no row of spend.

    Parameters
    ----------
    paid, listed_channels
        Channels of the spend table that cost money, and all of them.
    customers, within
        Channels of all customers, and of those who came within its periods.
    """
    rows, brought = set(map(folded, listed_channels)), set(map(folded, customers))
    silent = sorted(name for name in paid if folded(name) not in brought)
    unpaid = (name for name in within if folded(name) not in rows)
    return silent, sorted(name for name in unpaid if not comes_unpaid(name))


def require_counterparts(silent: Sequence[str], unpaid: Sequence[str], *, hint: str) -> None:
    """Raise ``InputError`` if channels stand on one side alone, with the names nearest to them."""
    if lines := [*_one_sided_in_words(silent, unpaid)]:
        raise InputError(" ".join(lines), hint=hint)


def _one_sided_in_words(silent: Sequence[str], unpaid: Sequence[str]) -> Iterator[str]:
    if silent:
        yield f"{listed(silent)} of the spend table brought no customers by that name."
    if unpaid:
        yield f"{listed(unpaid)} brought customers and stands in no row of the spend table."
    for name, near in nearest(silent, unpaid).items():
        yield f"Is {name} of the spend table {near} of the orders?"


def nearest(names: Iterable[str], others: Collection[str]) -> Mapping[str, str]:
    """For each name the one that is most like it, if any is.

    >>> nearest(["Social Media", "TV"], ["social", "serach"])
    {'Social Media': 'social'}
    """
    theirs = {folded(other): other for other in others}
    matches = {}
    for name in names:
        bare = folded(name)
        within = [other for other in theirs if other in bare or bare in other]
        if near := within or difflib.get_close_matches(bare, theirs, n=1, cutoff=0.6):
            matches[name] = theirs[near[0]]
    return matches
