"""Whom an offer would pay to keep, ranked once per store and offer, so that a budget is a look-up.

``retention_targets`` does the same from a table in one go. On a page a slider asks again and again
about the same customers: what does not depend on it is kept. Per customer a store takes some 40
bytes, an offer some 50; of both only the last few are kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from clv.decide.budget.gain_curve import GainCurve
from clv.decide.retention.campaign import CampaignSummary, Funding
from clv.decide.retention.checks import CONSTANTS
from clv.decide.retention.holdout import draw_by_id
from clv.decide.retention.offer import Offer, Treatment, treat
from clv.decide.retention.targets import SCORES
from clv.schema import Floats
from clv.store import Filter, Store

if TYPE_CHECKING:
    import pyarrow as pa

STORES, OFFERS = 2, 3  # how many are kept
T = TypeVar("T")


class Recent:
    """The last few of what is dear to make, by key; made once, however many ask for it.

    Only those who ask for the same wait while it is made: a store that is warmed holds nobody up.
    """

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, Lock()
        self._held: OrderedDict[Hashable, _Once] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is kept under ``key``, else what ``make`` gives."""
        with self._lock:
            held = self._held.setdefault(key, _Once())
            self._held.move_to_end(key)
            while len(self._held) > self._most:
                self._held.popitem(last=False)
        return cast(T, held.get(make))


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


_audiences, _rankings, _curves = Recent(STORES), Recent(OFFERS), Recent(OFFERS)


@dataclass(frozen=True)
class Audience:
    """The customers of a store that may be contacted; arrays of shape (customers,).

    Attributes
    ----------
    ids
        Their ids.
    q, stake
        Churn probability and value at stake.
    draw
        A uniform number each, by id and seed: who is held out, and who comes first in a tie.
    terms
        Horizon, currency and the like.
    """

    ids: pa.ChunkedArray
    q: Floats
    stake: Floats
    draw: Floats
    terms: dict[str, Any]


@dataclass(frozen=True)
class Ranking:
    """An audience with an offer: who is worth treating, best first, and who of them is held out.

    Attributes
    ----------
    treatment
        Cost and gain of everybody.
    order
        Places in the audience of those worth treating, by gain per cost, ties by the draw.
    control
        Which of them are held out.
    """

    audience: Audience
    offer: Offer
    treatment: Treatment
    order: NDArray[np.intp]
    control: NDArray[np.bool_]

    @cached_property
    def spent(self) -> Floats:
        """What it costs to contact the list down to each place; shape (places,)."""
        return np.cumsum(np.where(self.control, 0.0, self.treatment.cost[self.order]))

    @cached_property
    def earned(self) -> Floats:
        """Expected profit of contacting the list down to each place; shape (places,)."""
        return np.cumsum(np.where(self.control, 0.0, self.treatment.profit[self.order]))

    @cached_property
    def contacted(self) -> NDArray[np.intp]:
        """How many are contacted down to each place; shape (places,)."""
        return np.cumsum(~self.control)

    @property
    def whole_cost(self) -> float:
        """What it costs to treat everybody who is worth it."""
        return float(self.spent[-1]) if len(self.spent) else 0.0

    def funding(self, budget: float) -> Funding:
        """How far a budget reaches."""
        return Funding.of(self.treatment, self.order, self.control, budget)

    def summary(self, funding: Funding) -> CampaignSummary:
        """What that costs and earns."""
        audience = self.audience
        return CampaignSummary.of(self.treatment, audience.q, self.offer, funding, audience.terms)


def may_contact(store: Store) -> Filter:
    """Everybody, or those that the scores call eligible where they say so."""
    return Filter(eligible=True) if "eligible" in store.columns else Filter()


def audience(store: Store, seed: int = 0) -> Audience:
    """The customers of a store that may be contacted."""
    return _audiences.get((store.path, seed), lambda: _read(store, seed))


def ranking(store: Store, offer: Offer, control_share: float, seed: int = 0) -> Ranking:
    """The customers of a store ranked for an offer."""
    key = (store.path, offer, control_share, seed)
    return _rankings.get(key, lambda: rank(audience(store, seed), offer, control_share))


def gains(store: Store, offer: Offer, control_share: float, seed: int = 0) -> GainCurve:
    """What a budget of any size would gain, as an option for ``allocate``."""
    key = (store.path, offer, control_share, seed)
    return _curves.get(key, lambda: _gains(ranking(store, offer, control_share, seed)))


def rank(people: Audience, offer: Offer, control_share: float) -> Ranking:
    """The customers of an audience ranked for an offer.

    >>> import pyarrow as pa
    >>> ids, draw = pa.chunked_array([["ann", "bob", "cem"]]), np.array([0.5, 0.2, 0.3])
    >>> people = Audience(ids, np.full(3, 0.5), np.array([10.0, 90.0, 90.0]), draw, {})
    >>> found = rank(people, Offer(contact_cost=1), 0.25)
    >>> found.order, found.control
    (array([1, 2, 0]), array([ True, False, False]))
    """
    treatment = treat(people.q, people.stake, offer)
    worth = np.flatnonzero(treatment.gain > treatment.cost)
    order = worth[_best_first(treatment.gain_per_cost[worth], people.draw[worth])]
    return Ranking(people, offer, treatment, order, people.draw[order] < control_share)


def _read(store: Store, seed: int) -> Audience:
    found = store.export(may_contact(store), columns=SCORES, terms=()).read_all()
    ids = found["customer_id"]
    return Audience(
        ids,
        found[SCORES[1]].to_numpy(),
        found[SCORES[2]].to_numpy(),
        draw_by_id(ids.to_pylist(), seed),
        {name: store.terms[name] for name in CONSTANTS if name in store.terms},
    )


def _best_first(ratio: Floats, draw: Floats) -> NDArray[np.intp]:
    """Places by ratio, falling, ties by the draw.

    ``lexsort`` gives the same in three times the time: NumPy's fast sort is not stable, so equal
    ratios are put in order by a second one, whose key is the number of the tie plus the draw.
    """
    order = np.argsort(-ratio)
    sorted_ = ratio[order]
    new = sorted_[1:] != sorted_[:-1]
    if new.all():
        return order
    tie = np.cumsum(np.append(0, new))
    return np.asarray(order[np.argsort(tie + draw[order])])


def _gains(ranked: Ranking) -> GainCurve:
    rows, terms, offer = ranked.order[~ranked.control], ranked.audience.terms, ranked.offer
    rests = f"The save rate of the retention offer ({offer.mean_save_rate:.2g}) is "
    return GainCurve.of(
        ranked.treatment.cost[rows],
        ranked.treatment.gain[rows],
        horizon=terms.get("horizon"),
        currency=terms.get("currency"),
        notes=(f"{rests}{offer.save_rate_source}.",),
    )
