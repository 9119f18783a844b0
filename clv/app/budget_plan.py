"""A published budget plan, what people set in it, and what follows; nothing is kept but look-ups.

The document ``plan`` has the fields of a plan file (see
``clv.app.plan_files.plan_file``) that names no files: its retention is an offer to the
customers of the store.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from clv.app.contents.plan import checked
from clv.app.plan_gains import DOCUMENT as DRAWS_OF_PLAN
from clv.app.plan_gains import PlanDraws, PlanMarket
from clv.app.requests import PlanBody
from clv.app.retention import Recent, campaign, may_contact
from clv.decide.budget.allocate import allocate
from clv.decide.budget.allocation import Allocation
from clv.decide.budget.channel import Channel
from clv.decide.budget.gain_curve import GainCurve
from clv.decide.budget.modes import Target
from clv.decide.budget.scenarios import ConstraintCost, constraint_costs
from clv.errors import InputError, PlanError
from clv.store import Store

DOCUMENT = "plan"
SOLVED = 64  # plans that are kept
LONGEST = 2000  # characters of a saved plan


@dataclass(frozen=True)
class Setting:
    """What somebody set: the budget, and channels held at a spend, in the order of the plan.

    >>> setting = Setting(22_000, (("paid search", 14_000),))
    >>> setting.text, Setting.parse(setting.text) == setting
    ('22000;paid%20search=14000', True)
    """

    budget: float
    held: tuple[tuple[str, float], ...] = ()

    @property
    def text(self) -> str:
        """The setting as an address carries it."""
        return ";".join([written(self.budget), *(f"{quote(n)}={written(s)}" for n, s in self.held)])

    @classmethod
    def parse(cls, text: str) -> Setting:
        """The setting that ``text`` says; ``InputError`` if it says none."""
        budget, *held = text[:LONGEST].split(";")
        try:
            pairs = [part.split("=") for part in held if part]
            setting = cls(float(budget), tuple((unquote(n), float(s)) for n, s in pairs))
        except ValueError as error:
            raise _unreadable(text) from error
        amounts = [setting.budget, *(spend for _, spend in setting.held)]
        if not all(0 <= amount < math.inf for amount in amounts):
            raise _unreadable(text)
        return setting


def _unreadable(text: str) -> InputError:
    return InputError(f"{text[:40]!r} is no saved plan.", hint="save the plan again from the page.")


@dataclass(frozen=True)
class PublishedPlan:
    """The plan of a store.

    Attributes
    ----------
    plan
        As it was published.
    channels
        As ``allocate`` takes them, all free to move within their bounds and step caps.
    retention
        What keeping customers would gain; None if that is no part of the plan.
    draws
        Of the curves and values, where they were estimated.
    """

    plan: PlanBody
    channels: tuple[Channel, ...]
    retention: GainCurve | None
    draws: PlanDraws | None = None

    @property
    def target(self) -> Target | None:
        """What the plan is for, beside profit."""
        return self.plan.to_target()

    @property
    def setting(self) -> Setting:
        """What the plan itself says."""
        today = {c.name: c.current for c in self.channels}
        locked = [c.name for c in self.plan.channels if c.locked]
        held = tuple((name, float(today[name] or 0.0)) for name in locked)
        return Setting(self._budget(), held)

    def with_held(self, held: Mapping[str, float]) -> list[Channel]:
        """The channels, some of them held at a spend."""
        unknown = sorted(set(held) - {c.name for c in self.channels})
        if unknown:
            raise PlanError(f"the plan has no channel {unknown[0]!r}.", hint="save the plan anew.")
        return [
            replace(c, lo=held[c.name], hi=held[c.name]) if c.name in held else c
            for c in self.channels
        ]

    def _budget(self) -> float:
        if self.plan.budget is not None:
            return float(self.plan.budget)
        if today := sum(c.current or 0.0 for c in self.channels):
            return today
        best = allocate(self.channels, None, self.retention, periods=self.plan.periods)
        return sum(best.spend.values()) + best.retention_spend


@dataclass(frozen=True)
class Solved:
    """The best plan of a setting, what its constraints cost, and what is chosen from."""

    setting: Setting
    channels: tuple[Channel, ...]
    allocation: Allocation
    costs: tuple[ConstraintCost, ...]
    market: PlanMarket

    @property
    def spent(self) -> float:
        """On all channels and on retention."""
        return sum(self.allocation.spend.values()) + self.allocation.retention_spend


_solved = Recent(SOLVED)


def published(store: Store) -> PublishedPlan | None:
    """The plan of a store; None if none was published.

    Raises
    ------
    InputError
        What was published as a plan is none.
    """
    document = store.document(DOCUMENT)
    if document is None:
        return None
    hint = "see clv.app.plan_files.plan_file for what a plan may hold, and publish it again."
    plan = checked(document, "the published plan", hint)
    free = [c.model_copy(update={"locked": False}) for c in plan.channels]
    channels = tuple(c.build(plan.horizon, plan.step) for c in free)
    draws = PlanDraws.read(store.document(DRAWS_OF_PLAN))
    return PublishedPlan(plan, channels, _retention(store, plan), draws)


def solve(store: Store, published: PublishedPlan, setting: Setting) -> Solved:
    """The best plan of a setting, with what its constraints cost.

    Raises
    ------
    PlanError
        No plan can do what was set; it says why.
    """
    currency = str(published.plan.currency or store.terms.get("currency") or "")
    return _solved.get((store.path, setting), lambda: _solve(published, setting, currency))


def _solve(published: PublishedPlan, setting: Setting, currency: str) -> Solved:
    channels = published.with_held(dict(setting.held))
    plan, target = published.plan, published.target
    best = allocate(
        channels,
        setting.budget,
        published.retention,
        _today(published, channels),
        target=target,
        periods=plan.periods,
        currency=currency,
        period=plan.period,
    )
    costs = constraint_costs(
        channels,
        setting.budget,
        published.retention,
        target=target,
        periods=plan.periods,
        currency=currency,
    )
    offer = plan.retention if published.retention is not None else None
    market = PlanMarket(channels, published.retention, offer, target, plan.periods, published.draws)
    return Solved(setting, tuple(channels), best, costs, market)


def _today(published: PublishedPlan, channels: Sequence[Channel]) -> dict[str, float] | None:
    """Today's spend with that on retention, as ``Plan.current`` has it."""
    spend = {c.name: c.current for c in channels if c.current is not None}
    retention = published.plan.retention.current if published.plan.retention else None
    if retention is None or len(spend) < len(channels):
        return None
    return {**spend, "retention": retention}


def _retention(store: Store, plan: PlanBody) -> GainCurve | None:
    body = plan.retention
    if body is None or not store.count(may_contact(store)):
        return None
    return campaign(store, body.offer(), body.control_share, body.seed).gain_curve


def written(value: float) -> str:
    """A number as a field of a form has it, to the cent.

    >>> written(12_340.0), written(0.5), written(1 / 3)
    ('12340', '0.5', '0.33')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".")
