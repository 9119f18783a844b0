"""What an estimated plan rests on: curves from a spend table, values from an order log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from clv.app.channels import read_summary
from clv.app.data_file import DATA_FILE
from clv.app.lead_files import channel_values
from clv.app.outlook import has_draws
from clv.app.plan_files.measured_results import lift_tests_of
from clv.app.plan_files.plan_file import EstimatedPlan
from clv.app.spend_file import read_spend_file
from clv.decide.budget.channel import Channel
from clv.decide.response.curves import ResponseCurves, response_curves
from clv.errors import InputError
from clv.format import listed
from clv.io.files import read_table
from clv.periods import Duration
from clv.schema import Floats
from clv.value.by_channel import ChannelModels, models_by_channel
from clv.value.value import Terms, new_customer_value

if TYPE_CHECKING:
    import pyarrow as pa

    from clv.scorer import CustomerScorer

MODEL = "models:/clv@champion"
WIDE = 1.645  # standard errors from the middle to the ends of an interval of 90%


@dataclass(frozen=True)
class Estimates:
    """What was estimated; all empty for a plan that states every curve and value.

    Parameters
    ----------
    curves
        Response curves with draws, from a spend table.
    models, terms
        Purchase and spend models by channel, and what values are stated under.
    values
        Draws of the value of a new customer by channel, as many as of the curves.
    period
        What one period of the curves is called: "week", "month", ... or "period".
    """

    curves: ResponseCurves | None = None
    models: Mapping[str, ChannelModels] = field(default_factory=dict)
    terms: Terms | None = None
    values: Mapping[str, Floats] = field(default_factory=dict)
    period: str = "period"


def estimate(plan: EstimatedPlan) -> tuple[EstimatedPlan, Estimates]:
    """The plan with the channels of its spend table, and what is known of these.

    Raises
    ------
    InputError, ModelError
        A file cannot be used, or nothing says what a new customer of some channel is worth.
    """
    settings, folder = plan.curves, plan.folder
    scorer = None if settings.log is None else _scorer(plan)
    currency = plan.currency or (scorer.terms.currency if scorer else None)
    beside = folder / DATA_FILE
    file = read_spend_file(
        folder / settings.spend,
        currency,
        config=beside if beside.exists() else None,
        what="the plan is",
    )
    summary = None
    if scorer is not None and settings.log is not None:
        summary = read_summary(str(folder / settings.log), scorer, settings.columns, settings.as_of)
        if "channel" in summary.column_names:
            file = file.beside(summary["channel"].unique().to_pylist())
    spend = file.rows
    stated = {channel.name: channel for channel in plan.channels if channel.response is None}
    measured = lift_tests_of([folder / file for file in settings.tests])
    curves = response_curves(
        spend,
        None if "new_customers" in spend.column_names else summary,
        shape=settings.shape,
        time=settings.time,
        lift_tests=[*(test.build() for test in settings.lift_tests), *measured],
        incrementality={n: c.incrementality for n, c in stated.items() if c.incrementality < 1},
        period_length=settings.period_length,
        plan_from=settings.plan_from,
        draws=settings.draws,
        seed=settings.seed,
    )
    estimates = Estimates(curves, period=called(spend, settings.period_length))
    if scorer is not None:
        terms = _terms(plan, scorer)
        estimates = with_values(estimates, summary, scorer, terms)
    elif settings.values is not None:
        drawn = drawn_values(str(folder / settings.values), _draws(curves))
        estimates = replace(estimates, values=drawn)
    return plan.with_channels(_channels(plan, estimates)), estimates


def with_values(
    estimates: Estimates, summary: Any, scorer: CustomerScorer, terms: Terms
) -> Estimates:
    """What is known, with the value of a new customer of each channel of the curves."""
    curves = () if estimates.curves is None else estimates.curves.channels
    names = [curve.name for curve in curves]
    models = models_by_channel(summary, scorer.purchases, scorer.spend, names)
    count = 500 if estimates.curves is None else _draws(estimates.curves)
    values = {
        name: model.value_draws(terms, count) for name, model in models.items() if has_draws(model)
    }
    return replace(estimates, models=models, terms=terms, values=values)


def drawn_values(file: str, n: int) -> dict[str, Floats]:
    """Draws of the value of a new customer by channel from a table, such as of first orders.

    With new_customer_value_low and _high, the ends of the 90% interval, they spread as far.
    """
    means = channel_values(file)
    ends = [f"new_customer_value_{end}" for end in ("low", "high")]
    table, normal = read_table(file), np.random.default_rng(0).standard_normal((len(means), n))
    half = dict.fromkeys(means, 0.0)
    if {"channel", *ends} <= set(table.column_names):
        rows = zip(*(table[name].to_pylist() for name in ("channel", *ends)), strict=True)
        half |= {str(name): (high - low) / 2 for name, low, high in rows if name in means}
    drawn = {}
    for row, (name, mean) in enumerate(means.items()):
        # lognormal, as no customer of a channel is expected to cost money by chance
        log_sd = np.sqrt(np.log1p((half[name] / WIDE / mean) ** 2)) if mean else 0.0
        drawn[name] = mean * np.exp(log_sd * normal[row] - log_sd**2 / 2)
    return drawn


def to_channels(estimates: Estimates, periods: float = 1.0) -> list[Channel]:
    """The channels of estimated curves and values, at their mean value over the draws."""
    if estimates.curves is None or estimates.terms is None:
        raise InputError("neither curves nor values were estimated.")
    horizon = str(estimates.terms.horizon)
    return [
        curve.to_channel(_mean_value(estimates, curve.name), periods=periods, horizon=horizon)
        for curve in estimates.curves.channels
    ]


def _channels(plan: EstimatedPlan, estimates: Estimates) -> list[Channel]:
    """The estimated channels; the plan states the value of those that no log tells."""
    if estimates.terms is not None:
        return to_channels(estimates, plan.periods)
    curves = () if estimates.curves is None else estimates.curves.channels
    value: dict[str, float | None] = {
        name: float(drawn.mean()) for name, drawn in estimates.values.items()
    }
    value |= {c.name: c.value for c in plan.channels if c.value is not None}
    if lack := [curve.name for curve in curves if value.get(curve.name) is None]:
        raise InputError(
            f"nothing says what a new customer of {listed(lack)} is worth.",
            hint="state value in [[channels]], or give log and model, or values, in [curves].",
        )
    return [
        curve.to_channel(value[curve.name] or 0.0, periods=plan.periods, horizon=plan.horizon)
        for curve in curves
    ]


def _mean_value(estimates: Estimates, name: str) -> float:
    """The mean over the draws, as of the curves, or the likeliest value without any."""
    if name in estimates.values:
        return float(estimates.values[name].mean())
    model, terms = estimates.models[name], estimates.terms or Terms()
    value = new_customer_value(model.purchases, model.spend, terms, model.first_amount)
    return value.new_customer_clv


def _scorer(plan: EstimatedPlan) -> CustomerScorer:
    from clv.app.registry import load_scorer

    model = plan.curves.model or MODEL
    beside = plan.folder / model
    return load_scorer(beside if beside.is_dir() else model)


def _terms(plan: EstimatedPlan, scorer: CustomerScorer) -> Terms:
    """The model's terms, at the plan's horizon if it states one."""
    terms = scorer.terms
    if plan.currency and terms.currency and plan.currency != terms.currency:
        raise InputError(f"the plan is in {plan.currency}, its model in {terms.currency}.")
    return terms if plan.horizon is None else replace(terms, horizon=Duration.parse(plan.horizon))


def _draws(curves: ResponseCurves) -> int:
    drawn = curves.channels[0].draws
    return max(np.size(getattr(drawn, name)) for name in drawn.parameters())


def called(spend: pa.Table, length: str | None = None) -> str:
    """What one period of a spend table is called."""
    from clv.decide.acquisition.spend import Periods

    duration = None if length is None else Duration.parse(length)
    periods = Periods.from_values(spend["period"].to_pylist(), duration)
    days = {(end - start).days for start, end in zip(periods.starts, periods.ends, strict=False)}
    for name, lengths in {"day": {1}, "week": {7}, "month": {28, 29, 30, 31}}.items():
        if days and days <= lengths:
            return name
    return "period"
