"""The order of the stages: as stated, as leads went through them, or as their names say."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from clv.errors import InputError
from clv.findings import Finding, finding
from clv.format import listed
from clv.funnel.lead_columns import LeadRecipe, lead_words
from clv.intake.vocabulary import plain

MOST_STAGES = 40


def order_of_stages(
    events: pd.DataFrame, now: pd.Series, recipe: LeadRecipe
) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    """The stages from the first to the win, and what was assumed about them.

    Parameters
    ----------
    events
        lead_id, stage, at.
    now
        The stage or status that each lead has now; missing where none is stated.
    recipe
        How the table is read; its ``stages`` come first.

    Returns
    -------
    stages
        "lead", those between, "won".
    notes
        Which order rests on names alone.

    Raises
    ------
    InputError
        There are too many to be stages, or none of those that are stated.
    """
    dated = [s for s in events["stage"].unique() if s not in ("won", "lost")]
    still = [] if dated else [s for s in now.dropna().unique() if _between(str(s), recipe)]
    names = [str(stage) for stage in (dated or still)]
    if len(names) > MOST_STAGES:
        raise InputError(
            f"the column of stages has {len(names)} different cells, which are no stages.",
            hint="name another by -c stage=COLUMN, or state those that count by stages.",
        )
    if recipe.stages:
        return _stated(recipe, names)
    first = [name for name in names if plain(name) not in ("lead", "created", "new")]
    ordered = sorted(first, key=_rank)
    if dated:
        ahead = _precedence(events, ordered)
        ordered = [ordered[k] for k in np.argsort(-ahead, kind="stable")]
    by_name = all(plain(name) in lead_words()["order"]["stages"] for name in ordered)
    assumed = not dated and not by_name and len(ordered) > 1
    notes = (finding("funnel.order_assumed", stages=ordered),) if assumed else ()
    return ("lead", *ordered, "won"), notes


def _between(cell: str, recipe: LeadRecipe) -> bool:
    return not (recipe.wins(cell) or recipe.loses(cell))


def _stated(recipe: LeadRecipe, names: list[str]) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    theirs = {plain(name): name for name in names}
    chosen = [theirs[plain(name)] for name in recipe.stages if plain(name) in theirs]
    if not chosen:
        raise InputError(
            f"none of the stages {listed(recipe.stages)} is in the table.",
            hint=f"there are {listed(names) if names else 'none'}.",
        )
    others = [name for name in names if name not in chosen]
    notes = (finding("funnel.stages_left_out", stages=others),) if others else ()
    return ("lead", *chosen, "won"), notes


def _rank(name: str) -> int:
    words = lead_words()["order"]["stages"]
    return words.index(plain(name)) if plain(name) in words else len(words)


def _precedence(events: pd.DataFrame, names: list[str]) -> np.ndarray:
    """For each stage, before how many of the others most leads reach it (Copeland's rule)."""
    first = events[events["stage"].isin(names)].groupby(["lead_id", "stage"])["at"].min()
    table = first.unstack().reindex(columns=names).to_numpy(dtype="datetime64[us]")
    ahead = np.zeros(len(names))
    for a, b in combinations(range(len(names)), 2):
        before = (table[:, a] < table[:, b]).sum() - (table[:, a] > table[:, b]).sum()
        ahead[a] += np.sign(before) if before else 1  # else as the names say
        ahead[b] -= np.sign(before) if before else 1
    return ahead
