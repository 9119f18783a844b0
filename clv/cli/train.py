"""``clv train``: from an order log to a registered model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clv.cli.application import command
from clv.cli.screen import Screen

if TYPE_CHECKING:
    from clv.app.training.config import Config
    from clv.app.training.steps import Trained

EXAMPLE = """\
experiment = "my-shop"
[data]                 # as clv init writes it
files = "orders.csv"   # relative to this file
date_order = "dmy"
[data.columns]         # our names = those of the log
customer_id = "CustomerID"
[terms]
margin_rate = 0.30     # contribution margin; "measured" if the log has one
annual_discount_rate = 0.10
horizon = "3 years"
currency = "GBP"
[model]
name = "my-shop"       # in the registry
purchase_model = "auto" # or bg_nbd, mbg_nbd, pareto_nbd; mbg_cnbd: regular
churn_horizon = "13 weeks" # churn = no purchase for so long
[holdout]
cutoff = 2024-06-30    # fitted up to here, judged on what came after
origins = 3            # and judged again from so many earlier days
# [calendar.totals]    # orders of earlier years, each month or "2023-W05":
# 2023-01 = 1840       # the season of a log that is shorter than two years
[[calendar.events]]    # a sale, a holiday, a closure, past or to come
name = "sale"
first = 2024-11-24
last = 2024-11-30
multiplier = 1.8       # 0 while closed; left out, it is measured
[promotion]
measure = "money/gini" # what decides between challenger and champion"""
ConfigFile = Annotated[
    Path, typer.Option("--config", metavar="FILE.toml", help="What to train on: see below.")
]


@command("clv train --config my-shop.toml", A_configuration=EXAMPLE)
def train(ctx: typer.Context, config: ConfigFile = Path("clv.toml")) -> None:
    """Train a model on an order log, judge it, and register it.

    The log is cleaned; the models are judged on a holdout and from several
    earlier days, beside naive forecasts; they are fitted on everything, and
    the result is registered in MLflow as the challenger. clv promote makes
    it the model in use.
    """
    from clv.app.training.config import Config

    train_and_show(Config.read(config), ctx.obj)


def train_and_show(config: Config, screen: Screen) -> Trained:
    """Train, and show each step as it is done."""
    from clv.app.mlflow_store import tracking_uri, without_password
    from clv.app.registry import CHALLENGER
    from clv.app.training.steps import Trained, fit_scorer, register
    from clv.cli.training_tables import judge_and_show, read_and_show, show_learned

    data = read_and_show(config, screen)
    judged = judge_and_show(data, config, screen)
    with screen.step("Fitting on everything: purchases, spend, churn"):
        scorer = fit_scorer(data, judged, config)
    with screen.step("Logging and registering"):
        version = register(scorer, data, judged, config)
    show_learned(screen, scorer, judged)
    screen.say(f"\nRegistered as {version.uri}, alias {CHALLENGER}.")
    if not (store := tracking_uri()).startswith("http"):
        screen.say(f"To look at it: mlflow ui --backend-store-uri {without_password(store)}")
    screen.next(f"clv promote --model {version.name}")
    return Trained(version, scorer, judged)
