"""Scores of leads held against what became of them, beside the stage alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from clv.funnel.lead_table import LeadTable, day_after
from clv.funnel.stage_moves import win_model
from clv.schema import Floats

FEWEST = 20  # wins among the leads that were open


@dataclass(frozen=True)
class ScoreBacktest:
    """How well chances ranked the leads that were open at an earlier day.

    Attributes
    ----------
    cutoff
        That day.
    leads, wins
        Open then, and won since.
    auc, auc_stage
        The chance that a lead that was won ranked above one that was not: by the score, and by the
        stage alone, the later the higher.
    better
        Whether the score ranked better beyond chance.

    Examples
    --------
    >>> ScoreBacktest(dt.date(2024, 1, 1), 500, 40, 0.78, 0.7, True).better
    True
    """

    cutoff: dt.date
    leads: int
    wins: int
    auc: float
    auc_stage: float
    better: bool


def backtest_scores(table: LeadTable, share: float = 0.75) -> ScoreBacktest | None:
    """Score the leads as of the day up to which ``share`` of them had come.

    Returns
    -------
    ScoreBacktest
        None if fewer than twenty of the leads that were open then were won since.
    """
    cutoff = table.leads["created"].sort_values().iloc[int(share * (len(table.leads) - 1))].date()
    before = leads_at(table, cutoff)
    still = ~before.won & ~before.leads["lost"].to_numpy(dtype=bool)
    came = (table.leads["created"] < day_after(cutoff)).to_numpy()
    won = table.won[came][still]
    if won.sum() < FEWEST or (~won).sum() < FEWEST or before.won.sum() < FEWEST:
        return None
    chance = win_model(before).of(before)[still]
    stage = before.reached[still].sum(axis=1).astype(float)
    gap, error = _gap(chance, stage, won)
    better = gap > float(norm.ppf(0.95)) * error
    return ScoreBacktest(
        cutoff, int(still.sum()), int(won.sum()), _auc(chance, won), _auc(stage, won), bool(better)
    )


def leads_at(table: LeadTable, day: dt.date) -> LeadTable:
    """The leads as they stood on an earlier day; stages without days are not taken as reached."""
    part = table.where((table.leads["created"] < day_after(day)).to_numpy())
    lost = part.leads["lost_at"].where(part.leads["lost_at"] < day_after(day))
    leads = part.leads.assign(lost_at=lost, lost=lost.notna())
    cut = LeadTable(**{**vars(part), "leads": leads, "as_of": day})
    days = np.where(part.days <= cut.follow_up[:, None], part.days, np.nan)
    return LeadTable(**{**vars(cut), "days": days, "reached": ~np.isnan(days)})


def _auc(score: Floats, won: np.ndarray) -> float:
    return float(_places(score, won)[0].mean())


def _places(score: Floats, won: np.ndarray) -> tuple[Floats, Floats]:
    """The share of the other kind that each lead ranks above: won leads, then the others."""

    def above(these: Floats, others: Floats) -> Floats:
        ordered = np.sort(others)
        low, high = (np.searchsorted(ordered, these, side=side) for side in ("left", "right"))
        return np.asarray((low + high) / (2 * len(ordered)))

    return above(score[won], score[~won]), 1 - above(score[~won], score[won])


def _gap(a: Floats, b: Floats, won: np.ndarray) -> tuple[float, float]:
    """By how much one score's AUC exceeds another's, with its standard error.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44(3).
    """
    pairs = [x - y for x, y in zip(_places(a, won), _places(b, won), strict=True)]
    error = np.sqrt(sum(gap.var(ddof=1) / len(gap) for gap in pairs))
    return float(pairs[0].mean()), float(error)
