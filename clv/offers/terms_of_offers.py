"""What offers are stated under: horizon, margin, cost, and what is assumed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from clv.errors import InputError
from clv.offers.ease import MOST_ITEMS
from clv.periods import Duration
from clv.shares import check_share

Kind = Literal["reminder", "new", "upsell"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class NextOfferTerms:
    """What offers are stated under.

    Parameters
    ----------
    horizon
        Chances are of a purchase within so long, such as "13 weeks".
    top
        Offers of a customer at most.
    kinds
        Of offers: reminder, new, upsell.
    margin_rate
        Contribution per unit of revenue, of items whose lines do not state it; 1 is revenue.
    contact_cost
        Of an offer.
    incremental_share
        Assumed: of the purchases of new items that were offered, the share that would not have
        been made without the offer. Nothing but a campaign with a control group measures it.
    most_items
        That may be offered as new: of a larger catalogue those with the most revenue. Memory grows
        with its square, 1.6 GB at 20,000.

    Examples
    --------
    >>> NextOfferTerms(top=3).horizon_days
    91
    """

    horizon: str | Duration = "13 weeks"
    top: int = 10
    kinds: tuple[Kind, ...] = KINDS
    margin_rate: float = 1.0
    contact_cost: float = 0.0
    incremental_share: float | None = None
    most_items: int = MOST_ITEMS

    def __post_init__(self) -> None:
        check_share("margin_rate", self.margin_rate, "(0, 1]")
        if self.incremental_share is not None:
            check_share("incremental_share", self.incremental_share, "[0, 1]")
        if self.top < 1 or self.most_items < 2:
            raise InputError(
                f"top is {self.top} and most_items {self.most_items}.", hint="give 1 or more."
            )
        if not 0 <= self.contact_cost < np.inf:
            raise InputError(f"contact_cost is {self.contact_cost}, no amount of money.")
        if unknown := set(self.kinds) - set(KINDS):
            raise InputError(
                f"there is no kind of offer {sorted(unknown)[0]!r}.",
                hint=f"use {', '.join(KINDS)}.",
            )
        if not self.kinds or self.horizon_days < 1:
            raise InputError("there is no kind of offer, or no day ahead.")

    @property
    def horizon_days(self) -> int:
        """The horizon in whole days."""
        return round(Duration.parse(self.horizon).to("day"))
