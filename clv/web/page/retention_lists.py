"""The lists of a campaign: who is slipping, value still winnable first, and who has left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from clv.decide.retention.actions import made_to_gone
from clv.decide.retention.plan import CampaignPlan
from clv.decide.retention.slipping import ListedCustomer, slipping_and_departed
from clv.defaults import DEAD
from clv.format import NONE, count, days, money, percent
from clv.report.charts import Cell, Column, Table
from clv.store import Store
from clv.store.intake import keys_of
from clv.store.query_fields import page_number
from clv.web.access.roles import Role
from clv.web.access.who import Visitor
from clv.web.page.customer import address
from clv.web.page.frame import Page
from clv.web.page.tables import link, small

SHOWN = 20  # rows of a page of a list
SLIPPING, DEPARTED = "slipping", "departed"  # in the address: which page of the list
CONTACTS_FROM = Role.PLANNER
STILL, *COSTS = (
    Column(name, "number")
    for name in ("Still a customer", "Still winnable", "Cost", "Break-even save rate")
)


@dataclass(frozen=True)
class CustomerList:
    """One list: its heading, what it means, and a page of its customers.

    ``query`` is the parameter of the address that says which page, ``page`` of ``pages``.
    """

    title: str
    lead: str
    table: Table
    query: str
    page: int
    pages: int


def campaign_lists(
    store: Store, plan: CampaignPlan, currency: str, page: Page
) -> Sequence[CustomerList]:
    """The slipping and the departed apart, or one list where the scores cannot tell."""
    asked = dict(page.address.query)
    turned = {name: page_number({"page": [asked.get(name, "1")]}) for name in (SLIPPING, DEPARTED)}
    lists = slipping_and_departed(plan, SHOWN * max(turned.values()))
    lead = "Those who gain most for their cost come first."
    if lists.told_apart:
        lead = (
            f"Still there, but about to skip the next {store.words.order}; value still winnable "
            "first: that of customers who are there and would skip it."
        )
    title = "Slipping" if lists.told_apart else "The list"
    parts = [(title, lead, SLIPPING, lists.slipping, lists.sizes[0])]
    if lists.sizes[1]:
        lead = (
            f"A chance below {percent(DEAD)} that they are still customers. Winning back is "
            "another offer than keeping: try it on some first."
        )
        parts.append(("Probably gone already", lead, DEPARTED, lists.departed, lists.sizes[1]))
    gone = made_to_gone(plan.campaign.actions[0].offer)
    worth = "Worth once back" if gone else "Value at stake"
    views = [_page(*part[3:], turned[part[2]]) for part in parts]
    listed = [row.customer_id for view in views for row in view.rows]
    writer = ListTable(store, store.customers_of(listed), currency, page, worth)
    return [writer.paged(*part[:3], view) for part, view in zip(parts, views, strict=True)]


@dataclass(frozen=True)
class _View:
    """The rows of one page of a list, after so many of the whole."""

    rows: Sequence[ListedCustomer]
    before: int
    whole: int

    @property
    def number(self) -> int:
        """Which page it is."""
        return self.before // SHOWN + 1

    @property
    def pages(self) -> int:
        """How many there are."""
        return max(1, -(-self.whole // SHOWN))


def _page(rows: Sequence[ListedCustomer], whole: int, number: int) -> _View:
    """A page; the last one where the address says one further on."""
    before = SHOWN * (min(max(number, 1), _View(rows, 0, whole).pages) - 1)
    return _View(rows[before : before + SHOWN], before, whole)


@dataclass(frozen=True)
class ListTable:
    """How the customers of a list are written: with what the store knows of them.

    ``worth`` is what a save is worth, in words.
    """

    store: Store
    scored: Mapping[str, Mapping[str, Any]]
    currency: str
    page: Page
    worth: str

    def paged(self, title: str, lead: str, query: str, view: _View) -> CustomerList:
        """One page of a list."""
        last = view.before + len(view.rows)
        which = f"{count(view.before + 1)} to {count(last)} of {count(view.whole)}"
        caption = f"{which if view.rows else 'Nobody'}, before anybody is contacted"
        cells = [self._cells(row, self.scored.get(row.customer_id, {})) for row in view.rows]
        table = Table(caption, self._columns(), cells)
        return CustomerList(title, lead, table, query, view.number, view.pages)

    def _columns(self) -> list[Column]:
        who = [Column("Customer"), Column("Group")]
        if self._contacts:
            who.append(Column("Contact"))
        who.append(Column(f"Last {self.store.words.order}", "number"))
        if "channel" in self.store.columns:
            who.append(Column("Channel"))
        return [*who, STILL, Column(self.worth, "number"), *COSTS]

    def _cells(self, row: ListedCustomer, scored: Mapping[str, Any]) -> tuple[Cell, ...]:
        linked, key = self.page.has("customers"), row.customer_id
        cells: list[Cell] = [link(key, address(key)) if linked else key, row.group]
        if self._contacts:
            cells.append(self._contact(key))
        cells.append(f"{days(scored.get('days_since_last'))} ago")
        if "channel" in self.store.columns:
            cells.append(str(scored.get("channel") or NONE))
        return (
            *cells,
            percent(row.alive),
            money(row.save, self.currency),
            money(row.winnable, self.currency),
            money(row.cost, self.currency),
            percent(row.break_even),
        )

    @property
    def _contacts(self) -> bool:
        """Whether the store has contacts, and the visitor may see them."""
        return "contacts" in self.store.tables and may_see_contacts(self.page.visitor)

    def _contact(self, key: str) -> Cell:
        row = next(iter(self.store.rows_of("contacts", key)), {})
        name, *ways = (str(row.get(field) or "") for field in ("name", "email", "phone"))
        reach = " · ".join(way for way in ways if way)
        return small(name or NONE, reach) if reach else name or NONE


def may_see_contacts(visitor: Visitor | None) -> bool:
    """Whether somebody may see names, e-mail addresses and phone numbers."""
    return visitor is not None and visitor.role >= CONTACTS_FROM


def with_what_is_known(store: Store, table: pa.Table, visitor: Visitor | None) -> pa.Table:
    """A list with each customer's last order, channel and, for whom may see them, contact."""
    ids = keys_of(table["customer_id"])
    columns = [n for n in ("days_since_last", "channel") if n in store.columns]
    scored = store.export(columns=("customer_id", *columns), terms=()).read_all()
    table = _joined(table, ids, scored, columns)
    contacts = store.table("contacts") if may_see_contacts(visitor) else None
    if contacts is None:
        return table
    fields = [n for n in ("name", "email", "phone") if n in contacts.column_names]
    return _joined(table, ids, contacts, fields)


def _joined(
    table: pa.Table, ids: pa.ChunkedArray, other: pa.Table, columns: Sequence[str]
) -> pa.Table:
    """``table`` with columns of ``other``, by customer; empty for those it does not have."""
    places = pc.index_in(ids, value_set=keys_of(other["customer_id"]).combine_chunks())
    for name in columns:
        if name not in table.column_names:
            table = table.append_column(name, other[name].take(places))
    return table
