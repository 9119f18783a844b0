"""Random order logs, written as shops and spreadsheets write them; shares no code with the reader.

A log is a list of orders with what truly came of them; a dialect is how it is written down. The
truth is counted from the orders alone.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import random
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

HEADERS = {
    "en": {
        "customer": "Customer ID", "date": "Order Date", "amount": "Total", "order": "Order ID",
        "status": "Status", "refund": "Refunded Amount", "kind": "Type", "quantity": "Quantity",
        "price": "Unit Price", "product": "Product", "total": "Total",
    },
    "de": {
        "customer": "Kundennummer", "date": "Bestelldatum", "amount": "Betrag",
        "order": "Bestellnummer", "status": "Status", "refund": "Erstattungsbetrag", "kind": "Typ",
        "quantity": "Menge", "price": "Einzelpreis", "product": "Artikel", "total": "Summe",
    },
    "fr": {
        "customer": "Numéro client", "date": "Date de commande", "amount": "Montant",
        "order": "Numéro de commande", "status": "Statut", "refund": "Montant remboursé",
        "kind": "Type", "quantity": "Quantité", "price": "Prix unitaire", "product": "Article",
        "total": "Total",
    },
    "es": {
        "customer": "ID Cliente", "date": "Fecha de pedido", "amount": "Importe",
        "order": "Pedido", "status": "Estado", "refund": "Reembolso", "kind": "Tipo",
        "quantity": "Cantidad", "price": "Precio unitario", "product": "Producto",
        "total": "Total",
    },
}  # fmt: skip
WORDS = {
    "en": ("paid", "refunded", "cancelled", "Order", "Refund"),
    "de": ("bezahlt", "erstattet", "storniert", "Bestellung", "Erstattung"),
    "fr": ("payée", "remboursée", "annulée", "Commande", "Remboursement"),
    "es": ("pagado", "reembolsado", "cancelado", "Pedido", "Reembolso"),
}
MEANINGS = ("paid", "refunded", "cancelled", "sale", "refund")


@dataclass
class Order:
    """One order: when, by whom, for how many cents, and what came of it."""

    number: str
    customer: str
    at: dt.datetime
    lines: list[tuple[str, int, int]]  # product, quantity, price in cents
    back: int = 0  # cents that were refunded
    back_at: dt.datetime | None = None
    cancelled: bool = False

    @property
    def cents(self) -> int:
        return sum(quantity * price for _, quantity, price in self.lines)


@dataclass(frozen=True)
class Dialect:
    """How a log is written down."""

    name: str
    language: str = "en"
    separator: str = ","
    decimal: str = "."
    thousands: str = ""
    encoding: str = "utf-8"
    date: str = "%Y-%m-%d"
    zone: str | None = None
    sign: str = ""  # before, or behind if it begins with a blank
    negative: str = "-{}"
    title: bool = False
    totals: bool = False
    rows: str = "orders"  # or lines, or first (amount on the first line), or each
    refunds: str = "rows"  # or column, status, kind, none
    cancelled: bool = False
    newline: str = "\r\n"


US, UK, DE = "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y"
OFFSET = "%Y-%m-%d %H:%M:%S %z"
DIALECTS = (
    Dialect("plain"),
    Dialect("german excel", "de", ";", ",", ".", "utf-8-sig", DE, totals=True),
    Dialect("german latin", "de", ";", ",", "", "cp1252", "%d.%m.%Y %H:%M", refunds="column"),
    Dialect("us dollars", sign="$", thousands=",", date=US, negative="({})"),
    Dialect("pounds", sign="£", thousands=",", date=UK, refunds="status", cancelled=True),
    Dialect("french", "fr", ";", ",", "\u00a0", "utf-8", UK, sign=" €", refunds="column"),
    Dialect("french utf-16", "fr", "\t", ",", "", "utf-16", "%d/%m/%Y %H:%M"),
    Dialect("spanish", "es", ";", ",", ".", "utf-8", UK, refunds="kind"),
    Dialect("berlin offsets", zone="Europe/Berlin", date=OFFSET, refunds="column"),
    Dialect("new york", zone="America/New_York", date=OFFSET, cancelled=True, refunds="status"),
    Dialect("title rows", title=True, totals=True),
    Dialect("tabs", separator="\t", date="%d %b %Y", refunds="column"),
    Dialect("accounting", thousands=",", negative="({})", date="%b %d, %Y"),
    Dialect("trailing minus", decimal=",", separator=";", negative="{}-", date="%d-%m-%Y"),
    Dialect("line rows", rows="lines", refunds="none"),
    Dialect("total on first line", rows="first", refunds="column"),
    Dialect("total on each line", rows="each", refunds="none"),
    Dialect("german kinds", "de", ";", ",", ".", "utf-8", DE, refunds="kind", totals=True),
    Dialect("codes", sign=" EUR", date="%Y/%m/%d", refunds="status"),
    Dialect("us clock", date="%m/%d/%Y %I:%M %p", newline="\n", refunds="column", title=True),
    Dialect("swiss", "de", ";", ".", "'", date=DE, sign="CHF ", totals=True),
    Dialect("french clock", "fr", ";", ",", "\u202f", date="%d/%m/%Y %Hh%M", refunds="column"),
    Dialect("iso weeks", date="%G-W%V-%u", refunds="column"),
    Dialect("minus sign", "de", ";", ",", ".", date="%d.%m.%Y %H.%M", negative="−{}"),
    Dialect("old mac", newline="\r", date="%Y%m%dT%H%M%SZ", refunds="kind"),
)


@dataclass(frozen=True)
class Truth:
    """What a log truly holds, by the rules: a customer's orders of one day are one purchase."""

    purchases: int
    cents: int
    customers: int


