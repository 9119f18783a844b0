"""What changed since the last run, or an earlier one: three sentences, steps, who moved most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clv.app.contents.earlier_runs import earlier_runs
from clv.findings import Finding
from clv.format import day
from clv.monitoring.change_report import change_findings
from clv.report.charts import Chart, Table
from clv.report.digest import movers_table
from clv.report.plots.change_waterfall import plot_changes
from clv.store import Store
from clv.web.page.customer import address
from clv.web.page.frame import Page
from clv.web.page.tables import link


@dataclass(frozen=True)
class WhatChanged:
    """What the template shows.

    Attributes
    ----------
    since
        The day of the run compared with.
    runs
        Days of the runs that may be chosen: as in an address, and in words.
    """

    since: str
    runs: Sequence[tuple[str, str]]
    sentences: Sequence[Finding]
    waterfall: Chart
    movers: Table | None


def what_changed(store: Store, page: Page) -> WhatChanged | None:
    """Since the run that ``since`` of the address names, else the last; None without one."""
    runs = earlier_runs(store)
    if not runs:
        return None
    chosen = dict(page.address.query).get("since", "")
    record = runs.get(chosen) or next(iter(runs.values()))
    currency = str(store.terms.get("currency") or "")
    linked = page.has("customers")
    return WhatChanged(
        record["since"],
        [(each, day(each)) for each in runs],
        change_findings(record, currency),
        plot_changes(record, currency),
        movers_table(record, currency, lambda key: link(key, address(key)) if linked else key),
    )
