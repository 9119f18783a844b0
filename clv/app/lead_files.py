"""Funnels from files: leads, changes of stage, values by channel; scores and evidence out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clv.app.run_evidence import Evidence
from clv.app.run_logging import log_result, plots_as_files
from clv.errors import ColumnError, InputError, RowError
from clv.funnel.funnel_terms import FunnelTerms
from clv.funnel.lead_funnel import LeadFunnel, lead_funnel
from clv.funnel.lead_table import read_leads
from clv.intake.vocabulary import plain
from clv.io.files import read_table

VALUES = ("value", "newcustomervalue", "newcustomerclv", "ltv", "clv")  # what a column of them is


def funnel_of(
    files: Sequence[str],
    terms: FunnelTerms,
    *,
    changes: str | None = None,
    stated: dict[str, Any] | None = None,
) -> LeadFunnel:
    """The funnel of files of leads.

    Raises
    ------
    InputError, RowError
        As ``read_leads``.
    """
    return lead_funnel(read_leads(list(files), changes, **(stated or {})), terms)


def channel_values(file: str) -> dict[str, float]:
    """What a new customer is worth by channel: a table of channel and value, or of clv channels.

    Raises
    ------
    ColumnError, RowError
        A column is missing; a value is no number, or a channel stands twice.
    """
    table = read_table(file)
    names = {plain(name): name for name in reversed(table.column_names)}
    value = next((names[name] for name in VALUES if name in names), None)
    if "channel" not in names or value is None:
        raise ColumnError(
            f"{file} has no column channel, or none of a value: there are "
            f"{', '.join(table.column_names)}.",
            hint="give channel and value, or what clv channels --output wrote.",
        )
    channels, cells = table[names["channel"]].to_pylist(), table[value].to_pylist()
    values: dict[str, float] = {}
    for row, (channel, cell) in enumerate(zip(channels, cells, strict=True), start=1):
        if channel is None or cell is None:
            continue
        if isinstance(cell, bool | str) or not np.isfinite(float(cell)):
            raise RowError.of(f"{value} is no number in {file}", 1, [f"row {row}: {cell}"])
        if str(channel) in values:
            raise RowError.of(f"a channel stands twice in {file}", 1, [f"row {row}: {channel}"])
        values[str(channel)] = float(cell)
    if not values:
        raise InputError(f"{file} has no value of a channel.", hint="give channel and value.")
    return values


def track_funnel(experiment: str, funnel: LeadFunnel, files: Sequence[str]) -> str:
    """Log a run of its own: terms, shares, what a lead is worth; gives the run's id."""
    from clv.report.plots.funnels import plot_funnel, plot_lead_channels

    document = funnel.to_dict()
    metrics = {"leads": float(document["leads"]), "wins": float(document["wins"])}
    for channel in funnel.channels:
        name = "".join(c if c.isalnum() or c in "-_. /" else "_" for c in channel.group.name)
        metrics[f"{name}/chance"] = channel.chance.share
        if channel.worth is not None:
            metrics[f"{name}/worth"] = channel.worth.share
    if funnel.backtest is not None:
        metrics |= {"auc": funnel.backtest.auc, "auc_stage": funnel.backtest.auc_stage}
    charts = {"funnel": plot_funnel(document), "channels": plot_lead_channels(document)}
    evidence = Evidence(
        params={name: str(value) for name, value in document["terms"].items()},
        metrics=metrics,
        tags={"as_of": document["as_of"]},
        files={"funnel.json": document, **plots_as_files(charts)},
        says=str(funnel),
        source=Path(files[0]) if len(files) == 1 and Path(files[0]).is_file() else None,
    )
    return log_result(experiment, "funnel", evidence)
