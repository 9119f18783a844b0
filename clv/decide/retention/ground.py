"""What a campaign is planned on: who may be contacted, and what each offer gains and costs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame

from clv.decide.retention.actions import ALIVE, RATED, Action, AnyOffer, act, needed_columns
from clv.decide.retention.capacity import choose
from clv.decide.retention.checks import (
    CONSTANTS,
    WITHIN_WINDOW,
    check_customers,
    check_one_value,
)
from clv.decide.retention.eligibility import Rules
from clv.decide.retention.holdout import check_share, draw_by_id, hold_out, levels, tenths
from clv.decide.retention.hull import NOBODY, Choice, Flags, Index
from clv.errors import InputError
from clv.schema import Floats, collect, numbers

SLEEPING = "every offer is expected to lose more than it keeps"


TOO_LITTLE = "no offer's expected gain exceeds its cost"


WINDOW = "the campaign's window"


BY_PROFIT = "expected_profit"  # strata that no column of the scores is needed for


EVERYBODY = Rules()


Reasons = Mapping[str, Flags]


@dataclass(frozen=True)
class Ground:
    """What a campaign is planned on, before any budget.

    Parameters
    ----------
    rows
        The scores.
    actions
        Every offer to every customer of them.
    barred
        By reason, whom the rules leave out.
    at
        Rows of the customers with an offer that pays; the arrays below are theirs.
    cost, gain
        Shape (offers, customers); the gain is -inf where an offer cannot be made.
    draw, held_out
        The draw that breaks ties, and the control group.
    """

    rows: nw.DataFrame[Any]
    actions: tuple[Action, ...]
    barred: Reasons
    at: Index
    cost: Floats
    gain: Floats
    draw: Floats
    held_out: Flags
    control_share: float
    date: dt.date | None

    @property
    def capacity(self) -> Floats:
        """Most customers by offer."""
        return np.array([action.capacity for action in self.actions])

    @property
    def constants(self) -> dict[str, Any]:
        """Horizon, currency and the like, from the first row.

        Gains measured within a campaign's window are not over the horizon of the scores.
        """
        found = {name: self.rows[name][0] for name in self.rows.columns if name in CONSTANTS}
        window = self.actions[0].basis == WITHIN_WINDOW
        return found | ({"horizon": WINDOW} if window and "horizon" in found else {})

    def choose(self, budget: float) -> Choice:
        """The best plan within a budget."""
        return choose(self.cost, self.gain, budget, self.capacity, self.held_out, self.draw)


def prepare(
    scores: IntoFrame,
    offers: tuple[AnyOffer, ...],
    rules: Rules,
    control_share: float,
    stratify: str | None,
    seed: int,
    date: dt.date | None,
) -> Ground:
    """The checked scores with all offers, rules and the control group."""
    check_share(control_share)
    names = tuple(dict.fromkeys((*needed_columns(offers), *rules.columns, *_column(stratify))))
    optional = [name for name in (*RATED, ALIVE, *CONSTANTS) if name not in names]
    rows = collect(scores, ("customer_id", *names), "the scores", optional)
    check_customers(rows)
    check_one_value(rows)
    day = _day(rows, date)
    actions, barred = act(rows, offers), rules.barred(rows, day)
    cost = np.array([action.cost for action in actions])
    gain = np.array([action.gain for action in actions])
    worth = (gain > cost).any(axis=0)
    for whom in barred.values():
        worth &= ~whom
    at = np.flatnonzero(worth)
    cost, gain = cost[:, at], np.where(gain > cost, gain, -np.inf)[:, at]
    draw = draw_by_id(rows["customer_id"][at].to_list(), seed)
    layers = _strata(rows, at, gain - cost, draw, stratify)
    held_out = hold_out(draw, control_share, layers, seed)
    return Ground(rows, actions, barred, at, cost, gain, draw, held_out, control_share, day)


def not_contacted(ground: Ground, choice: Choice, budget: float | None) -> Reasons:
    """By reason, who of the scores is not contacted; the first reason that holds counts."""
    n = len(ground.rows)
    free = np.ones(n, dtype=bool)
    found: dict[str, Flags] = {}

    def take(reason: str, whom: Flags) -> None:
        found[reason] = whom & free
        free[whom] = False

    for reason, whom in ground.barred.items():
        take(reason, whom)
    most = np.max([action.gain for action in ground.actions], axis=0)
    take(SLEEPING, most < 0)
    worth = np.zeros(n, dtype=bool)
    worth[ground.at] = True
    take(TOO_LITTLE, ~worth)
    beyond = np.zeros(n, dtype=bool)
    beyond[ground.at[choice.action == NOBODY]] = True
    limits = ["the budget"] * (budget is not None)
    limits += ["the capacity"] * bool(np.isfinite(ground.capacity).any())
    take(f"beyond {' or '.join(limits)}", beyond)
    return {reason: whom for reason, whom in found.items() if whom.any()}


def _day(rows: nw.DataFrame[Any], date: dt.date | None) -> dt.date | None:
    """The day of the campaign, after the day that the scores are as of."""
    known = rows["as_of"][0] if "as_of" in rows.columns else None
    as_of = None if known is None else dt.date.fromisoformat(str(known)[:10])
    if date is None:
        return None if as_of is None else as_of + dt.timedelta(days=1)
    if as_of is not None and date <= as_of:
        raise InputError(
            f"the campaign of {date} is planned on scores as of {as_of}, that saw its effect.",
            hint="give a later date, or scores as of the day before.",
        )
    return date


def _column(stratify: str | None) -> tuple[str, ...]:
    """The column of the scores that strata are made of, if they are."""
    if stratify == "customer_id":
        raise InputError(
            "customer_id differs from customer to customer: it makes no strata.",
            hint="name a column that many customers share, such as channel.",
        )
    return () if stratify in (None, BY_PROFIT) else (str(stratify),)


def _strata(
    rows: nw.DataFrame[Any], at: Index, profit: Floats, draw: Floats, stratify: str | None
) -> Index | None:
    if stratify is None:
        return None
    if stratify == BY_PROFIT:
        return tenths(profit.max(axis=0, initial=-np.inf), draw)
    if rows[stratify].dtype.is_numeric():
        return tenths(numbers(rows, stratify, "the scores")[at], draw)
    return levels(rows[stratify][at].to_list())
