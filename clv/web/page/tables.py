"""Headlines, links and notes: what a room hands to its template beside tables and charts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from markupsafe import Markup, escape

from clv.findings import Provenance
from clv.format import day


@dataclass(frozen=True)
class Headline:
    """A figure that comes first.

    ``chip`` says whether it is "measured", "assumed" or "estimated" by the model.
    """

    label: str
    figure: str
    detail: str = ""
    chip: Provenance = ""


@dataclass(frozen=True)
class Empty:
    """What stands where there is nothing to show: why, and what to do about it."""

    title: str
    why: str
    hint: str = ""


@dataclass(frozen=True)
class Address:
    """Where a page is, with its query: links are this address with something changed.

    >>> here = Address("/customers", (("tiers", "top 1%"), ("page", "3")))
    >>> here.but(sort="clv", page=None)
    '/customers?tiers=top+1%25&sort=clv'
    """

    path: str
    query: tuple[tuple[str, str], ...] = ()

    def but(self, **changed: str | int | None) -> str:
        """The address with these parameters instead; None leaves one out."""
        unchanged = [(name, value) for name, value in self.query if name not in changed]
        added = [(name, str(value)) for name, value in changed.items() if value is not None]
        query = urlencode([*unchanged, *added])
        return f"{self.path}?{query}" if query else self.path

    def without(self, *names: str) -> list[tuple[str, str]]:
        """The parameters but for these, for the hidden fields of a form."""
        return [(name, value) for name, value in self.query if name not in names]

    def __str__(self) -> str:
        return self.but()


@dataclass(frozen=True)
class SortOrder:
    """How a table is sorted, and the links that sort it otherwise.

    >>> order = SortOrder("clv", True, Address("/customers"))
    >>> order.state("clv"), order.link("clv"), order.link("recency")
    ('descending', '/customers?sort=clv&order=asc', '/customers?sort=recency&order=desc')
    """

    by: str
    descending: bool
    address: Address

    def state(self, column: str) -> str:
        """What ``aria-sort`` says of a column."""
        if column != self.by:
            return "none"
        return "descending" if self.descending else "ascending"

    def link(self, column: str) -> str:
        """Where a click on the heading leads: first the largest, then the smallest."""
        down = not (column == self.by and self.descending)
        return self.address.but(sort=column, order="desc" if down else "asc", page=None)


def link(text: str, href: str) -> Markup:
    """A link within a cell.

    >>> print(link("a < b", "/customers/a?b=c&d=e"))
    <a href="/customers/a?b=c&amp;d=e">a &lt; b</a>
    """
    return Markup('<a href="{}">{}</a>').format(href, text)


def small(text: str, below: str) -> Markup:
    """A cell with a second, quieter line."""
    return Markup("{}<small>{}</small>").format(text, below)


def chip(kind: str) -> Markup:
    """A word in a frame, such as a verdict; its look goes by the word.

    >>> print(chip("no verdict"))
    <span class="chip chip-no-verdict">no verdict</span>
    """
    name = "".join(c if c.isalnum() else "-" for c in kind)
    return Markup('<span class="chip chip-{}">{}</span>').format(name, kind)


def facts(pairs: Mapping[str, str | Markup]) -> Markup:
    """Names and values below each other."""
    rows = [Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(k, v) for k, v in pairs.items()]
    return Markup('<dl class="facts">{}</dl>').format(Markup("").join(escape(row) for row in rows))


def with_days(text: str) -> str:
    """Text whose days are written as people write them.

    >>> with_days("last on 2011-09-21, due 2012-01-24")
    'last on 21 Sept 2011, due 24 Jan 2012'
    """
    return re.sub(r"\b\d{4}-\d\d-\d\d\b", lambda found: day(found[0], short=True), text)
