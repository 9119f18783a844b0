"""What an order export holds: read by a recipe, cleaned, counted, judged fit to train on or not.

``clv check`` prints it and ``clv init`` writes the recipe down; both ask where the file cannot
say.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from typing import Any

from clv.data.cleaning_report import CleaningReport
from clv.data.days import Day, as_day
from clv.data.transactions import clean
from clv.errors import ClvError, InputError, RowError
from clv.extras import require_extra
from clv.findings import Finding
from clv.intake.draft import Question
from clv.intake.file_rows import Stated
from clv.intake.period_columns import with_periods_as_rows
from clv.intake.proposal import Proposal, UnusedColumn, propose
from clv.intake.reading import OrderLog, read_orders
from clv.intake.recipe import OPEN, Recipe
from clv.intake.row_reasons import FUTURE, LeftOut
from clv.intake.sources import Source, read_source
from clv.intake.verdict import about_free_orders, about_future, excess, problems
from clv.io.engine import connect

UNREAD = "clv check shows every reason, with rows; max_unread in [data] sets the share."
FEW = 20_000  # rows of a log that is cleaned in memory; the engine would give the same


@dataclass(frozen=True)
class OrderCheck:
    """What an order export holds.

    Attributes
    ----------
    rows_in
        Rows of the files.
    customers, purchases, amount
        After cleaning; None where a question is open.
    first_day, last_day
        Of purchases.
    currency
        Of the amounts; "" if nothing says it.
    verdict
        In a sentence, whether it can be trained on.
    fit
        The same as yes or no.
    questions
        What must be decided first.
    unused_columns
        Columns that were not used, those that may touch the sum first.
    left_out
        Rows that are no part of the log, with reason and money.
    notes
        What the result rests on.
    cleaning
        The report of ``clean``; None where a question is open.
    """

    rows_in: int | None
    customers: int | None
    purchases: int | None
    amount: float | None
    first_day: dt.date | None
    last_day: dt.date | None
    currency: str
    verdict: str
    fit: bool
    questions: tuple[Question, ...]
    unused_columns: tuple[UnusedColumn, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str | Finding, ...]
    cleaning: CleaningReport | None = None
    stopped: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The check as plain values that JSON can hold."""
        plain = asdict(self) | {"cleaning": self.cleaning and self.cleaning.to_dict()}
        for name in ("first_day", "last_day"):
            plain[name] = None if plain[name] is None else str(plain[name])
        return plain | {"notes": [str(note) for note in self.notes]}


@dataclass(frozen=True)
class Intake:
    """Files with the recipe that reads them, and what reading them gave.

    Attributes
    ----------
    source, proposal, check
        The files, how they are read and why, and what they hold.
    orders
        The order log before cleaning, a DuckDB relation; None where a question is open.
    purchases
        The clean log, as :func:`clv.data.transactions.clean` gives it; None with ``orders``.
    """

    source: Source
    proposal: Proposal
    check: OrderCheck
    orders: Any = None
    purchases: Any = None

    @property
    def recipe(self) -> Recipe:
        """How the files are read."""
        return self.proposal.recipe

    @property
    def report(self) -> CleaningReport:
        """What cleaning did to the orders."""
        assert self.check.cleaning is not None
        return self.check.cleaning


def check_files(
    files: Sequence[str | os.PathLike[str]],
    *,
    recipe: Recipe | None = None,
    stated: Mapping[str, Any] | None = None,
    today: dt.date | None = None,
    max_unread: float | None = None,
    source: Source | None = None,
) -> Intake:
    """What files of orders hold.

    Parameters
    ----------
    files
        Files of one export, folders or patterns.
    recipe
        How they are read; proposed from the files if not given.
    stated
        Fields of the recipe that are decided otherwise.
    today
        Later dates need an as-of day; by default the present day.
    max_unread
        Share of the rows, and of the money, that may be unreadable; that of the recipe if not
        given.
    source
        The files, where they were read already.

    Returns
    -------
    Intake
        With an :class:`OrderCheck`; what is undecided is asked, never guessed.

    Raises
    ------
    InputError
        A file cannot be read at all, or a column of the recipe is missing.
    """
    today = today or dt.date.today()
    source, proposal, log = _read(
        files, _stated(recipe, stated or {}), today, source, described=recipe is not None
    )
    if log is None or proposal.questions:
        return Intake(source, proposal, _open(proposal, log.left_out if log else ()))
    try:
        purchases, report = clean_orders(log.rows, proposal.recipe, connection=source.connection)
    except RowError:
        if (free := about_free_orders(log, proposal.recipe)) is None:
            raise
        proposal = replace(proposal, questions=(free,))
        return Intake(source, proposal, _open(proposal, log.left_out))
    check = _checked(proposal, log, purchases, report, max_unread)
    return Intake(source, proposal, check, log.rows, purchases)


def _read(
    files: Sequence[str | os.PathLike[str]],
    fields: Mapping[str, Any],
    today: dt.date,
    source: Source | None = None,
    *,
    twins: bool = False,
    described: bool = False,
) -> tuple[Source, Proposal, OrderLog | None]:
    """Files, how they are read, and their rows; none where a question is open first."""
    source = source or read_source(
        files, Stated(*(fields.get(k) for k in ("encoding", "separator", "header_line", "sheet")))
    )
    source = with_periods_as_rows(source)
    proposal = propose(source, stated=fields, today=today, described=described)
    if proposal.questions:
        return source, proposal, None
    log = read_orders(source, proposal.recipe, today=today, twins=twins)
    future = [part for part in log.left_out if part.reason == FUTURE]
    if future:
        proposal = replace(proposal, questions=(about_future(future[0], today),))
    return source, proposal, log


