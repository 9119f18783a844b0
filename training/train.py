"""Train, judge, log and register a scorer.

    python -m training.train --config training/online_retail.toml

Clean the log, judge the models on a holdout and from several earlier days beside naive forecasts,
fit them on everything, log all of it to MLflow, and register the scorer as the challenger. Copy it
and change what you need.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: the folder above is where training is found
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from clv.app.registry import (
    CHALLENGER,
    Registered,
    file_digest,
    log_scorer,
    set_alias,
    tracking_uri,
)
from clv.cli.screen import Screen
from clv.cli.terminal import show_cleaning, warn_of_future
from clv.data.summary import margin_rate
from clv.data.transactions import clean
from clv.errors import FitError, InputError
from clv.evaluate.backtest import RollingOrigin
from clv.io.files import read_log
from clv.periods import Duration
from clv.probability.models import title
from clv.scorer import CustomerScorer
from clv.value.value import Terms
from training.backtest import Backtest, backtest
from training.command import run, step
from training.config import Config
from training.evidence import evidence, id_type, show_holdout, show_learned
from training.rolling import choice_of, rolling_origin, show_rolling


@dataclass(frozen=True)
class Trained:
    """What a run leaves in hand: the registered version, its scorer, and how it was judged."""

    version: Registered
    scorer: CustomerScorer
    judged: Backtest


def train(config: Config, screen: Screen) -> Trained:
    """The whole recipe."""
    raw = read_log(config.log.path)
    with step(screen, "Cleaning the order log"):
        log, report = clean(raw, as_of=config.log.as_of, **config.log.rules())
        log = log.to_arrow_table()
    warn_of_future(screen, report)
    show_cleaning(screen, report)
    terms = terms_of(log, config)
    with step(screen, f"Fitting on what was known on {config.holdout.cutoff}, as a test"):
        judged = backtest(raw, log, config)
    show_holdout(screen, judged)
    with step(screen, "Forecasting from several earlier days, as a test of every model"):
        judged = replace(judged, rolling=rolled(raw, log, config, screen))
    if judged.rolling:
        show_rolling(screen, judged.rolling)
    with step(screen, "Fitting on everything: purchases, spend, churn"):
        scorer = fit(log, terms, config, judged)
    with step(screen, "Logging and registering"):
        logged = evidence(scorer, report, judged, config)
        name, experiment, ids = config.model.name, config.experiment, id_type(log)
        version = log_scorer(scorer, logged, name=name, experiment=experiment, ids=ids)
        set_alias(name, CHALLENGER, version.version)
    show_learned(screen, scorer, judged)
    screen.say(f"\nRegistered as {version.uri}, alias {CHALLENGER}.")
    screen.next(f"python -m training.promote --model {name}")
    if not tracking_uri().startswith("http"):
        screen.next(f"mlflow ui --backend-store-uri {tracking_uri()}")
    return Trained(version, scorer, judged)


def terms_of(log: Any, config: Config) -> Terms:
    """The terms of every value; the margin is the log's own if the config says "measured"."""
    stated = config.terms.margin_rate
    return Terms(
        margin_rate=margin_rate(log) if stated == "measured" else stated,
        annual_discount_rate=config.terms.annual_discount_rate,
        horizon=Duration.parse(config.terms.horizon),
        currency=config.terms.currency,
        margin_source="measured" if stated == "measured" else "assumed",
    )


def rolled(raw: Any, log: Any, config: Config, screen: Screen) -> RollingOrigin | None:
    """The rolling origin, or None with a warning where the log cannot bear one."""
    try:
        return rolling_origin(raw, log, config)
    except (InputError, FitError) as error:
        if config.holdout.cutoffs:  # these days were asked for by name
            raise
        screen.warn(f"no rolling origin: {error.message}")
        return None


def fit(log: Any, terms: Terms, config: Config, judged: Backtest) -> CustomerScorer:
    """The scorer on the whole log; where it comes from and how it was judged go with it."""
    choice = choice_of(judged.rolling, config)
    scorer = CustomerScorer.fit(
        log,
        terms,
        purchase_model=choice.name if choice else config.model.purchase_model,
        churn_horizon=Duration.parse(config.model.churn_horizon),
        unit=config.model.unit,
        engine=config.model.engine,
        shrink=config.model.shrink,
    )
    source = {"log": config.log.path.name, "log_sha256": file_digest(config.log.path)}
    chosen = {"purchase_model": choice.to_dict()} if choice else {}
    holdout = judged.to_dict(title(scorer.purchases))
    about = {**(scorer.training or {}), **chosen, **source, "holdout": holdout}
    return replace(scorer, training=about)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("--config", required=True, metavar="FILE.toml", help="what to train on")
    run(lambda asked, screen: train(Config.read(asked.config), screen), parser)


if __name__ == "__main__":
    main()
