"""From files to a published store: scores, the orders behind them, and what the model says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.decide.concentration import repeat_revenue
from clv.errors import InputError
from clv.scorer import CustomerScorer
from clv.serve.files import read_json, read_log, read_table
from clv.serve.store import Published, publish


def publish_run(
    scores: str,
    folder: Path,
    *,
    log: str | None = None,
    scorer: CustomerScorer | None = None,
    tables: Mapping[str, str] | None = None,
    documents: Mapping[str, str] | None = None,
    **rules: Any,
) -> Published:
    """Publish what ``clv score`` wrote, with the orders and the model card.

    Where the orders are given, the document ``repeat_revenue`` says how much of the revenue came
    from repeat purchases; with the model too, ``total`` what all customers are worth together,
    with an interval.

    Raises
    ------
    InputError, ModelError
        A file cannot be used, or the model is not that of the scores; nothing has changed then.
    """
    told = {name: read_json(file) for name, file in (documents or {}).items()}
    table = read_table(scores)
    if log is not None:
        told |= _of_orders(table, log, scorer, rules)
    return publish(
        table,
        folder,
        log=log,
        card=scorer.card() if scorer else None,
        tables={name: read_table(file) for name, file in (tables or {}).items()},
        documents=told,
        **rules,
    )


def _of_orders(
    scores: Any, log: str, scorer: CustomerScorer | None, rules: Mapping[str, Any]
) -> dict[str, Any]:
    """What the orders tell of the base as of the day of the scores."""
    days = scores["as_of"].unique().to_pylist() if "as_of" in scores.column_names else []
    if len(days) != 1:
        raise InputError("the scores are not of one day.", hint="give what clv score wrote.")
    cleaned, _ = clean(read_log(log), as_of=days[0], **rules)
    told: dict[str, Any] = {"repeat_revenue": asdict(repeat_revenue(cleaned))}
    if scorer is not None:
        summary = summarize(cleaned, as_of=days[0], unit=scorer.unit).to_arrow_table()
        told["total"] = scorer.total_value(summary).to_dict()
    return told
