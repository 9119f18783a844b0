"""What the page's default list truly earns, and whether profits shown hold: on SIMULATED brands.

    python -m training.retention_study [--brands 100] [--first 2000]

Each brand ran one randomised campaign. It is published with that campaign and without it; the list
that Retention begins with is paid out by the true effects, which the simulation knows, and held
against the best list for the same money and the same customers held out. Who was contacted in the
campaign is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from clv.app.contents.campaign_results import CampaignFiles, of_campaigns
from clv.app.contents.document import StoreParts
from clv.cli.application import command
from clv.cli.main import run
from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.decide.budget.gain_curve import GainCurve
from clv.decide.retention.plan import CampaignPlan
from clv.io.changes import workspace
from clv.io.files import write_table
from clv.periods import Duration
from clv.scorer import CustomerScorer
from clv.simulate import Brand, simulate_brand
from clv.store import Store, publish
from clv.store.intake import terms_of
from clv.value.value import Terms
from clv.web.page.retention_form import read_form

TERMS = Terms(0.35, 0.10, Duration(3, "year"), "EUR")
CUSTOMERS, HORIZON = 8_000, Duration(13, "week")


@dataclass(frozen=True)
class JudgedList:
    """One list: its true profit, the most for that money, and the profit that the page shows."""

    true: float
    attainable: float
    expected: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether the interval on the page holds the truth."""
        return self.low <= self.true <= self.high


@command("python -m training.retention_study --brands 100")
def main(brands: int = 100, customers: int = CUSTOMERS, first: int = 0) -> None:
    """Judge so many brands from a first seed on, and print what their lists reach."""
    lists = [judged_lists(seed, customers) for seed in range(first, first + brands)]
    for name in ("assumed", "measured"):
        print(f"{name}: {summary_of([judged[name] for judged in lists])}")


def summary_of(judged: list[JudgedList]) -> str:
    """Share of the attainable that lists reach together, and how often their intervals hold."""
    true = sum(each.true for each in judged) / sum(each.attainable for each in judged)
    holds = np.mean([each.holds for each in judged])
    short = np.mean([each.true < each.low for each in judged])
    return (
        f"{len(judged)} lists reach {true:.3f} of the attainable; {holds:.0%} of intervals hold, "
        f"{short:.0%} promise more than comes"
    )


def judged_lists(seed: int, customers: int = CUSTOMERS) -> dict[str, JudgedList]:
    """The default lists of one brand, with the save rate assumed and with a measured campaign."""
    brand = simulate_brand(seed, customers=customers)
    log = pa.Table.from_pandas(clean(brand.orders)[0], preserve_index=False)
    scorer = CustomerScorer.fit(log, TERMS, churn_horizon=HORIZON)
    lift = brand.offer_lift("3 years", 0.10)
    contacted = brand.campaign.loc[brand.campaign["treated"] == 1, "customer_id"]
    lift = lift[~lift["customer_id"].isin(contacted)].set_index("customer_id")
    scores = scorer.predict(summarize(log)).to_pandas()
    eligible = scores["customer_id"].isin(lift.index)
    table = pa.Table.from_pandas(scores.assign(eligible=eligible), preserve_index=False)
    with workspace() as folder:
        parts = _measured(brand, log, scorer, table, folder)
        publish(table, folder / "measured", tables=parts.tables, documents=parts.documents)
        publish(table, folder / "assumed")
        names = ("assumed", "measured")
        return {name: _judged(folder / name, brand, lift) for name in names}


def _measured(
    brand: Brand, log: pa.Table, scorer: CustomerScorer, scores: pa.Table, folder: Path
) -> StoreParts:
    """What ``clv publish --campaign-log --campaign-scores`` adds."""
    eve = (brand.campaign["date"].min() - timedelta(days=1)).date()
    before = scorer.predict(summarize(log, as_of=eve))
    run_before = brand.campaign.assign(date=brand.campaign["date"].dt.date)
    files = CampaignFiles(
        {"spring": str(write_table(run_before, folder / "campaign.parquet"))},
        str(write_table(before, folder / "before.parquet")),
        float(brand.offer.weeks_before_end),
    )
    return of_campaigns(folder / "measured", files, scores, None, terms_of(scores))


def _judged(folder: Path, brand: Brand, lift: pd.DataFrame) -> JudgedList:
    """The list that the page begins with, for the brand's own offer."""
    offer = brand.offer
    query = {"contact_cost": f"{offer.contact_cost:g}", "incentive": f"{offer.incentive:g}"}
    with Store.open(folder) as store:
        form, prepared = read_form(store, query)
        plan = CampaignPlan.within(prepared, form.budget.value)
    rows = plan.table.to_pandas()
    treated = lift.loc[rows.loc[rows["treated"] == 1, "customer_id"].astype(int)]
    spent = float(treated["expected_cost"].sum())
    free = lift.drop(rows.loc[rows["treated"] == 0, "customer_id"].astype(int))
    curve = GainCurve.from_customers(free["expected_cost"], free["expected_lift"])
    most = min(spent, curve.spend_above(1.0))
    low, high = plan.summary.profit_range
    return JudgedList(
        true=float(treated["expected_lift"].sum()) - spent,
        attainable=curve.gain_at(most) - most,
        expected=plan.summary.expected_profit,
        low=low,
        high=high,
    )


if __name__ == "__main__":
    run(main, "python -m training.retention_study")
