"""Leads and the stages that they reached, out of one row a lead or a row a change of stage."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.data.days import as_day
from clv.errors import InputError
from clv.findings import Finding, finding
from clv.format import counted
from clv.funnel.lead_cells import (
    BACKWARDS,
    LATER,
    NO_CREATED,
    NO_STAGE,
    NO_WIN_DAY,
    STRANGER,
    TWICE,
    currency_of,
    last_day,
    left_out,
    mark,
    mark_faults,
    require_leads,
    typed_rows,
)
from clv.funnel.lead_columns import LeadRecipe, lead_recipe
from clv.funnel.stage_order import MOST_STAGES, order_of_stages
from clv.intake.file_rows import Stated
from clv.intake.row_reasons import LeftOut
from clv.intake.sources import table_source
from clv.notebook import InNotebook
from clv.schema import Floats

NO_CHANNEL = "(not stated)"
DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class LeadTable(InNotebook):
    """Leads as they were read.

    Attributes
    ----------
    leads
        A row each: lead_id, created, channel, cost, value, customer_id, won_at, lost_at.
    stages
        In order, the first being that the lead came, the last that it was won.
    days
        From when a lead came until it reached each stage, or a later one; shape (leads, stages),
        NaN where it did not, or where nothing says when.
    reached
        Whether it did; same shape.
    as_of
        The last day that the table knows of.
    currency
        Of costs and values; "" if nothing says it.
    rows_in, left_out
        Rows of the tables, and those that are not used, by reason.
    notes
        What was assumed in reading.
    recipe
        How the table was read.

    Examples
    --------
    >>> import clv
    >>> table: LeadTable = read_leads(clv.simulate_leads(leads=50).leads)
    >>> table.stages
    ('lead', 'qualified', 'proposal', 'won')
    """

    leads: pd.DataFrame
    stages: tuple[str, ...]
    days: Floats
    reached: NDArray[np.bool_]
    as_of: dt.date
    currency: str
    rows_in: int
    left_out: tuple[LeftOut, ...]
    notes: tuple[Finding, ...]
    recipe: LeadRecipe

    @property
    def follow_up(self) -> Floats:
        """Days from when each lead came to the last day; shape (leads,)."""
        return days_between(np.datetime64(self.as_of), self.leads["created"])

    @property
    def won(self) -> NDArray[np.bool_]:
        """Whether each lead was won; shape (leads,)."""
        return np.asarray(self.reached[:, -1])

    def where(self, rows: Any) -> LeadTable:
        """The leads that are chosen."""
        chosen = np.asarray(rows)
        parts = {"leads": self.leads[chosen].reset_index(drop=True)}
        parts |= {"days": self.days[chosen], "reached": self.reached[chosen]}
        return LeadTable(**{**vars(self), **parts})

    def __str__(self) -> str:
        won = counted(int(self.won.sum()), "win")
        lines = [f"{counted(len(self.leads), 'lead')} up to {self.as_of}, {won}"]
        lines += [f"  {counted(part.rows, 'row')}: {part.reason}" for part in self.left_out]
        return "\n".join([*lines, f"  stages: {', '.join(self.stages)}", *map(str, self.notes)])


def read_leads(table: object, changes: object | None = None, **stated: Any) -> LeadTable:
    """Read a table of leads.

    Parameters
    ----------
    table
        A file, several, or any dataframe. One row a lead (lead_id, created, channel, cost, days of
        stages, won_at, ...), or a row for each change of stage (lead_id, stage, at, ...). Columns
        are recognised by the names that HubSpot, Salesforce, Pipedrive and their copies give them.
    changes
        The changes of stage, where they are a table of their own: lead_id, stage, at.
    stated
        What is otherwise: columns (ours = theirs), stage_dates (stage = column), date_order,
        decimal, won, lost (names of stages), stages (in order), currency, as_of; and encoding,
        separator, header_line, sheet.

    Returns
    -------
    LeadTable
        Every row is in use, or left out with a reason.

    Raises
    ------
    InputError
        It is no such table, nothing says which leads were won, or a date can be read in two ways.
    RowError
        More than a tenth of the rows have a fault, or none is left.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"Lead ID": ["a", "b"], "Create Date": ["2024-01-15", "2024-02-01"],
    ...                      "Lead Source": ["Web", "Fair"], "Won Date": ["2024-02-14", None]})
    >>> print(read_leads(rows, as_of="2024-06-30"))
    2 leads up to 2024-06-30, 1 win
      stages: lead, won
    """
    if stated.get("as_of") is not None:
        stated["as_of"] = as_day(stated["as_of"], "as_of")
    frame, recipe = _read(table, "the table of leads", stated)
    frames = {"the leads": frame}
    if changes is not None:
        fields_left = {
            name: value for name, value in stated.items() if name not in ("columns", "sheet")
        }
        second, _ = _read(changes, "the table of changes", fields_left)
        mark(second, STRANGER, ~second["lead_id"].isin(frame["lead_id"]))
        frames["the changes"] = second
    as_of = last_day(frames, recipe)
    leads, events = _leads(frames, recipe, as_of)
    out = [left_out(part) for part in frames.values()]
    for (what, part), reasons in zip(frames.items(), out, strict=True):
        require_leads(reasons, len(part), what)
    return _table(leads, events, recipe, as_of, frames, tuple(x for parts in out for x in parts))


def _read(table: object, what: str, stated: dict[str, Any]) -> tuple[pd.DataFrame, LeadRecipe]:
    text = {name: stated.get(name) for name in ("encoding", "separator", "header_line", "sheet")}
    source = table_source(table, what, Stated(**text))
    recipe = lead_recipe(source, {k: v for k, v in stated.items() if k not in text})
    frame = typed_rows(source, recipe)
    mark_faults(frame, recipe)
    if {"stage", "at"} <= set(recipe.columns):
        mark(frame, NO_STAGE, frame["stage"].isna() & frame["at"].notna())
    return frame, recipe


def _leads(
    frames: dict[str, pd.DataFrame], recipe: LeadRecipe, as_of: dt.date
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A row a lead with the days of its win and loss, and the changes of stage."""
    frame = frames["the leads"]
    events = _events(list(frames.values()), recipe)
    if not {"stage", "at"} <= set(recipe.columns):
        mark(frame, TWICE, frame["why"].isna() & frame.duplicated(["lead_id"]))
    first = events.groupby("lead_id")["at"].min()
    came = frame.groupby("lead_id")["created"].transform("min")
    earliest = pd.Series(first.reindex(frame["lead_id"]).to_numpy(), index=frame.index)
    came = came if "created" in recipe.columns else came.fillna(earliest)
    frame["came"] = came.dt.floor("D")
    mark(frame, NO_CREATED, frame["came"].isna())
    mark(frame, BACKWARDS, earliest.dt.floor("D") < frame["came"])
    mark(frame, LATER, frame["came"] > pd.Timestamp(as_of))
    leads = _one_a_lead(frame, recipe, events)
    mark(frame, NO_WIN_DAY, frame["lead_id"].isin(leads.index[leads["undated"]]))
    leads = leads[~leads["undated"]]
    in_time = events[events["lead_id"].isin(leads.index) & (events["at"] < day_after(as_of))]
    return leads, in_time


