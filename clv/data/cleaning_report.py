"""What cleaning found and did, as a ledger: rows and money read, each change, what is left."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from clv.format import count, counted, number
from clv.notebook import InNotebook, Row

Entry = tuple[str, str, str, tuple[str, ...]]  # words, rows, amount, examples
COLUMNS: Entry = ("what happened", "rows", "amount", ())


@dataclass(frozen=True)
class CleaningFinding:
    """One thing that cleaning found.

    Attributes
    ----------
    reason
        What was found.
    rows
        How many rows it concerns.
    action
        What was done: dropped, merged, netted, reduced or kept.
    rows_out, amount_out
        Rows and money that left the log with it; money is negative for refunds.
    examples
        A few of the rows.
    """

    reason: str
    rows: int
    action: str
    rows_out: int
    amount_out: float
    examples: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # engines add up in different orders; the report is to be the same
        object.__setattr__(self, "amount_out", round(self.amount_out, 4) + 0.0)

    def __str__(self) -> str:
        rows = "" if self.rows == self.rows_out else f" ({counted(self.rows, 'row')})"
        return f"{self.reason}: {self.action}{rows}"


@dataclass(frozen=True)
class CleaningReport(InNotebook):
    """What became of a log in :func:`clv.data.transactions.clean`.

    ``rows_in`` less the ``rows_out`` of the findings is ``rows_out``, and so for the money: nothing
    leaves without a line that says so. Rows whose amount cannot be read count as no money.

    Attributes
    ----------
    rows_in, amount_in
        Rows and money of the raw log.
    rows_out, amount_out
        Rows and money of the clean log; each row is one purchase.
    customers, first_date, last_date
        Customers, first and last day of purchase in the clean log.
    findings
        What was found, in the order in which it was dealt with.
    assumptions
        The rules and readings that the result rests on, in words.
    """

    rows_in: int
    amount_in: float
    rows_out: int
    amount_out: float
    customers: int
    first_date: dt.date
    last_date: dt.date
    findings: tuple[CleaningFinding, ...]
    assumptions: tuple[str, ...]

    @property
    def purchases(self) -> int:
        """Purchases in the clean log, one a row."""
        return self.rows_out

    def without_examples(self) -> CleaningReport:
        """The same without rows of customers, for wherever it is kept."""
        findings = tuple(replace(finding, examples=()) for finding in self.findings)
        return replace(self, findings=findings)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values that JSON can hold."""
        plain = asdict(self)
        plain["purchases"] = self.purchases
        plain["first_date"], plain["last_date"] = str(self.first_date), str(self.last_date)
        plain["findings"] = [{**f, "examples": list(f["examples"])} for f in plain["findings"]]
        plain["assumptions"] = list(self.assumptions)
        return plain

    def __str__(self) -> str:
        return "\n".join(self._lines())

    @property
    def heading(self) -> str:
        """What is left, in a line."""
        whose = f"{counted(self.purchases, 'purchase')} of {counted(self.customers, 'customer')}"
        return f"{whose}, {self.first_date} to {self.last_date}"

    def _lines(self) -> Iterator[str]:
        yield self.heading
        yield ""
        for text, rows, amount, examples in (COLUMNS, *self.ledger()):
            yield f"{rows:>12} {amount:>16}  {text}"
            yield from (f"{'':31}{example}" for example in examples)
        if self.assumptions:
            yield ""
            yield "Taken as given:"
            yield from (f"  - {assumption}" for assumption in self.assumptions)

    def ledger(self) -> Iterator[Entry]:
        """What was read, each change, and what is left: words, rows, amount, examples."""
        yield _entry("read", self.rows_in, self.amount_in)
        for finding in self.findings:
            change = -finding.rows_out, -finding.amount_out
            yield _entry(str(finding), *change, finding.examples, signed=True)
        yield _entry("purchases in the clean log", self.rows_out, self.amount_out)

    def _table(self) -> tuple[Row, Iterable[Row]]:
        return COLUMNS[:3], [entry[:3] for entry in self.ledger()]

    def _points(self) -> Iterable[str]:
        return self.assumptions


def _entry(
    text: str, rows: int, amount: float, examples: tuple[str, ...] = (), *, signed: bool = False
) -> Entry:
    cents = round(amount, 2)
    figures = [
        ("+" if signed and value > 0 else "") + written if value or not signed else "·"
        for value, written in ((rows, count(rows)), (cents, number(cents)))
    ]
    return text, figures[0], figures[1], examples
