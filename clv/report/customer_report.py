"""The report on a shop's customers: what they are worth, how far to trust it, whom to keep.

Each section says one sentence, and the evidence stands below it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from clv.app.training.backtest import MONEY, PURCHASES, Backtest
from clv.app.training.evidence import alive_chart, findings, holdout_charts
from clv.decide.acquisition.tiers import tier_table, with_tiers
from clv.decide.scores import RISK, STAKE, Scores
from clv.errors import InputError
from clv.evaluate import gini
from clv.findings import finding, sentence_of
from clv.format import change, count, counted, fine_number, money, percent, whole_number
from clv.probability.models import title
from clv.report.charts import Chart, Writers, table_of
from clv.report.html import Report, Section
from clv.report.plots import plot_calibration, plot_lorenz, plot_value_distribution
from clv.schema import as_frame, require_columns
from clv.scorer import CustomerScorer

AMOUNTS = ("value at stake", "cost", "expected profit")
TOP = 0.01  # of the customers, who hold much of the value
TARGETS = {
    "rank": "rank",
    "customer_id": "customer",
    "action": "offer",
    "group": "group",
    "churn_probability": "churn probability",
    "value_at_stake": "value at stake",
    "cost": "cost",
    "expected_profit": "expected profit",
    "break_even_save_rate": "break-even save rate",
}
LISTED = ("customer_id", "group", "cost", "expected_profit")  # of TARGETS, those that are needed
CHARTS = {
    PURCHASES: ("calibration", "tracking", "gain_purchases", "alive"),
    MONEY: ("gain_money",),
}


def customer_report(
    scorer: CustomerScorer,
    scores: pd.DataFrame,
    *,
    targets: pd.DataFrame | None = None,
    campaign_notes: Sequence[str] = (),
    judged: Backtest | None = None,
    heading: str = "What the customers are worth, and whom to keep",
) -> Report:
    """What a model says of a shop's customers, on one page.

    Parameters
    ----------
    scorer
        The model that scored; how it was judged goes with it.
    scores
        What ``clv score`` wrote.
    targets
        What ``clv targets`` wrote: adds whom to keep.
    campaign_notes
        What is to be said of that list.
    judged
        The model's backtest, if it is at hand: adds charts and the naive forecasts.
    heading
        The title of the page.

    Returns
    -------
    Report
        Headlines, then a section for value, trust, churn and, with ``targets``, retention.

    Raises
    ------
    InputError
        The scores are of another model.
    """
    Scores.read(scores, ("clv", RISK, STAKE, "model_version", "as_of"))  # or says what is wrong
    _require_same_model(scorer, scores)
    sections = [worth_section(scorer, scores), *holdout_sections(scorer, judged)]
    if targets is not None:
        require_columns(as_frame(targets, "the targets"), LISTED, "the targets")
        sections.append(retention_section(targets, scorer.terms.currency, campaign_notes))
    subtitle = f"As of {scores['as_of'].iloc[0]!s:.10}, model {scorer.version}."
    return Report(heading, subtitle, headlines(scorer, scores, targets), sections)


def _require_same_model(scorer: CustomerScorer, scores: pd.DataFrame) -> None:
    versions = sorted(scores["model_version"].unique())
    if versions != [scorer.version]:
        raise InputError(
            f"the scores are of model {', '.join(versions)}, and the model is {scorer.version}.",
            hint="give the model that scored, or score again.",
        )


def headlines(
    scorer: CustomerScorer, scores: pd.DataFrame, targets: pd.DataFrame | None = None
) -> list[tuple[str, str, str]]:
    """The figures that come first: label, figure, what it counts."""
    currency, new = scorer.terms.currency or "", scorer.new_customer_value()
    total = round(scores["clv"].sum())
    terms = f"{scorer.terms.money}, {scorer.terms.horizon}"
    top = tiers_of_value(scores)["share of value"].iloc[:2].sum()
    figures = [
        ("Still to come", money(total, currency), counted(len(scores), "customer")),
        ("A new customer", money(new.new_customer_clv, currency), "first purchase included"),
    ]
    lines = [(label, figure, f"{what}, {terms}") for label, figure, what in figures]
    lines.append(("The best 5% hold", percent(top), "of the value still to come"))
    if targets is not None:
        profit, cost = targets[["expected_profit", "cost"]][_contacted(targets)].sum()
        spent = f"expected profit for {money(cost, currency)}"
        lines.append(("Retention campaign", money(profit, currency), spent))
    return lines


def _contacted(targets: pd.DataFrame) -> pd.Series[bool]:
    return targets["group"] == "treat"


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
    clv, held = scores["clv"].to_numpy(dtype=np.float64), float(tiers["share of value"].iloc[0])
    total, currency = float(clv.sum()), scorer.terms.currency or ""
    lead = finding("report.worth", customers=len(scores), total=total, top=TOP, held=held)
    evenness = gini(clv, clv, normalized=False)
    at_risk = finding("report.at_risk", gini=evenness, top=TOP, money=total * held)
    notes = [
        f"Every value is in {scorer.terms}.",
        at_risk.within(currency),
        f"Interval: {scorer.card()['interval']}.",
    ]
    written: Writers = dict.fromkeys(("share of value", "mean churn probability"), percent)
    written = {**written, "mean CLV": lambda mean: money(mean, currency)}
    table = table_of(tiers, "Tiers of value", written)
    charts = []
    if clv.max() > 0:
        stated = {"terms": str(scorer.terms), "currency": scorer.terms.currency}
        charts = [plot_lorenz(clv), plot_value_distribution(clv, **stated)]
    return Section("What the customers are worth", lead.within(currency), notes, [table], charts)


def holdout_sections(scorer: CustomerScorer, judged: Backtest | None = None) -> list[Section]:
    """How far to trust it: purchases, money, churn; by the model's record without its backtest."""
    currency = scorer.terms.currency or ""
    if judged is None:
        record = (scorer.training or {}).get("holdout") or {}
        tested = _of_record(record, currency) if "figures" in record else []
        return [*tested, churn_section(scorer)]
    charts = holdout_charts(judged) | {"alive": alive_chart(scorer, judged)}
    record = judged.to_dict(title(scorer.purchases))
    tested = []
    for what in (PURCHASES, MONEY):
        rows = judged.table(what).drop(columns=["naive", "actual_total", "rank_correlation"])
        actual = f": actual {count(round(judged.actual(what).sum()))}"
        figures = [charts[name] for name in CHARTS[what]]
        tested.append(_holdout(record, what, currency, rows, figures, actual))
    lead, *notes = findings(scorer, judged) or [finding("fit.nothing_unusual")]
    return [*tested, churn_section(scorer), Section("What the fits say of themselves", lead, notes)]


