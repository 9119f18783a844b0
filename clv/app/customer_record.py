"""What the store holds of one customer, read once, for page and API."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clv.app.order_history import OrderHistory
from clv.app.store_models import StoreModels
from clv.format import headline_money, money, percent
from clv.periods import Duration
from clv.probability.estimator import PurchaseModel
from clv.score_columns import BOTH, BUYERS, PLAN, SUBSCRIBERS, CustomerWords
from clv.store import Store

Row = Mapping[str, Any]


@dataclass(frozen=True)
class CustomerRecord:
    """All that the store knows of one customer, read once.

    Attributes
    ----------
    row
        The scores.
    life
        The days with an order; None without a log.
    models
        Those of the store, with its model card.
    terms
        Those of the store.
    reasons
        Reasons of the churn risk that were published.
    """

    row: Row
    life: OrderHistory | None
    models: StoreModels
    terms: Mapping[str, Any]
    reasons: tuple[str, ...] = ()

    @classmethod
    def of(cls, store: Store, key: str) -> CustomerRecord:
        """``LookupError`` if nobody has the id."""
        row = store.customer(key)
        if row is None:
            raise LookupError("There is no customer with this id in the scores.")
        as_of = dt.date.fromisoformat(str(store.terms["as_of"])[:10])
        life = OrderHistory.of(store.orders_of(key), as_of)
        rows = store.rows_of("reasons", key)
        reasons = tuple(v for row in rows for n, v in row.items() if n.startswith("reason_") and v)
        return cls(row, life, store.once(StoreModels.of), store.terms, reasons)

    @property
    def words(self) -> CustomerWords:
        """What is said of this customer, who buys, subscribes, or both."""
        if self.row.get(PLAN) is None:
            return BUYERS
        return SUBSCRIBERS if self.life is None else BOTH

    @property
    def card(self) -> Mapping[str, Any]:
        """The model card."""
        return self.models.card

    @property
    def model(self) -> PurchaseModel | None:
        """The purchase model, if there is one."""
        return self.models.purchases

    @property
    def currency(self) -> str:
        """The currency; empty if none is known."""
        return str(self.terms.get("currency") or "")

    @property
    def churn(self) -> Duration | None:
        """The churn horizon, where one is stated."""
        stated = self.terms.get("churn_horizon")
        return Duration.parse(str(stated)) if stated else None

    @property
    def level(self) -> str:
        """That of the interval."""
        level = self.terms.get("interval")
        return percent(level) if level else "interval:"

    def money(self, amount: float | None) -> str:
        """An amount in the store's currency."""
        return money(amount, self.currency)

    def headline(self, amount: float | None) -> str:
        """An amount in the store's currency, shorter where it is very large."""
        return headline_money(amount, self.currency)
