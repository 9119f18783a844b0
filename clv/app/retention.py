"""Whom an offer would pay to keep, planned once per store and offer, so that a budget is a look-up.

On a page a slider asks again and again about the same customers: the scores of a store and the
campaign of an offer are kept, the last few of them, and ``CampaignPlan.within`` answers any budget.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar, cast

import numpy as np

from clv.app.contents.campaign_results import CAMPAIGNS, EFFECTS, UPLIFT
from clv.decide.retention.actions import AnyOffer, MeasuredOffer, treat_customers
from clv.decide.retention.campaign import Campaign
from clv.decide.retention.hull import NOBODY, Index
from clv.decide.retention.offer import BetaRate, Offer, Treatment
from clv.decide.retention.plan import CampaignPlan
from clv.decide.scores import ALIVE, Scores
from clv.defaults import CONTROL_SHARE, SEED
from clv.errors import InputError
from clv.experiments.offer_test import OfferTest, of_campaign
from clv.store import Filter, Store
from clv.store.intake import keys_of

STORES, OFFERS = 2, 3  # how many are kept
T = TypeVar("T")


class Recent:
    """The last few of what is slow to make, by key; made once, however many ask for it.

    Only those who ask for the same wait while it is made: a store that is warmed holds nobody up.
    """

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, Lock()
        self._entries: OrderedDict[Hashable, _Once] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is kept under ``key``, else what ``make`` gives."""
        with self._lock:
            entry = self._entries.setdefault(key, _Once())
            self._entries.move_to_end(key)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)
        return cast(T, entry.get(make))


class _Once:
    """What is made when it is first asked for; what fails is tried again."""

    def __init__(self) -> None:
        self._lock, self._made = Lock(), False
        self._value: Any = None

    def get(self, make: Callable[[], Any]) -> Any:
        with self._lock:
            if not self._made:
                self._value, self._made = make(), True
        return self._value


_scores, _tests = Recent(STORES), Recent(OFFERS)
_offers, _campaigns = Recent(OFFERS), Recent(OFFERS)


def may_contact(store: Store) -> Filter:
    """Everybody, or those that the scores call eligible where they say so."""
    return Filter(eligible=True) if "eligible" in store.columns else Filter()


def campaign(
    store: Store, offer: Offer, control_share: float = CONTROL_SHARE, seed: int = SEED
) -> Campaign:
    """The campaign of an offer to the customers of a store who may be contacted."""
    return _held_out((store.path, offer), store, lambda: offer, control_share, seed)


def _held_out(
    key: Hashable, store: Store, offer: Callable[[], AnyOffer], control_share: float, seed: int
) -> Campaign:
    """The campaign of an offer, sorted once whoever is held out."""

    def everybody() -> Campaign:
        scores = _scores.get((store.path, seed), kept)
        return Campaign.prepare(scores, offer(), control_share=0, seed=seed)

    def kept() -> Scores:
        return store.scores(may_contact(store)).in_order_of_draw(seed)

    def make() -> Campaign:
        return _offers.get((key, seed), everybody).holding_out(control_share, seed)

    return _campaigns.get((key, control_share, seed), make)


def campaign_measured(store: Store) -> str | None:
    """The campaign that the store learned from whom a contact changes; None without one."""
    learned = store.document(UPLIFT)
    return None if learned is None else str(learned["campaign"])


def measured_gone_rate(store: Store) -> tuple[str, BetaRate] | None:
    """The last campaign that measured which share of those who had left it brings back."""
    if ALIVE not in store.columns:
        return None
    for record in reversed(store.document(CAMPAIGNS) or []):
        if rate := (record.get("result") or {}).get("gone_rate"):
            return str(record["name"]), BetaRate(rate["a"], rate["b"])
    return None


def campaign_by_effects(
    store: Store, control_share: float = CONTROL_SHARE, seed: int = SEED
) -> Campaign:
    """The campaign of the offer that was measured, to the customers who may be contacted."""

    def offer() -> MeasuredOffer:
        return MeasuredOffer(str(campaign_measured(store)), _effects(store))

    return _held_out((store.path, EFFECTS), store, offer, control_share, seed)


def profit_by_effects(store: Store, plan: CampaignPlan) -> tuple[float, float, float]:
    """What those contacted are expected to earn by the measured effects, with the ends of it.

    The ends are of every effect at once, so they lie further apart than chance alone would have it.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    effects = _effects(store)
    ids = plan.campaign.scores.rows["customer_id"].to_arrow().take(pa.array(contacted(plan)))
    known = keys_of(effects["customer_id"]).combine_chunks()
    rows = effects.take(pc.index_in(keys_of(pa.chunked_array([ids])), value_set=known))
    mean, low, high = (
        float(np.nansum(rows[name].to_numpy())) - plan.summary.cost
        for name in ("expected_gain", "gain_low", "gain_high")
    )
    return mean, low, high


def profit_by_rate(plan: CampaignPlan, offer: Offer) -> Callable[[float], float]:
    """What those contacted earn together at any save rate of an offer."""
    rows, (action, *_) = contacted(plan), plan.campaign.actions
    if isinstance(action, Treatment) and action.offer == offer:
        line = action.fixed[rows], action.per_rate[rows]
    else:
        other = treat_customers(plan.campaign.scores, offer, rows)
        line = other.fixed, other.per_rate
    fixed, per_rate = (float(amounts.sum()) for amounts in line)
    return lambda rate: per_rate * rate - fixed


def contacted(plan: CampaignPlan) -> Index:
    """Rows of the scores of those who are contacted."""
    listed = (plan.choice.action != NOBODY) & ~plan.campaign.held_out
    return plan.campaign.candidates[np.flatnonzero(listed)]


def _effects(store: Store) -> Any:
    table = store.table(EFFECTS)
    if table is None:
        raise InputError("no campaign was measured.", hint="clv publish --campaign-log.")
    return table.drop_columns([name for name in ("key",) if name in table.column_names])


def offer_test(store: Store, offer: Offer) -> OfferTest | None:
    """The test that would measure an assumed save rate; None where none is open or worth it."""
    if offer.save_rate_source != "assumed":
        return None

    def make() -> OfferTest | None:
        try:
            return of_campaign(campaign(store, offer), offer)
        except InputError:  # it pays for nobody, or its save rate is one number
            return None

    return _tests.get((store.path, offer), make)
