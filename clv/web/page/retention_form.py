"""The form of the retention page: its dials, its save rate, and the campaign that they make."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from clv.app.retention import (
    campaign,
    campaign_by_effects,
    campaign_measured,
    measured_gone_rate,
)
from clv.decide.retention.campaign import Campaign
from clv.decide.retention.offer import BetaRate, Offer
from clv.defaults import CONTROL_SHARE
from clv.errors import InputError
from clv.format import count
from clv.store import Store
from clv.web.page.sliders import SLIDE, WAS, Dial, in_currency, stops

# of the source: the save rate of a campaign that was run, and its effects customer by customer
BY_RATE, BY_EFFECTS = "rate", "campaign"
FIRST = 0.1  # of what treating everybody would cost: the budget to begin with
CONTROL = 100 * CONTROL_SHARE  # percent
DIALS, FIELDS = (
    ("budget", "contact_cost", "incentive", "control"),
    ("source", "save_from", "save_to"),
)


@dataclass(frozen=True)
class CampaignForm:
    """What the form of the retention page says.

    Attributes
    ----------
    offer, control_share
        The campaign.
    dials
        The form's, but for the budget, whose end depends on the offer.
    save
        The ends of the save rate in percent as typed; empty for the usual one.
    budget
        In currency.
    measured_by
        The campaign whose measured effects can be planned by; None without one.
    rate_by
        The campaign that measured how many of those who had left it brings back.
    source
        What the plan rests on, by its name in the form.
    """

    offer: Offer
    control_share: float
    dials: tuple[Dial, ...]
    save: tuple[str, str]
    budget: Dial
    measured_by: str | None = None
    rate_by: str | None = None
    source: str = "assumed"

    @property
    def by_effects(self) -> bool:
        """Whether the list is that of the effects that were measured, customer by customer."""
        return self.source == BY_EFFECTS

    @property
    def sources(self) -> list[tuple[str, str]]:
        """What an offer changes may rest on, by the name in the form."""
        measured = [(BY_RATE, f"as {self.rate_by} measured")] if self.rate_by else []
        if self.measured_by is not None:
            measured.append((BY_EFFECTS, f"as {self.measured_by} measured, by customer"))
        return [*measured, ("assumed", "assumed"), ("measured", "measured, with a control group")]

    @property
    def usual(self) -> str:
        """The save rate that is taken if none is typed."""
        low, high = (count(round(100 * end)) for end in Offer(0).save_rate_range)
        return f"If empty, {low} to {high}, as is usual"

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The campaign as hidden fields of the download."""
        dials = [(dial.name, dial.number) for dial in (self.budget, *self.dials)]
        ends = [("save_from", self.save[0]), ("save_to", self.save[1])]
        return [*dials, *ends, ("source", self.source)]


def form_as_typed(store: Store, query: Mapping[str, str]) -> CampaignForm:
    """The form with what can be read of it; the rest as at first."""
    readable: dict[str, str] = {}
    for name in (*FIELDS, *(dial + end for dial in DIALS for end in ("", SLIDE, WAS))):
        try:
            tried = readable | {name: query.get(name, "")}
            _offer(tried, "")
            Dial("budget", "Budget", 0, 0, 1, 1).read(tried)
        except InputError:
            continue
        readable = tried
    form, _ = read_form(store, readable)
    return replace(form, save=_typed(query))


def read_form(store: Store, query: Mapping[str, str]) -> tuple[CampaignForm, Campaign]:
    """What a form says, and the campaign of its offer.

    Raises
    ------
    InputError
        A number or a rate in it makes no sense.
    """
    currency = str(store.terms.get("currency") or "")
    dials, stated = _offer(query, currency)
    share, measured_by = dials[-1].value / 100, store.once(campaign_measured)
    rate = store.once(measured_gone_rate)
    offer, source = _with_source(query, stated, rate, measured_by)
    by_effects = source == BY_EFFECTS
    prepared = campaign_by_effects(store, share) if by_effects else campaign(store, offer, share)
    most = float(prepared.gain_curve.spent[-1]) if len(prepared.gain_curve) else 0.0
    top, step = stops(most)
    first = min(math.ceil(FIRST * most / step) * step, top)
    unit, hint = in_currency(currency), "At the right end, everybody who is worth it"
    budget = _set(Dial("budget", "Budget", first, 0, top, step, unit, hint), query)
    rate_by, typed = rate[0] if rate else None, _typed(query)
    return CampaignForm(offer, share, dials, typed, budget, measured_by, rate_by, source), prepared


def _with_source(
    query: Mapping[str, str],
    offer: Offer,
    rate: tuple[str, BetaRate] | None,
    measured_by: str | None,
) -> tuple[Offer, str]:
    """The offer with its save rate from where the form says, or from what was measured first."""
    usual = BY_RATE if rate else BY_EFFECTS if measured_by else "assumed"
    source = query.get("source") or ("assumed" if any(_typed(query)) else usual)
    if source == BY_RATE and rate:
        name, measured = rate
        terms: Any = {"save_rate": measured, "save_rate_source": "measured", "leavers": "gone"}
        return replace(offer, name=name, **terms), source
    known = source == BY_EFFECTS and measured_by is not None
    return offer, source if known else offer.save_rate_source


def _offer(query: Mapping[str, str], currency: str) -> tuple[tuple[Dial, ...], Offer]:
    """The dials of the offer, and the offer that they make."""
    dials = _dials(query, currency)
    cost, incentive, _ = (dial.value for dial in dials)
    source = source_of(query.get("source", ""))
    return dials, Offer(cost, incentive, _save_rate(*_typed(query)), source)


def _typed(query: Mapping[str, str]) -> tuple[str, str]:
    """The ends of the save rate, as they are in the form."""
    return query.get("save_from", "").strip(), query.get("save_to", "").strip()


def _dials(query: Mapping[str, str], currency: str) -> tuple[Dial, ...]:
    unit = in_currency(currency)
    dials: tuple[Dial, ...] = (
        Dial("contact_cost", "Contact cost", 1, 0, 10, 0.25, unit, "For everybody contacted"),
        Dial("incentive", "Incentive", 0, 0, 50, 0.5, unit, "For everybody who redeems it"),
        Dial("control", "Control group", CONTROL, 0, 50, 1, "in %", "Held out by chance"),
    )
    dials = tuple(_set(dial, query) for dial in dials)
    if dials[-1].value >= 100:
        raise InputError("a control group of 100% leaves nobody.", hint="give less, such as 10.")
    return dials


def _set(dial: Dial, query: Mapping[str, str]) -> Dial:
    """A dial as the form has it; its slider reaches what was typed."""
    value = dial.read(query)
    top = stops(value)[0] if value > dial.high else dial.high
    step = stops(value)[1] if value > dial.high else dial.step
    return Dial(dial.name, dial.label, value, dial.low, top, step, dial.unit, dial.hint)


def _save_rate(low: str, high: str) -> BetaRate | float | tuple[float, float]:
    """A save rate from its ends in percent; one of them alone is the rate itself."""
    try:
        ends = [float(text) / 100 for text in (low, high) if text]
    except ValueError as error:
        raise InputError(
            f"a save rate from {low[:20]!r} to {high[:20]!r} is no rate.",
            hint="give percentages, such as 10 and 40.",
        ) from error
    if not ends:
        return BetaRate()
    return ends[0] if len(ends) == 1 else (ends[0], ends[1])


def source_of(name: str) -> Literal["measured", "assumed"]:
    """Where a save rate comes from: assumed unless a campaign measured it."""
    return "measured" if name == "measured" else "assumed"
