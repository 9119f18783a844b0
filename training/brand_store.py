"""The SIMULATED brand as a published store, so that every page has something to show.

What a user does with ``clv score``, ``targets``, ``monitor`` and ``publish``, in one go: the files
that these commands take and write are left beside the store, to be tried on.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from clv.app.batch import score_log
from clv.app.contents.campaign_results import CampaignFiles
from clv.app.publishing import RunFiles, publish_run
from clv.app.simulated_brand import write_brand
from clv.app.training.backtest import Backtest, backtest
from clv.app.training.config import Config
from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.decide.retention.eligibility import Rules
from clv.decide.retention.offer import Offer
from clv.decide.retention.plan import plan_campaign
from clv.evaluate.backtest import RollingOrigin
from clv.io.files import read_log, read_table, write_json, write_table
from clv.monitoring import monitor
from clv.probability.models import title
from clv.scorer import CustomerScorer
from clv.store import PublishedStore
from training.brand import QUARTER, BrandPlan

PLAN = """\
# What clv allocate takes, and clv publish --plan: a quarter's money for channels and retention.
budget = {budget:.0f}
currency = "EUR"
periods = {periods}

[curves]
spend = "brand/spend.csv"
log = "orders.parquet"
model = "model"

[retention]
scores = "brand_scores.parquet"
contact_cost = {contact_cost:g}
incentive = {incentive:g}
"""


def publish_brand(planned: BrandPlan, folder: Path, seed: int) -> PublishedStore:
    """Write the brand's files to ``folder`` and publish them to ``folder``/store.

    Parameters
    ----------
    planned
        The brand and its plan.
    seed
        What the brand was simulated from, for its file of the truth.
    """
    write_brand(planned.brand, folder / "brand", seed=seed)
    # their types are known, unlike those of brand/orders.csv: four readers need not find them out
    orders = write_table(planned.brand.orders, folder / "orders.parquet")
    scores = folder / "brand_scores.parquet"
    log = clean(read_log(orders))[0].to_arrow_table()
    judged = put_to_the_test(planned, orders, log)
    holdout = judged.to_dict(title(planned.scorer.purchases))
    about = {**(planned.scorer.training or {}), "log": orders.name, "holdout": holdout}
    scorer = replace(planned.scorer, training=about)
    scorer.save(folder / "model")
    score_log(orders, scorer, scores)
    targets, eligibility = _campaign(planned, scores, folder)
    given = RunFiles(
        log=str(orders),
        spend=str(folder / "brand" / "spend.csv"),
        plan=_plan(planned, folder / "plan.toml"),
        monitor=_monitor(judged, scorer, log, folder / "monitor.json"),
        targets=targets,
        eligibility=eligibility,
        campaigns=_last_campaign(planned, log, folder),
    )
    return publish_run(str(scores), folder / "store", given, scorer=scorer)


def put_to_the_test(planned: BrandPlan, orders: Path, log: pa.Table) -> Backtest:
    """The brand's model on its last quarter, the other purchase models and naive ones beside it."""
    cutoff = planned.brand.as_of.date() - timedelta(weeks=QUARTER)
    config = Config.from_values(
        {
            "data": {"files": [str(orders)]},
            "terms": {"currency": planned.scorer.terms.currency},
            "holdout": {"cutoff": cutoff},
        },
        orders,
    )
    judged = backtest(read_log(orders), log, config)
    return replace(judged, rolling=RollingOrigin.from_origins([judged.origin], with_pool=False))


def _plan(planned: BrandPlan, file: Path) -> str:
    budget, offer = planned.plan.budget, planned.brand.offer
    stated = {"contact_cost": offer.contact_cost, "incentive": offer.incentive}
    file.write_text(PLAN.format(budget=budget, periods=QUARTER, **stated), encoding="utf-8")
    return str(file)


def _campaign(planned: BrandPlan, scores: Path, folder: Path) -> tuple[str, str]:
    """Whom to make the offer, and who must not be bothered: last campaign's, and fresh buyers."""
    offer, contacts = planned.brand.offer, planned.brand.campaign.query("treated == 1")
    plan = plan_campaign(
        read_table(scores),
        Offer(offer.contact_cost, offer.incentive),
        planned.plan.retention_spend,
        rules=Rules(
            bought_within=14,
            contacts=contacts[["customer_id", "date"]],
            contact_days=7 * offer.weeks_before_end + 1,
        ),
    )
    targets = write_table(plan.table, folder / "brand_targets.csv")
    eligibility = write_table(plan.eligibility, folder / "brand_eligibility.csv")
    return str(targets), str(eligibility)


def _last_campaign(planned: BrandPlan, log: pa.Table, folder: Path) -> CampaignFiles:
    """The brand's campaign, and the scores of the day before it."""
    eve = (planned.brand.campaign["date"].min() - timedelta(days=1)).date()
    before = planned.scorer.predict(summarize(log, as_of=eve, unit=planned.scorer.unit))
    file = write_table(before, folder / "brand_before.parquet")
    run = {"winter offer": str(folder / "brand" / "campaign.csv")}
    return CampaignFiles(run, str(file), planned.brand.offer.weeks_before_end, "the demo")


def _monitor(judged: Backtest, scorer: CustomerScorer, log: pa.Table, file: Path) -> str:
    """What came in the last quarter, held against the models of its eve."""
    earlier = replace(
        scorer,
        purchases=judged.purchases,
        spend=judged.spend,
        as_of=str(judged.cutoff),
        training=None,
    )
    return str(write_json(monitor(earlier, log).to_dict(), file))
