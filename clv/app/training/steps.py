"""From a configuration to a registered scorer: a function for each step of a training run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

from clv.app.registry import CHALLENGER, Registered
from clv.app.run_logging import digest_of_files, log_scorer
from clv.app.training.backtest import Backtest, backtest
from clv.app.training.config import Config
from clv.app.training.cutoffs import choice_of, rolling_origin
from clv.app.training.evidence import evidence, id_type
from clv.data.cleaning_report import CleaningReport
from clv.data.parts import held
from clv.data.summary import margin_rate
from clv.errors import FitError, InputError
from clv.evaluate.backtest.growing_doubt import doubt_record
from clv.evaluate.backtest.long_view import long_record
from clv.findings import Finding, finding, saved
from clv.forecast.calendar_total import BaseDays, calendar_total
from clv.format import count
from clv.intake.check import Intake, read_files
from clv.intake.fingerprint import fingerprint
from clv.intake.recipe import Recipe
from clv.io.databases import DatabaseAddress
from clv.periods import Duration
from clv.probability.models import title
from clv.scorer import CustomerScorer
from clv.value.value import Terms

JUDGED = 50_000  # customers; of more, a sample of about so many is judged


@dataclass(frozen=True)
class TrainingLog:
    """The order log as it was read, how, as it is after cleaning, and what cleaning did to it.

    Attributes
    ----------
    raw, clean
        Orders as they were read, and purchases, of the customers on whom models are judged: all,
        or a sample of many.
    purchases
        Of all customers, a DuckDB relation.
    unfit
        The verdict on the log where it is not fit to train on, else empty.
    """

    raw: Any
    clean: pa.Table
    purchases: Any
    report: CleaningReport
    recipe: Recipe
    fingerprint: Mapping[str, Any]
    unfit: str = ""

    @property
    def merged(self) -> bool:
        """Whether each purchase is all of one customer and day."""
        return self.recipe.same_day == "merge"

    @property
    def sampled_of(self) -> int:
        """How many customers there are, where a sample of them is judged; else 0."""
        return self.report.customers if self.report.customers > JUDGED else 0

    @cached_property
    def judged_on(self) -> str:
        """On how many of the customers models are judged, where not on all, in a sentence."""
        if not self.sampled_of:
            return ""
        judged = count(pc.count_distinct(self.clean["customer_id"]).as_py())
        return (
            f"Models are judged, and churn is learned, on a sample of {judged} of "
            f"{count(self.report.customers)} customers; what is used is fitted on all."
        )


@dataclass(frozen=True)
class Trained:
    """What a training run leaves: the registered version, its scorer, and how it was judged."""

    version: Registered
    scorer: CustomerScorer
    judged: Backtest


def read_training_log(config: Config) -> TrainingLog:
    """Read and clean the order log of a configuration."""
    intake = read_files(config.data.files, recipe=config.data.recipe())
    currency = config.terms.currency or intake.check.currency
    orders, purchases = _of_judged(intake)
    return TrainingLog(
        orders,
        purchases.to_arrow_table(),
        intake.purchases,
        intake.report,
        intake.recipe,
        fingerprint(intake.purchases, currency, intake.source.names),
        "" if intake.check.fit else intake.check.verdict,
    )


def _of_judged(intake: Intake) -> tuple[Any, Any]:
    """Orders and purchases of the customers who are judged: of many, those with small digests."""
    orders, purchases = intake.orders, intake.purchases
    if intake.report.customers <= JUDGED:
        return orders, purchases
    below = round(JUDGED / intake.report.customers * 2**64)
    customers = purchases.project("customer_id").distinct()
    few = nw.from_native(
        customers.filter(f"md5_number_lower(customer_id::VARCHAR) < {below}").materialize()
    )
    parts = (
        nw.from_native(log).join(few, on="customer_id", how="semi") for log in (orders, purchases)
    )
    orders, purchases = (held(part).to_native() for part in parts)
    return orders, purchases


def judge(data: TrainingLog, config: Config) -> Backtest:
    """The model fitted on what was known at the cutoff, judged by what came after."""
    return backtest(data.raw, data.clean, config, data.sampled_of)


def with_rolling_origin(
    judged: Backtest, data: TrainingLog, config: Config
) -> tuple[Backtest, str | None]:
    """A backtest with the forecasts from several earlier days; without them, and why.

    Raises
    ------
    InputError, FitError
        The log cannot bear the cutoffs that the configuration names one by one.
    """
    try:
        return replace(judged, rolling=rolling_origin(data.raw, data.clean, config)), None
    except (InputError, FitError) as error:
        if config.holdout.cutoffs:
            raise
        return judged, f"no rolling origin: {error.message}"


def fit_scorer(data: TrainingLog, judged: Backtest, config: Config) -> CustomerScorer:
    """The scorer on the whole log; where it comes from and how it was judged go with it."""
    choice = choice_of(judged.rolling, config)
    scorer = CustomerScorer.fit(
        data.purchases,
        terms_of(data.purchases, config),
        panel=data.clean,
        purchase_model=choice.name if choice else config.model.purchase_model,
        churn_horizon=Duration.parse(config.model.churn_horizon),
        unit=config.model.unit,
        engine=config.model.engine,
        shrink=config.model.shrink,
        calendar=config.calendar.known_at(data.report.last_date),
        merged=data.merged,
    )
    files = config.data.files
    source = {
        "log": ", ".join(
            file if DatabaseAddress.parse(file) else Path(file).name for file in files
        ),
        "log_sha256": digest_of_files(files),
        "data": data.recipe.model_dump(mode="json", exclude_defaults=True),
        "fingerprint": dict(data.fingerprint),
    }
    chosen = {"purchase_model": choice.to_dict()} if choice else {}
    ahead = {
        "holdout": judged.to_dict(title(scorer.purchases)),
        "total": total_ahead(data.purchases, scorer, config, merged=data.merged),
        "calendar": config.calendar.model_dump(mode="json"),
        "long_view": long_record(data.clean, scorer.purchases, config.model.unit),
        "growing_doubt": doubt_record(data.clean, scorer.purchases, config.model.unit),
    }
    noted = {"judged_on": data.judged_on} if data.judged_on else {}
    training = {**(scorer.training or {}), **chosen, **source, **ahead, **noted}
    training["limits"] = [
        *training.get("limits", ()),
        *saved(unused_margin(data.purchases, config)),
    ]
    return replace(scorer, training=training)


def total_ahead(
    log: Any, scorer: CustomerScorer, config: Config, *, merged: bool = False
) -> dict[str, Any]:
    """What all customers will buy within the churn horizon, in calendar time, as JSON values."""
    horizon = str(scorer.churn.horizon)
    today = dt.date.fromisoformat(scorer.as_of)
    known = config.calendar.known_at(today)
    try:
        base = BaseDays.from_log(log, today, merged=merged)
        total = calendar_total(base, scorer.purchases, horizon, calendar=known)
    except InputError as error:  # days, not weeks, of log
        return {"horizon": horizon, "text": error.message}
    return {"horizon": horizon, "text": str(total)} | total.to_dict()


def terms_of(log: pa.Table, config: Config) -> Terms:
    """The terms of every value; the margin is the log's own if the config says "measured"."""
    stated = config.terms.margin_rate
    return Terms(
        margin_rate=margin_rate(log) if stated == "measured" else stated,
        annual_discount_rate=config.terms.annual_discount_rate,
        horizon=Duration.parse(config.terms.horizon),
        currency=config.terms.currency,
        margin_source="measured" if stated == "measured" else "assumed",
    )


def unused_margin(log: Any, config: Config) -> Iterator[Finding]:
    """What margin the orders have, where values count revenue all the same."""
    if config.terms.margin_rate == 1 and "margin" in nw.from_native(log).collect_schema().names():
        with suppress(InputError):  # the column is empty, or holds no margin
            yield finding("limit_of_log.margin", rate=margin_rate(log))


def register(
    scorer: CustomerScorer, data: TrainingLog, judged: Backtest, config: Config
) -> Registered:
    """Log a scorer with all that speaks for it, and register it as the challenger."""
    logged = evidence(scorer, data.report, judged, config)
    name, ids = config.model.name, id_type(data.clean)
    return log_scorer(
        scorer, logged, name=name, experiment=config.experiment, alias=CHALLENGER, ids=ids
    )
