"""Values over one to three years, judged: simulated customers, CDNOW, and logs of your own.

python -m training.long_horizon [LOG.parquet ...]   (customer_id, date, amount)
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from clv.cli.application import command
from clv.cli.main import run
from clv.data.cdnow import cdnow_log
from clv.evaluate.backtest.long_view import long_view
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.mbg_nbd import ModifiedBetaGeoNBD

NAME = "python -m training.long_horizon"
DAYS = 4 * 364 + 7  # one year to learn from, three to judge
BOTH = (BetaGeoNBD, ModifiedBetaGeoNBD)
KINDS = {"steady": 0.0, "a rate that falls by a tenth a year": -0.1}


def simulated(seed: int, drift: float, customers: int = 3_000) -> pd.DataFrame:
    """Orders of BG/NBD customers won in the first year, all rates drifting by the year."""
    rng = np.random.default_rng(seed)
    rate, p = rng.gamma(0.6, 1 / 60.0, customers), rng.beta(0.8, 4.0, customers)
    birth, who = rng.uniform(0, 364, customers), np.arange(customers)
    day, parts = birth.copy(), [np.stack([who, np.floor(birth)])]
    while len(who):
        day = day + rng.exponential(size=len(who)) / (rate[who] * np.exp(drift * day / 364))
        who, day = who[day < DAYS], day[day < DAYS]
        parts.append(np.stack([who, np.floor(day)]))
        stays = rng.uniform(size=len(who)) >= p[who]
        who, day = who[stays], day[stays]
    ids, days = np.concatenate(parts, axis=1)
    date = pd.Timestamp("2020-01-01") + pd.to_timedelta(days, unit="D")
    return pd.DataFrame({"customer_id": ids.astype(int), "date": date, "amount": 10.0})


def judged(
    name: str, logs: list[Any], cutoff: Any = None, models: tuple[Any, ...] = BOTH
) -> pd.DataFrame:
    """Mean bias, mean |bias| and what 90% intervals held, by span and model."""
    parts = []
    for model in models:
        rows = pd.concat([long_view(log, model(), cutoff=cutoff) for log in logs])
        bias = rows["expected"] / rows["actual"] - 1
        held = (rows["low"] <= rows["actual"]) & (rows["actual"] <= rows["high"])
        figures = pd.DataFrame({"weeks": rows["weeks"], "bias": bias, "off": bias.abs()})
        mean = figures.assign(held=held).groupby("weeks").mean()
        parts.append(mean.assign(log=name, model=model.__name__, logs=len(logs)).reset_index())
    return pd.concat(parts)


@command(NAME)
def main(
    files: Annotated[list[Path] | None, typer.Argument(help="Logs in Parquet.")] = None,
    seeds: Annotated[int, typer.Option(help="Simulated logs of each kind.")] = 10,
) -> None:
    """Judge totals over one to three years, and print what they were off."""
    year = (pd.Timestamp("2020-01-01") + pd.Timedelta(days=364)).date()
    tables = [
        judged(name, [simulated(seed, drift) for seed in range(seeds)], year, BOTH[:1])
        for name, drift in KINDS.items()
    ]
    tables.append(judged("CDNOW", [cdnow_log(sample=True)]))
    tables += [judged(file.name, [pd.read_parquet(file)]) for file in files or ()]
    shown = pd.concat(tables)[["log", "logs", "model", "weeks", "bias", "off", "held"]]
    print(shown.round(3).to_string(index=False))


if __name__ == "__main__":
    run(main, NAME)
