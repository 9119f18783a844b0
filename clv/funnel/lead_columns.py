"""Which column of an export of leads is what: by its name, as CRM systems write it."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from clv.errors import ColumnError, InputError
from clv.intake.moments import look_at_moments
from clv.intake.role_cells import filled_text
from clv.intake.sources import Source
from clv.intake.vocabulary import plain
from clv.io.settings_errors import OURS_FIRST, settings_of, unknown_columns

BEFORE = re.compile(r"^(?:deal|lead)\s*[-:]\s+", re.I)  # as Pipedrive writes before each column
# A column that says when its leads entered a stage; the group is the stage.
STAGE_DATES = (
    re.compile(r"became an? (.+?) date", re.I),
    re.compile(r"date entered [\"'“‘]?(.+?)[\"'”’]?(?:\s*\(.*\)[\"'”’]?)?", re.I),
    re.compile(r"hs_lifecyclestage_(.+?)_date", re.I),
    re.compile(r"hs_(?:v2_)?date_entered_(.+)", re.I),
    re.compile(r"(?:entered|reached)[ _](.+?)(?:[ _](?:at|on|date))?", re.I),
    re.compile(r"(.+?)[ _](?:at|on|date|time|ts)", re.I),
)
SURE = 5  # the first patterns; a column of the last is a stage only if it holds dates
TOLD = "help(clv.read_leads) says what it takes."
READABLE = 0.5  # of its cells
ROLES = (
    "lead_id", "created", "channel", "cost", "customer_id", "value", "currency", "field", "stage",
    "status", "at", "won_at", "lost_at", "closed_at", "won",
)  # fmt: skip


class LeadRecipe(BaseModel):
    """How a table of leads is read.

    Attributes
    ----------
    columns
        Ours = theirs.
    stage_dates
        Columns that say when a stage was entered: stage = theirs.
    date_order, decimal
        Of text: day or month first, the decimal mark; found in the file where it settles them.
    won, lost
        Stages or statuses of leads that were won or lost, besides those that are recognised.
    stages
        The stages in order, where their dates do not show it.
    currency
        Of costs and values where no column says it.
    as_of
        The last day that it knows of.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: Mapping[str, str]
    stage_dates: Mapping[str, str] = {}
    date_order: Literal["dmy", "mdy"] | None = None
    decimal: Literal[".", ",", "both"] | None = None
    won: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    currency: str = ""
    as_of: dt.date | None = None

    def wins(self, cell: str) -> bool:
        """Whether a stage or a status says that the lead was won."""
        return self._says(cell, "won")

    def loses(self, cell: str) -> bool:
        """Whether a stage or a status says that the lead was lost."""
        return self._says(cell, "lost")

    def _says(self, cell: str, what: Literal["won", "lost"]) -> bool:
        stated = {plain(word) for word in (*self.won, *self.lost)}
        mine = {plain(word) for word in getattr(self, what)}
        return plain(cell) in mine or (
            plain(cell) in lead_words()["cells"][what] and plain(cell) not in stated
        )


@cache
def lead_words() -> Mapping[str, Mapping[str, list[str]]]:
    """``lead_words.toml``, by section and key."""
    return tomllib.loads((files("clv.funnel") / "lead_words.toml").read_text(encoding="utf-8"))


