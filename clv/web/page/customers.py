"""Customers: found, filtered, sorted, added up, and exported as they are filtered.

The address holds all of it. Ranges of churn are in percent, as people write them. The export takes
what the table shows, on all its pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response

from clv.errors import InputError
from clv.format import (
    capital,
    count,
    counted,
    day,
    days,
    large_money,
    money,
    number,
    percent,
)
from clv.io.table_files import TABLE_FILES
from clv.report.charts import Cell, Column, Table
from clv.score_columns import BUYERS
from clv.spans import span
from clv.store import CustomerPage, Store, Totals
from clv.store.filter_kinds import (
    NO_VALUE,
    Fields,
    FilterField,
    FlagFilter,
    ListFilter,
    RangeFilter,
    only_value,
)
from clv.store.filters import FILTERS, month_or_text
from clv.store.query_fields import (
    chosen,
    fields_of,
    file_name,
    for_the_log,
    how_many,
    in_words,
    of_address,
    ordered,
    page_number,
)
from clv.web.access.forms import MOST_FORM
from clv.web.access.roles import RULES, Role, least_role
from clv.web.access.who import Visitor
from clv.web.download import DownloadFile, download, require_kind, write_customers
from clv.web.page import customer
from clv.web.page.frame import Frame, Page, Room, room
from clv.web.page.presets import presets
from clv.web.page.saved_segments import router as saved_router
from clv.web.page.saved_segments import saved_segments
from clv.web.page.tables import Empty, Headline, SortOrder, link, small
from clv.web.problems import ProblemError

SIZE = 50  # customers on a page
FEW = 8  # choices that are shown without being asked for
HERE, EXPORT = "/customers", "/customers/export"
Row = Mapping[str, Any]

router = APIRouter()
ROOM = Room("customers", HERE, "Customers", router)


@dataclass(frozen=True)
class CustomerSearch:
    """The customers on a page, what all that were asked for add up to, and in which order."""

    result: CustomerPage
    totals: Totals
    order: SortOrder


@router.get(HERE)
async def show(request: Request) -> Response:
    """The page; 422 if the address asks for something that does not exist."""
    wrong: list[InputError] = []

    saved = saved_segments(request)

    def build(store: Store, page: Page) -> dict[str, Any]:
        return content(store, page, wrong) | {"saved": saved or [], "saves": saved is not None}

    answer = await room(request, "customers.html", build, title="Customers", active="customers")
    if wrong and answer.status_code == 200:
        answer.status_code = 422
    return answer


def content(store: Store, page: Page, wrong: list[InputError]) -> dict[str, Any]:
    """What the template shows; what is wrong with the address is said above the form."""
    fields = of_address(fields_of(page.address.query))
    answer = None
    try:
        answer = find(store, page, fields)
    except InputError as error:
        wrong.append(error)
    segments, currency = store.segments(), str(store.terms.get("currency") or "")
    any_customer = answer is not None and answer.totals.customers > 0
    return {
        "presets": presets(store),
        "lead": _lead(store, answer),
        "wrong": wrong[0] if wrong else None,
        "fields": fields,
        "set": how_many(fields),
        "filters": form_fields(store, segments, currency),
        "keep": [(n, v) for n in ("sort", "order") for v in fields.get(n, ())[:1]],
        "headlines": headlines(store, answer.totals) if answer and any_customer else [],
        "table": table(store, answer.result, currency) if answer and any_customer else None,
        "answer": answer,
        "empty": _nobody(fields) if answer and not any_customer else None,
        "export": EXPORT,
        "files": list(TABLE_FILES.values()),
        "may_export": may_export(page.visitor),
        "hidden": page.address.without("sort", "order", "page", "csrf", "format"),
        "size": counted(answer.totals.customers, "customer") if answer else "",
    }


def find(store: Store, page: Page, fields: Fields) -> CustomerSearch:
    """What an address asks for; ``InputError`` if that does not exist."""
    filters, sort, number = chosen(fields), ordered(fields), page_number(fields)
    result = store.search(filters, sort, page=number, size=SIZE)
    if result.customers and number > result.pages:
        last = counted(result.pages, "page")
        raise InputError(f"These customers fill {last}; there is no page {count(number)}.")
    return CustomerSearch(
        result, store.totals(filters), SortOrder(sort.by, sort.descending, page.address)
    )


def form_fields(
    store: Store, segments: Mapping[str, Sequence[Row]], currency: str
) -> list[dict[str, Any]]:
    """The filters of the form: those that the store has a column for, lists with their choices."""
    units = {"%": "in %", "money": "in " + (currency or "the scores' money")}
    form = []
    for name, field in FILTERS.items():
        entry: dict[str, Any] = {
            "name": name,
            "label": _label(field, store),
            "kind": type(field).__name__,
        }
        if isinstance(field, ListFilter):
            values = [row["segment"] for row in segments.get(str(field.column), ())]
            values = [v for v in values if field.missing is not None or v != NO_VALUE]
            options = [(value, capital(field.show(value))) for value in values]
            entry |= {"options": options, "many": len(options) > FEW}
            form += [entry] if options else []
        elif field.column is None or field.column in store.columns:
            if isinstance(field, FlagFilter):
                entry["options"] = list(zip(("", "yes", "no"), field.choices, strict=True))
            if isinstance(field, RangeFilter):
                entry["unit"] = units.get(field.unit, "")
            form.append(entry)
    return form


def _label(field: FilterField, store: Store) -> str:
    """That of a filter; subscribers pay where buyers order."""
    return field.label.replace(BUYERS.order, store.words.order)


def headlines(store: Store, totals: Totals) -> list[Headline]:
    """What the customers who were found add up to."""
    currency, horizon = str(store.terms.get("currency") or ""), span(store.terms["horizon"])
    churn = store.terms.get("churn_horizon")
    within = f"churn within {span(churn)} × value at stake" if churn else "churn × value at stake"
    each = money(totals.value / totals.customers, currency)
    everybody = totals.customers == store.customers
    share = "all" if everybody else f"{percent(totals.customers / store.customers)} of all"
    expected = f"{capital(store.words.orders)} expected"
    purchases = count(round(totals.expected_purchases))
    return [
        Headline("Customers", count(totals.customers), f"{share} who were scored"),
        Headline(
            f"Value, next {horizon}",
            large_money(totals.value, currency),
            f"{each} each on average",
            "estimated",
        ),
        Headline(
            "Share of the base",
            percent(round(totals.share, 9)),
            "of the value of all customers",
            "estimated",
        ),
        Headline(expected, purchases, f"in the next {horizon}", "estimated"),
        Headline("Value at risk", large_money(totals.at_risk, currency), within, "estimated"),
    ]


def columns(store: Store) -> list[Column]:
    """The columns of the table: those that the store knows."""
    visible = [
        Column("Customer", "text", "customer_id"),
        Column("Tier"),
        Column("Value", "number", "clv"),
        Column(capital(store.words.orders), "number", "expected_purchases"),
        Column(f"Last {store.words.order}", "number", "days_since_last"),
        Column("Churn", "number", "churn_probability"),
        Column("At stake", "number", "value_at_stake"),
        Column("Channel", "text", "channel"),
        Column("First order", "text", "cohort"),
    ]
    optional = ("channel", "cohort")
    return [
        column for column in visible if column.sort not in optional or column.sort in store.columns
    ]


def table(store: Store, result: CustomerPage, currency: str) -> Table:
    """A row per customer."""
    visible = columns(store)
    headings = [column.heading for column in visible]
    rows = [[_cell(heading, row, currency) for heading in headings] for row in result.rows]
    return Table(_caption(store, result), visible, rows)


def _cell(heading: str, row: Row, currency: str) -> Cell:
    """What stands under a heading for one customer."""
    if heading == "Customer":
        return _named(row)
    if heading == "Value":
        low, high = (money(row.get(name), currency) for name in ("clv_low", "clv_high"))
        has_interval = row.get("clv_low") is not None
        value = money(row["clv"], currency)
        return small(value, f"{low} to {high}") if has_interval else value
    if heading.startswith("Last "):
        ago = "same day" if not row["days_since_last"] else f"{days(row['days_since_last'])} ago"
        return small(ago, day(row["last_date"], short=True)) if row.get("last_date") else ago
    cells: dict[str, str] = {
        "Tier": _unbroken(capital(row["tier"])),
        "Churn": percent(row["churn_probability"]),
        "At stake": money(row["value_at_stake"], currency),
        "Channel": str(row.get("channel", "")),
        "First order": _unbroken(month_or_text(str(row.get("cohort") or ""))),
    }
    return cells[heading] if heading in cells else number(row["expected_purchases"], 1)


def _unbroken(text: str) -> str:
    """Short text that stays on one line."""
    return text.replace(" ", "\u00a0")


def _named(row: Row) -> Cell:
    """The customer, with a link; and why they must not be contacted."""
    to = link(str(row["customer_id"]), customer.address(str(row["customer_id"])))
    if row.get("eligible", True):
        return to
    why = row.get("reason")
    return small(to, f"no contact: {why}" if why else "no contact")


def _caption(store: Store, result: CustomerPage) -> str:
    """What the columns are, with their horizons."""
    terms = store.terms
    first = (result.page - 1) * result.size + 1
    last = first + len(result.rows) - 1
    whom = f"{count(first)} to {count(last)} of {counted(result.customers, 'customer')}"
    level = terms.get("interval")
    interval = f", below it the interval of {percent(level)}" if level else ""
    unit = " ".join(str(terms[n]) for n in ("currency", "money") if terms.get(n))
    value = f"value of the next {span(terms['horizon'])}{f' in {unit}' if unit else ''}{interval}"
    churn = terms.get("churn_horizon")
    within = f"; churn: {store.words.lost} within {span(churn)}" if churn else ""
    return f"{whom}; {value}{within}; days are counted to {day(str(terms['as_of']))}"


def _lead(store: Store, answer: CustomerSearch | None) -> str:
    if answer is None:
        return f"The base has {counted(store.customers, 'customer')}."
    n = answer.totals.customers
    if n == store.customers:
        return f"All {count(n)} customers, as of {day(str(store.terms['as_of']))}."
    return f"{count(n)} of {counted(store.customers, 'customer')} found."


def _nobody(fields: Fields) -> Empty:
    filters = "; ".join(in_words(fields))
    return Empty(
        "No customer is like that",
        f"Nobody was found with: {filters}.",
        "Widen one of the filters, or clear them all.",
    )


def may_export(visitor: Visitor | None) -> bool:
    """Whether somebody may take customers away as a file."""
    least = least_role("POST", EXPORT, RULES) or Role.VIEWER
    return visitor is not None and visitor.role >= least


@router.post(EXPORT)
async def export(request: Request) -> Response:
    """Everybody whom the form's filter finds, as CSV or Parquet; a line of the audit says so."""
    body = await request.body()
    if len(body) > MOST_FORM:
        raise ProblemError(413, "large-form", f"A form may have {count(MOST_FORM)} bytes.")
    try:
        pairs = parse_qsl(body.decode(), max_num_fields=2_000)
    except ValueError as error:
        raise ProblemError(400, "no-form", "The request is no form that can be read.") from error
    fields = fields_of(pairs)
    filters, kind = chosen(fields), require_kind(only_value(fields, "format") or "csv")
    frame: Frame = request.app.state.frame

    def build(folder: Path) -> DownloadFile:
        with frame.stores.borrow() as store:
            path = folder / file_name(str(store.terms["as_of"]), kind, filters)
            return DownloadFile(
                write_customers(store, filters, path), for_the_log(filters), store.stated
            )

    return await download(request, build)


router.include_router(saved_router)
router.include_router(customer.router)
