"""The cells of a table of leads: a row each, typed, with why a row cannot be used."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from clv.funnel.lead_columns import LeadRecipe
from clv.intake.role_cells import filled_text, number_of, text_of, with_moment_of
from clv.intake.row_reasons import LeftOut, require_readable
from clv.intake.sources import Source
from clv.io.queries import sql_text

LARGEST = 1e10  # of a cost or a value, in currency
OLDEST = pd.Timestamp("1971-01-02")  # and before it a day is one that was missing
YES = ("true", "t", "1", "1.0", "yes", "y", "ja", "wahr", "oui", "si")
TEXTS = ("lead_id", "channel", "customer_id", "currency", "field", "stage", "status")
NUMBERS = ("cost", "value")
MOMENTS = ("created", "at", "won_at", "lost_at", "closed_at")
FAULTS = (
    NO_LEAD := "lead id is missing",
    NO_CREATED := "the day when the lead came is missing",
    BAD_DAY := "a day cannot be read as a date",
    OLD := "a day before 1971, as a missing one is written",
    BACKWARDS := "reaches a stage before the lead came",
    BAD_COST := "cost is no number",
    NEGATIVE := "cost is negative or too large",
    BAD_VALUE := "value is no number",
    TWICE := "the lead stands on an earlier row already",
    NO_STAGE := "stage is missing",
    NO_WIN_DAY := "won, and nothing says when",
    STRANGER := "a change of a lead that is not in the table of leads",
)
LATER = "came after the last day of the table"
OTHER_FIELD = "change of another field"
OTHER_CURRENCY = "another currency"
HINTS = {
    BAD_DAY: "state the order of day and month: --date-order dmy or mdy.",
    BACKWARDS: "two dates may be exchanged, or days and months: state --date-order.",
    TWICE: "give one row a lead, or the history of stages with a day for each change.",
    NO_WIN_DAY: "name the column that says when: -c won_at=COLUMN.",
}


def typed_rows(source: Source, recipe: LeadRecipe) -> pd.DataFrame:
    """The rows with the cell of every role, and ``why`` a row is not used; NaN and NaT if empty.

    Stages with days of their own are columns named ``entered STAGE``. ``bad_day`` is whether a day
    is written and cannot be read.

    Raises
    ------
    InputError
        A date or a number can be read in two ways.
    """
    rows, days, bad = source.rows, dict[str, str](), list[str]()
    moments = {role: recipe.columns[role] for role in MOMENTS if role in recipe.columns}
    moments |= {f"entered {stage}": name for stage, name in recipe.stage_dates.items()}
    for place, (role, name) in enumerate(moments.items()):
        rows = with_moment_of(rows, source, recipe, name)
        rows = rows.project(f"* EXCLUDE _at, _at AS m{place}")
        days[f"m{place}"] = role
        bad.append(f"({filled_text(source, name)} IS NOT NULL AND m{place} IS NULL)")
    texts = ", ".join(f"{text_of(source, recipe, role)} AS {role}" for role in TEXTS)
    numbers = ", ".join(
        f"{number_of(source, recipe, role)} AS {role}, "
        f"{text_of(source, recipe, role)} IS NOT NULL AS has_{role}"
        for role in NUMBERS
    )
    won = f"lower({text_of(source, recipe, 'won')}) IN ({', '.join(map(sql_text, YES))})"
    listed = "".join(f", {name}" for name in days)
    table = rows.project(
        f"_row, {texts}, {numbers}, coalesce({won}, false) AS won, "
        f"{' OR '.join(bad) or 'false'} AS bad_day{listed}"
    ).order("_row")
    return _with_missing(table.df().rename(columns=days))


def _with_missing(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with days of every role, at the resolution that all share."""
    for role in MOMENTS:
        if role not in frame:
            frame[role] = pd.NaT
    for name in [name for name in frame if name in MOMENTS or str(name).startswith("entered ")]:
        frame[name] = pd.to_datetime(frame[name]).astype("datetime64[us]")
    frame["why"] = None
    return frame


def mark(frame: pd.DataFrame, why: str, rows: Any) -> None:
    """Say why rows are not used, where nothing has been said yet."""
    frame.loc[frame["why"].isna() & np.asarray(rows, dtype=bool), "why"] = why


def mark_faults(frame: pd.DataFrame, recipe: LeadRecipe) -> None:
    """Say which rows cannot be used, by what stands in their own cells."""
    mark(frame, NO_LEAD, frame["lead_id"].isna())
    if "field" in recipe.columns and "stage" in recipe.columns:
        mark(frame, OTHER_FIELD, ~frame["field"].map(_of_stages).astype(bool))
    if "currency" in recipe.columns and (currency := currency_of(frame, recipe)):
        mark(frame, OTHER_CURRENCY, frame["currency"].fillna(currency).str.upper() != currency)
    mark(frame, BAD_DAY, frame["bad_day"])
    moments = frame[[n for n in frame if n in MOMENTS or str(n).startswith("entered ")]]
    mark(frame, OLD, (moments < OLDEST).any(axis=1))
    for role, bad in (("cost", BAD_COST), ("value", BAD_VALUE)):
        mark(frame, bad, frame[f"has_{role}"] & ~np.isfinite(frame[role]))
    mark(frame, NEGATIVE, (frame["cost"] < 0) | (frame["cost"] > LARGEST))
    mark(frame, BAD_VALUE, frame["value"].abs() > LARGEST)


def _of_stages(cell: object) -> bool:
    from clv.funnel.lead_columns import lead_words
    from clv.intake.vocabulary import plain

    return plain(str(cell)) in lead_words()["cells"]["field"]


def currency_of(frame: pd.DataFrame, recipe: LeadRecipe) -> str:
    """The currency of costs and values: as stated, or that of most rows; "" if nothing says it."""
    if recipe.currency:
        return recipe.currency.upper()
    codes = frame["currency"].dropna().astype(str).str.upper()
    return str(codes.mode().iloc[0]) if len(codes) else ""


def left_out(frame: pd.DataFrame) -> tuple[LeftOut, ...]:
    """The rows that are not used, by reason, most first."""
    parts = [
        LeftOut(
            str(why),
            len(rows),
            round(float(rows["cost"].where(np.isfinite(rows["cost"]), 0).sum()), 2),
            tuple(int(row) for row in rows["_row"].iloc[:3]),
        )
        for why, rows in frame[frame["why"].notna()].groupby("why")
    ]
    return tuple(sorted(parts, key=lambda part: (-part.rows, part.reason)))


def require_leads(parts: tuple[LeftOut, ...], rows_in: int, what: str) -> None:
    """As ``clv.intake.row_reasons.require_readable``, for rows of leads and their changes."""

    def hint(reason: str) -> str:
        return HINTS.get(reason, "mend these rows in the file, or leave them out.")

    require_readable(parts, rows_in, what, FAULTS, hint)


def last_day(frames: Mapping[str, pd.DataFrame], recipe: LeadRecipe) -> dt.date:
    """The last day that tables of leads know of: as stated, or the latest that is not to come."""
    if recipe.as_of:
        return recipe.as_of
    today = pd.Timestamp(dt.date.today()) + pd.Timedelta(days=1)
    days = [
        frame[name][frame[name] < today].max()
        for frame in frames.values()
        for name in frame
        if name in MOMENTS or str(name).startswith("entered ")
    ]
    latest = [day for day in days if not pd.isna(day)]
    return max(latest).date() if latest else dt.date.today()