def lead_recipe(source: Source, stated: Mapping[str, Any] | None = None) -> LeadRecipe:
    """How a source is read: as recognised, with what is stated in its place.

    Raises
    ------
    ColumnError
        No column names the lead or its days, or a stated one is missing.
    InputError
        A stated field is none.

    Examples
    --------
    >>> import pandas as pd
    >>> from clv.intake.sources import table_source
    >>> hubspot = ["Record ID", "Create Date", "Original Source", "Became a Customer Date"]
    >>> rows = pd.DataFrame({name: ["2024-01-31"] for name in hubspot})
    >>> recipe = lead_recipe(table_source(rows, "leads"))
    >>> recipe.columns["created"], recipe.columns["won_at"]
    ('Create Date', 'Became a Customer Date')
    """
    given = (stated or {}).items()
    fields = {k: v for k, v in given if v is not None and not (isinstance(v, tuple) and not v)}
    columns = dict(fields.pop("columns", {}))
    if unknown := unknown_columns(columns, ROLES, "a table of leads"):
        raise InputError(f"{unknown}.", hint=OURS_FIRST)
    for name in filter(None, columns.values()):
        source.column(name)
    chosen = _columns(source.names, columns)
    stage_dates = fields.pop("stage_dates", None)
    if stage_dates is None:
        stage_dates = _stage_dates(source, {*chosen.values(), *columns.values()})
    _require(chosen, stage_dates, source.names)
    found = {"columns": _as_changes(source, chosen), "stage_dates": stage_dates}
    return settings_of(LeadRecipe, fields | found, "what is stated of leads", TOLD)


def _columns(names: Sequence[str], stated: Mapping[str, str | None]) -> dict[str, str]:
    """The columns by role: as stated, or by their names; of one stated as empty none."""
    theirs: dict[str, str] = {}
    for name in reversed(names):
        theirs[plain(name)] = theirs[plain(BEFORE.sub("", name))] = name
    columns = {role: name for role, name in stated.items() if name}
    for role in ROLES:
        words = (theirs[word] for word in lead_words()["columns"][role] if word in theirs)
        free = [name for name in words if name not in columns.values()]
        if free and role not in stated:
            columns[role] = free[0]
    return columns


def _stage_dates(source: Source, used: set[str | None]) -> dict[str, str]:
    """Columns that say when a stage was entered, by the stage."""
    dates: dict[str, str] = {}
    for name in (name for name in source.names if name not in used):
        for place, pattern in enumerate(STAGE_DATES):
            match = pattern.fullmatch(BEFORE.sub("", name.strip()))
            if match is None:
                continue
            stage = " ".join(match[1].replace("_", " ").split())
            surely = place < SURE or _holds_dates(source, name)
            if surely and not _of_no_stage(stage) and source.names.count(name) == 1:
                dates.setdefault(stage, name)
            break
    return dates


def _of_no_stage(stage: str) -> bool:
    words = {plain(word) for word in stage.split()}
    created = plain(stage) in ("create", "created", "creation", "add", "updated", "")
    return created or bool(words & set(lead_words()["dates"]["none"]))


def _holds_dates(source: Source, name: str) -> bool:
    kind = source.type_of(name)
    if kind != "VARCHAR":
        return kind == "DATE" or kind.startswith("TIMESTAMP")
    return look_at_moments(source.rows, filled_text(source, name)).readable >= READABLE


def _require(columns: Mapping[str, str], dates: Mapping[str, str], names: Sequence[str]) -> None:
    if "lead_id" not in columns:
        raise ColumnError(
            f"no column names the lead; there are {', '.join(names)}.",
            hint="name it by -c lead_id=COLUMN.",
        )
    if not ({"created", "at"} & set(columns) or dates):
        raise ColumnError(
            f"no column says when a lead came; there are {', '.join(names)}.",
            hint="name it by -c created=COLUMN.",
        )


def _as_changes(source: Source, columns: dict[str, str]) -> dict[str, str]:
    """A history of stages whose only day is called created: that is the day of each change."""
    if "stage" not in columns or "at" in columns or "created" not in columns:
        return columns
    lead = source.column(columns["lead_id"])
    rows, leads = source.rows.aggregate(f"count({lead}), count(DISTINCT {lead})").fetchall()[0]
    moments = source.rows.aggregate(
        f"count(DISTINCT ({lead}, {source.column(columns['created'])}))"
    ).fetchall()[0][0]
    if rows > leads and moments > leads:
        remaining = {role: name for role, name in columns.items() if role != "created"}
        return remaining | {"at": columns["created"]}
    return columns