def _events(frames: list[pd.DataFrame], recipe: LeadRecipe) -> pd.DataFrame:
    """Changes of stage: lead_id, stage, at; of rows that are used."""
    parts = []
    for frame in frames:
        used = frame[frame["why"].isna()]
        changes = used[["lead_id", "stage", "at"]].dropna()
        parts.append(changes)
        for name in [n for n in frame if str(n).startswith("entered ")]:
            stage = str(name).removeprefix("entered ")
            dated = used[["lead_id", name]].dropna().rename(columns={name: "at"})
            parts.append(dated.assign(stage=stage))
        won, lost = used[["lead_id", "won_at"]].dropna(), used[["lead_id", "lost_at"]].dropna()
        parts.append(won.rename(columns={"won_at": "at"}).assign(stage="won"))
        parts.append(lost.rename(columns={"lost_at": "at"}).assign(stage="lost"))
    events = pd.concat([part[["lead_id", "stage", "at"]] for part in parts], ignore_index=True)
    named = {cell: _meaning(cell, recipe) for cell in events["stage"].unique()}
    events["stage"] = pd.Series([named[cell] for cell in events["stage"]], dtype=object)
    return events.astype({"at": "datetime64[us]", "lead_id": object})


def _meaning(cell: str, recipe: LeadRecipe) -> str:
    if recipe.wins(cell):
        return "won"
    return "lost" if recipe.loses(cell) else " ".join(str(cell).split())


