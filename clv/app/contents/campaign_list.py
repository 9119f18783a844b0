"""The list of a campaign as somebody hands it in: who was contacted, when, and what came of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np

from clv.app.contents.document import require_currency
from clv.app.experiments import OUTCOME
from clv.data.days import as_day
from clv.decide.scores import RISK
from clv.errors import ColumnError, InputError, RowError
from clv.format import count
from clv.io.files import read_table
from clv.schema import flags, numbers
from clv.store.intake import keys_of

if TYPE_CHECKING:
    import pyarrow as pa

OF_LIST = ("customer_id", "treated")
NUMBERS = ("propensity", "cost", "expected_gain", RISK, OUTCOME)
HINT = "give what clv targets wrote."


def read_campaign_list(file: str, terms: Mapping[str, Any]) -> pa.Table:
    """The list of a campaign as it is kept: ids as text, treated as 1 or 0, days, numbers.

    Parameters
    ----------
    file
        What ``clv targets`` wrote, or the same columns by another hand.
    terms
        Of the scores that it is published with.

    Raises
    ------
    InputError
        A column is missing or holds something else, a customer is there twice, or the money is in
        another currency than the scores.
    """
    import pyarrow as pa

    table = read_table(file)
    _require_columns(table, file)
    if "currency" in table.column_names and table.num_rows:
        require_currency("the campaign", table["currency"][0].as_py(), terms)
    ids = keys_of(table["customer_id"])  # a CSV has them as text
    if twice := len(ids) - len(ids.unique()):
        raise InputError(
            f"{count(twice)} rows of {file} are of a customer who is there already.",
            hint="give each customer one row.",
        )
    frame = nw.from_native(table, eager_only=True)
    treated = flags(frame, "treated", file)
    if unclear := np.flatnonzero(~np.isin(treated, (0.0, 1.0))).tolist():
        examples = [f"customer {ids[k]}: {table['treated'][k]}" for k in unclear[:3]]
        hint = "write 1 for who was contacted and 0 for who was held out."
        raise RowError.of("treated is neither 1 nor 0", len(unclear), examples, hint=hint)
    present = [name for name in NUMBERS if name in table.column_names]
    columns: dict[str, Any] = {"customer_id": ids, "treated": treated}
    columns |= {name: numbers(frame, name, file) for name in present}
    if "date" in table.column_names:
        columns["date"] = _days(table["date"], ids)
    return pa.table(columns)


def _require_columns(table: pa.Table, file: str) -> None:
    for name in OF_LIST:
        if name not in table.column_names:
            raise ColumnError(f"{file} has no column {name}.", hint=HINT)
    if not table.num_rows:
        raise InputError(f"{file} has no customer.", hint=HINT)
    if not {"date", OUTCOME} & {*table.column_names}:
        raise ColumnError(
            f"{file} has neither date nor {OUTCOME}.",
            hint="give the day of the campaign in a column date, or what came of it.",
        )


def _days(column: pa.ChunkedArray, ids: pa.ChunkedArray) -> list[dt.date]:
    """The day of each row; ``RowError`` where it is none."""
    days: list[dt.date] = []
    bad: list[str] = []
    for at, value in enumerate(column.to_pylist()):
        try:
            days.append(as_day(str(value)[:10], "date"))
        except InputError:
            bad.append(f"customer {ids[at]}: {value}")
    if bad:
        hint = 'write the day of the campaign as in "2024-03-31".'
        raise RowError.of("date is no day", len(bad), bad[:3], hint=hint)
    return days
