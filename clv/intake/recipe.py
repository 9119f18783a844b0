"""How one firm's order files are read: the ``[data]`` of its TOML, which travels with the model.

A field that is ``"?"`` is a decision still to be made: reading stops and says what each choice
would give.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

OPEN = "?"
Open = Literal["?"]
Words = Annotated[tuple[str, ...], Field(strict=False)]
Names = str | Words


class Columns(BaseModel):
    """Which column is what; a list is several columns put together, such as a day and a time.

    ``refund`` is what an order's own row says was paid back; ``refund_of``, on a row that is a
    refund, the number of the order that it undoes. ``adjusted`` has an amount where another takes
    the place of ``amount``; ``sign`` says debit or credit; ``counterpart`` is the other of two
    columns, such as debit and credit, of which a row fills one; ``discount`` is taken off the
    amount, or off quantity times price; ``cancelled`` marks what is no order beside a status.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer_id: Names = OPEN
    date: Names = OPEN
    amount: str | None = None
    adjusted: str | None = None
    sign: str | None = None
    counterpart: str | None = None
    quantity: str | None = None
    price: str | None = None
    discount: str | None = None
    order_id: str | None = None
    refund: str | None = None
    refund_of: str | None = None
    status: str | None = None
    cancelled: Names | None = None
    kind: str | None = None
    currency: str | None = None
    product: str | None = None
    channel: str | None = None
    margin: str | None = None


class Recipe(BaseModel):
    """How files become an order log; the fields are those of ``[data]``.

    Attributes
    ----------
    format
        The shop or payment system that wrote the files, if it was recognised.
    encoding, separator, header_line, sheet
        Of text files and sheets; found by themselves if not given.
    columns
        Which column is what.
    rows
        "orders": a row is an order, or a refund. "lines": an order has a row per item, whose
        amounts add up. "order_on_first_line": only the first of them has the order's amount.
        "order_on_each_line": each repeats it.
    date_order
        "dmy" or "mdy", where both are numbers.
    date_format
        How dates are written, in strptime's terms, where they are read by it alone.
    time_zone
        Whose days count where dates carry an offset or a zone; as written if not given.
    decimal
        The decimal mark of amounts that can be read with either (1.234), as all others are read by
        their own; "both" takes three digits after the only mark for thousands.
    minor_units
        Amounts are cents (but yen and the like are whole).
    minus
        Cells of the column ``sign`` whose amounts are paid back; of two columns, ``amount`` and
        ``counterpart``, the names of those whose numbers are taken off.
    discount
        What the column of that name has: "percent" of the amount, or of quantity times price, a
        "share" of it, "money", or "none" where it is taken off already.
    currency
        What the amounts are in; of a currency column, only these rows are read.
    counted_status, leave_out_status, refunded_status, pending_status
        Cells of the status that stand for a purchase, for none, for one refunded in full, for one
        not paid.
    cancelled, cancelled_cells
        What becomes of rows that a column ``cancelled`` marks, and the cells that mark; a day marks
        as well.
    unclear_status
        Cells that are still to be put into one of these.
    pending
        Whether orders that are not paid yet count.
    counted_kinds, refund_kinds, leave_out_kinds, unclear_kinds
        Cells of the kind of row that are purchases, refunds, no orders, and still to be decided.
    fold_emails
        Whether e-mail addresses are one in any case.
    no_customer
        Words in the column of the customer that say that it is empty; the usual ones if not given.
    nobody
        Customer ids that stand for nobody in particular, such as guests.
    same_day, duplicates, zero_amounts, as_of
        As :func:`clv.data.transactions.clean` has them; duplicates "?" is open.
    max_unread
        Share of the rows, and of the money, that may be unreadable before a run stops.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: str | None = None
    encoding: str | None = None
    separator: str | None = None
    header_line: int | None = None
    sheet: str | None = None
    columns: Columns = Columns()
    rows: Literal["orders", "lines", "order_on_first_line", "order_on_each_line", "?"] = "orders"
    date_order: Literal["dmy", "mdy", "?"] = "dmy"
    date_format: str | None = None
    time_zone: str | None = None
    decimal: Literal[".", ",", "both", "?"] = "."
    minor_units: bool = False
    minus: Names = ()
    discount: Literal["percent", "share", "money", "none", "?"] = "none"
    currency: str | None = None
    counted_status: Words = ()
    leave_out_status: Words = ()
    refunded_status: Words = ()
    pending_status: Words = ()
    cancelled: Literal["leave out", "count", "?"] = "leave out"
    cancelled_cells: Words = ()
    unclear_status: Words = ()
    pending: bool = False
    counted_kinds: Words = ()
    refund_kinds: Words = ()
    leave_out_kinds: Words = ()
    unclear_kinds: Words = ()
    fold_emails: bool = True
    no_customer: Words = ()
    nobody: Words = ()
    same_day: Literal["merge", "separate"] = "merge"
    duplicates: Literal["drop", "keep", "?"] = "keep"
    zero_amounts: Literal["drop", "keep"] = "drop"
    as_of: dt.date | None = None
    max_unread: Annotated[float, Field(ge=0, le=1)] = 0.1

    def undecided(self) -> Iterator[str]:
        """The fields whose value is still ``"?"``.

        >>> list(Recipe(decimal="?").undecided())
        ['columns.customer_id', 'columns.date', 'decimal']
        """
        for name, value in self.columns:
            if value == OPEN:
                yield f"columns.{name}"
        for name in type(self).model_fields:
            if getattr(self, name) == OPEN:
                yield name
        yield from (name for name in ("unclear_status", "unclear_kinds") if getattr(self, name))

    def names(self, role: str) -> tuple[str, ...]:
        """The columns of a role, in the files' words; none if it has none."""
        value = getattr(self.columns, role)
        if value is None or value == OPEN:
            return ()
        return (value,) if isinstance(value, str) else tuple(value)
