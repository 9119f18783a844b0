"""What a purchase of an item brings: money by item and customer, and the margin of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clv.offers.interactions import Interactions
from clv.offers.order_lines import Codes, Flags
from clv.schema import Floats

ROUNDS = 5


@dataclass(frozen=True)
class Spending:
    """Money and margin of one purchase of an item.

    Attributes
    ----------
    level, item, customer
        log amount = level + item + customer, the last two shrunk towards 0.
    smear
        What turns the exponential of it into a mean: the total is that of the purchases.
    margin
        Contribution per unit of revenue, by item.
    losing
        Items that lost money on the whole.
    """

    level: float
    item: Floats
    customer: Floats
    smear: float
    margin: Floats
    losing: Flags

    def expected(self, customers: Codes, items: Codes) -> Floats:
        """Money of one purchase, for pairs."""
        log = self.level + self.item[items] + self.customer[customers]
        return np.asarray(self.smear * np.exp(log))


def fit_spending(history: Interactions, margin_rate: float = 1.0) -> Spending:
    """Learn what purchases bring.

    Parameters
    ----------
    history
        Purchases up to a day, net of returns.
    margin_rate
        Of items whose lines do not state their margin.
    """
    lines = history.lines
    log = np.log(np.maximum(lines.amount, 0.01))
    level = float(log.mean())
    customers, catalogue = history.orders.shape
    item, customer = np.zeros(catalogue), np.zeros(customers)
    for _ in range(ROUNDS):
        item = _shrunk(log - level - customer[lines.customer], lines.item, catalogue)
        customer = _shrunk(log - level - item[lines.item], lines.customer, customers)
    fitted = np.exp(level + item[lines.item] + customer[lines.customer])
    smear = float(lines.amount.sum() / fitted.sum())
    margin, losing = _margins(history, margin_rate)
    return Spending(level, item, customer, smear, margin, losing)


def _shrunk(rest: Floats, group: Codes, groups: int) -> Floats:
    """Means of groups, shrunk by the variance within over that between (one-way analysis)."""
    count = np.bincount(group, minlength=groups)
    mean = np.bincount(group, weights=rest, minlength=groups) / np.maximum(count, 1)
    filled, rows = int(np.sum(count > 0)), len(rest)
    within = float(np.sum((rest - mean[group]) ** 2)) / max(rows - filled, 1)
    spread = float(np.sum(count * (mean - rest.mean()) ** 2)) - (filled - 1) * within
    between = spread / max(rows - float(np.sum(count**2)) / rows, 1e-12)
    if between <= 0:
        return np.zeros(groups)
    return np.asarray(mean * count / (count + within / between))


def _margins(history: Interactions, margin_rate: float) -> tuple[Floats, Flags]:
    """By item the margin per unit of revenue, and which lost money.

    An item of little revenue is drawn to the margin of all.
    """
    lines, catalogue = history.lines, history.orders.shape[1]
    stated = np.isfinite(lines.margin)
    if not stated.any():
        return np.full(catalogue, margin_rate), np.zeros(catalogue, dtype=bool)
    item = lines.item[stated]
    money = np.bincount(item, weights=lines.amount[stated], minlength=catalogue)
    margin = np.bincount(item, weights=lines.margin[stated], minlength=catalogue)
    usual, typical = margin.sum() / money.sum(), float(np.median(money[money > 0]))
    return (margin + usual * typical) / (money + typical), margin < 0
