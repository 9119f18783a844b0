"""Referrals from files: who is credited with whom, members of a programme, and evidence out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clv.app.run_evidence import Evidence
from clv.app.run_logging import log_result, plots_as_files
from clv.errors import InputError
from clv.intake.check import read_files
from clv.intake.people import read_people
from clv.io.files import read_table
from clv.referrals.members import MemberComparison, compare_members
from clv.referrals.referral_table import Referrals, read_referrals
from clv.referrals.referral_value import ReferralValue, value_referrals
from clv.schema import collect, numbers


@dataclass(frozen=True)
class ReferralRun:
    """What a table of referrals holds, what it is worth, and the members beside the others."""

    referrals: Referrals
    made: ReferralValue
    members: MemberComparison | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; no customer is in it."""
        left_out = {part.reason: part.rows for part in self.referrals.left_out}
        members = self.members.to_dict() if self.members else None
        return self.made.to_dict() | {"left_out": left_out, "members": members}


def run_of_referrals(
    table: str,
    scores: str | None = None,
    orders: str | None = None,
    members: str | None = None,
    *,
    stated: Mapping[str, Any],
    **terms: Any,
) -> ReferralRun:
    """Referrals of files.

    Parameters
    ----------
    table, scores, orders, members
        Files: referrals; customer_id and clv; orders, for the day of each first one; members.
    stated, terms
        As ``read_referrals`` and ``value_referrals`` take them.

    Raises
    ------
    InputError, RowError
        A file cannot be used, or members are given without scores.
    """
    if members and not scores:
        raise InputError("members are compared by their value.", hint="give --scores, too.")
    joined = None if orders is None else first_days(orders)
    referrals = read_referrals(table, joined, **stated)
    rows = read_table(scores) if scores else None
    values = {} if rows is None else values_of(rows)
    value = value_referrals(referrals, values, joined=joined, **terms)
    if members is None or rows is None:
        return ReferralRun(referrals, value, None)
    listed = read_people(members, rows["customer_id"], what=f"the list {members}")
    names = [str(who) for who in listed["customer_id"].to_pylist()]
    return ReferralRun(referrals, value, compare_members(values, names))


def values_of(scores: Any) -> dict[str, float]:
    """What customers are worth by id, of a table of scores.

    Raises
    ------
    ColumnError
        It has no customer_id or clv, or clv is no number.
    """
    rows = collect(scores, ("customer_id", "clv"), "the table of scores")
    pairs = zip(rows["customer_id"].to_list(), numbers(rows, "clv").tolist(), strict=True)
    return {str(who): clv for who, clv in pairs if np.isfinite(clv)}


def first_days(orders: str) -> dict[str, Any]:
    """The day of each customer's first order."""
    first = read_files(orders).purchases.aggregate("customer_id, min(date) AS day").fetchall()
    return {str(who): day for who, day in first}


def track_referrals(experiment: str, run: ReferralRun, file: str) -> str:
    """Log a run of its own: figures and what was left out; gives the run's id."""
    from clv.report.plots.referrals import plot_referrals

    document = run.to_dict()
    metrics = {name: document[name] for name in ("referred", "cac", "value", "credit")}
    if run.made.k:
        metrics["k_factor"] = run.made.k.mean
    evidence = Evidence(
        params={"file": Path(file).name},
        metrics={name: float(value) for name, value in metrics.items() if value is not None},
        files={"referrals.json": document, **plots_as_files({"net": plot_referrals(document)})},
        source=Path(file) if Path(file).is_file() else None,
    )
    return log_result(experiment, "referrals", evidence)
