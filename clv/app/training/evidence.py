"""What a training run leaves behind: parameters, metrics, plots, reports, and a few sentences."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pandas as pd

from clv.app.run_evidence import Evidence
from clv.app.run_logging import Ids, plots_as_files
from clv.app.training.backtest import MONEY, PURCHASES, Backtest
from clv.app.training.config import Config
from clv.app.training.cutoffs import tracked
from clv.data.cleaning_report import CleaningReport
from clv.evaluate import decile_table
from clv.evaluate.backtest import RollingOrigin, coverage_table
from clv.evaluate.backtest.rolling import WHATS
from clv.findings import Finding, finding, saved, sentence_of
from clv.format import count, day, figure, money
from clv.intake.file_paths import files_of
from clv.io.json import plain
from clv.probability.fit_report import FitReport
from clv.probability.models import title
from clv.scorer import CustomerScorer

if TYPE_CHECKING:
    from clv.report.charts import Chart


def evidence(
    scorer: CustomerScorer, report: CleaningReport, judged: Backtest, config: Config
) -> Evidence:
    """All that is logged beside the scorer."""
    return Evidence(
        params=config.flat() | {"margin_rate": scorer.terms.margin_rate},
        metrics=metrics(scorer, report, judged),
        tags=tags(scorer, judged, config),
        files=reports(scorer, report, judged, config) | plots(scorer, judged),
        source=Path(files_of(config.data.files)[0]),
        leading=leading(scorer, report, judged),
        says=described(scorer, report, judged),
    )


def leading(scorer: CustomerScorer, report: CleaningReport, judged: Backtest) -> dict[str, float]:
    """The ten figures to compare runs by."""
    tables = {what: judged.table(what) for what in (PURCHASES, MONEY)}
    figures = {
        "customers": report.customers,
        "purchases": report.purchases,
        "new_customer_clv": scorer.new_customer_value().new_customer_clv,
        "purchases_log_score": judged.figures().get("purchases/log_score/model", math.nan),
        "money_gini_best_naive": tables[MONEY].loc[tables[MONEY]["naive"], "gini"].max(),
    }
    for what, table in tables.items():
        ours = table[~table["naive"]].iloc[0]
        figures |= {f"{what}_gini": ours["gini"], f"{what}_total_off": ours["bias"]}
    score = scorer.churn.source
    used = next((row for row in scorer.churn.figures if row["score"] == score), {})
    figures |= {"churn_auc": used.get("auc"), "churn_log_loss": used.get("log_loss")}
    del figures["purchases_gini"]  # one of the ranking is enough
    return {name: float(of) for name, of in figures.items() if of is not None and math.isfinite(of)}


def described(scorer: CustomerScorer, report: CleaningReport, judged: Backtest) -> str:
    """The run in words, as Markdown."""
    lines = [
        f"{title(scorer.purchases)} of {count(report.purchases)} purchases by "
        f"{count(report.customers)} customers as of {day(scorer.as_of)}. Values: {scorer.terms}.",
        f"Held out, money from {day(judged.cutoff)}:\n\n{judged.verdict(MONEY)}",
        f"Churn: {scorer.churn.reason}",
        *(f"- {each}" for each in findings(scorer, judged)),
    ]
    return "\n\n".join(map(str, lines))


def metrics(scorer: CustomerScorer, report: CleaningReport, judged: Backtest) -> dict[str, float]:
    """Figures by name, all finite: data/, fit/, churn/, and those of the holdout."""
    figures = {
        "data/rows_in": report.rows_in,
        "data/purchases": report.purchases,
        "data/customers": report.customers,
        "fit/new_customer_clv": scorer.new_customer_value().new_customer_clv,
    }
    for model in (scorer.purchases, scorer.spend):
        figures |= {f"fit/{name}": value for name, value in model.params_.items()}
        figures[f"fit/log_likelihood/{type(model).__name__}"] = model.log_likelihood_
    for row in scorer.churn.figures:
        name = "".join(sign if sign.isalnum() else "_" for sign in row["score"]).strip("_")
        figures |= {f"churn/{key}/{name}": row[key] for key in ("auc", "brier", "log_loss")}
    figures |= judged.figures()
    if judged.rolling:
        figures |= rolling_metrics(judged.rolling)
    return {name: float(value) for name, value in figures.items() if math.isfinite(value)}


def rolling_metrics(rolling: RollingOrigin) -> dict[str, float]:
    """The means over the cutoffs: rolling/what/measure/forecaster."""
    means = rolling.means()
    measures = means.columns.drop(["what", "forecast", "naive", "cutoffs"])
    return {
        f"rolling/{row['what']}/{measure}/{_slug(row['forecast'])}": float(row[measure])
        for _, row in means.iterrows()
        for measure in measures
    }


def tags(scorer: CustomerScorer, judged: Backtest, config: Config) -> dict[str, str]:
    """What tells one version from another in a list."""
    return {
        "log_sha256": (scorer.training or {})["log_sha256"],
        "holdout": f"{judged.cutoff} to {judged.end}",
        "holdout_sha256": judged.digest,
        "measure": config.promotion.measure,
        "converged": str(all(report.converged for report in fit_reports(scorer, judged).values())),
        "findings": "\n".join(map(str, findings(scorer, judged))) or "none",
    }


def reports(
    scorer: CustomerScorer, report: CleaningReport, judged: Backtest, config: Config
) -> dict[str, Any]:
    """Texts and tables, path in the run to content."""
    fits = fit_reports(scorer, judged)
    files: dict[str, Any] = {
        "config.json": config.model_dump(mode="json"),
        "data_report.txt": f"{report.without_examples()}\n",
        "data_report.json": report.without_examples().to_dict(),
        "fit_report.txt": "\n\n".join(
            [*map(str, limits_of(scorer)), *(f"{where}\n{fit}" for where, fit in fits.items())]
        )
        + "\n",
        "fit_report.json": plain(
            {"limits": saved(limits_of(scorer))}
            | {where: fit.to_dict() for where, fit in fits.items()}
        ),
        "model_card.json": plain(scorer.card()),
        "holdout/calibration.csv": _csv(judged.calibration()),
        "holdout/tracking.csv": _csv(judged.tracking()),
        "churn.txt": f"{scorer.churn.reason}\n",
    }
    if scorer.churn.figures:
        files["churn.csv"] = _csv(scorer.churn.table())
    for what in (PURCHASES, MONEY):
        files[f"holdout/{what}.csv"] = _csv(judged.table(what))
        files[f"holdout/{what}.txt"] = f"{judged.verdict(what)}\n"
    if judged.rolling:
        files |= rolling_reports(judged.rolling)
        if (name := title(scorer.purchases)) in judged.rolling.models:
            files["rolling/coverage_in_use.csv"] = _csv(coverage_table(judged.rolling, name))
    if chosen := (scorer.training or {}).get("purchase_model"):
        files["purchase_model.txt"] = "\n".join(map(sentence_of, chosen["reasons"])) + "\n"
    return files


def rolling_reports(rolling: RollingOrigin) -> dict[str, str]:
    """The tables of the rolling origin."""
    deciles = pd.concat([rolling.deciles(what).assign(what=what) for what in WHATS])
    return {
        "rolling/table.csv": _csv(rolling.table),
        "rolling/means.csv": _csv(rolling.means()),
        "rolling/coverage.csv": _csv(rolling.coverage()),
        "rolling/deciles.csv": _csv(deciles),
    }


def plots(scorer: CustomerScorer, judged: Backtest) -> dict[str, bytes]:
    """The charts as SVG, path in the run to content."""
    return plots_as_files(drawn(scorer, judged))


def drawn(scorer: CustomerScorer, judged: Backtest) -> dict[str, Chart]:
    """The plots by name: of the holdout, of the rolling origin if there is one, of the model."""
    return {
        **holdout_charts(judged),
        **_of_rolling(scorer, judged),
        **_of_model(scorer, judged),
    }


def holdout_charts(judged: Backtest) -> dict[str, Chart]:
    """Calibration and deciles, purchases over time, who was ranked first."""
    from clv.report import plots

    tracking, cutoff = judged.tracking(), judged.whole - judged.length
    model = judged.forecasts[PURCHASES][judged.names[PURCHASES]]
    deciles = decile_table(judged.actual(PURCHASES), model)
    axes = {
        "calibration": plots.plot_calibration(judged.calibration(), horizon=judged.horizon),
        "deciles": plots.plot_deciles(deciles, horizon=judged.horizon),
        "tracking": plots.plot_tracking(tracking, cutoff=cutoff, unit=judged.unit),
        "increments": plots.plot_increments(tracking, cutoff=cutoff, unit=judged.unit),
    }
    for what in (PURCHASES, MONEY):
        ranks = {name: f for name, f in judged.forecasts[what].items() if np.ptp(f) > 0}
        axes[f"gain_{what}"] = plots.plot_gain(
            judged.actual(what), ranks, horizon=judged.horizon, what=what
        )
    return axes


def _of_rolling(scorer: CustomerScorer, judged: Backtest) -> dict[str, Chart]:
    """Purchases from every cutoff, and how often intervals held."""
    from clv.report.plots import plot_coverage

    name = title(scorer.purchases)
    if not judged.rolling or name not in judged.rolling.models:
        return {}
    table = coverage_table(judged.rolling, name)
    measured = table["randomized"].fillna(table["inside"])
    coverage = table.assign(interval=table["what"], measured=measured)
    return {
        **{f"rolling_{cutoff}": chart for cutoff, chart in tracked(judged.rolling, name).items()},
        "coverage": plot_coverage(coverage, horizon=f"{judged.rolling.days} days"),
    }


def alive_chart(scorer: CustomerScorer, judged: Backtest) -> Chart:
    """Who is still a customer, by how often and how recently they bought."""
    from clv.report import plots

    grid = plots.alive_grid(round(judged.whole)).assign(unit=judged.unit)
    alive = scorer.purchases.probability_alive(grid)
    return plots.plot_alive_matrix(grid, alive, unit=judged.unit)


def _of_model(scorer: CustomerScorer, judged: Backtest) -> dict[str, Chart]:
    """Who is alive and expected to buy, how customers differ, and how their value is spread."""
    from clv.report import plots

    unit, model = judged.unit, scorer.purchases
    grid = plots.alive_grid(round(judged.whole)).assign(unit=unit)
    expected = model.conditional_expected_purchases(judged.length, grid)
    value = scorer.predict(judged.customers)["clv"].to_numpy()
    rates = dict(list(model.heterogeneity().groupby("rate", sort=False)))
    terms, currency = str(scorer.terms), scorer.terms.currency
    return {
        "alive": alive_chart(scorer, judged),
        "expected": plots.plot_expected_matrix(grid, expected, horizon=judged.horizon, unit=unit),
        "lorenz": plots.plot_lorenz(value),
        "values": plots.plot_value_distribution(value, terms=terms, currency=currency),
        **{
            f"heterogeneity_{n}": plots.plot_heterogeneity(table)
            for n, table in enumerate(rates.values(), 1)
        },
    }


def fit_reports(scorer: CustomerScorer, judged: Backtest) -> dict[str, FitReport]:
    """The reports of all fits, by what was fitted to what."""
    fits = {
        f"{title(scorer.purchases)} on the whole log": scorer.purchases.report_,
        "Gamma-Gamma on the whole log": scorer.spend.report_,
        f"{title(judged.purchases)} up to {judged.cutoff}": judged.purchases.report_,
        f"Gamma-Gamma up to {judged.cutoff}": judged.spend.report_,
    }
    return {where: fit for where, fit in fits.items() if fit is not None}


def findings(scorer: CustomerScorer, judged: Backtest) -> list[Finding]:
    """What the log cannot carry, and what the fits found to say, once, with where it holds."""
    places: dict[str, list[str]] = {}
    says: dict[str, Finding] = {}
    for where, fit in fit_reports(scorer, judged).items():
        for each in fit.findings:
            places.setdefault(str(each), []).append(where)
            says[str(each)] = each
    currency = scorer.terms.currency or ""
    of_fits = [
        finding("fit.of_model", models=" and ".join(where), what=says[text]).within(currency)
        for text, where in places.items()
    ]
    return [*limits_of(scorer), *of_fits]


def limits_of(scorer: CustomerScorer) -> list[Finding]:
    """What the log that a scorer learned from cannot carry."""
    currency = scorer.terms.currency or ""
    limits = (scorer.training or {}).get("limits", ())
    return [Finding.from_dict(each, currency) for each in limits]


def learned(scorer: CustomerScorer, judged: Backtest) -> dict[str, str]:
    """The few figures to remember, by name."""
    card, currency = scorer.training or {}, scorer.terms.currency or ""
    again = count(card["repeat_buyers"])
    total = card.get("total")
    rows = {
        "customers": f"{count(card['customers'])}, {again} of whom bought again",
        "purchase model": f"{title(scorer.purchases)}: {_parameters(scorer.purchases.params_)}",
        "spend": f"{money(float(scorer.spend.expected_spend()), currency)} per repeat purchase",
        "new customer": worth_of_new(scorer),
        "churn": scorer.churn.reason,
        **({f"next {total['horizon']}, all": total["text"]} if total else {}),
        "terms": str(scorer.terms),
        "model version": scorer.version,
    }
    if (then_model := title(judged.purchases)) != title(scorer.purchases):
        rows["purchase model then"] = f"{then_model}, chosen on what was known on {judged.cutoff}"
    return rows | {f"holdout, {what}": judged.in_short(what) for what in (PURCHASES, MONEY)}


def worth_of_new(scorer: CustomerScorer) -> str:
    """The CLV of a new customer, with what it counts."""
    terms = scorer.terms
    worth = money(scorer.new_customer_value().new_customer_clv, terms.currency or "")
    return f"CLV {worth} of {terms.money} over {terms.horizon}, first purchase included"


def id_type(log: Any) -> Ids:
    """What customer ids are in MLflow's words."""
    return "long" if nw.from_native(log)["customer_id"].dtype.is_integer() else "string"


def _slug(name: str) -> str:
    """A forecaster's name in a metric's."""
    return name.replace(" ", "_").replace("/", "_")


def _parameters(params: dict[str, float]) -> str:
    return ", ".join(f"{name} {figure(value)}" for name, value in params.items())


def _csv(rows: pd.DataFrame) -> str:
    return rows.to_csv(index=False)
