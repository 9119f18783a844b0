"""Make the challenger the champion when the holdout says so, and say why when it does not.

    python -m training.promote --model clv

The rule, on one figure of the holdout (``[promotion] measure`` of the challenger's config):

- a challenger whose fits did not converge is refused;
- without a champion it is promoted, with a warning if a naive forecast is as good or better;
- else it must not be worse than the champion on the same data and the same holdout. Where the
  champion was judged on others, its recipe is fitted and judged again on the challenger's; where
  those are gone, the challenger is refused.

A refusal ends with exit code 7.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: the folder above is where training is found
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from clv.app.registry import (
    CHALLENGER,
    CHAMPION,
    Registered,
    champion,
    file_digest,
    read_logged,
    registered,
    set_alias,
)
from clv.cli.screen import Screen, table
from clv.data.transactions import clean
from clv.errors import ModelError, PromotionError
from clv.io.files import read_log
from training.backtest import backtest
from training.command import run, step
from training.config import MEASURES, Config

Figures = Mapping[str, float]
WORDS = {
    "gini": "how well customers are ranked, 1 is perfect",
    "rmse": "the error per customer, 0 is perfect",
    "bias": "how far the total is off, 0 is perfect",
}


def promote(name: str, screen: Screen) -> Registered:
    """Let the alias champion follow the challenger, or raise; returns the champion."""
    new, old = challenger(name), champion(name)
    if old is not None and old.version == new.version:
        screen.say(f"{new.uri} is the champion already.")
        return new
    if new.tags["converged"] != "True":
        raise PromotionError(
            f"{new.uri} stays challenger: a fit did not converge.",
            hint="read fit_report.txt in its run; more data or a longer window usually helps.",
        )
    measure = new.tags["measure"]
    if old is None:
        show(screen, new, None, {}, measure)
        because = first(new, measure)
    else:
        theirs = same_holdout(old, new, screen)
        show(screen, new, old, theirs, measure)
        because = against(new, theirs, measure)
    warn_of_naive(new, measure, screen)
    set_alias(name, CHAMPION, new.version, {"promoted_because": because})
    screen.say(f"{new.uri} is the champion now: {because}")
    screen.next(f"clv score LOG --model models:/{name}@{CHAMPION} --output scores.parquet")
    return new


def challenger(name: str) -> Registered:
    """The version to be promoted.

    Raises
    ------
    ModelError
        There is none, or it was not logged by ``training.train``.
    """
    found = registered(CHALLENGER, name)
    if found is None:
        raise ModelError(
            f"model {name} has no version with the alias {CHALLENGER}.",
            hint="train one: python -m training.train --config FILE.toml.",
        )
    missing = {"converged", "measure", "log_sha256", "holdout", "holdout_sha256"} - set(found.tags)
    if missing:
        raise ModelError(
            f"{found.uri} does not say how it was judged: no tag {', '.join(sorted(missing))}.",
            hint="train it with python -m training.train, which logs a holdout.",
        )
    return found


def first(new: Registered, measure: str) -> str:
    """Why there may be a first champion."""
    rival, figure = best_naive(new.metrics, measure)
    ours = new.metrics[f"{measure}/model"]
    if is_better(measure, ours, figure):
        return f"{measure} {ours:,.4g} beats the naive forecasts ({rival}: {figure:,.4g})."
    return f"there was none, though {rival} does as well or better on {measure}."


def warn_of_naive(new: Registered, measure: str, screen: Screen) -> None:
    """Say so where a naive forecast is as good as the challenger or better."""
    rival, figure = best_naive(new.metrics, measure)
    ours = new.metrics[f"{measure}/model"]
    if not is_better(measure, ours, figure):
        screen.warn(
            f'the naive forecast "{rival}" is as good or better on {measure}: {figure:,.4g} '
            f"against {ours:,.4g}."
        )


def against(new: Registered, theirs: Figures, measure: str) -> str:
    """Why the challenger may replace the champion; ``PromotionError`` if it may not."""
    ours, rival = new.metrics[f"{measure}/model"], theirs[f"{measure}/model"]
    told = f"{measure} {ours:,.6g} against the champion's {rival:,.6g} on the same holdout"
    if is_better(measure, rival, ours):
        raise PromotionError(
            f"{new.uri} stays challenger: {told}, which is worse.",
            hint="train on more data or with another config; the champion stays in use.",
        )
    return f"{told}."


def same_holdout(old: Registered, new: Registered, screen: Screen) -> Figures:
    """The champion's figures on the challenger's holdout, by fitting its recipe again if need be.

    The champion itself may have seen the holdout, so it is its recipe (the section model of its
    config) that is fitted on what was known at the cutoff.
    """
    if old.tags.get("holdout_sha256") == new.tags["holdout_sha256"]:
        return old.metrics
    try:
        recipe, asked = (read_logged(one.run_id, "config.json") for one in (old, new))
    except (ModelError, OSError) as error:
        raise PromotionError(
            f"{new.uri} stays challenger: the champion {old.uri} was judged on other data, and "
            "its recipe is not logged, so the two cannot be compared.",
            hint=f"set the alias {CHAMPION} by hand if you know better.",
        ) from error
    config = Config.of({**asked, "model": recipe["model"]}, Path("config.json"))
    if not config.log.path.is_file() or file_digest(config.log.path) != new.tags["log_sha256"]:
        raise PromotionError(
            f"{new.uri} stays challenger: the champion {old.uri} was judged on other data, and the "
            f"challenger's log {config.log.path} is gone or has changed since.",
            hint="train the challenger again on the log as it is now.",
        )
    with step(screen, f"Fitting the recipe of {old.uri} on the challenger's data"):
        return judge_again(config)


def judge_again(config: Config) -> Figures:
    """The figures of a recipe on the data and the holdout of ``config``."""
    raw = read_log(config.log.path)
    log: Any = clean(raw, as_of=config.log.as_of, **config.log.rules())[0]
    return backtest(raw, log.to_arrow_table(), config).figures()


def best_naive(figures: Figures, measure: str) -> tuple[str, float]:
    """The best naive forecast by ``measure``, and its figure."""
    naive = {
        name.removeprefix(f"{measure}/"): value
        for name, value in figures.items()
        if name.startswith(f"{measure}/") and not name.endswith("/model")
    }
    best = min(naive, key=lambda name: MEASURES[measure](naive[name]))
    return best.replace("_", " "), naive[best]


def is_better(measure: str, one: float, other: float) -> bool:
    """Whether ``one`` is closer to perfect than ``other``, by more than rounding."""
    near, far = MEASURES[measure](one), MEASURES[measure](other)
    return near < far and not math.isclose(near, far, rel_tol=1e-9)


def show(
    screen: Screen, new: Registered, old: Registered | None, theirs: Figures, decides: str
) -> None:
    """All measures side by side; the one that decides is marked."""
    rows = [
        {
            "measure": f"{measure} *" if measure == decides else measure,
            "new": new.metrics.get(f"{measure}/model"),
            "old": theirs.get(f"{measure}/model"),
            "naive": best_naive(new.metrics, measure)[1],
            "by": best_naive(new.metrics, measure)[0],
        }
        for measure in MEASURES
    ]
    headings = {
        "measure": "measure",
        "new": f"{CHALLENGER} v{new.version}",
        "old": f"{CHAMPION} v{old.version}" if old else CHAMPION,
        "naive": "best naive",
        "by": "",
    }
    formats = dict.fromkeys(("new", "old", "naive"), "{:,.3f}".format)
    screen.title(f"Holdout {new.tags['holdout']}")
    screen.show(table(rows, headings, formats, left=["measure", "by"]))
    screen.say(f"* decides: {WORDS[decides.partition('/')[2]]}.\n")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m training.promote", description=__doc__)
    parser.add_argument("--model", default="clv", metavar="NAME", help="in the registry (clv)")
    run(lambda asked, screen: promote(asked.model, screen), parser)


if __name__ == "__main__":
    main()
