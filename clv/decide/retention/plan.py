"""A campaign of several offers: who gets which, who is left alone and why, who is held out.

::

    scores -> rules -> every offer's cost and gain -> control group by chance -> one budget

The control group is drawn first and goes through the same choice as the others, but takes no money
and no place: its ``action`` is the offer that its customers would have got. So whoever is listed
was contacted with the stated ``propensity``, and the list, with the orders that follow, is a
randomised campaign log for :func:`clv.uplift.fit_uplift`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame

from clv.decide.budget.gain_curve import GainCurve
from clv.decide.retention.actions import RATED, AnyOffer
from clv.decide.retention.campaign_summary import PlanSummary, summarise
from clv.decide.retention.checks import (
    CONSTANTS,
    limit,
)
from clv.decide.retention.eligibility import Rules
from clv.decide.retention.ground import EVERYBODY, Ground, not_contacted, prepare
from clv.decide.retention.hull import NOBODY, Choice, Flags, Index, hull_steps
from clv.errors import InputError
from clv.schema import Floats, as_frame, column, require_columns, same_kind

REASONS = ("reason_1", "reason_2", "reason_3")


@dataclass(frozen=True)
class CampaignPlan:
    """A campaign: the list, its totals, and why the others are not on it.

    Parameters
    ----------
    table
        One row per customer of the audience, the most gain per cost first, the same kind of frame
        as the scores: rank, customer_id, action (name of the offer), group ("treat" or
        "control"), treated (1 or 0), propensity, date, churn_probability and value_at_stake (if
        the scores have them), cost, expected_gain, gain_low, gain_high, expected_profit,
        gain_per_cost, break_even_save_rate, save_rate (both null where the gain is measured),
        save_rate_source, the reasons given, and the constants of the scores. The control group is
        not contacted: its cost, gains and profit are 0, its action is the one forgone.
    summary
        Totals, intervals, what a bigger budget would earn, and findings in words.
    """

    table: Any
    summary: PlanSummary
    ground: Ground = field(repr=False)
    choice: Choice = field(repr=False)
    like: Any = field(repr=False)

    @cached_property
    def eligibility(self) -> Any:
        """Everybody: customer_id, status ("treat", "control", "not contacted"), reason if not."""
        ground, rows = self.ground, self.ground.rows
        status = np.full(len(rows), "not contacted", dtype=object)
        chosen = self.choice.action != NOBODY
        status[ground.at[chosen]] = np.where(ground.held_out[chosen], "control", "treat")
        reason = np.full(len(rows), None, dtype=object)
        reason[ground.at[chosen & ground.held_out]] = "held out by chance"
        for why, whom in not_contacted(ground, self.choice, self.summary.budget).items():
            reason[whom] = why
        table = rows.select(
            nw.col("customer_id"),
            column(rows, "status", status.tolist(), nw.String),
            column(rows, "reason", reason.tolist(), nw.String),
        )
        return same_kind(table, self.like)

    @cached_property
    def gain_curve(self) -> GainCurve:
        """What a budget of any size would gain, as an option for ``allocate``.

        Every step of a customer's hull is one entry. Where a capacity binds, it is the curve of
        the plan without a budget, customer by customer: what can be had, not the most.
        """
        ground = self.ground
        counted = ~ground.held_out
        cost, gain = ground.cost[:, counted], ground.gain[:, counted]
        if np.isfinite(ground.capacity).any():
            action = ground.choose(np.inf).action[counted]
            gain = np.where(action == np.arange(len(gain))[:, None], gain, -np.inf)
        steps = hull_steps(cost, gain, ground.draw[counted])
        stated = ground.constants
        return GainCurve.of(
            steps.cost,
            steps.gain,
            horizon=stated.get("horizon"),
            currency=stated.get("currency"),
            notes=tuple(f"The effect of {a.name} is {a.source}." for a in ground.actions),
        )


def plan_campaign(
    scores: IntoFrame,
    offers: AnyOffer | Sequence[AnyOffer],
    budget: float | None = None,
    *,
    rules: Rules = EVERYBODY,
    control_share: float = 0.1,
    stratify: str | None = None,
    seed: int = 0,
    date: dt.date | None = None,
    reasons: IntoFrame | None = None,
) -> CampaignPlan:
    """Who should get which offer within one budget, and who is held out.

    Each customer's offers enter by their upper hull of gain against cost; all steps are funded
    from the steepest down, see ``clv.decide.retention.hull``. A capacity adds a price for each
    place, see ``clv.decide.retention.capacity``. Nobody whom an offer would lose is contacted
    with it. The plan never exceeds budget or capacity and never earns less than one of its
    offers alone.

    Parameters
    ----------
    scores
        Any dataframe with customer_id, for assumed save rates also churn_probability and
        value_at_stake, and whatever the rules read.
    offers
        ``Offer`` (its save rate is assumed or measured) and ``MeasuredOffer`` (the gain of each
        customer is measured), in any mixture.
    budget
        Money for the campaign, in currency. None: everybody who pays.
    rules
        Whom not to contact.
    control_share
        Chance of being held out.
    stratify
        Hold out the same share of every level (of every tenth, for a number) of this column of the
        scores, or of "expected_profit". None: everybody is drawn alone, by id and seed.
    seed
        Another seed draws another control group.
    date
        Day of the campaign; by default the day after the scores' as_of.
    reasons
        What ``churn_reasons`` gave, to be shown beside each customer.

    Raises
    ------
    ColumnError, RowError, InputError
        A column is missing, a value makes no sense, an id is repeated, constants are mixed, or the
        budget, control share or date make no sense.

    Examples
    --------
    >>> import pandas as pd
    >>> from clv.decide.retention.offer import Offer
    >>> scores = pd.DataFrame({
    ...     "customer_id": ["ann", "bob", "cem", "dia"],
    ...     "churn_probability": [0.9, 0.5, 0.4, 0.6],
    ...     "value_at_stake": [20.0, 200.0, 10.0, 100.0],
    ... })
    >>> letter = Offer(contact_cost=2, save_rate=0.2, name="letter")
    >>> call = Offer(contact_cost=8, save_rate=0.4, name="call")
    >>> plan = plan_campaign(scores, [letter, call], budget=10, control_share=0)
    >>> plan.table[["rank", "customer_id", "action", "cost", "expected_profit"]]
       rank customer_id  action  cost  expected_profit
    0     1         dia  letter   2.0             10.0
    1     2         bob    call   8.0             32.0
    >>> plan.eligibility["reason"].tolist()[2]
    "no offer's expected gain exceeds its cost"
    """
    several = tuple(offers) if isinstance(offers, Sequence) else (offers,)
    money = limit(budget)
    ground = prepare(scores, several, rules, control_share, stratify, seed, date)
    choice = ground.choose(money)
    why = {k: int(v.sum()) for k, v in not_contacted(ground, choice, budget).items()}
    summary = summarise(ground, choice, money, {k: n for k, n in why.items() if n})
    table = _table(ground, choice, reasons)
    return CampaignPlan(same_kind(table, scores), summary, ground, choice, scores)


def _table(ground: Ground, choice: Choice, reasons: IntoFrame | None) -> nw.DataFrame[Any]:
    chosen = np.flatnonzero(choice.action != NOBODY)
    action = choice.action[chosen]
    cost, gain = ground.cost[action, chosen], ground.gain[action, chosen]
    with np.errstate(divide="ignore", over="ignore"):
        ratio = gain / cost
    best = np.lexsort((ground.draw[chosen], -ratio))
    chosen, action, ratio = chosen[best], action[best], ratio[best]
    at, held = ground.at[chosen], ground.held_out[chosen]
    rows = ground.rows[at]
    told = [name for name in RATED if name in rows.columns]
    constants = [nw.col(name) for name in rows.columns if name in CONSTANTS and name != "horizon"]
    if "horizon" in rows.columns:
        constants = [nw.lit(ground.constants["horizon"]).alias("horizon"), *constants]
    named = [ground.actions[k].name for k in action.tolist()]
    table = rows.select(
        column(rows, "rank", np.arange(1, len(at) + 1), nw.Int64),
        nw.col("customer_id"),
        column(rows, "action", named, nw.String),
        column(rows, "group", np.where(held, "control", "treat").tolist(), nw.String),
        column(rows, "treated", (~held).astype(np.int64), nw.Int64),
        nw.lit(1 - ground.control_share).alias("propensity"),
        nw.lit(ground.date, dtype=nw.Date).alias("date"),
        *(nw.col(name) for name in told),
        *_money(ground, rows, at, action, held),
        column(rows, "gain_per_cost", ratio, nw.Float64),
        *_rates(ground, rows, at, action),
        *constants,
    )
    return table if reasons is None else _with_reasons(table, reasons)


def _of(ground: Ground, name: str, at: Index, action: Index) -> Floats:
    """An array of the actions at the chosen one of each row."""
    out = np.empty(len(at))
    for k, offered in enumerate(ground.actions):
        out[action == k] = getattr(offered, name)[at[action == k]]
    return out


def _money(
    ground: Ground, rows: nw.DataFrame[Any], at: Index, action: Index, held: Flags
) -> list[nw.Series[Any]]:
    names = {"cost": "cost", "expected_gain": "gain"}
    names |= {"gain_low": "gain_low", "gain_high": "gain_high"}
    money = {k: np.where(held, 0.0, _of(ground, v, at, action)) for k, v in names.items()}
    money["expected_profit"] = money["expected_gain"] - money["cost"]
    return [column(rows, name, values, nw.Float64) for name, values in money.items()]


def _rates(
    ground: Ground, rows: nw.DataFrame[Any], at: Index, action: Index
) -> list[nw.Series[Any]]:
    rate = np.array([getattr(a.offer, "mean_save_rate", np.nan) for a in ground.actions])
    source = [ground.actions[k].source for k in action.tolist()]
    even = _of(ground, "break_even", at, action)
    return [
        column(rows, "break_even_save_rate", even, nw.Float64),
        column(rows, "save_rate", rate[action] if len(action) else np.empty(0), nw.Float64),
        column(rows, "save_rate_source", source, nw.String),
    ]


def _with_reasons(table: nw.DataFrame[Any], reasons: IntoFrame) -> nw.DataFrame[Any]:
    """The reasons of the listed customers, null for those without."""
    import pandas as pd

    frame = as_frame(reasons, "the reasons")
    require_columns(frame, ("customer_id", REASONS[0]), "the reasons")
    present = [name for name in REASONS if name in frame.collect_schema().names()]
    given = frame.select("customer_id", *present).collect()
    ids = pd.Index(given["customer_id"].to_list())
    place = ids.get_indexer_for(table["customer_id"].to_list()) if ids.is_unique else None
    if place is None:
        raise InputError("customer_id is repeated in the reasons.", hint="one row a customer.")
    for name in present:
        texts = [*given[name].to_list(), None]
        told = [texts[at] for at in place.tolist()]  # -1, not found, is the None at the end
        table = table.with_columns(column(table, name, told, nw.String))
    return table
