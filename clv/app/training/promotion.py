"""Make the challenger the champion when the holdout says so, and say why when it does not.

The rule, on one figure of the holdout (``[promotion] measure`` of the challenger's config):

- a challenger whose fits did not converge is refused;
- without a champion it is promoted, with a warning if a naive forecast is as good or better;
- else it must be better than the champion on the same data and the same holdout: on a tie the
  champion stays, unless the challenger knows later orders. Where the champion was judged on others,
  its recipe is fitted and judged again on the challenger's (one recipe ties with itself); where
  those are gone, the challenger is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clv.app.mlflow_store import close_dead_runs, connect, registering
from clv.app.registry import (
    CHALLENGER,
    CHAMPION,
    Registered,
    champion,
    read_logged,
    registered,
    set_alias,
)
from clv.app.run_logging import digest_of_files
from clv.app.training.config import MEASURES, Config
from clv.app.training.steps import judge, read_training_log
from clv.errors import InputError, ModelError, PromotionError
from clv.findings import Finding, finding
from clv.format import figure as written

Figures = Mapping[str, float]
REASON = "promoted_because"  # a tag of versions that became champion
WORDS = {
    "gini": "how well customers are ranked, 1 is perfect",
    "rmse": "the error per customer, 0 is perfect",
    "bias": "how far the total is off, 0 is perfect",
}


@dataclass(frozen=True)
class PromotionCase:
    """A challenger, the champion, and the figures of both on the challenger's holdout.

    Attributes
    ----------
    challenger
        The version to be promoted.
    champion
        The version in use, if there is one.
    rival
        The champion's figures on the challenger's holdout; empty without a champion.
    """

    challenger: Registered
    champion: Registered | None
    rival: Figures

    @property
    def is_champion(self) -> bool:
        """Whether the challenger is in use already."""
        return self.champion is not None and self.champion.version == self.challenger.version

    @property
    def measure(self) -> str:
        """The figure that decides."""
        return self.challenger.tags["measure"]

    @property
    def figure(self) -> float:
        """The challenger's figure of the measure that decides."""
        return self.challenger.metrics[f"{self.measure}/model"]

    def naive(self, measure: str) -> tuple[str, float]:
        """The best naive forecast on the challenger's holdout, and its figure."""
        return best_naive(self.challenger.metrics, measure)

    @property
    def beats_naive(self) -> bool:
        """Whether the challenger is better than every naive forecast."""
        return is_better(self.measure, self.figure, self.naive(self.measure)[1])

    def measures(self) -> list[dict[str, Any]]:
        """Of each measure the figures of both, and of the best naive forecast, with its name."""
        naive = {measure: self.naive(measure) for measure in MEASURES}
        return [
            {
                "measure": measure,
                "new": self.challenger.metrics.get(f"{measure}/model"),
                "old": self.rival.get(f"{measure}/model"),
                "naive": figure,
                "by": name,
            }
            for measure, (name, figure) in naive.items()
        ]

    def reason(self) -> Finding:
        """Why the challenger may be the champion.

        Raises
        ------
        PromotionError
            It is no better than the champion.
        """
        if self.champion is not None:
            return against(self.challenger, self.champion, self.rival, self.measure)
        name, theirs = self.naive(self.measure)
        if self.beats_naive:
            figures = {"new": written(self.figure), "naive": name, "theirs": written(theirs)}
            return finding("promotion.beats_naive", measure=self.measure, **figures)
        return finding("promotion.first", naive=name, measure=self.measure)


def promotion_case(name: str) -> PromotionCase:
    """Challenger and champion of a registered model, compared on the challenger's holdout.

    Raises
    ------
    ModelError
        There is no challenger, or it was not logged by a training run.
    PromotionError
        A fit of the challenger did not converge, or the two cannot be compared.
    """
    with connect() as mlflow:
        close_dead_runs(mlflow)
    new, old = challenger(name), champion(name)
    if old is not None and old.version == new.version:
        _complete(new)
        return PromotionCase(new, old, old.metrics)
    if new.tags["converged"] != "True":
        raise _stays(
            new,
            finding("promotion.not_converged"),
            "read fit_report.txt in its run; more data or a longer window usually helps.",
        )
    return PromotionCase(new, old, {} if old is None else same_holdout(old, new))


