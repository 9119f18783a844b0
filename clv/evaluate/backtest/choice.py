"""Which purchase model to use: chosen by a rolling origin, and said why in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from clv.errors import FitError, InputError
from clv.evaluate.backtest.origin import CANDIDATES, origins, plain, spaced_cutoffs
from clv.evaluate.backtest.rolling import RollingOrigin
from clv.findings import Finding, finding, saved
from clv.forecast.adoption import POOLED
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
        Findings: the comparison among models, with the naive forecasts, with the pool.
    log_scores
        Mean log score by forecaster; lower is better. Empty where nothing could be compared.
    """

    name: str
    reasons: tuple[Finding, ...]
    log_scores: Mapping[str, float]

    @property
    def title(self) -> str:
        """What the model is called in print."""
        return TITLES[self.name]

    def __str__(self) -> str:
        return "\n".join(map(str, self.reasons))

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        scores = {name: None if np.isnan(s) else s for name, s in self.log_scores.items()}
        return {"model": self.name, "reasons": saved(self.reasons), "log_scores": scores}


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
    reasons += [*_against_naive(TITLES[name], rolling), *_against_pool(name, scores, rolling)]
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
    sampled = finding("choice.sampled", customers=customers, all=of)
    return replace(choice, reasons=(*choice.reasons, sampled))


def unjudged(why: str) -> ModelChoice:
    """The simplest model, where there is nothing to choose by."""
    reason = finding("choice.unjudged", model=TITLES[SIMPLEST], why=why)
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
) -> Finding:
    ours, theirs = (scores[TITLES[each]] for each in (name, best))
    same: dict[str, Any] = {"model": TITLES[name], "score": ours}
    same |= {"cutoffs": len(rolling.origins), "days": rolling.days}
    if all(behind <= SAME for behind, _ in gaps.values()):
        return finding("choice.same", **same)
    if name == best:
        return finding("choice.best", **same)
    error = max(gaps[name][1], SAME)
    return finding("choice.simpler", **same, best=TITLES[best], theirs=theirs, error=error)


def _against_naive(title: str, rolling: RollingOrigin) -> Iterator[Finding]:
    """On what the model beats every naive forecast, and on what it does not, by whom."""
    compared = False
    for what, measure, words, sign in CONTESTS:
        ours, theirs, rival = beside_naive(title, rolling, what, measure, sign)
        if rival:
            compared = True
            code = "choice.beats_naive" if sign * (ours - theirs) > CLEARLY else "choice.naive_wins"
            yield finding(code, model=title, contest=words, ours=ours, theirs=theirs, rival=rival)
    if not compared:
        yield finding("choice.no_naive")


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


def _against_pool(name: str, scores: Mapping[str, float], rolling: RollingOrigin) -> list[Finding]:
    """Whether the pool does better; none where it did not take part everywhere."""
    if np.isnan(scores.get(POOLED, np.nan)):
        return []
    if len(rolling.of_forecaster(POOLED)) < len(rolling.origins):
        return [finding("choice.pool_left_out", pool=POOLED)]
    behind, error = gap(rolling, POOLED, TITLES[name])
    verdict = "level" if abs(behind) <= error else "better" if behind < 0 else "worse"
    figures = {"ours": scores[POOLED], "theirs": scores[TITLES[name]], "error": error}
    return [finding(f"choice.pool_{verdict}", pool=POOLED, model=TITLES[name], **figures)]
