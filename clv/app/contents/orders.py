"""What the orders and the model tell of the base, as of the day of the scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from clv.app.contents.document import StoreParts, made_or_why
from clv.app.contents.over_time import of_months
from clv.churn.reasons import reason_table
from clv.data.cleaning_report import CleaningReport
from clv.data.summary import summarize
from clv.decide.acquisition.cohort_grid import cohort_grid
from clv.decide.acquisition.concentration import repeat_revenue
from clv.errors import InputError
from clv.findings import finding
from clv.intake.fingerprint import read_as_trained
from clv.io.engine import connect
from clv.scorer import CustomerScorer

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


@dataclass(frozen=True)
class Orders:
    """The orders that were scored, cleaned once.

    Attributes
    ----------
    table
        The clean log.
    report
        What cleaning did.
    day
        The day of the scores.
    connection
        To the table as ``log``, for whoever groups it.
    """

    table: pa.Table
    report: CleaningReport
    day: str
    connection: duckdb.DuckDBPyConnection

    @classmethod
    def read(
        cls,
        path: str | Sequence[str],
        day: str,
        rules: Mapping[str, Any],
        training: Mapping[str, Any] | None = None,
        *,
        anyway: bool = False,
    ) -> Orders:
        """Read and clean a file as of a day, as a model's training did; raises as it does."""
        orders = read_as_trained(path, training, as_of=day, anyway=anyway, **rules)
        table = orders.purchases.to_arrow_table()
        connection = connect()
        connection.register("log", table)
        return cls(table, orders.report, day, connection)

    @property
    def log(self) -> duckdb.DuckDBPyRelation:
        """The clean log, to be queried."""
        return self.connection.table("log")

    def summary(self, scorer: CustomerScorer) -> pa.Table:
        """The summary in the scorer's unit, with what its churn model reads of the log."""
        summary = summarize(self.log, as_of=self.day, unit=scorer.unit)
        return scorer.churn.attach(summary, self.log, self.day, scorer.unit).to_arrow_table()


def of_model(scorer: CustomerScorer) -> StoreParts:
    """The terms of the values and, where the training kept it, how purchases were calibrated."""
    holdout = (scorer.training or {}).get("holdout") or {}
    parts = {"terms": scorer.terms.to_dict() | {"unit": scorer.unit}}
    if calibration := holdout.get("calibration"):
        parts["calibration"] = calibration
    return StoreParts(parts)


def of_orders(
    orders: Orders, terms: Mapping[str, Any], spend: pa.Table | None = None
) -> StoreParts:
    """Repeat revenue, the report on the data, and cohorts with what they have earned.

    Parameters
    ----------
    orders
        The orders.
    terms
        Those of the scores; their margin rate counts where the log has no margin of its own.
    spend
        A spend table, which gives cohorts a CAC.
    """
    documents = {
        "data_report": orders.report.to_dict(),
        "repeat_revenue": asdict(repeat_revenue(orders.log)),
        **of_months(orders.connection, orders.day).documents,
    }
    rate = float(terms.get("margin_rate") or 1.0)
    try:
        grid = cohort_grid(orders.log, orders.day, margin_rate=rate, spend=spend)
    except InputError as error:
        return StoreParts(documents, notes=(finding("store.no_cohorts", why=error.message),))
    return StoreParts(documents, {"cohorts": grid})


def of_both(summary: pa.Table, scorer: CustomerScorer) -> Iterator[StoreParts]:
    """The total value with its interval, and why customers are at risk."""

    def total() -> StoreParts:
        return StoreParts({"total": scorer.total_value(summary).to_dict()})

    def reasons() -> StoreParts:
        table = reasons_of(summary, scorer)
        return StoreParts() if table is None else StoreParts(tables={"reasons": table})

    yield made_or_why("total", total)
    yield made_or_why("reasons", reasons)


SHOWN = 3  # reasons that a page tells of a customer
BLOCK = 50_000  # customers at a time


def reasons_of(summary: pa.Table, scorer: CustomerScorer) -> pa.Table | None:
    """What moved every customer's churn score, in figures; None where no pool is in use.

    ``summary`` is in the scorer's unit, with what its churn model reads of the log. A purchase
    model's reasons follow from the model card and the orders, so a page works them out when it is
    asked; those of trees cannot, so their figures are kept when scores are published.
    """
    import pyarrow as pa

    if scorer.churn.pool is None:
        return None
    blocks = [
        reason_table(scorer.churn, block, scorer.purchases, scorer.unit, SHOWN)
        for block in (summary.slice(at, BLOCK) for at in range(0, len(summary), BLOCK))
    ]
    return pa.concat_tables(blocks)
