"""Campaigns that were run: who published them, what was expected, and what the orders say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from clv.app.contents.campaign_results import CAMPAIGNS, LISTS
from clv.errors import InputError
from clv.format import NONE, count, counted, day, money, percent, sentence
from clv.report.charts import Cell, Column, Table
from clv.spans import span
from clv.store import Store
from clv.web.page.tables import chip, small

COLUMNS = (
    Column("Campaign"),
    Column("Published by"),
    Column("Contacted", "number"),
    Column("Held out", "number"),
    Column("Cost", "number"),
    Column("Expected", "number"),
    Column("Came of it", "number"),
    Column("Save rate", "number"),
    Column("So far"),
)


def campaign_names(store: Store) -> list[str]:
    """The campaigns of a store, as they were published."""
    return [str(record["name"]) for record in store.document(CAMPAIGNS) or []]


def campaigns_table(store: Store, currency: str) -> Table | None:
    """Each campaign with what was expected and what was measured; None without any."""
    records = store.document(CAMPAIGNS)
    if not records:
        return None
    caption = "What contacting earned, against those held out by chance"
    return Table(caption, COLUMNS, [_row(record, currency) for record in records])


def _row(record: Mapping[str, Any], currency: str) -> tuple[Cell, ...]:
    result = record.get("result")
    started = record.get("date")
    over = f"over {span(record['horizon'])}" if record.get("horizon") else "in all"
    expected = record.get("expected_gain")
    return (
        small(record["name"], day(started)) if started else record["name"],
        record.get("published_by") or NONE,
        count(record.get("customers")),
        count(record.get("control")),
        money(record.get("cost"), currency),
        NONE if expected is None else small(money(expected, currency), over),
        NONE if result is None else _earned(result, record, currency),
        NONE if result is None else _rate(result),
        _so_far(record),
    )


def _earned(result: Mapping[str, Any], record: Mapping[str, Any], currency: str) -> Cell:
    ends = " to ".join(money(result[end], currency) for end in ("low", "high"))
    days = round(7 * record["weeks"])
    window = counted(days, "day") if days % 7 else counted(days // 7, "week")
    return small(money(result["earned"], currency), f"{ends}, within {window}")


def _rate(result: Mapping[str, Any]) -> Cell:
    rate = result.get("save_rate")
    if rate is None:
        return NONE
    return small(percent(rate["mean"]), f"{percent(rate['low'])} to {percent(rate['high'])}")


def _so_far(record: Mapping[str, Any]) -> Cell:
    if record.get("result") is not None:
        return chip("measured")
    if record.get("awaited"):
        return f"orders until {day(record['awaited'])} are awaited"
    return sentence(record.get("why_not") or "publish with the orders to measure it")


def measured_rate(store: Store) -> tuple[str, Mapping[str, float]] | None:
    """The save rate that the last campaign measured, with its name; None where none did."""
    for record in reversed(store.document(CAMPAIGNS) or []):
        rate = (record.get("result") or {}).get("save_rate")
        if rate is not None:
            return str(record["name"]), rate
    return None


def list_of(store: Store, name: str) -> pa.Table:
    """The list of a campaign; ``InputError`` where there is none of that name."""
    table = store.table(LISTS)
    rows = None if table is None else table.filter(pc.equal(table["campaign"], name))
    if rows is None or not rows.num_rows:
        raise InputError(f"no campaign is called {name[:60]!r}.", hint="take one of the page.")
    return rows.drop_columns([column for column in ("key",) if column in rows.column_names])
