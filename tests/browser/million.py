"""Publishes a store of 1,000,000 SIMULATED customers with all that the page can show; or of fewer.

::

    python -m tests.browser.million FOLDER [CUSTOMERS]

The brand, its spend come from ``clv.simulate``; a model learned from
5,000 of them scores everybody. FOLDER then has ``store``, for ``clv serve --store``,
and ``model``. No real person or shop is in this data. It takes about 25 seconds and 2 GB.
"""

from __future__ import annotations

import argparse
import datetime as dt
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from clv.app.channels import channel_figures
from clv.app.contents.document import StoreParts
from clv.app.contents.earlier_runs import of_changes
from clv.app.contents.handoffs import NEXT_OFFERS
from clv.app.contents.offer_totals import offer_totals
from clv.app.contents.over_time import of_months, of_runs
from clv.app.contents.plan import document_of
from clv.app.contracts import contract_document, run_contracts
from clv.app.plan_gains import PlanDraws
from clv.contracts.contract_tables import read_contract_table
from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.decide.acquisition.cohort_grid import cohort_grid
from clv.decide.acquisition.concentration import repeat_revenue
from clv.decide.response.curves import response_curves
from clv.evaluate.backtest import RollingOrigin, origins, rolling_record
from clv.evaluate.metrics import frequency_table
from clv.io.engine import connect
from clv.monitoring import monitor
from clv.offers.order_lines import read_order_lines
from clv.offers.ranking import NextOffers, next_best_offers
from clv.offers.terms_of_offers import NextOfferTerms
from clv.periods import Duration
from clv.scorer import CustomerScorer
from clv.simulate import Brand, simulate_brand, simulate_order_lines, simulate_subscriptions
from clv.store import publish
from clv.value.value import Terms

CUSTOMERS, LEARNED_FROM = 1_000_000, 5_000
TERMS = Terms(0.35, 0.10, Duration(156, "week"), "EUR", periods_per_year=52)
WINDOW, CUTOFFS = 91, (dt.date(2024, 6, 30), dt.date(2024, 9, 29))
PURCHASES, QUARTER = "BG/NBD", 13  # weeks


