"""What the run before had of files, taken on where a publish brings nothing in its place."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv.app.contents.campaign_results import CAMPAIGNS, EFFECTS, LISTS, UPLIFT
from clv.app.contents.document import StoreParts
from clv.app.contents.earlier_runs import CHANGES, MODEL, VALUES
from clv.app.contents.handoffs import NEXT_OFFERS
from clv.app.contents.over_time import MONTHS, RUNS
from clv.app.contents.plan import STATED
from clv.app.plan_gains import DOCUMENT as DRAWS_OF_PLAN
from clv.errors import InputError
from clv.findings import Finding, finding
from clv.score_columns import PLAN
from clv.store import Store
from clv.store.intake import keys_of

if TYPE_CHECKING:
    import pyarrow as pa

DAYS = "taken_on"  # the document: of which day's scores what was taken on is, by name
# Each run makes these anew, of its own scores and orders.
OF_RUN = frozenset(
    {CAMPAIGNS, LISTS, UPLIFT, EFFECTS, CHANGES, MODEL, VALUES, MONTHS, RUNS, DAYS}
    | {"terms", "calibration", "data_report", "repeat_revenue", "total", "reasons", "cohorts"}
    | {"model_card", "concentration"}
)
# What one file brings together, by the option that names it.
TOGETHER = {
    "channels": "spend", "curves": "spend", "plan": "plan", DRAWS_OF_PLAN: "plan", STATED: "plan",
    NEXT_OFFERS: "offers", "joint_plan": "targets",
}  # fmt: skip
OVER_HORIZON = ("spend", "plan", "targets")  # their values end where those of the scores do
CONTENTS = {
    "channels": "spend by channel", "plan": "a budget", "contacts": "contacts",
    "contracts": "subscriptions", NEXT_OFFERS: "next offers", "offer_report": "a report of offers",
    "funnel": "leads", "referrals": "referrals", "monitor": "the monitor's report",
    "targets": "a target list",
}  # fmt: skip
SILENT = {"curves", DRAWS_OF_PLAN, STATED, "joint_plan"}  # come with what has words
UNKNOWN = "new since it was last said who may be contacted"


def taken_on(
    folder: Path, brought: Collection[str], scores: pa.Table, terms: Mapping[str, Any]
) -> StoreParts:
    """What files brought to the run before, as it stands there, and of which day it is.

    Parameters
    ----------
    folder
        Where this run will be published.
    brought
        The options of this publish that name a file, and the tables and documents by name.
    scores, terms
        Of this run: what is in another money, over another horizon or of none of these customers
        is left behind.
    """
    try:
        last = Store.open(folder)
    except InputError:  # nothing is served there, or nothing that this version reads
        return StoreParts()
    with last:
        names = [name for name in (*last.documents, *last.tables) if is_open(name, brought)]
        tables = {name: _plain(last.table(name)) for name in last.tables if name in names}
        left = {name for name in names if not _fits(name, last.terms, terms)}
        left |= {name for name, table in tables.items() if not _of_some(table, scores)}
        earlier = last.document(DAYS) or {}
        days = {n: str(earlier.get(n, last.terms["as_of"])) for n in names if n not in left}
        documents = {name: last.document(name) for name in last.documents if name in days}
        lost = 0 if PLAN in scores.column_names else last.subscribers
        tables = {name: table for name, table in tables.items() if name in days}
    notes = tuple(_notes(days, left))
    if lost:
        notes += (finding("store.subscribers_left", subscribers=lost),)
    return StoreParts(documents | ({DAYS: days} if days else {}), tables, notes)


def is_open(name: str, brought: Collection[str]) -> bool:
    """Whether this run brings nothing in the place of a document or a table."""
    option = TOGETHER.get(name, name)
    plan_of_spend = option == "plan" and "spend" in brought and "plan" not in brought
    return not ({name, option} & {*brought, *OF_RUN}) and not plan_of_spend


def _fits(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether what was taken on can stand beside the scores of this run."""
    terms = ["currency"] if name != "contacts" else []
    terms += ["horizon"] if TOGETHER.get(name, name) in OVER_HORIZON else []
    return all(before.get(term) == now.get(term) for term in terms)


def _of_some(table: pa.Table, scores: pa.Table) -> bool:
    """Whether a table is of no customers, or of some that are scored."""
    import pyarrow.compute as pc

    if "customer_id" not in table.column_names:
        return True
    scored = keys_of(scores["customer_id"]).combine_chunks()
    return bool(pc.any(pc.is_in(keys_of(table["customer_id"]), value_set=scored)).as_py())


def _plain(table: pa.Table | None) -> pa.Table:
    """A table as it was published, without the key that a store finds customers by."""
    assert table is not None  # the store has it
    return table.drop_columns([name for name in ("key",) if name in table.column_names])


def _notes(days: Mapping[str, str], left: Collection[str]) -> Iterator[Finding]:
    for day in sorted(set(days.values())):
        names = [name for name in days if days[name] == day and name not in SILENT]
        if names:
            yield finding("store.taken_on", what=", ".join(in_words(names)), day=day)
    if lost := [name for name in left if name not in SILENT]:
        yield finding("store.left_behind", what=", ".join(in_words(lost)))


def in_words(names: Collection[str]) -> list[str]:
    """What documents and tables hold, once each; those of a name of the user's by it.

    >>> in_words(["channels", "mine"])
    ['spend by channel', 'mine']
    """
    return [*dict.fromkeys(CONTENTS.get(name, name) for name in names)]


def with_earlier_eligibility(scores: pa.Table, folder: Path) -> pa.Table:
    """The scores with who may be contacted as the run before had it; who is new may not yet.

    As they are where they say it themselves, or the run before did not.
    """
    if "eligible" in scores.column_names:
        return scores
    try:
        last = Store.open(folder)
    except InputError:
        return scores
    with last:
        if "eligible" not in last.columns:
            return scores
        columns = [name for name in ("eligible", "reason") if name in last.columns]
        before = last.export(columns=("customer_id", *columns), terms=()).read_all()
    return _joined(scores, before)


def _joined(scores: pa.Table, before: pa.Table) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    known = keys_of(before["customer_id"]).combine_chunks()
    place = pc.index_in(keys_of(scores["customer_id"]), value_set=known)
    eligible = pc.fill_null(before["eligible"].take(place), False)
    if "reason" in before.column_names:
        reason = before["reason"].take(place)
    else:
        reason = pa.chunked_array([pa.nulls(len(scores), pa.string())])
    reason = pc.if_else(pc.is_null(place), UNKNOWN, reason.cast(pa.string()))
    return scores.append_column("eligible", eligible).append_column("reason", reason)
