"""Which purchase model to use: chosen by a rolling origin, and said why in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from clv.errors import FitError, InputError
from clv.evaluate.backtest.origin import CANDIDATES, origins, plain, spaced_cutoffs
from clv.evaluate.backtest.rolling import RollingOrigin
from clv.forecast.adoption import POOLED
from clv.format import count as format_count
from clv.format import number
from clv.io.spark_batches import is_spark, sample_on_spark
from clv.periods import Duration, Unit
from clv.probability.models import TITLES
from clv.schema import Floats

SIMPLEST = CANDIDATES[0]
SAME = 1e-4  # log scores closer than this are the same for any use
ON_SPARK = 200_000  # customers of a log on Spark that come to the driver, to be compared on
CLEARLY = 5e-4  # by less than this nobody is called better
CONTESTS = (  # what, measure, in words, and whether more (1) or less (-1) of it is better
    ("purchases", "log_score", "log score", -1),
    ("purchases", "gini", "ranking by purchases", 1),
    ("money", "gini", "ranking by money", 1),
)
Gap = tuple[float, float]  # how far a log score lies above another, and its standard error


@dataclass(frozen=True)
class ModelChoice:
    """A purchase model, and why it is that one.

    Attributes
    ----------
    name
        Of the model, as in ``clv.probability.models``.
    reasons
        Sentences: the comparison among models, with the naive forecasts, with the pool.
    log_scores
        Mean log score by forecaster; lower is better. Empty where nothing could be compared.
    """

    name: str
    reasons: tuple[str, ...]
    log_scores: Mapping[str, float]

    @property
    def title(self) -> str:
        """What the model is called in print."""
        return TITLES[self.name]

    def __str__(self) -> str:
        return "\n".join(self.reasons)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        scores = {name: None if np.isnan(s) else s for name, s in self.log_scores.items()}
        return {"model": self.name, "reasons": list(self.reasons), "log_scores": scores}


def choose(rolling: RollingOrigin) -> ModelChoice:
    """The purchase model with the best log score, or a simpler one that is as good.

    As good means: behind by less than one standard error. That is the larger one of two, over
    customers (each with all its cutoffs) and over cutoffs, as either alone says too little: many
    customers share one season, and a few cutoffs may agree by chance.
    """
    scores = mean_log_scores(rolling)
    best = min(rolling.candidates, key=lambda name: scores[TITLES[name]])
    gaps = {name: gap(rolling, TITLES[name], TITLES[best]) for name in rolling.candidates}
    name = next(
        candidate for candidate, (behind, error) in gaps.items() if behind <= max(error, SAME)
    )
    reasons = [_among_models(name, best, gaps, scores, rolling)]
    reasons += [_against_naive(TITLES[name], rolling), *_against_pool(name, scores, rolling)]
    return ModelChoice(name, tuple(reasons), scores)


def choose_purchase_model(
    log: Any, unit: Unit = "week", count: int = 3, length: str | Duration | None = None
) -> ModelChoice:
    """Choose on a clean log, by a rolling origin of the purchase models and the naive forecasts.

    Parameters
    ----------
    log
        A clean log (customer_id, date, amount). On Spark, 200,000 of its customers are compared.
    unit
        Time unit of the models.
    count, length
        Of the cutoffs and the holdouts, see :func:`clv.evaluate.backtest.spaced_cutoffs`.

    Returns
    -------
    ModelChoice
        The simplest model, with the reason, where the log is too short or too thin to choose.
    """
    known, customers, of = sample_on_spark(log, ON_SPARK) if is_spark(log) else (log, 0, 0)
    rows = plain(known)
    first, last = (day.date() for day in (rows["date"].min(), rows["date"].max()))
    try:
        cutoffs, days = spaced_cutoffs(first, last, count, length)
        known_origins = origins(rows, cutoffs, days, unit)
        rolling = RollingOrigin.from_origins(known_origins, with_pool=False, with_money=False)
        choice = choose(rolling)
    except (InputError, FitError) as error:
        return unjudged(error.message)
    if customers == of:
        return choice
    sampled = f"It was compared on {format_count(customers)} of {format_count(of)} customers."
    return replace(choice, reasons=(*choice.reasons, sampled))


def unjudged(why: str) -> ModelChoice:
    """The simplest model, where there is nothing to choose by."""
    reason = f"{TITLES[SIMPLEST]}, the simplest model: there is no backtest to choose by, as {why}"
    return ModelChoice(SIMPLEST, (reason,), {})


def mean_log_scores(rolling: RollingOrigin) -> dict[str, float]:
    """Mean over the cutoffs by forecaster; NaN where one has none at some cutoff."""
    rows = rolling.table[rolling.table["what"] == "purchases"]
    mean = rows.groupby("forecast", sort=False)["log_score"].agg(lambda s: s.mean(skipna=False))
    return {str(name): float(score) for name, score in mean.items()}


def gap(rolling: RollingOrigin, name: str, other: str) -> Gap:
    """How much larger, so worse, the log score of ``name`` is than that of ``other``; its error."""
    apart = [
        pd.Series(_scores(judged) - _scores(rival), index=origin.calibration.summary["customer_id"])
        for (origin, judged), (_, rival) in zip(
            rolling.of_forecaster(name), rolling.of_forecaster(other), strict=True
        )
    ]
    by_cutoff = np.array([judged.mean() for judged in apart])
    shares = pd.concat([(judged - judged.mean()) / len(judged) for judged in apart]) / len(apart)
    over_customers = float(np.sqrt((shares.groupby(level=0).sum() ** 2).sum()))
    several = len(by_cutoff) > 1
    over_cutoffs = by_cutoff.std(ddof=1) / np.sqrt(len(by_cutoff)) if several else 0.0
    return float(by_cutoff.mean()), max(over_customers, float(over_cutoffs))


def _scores(judged: Any) -> Floats:
    score: Floats | None = judged.log_score
    if score is None:
        raise InputError(
            f"{judged.forecast.name} gave no distribution of purchases at some cutoff."
        )
    return score


def _among_models(
    name: str,
    best: str,
    gaps: Mapping[str, Gap],
    scores: Mapping[str, float],
    rolling: RollingOrigin,
) -> str:
    where = f"over {len(rolling.origins)} cutoffs with {rolling.days} days after each"
    if all(behind <= SAME for behind, _ in gaps.values()):
        return (
            f"{TITLES[name]}: all purchase models have the same log score {where}, "
            f"{number(scores[TITLES[name]], 4)}, and it is the simplest."
        )
    others = [
        f"{TITLES[candidate]} {_behind(*gaps[candidate])}"
        for candidate in gaps
        if candidate not in (name, best)
    ]
    rest = f" ({'; '.join(others)})" if others else ""
    ours, theirs = (number(scores[TITLES[each]], 4) for each in (name, best))
    if name == best:
        return f"{TITLES[name]}: the best log score, {ours}, {where}{rest}."
    _, error = gaps[name]
    return (
        f"{TITLES[name]}: its log score {where}, {ours}, is as good as the best one, "
        f"{TITLES[best]}'s {theirs} (level within ±{number(max(error, SAME), 4)}), "
        f"and it is the simpler model{rest}."
    )


def _behind(behind: float, error: float) -> str:
    """How far a score lies behind the best, in words; level where it is chance."""
    if behind <= max(error, SAME):
        return "level with the best"
    return f"{number(behind, 4)} behind the best, ±{number(error, 4)}"


def _against_naive(title: str, rolling: RollingOrigin) -> str:
    """On what the model beats every naive forecast, and on what it does not, by whom."""
    won: list[str] = []
    lost: list[str] = []
    for what, measure, words, sign in CONTESTS:
        ours, theirs, rival = beside_naive(title, rolling, what, measure, sign)
        sentence = f"{words} ({number(ours, 3)} against {number(theirs, 3)}, {rival})"
        if rival:
            (won if sign * (ours - theirs) > CLEARLY else lost).append(sentence)
    return _comparison(title, won, lost)


def beside_naive(
    title: str, rolling: RollingOrigin, what: str, measure: str, sign: int
) -> tuple[float, float, str]:
    """A model's figure over all cutoffs, the best naive one (by sign), and whose it is."""
    means = rolling.means()
    rows = means[means["what"] == what].set_index("forecast")
    ours, naive = float(rows[measure][title]), rows[measure][rows["naive"]].dropna()
    if naive.empty:
        return ours, float("nan"), ""
    best = str((sign * naive).idxmax())
    return ours, float(naive[best]), best


def _comparison(title: str, won: list[str], lost: list[str]) -> str:
    sentences = []
    if won:
        sentences.append(f"{title} beats every naive forecast on {', '.join(won)}.")
    if lost:
        sentences.append(f"A naive forecast is as good or better on {', '.join(lost)}.")
    return " ".join(sentences) or "No naive forecast has a distribution to compare with."


def _against_pool(name: str, scores: Mapping[str, float], rolling: RollingOrigin) -> list[str]:
    """Whether the pool does better; none where it did not take part everywhere."""
    if np.isnan(scores.get(POOLED, np.nan)):
        return []
    if len(rolling.of_forecaster(POOLED)) < len(rolling.origins):
        return [f"The {POOLED} had too little to learn from at some cutoffs, so it is left out."]
    behind, error = gap(rolling, POOLED, TITLES[name])
    ours, theirs = number(scores[POOLED], 4), number(scores[TITLES[name]], 4)
    figures = f"log score {ours} against {theirs}, ±{number(error, 4)}"
    if abs(behind) <= error:
        return [f"The {POOLED} and {TITLES[name]} are level ({figures})."]
    return [f"The {POOLED} is {'better' if behind < 0 else 'worse'} ({figures})."]
