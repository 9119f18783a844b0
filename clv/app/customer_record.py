"""What the store holds of one customer, read once, for page and API."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clv.app.order_history import OrderHistory
from clv.app.store_models import StoreModels
from clv.churn.reasons import reasons_of_row
from clv.findings import Finding, finding
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
    reasons: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, store: Store, key: str) -> CustomerRecord:
        """``LookupError`` if nobody has the id."""
        row = store.customer(key)
        if row is None:
            raise LookupError("There is no customer with this id in the scores.")
        as_of = dt.date.fromisoformat(str(store.terms["as_of"])[:10])
        life = OrderHistory.of(store.orders_of(key), as_of)
        reasons = tuple(_reasons(store, key))
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


def _reasons(store: Store, key: str) -> Iterator[Finding]:
    """Why the churn risk is what it is, in the store's currency; of older stores their text."""
    currency = str(store.terms.get("currency") or "")
    for row in store.rows_of("reasons", key):
        texts = (text for name, text in row.items() if name.startswith("reason_") and text)
        yield from (finding("basis.text", text=text) for text in texts)
        yield from reasons_of_row(row, currency)
