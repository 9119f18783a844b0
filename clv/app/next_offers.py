"""Offers from files: order lines, stock, exclusions, rules of contact; offers and evidence out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from clv.app.data_file import read_data
from clv.app.run_evidence import Evidence
from clv.app.run_logging import log_result, plots_as_files
from clv.decide.retention.eligibility import Rules
from clv.decide.scores import ID, SILENCE, Scores
from clv.errors import InputError
from clv.intake.vocabulary import candidates
from clv.io.files import read_table
from clv.offers.order_lines import EPOCH, Flags, OrderLines, read_order_lines
from clv.offers.ranking import NextOffers


def lines_of(files: Sequence[str], stated: dict[str, Any]) -> OrderLines:
    """Order lines from files, or as the ``[data]`` of a TOML file says.

    Raises
    ------
    InputError, RowError
        As ``read_order_lines``.
    """
    if len(files) == 1 and files[0].endswith(".toml"):
        section = read_data(files[0])
        return read_order_lines(section.paths(files[0]), recipe=section.recipe(), **stated)
    return read_order_lines(list(files), **stated)


def listed_items(file: str, *, in_stock: bool = False) -> list[str]:
    """The items of a list; of a list of stock those whose quantity, if it has one, is above 0.

    Raises
    ------
    InputError
        It cannot be read, or no column names the item.
    """
    table = read_table(file)
    names = candidates("product", table.column_names)
    if not names:
        raise InputError(
            f"no column of {file} names the item; there are {', '.join(table.column_names)}.",
            hint="call it item.",
        )
    items = [None if item is None else str(item).strip() for item in table[names[0]].to_pylist()]
    counts = candidates("quantity", table.column_names) if in_stock else []
    amounts = table[counts[0]].to_pylist() if counts else [1] * len(items)
    if not all(amount is None or isinstance(amount, int | float) for amount in amounts):
        raise InputError(f"column {counts[0]!r} of {file} holds no numbers.")
    pairs = zip(items, amounts, strict=True)
    return [item for item, amount in pairs if item and amount is not None and amount > 0]


def barred_by(rules: Rules, order_lines: OrderLines) -> dict[str, Flags]:
    """Whom the rules of contact bar, by reason, as of the last day of the lines."""
    last = pa.table({"at": order_lines.lines.customer, "day": order_lines.lines.day})
    days = last.group_by("at").aggregate([("day", "max")]).sort_by("at")["day_max"].to_numpy()
    silence = (order_lines.as_of - EPOCH).days - days
    table = pa.table({ID: pa.array(order_lines.customers), SILENCE: silence.astype(float)})
    return rules.barred(Scores.read(table, [SILENCE]), order_lines.as_of)


def track_offers(experiment: str, offers: NextOffers, files: Sequence[str]) -> str:
    """Log a run of its own: terms, counts, and how good such offers were; gives the run's id."""
    from clv.report.plots.offers import plot_offer_hits

    document = offers.to_dict()
    metrics = {
        f"{hit.over}/{hit.method}/{name}".replace(" ", "_"): float(getattr(hit, name))
        for hit in offers.backtest.hits
        for name in ("recall", "recall_se", "money", "money_se", "coverage")
    }
    evidence = Evidence(
        params={name: str(value) for name, value in document["terms"].items()},
        metrics=metrics | {"value": document["value"], "customers": document["customers"]},
        tags={"as_of": document["as_of"], "verdict": str(offers.backtest.verdict)},
        files={"offers.json": document, **plots_as_files({"hits": plot_offer_hits(document)})},
        says=str(offers.backtest.verdict),
        source=Path(files[0]) if len(files) == 1 and Path(files[0]).is_file() else None,
    )
    return log_result(experiment, "offers", evidence)
