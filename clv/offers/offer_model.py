"""All that offers rest on, learned from lines up to a day: EASE, chances, money."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clv.errors import FitError
from clv.format import counted
from clv.offers.candidates import Pairs, new_pairs, places, repeat_pairs
from clv.offers.chance import Chance, learn_chance
from clv.offers.ease import MOST_ITEMS, Ease, fit_ease, revenue_of
from clv.offers.interactions import Interactions, Matrix, bought_after, interactions
from clv.offers.order_lines import Codes, Flags, OrderLines
from clv.offers.spending import Spending, fit_spending
from clv.schema import Floats

LEAST_CUSTOMERS, LEAST_ITEMS = 200, 50  # customers with two items, and items, below which is chance
SAMPLE = 5_000  # customers that chances are learned from


@dataclass(frozen=True)
class OfferModel:
    """What was learned up to a day.

    Attributes
    ----------
    history
        Who bought what before the day.
    ease
        Which items go together.
    spending
        What a purchase brings.
    new, repeat
        Chances of purchases within the horizon, learned one horizon earlier.
    """

    history: Interactions
    ease: Ease
    spending: Spending
    new: Chance
    repeat: Chance

    def pairs(self, customers: Codes, allowed: Flags) -> tuple[Pairs, Floats, Flags]:
        """All that may be offered to customers: pairs, their chances, and which are new items."""
        new = new_pairs(self.history, self.ease, customers, allowed)
        repeat = repeat_pairs(self.history, customers, allowed)
        chance = np.concatenate([self.new(new.features), self.repeat(repeat.features)])
        both = Pairs(
            np.concatenate([new.customer, repeat.customer]),
            np.concatenate([new.item, repeat.item]),
            np.concatenate([new.score, repeat.score]),
            np.empty((len(chance), 0)),
        )
        return both, chance, np.arange(len(chance)) < len(new.item)


def fit_offer_model(
    order_lines: OrderLines,
    day: int,
    horizon: int,
    *,
    margin_rate: float = 1.0,
    most_items: int = MOST_ITEMS,
    earlier: OfferModel | None = None,
) -> OfferModel:
    """Learn from all lines before a day.

    Parameters
    ----------
    order_lines
        From ``read_order_lines``.
    day
        Counted from 1970-01-01.
    horizon
        Days ahead that chances are for; they are learned from what was bought in the last of them.
    margin_rate
        Of items whose lines do not state their margin.
    most_items
        That EASE is about at most.
    earlier
        The model of one horizon earlier, if it was fitted; it is used, not fitted again.

    Raises
    ------
    FitError
        There are too few customers or items, or nobody bought in the last horizon.
    """
    past = interactions(order_lines, day - horizon, horizon) if earlier is None else earlier.history
    history = interactions(order_lines, day, horizon)
    _check_size(past, horizon)
    ease = _ease(past, most_items) if earlier is None else earlier.ease
    new, repeat = _chances(past, ease, bought_after(order_lines, day - horizon, horizon))
    spending = fit_spending(history, margin_rate)
    return OfferModel(history, _ease(history, most_items), spending, new, repeat)


def _ease(history: Interactions, most_items: int) -> Ease:
    return fit_ease(history.bought(), revenue=revenue_of(history), most_items=most_items)


def _check_size(history: Interactions, horizon: int) -> None:
    several = int(np.sum(np.diff(history.orders.indptr) >= 2))
    items = len(np.unique(history.orders.indices))
    if several < LEAST_CUSTOMERS or items < LEAST_ITEMS:
        raise FitError(
            f"{counted(several, 'customer')} bought two items or more, of "
            f"{counted(items, 'item')}, before the last {counted(horizon, 'day')}; it takes "
            f"{LEAST_CUSTOMERS} such customers and {LEAST_ITEMS} items.",
            hint="give more orders, or a shorter --horizon.",
        )


def _chances(past: Interactions, ease: Ease, bought: Matrix) -> tuple[Chance, Chance]:
    """Chances of new items and of items bought before, from what was bought after the day."""
    customers = np.flatnonzero(past.order_count > 0).astype(np.int32)
    if len(customers) > SAMPLE:
        drawn = np.random.default_rng(0).choice(customers, SAMPLE, replace=False)
        customers = np.sort(drawn)
    everything = np.ones(past.orders.shape[1], dtype=bool)
    new = new_pairs(past, ease, customers, everything)
    repeat = repeat_pairs(past, customers, everything)
    return (
        learn_chance(new.features, _happened(bought, new)),
        learn_chance(repeat.features, _happened(bought, repeat)),
    )


def _happened(bought: Matrix, pairs: Pairs) -> Flags:
    """Which pairs were bought."""
    return places(bought, pairs.customer, pairs.item) >= 0
