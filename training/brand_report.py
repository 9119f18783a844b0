"""The sections of the demo's report on the SIMULATED brand: what each says, and its evidence."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from clv.app.channel_findings import cheapest_and_best
from clv.format import counted, number, percent, whole_number
from clv.report.charts import Writers, table_of
from clv.report.html import Section
from clv.report.plan_report import plan_sections
from training.brand import HORIZON, BrandPlan, Judgement


def brand_sections(planned: BrandPlan, judged: Judgement) -> list[Section]:
    """Where the next quarter's money goes, on the simulated brand, and how that is judged."""
    columns = {
        "channel": "channel",
        "new_customers": "new customers",
        "cac": "CAC",
        "marginal_cac": "marginal CAC",
        "new_customer_value": "a customer is worth",
        "ltv_to_cac": f"LTV:CAC, {HORIZON}",
        "payback": "payback, weeks",
    }
    costs = table_of(
        planned.table[list(columns)].rename(columns=columns),
        "What a channel's customers cost and are worth today, in EUR",
        {"new customers": whole_number, "payback, weeks": whole_number},
    )
    first = Section(
        "Where the next unit of money goes (simulated brand)",
        lowest_cac_and_most_worth(planned.table),
        [str(judged)],
        [costs],
    )
    plan = [learned_section(planned), *plan_sections(planned.quarter)]
    return [first, *(replace(part, title=f"Simulated brand: {part.title}") for part in plan)]


def learned_section(planned: BrandPlan) -> Section:
    """What the last campaign taught, and whom the next one should reach."""
    uplift, summary = planned.uplift, planned.campaign.summary
    lift, error = uplift.retention_lift
    lead = (
        f"A randomised campaign of {counted(uplift.training['customers'], 'customer')} raised the "
        f"chance to buy by {percent(lift)} (standard error {percent(error)}): whom it pays to "
        "contact is measured, not assumed."
    )
    notes = [
        *uplift.findings,
        f"The value at stake is shrunk by {planned.scorer.shrink:g}, which no campaign of one "
        "window tests: what retention is expected to bring rests on that.",
        *str(summary).splitlines(),
    ]
    columns = ["policy", "contacted", "gain", "gain_se"]
    policies = uplift.table()[columns].rename(
        columns={"gain": "profit per customer", "gain_se": "standard error"}
    )
    spec: Writers = {"contacted": percent, "profit per customer": number, "standard error": number}
    caption = "Policies judged out of fold on the campaign's log, within its window, against nobody"
    title = "whom to keep, learned from the last campaign"
    return Section(title, lead, notes, [table_of(policies, caption, spec)])


def lowest_cac_and_most_worth(table: pd.DataFrame) -> str:
    """Which channel has the lowest CAC and which is worth most, in a sentence."""
    rows = table[table["cac"].notna()]
    cac, value = (
        dict(zip(rows["channel"].map(str), rows[name].map(float), strict=True))
        for name in ("cac", "new_customer_value")
    )
    return str(cheapest_and_best(cac, value))
