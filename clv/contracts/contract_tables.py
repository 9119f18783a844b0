"""A table of contracts, read and checked: subscriptions, lines of invoices, or cohort counts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from clv.contracts.billing_tables import (
    TITLES,
    ContractRecipe,
    Interval,
    parse_interval,
    recipe_for,
)
from clv.contracts.contract_runs import Contracts, contract_runs
from clv.contracts.invoice_lines import read_invoice_lines
from clv.contracts.revenue_book import RevenueBook, book_of
from clv.contracts.subscriptions import read_subscriptions
from clv.data.days import as_day
from clv.errors import InputError, RowError
from clv.findings import Finding, finding, saved
from clv.format import count, counted
from clv.intake.file_rows import Stated
from clv.intake.role_cells import number_of, text_of
from clv.intake.row_reasons import LeftOut
from clv.intake.sources import Source, require_rows, table_source
from clv.notebook import InNotebook
from clv.schema import reject_rows


@dataclass(frozen=True)
class ContractTable(InNotebook):
    """A table of contracts as it was read.

    Attributes
    ----------
    recipe
        How.
    rows_in
        Its rows.
    left_out
        Those that are not used, by reason, with what they would have added.
    notes
        What was joined, netted and assumed.
    as_of
        The last day that it knows of; None for counts of cohorts.
    cells
        By billing period, counts of customers by ages: entered, periods, churned, customers, with
        plan and cohort; what ``ShiftedBetaGeometric.fit`` takes.
    currencies
        Of its amounts, most customers first.
    contracts
        The contracts themselves; None for counts of cohorts, which hold no customers.
    source
        The rows as they came.

    Examples
    --------
    >>> counts = pd.DataFrame({"cohort": "2023", "period": [0, 1, 2], "active": [100, 63, 47]})
    >>> table: ContractTable = read_contract_table(counts, interval="year")
    >>> print(table)
    counts of active customers by cohort: 3 rows, 0 left out
      100 contracts, paid by the year
    """

    recipe: ContractRecipe
    rows_in: int
    left_out: tuple[LeftOut, ...]
    notes: tuple[Finding, ...]
    as_of: dt.date | None
    cells: Mapping[Interval, pd.DataFrame]
    currencies: tuple[str, ...]
    contracts: Contracts | None
    source: Source = field(repr=False)

    def __str__(self) -> str:
        out = sum(part.rows for part in self.left_out)
        customers = sum(int(cells["customers"].sum()) for cells in self.cells.values())
        lines = [
            f"{TITLES[self.recipe.kind]}: {counted(self.rows_in, 'row')}, {count(out)} left out"
        ]
        lines += [f"  {counted(part.rows, 'row')}: {part.reason}" for part in self.left_out]
        periods = ", ".join(f"by the {interval}" for interval in self.cells)
        return "\n".join(
            [*lines, f"  {counted(customers, 'contract')}, paid {periods}", *map(str, self.notes)]
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "recipe": self.recipe.model_dump(mode="json"),
            "rows_in": self.rows_in,
            "left_out": [asdict(part) for part in self.left_out],
            "notes": saved(self.notes),
            "as_of": None if self.as_of is None else str(self.as_of),
            "contracts": {str(k): int(v["customers"].sum()) for k, v in self.cells.items()},
            "currencies": list(self.currencies),
        }

    def book(self) -> RevenueBook:
        """The revenue book, per currency, to the cent.

        Raises
        ------
        InputError
            Counts of cohorts hold no revenue.
        """
        if self.contracts is None:
            raise InputError(
                "counts of cohorts hold no revenue, so there is no book.",
                hint="give the subscriptions or the lines of invoices.",
            )
        return book_of(self.contracts, self.source.connection)


def read_contract_table(table: object, **stated: Any) -> ContractTable:
    """Read and check a table of contracts.

    Parameters
    ----------
    table
        A file, several, a pattern, or any dataframe: subscriptions (customer_id, start, end,
        interval, amount, ...), lines of invoices (customer_id, service_period_start,
        service_period_end, amount, ...) or counts (cohort, period, active). Columns are recognised
        by the names that Stripe Billing, Chargebee, Recurly, Paddle and their copies give them.
    stated
        What is otherwise: columns (ours = theirs), date_order, decimal, minor_units, interval,
        currency, grace_days, observed_from, as_of; and encoding, separator, header_line, sheet.

    Returns
    -------
    ContractTable
        Every row is in use, or left out with a reason.

    Raises
    ------
    InputError
        It is no such table, or a date or an amount can be read in two ways.
    RowError
        More than a tenth of the rows have a fault, or none is left.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"customer_id": ["ann", "bob"], "interval": "month", "amount": [10, 10],
    ...                      "start": ["2024-01-15", "2024-02-01"], "end": ["2024-03-15", None]})
    >>> table = read_contract_table(rows, as_of="2024-06-30")
    >>> table.cells[Interval("month", 1)][["entered", "periods", "churned", "customers"]]
       entered  periods  churned  customers
    0        0        2     True          1
    1        0        4    False          1
    """
    text = {n: stated.pop(n, None) for n in ("encoding", "separator", "header_line", "sheet")}
    source = table_source(table, "the table of contracts", Stated(**text))
    require_rows(source)
    for name in ("as_of", "observed_from"):
        if stated.get(name) is not None:
            stated[name] = as_day(stated[name], name)
    recipe = recipe_for(source, stated)
    if recipe.kind == "cohort_counts":
        return _cohort_counts(source, recipe)
    reader = read_subscriptions if recipe.kind == "subscriptions" else read_invoice_lines
    read = reader(source, recipe)
    contracts = contract_runs(read, recipe, source.connection)
    currencies = contracts.rows.aggregate("currency, count(*) AS n").order("n DESC, currency")
    return ContractTable(
        recipe,
        read.rows_in,
        read.left_out,
        contracts.notes,
        read.as_of,
        contracts.cells(),
        tuple(code for code, _ in currencies.fetchall()),
        contracts,
        source,
    )


def _cohort_counts(source: Source, recipe: ContractRecipe) -> ContractTable:
    """Counts of who is still active by cohort and age, as cells."""
    interval = parse_interval(recipe.interval or "month")
    if interval is None:
        raise InputError(f"interval = {recipe.interval!r} is no billing period.")
    counts = source.rows.project(
        f"_row, {text_of(source, recipe, 'cohort')} AS cohort, "
        f"coalesce({text_of(source, recipe, 'plan')}, '') AS plan, "
        f"{number_of(source, recipe, 'period')} AS period, "
        f"{number_of(source, recipe, 'active')} AS active"
    ).df()
    _check_counts(counts)
    parts = [
        cohort_cells(rows["period"], rows["active"]).assign(plan=plan, cohort=cohort)
        for (plan, cohort), rows in counts.sort_values("period").groupby(["plan", "cohort"])
        if len(rows) > 1
    ]
    if not parts:
        raise RowError(
            "no cohort has more than one age, so nobody is seen to stay or to leave.",
            hint="give a row for each age: cohort, period 0, 1, 2, ... and active.",
        )
    note = () if recipe.interval else (finding("contracts.ages", period=str(interval)),)
    cells = {interval: pd.concat(parts, ignore_index=True)}
    return ContractTable(recipe, len(counts), (), note, None, cells, (), None, source)


def _check_counts(counts: pd.DataFrame) -> None:
    columns: dict[str, Any] = {"row": counts["_row"].to_numpy()}
    columns |= {name: counts[name].to_numpy() for name in ("cohort", "period", "active")}
    for name in ("period", "active"):
        values = counts[name].to_numpy(dtype=np.float64)
        whole = (values >= 0) & (values < 1e12) & (values == np.floor(values))
        hint = "count customers, and billing periods since the first payment."
        reject_rows(~whole, f"{name} is no whole number of 0 or more", columns, hint=hint)
    missing = counts["cohort"].isna().to_numpy()
    reject_rows(missing, "cohort is missing", columns)
    twice = counts.duplicated(["plan", "cohort", "period"]).to_numpy()
    reject_rows(twice, "the cohort has this age already", columns, hint="add such rows up first.")
    ordered = counts.sort_values(["plan", "cohort", "period"])
    rise = ordered.groupby(["plan", "cohort"])["active"].diff() > 0
    rows = rise.reindex(counts.index).fillna(False).to_numpy(dtype=bool)
    hint = "who came back is a new contract: count only those who never left."
    reject_rows(rows, "more are active than the period before", columns, hint=hint)


def cohort_cells(period: Sequence[float] | Any, active: Sequence[float] | Any) -> pd.DataFrame:
    """Cells of one cohort: who left at each age, and who was there at the last.

    Parameters
    ----------
    period
        Ages in billing periods, rising; the first is the age when the cohort was first observed.
    active
        Customers at each age; same shape.

    Returns
    -------
    entered, periods, churned, customers, as ``ShiftedBetaGeometric.fit`` takes them.

    Examples
    --------
    >>> cohort_cells([0, 1, 2], [1000, 869, 743])["churned"].tolist()
    [131, 126]
    """
    ages, count = np.asarray(period, dtype=np.int64), np.asarray(active, dtype=np.int64)
    if np.any(np.diff(ages) != 1):
        raise RowError(
            f"ages {', '.join(map(str, ages[:6]))} of a cohort leave out a period.",
            hint="give every age from the first to the last.",
        )
    lost = -np.diff(count)
    customers = lost.copy()
    customers[-1] += count[-1]
    return pd.DataFrame(
        {"entered": ages[0], "periods": ages[1:], "churned": lost, "customers": customers}
    )
