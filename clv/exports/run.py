"""An export from file to file: choose by tier, write, compare with the last one, leave a record."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from clv.decide.acquisition.tiers import TIERS, with_tiers
from clv.errors import InputError
from clv.exports.audience import AudienceReport, write_audience
from clv.exports.audit import Audit
from clv.exports.difference import Difference, difference
from clv.exports.file import ExportedFile, write_plain
from clv.intake.people import read_people
from clv.io.files import check_output, read_log, read_table
from clv.score_columns import STATED


@dataclass(frozen=True)
class Export:
    """What was exported.

    Attributes
    ----------
    file
        What was written.
    audience
        What became of everybody, for an advertiser; None for a plain file.
    since_last
        What changed, if there was an export to compare with.
    record
        What the audit log says of it, or would.
    """

    file: ExportedFile
    audience: AudienceReport | None
    since_last: Difference | None
    record: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; no customer is in it."""
        return {
            "file": self.file.to_dict(),
            "audience": self.audience and self.audience.to_dict(),
            "since_last": self.since_last and self.since_last.counts(),
            "record": self.record,
        }


def export_scores(
    scores: str | os.PathLike[str],
    output: str | os.PathLike[str],
    to: str | None = None,
    *,
    contacts: str | os.PathLike[str] | None = None,
    tiers: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    last: str | os.PathLike[str] | None = None,
    audit: str | os.PathLike[str] | None = None,
    who: str | None = None,
    anyway: bool = False,
    **audience: Any,
) -> Export:
    """Export a file of scores, whole or some tiers of it, plain or for an advertiser.

    Parameters
    ----------
    scores
        What ``clv score`` wrote. Tiers and deciles are taken over all its customers.
    output
        A .csv or .parquet file; .csv for an advertiser.
    to
        "google", "meta" or "tiktok"; None for a plain file with the columns tier and decile.
    contacts
        A file of contacts, for an advertiser; see ``clv.exports.audience``.
    tiers
        Which to export, as in ``clv.decide.acquisition.tiers.TIERS``; all if none is named.
    columns
        Of a plain file; all if not given.
    last
        The last export, to compare with; it may be the file that is replaced.
    audit, who
        A log to add a line to, and who exports: the account that runs this if not given.
    anyway
        Take contacts of whom none was scored.
    audience
        ``audience``, ``home_country``, ``consent_confirmed_by`` of ``write_audience``.

    Raises
    ------
    InputError, ColumnError, RowError
        A file cannot be read, used or written; a tier is unknown; contacts are missing.
    """
    check_output(output, scores, *([contacts] if contacts else []))
    table = with_tiers(read_table(scores))
    chosen = _of_tiers(table, tiers)
    log = Audit(audit)
    before = None if last is None else _read_export(last, to)
    if to is None:
        report, file = None, write_plain(chosen, output, columns)
    else:
        if contacts is None:
            raise InputError(f"{to} needs contacts.", hint="give a file with --contacts.")
        people = read_people(
            contacts, table["customer_id"], what=f"the list {contacts}", anyway=anyway
        )
        report = write_audience(chosen, people, to, output, **audience)
        file = report.file
    since_last = None if before is None else _compare(before, _read_export(output, to), to)
    record = _record(table, file, report, since_last, tiers)
    if audit is not None:
        place, account = to or Path(output).suffix[1:], who or getpass.getuser()
        record = log.export(account, place, file, **record)
    return Export(file, report, since_last, record)


def _of_tiers(table: pa.Table, tiers: Sequence[str]) -> pa.Table:
    unknown = [tier for tier in tiers if tier not in TIERS]
    if unknown:
        raise InputError(
            f"{unknown[0]!r} is no tier.", hint=f"choose among {', '.join(map(repr, TIERS))}."
        )
    if not tiers:
        return table
    return table.filter(pc.is_in(table["tier"], value_set=pa.array(list(tiers), pa.string())))


def _read_export(path: str | os.PathLike[str], to: str | None) -> Any:
    """An export read back; of an advertiser's file everything but the value is text."""
    if to is None:
        return read_table(path)
    rows = read_log(path)
    return rows.project("* REPLACE (value::DOUBLE AS value)") if "value" in rows.columns else rows


def _compare(before: Any, now: Any, to: str | None) -> Difference:
    if to is None:
        return difference(before, now)
    return difference(before, now, [name for name in now.columns if name != "value"], value="value")


def _record(
    table: pa.Table,
    file: ExportedFile,
    report: AudienceReport | None,
    since_last: Difference | None,
    tiers: Sequence[str],
) -> dict[str, Any]:
    """What to log of an export, beside its file."""
    stated: dict[str, Any] = {
        name: str(table[name][0]) for name in STATED if name in table.column_names
    }
    logged = ("audience", "asked", "left_out", "left_empty", "consent")
    if report is not None:
        stated |= {name: value for name, value in report.to_dict().items() if name in logged}
    if since_last is not None:
        stated["since_last"] = since_last.counts()
    return {"filters": {"tiers": list(tiers)} if tiers else {}, **stated}
