"""What items cost, and what each customer usually pays in a category: who may be offered better."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from clv.offers.candidates import places
from clv.offers.interactions import Interactions, Matrix
from clv.offers.order_lines import Codes, OrderLines
from clv.schema import Floats

DEARER = (1.1, 2.0)  # upsell: so many times what the customer usually pays in the category


@dataclass(frozen=True)
class PriceLevels:
    """What a unit costs, and what each customer usually pays for one in each category."""

    price: Floats
    category: Codes
    usual: Matrix

    @classmethod
    def of(cls, order_lines: OrderLines, history: Interactions) -> PriceLevels | None:
        """None where nothing says categories or units."""
        category = pd.factorize(order_lines.items["category"], sort=True)[0].astype(np.int32)
        lines = history.lines
        if not (category >= 0).any() or not np.isfinite(lines.units).any():
            return None
        used = np.isfinite(lines.units) & (lines.units > 0)
        lines, size = lines.where(used), len(category)
        money, units = (
            np.bincount(lines.item, weights=x, minlength=size) for x in (lines.amount, lines.units)
        )
        lines = lines.where(category[lines.item] >= 0)
        shape = (history.orders.shape[0], int(category.max()) + 1)
        where = (lines.customer, category[lines.item])
        paid, count = (
            sparse.coo_array((x, where), shape).tocsr() for x in (lines.amount, lines.units)
        )
        paid.data /= count.data
        return cls(np.divide(money, units, out=np.zeros(size), where=units > 0), category, paid)

    def dearer(self, customers: Codes, items: Codes) -> Floats:
        """How many times what the customer usually pays in its category an item costs; 0 if new."""
        category = self.category[items]
        block, row = np.unique(customers, return_inverse=True)
        usual = self.usual[block]
        place = places(usual, row.astype(np.int32), np.maximum(category, 0))
        paid = np.where((place >= 0) & (category >= 0), usual.data[place], np.inf)
        return np.asarray(self.price[items] / paid)