@dataclass
class Log:
    """Orders in order of time."""

    orders: list[Order] = field(default_factory=list)

    def truth(self) -> Truth:
        days: dict[tuple[str, dt.date], int] = {}
        for order in self.orders:
            left = order.cents - order.back
            if not order.cancelled and left > 0:
                key = (order.customer, order.at.date())
                days[key] = days.get(key, 0) + left
        return Truth(len(days), sum(days.values()), len({customer for customer, _ in days}))


def random_log(seed: int, dialect: Dialect) -> Log:
    """A log of 30 to 80 customers over about a year."""
    rng = random.Random(seed)
    log = Log()
    start = dt.datetime(2023, rng.randint(1, 12), rng.randint(1, 28))
    number = rng.randint(1000, 9000)
    for person in range(rng.randint(30, 80)):
        customer = f"C{person:04d}" if seed % 2 else str(20000 + 7 * person)
        for _ in range(1 + min(int(rng.expovariate(0.5)), 12)):
            number += 1
            at = start + dt.timedelta(minutes=rng.randint(0, 370 * 24 * 60))
            lines = [
                (f"P{rng.randint(1, 40)}", rng.randint(1, 4), rng.randint(150, 42_000))
                for _ in range(rng.choice((1, 1, 2, 3)))
            ]
            log.orders.append(Order(str(number), customer, at, lines))
    log.orders.sort(key=lambda order: order.at)
    for order in log.orders:
        luck = rng.random()
        if dialect.cancelled and luck < 0.05:
            order.cancelled = True
        elif dialect.refunds != "none" and luck < 0.12:
            # a refund row with a number of its own can only be matched by its amount
            full = dialect.refunds in ("status", "rows") or luck < 0.08
            order.back = order.cents if full else order.cents // 3
            order.back_at = order.at + dt.timedelta(days=rng.randint(1, 20))
    return log


def write(log: Log, dialect: Dialect, file: Path) -> Path:
    """The log as a file of the dialect."""
    names = HEADERS[dialect.language]
    words = dict(zip(MEANINGS, WORDS[dialect.language], strict=True))
    header, rows = _rows(log, dialect, names, words)
    out = io.StringIO()
    writer = csv.writer(out, delimiter=dialect.separator, lineterminator=dialect.newline)
    if dialect.title:
        writer.writerow(["Orders of the shop", *[""] * (len(header) - 1)])
        writer.writerow([""] * len(header))
    writer.writerow(header)
    writer.writerows(rows)
    if dialect.totals:
        total = sum(
            o.cents - (o.back if dialect.refunds in ("rows", "kind") else 0) for o in log.orders
        )
        row = [""] * len(header)
        row[0] = names["total"]
        row[header.index(names["amount"])] = _money(total, dialect)
        writer.writerow(row)
    file.write_bytes(out.getvalue().encode(dialect.encoding))
    return file


def _rows(log, dialect, names, words):
    header = [names["customer"], names["order"], names["date"], names["amount"]]
    if dialect.refunds == "column":
        header.append(names["refund"])
    if dialect.refunds == "status" or dialect.cancelled:
        header.append(names["status"])
    if dialect.refunds == "kind":
        header.append(names["kind"])
    if dialect.rows in ("lines", "first", "each"):
        header += [names["product"], names["quantity"], names["price"]]
    rows = []
    for order in log.orders:
        rows += _of_order(order, dialect, words)
        if order.back and dialect.refunds in ("rows", "kind"):
            cents = -order.back
            number = order.number if dialect.refunds == "kind" else f"R{order.number}"
            row = [order.customer, number, _date(order.back_at, dialect), _money(cents, dialect)]
            rows.append(row + ([words["refund"]] if dialect.refunds == "kind" else []))
    return header, rows


def _of_order(order, dialect, words):
    amounts = [order.cents]
    if dialect.rows == "lines":
        amounts = [quantity * price for _, quantity, price in order.lines]
    elif dialect.rows == "first":
        amounts = [order.cents, *[None] * (len(order.lines) - 1)]
    elif dialect.rows == "each":
        amounts = [order.cents] * len(order.lines)
    for place, cents in enumerate(amounts):
        row = [order.customer, order.number, _date(order.at, dialect)]
        row.append("" if cents is None else _money(cents, dialect))
        if dialect.refunds == "column":
            row.append("" if cents is None else _money(order.back, dialect))
        if dialect.refunds == "status" or dialect.cancelled:
            gone = order.back and dialect.refunds == "status"
            state = "cancelled" if order.cancelled else "refunded" if gone else "paid"
            row.append(words[state])
        if dialect.refunds == "kind":
            row.append(words["sale"])
        if dialect.rows in ("lines", "first", "each"):
            product, quantity, price = order.lines[place]
            row += [product, str(quantity), _money(price, dialect)]
        yield row


def _date(at: dt.datetime, dialect: Dialect) -> str:
    moment = at.replace(tzinfo=ZoneInfo(dialect.zone)) if dialect.zone else at
    return moment.strftime(dialect.date)


def _money(cents: int, dialect: Dialect) -> str:
    whole, part = divmod(abs(cents), 100)
    grouped = f"{whole:,}".replace(",", dialect.thousands)
    text = f"{grouped}{dialect.decimal}{part:02d}"
    sign = dialect.sign
    text = f"{text}{sign}" if sign.startswith(" ") else f"{sign}{text}"
    return dialect.negative.format(text) if cents < 0 else text
