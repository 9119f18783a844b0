"""Referrals read: each new customer is credited to one referrer, and what is wrong is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from clv.errors import ColumnError, InputError
from clv.format import counted
from clv.intake.role_cells import number_of, text_of, with_day
from clv.intake.row_reasons import LeftOut, require_readable
from clv.intake.sources import Source, table_source
from clv.intake.vocabulary import plain
from clv.io.settings_errors import OURS_FIRST, unknown_columns
from clv.notebook import InNotebook

HINT = "give referrer_id, referred_id and date, a row for each customer referred."
LARGEST = 1e10  # of a reward, in currency
SELF = "referred himself"
TWICE = "the customer was referred by another before, who is credited"
LOOP = "closes a loop: the referrer came through the one whom he refers"
OLD_CUSTOMER = "was a customer before the referral"
FAULTS = (
    NO_ID := "referrer or referred customer is missing",
    BAD_DAY := "date is missing or cannot be read",
    BAD_REWARD := "reward is negative, too large or no number",
)
WORDS = {
    "referrer_id": ("referrerid", "referrer", "advocateid", "advocate", "referredby", "inviterid",
                    "inviter", "referrercustomerid", "sender", "werber", "werberid"),
    "referred_id": ("referredid", "referred", "refereeid", "referee", "friendid", "friend",
                    "inviteeid", "invitee", "newcustomerid", "referredcustomerid", "customerid",
                    "geworben", "geworbenid"),
    "date": ("date", "referredat", "referraldate", "createdat", "created", "convertedat", "day",
             "datum"),
    "reward": ("reward", "rewardamount", "bonus", "rewardvalue", "incentive", "credit", "praemie"),
    "type": ("type", "referraltype"),
}  # fmt: skip


@dataclass(frozen=True)
class ReferralRecipe:
    """Ours = theirs, and what text cannot say of itself."""

    columns: Mapping[str, str]
    date_order: Literal["dmy", "mdy"] | None = None
    decimal: Literal[".", ",", "both"] | None = None


@dataclass(frozen=True)
class Referrals(InNotebook):
    """Referrals as they count.

    Attributes
    ----------
    rows
        referrer_id, referred_id, date, reward, type: one for each customer referred; type is 1 for
        who would not have come otherwise, 2 for who would have, missing where nothing says it.
    left_out
        The others, by reason, with their rewards.
    rows_in
        Of the table.

    Examples
    --------
    >>> rows = pd.DataFrame({"referrer_id": ["a", "b"], "referred_id": ["b", "a"],
    ...                      "date": ["2024-01-05", "2024-02-05"], "reward": [10, 10]})
    >>> referrals: Referrals = read_referrals(rows)
    >>> print(referrals)
    1 referral counts
      1 row: closes a loop: the referrer came through the one whom he refers
    """

    rows: pd.DataFrame
    left_out: tuple[LeftOut, ...]
    rows_in: int

    def __str__(self) -> str:
        head = f"{counted(len(self.rows), 'referral counts', 'referrals count')}"
        out = [f"  {counted(part.rows, 'row')}: {part.reason}" for part in self.left_out]
        return "\n".join([head, *out])


def read_referrals(
    table: object, joined: Mapping[str, Any] | None = None, **stated: Any
) -> Referrals:
    """Read a table of referrals.

    Parameters
    ----------
    table
        A file or any dataframe: referrer_id, referred_id, date, and reward and type if it has them.
    joined
        The day of each customer's first purchase, if known: who bought before he was referred is
        no new customer.
    stated
        columns (ours = theirs), date_order, decimal.

    Returns
    -------
    Referrals
        The earliest referral of each customer; self-referrals, second referrals and those that
        close a loop are left out, counted and named.

    Raises
    ------
    InputError, RowError
        A column is missing, more than a tenth of the rows cannot be read, or none is left.

    Examples
    --------
    >>> rows = pd.DataFrame({"referrer_id": ["a", "c"], "referred_id": ["b", "b"],
    ...                      "date": ["2024-03-05", "2024-02-05"]})
    >>> read_referrals(rows).rows["referrer_id"].tolist()
    ['c']
    """
    source = table_source(table, "the referrals")
    frame = _typed(source, _recipe(source, stated))
    _mark_faults(frame)
    _mark(frame, SELF, frame["referrer_id"] == frame["referred_id"])
    if joined is not None:
        first = pd.to_datetime(pd.Series(dict(joined), dtype=object).reindex(frame["referred_id"]))
        _mark(frame, OLD_CUSTOMER, first.to_numpy() < frame["date"].to_numpy())
    ordered = frame[frame["why"].isna()].sort_values(["date", "_row"], kind="stable")
    repeated = ordered.index[ordered.duplicated("referred_id")]
    frame.loc[repeated, "why"] = TWICE
    _mark_loops(frame, ordered.drop(index=repeated))
    left_out = _left_out(frame)
    require_readable(left_out, len(frame), "the referrals", FAULTS, lambda _: HINT)
    usable = frame[frame["why"].isna()].drop(columns=["why", "_row", "has_reward"])
    return Referrals(usable.reset_index(drop=True), left_out, len(frame))


def _recipe(source: Source, stated: Mapping[str, Any]) -> ReferralRecipe:
    columns = {role: name for role, name in dict(stated.get("columns") or {}).items() if name}
    if unknown := unknown_columns(columns, WORDS, "a table of referrals"):
        raise InputError(f"{unknown}.", hint=OURS_FIRST)
    for name in columns.values():
        source.column(name)
    theirs = {plain(name): name for name in reversed(source.names)}
    for role, words in WORDS.items():
        free = [theirs[w] for w in words if w in theirs and theirs[w] not in columns.values()]
        if role not in columns and free:
            columns[role] = free[0]
    for role in ("referrer_id", "referred_id", "date"):
        if role not in columns:
            raise ColumnError(
                f"no column of the referrals is called {role}: there are "
                f"{', '.join(source.names)}.",
                hint=f"name it by -c {role}=COLUMN.",
            )
    return ReferralRecipe(columns, stated.get("date_order"), stated.get("decimal"))


def _typed(source: Source, recipe: ReferralRecipe) -> pd.DataFrame:
    dated = with_day(source.rows, source, recipe, "date")
    texts = ", ".join(
        f"{text_of(source, recipe, role)} AS {role}" for role in ("referrer_id", "referred_id")
    )
    kind = f"try_cast({text_of(source, recipe, 'type')} AS DOUBLE)"
    frame: pd.DataFrame = dated.project(
        f"_row, {texts}, date_day AS date, {number_of(source, recipe, 'reward')} AS reward, "
        f"{text_of(source, recipe, 'reward')} IS NOT NULL AS has_reward, {kind} AS type"
    ).df().sort_values("_row", ignore_index=True)  # fmt: skip
    frame["date"] = pd.to_datetime(frame["date"]).astype("datetime64[us]")
    return frame.assign(why=pd.Series([None] * len(frame), dtype=object))


def _mark(frame: pd.DataFrame, why: str, rows: Any) -> None:
    frame.loc[frame["why"].isna() & pd.Series(rows, index=frame.index), "why"] = why


def _mark_faults(frame: pd.DataFrame) -> None:
    _mark(frame, NO_ID, frame["referrer_id"].isna() | frame["referred_id"].isna())
    _mark(frame, BAD_DAY, frame["date"].isna())
    unread = frame["has_reward"] & ~frame["reward"].between(0, LARGEST)
    _mark(frame, BAD_REWARD, unread)
    frame["reward"] = frame["reward"].where(frame["reward"].between(0, LARGEST), 0.0)


def _mark_loops(frame: pd.DataFrame, ordered: pd.DataFrame) -> None:
    """Walk the referrals by day: whose referrer came through the one referred closes a loop."""
    came_by: dict[str, str] = {}
    for row, referrer, referred in zip(
        ordered.index, ordered["referrer_id"], ordered["referred_id"], strict=True
    ):
        above = referrer
        while above in came_by and above != referred:
            above = came_by[above]
        if above == referred:
            frame.loc[row, "why"] = LOOP
        else:
            came_by[referred] = referrer


def _left_out(frame: pd.DataFrame) -> tuple[LeftOut, ...]:
    parts = [
        LeftOut(str(why), len(rows), round(float(rows["reward"].sum()), 2),
                tuple(int(row) for row in rows["_row"].iloc[:3]))
        for why, rows in frame[frame["why"].notna()].groupby("why")
    ]  # fmt: skip
    return tuple(sorted(parts, key=lambda part: (-part.rows, part.reason)))
