"""A table of spend as people export it: read by the looks at dates and amounts that orders get.

Campaigns of a channel are added up; rows of totals are left out and counted. What the file cannot
say is an error that names the line of ``[spend]`` that says it.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from clv.errors import ColumnError, InputError, RowError
from clv.format import count
from clv.intake.draft import Draft
from clv.intake.file_rows import Stated
from clv.intake.moments import MONTH_OF
from clv.intake.reading import with_time
from clv.intake.recipe import Words
from clv.intake.role_cells import number_sql, text_sql
from clv.intake.row_reasons import DUPLICATE, EMPTY, TOTALS, LeftOut
from clv.intake.settings import settle_currency, settle_dates, settle_decimal
from clv.intake.sources import Source, read_source
from clv.intake.vocabulary import is_total, plain, vocabulary

if TYPE_CHECKING:
    import pyarrow as pa

MONEY = ("spend", "fixed_cost", "new_customers")
# An order log has roles of the same kind, and these are read by its rules.
ROLES = {
    "spend": "amount", "fixed_cost": "refund", "new_customers": "quantity", "period": "date",
    "channel": "customer_id", "currency": "currency",
}  # fmt: skip
WHERE = "under [spend] in clv.toml, or in a file given with --config."  # for hints
MONTH = re.compile(
    r"(?P<y>(?:19|20)\d\d)[-/. ]?(?P<m>0[1-9]|1[0-2])|(?P<m2>\d{1,2})[-/.](?P<y2>\d{4})"
)
WEEK = re.compile(
    r"(?P<y>\d{4})[- ]?(?:W|KW|S)[- ]?(?P<w>\d\d?)|(?:W|KW|S)[- ]?(?P<w2>\d\d?)[-/ ](?P<y2>\d{4})",
    re.I,
)


NAMED = re.compile(r"([^\d\s.,-]+)[., -]+(\d{4})")


class SpendColumns(BaseModel):
    """Which column of a table of spend is what; found by its name if not given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channel: str | None = None
    period: str | None = None
    spend: str | None = None
    fixed_cost: str | None = None
    new_customers: str | None = None
    currency: str | None = None


