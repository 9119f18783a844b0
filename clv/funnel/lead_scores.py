"""Open leads ranked by value: the chance to be won x what the customer is worth - what it takes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from clv.findings import Finding, finding
from clv.funnel.lead_table import LeadTable
from clv.funnel.stage_moves import WinModel


def lead_values(
    table: LeadTable, value: float | Mapping[str, float] | None
) -> tuple[dict[str, float] | None, tuple[Finding, ...]]:
    """What a customer won is worth, by channel, and on what that rests.

    Returns
    -------
    values
        By channel; None if nothing says it. A channel without one is not in it.
    findings
        Whether it was stated, or is the mean of the deals that were won.
    """
    channels = sorted(table.leads["channel"].unique())
    if isinstance(value, Mapping):
        values = {name: float(value[name]) for name in channels if name in value}
        missing = [name for name in channels if name not in value]
        note = (finding("funnel.value_missing", channels=missing),) if missing else ()
        return values, note
    if value is not None:
        return dict.fromkeys(channels, float(value)), (finding("funnel.value_stated", value=value),)
    won = table.leads[table.won & table.leads["value"].notna().to_numpy()]
    if not len(won):
        return None, (finding("funnel.no_value"),)
    mean = float(won["value"].mean())
    own_mean = _shrunk(won, mean)
    note = (finding("funnel.value_of_deals", value=mean, deals=len(won)),)
    return {name: own_mean.get(name, mean) for name in channels}, note


def _shrunk(won: pd.DataFrame, mean: float) -> dict[str, float]:
    """The mean deal of each channel, drawn to that of all as far as its deals are few."""
    groups = won.groupby("channel")["value"]
    size, own_mean = groups.size(), groups.mean()
    noise = float(won["value"].var(ddof=1)) if len(won) > 1 else 0.0
    between = max(float((size * (own_mean - mean) ** 2).sum() - (len(size) - 1) * noise), 0.0)
    spread = between / max(float(size.sum() - (size**2).sum() / size.sum()), 1.0)
    weight = spread / (spread + noise / size) if spread else 0.0 * size
    return {str(k): float(v) for k, v in (mean + weight * (own_mean - mean)).items()}


def score_leads(
    table: LeadTable,
    model: WinModel,
    values: Mapping[str, float] | None,
    cost_to_serve: float = 0.0,
) -> pd.DataFrame:
    """The open leads, ranked.

    Parameters
    ----------
    table
        The leads.
    model
        Of their chances.
    values
        Of a customer, by channel; a lead whose own deal has a value is worth that.
    cost_to_serve
        Of working on a lead from now on, in currency.

    Returns
    -------
    pandas.DataFrame
        lead_id, channel, stage, age_days, chance, value, score, rank: 1 is the best. Without a
        value the score is missing, and the chance ranks.
    """
    chance = model.of(table)
    still = ~table.won & ~table.leads["lost"].to_numpy(dtype=bool)
    leads = table.leads[still]
    place = table.reached[still].sum(axis=1) - 1
    value = leads["channel"].map(dict(values or {})).astype(float)
    if values is not None and not leads["value"].isna().all():
        value = leads["value"].fillna(value)
    rows = pd.DataFrame(
        {
            "lead_id": leads["lead_id"],
            "channel": leads["channel"],
            "stage": np.array(table.stages, dtype=object)[place],
            "age_days": table.follow_up[still].astype(np.int64),
            "chance": chance[still],
            "value": value,
            "score": chance[still] * value - cost_to_serve,
        }
    )
    ranked = rows.sort_values(
        ["score", "chance", "lead_id"], ascending=[False, False, True], kind="stable"
    ).reset_index(drop=True)
    return ranked.assign(rank=np.arange(1, len(ranked) + 1))