def _of_record(record: Mapping[str, Any], currency: str) -> list[Section]:
    """The holdout as the model's record has it: the model's own figures, and who won in words."""
    calibration = pd.DataFrame(record["calibration"])
    days = date.fromisoformat(record["end"]) - date.fromisoformat(record["cutoff"])
    horizon = f"{days.days} days"
    charts = {PURCHASES: [plot_calibration(calibration, horizon=horizon)], MONEY: []}
    rows = {
        what: pd.DataFrame([{"forecast": record["model"], **figures}])
        for what, figures in record["figures"].items()
    }
    return [_holdout(record, what, currency, rows[what], charts[what]) for what in rows]


def _holdout(
    record: Mapping[str, Any],
    what: str,
    currency: str,
    rows: pd.DataFrame,
    figures: list[Chart],
    actual: str = "",
) -> Section:
    caption = f"Holdout {record['cutoff']} to {record['end']}{actual}"
    spec = {"predicted total": whole_number, "bias": change, "Gini": fine_number}
    lead, *notes = (sentence_of(line, currency) for line in record["verdict"][what])
    table = table_of(_plain(rows), caption, spec)
    return Section(f"How far to trust it: {what}", lead, notes, [table], figures)


def churn_section(scorer: CustomerScorer) -> Section:
    """How far to trust the churn probability."""
    spec = dict.fromkeys(("AUC", "brier", "log loss"), fine_number)
    caption = (
        f"No purchase in {scorer.churn.horizon}, judged on a cutoff that no score had seen. "
        "The one in use was chosen by it: expect a little less of that one"
    )
    rows = scorer.churn.table().drop(columns="chosen", errors="ignore")
    tables = [table_of(_plain(rows), caption, spec)] if scorer.churn.figures else []
    lead = scorer.churn.reason[0].upper() + scorer.churn.reason[1:]
    return Section("How far to trust it: churn", lead, tables=tables)


def retention_section(targets: pd.DataFrame, currency: str, notes: Sequence[str] = ()) -> Section:
    """Whom to keep: the totals of the list, and its best."""
    contacted = targets[_contacted(targets)]
    lead = finding(
        "report.campaign",
        contacted=len(contacted),
        cost=float(contacted["cost"].sum()),
        profit=float(contacted["expected_profit"].sum()),
        control=len(targets) - len(contacted),
    )
    columns = {name: heading for name, heading in TARGETS.items() if name in targets}
    best = targets[list(columns)].head(10).rename(columns=columns)
    best["customer"] = best["customer"].astype(str)
    spec: Writers = dict.fromkeys(("churn probability", "break-even save rate"), percent)
    spec = {**spec, **dict.fromkeys(AMOUNTS, lambda amount: money(amount, currency))}
    caption = "The ten who earn most per unit of cost"
    return Section("Whom to keep", lead.within(currency), notes, [table_of(best, caption, spec)])


def _plain(rows: pd.DataFrame) -> pd.DataFrame:
    """Heads of columns as people write them."""
    short = {"cac": "CAC", "mae": "MAE", "rmse": "RMSE", "gini": "Gini", "auc": "AUC"}
    words = {n: " ".join(short.get(w, w) for w in str(n).split("_")) for n in rows.columns}
    return rows.rename(columns=words)