def _one_a_lead(frame: pd.DataFrame, recipe: LeadRecipe, events: pd.DataFrame) -> pd.DataFrame:
    """A row a lead, by its id: what it cost, and when it was won or lost, if it was."""
    used = frame[frame["why"].isna()]
    grouped = used.groupby("lead_id")
    leads = grouped[["channel", "value", "customer_id"]].first()
    leads["created"] = grouped["came"].min()
    leads["channel"] = leads["channel"].fillna(NO_CHANNEL)
    same = grouped["cost"].nunique() <= 1  # a cost repeated on every change of a lead is one cost
    leads["cost"] = grouped["cost"].first().where(same, grouped["cost"].sum(min_count=1))
    says = used.assign(
        won=used["won"] | _cells_say(used, recipe.wins), lost=_cells_say(used, recipe.loses)
    ).groupby("lead_id")
    dated = {stage: events[events["stage"] == stage] for stage in ("won", "lost")}
    for stage, rows in dated.items():
        leads[f"{stage}_at"] = (
            rows.groupby("lead_id")["at"].min().dt.floor("D").reindex(leads.index)
        )
    closed = grouped["closed_at"].min().astype("datetime64[us]").dt.floor("D")
    customer = leads["customer_id"].notna() & (not _says_wins(recipe, dated["won"]))
    won = says["won"].any() | customer
    latest = events.groupby("lead_id")["at"].max().dt.floor("D").reindex(leads.index)
    day = closed.where(says["won"].any()).fillna(latest.where(won))
    leads["won_at"] = leads["won_at"].fillna(day)
    leads["lost_at"] = leads["lost_at"].fillna(closed.where(says["lost"].any()))
    leads["lost"] = says["lost"].any() | leads["lost_at"].notna()
    leads["undated"] = won & leads["won_at"].isna()
    leads["now"] = grouped["stage"].last().fillna(grouped["status"].last())
    return leads


def _says_wins(recipe: LeadRecipe, won: pd.DataFrame) -> bool:
    """Whether something but the id of a customer says which leads were won."""
    return bool(len(won)) or bool({"won_at", "won"} & set(recipe.columns))


def _cells_say(used: pd.DataFrame, test: Any) -> pd.Series:
    """Whether the stage or the status of each row says so."""
    says = pd.Series(False, index=used.index)
    for column in ("stage", "status"):
        says |= used[column].isin([c for c in used[column].dropna().unique() if test(str(c))])
    return says


def _table(
    leads: pd.DataFrame,
    events: pd.DataFrame,
    recipe: LeadRecipe,
    as_of: dt.date,
    frames: dict[str, pd.DataFrame],
    out: tuple[LeftOut, ...],
) -> LeadTable:
    leads = leads.assign(won_at=leads["won_at"].where(leads["won_at"] < day_after(as_of)))
    leads = leads.assign(lost_at=leads["lost_at"].where(leads["lost_at"] < day_after(as_of)))
    _require_wins(leads, recipe)
    stages, notes = order_of_stages(events, leads["now"], recipe)
    days, reached = _reached(leads, events, stages)
    leads = leads.reset_index().drop(columns=["undated", "now"])
    frame = frames["the leads"]
    if recipe.as_of is None:
        notes = (*notes, finding("funnel.last_day", day=as_of))
    rows_in = sum(map(len, frames.values()))
    currency = currency_of(frame, recipe)
    return LeadTable(leads, stages, days, reached, as_of, currency, rows_in, out, notes, recipe)


def _require_wins(leads: pd.DataFrame, recipe: LeadRecipe) -> None:
    if leads["won_at"].notna().any():
        return
    listed = ", ".join(sorted({str(cell) for cell in leads["now"].dropna()})[:MOST_STAGES])
    raise InputError(
        "nothing says that a lead was won" + (f"; its stages are {listed}." if listed else "."),
        hint="name the stage that is a win by won (--won), or the day by -c won_at=COLUMN.",
    )


def _reached(
    leads: pd.DataFrame, events: pd.DataFrame, stages: tuple[str, ...]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Days until each stage or a later one, and whether it was reached."""
    days = np.full((len(leads), len(stages)), np.nan)
    came = leads["created"]
    days[:, 0], days[:, -1] = 0.0, days_between(leads["won_at"], came)
    undated = np.zeros(days.shape, dtype=bool)
    for place, stage in enumerate(stages[1:-1], start=1):
        first = events[events["stage"] == stage].groupby("lead_id")["at"].min().dt.floor("D")
        days[:, place] = days_between(first.reindex(leads.index), came)
        undated[:, place] = (leads["now"].astype(object) == stage).to_numpy()
    later = np.minimum.accumulate(np.where(np.isnan(days), np.inf, days)[:, ::-1], axis=1)[:, ::-1]
    days = np.where(np.isfinite(later), later, np.nan)
    passed = np.logical_or.accumulate((undated | ~np.isnan(days))[:, ::-1], axis=1)[:, ::-1]
    return days, np.asarray(passed)


def day_after(day: dt.date) -> pd.Timestamp:
    """When a day is over."""
    return pd.Timestamp(day) + pd.Timedelta(days=1)


def days_between(to: Any, since: Any) -> Floats:
    """Whole days from one day to another; NaN where one is missing."""
    to, since = np.asarray(to, dtype="datetime64[D]"), np.asarray(since, dtype="datetime64[D]")
    length = (to - since) / DAY
    return np.asarray(length, dtype=np.float64)
