"""A campaign before its budget: who may be contacted, what offers gain and cost, who is held out.

What does not depend on money is worked out once; ``Campaign.choose`` then answers any budget.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from clv.decide.budget.gain_curve import GainCurve
from clv.decide.retention.actions import (
    WITHIN_WINDOW,
    AnyAction,
    AnyOffer,
    made_to_gone,
    make_actions,
    needed_columns,
    without_if_back,
)
from clv.decide.retention.capacity import choose
from clv.decide.retention.control_group import hold_out, levels, tenths
from clv.decide.retention.eligibility import Rules
from clv.decide.retention.hull import NOBODY, Assignment, Flags, Index, Steps, hull_steps
from clv.decide.retention.offer import OBSTACLES, Levels
from clv.decide.scores import ALIVE, IF_BACK, RISK, STAKE, Scores
from clv.defaults import CONTROL_SHARE, SEED
from clv.errors import InputError
from clv.findings import Finding, finding
from clv.schema import Floats, numbers
from clv.score_columns import PLAN
from clv.shares import check_share

WINDOW = "the campaign's window"
BY_PROFIT = "expected_profit"  # strata that no column of the scores is needed for
EVERYBODY = Rules()
CONTACTED = -1  # as a reason not to be


@dataclass(frozen=True)
class Campaign:
    """What a campaign is planned on, before any budget.

    Parameters
    ----------
    scores
        Of everybody.
    actions
        Every offer to everybody.
    barred
        By reason, whom the rules leave out.
    candidates
        Rows of the scores with an offer that pays and no rule against it, in the order of the
        draw; the arrays below are theirs.
    cost, gain
        Shape (offers, candidates); the gain is -inf where an offer cannot be made.
    draw, held_out
        The draw that breaks ties, and the control group.
    """

    scores: Scores
    actions: tuple[AnyAction, ...]
    barred: Mapping[str, Flags]
    candidates: Index
    cost: Floats
    gain: Floats
    draw: Floats
    held_out: Flags
    control_share: float
    date: dt.date | None

    @classmethod
    def prepare(
        cls,
        table: object,
        offers: AnyOffer | Sequence[AnyOffer],
        *,
        rules: Rules = EVERYBODY,
        control_share: float = CONTROL_SHARE,
        stratify: str | None = None,
        seed: int = SEED,
        date: dt.date | None = None,
    ) -> Campaign:
        """The campaign of these offers; parameters as in :func:`clv.plan_campaign`."""
        offers = tuple(offers) if isinstance(offers, Sequence) else (offers,)
        check_share("control_share", control_share, "[0, 1)")
        needed = (*needed_columns(offers), *rules.columns, *strata_columns(stratify))
        scores = Scores.read(table, needed, (RISK, STAKE, ALIVE, IF_BACK, PLAN))
        day = campaign_day(scores.as_of, date)
        actions, barred = make_actions(scores, offers), rules.barred(scores, day)
        pays: Flags = np.logical_or.reduce([action.gain > action.cost for action in actions])
        for customers in barred.values():
            pays &= ~customers
        by_draw = scores.by_draw(seed)  # so that no sum depends on the order of the scores
        rows = by_draw[pays[by_draw]]
        draw = scores.draw(seed)[rows]
        cost = np.array([action.cost[rows] for action in actions])
        gain = np.array([action.gain[rows] for action in actions])
        gain[gain <= cost] = -np.inf
        strata = _strata(scores, rows, gain - cost, draw, stratify)
        held_out = hold_out(draw, control_share, strata, seed)
        return cls(scores, actions, barred, rows, cost, gain, draw, held_out, control_share, day)

    def holding_out(self, control_share: float, seed: int) -> Campaign:
        """The same with a control group of another size, drawn alone; nothing is sorted anew."""
        held_out = hold_out(self.draw, control_share, None, seed)
        other = replace(self, held_out=held_out, control_share=control_share)
        counted = ~held_out[self.steps.customer]
        same = {"steps": replace(self.steps, counted=counted)}
        vars(other).update(same, _fixed_reasons=self._fixed_reasons)
        return other

    @property
    def capacity(self) -> Floats:
        """Most customers by offer."""
        return np.array([action.capacity for action in self.actions])

    @cached_property
    def terms(self) -> Mapping[str, Any]:
        """Horizon, currency and the like.

        Gains measured within a campaign's window are not over the horizon of the scores.
        """
        terms = self.scores.terms
        window = self.actions[0].basis == WITHIN_WINDOW and "horizon" in terms
        return {**terms, "horizon": WINDOW} if window else terms

    @cached_property
    def steps(self) -> Steps:
        """From offer to dearer offer of all candidates, best first."""
        return hull_steps(self.cost, self.gain, self.draw, self.held_out)

    @cached_property
    def gain_curve(self) -> GainCurve:
        """What a budget of any size would gain, as an option for ``allocate``.

        Every step of a customer's hull is one entry. Where a capacity binds, it is the curve of
        the plan without a budget, customer by customer: what can be had, not the most.
        """
        steps = self.steps
        if np.isfinite(self.capacity).any():
            action = self.choose(np.inf).action
            offered = action == np.arange(len(self.gain))[:, None]
            gain = np.where(offered, self.gain, -np.inf)
            steps = hull_steps(self.cost, gain, self.draw, self.held_out)
        counted = steps.counted
        return GainCurve(
            steps.ratio[counted],
            steps.spent[counted],
            np.cumsum(steps.gain[counted]),
            horizon=self.terms.get("horizon"),
            currency=self.scores.currency,
            notes=(*map(_effect_note, self.actions), *self.in_revenue, *self.as_if_never_left),
        )

    @property
    def in_revenue(self) -> tuple[Finding, ...]:
        """That gains count revenue, where the scores say so and a gain rests on their values."""
        valued = any(action.basis != WITHIN_WINDOW for action in self.actions)
        return (finding("basis.revenue"),) if valued and self.terms.get("margin_rate") == 1 else ()

    @property
    def as_if_never_left(self) -> tuple[Finding, ...]:
        """Of how many customers a save is counted as if they had never left; nothing of none."""
        offers = [action.offer for action in self.actions if made_to_gone(action.offer)]
        lacking = without_if_back(self.scores, offers[0]).sum() if offers else 0
        return (finding("basis.no_if_back", customers=int(lacking)),) if lacking else ()

    def choose(self, budget: float) -> Assignment:
        """The best plan within a budget; infinite for no limit."""
        limits = (budget, self.capacity, self.held_out, self.draw)
        return choose(self.cost, self.gain, *limits, steps=self.steps)

    def audience(self, choice: Assignment) -> int:
        """How many are contacted."""
        return int(np.count_nonzero((choice.action != NOBODY) & ~self.held_out))

    def reasons(self, choice: Assignment, limited: bool) -> tuple[list[str], Levels]:
        """Why customers are not contacted: the reasons, and for each customer a place among them.

        The first reason that holds counts; ``CONTACTED`` for whoever is contacted or held out.
        """
        code = self._fixed_reasons.copy()
        limits = ["the budget"] * limited
        limits += ["the capacity"] * bool(np.isfinite(self.capacity).any())
        texts = [*self.barred, *OBSTACLES[1:], f"beyond {' or '.join(limits)}"]
        code[self.candidates[choice.action == NOBODY]] = len(texts) - 1
        return texts, code

    @cached_property
    def _fixed_reasons(self) -> Levels:
        """The reasons that no budget changes."""
        least = np.minimum.reduce([action.obstacle for action in self.actions])
        code = np.where(least > 0, len(self.barred) + least - 1, CONTACTED).astype(np.int8)
        for k, customers in reversed(list(enumerate(self.barred.values()))):
            code[customers] = k
        return code


def strata_columns(stratify: str | None) -> tuple[str, ...]:
    """The column of the scores that strata are made of, if they are of one.

    Raises
    ------
    InputError
        It differs from customer to customer.
    """
    if stratify == "customer_id":
        raise InputError(
            "customer_id differs from customer to customer: it makes no strata.",
            hint="name a column that many customers share, such as channel.",
        )
    return () if stratify in (None, BY_PROFIT) else (str(stratify),)


def campaign_day(as_of: dt.date | None, date: dt.date | None) -> dt.date | None:
    """The day of a campaign, by default the one after the scores' as_of, None without either.

    Raises
    ------
    InputError
        The scores saw the effect of a campaign of that day.
    """
    if date is None:
        return None if as_of is None else as_of + dt.timedelta(days=1)
    if as_of is not None and date <= as_of:
        raise InputError(
            f"the campaign of {date} is planned on scores as of {as_of}, that saw its effect.",
            hint="give a later date, or scores as of the day before.",
        )
    return date


def _strata(
    scores: Scores, rows: Index, profit: Floats, draw: Floats, stratify: str | None
) -> Index | None:
    if stratify is None:
        return None
    if stratify == BY_PROFIT:
        return tenths(profit.max(axis=0, initial=-np.inf), draw)
    if scores.rows[stratify].dtype.is_numeric():
        return tenths(numbers(scores.rows, stratify, "the scores")[rows], draw)
    return levels(scores.rows[stratify][rows].to_list())


def _effect_note(action: AnyAction) -> Finding:
    """What the gain of an offer rests on."""
    rate = getattr(action.offer, "mean_save_rate", None)
    name = "the retention offer" if action.name == "offer" else action.name
    if rate is None:
        note = finding("basis.effect", offer=name, source=action.source)
    else:
        note = finding("basis.save_rate", offer=name, rate=rate, source=action.source)
    return note.based_on(action.source)
