"""``clv contracts``: subscribers: what recurs, who stays, what each is still worth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import typer

from clv.cli.application import command
from clv.cli.options import AsJson, AsOf, Columns, Track, mapping
from clv.cli.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clv.value.value import Terms

EXAMPLE = """\
[contracts]            # as clv init writes it
files = "subscriptions.csv"
grace_days = 7         # a gap no longer than that is no end
covariates = ["plan", "country"]  # by which customers may differ
[contracts.columns]    # ours = theirs
customer_id = "Customer ID"
start = "Start (UTC)\""""


DISCOUNT, HORIZON, CHURN = 0.10, "3 years", "13 weeks"  # where nothing else is said


@dataclass(frozen=True, kw_only=True)
class ContractReading:
    """How a table of contracts is read."""

    HEADING: ClassVar[str] = "How the table is read"
    column: Columns = None
    as_of: AsOf = None
    observed_from: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="First day the table knows of: earlier ends are lost."),
    ] = None
    grace_days: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="A gap no longer is no end; usually 7.")
    ] = None
    interval: Annotated[
        str | None, typer.Option(metavar="PERIOD", help="How often is paid, if no column says it.")
    ] = None
    covariates: Annotated[
        str | None,
        typer.Option(metavar="COLUMN,...", help="By which customers differ, as plan,country."),
    ] = None
    date_order: Annotated[
        str | None, typer.Option(metavar="dmy|mdy", help="Day or month first, where both may be.")
    ] = None

    def stated(self, buyers: Mapping[str, Any]) -> dict[str, Any]:
        """As ``read_contract_table`` takes them; the last day, if not said, is the buyers'."""
        plain = {name: value for name, value in vars(self).items() if name != "column" and value}
        if "as_of" in buyers:
            plain.setdefault("as_of", buyers["as_of"])
        if self.grace_days is not None:
            plain["grace_days"] = self.grace_days
        if self.covariates is not None:
            names = (name.strip() for name in self.covariates.split(","))
            plain["covariates"] = tuple(filter(None, names))
        return plain | ({"columns": mapping(self.column)} if self.column else {})


@dataclass(frozen=True, kw_only=True)
class ContractTerms:
    """What every value is stated under."""

    HEADING: ClassVar[str] = "What values are stated under"
    margin_rate: Annotated[
        float, typer.Option(metavar="SHARE", help="Contribution margin of revenue; 1 is revenue.")
    ] = 1.0
    discount_rate: Annotated[
        float | None, typer.Option(metavar="SHARE", help=f"A year; usually {DISCOUNT}.")
    ] = None
    horizon: Annotated[
        str | None, typer.Option(metavar="LENGTH", help=f"How far ahead; usually {HORIZON}.")
    ] = None
    churn_horizon: Annotated[
        str | None,
        typer.Option(metavar="LENGTH", help=f"Churn is no renewal within it; usually {CHURN}."),
    ] = None
    currency: Annotated[
        str,
        typer.Option(
            metavar="CODE", help="The one that is scored; of a table that names none, its own."
        ),
    ] = ""

    def terms(self, buyers: Mapping[str, Any]) -> tuple[Terms, str]:
        """As values take them, and the churn horizon; what is not said is that of the buyers."""
        from clv.periods import Duration
        from clv.value.value import Terms

        rate = self.discount_rate
        rate = buyers.get("annual_discount_rate", DISCOUNT) if rate is None else rate
        length = Duration.parse(self.horizon or buyers.get("horizon", HORIZON))
        currency = self.currency or buyers.get("currency", "")
        churn = self.churn_horizon or buyers.get("churn_horizon", CHURN)
        return Terms(self.margin_rate, rate, length, currency.upper()), churn


@dataclass(frozen=True, kw_only=True)
class ContractFiles:
    """What is written."""

    HEADING: ClassVar[str] = "What is written"
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Scores: .parquet, or .csv."),
    ] = None
    book: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The months of the book: .csv, .parquet.")
    ] = None
    document: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="All that is shown, as .json, for clv publish."),
    ] = None
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same as a page, .html.")
    ] = None
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The models, as .json, for --model.")
    ] = None
    register: Annotated[
        str | None, typer.Option(metavar="NAME", help="A version of this model in MLflow.")
    ] = None
    track: Track = None


