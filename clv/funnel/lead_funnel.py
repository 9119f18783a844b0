"""The way from lead to customer: conversion at equal age, cost, speed, what a lead is worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from clv.findings import Finding, finding, saved, within
from clv.format import counted, money, percent
from clv.format import days as in_days
from clv.funnel.equal_age import (
    LeadGroup,
    by_channel,
    by_month,
    difference,
    set_apart_unseen,
    usual_age,
    wilson,
)
from clv.funnel.funnel_terms import FunnelTerms
from clv.funnel.lead_scores import lead_values, score_leads
from clv.funnel.lead_table import LeadTable, read_leads
from clv.funnel.score_backtest import ScoreBacktest, backtest_scores
from clv.funnel.stage_moves import WinModel, win_model
from clv.funnel.time_to_win import (
    ConversionCurve,
    FinalShare,
    ShareWithin,
    conversion_curve,
    final_share,
)
from clv.notebook import InNotebook

CURVE_AGES = (30, 90, 180, 365)  # days


@dataclass(frozen=True)
class FunnelStage:
    """A stage of the funnel.

    Attributes
    ----------
    stage
        Its name.
    entered
        Leads that reached it or a later one so far.
    converted
        Of those that entered the stage before long enough ago, the share that went on to this one
        within the age of comparison; None for the first stage, and where nothing says when.
    median_days
        From the stage before to this one.
    cost_per_entry
        Cost of the leads that are old enough, by those of them that reached the stage within that
        age; None without costs, and if none did.
    """

    stage: str
    entered: int
    converted: ShareWithin | None
    median_days: float | None
    cost_per_entry: float | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"converted": _share(self.converted)}


@dataclass(frozen=True)
class FunnelChannel:
    """A channel: its leads at equal age, what they cost, what one is worth.

    Attributes
    ----------
    group
        Its leads at the age of comparison.
    chance
        The chance of a new lead to be won, as far ahead as the log shows; channels of few leads
        lean on the others.
    cost_per_lead, cost_per_win
        In currency; None without costs, and if none was won.
    value
        Of a customer won, in currency; None if nothing says it.
    worth
        Of a new lead: chance x value - cost, with the interval of the chance.
    stages
        Its stages.
    """

    group: LeadGroup
    chance: ShareWithin
    cost_per_lead: float | None
    cost_per_win: float | None
    value: float | None
    worth: ShareWithin | None
    stages: tuple[FunnelStage, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        group = self.group.to_dict()
        costs = {name: getattr(self, name) for name in ("cost_per_lead", "cost_per_win", "value")}
        worth = None
        if self.worth is not None:
            worth = dict(zip(("worth", "low", "high"), self.worth, strict=True))
        stages = [stage.to_dict() for stage in self.stages]
        name = {"channel": group.pop("name"), "conversion": group.pop("within")}
        return {**name, **group, "chance": _share(self.chance), **costs, "worth": worth,
                "stages": stages}  # fmt: skip


@dataclass(frozen=True)
class LeadFunnel(InNotebook):
    """The funnel of a table of leads.

    Attributes
    ----------
    leads
        The table.
    terms
        What it is stated under, with the age of comparison.
    stages, channels, months
        Of all leads; by channel, most leads first; by the month in which leads came.
    curve, final
        Kaplan-Meier of the win, and the share won in the end; None below ten wins.
    scores
        Open leads, the most valuable first: lead_id, channel, stage, age_days, chance, value,
        score, rank.
    backtest
        How well such scores ranked leads at an earlier day; None where the log is too short.
    findings
        What must be known beside it.

    Examples
    --------
    >>> import clv
    >>> funnel: LeadFunnel = lead_funnel(clv.simulate_leads(seed=1, leads=3000).leads, value=900)
    >>> [channel.group.name for channel in funnel.channels][:2]
    ['search', 'social']
    """

    leads: LeadTable
    terms: FunnelTerms
    stages: tuple[FunnelStage, ...]
    channels: tuple[FunnelChannel, ...]
    months: tuple[LeadGroup, ...]
    curve: ConversionCurve
    final: FinalShare | None
    scores: pd.DataFrame
    backtest: ScoreBacktest | None
    findings: tuple[Finding, ...]

    @property
    def naive(self) -> float:
        """Wins by leads, of every age: too low while there are young ones."""
        return float(self.leads.won.mean())

    def to_dict(self) -> dict[str, Any]:
        """As JSON values: shares as fractions, days, money in ``currency``."""
        return {
            "as_of": str(self.leads.as_of),
            "currency": self.leads.currency or None,
            "leads": len(self.leads.leads),
            "wins": int(self.leads.won.sum()),
            "left_out": [asdict(part) for part in self.leads.left_out],
            "terms": self.terms.to_dict(),
            "age": self.terms.age,
            "naive": self.naive,
            "kaplan_meier": [*_curve_rows(self.curve, self.terms.level)],
            "final": None if self.final is None else _final(self.final),
            "stages": [stage.to_dict() for stage in self.stages],
            "channels": [channel.to_dict() for channel in self.channels],
            "cohorts": [month.to_dict() for month in self.months],
            "open_leads": len(self.scores),
            "backtest": None if self.backtest is None else asdict(self.backtest),
            "findings": saved(self.findings),
        }

    def __str__(self) -> str:
        table = self.leads
        won = counted(int(table.won.sum()), "win")
        lines = [f"{counted(len(table.leads), 'lead')} up to {table.as_of}, {won}"]
        for channel in self.channels:
            share = channel.group.within
            words = channel.group.why_not if share is None else percent(share.share)
            lines.append(f"  {channel.group.name}: {words}")
        return "\n".join([*lines, *map(str, self.findings)])

    def _table(self) -> tuple[Sequence[str], list[Sequence[str]]]:
        code = self.leads.currency
        rows = [
            (c.group.name, percent(c.group.within and c.group.within.share),
             money(c.cost_per_win, code), money(c.worth and c.worth.share, code))
            for c in self.channels
        ]  # fmt: skip
        headings = ("channel", f"won in {in_days(self.terms.age)}", "cost of a win", "worth a lead")
        return headings, [*rows]

    def _points(self) -> Iterator[str]:
        return map(str, self.findings)


def lead_funnel(leads: object, terms: FunnelTerms | None = None, **fields: Any) -> LeadFunnel:
    """The way from lead to customer, by stage, channel and month.

    Parameters
    ----------
    leads
        From ``read_leads``, or what it takes.
    terms
        What leads are worth and at which age they are compared.
    fields
        Of ``FunnelTerms``, in place of ``terms``.

    Returns
    -------
    LeadFunnel
        Shares at equal age with intervals; who is too young is said to be so and not compared.

    Raises
    ------
    InputError, RowError
        As ``read_leads`` and ``FunnelTerms``.

    References
    ----------
    Kaplan & Meier (1958) for the curve, Boag (1949) for the share who never buy, Wilson (1927)
    and Newcombe (1998) for intervals.

    Examples
    --------
    >>> import clv
    >>> funnel = lead_funnel(clv.simulate_leads(seed=1, leads=2000).leads, age=90, value=900.0)
    >>> funnel.terms.age, funnel.stages[-1].stage
    (90, 'won')
    """
    stated = terms or FunnelTerms(**fields)
    table = leads if isinstance(leads, LeadTable) else read_leads(leads)
    table_seen, apart = set_apart_unseen(table)
    settled = FunnelTerms(**{**vars(stated), "age": stated.age or usual_age(table_seen)})
    model = win_model(table_seen)
    values, on_values = lead_values(table_seen, settled.value)
    wait = np.where(table_seen.won, table_seen.days[:, -1], table_seen.follow_up)
    curve, final = (
        conversion_curve(wait, table_seen.won),
        final_share(wait, table_seen.won, settled.level),
    )
    channels = _channels(table_seen, settled, model, values)
    months = tuple(by_month(table_seen, float(settled.age or 0), settled.level))
    backtest = backtest_scores(table_seen)
    funnel = LeadFunnel(
        table_seen, settled, _stages(table_seen, settled), channels, months, curve, final,
        score_leads(table_seen, model, values, settled.cost_to_serve), backtest, (),
    )  # fmt: skip
    notes = (*table.notes, *apart, *on_values, *_findings(funnel))
    return LeadFunnel(**{**vars(funnel), "findings": within(notes, table_seen.currency)})


def _stages(table: LeadTable, terms: FunnelTerms) -> tuple[FunnelStage, ...]:
    age, cost = float(terms.age or 0), _costs(table)
    old = table.follow_up >= age
    rows = []
    for place, stage in enumerate(table.stages):
        share, median = (None, None) if not place else _moved(table, place, age, terms.level)
        entries = (table.days[old, place] <= age).sum()
        per_entry = float(cost[old].sum() / entries) if cost is not None and entries else None
        rows.append(
            FunnelStage(stage, int(table.reached[:, place].sum()), share, median, per_entry)
        )
    return tuple(rows)


def _moved(
    table: LeadTable, place: int, age: float, level: float
) -> tuple[ShareWithin | None, float | None]:
    """The share that went on to a stage within ``age`` days of the one before, and how fast."""
    before, now = table.days[:, place - 1], table.days[:, place]
    undated = table.reached & np.isnan(table.days)
    if undated[:, [place - 1, place]].any():
        return None, None
    here = table.follow_up - before >= age
    took = now - before
    median = float(np.nanmedian(took)) if (~np.isnan(took)).any() else None
    if not here.any():
        return None, median
    return wilson(float((took[here] <= age).sum()), float(here.sum()), level), median


def _costs(table: LeadTable) -> np.ndarray | None:
    """What each lead cost, 0 where nothing stands; None if it stands nowhere."""
    cost = table.leads["cost"]
    return None if cost.isna().all() else cost.fillna(0.0).to_numpy(dtype=np.float64)


def _channels(
    table: LeadTable, terms: FunnelTerms, model: WinModel, values: Mapping[str, float] | None
) -> tuple[FunnelChannel, ...]:
    chances = dict(zip(model.channels, model.of_new_leads(terms.level), strict=True))
    cost, age = _costs(table), float(terms.age or 0)
    rows = []
    for group in by_channel(table, age, terms.level):
        part = table.where((table.leads["channel"] == group.name).to_numpy())
        own_cost = (
            None if cost is None else part.leads["cost"].fillna(0.0).to_numpy(dtype=np.float64)
        )
        stages = _stages(part, terms)
        per_lead = None if own_cost is None else float(own_cost.mean())
        per_win = stages[-1].cost_per_entry if own_cost is not None else None
        value = None if values is None else values.get(group.name)
        worth = None
        if value is not None:
            ends = sorted(share * value - (per_lead or 0.0) for share in chances[group.name][1:])
            worth = ShareWithin(
                chances[group.name].share * value - (per_lead or 0.0), ends[0], ends[1]
            )
        rows.append(
            FunnelChannel(group, chances[group.name], per_lead, per_win, value, worth, stages)
        )
    return tuple(rows)


def _findings(funnel: LeadFunnel) -> Iterator[Finding]:
    table, age = funnel.leads, float(funnel.terms.age or 0)
    young = int((table.follow_up < age).sum())
    at_age = funnel.curve.at(age, funnel.terms.level)
    if young and at_age is not None:
        yield finding("funnel.young", leads=young, all=len(table.leads), age=in_days(age),
                      naive=funnel.naive, share=at_age.share)  # fmt: skip
    if at_age is None:
        yield finding("funnel.none_so_old", age=in_days(age), oldest=in_days(funnel.curve.longest))
    if funnel.final is not None and funnel.final.settled:
        share = funnel.final.share
        yield finding("funnel.final", share=share.share, low=share.low, high=share.high,
                      days=in_days(round(funnel.final.median_days)))  # fmt: skip
    elif (last := funnel.curve.at(funnel.curve.longest, funnel.terms.level)) is not None:
        yield finding("funnel.not_settled", share=last.share, age=in_days(funnel.curve.longest))
    yield from _about_money(funnel)
    yield from _about_time(funnel)
    if funnel.backtest is not None:
        code = "funnel.scores_better" if funnel.backtest.better else "funnel.scores_no_better"
        yield finding(code, day=funnel.backtest.cutoff, auc=funnel.backtest.auc,
                      stage=funnel.backtest.auc_stage, leads=funnel.backtest.leads)  # fmt: skip


def _about_money(funnel: LeadFunnel) -> Iterator[Finding]:
    missing = int(funnel.leads.leads["cost"].isna().sum())
    if missing == len(funnel.leads.leads):
        yield finding("funnel.no_cost")
    elif missing:
        yield finding("funnel.cost_missing", leads=missing)
    for channel in funnel.channels:
        if channel.worth is not None and channel.worth.high < 0:
            yield finding("funnel.loses", channel=channel.group.name, worth=channel.worth.share,
                          cost=channel.cost_per_lead or 0.0)  # fmt: skip
    if any(np.isnan(funnel.leads.days[funnel.leads.reached])):
        yield finding("funnel.undated_stages")


def _about_time(funnel: LeadFunnel) -> Iterator[Finding]:
    compared = [month for month in funnel.months if month.within is not None]
    young = [m for m in funnel.months if m.within is None and m.why_not.startswith("too young")]
    if young:
        yield finding("funnel.young_months", months=[month.name for month in young],
                      age=in_days(funnel.terms.age))  # fmt: skip
    if len(compared) < 2:
        return
    first, last = compared[0], compared[-1]
    gap = difference(last, first)
    if gap is None or first.within is None or last.within is None:
        return
    sure = gap.low > 0 or gap.high < 0
    yield finding("funnel.trend" if sure else "funnel.no_trend", first=first.name, last=last.name,
                  before=first.within.share, now=last.within.share,
                  age=in_days(funnel.terms.age))  # fmt: skip


def _curve_rows(curve: ConversionCurve, level: float) -> Iterator[dict[str, float]]:
    for age in CURVE_AGES:
        if (share := curve.at(age, level)) is not None:
            yield {"days": age, **share._asdict()}


def _final(final: FinalShare) -> dict[str, Any]:
    return {**final.share._asdict(), "median_days": final.median_days, "settled": final.settled}


def _share(share: ShareWithin | None) -> dict[str, float] | None:
    return None if share is None else share._asdict()
