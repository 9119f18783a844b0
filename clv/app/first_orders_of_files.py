"""First orders from files: what they say is read, valued, judged, summed by segment, and logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from clv.app.run_logging import Evidence, log_result
from clv.errors import ClvError, FitError
from clv.intake.fingerprint import read_as_trained
from clv.prospects.first_order_backtest import FirstOrderBacktest, first_order_backtest
from clv.prospects.first_order_model import FirstOrderModel, fit_first_orders
from clv.prospects.first_orders import DERIVED, first_orders
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
    anyway: bool = False,
    **stated: Any,
) -> FirstOrderValues:
    """Value the customers of an order log by their first orders, under a model's terms.

    Parameters
    ----------
    covariates, by
        Columns of the file, and amount, weekday, month, see ``first_orders``.
    anyway, stated
        As ``read_as_trained`` takes them.

    Raises
    ------
    InputError, FitError
        The file cannot be read, a column is missing or leaks, or nobody bought twice.
    """
    names = list(dict.fromkeys([*covariates, *by]))
    log = log_with(file, names, scorer.training, anyway=anyway, **stated)
    model = fit_first_orders(log, scorer.terms, names, unit=scorer.unit)
    first = first_orders(log, names)
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
    """A clean log with further columns of its file, each as it stood at the day's first order.

    Cleaning carries one text, the channel, and one number that is added up, the margin; each
    further column is read in the place of the one or the other.
    """
    anyway, columns = stated.pop("anyway", False), stated.pop("columns", None) or {}
    options = {"columns": columns, **stated}
    log: pd.DataFrame = read_as_trained(file, training, anyway=anyway, **options).purchases.df()
    log["date"] = pd.to_datetime(log["date"])

    def carried(role: str, name: str) -> Any:
        other = {**options, "columns": {**columns, role: name}}
        rows = read_as_trained(file, training, anyway=True, **other).purchases.df()
        rows["date"] = pd.to_datetime(rows["date"])
        return log[DAY].merge(rows.drop_duplicates(DAY), "left", DAY)[role]

    for name in names:
        if name in DERIVED or (name == "channel" and name in log):
            continue
        texts = carried("channel", name)
        is_number = pd.to_numeric(texts, errors="coerce").notna().eq(texts.notna()).all()
        use_number = is_number and texts.nunique() > 2
        log[name] = carried("margin", name) if use_number else texts
    return log


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
        source=Path(file) if Path(file).is_file() else None,
    )
    return log_result(experiment, "first orders", evidence)