@command(
    "clv contracts subscriptions.csv",
    "clv contracts clv.toml --margin-rate 0.8 -o scores.parquet --document contracts.json",
    "clv contracts invoices.csv --book book.csv --report contracts.html",
    "clv contracts subscriptions.csv --covariates plan,country --track subscribers",
    "clv contracts today.csv --model contracts-model.json -o scores.parquet",
    A_file_instead_of_the_table=EXAMPLE,
)
def contracts(
    ctx: typer.Context,
    table: Annotated[
        list[str],
        typer.Argument(
            metavar="TABLE", help="Subscriptions, invoices or cohort counts; or clv init's file."
        ),
    ],
    reading: ContractReading,
    terms: ContractTerms,
    files: ContractFiles,
    by: Annotated[
        str, typer.Option(metavar="plan|cohort", help="What is modelled apart.")
    ] = "plan",
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Score by this one instead of a fit.")
    ] = None,
    with_scores: Annotated[
        str | None,
        typer.Option(
            metavar="SCORES", help="Add customers that clv score scored, under their terms."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what recurs, who stays, and what each subscriber is still worth.

    The revenue book month by month, a model of renewals for each billing
    period and plan, and a score for every customer under contract, with the
    columns of clv score: targets, export and publish take them.
    """
    screen: Screen = ctx.obj
    from clv.app.contract_files import contracts_of
    from clv.app.contracts import contract_document, run_contracts, stated_under
    from clv.app.registry import load_contracts
    from clv.cli.contract_view import show_run, show_table
    from clv.io.files import read_table

    if by not in ("plan", "cohort"):
        raise typer.BadParameter("--by is plan or cohort.")
    group: Literal["plan", "cohort"] = "plan" if by == "plan" else "cohort"
    scores = read_table(with_scores) if with_scores else None
    buyers = {} if scores is None else stated_under(scores)
    with screen.progress("reading the contracts"):
        stated, churn = terms.terms(buyers)
        read = contracts_of(table, reading.stated(buyers), stated.currency)
    with screen.progress("fitting and scoring"):
        fitted = load_contracts(model) if model else None
        run = run_contracts(read, stated, by=group, churn_horizon=churn, models=fitted)
        document = contract_document(run)
    if as_json:
        screen.json(document)
    else:
        show_table(screen, read)
        show_run(screen, document, run.models)
    _write(screen, run, document, files, scores)


def _write(
    screen: Screen,
    run: Any,
    document: dict[str, Any],
    files: ContractFiles,
    buyers: Any,
) -> None:
    source = [str(file) for file in run.table.source.files]
    from clv.app.contracts import book_table, in_both, joined_scores
    from clv.app.run_logging import log_contracts, track_contracts
    from clv.errors import InputError
    from clv.io.files import write_json, write_table
    from clv.report.contract_report import contract_report

    if (files.output or files.book) and run.scores is None:
        raise InputError(
            "counts of cohorts hold neither customers nor revenue: there is nothing to write.",
            hint="give the subscriptions or the lines of invoices.",
        )
    if files.output:
        scores = run.scores if buyers is None else joined_scores(buyers, run.scores)
        screen.written(write_table(scores, files.output))
        if buyers is not None:
            screen.points([in_both(buyers, run.scores, scores)])
    if files.book:
        screen.written(write_table(book_table(run.book), files.book))
    if files.document:
        screen.written(write_json(document, files.document))
    if files.report:
        screen.written(contract_report(document).write(files.report))
    if files.save:
        screen.written(write_json(run.models.to_dict(), files.save))
    if files.register:
        registered = log_contracts(run.models, document, files.register, files.track, source)
        screen.say(f"Registered as {registered.uri}.")
    elif files.track:
        logged = track_contracts(run.models, document, files.track, source)
        screen.logged(logged, files.track)
    if files.output:
        also = f" --contracts {files.document}" if files.document else ""
        screen.next(f"clv publish {files.output}{also}")
