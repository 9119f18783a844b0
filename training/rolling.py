"""The README's table: every forecaster from five earlier days, on CDNOW and on Online Retail.

python -m training.rolling
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import typer

from clv.app.training.config import Config
from clv.app.training.cutoffs import rolling_origin
from clv.app.training.steps import read_training_log
from clv.cli.application import command
from clv.cli.main import run
from clv.cli.screen import Screen
from clv.evaluate.backtest import RollingOrigin
from clv.evaluate.backtest.judgement import advice, comparison
from training.cdnow import write_log

NAME = "python -m training.rolling"
HERE = Path(__file__).parent
LOGS = {  # days ahead, and the last days known
    "cdnow": (91, "1997-10-02 1997-11-16 1997-12-31 1998-02-14 1998-03-31"),
    "online_retail": (70, "2011-05-13 2011-06-17 2011-07-22 2011-08-26 2011-09-30"),
}


def judged(name: str) -> RollingOrigin:
    """Every forecaster on one log, refitted at every cutoff on what was known then."""
    days, cutoffs = LOGS[name]
    config = Config.read(HERE / f"{name}.toml").with_holdouts(None, f"{days} days")
    dates = tuple(dt.date.fromisoformat(cutoff) for cutoff in cutoffs.split())
    holdout = config.holdout.model_copy(update={"cutoffs": dates})
    data = read_training_log(config)
    rolling = rolling_origin(
        data.raw, data.clean, config.model_copy(update={"holdout": holdout}), with_peers=True
    )
    assert rolling is not None
    return rolling


def table(rolling: RollingOrigin) -> pd.DataFrame:
    """By forecaster: log score, both Ginis, mean |bias| of both totals, what 90% intervals held."""
    rows = rolling.table.assign(miss=rolling.table["bias"].abs())
    measures = ["log_score", "gini", "miss"]
    mean = rows.groupby(["forecast", "what"], sort=False)[measures].mean().unstack("what")
    complete = rows.groupby("forecast")["cutoff"].nunique() == len(rolling.origins)
    shown = mean.loc[[name for name in mean.index if complete[name]]]
    inside = rolling.coverage().query("nominal == 0.9 and what == 'purchases'")
    return pd.DataFrame(
        {
            "log score": shown["log_score", "purchases"],
            "Gini purchases": shown["gini", "purchases"],
            "Gini money": shown["gini", "money"],
            "|bias| purchases": shown["miss", "purchases"],
            "|bias| money": shown["miss", "money"],
            "in 90%": inside.set_index("forecast")["randomized"],
        },
        index=shown.index,
    )


def markdown(tables: dict[str, pd.DataFrame]) -> Iterator[str]:
    """The tables as the README has them."""
    for name, (days, cutoffs) in LOGS.items():
        rows = tables[name]
        yield f"{name}, {days} days after {', '.join(cutoffs.split())}:\n"
        yield f"| forecast | {' | '.join(rows.columns)} |\n|{'---|' * (len(rows.columns) + 1)}"
        for forecast, row in rows.iterrows():
            score, *ginis, missed, money, inside = row
            cells = [f"{score:.4f}", *(f"{g:.3f}" for g in ginis)]
            cells += [f"{missed:.1%}", f"{money:.1%}", f"{inside:.1%}"]
            yield f"| {forecast} | {' | '.join('–' if c.startswith('nan') else c for c in cells)} |"
        yield ""


@command(NAME)
def main(ctx: typer.Context) -> None:
    """Judge every forecaster on both logs, and print the README's table."""
    screen: Screen = ctx.obj
    write_log()
    tables = {}
    for name in LOGS:
        with screen.step(f"Forecasting {name} from five earlier days"):
            rolling = judged(name)
        tables[name] = table(rolling)
        screen.points([*comparison(rolling), advice(rolling)])
    for line in markdown(tables):
        print(line)


if __name__ == "__main__":
    run(main, NAME)