def promote(case: PromotionCase) -> str:
    """Let the alias champion follow the challenger, and say why; or raise ``PromotionError``."""
    reason, new = case.reason(), case.challenger
    with registering():
        current = champion(new.name)
        if (current and current.version) != (case.champion and case.champion.version):
            raise _stays(
                new,
                finding("promotion.meanwhile"),
                "run clv promote again, to compare with the one that is in use now.",
            )
        set_alias(new.name, CHAMPION, new.version, {REASON: str(reason)})
    return str(reason)


def _complete(new: Registered) -> None:
    """Write down of a champion that it is one, if its promotion was killed before it could."""
    if REASON not in new.tags:
        reason = "the promotion was killed before it wrote down its reason."
        set_alias(new.name, CHAMPION, new.version, {REASON: reason})


def challenger(name: str) -> Registered:
    """The version to be promoted.

    Raises
    ------
    ModelError
        There is none, or it was not logged by a training run.
    """
    version = registered(CHALLENGER, name)
    if version is None:
        raise ModelError(
            f"model {name} has no version with the alias {CHALLENGER}.",
            hint="train one: clv train --config FILE.toml.",
        )
    missing = {"converged", "measure", "log_sha256", "holdout", "holdout_sha256"} - set(
        version.tags
    )
    if missing:
        raise ModelError(
            f"{version.uri} does not say how it was judged: no tag {', '.join(sorted(missing))}.",
            hint="train it with clv train, which logs a holdout.",
        )
    return version


def _stays(new: Registered, why: Finding, hint: str) -> PromotionError:
    """That a challenger does not take over."""
    return PromotionError(f"{new.uri} stays challenger: {why}", hint=hint, why=why)


def against(new: Registered, old: Registered, theirs: Figures, measure: str) -> Finding:
    """Why the challenger may replace the champion; ``PromotionError`` if it may not."""
    ours, rival = new.metrics[f"{measure}/model"], theirs[f"{measure}/model"]
    figures = {"measure": measure, "new": written(ours, 6), "old": written(rival, 6)}
    later = new.tags.get("as_of", "") > old.tags.get("as_of", "")
    if not is_better(measure, rival, ours) and later:
        tie = "compared" if is_better(measure, ours, rival) else "later_tie"
        return finding(f"promotion.{tie}", **figures)
    if not is_better(measure, ours, rival):
        outcome = "worse" if is_better(measure, rival, ours) else "tie"
        hint = "train on more data or with another config; the champion stays in use."
        raise _stays(new, finding(f"promotion.{outcome}", **figures), hint)
    return finding("promotion.compared", **figures)


def same_holdout(old: Registered, new: Registered) -> Figures:
    """The champion's figures on the challenger's holdout, by fitting its recipe again if need be.

    The champion itself may have seen the holdout, so it is its recipe (the section model of its
    config) that is fitted on what was known at the cutoff.
    """
    if old.tags.get("holdout_sha256") == new.tags["holdout_sha256"]:
        return old.metrics
    try:
        recipe, request = (read_logged(version.run_id, "config.json") for version in (old, new))
    except (ModelError, OSError) as error:
        why = finding("promotion.no_recipe", old=old.uri)
        raise _stays(new, why, f"set the alias {CHAMPION} by hand if you know better.") from error
    config = Config.from_values({**request, "model": recipe["model"]}, Path("config.json"))
    files = config.data.files
    if _digest(files) != new.tags["log_sha256"]:
        why = finding("promotion.log_gone", old=old.uri, files=", ".join(files))
        raise _stays(new, why, "train the challenger again on the log as it is now.")
    return judge_again(config)


def _digest(files: Sequence[str]) -> str | None:
    """Of files, folders and patterns; None if there are none any more."""
    try:
        return digest_of_files(files)
    except (InputError, OSError):
        return None


def judge_again(config: Config) -> Figures:
    """The figures of a recipe on the data and the holdout of ``config``."""
    data = read_training_log(config)
    return judge(data, config).figures()


def best_naive(figures: Figures, measure: str) -> tuple[str, float]:
    """The best naive forecast by ``measure``, and its figure."""
    naive = {
        name.removeprefix(f"{measure}/"): value
        for name, value in figures.items()
        if name.startswith(f"{measure}/") and not name.endswith("/model")
    }
    best = min(naive, key=lambda name: MEASURES[measure](naive[name]))
    return best.replace("_", " "), naive[best]


def is_better(measure: str, ours: float, other: float) -> bool:
    """Whether a figure is closer to perfect than another, by more than rounding."""
    near, far = MEASURES[measure](ours), MEASURES[measure](other)
    return near < far and not math.isclose(near, far, rel_tol=1e-9)
