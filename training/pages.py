"""The sections of the demo's report: what each says in a sentence, and the evidence below it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from clv.app.training.backtest import MONEY, PURCHASES, Backtest
from clv.app.training.evidence import drawn, findings
from clv.decide.acquisition.tiers import tier_table, with_tiers
from clv.decide.retention.campaign_summary import CampaignSummary
from clv.decide.retention.offer import Offer
from clv.decide.retention.plan import CampaignPlan
from clv.evaluate import gini
from clv.format import cash
from clv.report.charts import Chart, table_of
from clv.report.html import Section
from clv.report.plan_report import plan_sections
from clv.scorer import CustomerScorer
from training.brand import HORIZON, BrandPlan, Judgement


def headlines(
    scorer: CustomerScorer, scores: pd.DataFrame, summary: CampaignSummary
) -> list[tuple[str, str, str]]:
    """The figures that come first: label, figure, what it counts."""
    currency, new = scorer.terms.currency, scorer.new_customer_value()
    terms = f"{scorer.terms.money}, {scorer.terms.horizon}"
    top = tiers_of_value(scores)["share of value"].iloc[:2].sum()
    return [
        (
            "Still to come",
            f"{currency} {scores['clv'].sum():,.0f}",
            f"{len(scores):,} customers, {terms}",
        ),
        (
            "A new customer",
            f"{currency} {new.new_customer_clv:,.0f}",
            f"first purchase included, {terms}",
        ),
        ("The best 5% hold", f"{top:.0%}", "of the value still to come"),
        (
            "Retention campaign",
            f"{currency} {summary.expected_profit:,.0f}",
            f"expected profit for {currency} {summary.cost:,.0f}, at a save rate that is "
            f"{summary.save_rate_source}",
        ),
    ]


def tiers_of_value(scores: pd.DataFrame) -> pd.DataFrame:
    """Customers in tiers of value: how many, what they are worth, how likely they are lost."""
    tiered = with_tiers(scores)
    risk = tiered.groupby("tier")["churn_probability"].mean()
    table = pd.DataFrame(tier_table(scores))[["tier", "customers", "mean", "share"]]
    named = table.rename(columns={"mean": "mean CLV", "share": "share of value"})
    return named.assign(**{"mean churn probability": table["tier"].map(risk)})


def worth_section(scorer: CustomerScorer, scores: pd.DataFrame) -> Section:
    """What the customers are worth, and how concentrated that is."""
    tiers = tiers_of_value(scores)
    lead = (
        f"The {len(scores):,} customers are still worth {scorer.terms.currency} "
        f"{scores['clv'].sum():,.0f}; the best 1% hold {tiers['share of value'].iloc[0]:.0%} of it."
    )
    clv = scores["clv"].to_numpy(dtype=np.float64)
    notes = [
        f"Every value is in {scorer.terms}.",
        f"Gini of the value: {gini(clv, clv, normalized=False):.2f}. If the best 1% left, "
        f"{scorer.terms.currency} {clv.sum() * tiers['share of value'].iloc[0]:,.0f} would leave.",
        f"Interval: {scorer.card()['interval']}.",
    ]
    percent = {"share of value": ".1%", "mean churn probability": ".0%", "mean CLV": ",.0f"}
    return Section(
        "What the customers are worth", lead, notes, [table_of(tiers, "Tiers of value", percent)]
    )


def holdout_sections(scorer: CustomerScorer, judged: Backtest) -> list[Section]:
    """How far to trust it: purchases, money, churn."""
    charts = drawn(scorer, judged)
    shown = {
        PURCHASES: ("calibration", "tracking", "gain_purchases", "alive"),
        MONEY: ("gain_money",),
    }
    found = [
        _holdout(judged, what, [charts[name] for name in shown[what]])
        for what in (PURCHASES, MONEY)
    ]
    return [*found, _churn(scorer), *_fits(scorer, judged)]


def _holdout(judged: Backtest, what: str, figures: list[Chart]) -> Section:
    rows = judged.table(what).drop(columns=["naive", "actual_total", "rank_correlation"])
    caption = f"Holdout {judged.cutoff} to {judged.end}: actual {judged.actual(what).sum():,.0f}"
    spec = {"predicted total": ",.0f", "bias": "+.1%", "Gini": ".3f"}
    lead, *notes = judged.verdict(what).splitlines()
    return Section(
        f"How far to trust it: {what}",
        lead,
        notes,
        [table_of(_plain(rows), caption, spec)],
        figures,
    )


def _churn(scorer: CustomerScorer) -> Section:
    spec = dict.fromkeys(("AUC", "brier", "log loss"), ".3f")
    caption = f"No purchase in {scorer.churn.horizon}, judged on a cutoff that no score had seen"
    rows = scorer.churn.table().drop(columns="chosen", errors="ignore")
    tables = [table_of(_plain(rows), caption, spec)] if scorer.churn.figures else []
    lead = scorer.churn.reason[0].upper() + scorer.churn.reason[1:]
    return Section("How far to trust it: churn", lead, tables=tables)


def _fits(scorer: CustomerScorer, judged: Backtest) -> list[Section]:
    lead, *notes = findings(scorer, judged) or ["The fits converged and found nothing unusual."]
    return [Section("What the fits say of themselves", lead, notes)]


def retention_section(targets: CampaignPlan, offer: Offer) -> Section:
    """Whom to keep."""
    columns = {
        "rank": "rank",
        "customer_id": "customer",
        "group": "group",
        "churn_probability": "churn probability",
        "value_at_stake": "value at stake",
        "cost": "cost",
        "expected_profit": "expected profit",
        "break_even_save_rate": "break-even save rate",
    }
    best = targets.table[list(columns)].head(10).rename(columns=columns)
    best["customer"] = best["customer"].astype(str)
    spec = {"churn probability": ".0%", "break-even save rate": ".1%"}
    spec |= {"value at stake": ",.0f", "expected profit": ",.0f"}
    lead, *notes = str(targets.summary).splitlines()
    told = (
        f"The offer costs {offer.contact_cost:g} per contact and {offer.incentive:g} if redeemed."
    )
    caption = "The ten who earn most per unit of cost"
    return Section("Whom to keep", lead, [told, *notes], [table_of(best, caption, spec)])


def brand_sections(planned: BrandPlan, judged: Judgement) -> list[Section]:
    """Where the next quarter's money goes, on the simulated brand, and how that is judged."""
    shown = {
        "channel": "channel",
        "new_customers": "new customers",
        "cac": "CAC",
        "marginal_cac": "marginal CAC",
        "new_customer_value": "a customer is worth",
        "ltv_to_cac": f"LTV:CAC, {HORIZON}",
        "payback": "payback, weeks",
    }
    costs = table_of(
        planned.table[list(shown)].rename(columns=shown),
        "What a channel's customers cost and are worth today, in EUR",
        {"new customers": ",.0f", "payback, weeks": ",.0f"},
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
        f"A randomised campaign of {uplift.training['customers']:,} customers raised the chance "
        f"to buy by {lift:.1%} (standard error {error:.1%}): whom it pays to contact is measured, "
        "not assumed."
    )
    notes = [
        *uplift.findings,
        f"The value at stake is shrunk by {planned.scorer.shrink:g}, which no campaign of one "
        "window tests: what retention is expected to bring rests on that.",
        *str(summary).splitlines(),
    ]
    shown = ["policy", "contacted", "gain", "gain_se"]
    policies = uplift.table()[shown].rename(
        columns={"gain": "profit per customer", "gain_se": "standard error"}
    )
    spec = {"contacted": ".0%", "profit per customer": "+.2f", "standard error": ".2f"}
    caption = "Policies judged out of fold on the campaign's log, within its window, against nobody"
    title = "whom to keep, learned from the last campaign"
    return Section(title, lead, notes, [table_of(policies, caption, spec)])


def lowest_cac_and_most_worth(table: pd.DataFrame) -> str:
    """Which channel has the lowest CAC and which is worth most, in a sentence."""
    paid = table[table["cac"].notna()].set_index("channel")
    cheap, best = str(paid["cac"].idxmin()), str(paid["new_customer_value"].idxmax())
    cac, worth = float(paid["cac"].min()), float(paid["new_customer_value"].max())
    if cheap == best:
        return f"{cheap} has the lowest CAC, {cash(cac)}, and the customers worth most."
    return (
        f"The channel with the lowest CAC, {cheap} ({cash(cac)}), is not the channel worth most, "
        f"{best} ({cash(worth)} a customer): money goes by what its next unit buys."
    )


def _plain(rows: pd.DataFrame) -> pd.DataFrame:
    """Heads of columns as people write them."""
    short = {"cac": "CAC", "mae": "MAE", "rmse": "RMSE", "gini": "Gini", "auc": "AUC"}
    words = {n: " ".join(short.get(w, w) for w in str(n).split("_")) for n in rows.columns}
    return rows.rename(columns=words)
