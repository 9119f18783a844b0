"""Campaigns that were run: their lists, who published them, and what came of them by the orders.

A list is kept from one publish to the next until the orders of its window have come; what it
changed is measured then, against those held out, and stands beside what was expected of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clv.app.contents.campaign_list import read_campaign_list
from clv.app.contents.document import StoreParts
from clv.app.contents.orders import Orders
from clv.app.experiments import OUTCOME, OutcomeWindow, margins_within
from clv.decide.scores import ALIVE, RISK, STAKE
from clv.errors import ClvError, ColumnError, InputError
from clv.experiments.measured_test import MeasuredTest, measure_test
from clv.io.files import read_table
from clv.periods import Duration
from clv.schema import Floats
from clv.store import Store
from clv.store.intake import keys_of
from clv.uplift import UpliftModel, fit_uplift

if TYPE_CHECKING:
    import pyarrow as pa

CAMPAIGNS, LISTS, UPLIFT, EFFECTS = "campaigns", "campaign_lists", "uplift", "measured_effects"
SILENT = "days_since_last"
WEEKS = 13.0  # after a campaign in which orders count
OF_EFFECTS = (
    *("customer_id", "cost", "expected_gain", "gain_low", "gain_high"),
    *("lift_source", "value_source"),
)


@dataclass(frozen=True)
class CampaignFiles:
    """Campaigns of a publish.

    Attributes
    ----------
    logs
        The file of each by its name: what ``clv targets`` wrote, or with what came of it in
        ``outcome_margin``.
    before
        File of the scores as of the day before the last one of them, which whom a contact changes
        is learned from.
    weeks
        From the campaign's day, in which orders count.
    publisher
        Who publishes.
    """

    logs: Mapping[str, str] = field(default_factory=dict)
    before: str | None = None
    weeks: float = WEEKS
    publisher: str = ""


def of_campaigns(
    folder: Path,
    files: CampaignFiles,
    scores: pa.Table,
    orders: Orders | None,
    terms: Mapping[str, Any],
) -> StoreParts:
    """The documents ``campaigns`` and ``uplift``, the lists, and what a contact changes.

    Parameters
    ----------
    folder
        Where this run will be published; the campaigns of the run before are taken on.
    files
        Further campaigns, in the place of those of the same name.
    scores, orders, terms
        Of this run.

    Raises
    ------
    ClvError
        A log is none, or nothing can be learned from it.
    """
    records, lists, learned = _earlier(folder)
    for name, file in files.logs.items():
        lists[name] = read_campaign_list(file, terms)
        records[name] = {"name": name, "published_by": files.publisher, "weeks": files.weeks}
    before = None if files.before is None else _before(files.before)
    for name, table in lists.items():
        if orders is not None or OUTCOME in table.column_names:
            lists[name], more = _with_outcome(table, records[name]["weeks"], orders, terms)
            features = before if name in files.logs else None
            records[name] = (
                records[name] | more | _result(lists[name], features, records[name]["weeks"])
            )
    if before is not None:
        learned = _learned(files, lists, before)
    documents: dict[str, Any] = {CAMPAIGNS: list(records.values())} if records else {}
    tables = {LISTS: _joined(lists)} if lists else {}
    if learned is not None:
        documents[UPLIFT] = learned
        model = UpliftModel.from_dict(learned["model"])
        tables[EFFECTS] = _effects(model, scores)
    return StoreParts(documents, tables)


def _earlier(folder: Path) -> tuple[dict[str, Any], dict[str, pa.Table], dict[str, Any] | None]:
    """Campaigns, lists and what was learned, of the run that is replaced."""
    try:
        last = Store.open(folder)
    except InputError:  # nothing is served there
        return {}, {}, None
    with last:
        records = {record["name"]: record for record in last.document(CAMPAIGNS) or []}
        table = last.table(LISTS)
        learned = last.document(UPLIFT)
    if table is None:
        return {}, {}, None
    import pyarrow.compute as pc

    rows = table.drop_columns([n for n in ("key",) if n in table.column_names])
    parts = {name: rows.filter(pc.equal(rows["campaign"], name)) for name in records}
    return records, {n: _without_empty(part) for n, part in parts.items()}, learned


def _without_empty(table: pa.Table) -> pa.Table:
    """A list without the columns that it never had."""
    full = [n for n in table.column_names if table[n].null_count < table.num_rows]
    return table.select([n for n in full if n != "campaign"])


def _with_outcome(
    table: pa.Table, weeks: float, orders: Orders | None, terms: Mapping[str, Any]
) -> tuple[pa.Table, dict[str, Any]]:
    """The list with what came of it, if the orders have come, and what is known of it."""
    treated = _treated(table)
    about = {
        "customers": int(treated.sum()),
        "control": int((1 - treated).sum()),
        "date": str(min(table["date"].to_pylist())) if "date" in table.column_names else None,
        "cost": _total(table, "cost", treated),
        "expected_gain": _total(table, "expected_gain", treated),
        "horizon": terms.get("horizon"),
        "awaited": None,
    }
    if OUTCOME in table.column_names or orders is None:
        return table, about
    window = OutcomeWindow(
        min(table["date"].to_pylist()), round(7 * weeks), float(terms.get("margin_rate") or 1.0)
    )
    if str(window.last) > orders.day:
        return table, about | {"awaited": str(window.last)}
    import pyarrow as pa

    came = margins_within(orders.log, table["customer_id"].to_pylist(), window)
    return table.append_column(OUTCOME, pa.array(came)), about


def _treated(table: pa.Table) -> Floats:
    """1 for whoever was contacted, else 0, shape (customers,)."""
    return np.asarray(table["treated"], dtype=np.float64)


def _total(table: pa.Table, name: str, treated: Any) -> float | None:
    if name not in table.column_names:
        return None
    return float(np.nansum(table[name].to_numpy() * treated))


def _result(table: pa.Table, before: pa.Table | None, weeks: float) -> dict[str, Any]:
    """What contacting earned and whom it kept, with intervals; or why that is not known."""
    if OUTCOME not in table.column_names:
        return {"result": None, "why_not": None}
    if before is None and RISK in table.column_names:
        before = table.select(["customer_id", RISK])
    columns = [name for name in table.column_names if name != RISK]
    try:
        test = measure_test(table.select(columns), before, propensity=_propensity(table))
    except ClvError as error:
        return {"result": None, "why_not": error.message.splitlines()[0]}
    low, high = test.effect.earned_interval(test.level)
    saved = None
    if test.save_rate is not None:
        ends = ((1 - test.level) / 2, (1 + test.level) / 2)
        rates = [test.save_rate.quantile(u) for u in ends]
        saved = {"mean": test.save_rate.mean, "low": rates[0], "high": rates[1]}
    earned = {"earned": test.effect.earned, "low": low, "high": high, "level": test.level}
    return {
        "result": earned | {"save_rate": saved} | _of_gone(test, table, before, weeks),
        "why_not": None,
    }


def _of_gone(
    test: MeasuredTest, table: pa.Table, before: pa.Table | None, weeks: float
) -> dict[str, Any]:
    """The save rate as a share of those who had left for good, where the scores tell that.

    Whom the offer brought back shows only by buying, and not everybody who is there buys within
    the window: the rise in buyers is divided by the chance of that, given alive, of those gone.
    """
    import pyarrow.compute as pc

    if before is None or not {ALIVE, RISK} <= set(before.column_names):
        return {}
    reached = before.filter(pc.is_in(before["customer_id"], value_set=table["customer_id"]))
    alive, risk = (reached[name].to_numpy() for name in (ALIVE, RISK))
    gone = 1 - alive
    if not gone.sum() > 0:
        return {}
    horizon = Duration(WEEKS, "week")
    if "churn_horizon" in reached.column_names:
        horizon = Duration.parse(str(reached["churn_horizon"][0].as_py()))
    stays = np.clip(1 - (1 - risk) / np.maximum(alive, 1e-9), 0.0, 1.0)
    buys = 1 - float((gone * stays).sum() / gone.sum()) ** (weeks / horizon.to("week"))
    rate = replace(test, risk=float(gone.mean()) * buys).save_rate
    return {} if rate is None else {"gone_rate": {"a": rate.a, "b": rate.b}}


def _propensity(table: pa.Table) -> float | None:
    """The share who were contacted, where the list does not say the chance of it."""
    return None if "propensity" in table.column_names else float(_treated(table).mean())


def _before(file: str) -> pa.Table:
    """Scores of before a campaign, their ids as text like those of a list."""
    table = read_table(file)
    if "customer_id" not in table.column_names:
        raise ColumnError(f"{file} has no column customer_id.", hint="give what clv score wrote.")
    ids = keys_of(table["customer_id"])
    return table.drop_columns("customer_id").append_column("customer_id", ids)


def _effects(model: UpliftModel, scores: pa.Table) -> pa.Table:
    """What a contact is expected to change; nothing for who is silent for longer than was tried."""
    import pyarrow as pa

    effects = model.predict(scores).select(list(OF_EFFECTS))
    longest = model.columns.knots.get(SILENT, (np.inf,))[-1]
    tried = scores[SILENT].to_numpy() <= longest if np.isfinite(longest) else True
    for name in ("expected_gain", "gain_low", "gain_high"):
        gain = pa.array(np.where(tried, effects[name].to_numpy(), 0.0))
        effects = effects.set_column(effects.column_names.index(name), name, gain)
    return effects


def _learned(
    files: CampaignFiles, lists: Mapping[str, pa.Table], before: pa.Table
) -> dict[str, Any]:
    """Whom a contact changes, learned from the last campaign of this publish."""
    name = list(files.logs)[-1] if files.logs else None
    if name is None or OUTCOME not in lists[name].column_names:
        raise InputError(
            "scores of before a campaign are given, and no campaign whose orders have come.",
            hint="give it with --campaign-log.",
        )
    stake = STAKE if STAKE in before.column_names else None
    model = fit_uplift(lists[name], before, propensity=_propensity(lists[name]), value=stake)
    return {"campaign": name, "model": model.to_dict()}


def _joined(lists: Mapping[str, pa.Table]) -> pa.Table:
    import pyarrow as pa

    named = [
        table.append_column("campaign", pa.array([name] * table.num_rows, pa.string()))
        for name, table in lists.items()
    ]
    return pa.concat_tables(named, promote_options="permissive")