def read_lines(
    files: Sequence[str | os.PathLike[str]], fields: Mapping[str, Any]
) -> tuple[Source, Recipe, OrderLog]:
    """Orders as a recipe reads them, not yet cleaned; rows sent twice have the same ``_twin``.

    Parameters
    ----------
    files
        As ``check_files`` takes them.
    fields
        Of the recipe, as far as they are decided.

    Raises
    ------
    InputError
        As ``check_files``; and where it would ask, or too many rows cannot be read.
    """
    source, proposal, log = _read(files, fields, dt.date.today(), twins=True)
    if log is None or proposal.questions:
        raise _to_be_answered(_open(proposal))
    ((amount,),) = log.rows.aggregate("sum(abs(amount))").fetchall()
    unread = [part for part in log.left_out if part.fault]
    limit = proposal.recipe.max_unread
    if beyond := list(excess(unread, log.rows_in, amount, limit)):
        raise InputError(beyond[0], hint=UNREAD)
    return source, proposal.recipe, log


def _stated(recipe: Recipe | None, stated: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a recipe with others in their place; what is open is asked again, with sums."""
    recipe_fields = recipe.model_dump(exclude_unset=True, exclude={"files"}) if recipe else {}
    columns = {**recipe_fields.get("columns", {}), **stated.get("columns", {})}
    fields = {**recipe_fields, **stated, "columns": columns}
    return {name: value for name, value in fields.items() if value != OPEN}


def read_files(
    files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    recipe: Recipe | None = None,
    as_of: Day | None = None,
    **stated: Any,
) -> Intake:
    """What files of orders hold, ready for use.

    Parameters
    ----------
    files
        Files of one export, a folder or a pattern.
    recipe
        How they are read; proposed from the files if not given.
    as_of
        The last day to take in.
    stated
        Fields of the recipe that are decided otherwise; None decides nothing.

    Returns
    -------
    Intake
        With ``purchases``, a DuckDB relation, and the ``report`` on them.

    Raises
    ------
    InputError
        As ``check_files``; and where it would ask, or too many rows cannot be read.
    """
    paths = [files] if isinstance(files, (str, os.PathLike)) else list(files)
    fields = {name: value for name, value in stated.items() if value}
    if as_of is not None:
        fields["as_of"] = as_day(as_of, "as_of")
    intake = check_files(paths, recipe=recipe, stated=fields)
    if (error := error_of(intake)) is not None:
        raise error
    return intake


def clean_orders(
    orders: Any, recipe: Recipe, as_of: Day | None = None, *, connection: Any = None
) -> tuple[Any, CleaningReport]:
    """The purchases of an order log, on its connection if that is given, and the report on them."""
    columns = {name: name for name in orders.columns}
    idle = dict.fromkeys({"order_id", "product", "channel", "margin"} - set(columns))
    few = find_spec("polars") is not None and orders.limit(FEW + 1).shape[0] <= FEW
    purchases, report = clean(
        _in_memory(orders) if few else orders,
        columns={**columns, **idle},
        as_of=as_of,
        same_day=recipe.same_day,
        duplicates=None,  # the recipe dealt with them
        zero_amounts=recipe.zero_amounts,
    )
    if few:
        purchases = (connection or connect()).from_arrow(purchases.to_arrow())
    return purchases, report


def _in_memory(orders: Any) -> Any:
    """Few rows as a Polars table, which is cleaned before the engine has planned how to do so."""
    require_extra("serve", "polars")
    import polars as pl

    return pl.from_arrow(orders.to_arrow_table())


def _open(proposal: Proposal, left_out: tuple[LeftOut, ...] = ()) -> OrderCheck:
    count = len(proposal.questions)
    verdict = f"{count} {'decision is' if count == 1 else 'decisions are'} needed first."
    return OrderCheck(
        *(None, None, None, None, None, None),
        currency="" if proposal.recipe.currency in (None, "?") else str(proposal.recipe.currency),
        verdict=verdict,
        fit=False,
        questions=proposal.questions,
        unused_columns=proposal.unused,
        left_out=left_out,
        notes=proposal.notes,
        stopped=True,
    )


def _checked(
    proposal: Proposal,
    log: OrderLog,
    purchases: Any,
    report: CleaningReport,
    max_unread: float | None,
) -> OrderCheck:
    left_out = [*log.left_out]
    left_out += [
        LeftOut(finding.reason, finding.rows_out, round(finding.amount_out, 4), ())
        for finding in report.findings
        if finding.rows_out and finding.action != "joined"
    ]
    unread = [part for part in log.left_out if part.fault]
    limit = proposal.recipe.max_unread if max_unread is None else max_unread
    beyond = list(excess(unread, log.rows_in, report.amount_in, limit))
    stopped = bool(beyond)
    against = [*beyond, *problems(purchases, report)]
    verdict = "Not fit to train on: " + " ".join(against) if against else "Fit to train on."
    currency = proposal.recipe.currency or (log.currencies[0] if log.currencies else "")
    return OrderCheck(
        log.rows_in,
        report.customers,
        report.purchases,
        report.amount_out,
        report.first_date,
        report.last_date,
        currency=currency,
        verdict=verdict,
        fit=not against,
        questions=(),
        unused_columns=proposal.unused,
        left_out=tuple(left_out),
        notes=(*proposal.notes, *report.assumptions),
        cleaning=report,
        stopped=stopped,
    )


def error_of(intake: Intake) -> ClvError | None:
    """Why a run stops here, with what to do; None if it need not."""
    if intake.check.questions:
        return _to_be_answered(intake.check)
    return InputError(intake.check.verdict, hint=UNREAD) if intake.check.stopped else None


def _to_be_answered(check: OrderCheck) -> ClvError:
    first = check.questions[0]
    return InputError(
        f"{check.verdict} {first.text}",
        hint=first.hint,
    )
