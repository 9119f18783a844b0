"""First orders from files: what they say is read, valued, judged, summed by segment, and logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from clv.app.run_evidence import Evidence
from clv.app.run_logging import log_result
from clv.errors import ClvError, FitError
from clv.intake.check import Intake
from clv.intake.fingerprint import read_as_trained
from clv.intake.reading import judged
from clv.intake.recipe import Columns
from clv.intake.role_cells import number_sql, text_sql
from clv.prospects.first_order_backtest import FirstOrderBacktest, first_order_backtest
from clv.prospects.first_order_model import FirstOrderModel, fit_first_orders
from clv.prospects.first_orders import DERIVED, first_orders
from clv.prospects.leaks import require_unchanged
from clv.prospects.segment_values import segment_values
from clv.scorer import CustomerScorer

DAY = ["customer_id", "date"]


@dataclass(frozen=True)
class FirstOrderValues:
    """What first orders are worth.

    Attributes
    ----------
    model
        What they were valued by.
    table
        Every customer by the first order alone, see ``FirstOrderModel.predict``.
    segments
        By the columns that were asked for, see ``segment_values``; None without any.
    backtest
        How well that would have done at an earlier day; None where the log is too short.
    why_not
        Why there is no backtest, in a sentence.
    """

    model: FirstOrderModel
    table: pd.DataFrame
    segments: pd.DataFrame | None
    backtest: FirstOrderBacktest | None
    why_not: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        segments = None if self.segments is None else self.segments.to_dict("records")
        backtest = self.backtest.to_dict() if self.backtest else None
        mean = float(self.table["new_customer_clv"].mean())
        return {
            "model": self.model.to_dict(),
            "mean_new_customer_clv": mean,
            "segments": segments,
            "backtest": backtest,
            "why_no_backtest": self.why_not,
        }


def value_first_orders(
    file: str,
    scorer: CustomerScorer,
    covariates: Sequence[str],
    by: Sequence[str] = (),
    *,
    earlier: str | None = None,
    anyway: bool = False,
    **stated: Any,
) -> FirstOrderValues:
    """Value the customers of an order log by their first orders, under a model's terms.

    Parameters
    ----------
    covariates, by
        Columns of the file, and amount, weekday, month, see ``first_orders``.
    earlier
        An export of the same log at an earlier day: what stands otherwise beside the same first
        orders there was filled in since.
    anyway, stated
        As ``read_as_trained`` takes them.

    Raises
    ------
    InputError, FitError
        The file cannot be read, a column is missing or leaks, or nobody bought twice.
    """
    names = list(dict.fromkeys([*covariates, *by]))
    log = log_with(file, names, scorer.training, anyway=anyway, **stated)
    first = first_orders(log, names)
    if earlier:
        then = earlier_export(earlier, names, scorer.training, **stated)
        require_unchanged(first, then, names)
    model = fit_first_orders(log, scorer.terms, names, unit=scorer.unit)
    segments = segment_values(model, first, list(by)) if by else None
    backtest, why_not = None, ""
    try:
        backtest = first_order_backtest(log, names, unit=scorer.unit)
    except (FitError, ClvError) as error:
        why_not = error.message.splitlines()[0]
    return FirstOrderValues(model, model.predict(first), segments, backtest, why_not)


def log_with(
    file: str, names: Sequence[str], training: Mapping[str, Any] | None, **stated: Any
) -> pd.DataFrame:
    """A clean log with further columns of its file, each as it stood at the first order's hour.

    Where the file has times of day, the money of a customer's first day is divided into that of
    the first hour and the rest. Numbers are added up over the rows of the hour, shares averaged;
    of texts the first counts, and those that differ in case alone are one.
    """
    intake = read_as_trained(file, training, **stated)
    log: pd.DataFrame = intake.purchases.df()
    log["date"] = pd.to_datetime(log["date"])
    wanted = dict.fromkeys(name for name in names if name not in {*DERIVED, *log.columns})
    hours = log[DAY].merge(_first_hours(intake, list(wanted)), "left", DAY)
    for place, name in enumerate(wanted):
        text, total, mean, low, high = (hours[f"{part}{place}"] for part in PARTS)
        if total.notna().eq(text.notna()).all() and total.nunique() > 2:
            log[name] = mean if low.min() >= 0 and high.max() <= 1 else total
        else:
            log[name] = text.groupby(text.str.lower()).transform("min")
    return _with_hours(log, hours)


PARTS = {
    "text": "min_by({text}, date)",
    "total": "sum({number})",
    "mean": "avg({number})",
    "low": "min({number})",
    "high": "max({number})",
}
FIRST_HOURS = """
    SELECT customer_id, day AS date, min(date) AS first,
        sum(amount) FILTER (early) / nullif(sum(amount), 0) AS share {values}
    FROM (
        SELECT *, date::DATE AS day, date < date_trunc('hour', min(date) OVER (
            PARTITION BY customer_id, date::DATE)) + INTERVAL 1 HOUR AS early
        FROM orders WHERE _why IS NULL AND amount >= 0
    ) GROUP BY customer_id, day"""


def _first_hours(intake: Intake, names: Sequence[str]) -> pd.DataFrame:
    """What the rows of each customer's and day's first hour say, with the moment of the first."""
    source, recipe = intake.source, intake.recipe
    held = ["_why", "_customer AS customer_id", "_at AS date", "_amount AS amount"]
    values: list[str] = []
    for place, name in enumerate(names):
        number = recipe.model_copy(update={"columns": Columns(margin=name)})
        held.append(f"{text_sql(source, [name])} AS t{place}")
        held.append(f"{number_sql(source, number, 'margin')} AS n{place}")
        cells = {"text": f"t{place}", "number": f"n{place}"}
        parts = (f"{sql.format(**cells)} FILTER (early) AS {p}{place}" for p, sql in PARTS.items())
        values.extend(parts)
    rows = judged(source, recipe, columns=held)
    query = FIRST_HOURS.format(values="".join(f", {value}" for value in values))
    hours: pd.DataFrame = rows.query("orders", query).df()
    return hours.assign(date=pd.to_datetime(hours["date"]))


def _with_hours(log: pd.DataFrame, hours: pd.DataFrame) -> pd.DataFrame:
    """The log by moments: the money of a day's first hour, and that of later hours."""
    share = hours["share"].fillna(1.0).to_numpy()
    first = hours["first"].fillna(log["date"]).to_numpy()
    late = share < 1.0
    rest = log[late].assign(
        amount=(log["amount"] * (1 - share))[late],
        date=log["date"][late].dt.normalize() + pd.Timedelta("23:59:59"),
    )
    early = log.assign(amount=log["amount"] * share, date=first)
    return pd.concat([early, rest], ignore_index=True)


def earlier_export(
    file: str, names: Sequence[str], training: Mapping[str, Any] | None, **stated: Any
) -> pd.DataFrame:
    """First orders as an earlier export of the same log had them, as ``require_unchanged`` asks."""
    return first_orders(log_with(file, names, training, anyway=True, **stated), names)


def track_first_orders(experiment: str, values: FirstOrderValues, file: str) -> str:
    """Log a run of its own: covariates, effects, how well it did; gives the run's id."""
    document, model = values.to_dict(), values.model
    metrics = {"mean_new_customer_clv": document["mean_new_customer_clv"]}
    for hit in values.backtest.hits if values.backtest else ():
        name = hit.method.replace(" ", "_")
        metrics |= {f"{name}/gini": hit.gini, f"{name}/total": hit.total}
        if hit.coverage is not None:
            metrics[f"{name}/coverage"] = hit.coverage
    evidence = Evidence(
        params={"covariates": ",".join(model.coding.names), "terms": str(model.terms)},
        metrics=metrics,
        tags={"as_of": model.as_of},
        files={"first_orders.json": document, "first_orders.txt": str(model)},
        says=str(model),
        source=Path(file) if Path(file).is_file() else None,
    )
    return log_result(experiment, "first orders", evidence)