def publish_million(folder: Path, customers: int) -> None:
    """Simulate, learn, score and publish."""
    size = round(1.05 * customers)  # as many as expected, less and more by chance
    brand = simulate_brand(
        1, customers=size, weeks=52, start="2024-01-01", future="1 week", offer=None
    )
    orders = brand.orders[brand.orders["customer_id"] <= customers]
    log, report = clean(orders.drop(columns="order_id"))
    part = log[log["customer_id"] % (customers // LEARNED_FROM) == 0]
    rolling = RollingOrigin.from_origins(origins(part, CUTOFFS, WINDOW), with_pool=False)
    scorer = learned(part, rolling)
    summary = summarize(log, unit="week")
    scores = with_consent(scorer.predict(summary))
    for weeks in (5, 1):  # two runs before, for what changed
        day = brand.as_of - pd.Timedelta(weeks=weeks)
        earlier = scorer.predict(summarize(log, as_of=day, unit="week"))
        parts = changes(folder, earlier, log, scorer)
        publish(earlier, folder / "store", log=log, documents=parts.documents, tables=parts.tables)
    changed = changes(folder, scores, log, scorer)
    offers = next_offers()
    publish(
        scores,
        folder / "store",
        log=log,
        card=scorer.card(),
        tables={
            "channels": channels(brand, part, scorer, folder),
            "cohorts": cohort_grid(log, brand.as_of, spend=brand.spend),
            NEXT_OFFERS: offers.table,
            **changed.tables,
        },
        documents={
            **changed.documents,
            "data_report": report.to_dict(),
            "total": scorer.total_value(summary).to_dict(),
            "repeat_revenue": asdict(repeat_revenue(log)) | {"since": None},
            "calibration": calibration(rolling),
            "monitor": monitor(scorer, part, since=CUTOFFS[-1]).to_dict(),
            **plan(brand),
            **months(log, str(brand.as_of.date())),
            "contracts": contracts(),
            NEXT_OFFERS: offer_totals(offers.table),
            "offer_report": offers.to_dict(),
        },
    )
    scorer.save(folder / "model")


def changes(
    folder: Path, scores: pd.DataFrame, log: pd.DataFrame, scorer: CustomerScorer
) -> StoreParts:
    """What changed since the run that the store of the folder holds."""
    tables = (pa.Table.from_pandas(table, preserve_index=False) for table in (scores, log))
    arrow, orders = tables
    runs = of_runs(folder / "store", arrow)
    return runs.then(of_changes(folder / "store", arrow, orders, scorer))


def months(log: pd.DataFrame, until: str) -> dict[str, Any]:
    """Orders month by month."""
    connection = connect()
    rows = log[["customer_id", "date", "amount"]]
    connection.register("log", pa.Table.from_pandas(rows, preserve_index=False))
    return dict(of_months(connection, until).documents)


def learned(part: pd.DataFrame, rolling: RollingOrigin) -> CustomerScorer:
    """A scorer whose card says how such models did in the backtest."""
    scorer = CustomerScorer.fit(part, TERMS, churn_horizon=Duration(13, "week"))
    holdout = {"rolling": rolling_record(rolling, PURCHASES)}
    return replace(scorer, training={**(scorer.training or {}), "holdout": holdout})


def with_consent(scores: pd.DataFrame) -> pd.DataFrame:
    """One customer in seven must not be contacted, for one of two reasons."""
    place = np.arange(len(scores))
    why = np.where(place % 14 > 0, "no consent", "contacted in the last 30 days")
    reason = pd.Series(np.where(place % 7 > 0, None, why), dtype="str")
    return scores.assign(eligible=place % 7 > 0, reason=reason)


def next_offers() -> NextOffers:
    """Two offers to each of a few hundred customers, from simulated order lines."""
    lines = read_order_lines(simulate_order_lines(4, customers=600, items=80).lines)
    return next_best_offers(lines, NextOfferTerms("8 weeks", top=2, contact_cost=0.02))


def channels(brand: Brand, part: pd.DataFrame, scorer: CustomerScorer, folder: Path) -> Any:
    """What ``clv channels`` finds: the whole spend, and values learned from the part."""
    brand.spend.to_csv(folder / "spend.csv", index=False)
    part.to_parquet(folder / "part.parquet")
    return channel_figures(str(folder / "spend.csv"), str(folder / "part.parquet"), scorer).table


def calibration(rolling: RollingOrigin) -> list[dict[str, Any]]:
    """Purchases after the last cutoff, predicted and actual, by those before it."""
    origin, judged = rolling.of_forecaster(PURCHASES)[-1]
    before = origin.calibration.summary["frequency"]
    return frequency_table(before, origin.purchases, judged.forecast.purchases).to_dict("records")


def plan(brand: Brand) -> dict[str, Any]:
    """A quarter's budget for curves estimated from the spend, at the true values, with draws."""
    worth = brand.new_customer_value(TERMS.horizon, TERMS.annual_discount_rate)
    horizon = str(TERMS.horizon)
    free = [
        curve.to_channel(round(float(worth[curve.name]), 2), periods=QUARTER, horizon=horizon)
        for curve in response_curves(brand.spend).channels
    ]
    kept = {"contact_cost": 1, "incentive": 5, "save_rate": [0.1, 0.4]}
    budget = round(sum(channel.current or 0.0 for channel in free), -3)
    document = document_of(
        free, budget=budget, currency="EUR", horizon=horizon, periods=QUARTER, retention=kept
    )
    return {"plan": document, "plan_draws": PlanDraws.written(free, {})}


def contracts() -> dict[str, Any]:
    """What ``clv contracts`` finds of other customers, who subscribe."""
    rows = simulate_subscriptions(1, customers=4_000).subscriptions
    return contract_document(run_contracts(read_contract_table(rows), TERMS))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="an empty folder")
    parser.add_argument("customers", type=int, nargs="?", default=CUSTOMERS)
    given = parser.parse_args()
    publish_million(given.folder, given.customers)
