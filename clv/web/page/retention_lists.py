"""The lists of a campaign: who is slipping, value still winnable first, and who has left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clv.decide.retention.plan import CampaignPlan
from clv.decide.retention.slipping import ListedCustomer, slipping_and_departed
from clv.defaults import DEAD
from clv.format import count, days, money, percent
from clv.report.charts import Cell, Column, Table
from clv.store import Store
from clv.web.page.customer import address
from clv.web.page.frame import Page
from clv.web.page.tables import link

SHOWN = 20  # rows of a list
COLUMNS = (
    Column("Still a customer", "number"),
    Column("Value at stake", "number"),
    Column("Still winnable", "number"),
    Column("Cost", "number"),
    Column("Break-even save rate", "number"),
)


@dataclass(frozen=True)
class CustomerList:
    """One list: its heading, what it means, and its first customers."""

    title: str
    lead: str
    table: Table


def campaign_lists(
    store: Store, plan: CampaignPlan, currency: str, page: Page
) -> Sequence[CustomerList]:
    """The slipping and the departed apart, or one list where the scores cannot tell."""
    return list(_lists(store, plan, currency, page))


def _lists(store: Store, plan: CampaignPlan, currency: str, page: Page) -> Iterator[CustomerList]:
    lists = slipping_and_departed(plan, SHOWN)
    slipping, departed = lists.sizes
    if not lists.told_apart:
        lead = "Those who gain most for their cost come first."
        yield CustomerList(
            "The list", lead, _table(store, lists.slipping, slipping, currency, page)
        )
        return
    lead = (
        f"Still there, but about to skip the next {store.words.order}; value still winnable "
        "first: that of customers who are there and would skip it."
    )
    yield CustomerList("Slipping", lead, _table(store, lists.slipping, slipping, currency, page))
    if departed:
        lead = (
            f"A chance below {percent(DEAD)} that they are still customers. Winning back is "
            "another offer than keeping: try it on some first."
        )
        table = _table(store, lists.departed, departed, currency, page)
        yield CustomerList("Probably gone already", lead, table)


def _table(
    store: Store, rows: Sequence[ListedCustomer], whole: int, currency: str, page: Page
) -> Table:
    linked = page.has("customers")
    first = f"The first {len(rows)} of {count(whole)}" if rows else "Nobody"
    cells = [_cells(store, row, currency, linked) for row in rows]
    who = (Column("Customer"), Column("Group"), Column(f"Last {store.words.order}", "number"))
    return Table(f"{first}, before anybody is contacted", (*who, *COLUMNS), cells)


def _cells(store: Store, row: ListedCustomer, currency: str, linked: bool) -> tuple[Cell, ...]:
    scored = store.customer(row.customer_id) or {}
    return (
        link(row.customer_id, address(row.customer_id)) if linked else row.customer_id,
        row.group,
        f"{days(scored.get('days_since_last'))} ago",
        percent(row.alive),
        money(row.stake, currency),
        money(row.winnable, currency),
        money(row.cost, currency),
        percent(row.break_even),
    )
