"""The form of the budget page: budget, sliders, locks, and the plans that its address carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from clv.app.budget_plan import PublishedPlan, Setting
from clv.decide.budget.channel import Channel
from clv.errors import InputError
from clv.format import counted
from clv.store import Store
from clv.web.page.frame import Page
from clv.web.page.sliders import Dial, in_currency, stops

SAVED, OPEN, BUDGET, LOCK = "saved", "open", "budget", "lock"
MOST = 4  # plans side by side, beside the one on the page


@dataclass(frozen=True)
class Control:
    """A channel's slider and lock.

    Attributes
    ----------
    dial
        Its spend: what it is held at, else what the plan proposes.
    field
        What its lock says when it is set.
    locked
        Whether it is.
    """

    dial: Dial
    field: str
    locked: bool


def currency_of(published: PublishedPlan, store: Store) -> str:
    """That of the plan, else that of the store; empty if none is known."""
    return str(published.plan.currency or store.terms.get("currency") or "")


def form_as_sent(store: Store, published: PublishedPlan, page: Page) -> dict[str, Any]:
    """The form as it was sent, where it can be read; else as the plan itself has it."""
    query = dict(page.address.query)
    spends = {channel.name: channel.current or 0.0 for channel in published.channels}
    try:
        setting, saved = read_setting(published, page), saved_settings(page)
        for k, channel in enumerate(published.channels):
            dial = _dial(published, k, spends[channel.name])
            spends[channel.name] = dial.read(query)
    except InputError:
        setting, saved = published.setting, []
    return form(store, published, setting, spends, saved)


def read_setting(published: PublishedPlan, page: Page) -> Setting:
    """What the form says; what the plan itself says where no form was sent.

    A channel is held if its lock is set, and also if its slider was moved.
    """
    query = dict(page.address.query)
    default = published.setting
    if BUDGET not in query:
        return Setting.parse(query[OPEN]) if OPEN in query else default
    locks = {value for name, value in page.address.query if name == LOCK}
    locked = []
    for k, channel in enumerate(published.channels):
        dial = _dial(published, k)
        if dial.name in locks or (dial.name in query and dial.turned(query)):
            locked.append((channel.name, dial.read(query)))
    budget = Dial(BUDGET, "Budget", default.budget, 0.0, *stops(2 * default.budget))
    return Setting(budget.read(query), tuple(locked))


def _dial(published: PublishedPlan, k: int, spend: float = 0.0) -> Dial:
    """The dial of the plan's channel number k, as its form is read."""
    channel = published.channels[k]
    return Dial(_field(channel.name, k), channel.name, spend, 0.0, *_reach(channel, published))


def _field(name: str, k: int) -> str:
    plain = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return f"at.{name if plain else k}"


def _reach(channel: Channel, published: PublishedPlan) -> tuple[float, float]:
    """The end of a channel's slider and its step: the plan's bound, else twice today's spend."""
    high = channel.bounds(published.plan.periods)[1]
    most = high if high < 1e15 else max(2 * (channel.current or 0.0), published.setting.budget)
    return stops(max(most, 1.5 * (channel.current or 0.0)))


def form(
    store: Store,
    published: PublishedPlan,
    setting: Setting,
    spends: Mapping[str, float],
    saved: Sequence[Setting],
) -> dict[str, Any]:
    """Budget, sliders and locks; a channel that is not held shows ``spends``."""
    locked, unit = dict(setting.held), in_currency(currency_of(published, store))
    controls = []
    for k, channel in enumerate(published.channels):
        field, proposed = _field(channel.name, k), spends[channel.name]
        spend = locked.get(channel.name, round(proposed, 0 if proposed >= 1000 else 2))
        top, step = _reach(channel, published)
        top, step = (top, step) if spend <= top else stops(spend)
        dial = Dial(field, channel.name, spend, 0.0, top, step, unit)
        controls.append(Control(dial, field, channel.name in locked))
    most = max(2 * published.setting.budget, setting.budget)
    budget = Dial(BUDGET, "Budget", setting.budget, 0.0, *stops(most), unit, _periods(published))
    keep = [(SAVED, plan.text) for plan in saved]
    fresh = f"/budget?{urlencode(keep)}" if keep else "/budget"
    return {"budget": budget, "controls": controls, "keep": keep, "fresh": fresh}


def _periods(published: PublishedPlan) -> str:
    periods, period = published.plan.periods, published.plan.period
    return f"For one {period}" if periods == 1 else f"For {counted(periods, period)} together"


def saved_settings(page: Page) -> list[Setting]:
    """The plans that the address carries; each once."""
    texts = [value for name, value in page.address.query if name == SAVED]
    return list(dict.fromkeys(Setting.parse(text) for text in texts))[:MOST]


def link_to(setting: Setting, saved: Sequence[Setting]) -> str:
    """The address of a plan with others beside it."""
    pairs = [(OPEN, setting.text), *((SAVED, plan.text) for plan in saved)]
    return f"/budget?{urlencode(pairs)}"


def save_link(setting: Setting, saved: Sequence[Setting]) -> str:
    """Where this plan is saved; empty if it is, or if there is no room."""
    if setting in saved or len(saved) >= MOST:
        return ""
    return link_to(setting, [*saved, setting])