class SpendRecipe(BaseModel):
    """The ``[spend]`` of a TOML: how a table of spend is read, and which channels stand alone.

    Attributes
    ----------
    columns, encoding, separator, header_line, sheet, date_order, decimal
        As a :class:`clv.intake.recipe.Recipe` has them; found in the file if not given.
    currency
        Of a table in several, the one that is read.
    duplicates
        Whether rows that repeat another in every column are dropped or kept.
    names
        Channels that the orders call otherwise, by their name in the table.
    without_spend, without_customers
        Channels that bring customers and cost nothing; that cost money and bring nobody.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: SpendColumns = SpendColumns()
    encoding: str | None = None
    separator: str | None = None
    header_line: int | None = None
    sheet: str | None = None
    date_order: Literal["dmy", "mdy"] | None = None
    decimal: Literal[".", ",", "both"] | None = None
    currency: str | None = None
    duplicates: Literal["drop", "keep"] | None = None
    names: Mapping[str, str] = Field(default_factory=dict)
    without_spend: Words = ()
    without_customers: Words = ()


@dataclass(frozen=True)
class SpendTable:
    """A table of spend, read.

    Attributes
    ----------
    rows
        channel, period (a date, or a label), spend [, fixed_cost] [, new_customers].
    currency
        Of its money; "" if nothing says it.
    left_out
        Rows that are no part of it, with reason and money.
    """

    rows: pa.Table
    currency: str
    left_out: tuple[LeftOut, ...]


class _Line(NamedTuple):
    row: int
    channel: str | None
    dated: str | None
    day: dt.date | None
    currency: str | None
    repeats: bool
    amounts: tuple[float | None, ...]

    @property
    def label(self) -> bool:
        """Whether it is a row of totals by what it is called, or as it is called nothing."""
        named = [text for text in (self.channel, self.dated) if text]
        return any(map(is_total, named)) or (not named and any(self.amounts))


def read_spend_table(
    file: str | os.PathLike[str], recipe: SpendRecipe | None = None, today: dt.date | None = None
) -> SpendTable:
    """The rows of a table of spend.

    Parameters
    ----------
    file
        CSV of any dialect, Excel, Parquet, JSON lines.
    recipe
        What is stated of it.
    today
        Later periods are an error; by default the present day.

    Raises
    ------
    ColumnError, RowError, InputError
        A column is missing; cells cannot be read; a reading is open, rows repeat others, or the
        money is in several currencies, and the recipe does not say which counts.
    """
    stated, now = recipe or SpendRecipe(), today or dt.date.today()
    source = read_source(
        [file], Stated(stated.encoding, stated.separator, stated.header_line, stated.sheet)
    )
    draft, columns = _settled(source, stated, now)
    lines = [*_lines(source, draft, columns)]
    currency = str(draft.fields.get("currency") or "")
    used, left_out = _divided(lines, stated, currency)
    _require_readable(used, columns, now)
    return SpendTable(_added_up(used, columns), currency, left_out)


def _settled(source: Source, stated: SpendRecipe, today: dt.date) -> tuple[Draft, tuple[str, ...]]:
    """Which column is what, and how they are written; the columns of money that there are."""
    columns = _columns(source.names, stated.columns)
    draft = Draft(source, today, {ROLES[role]: name for role, name in columns.items()})
    fields = ("decimal", "date_order", "currency")
    draft.fields |= {name: value for name in fields if (value := getattr(stated, name))}
    for settle in (settle_decimal, settle_dates, settle_currency):
        settle(draft)
    for question in draft.questions:
        values = " or ".join(f'{question.field} = "{c.value}"' for c in question.choices)
        raise InputError(f"{source.files[0]}: {question.text}", hint=f"say {values} {WHERE}")
    if "currency" not in draft.fields and (code := _in_header(columns["spend"])):
        draft.fields["currency"] = code
    return draft, tuple(role for role in MONEY if role in columns)


def _columns(names: Sequence[str], stated: SpendColumns) -> dict[str, str]:
    """The columns by role: stated, or by their names without what stands in parentheses."""
    words = vocabulary()["spend"]
    columns: dict[str, str] = {}
    for role in ROLES:
        free = {plain(re.sub(r"[(\[].*", "", name)): name for name in reversed(names)}
        by_name = next((free[word] for word in words[role] if word in free), None)
        if name := getattr(stated, role) or by_name:
            columns[role] = name
    for role in ("channel", "period", "spend"):
        if role not in columns:
            raise ColumnError(
                f"no column of the spend table is called {role}: there are {', '.join(names)}.",
                hint=f'say which it is by columns.{role} = "{names[0]}" or another, {WHERE}',
            )
    return columns


def _in_header(name: str) -> str:
    """The currency that a header names, as in ``Amount spent (EUR)``."""
    code = re.search(r"[(\[]([A-Z]{3})[)\]]", name)
    return code[1] if code else ""


def _lines(source: Source, draft: Draft, columns: Sequence[str]) -> Iterator[_Line]:
    recipe = draft.recipe()
    every = ", ".join(f"c{place}" for place in range(len(source.names)))
    again = f"row_number() OVER (PARTITION BY {every} ORDER BY _row) > 1 AS _repeats"
    rows = with_time(source.rows.project(f"*, {again}"), source, recipe)
    texts = ", ".join(text_sql(source, recipe.names(ROLES[r])) for r in ("channel", "currency"))
    cells = ", ".join(number_sql(source, recipe, ROLES[role]) for role in columns)
    for row, repeats, dated, at, channel, currency, *amounts in (
        rows.project(f"_row, _repeats, _dated::VARCHAR, _at, {texts}, {cells}")
        .order("_row")
        .fetchall()
    ):
        day = _start(dated or "") if at is None else at.date()
        name = " ".join(channel.split()) if channel else None
        yield _Line(row, name, dated, day, currency, repeats, tuple(amounts))


def _start(text: str) -> dt.date | None:
    """The first day of a month or a week that is written as such.

    >>> [str(_start(text)) for text in ("2024-03", "3/2024", "März 2024", "2024-W05", "KW 5 2024")]
    ['2024-03-01', '2024-03-01', '2024-03-01', '2024-01-29', '2024-01-29']
    """
    try:
        if month := MONTH.fullmatch(text.strip()):
            year = int(month["y"] or month["y2"])
            return dt.date(year, int(month["m"] or month["m2"]), 1)
        if week := WEEK.fullmatch(text.strip()):
            year = int(week["y"] or week["y2"])
            return dt.date.fromisocalendar(year, int(week["w"] or week["w2"]), 1)
        if (named := NAMED.fullmatch(text.strip())) and plain(named[1]) in MONTH_OF:
            return dt.date(int(named[2]), MONTH_OF[plain(named[1])], 1)
    except ValueError:
        return None
    return None


def _divided(
    lines: Sequence[_Line], stated: SpendRecipe, currency: str
) -> tuple[list[_Line], tuple[LeftOut, ...]]:
    """The lines that count, and the others by reason."""
    whole = all(line.label for line in lines)  # then it is not of totals but of all channels

    def reason(line: _Line) -> str:
        if not (line.channel or line.dated or any(line.amounts)):
            return EMPTY
        if line.label and not whole:
            return TOTALS
        if line.currency and currency and line.currency.upper() != currency.upper():
            return f"currency: {line.currency.upper()}"
        return DUPLICATE if line.repeats and any(line.amounts) else ""

    reasons = {line.row: reason(line) for line in lines}
    _require_told_apart([r for r, why in reasons.items() if why == DUPLICATE], stated)
    out = dict.fromkeys(
        r for r in reasons.values() if r and (r, stated.duplicates) != (DUPLICATE, "keep")
    )
    parts = ((why, [line for line in lines if reasons[line.row] == why]) for why in out)
    left_out = tuple(
        LeftOut(
            why,
            len(rows),
            round(sum(line.amounts[0] or 0.0 for line in rows), 4),
            tuple(line.row for line in rows[:3]),
        )
        for why, rows in parts
    )
    return [line for line in lines if reasons[line.row] not in out], left_out


def _require_told_apart(rows: Sequence[int], stated: SpendRecipe) -> None:
    if rows and stated.duplicates is None:
        repeats = "1 row repeats" if len(rows) == 1 else f"{count(len(rows))} rows repeat"
        raise InputError(
            f"{repeats} another of the spend table in every column, such as row {rows[0]}: sent "
            "twice, or real?",
            hint=f'say duplicates = "drop" or duplicates = "keep" {WHERE}',
        )


def _require_readable(lines: Sequence[_Line], columns: Sequence[str], today: dt.date) -> None:
    """Every line has a channel, a period that has begun, and its amounts."""
    dated = sum(line.day is not None for line in lines)
    faults: dict[str, Iterable[int]] = {
        "channel is missing": (line.row for line in lines if not line.channel),
        "period is missing": (line.row for line in lines if not line.dated),
        "period is no date, as those of other rows are": (
            line.row for line in lines if line.day is None and dated
        ),
        "period begins after today": (line.row for line in lines if line.day and line.day > today),
    }
    for place, role in enumerate(columns):
        faults[f"{role} is missing or no number"] = (
            line.row for line in lines if line.amounts[place] is None
        )
    for what, found_rows in faults.items():
        if rows := [*found_rows]:
            raise RowError.of(
                f"{what} in the spend table:",
                len(rows),
                [f"row {row}" for row in rows[:3]],
                hint="mend or remove these rows; a channel that cost nothing has 0.",
            )
    if not lines:
        raise InputError("the spend table is empty.", hint="give channel, period and spend.")


def _added_up(lines: Sequence[_Line], columns: Sequence[str]) -> pa.Table:
    """The lines of one channel and period as one row."""
    import pyarrow as pa

    dated = all(line.day for line in lines)
    sums: dict[tuple[str, Any], list[float]] = {}
    names: dict[str, str] = {}
    for line in lines:
        channel = names.setdefault((line.channel or "").casefold(), line.channel or "")
        row = sums.setdefault((channel, line.day if dated else line.dated), [0.0] * len(columns))
        for place, amount in enumerate(line.amounts):
            row[place] += amount or 0.0
    channels, periods = zip(*sums, strict=True)
    money = zip(*sums.values(), strict=True)
    return pa.table(
        {"channel": pa.array(channels), "period": pa.array(periods)}
        | {role: pa.array(cells, pa.float64()) for role, cells in zip(columns, money, strict=True)}
    )
