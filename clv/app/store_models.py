"""The models of a store's model card, built once while the store is open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clv.churn.model import ChurnModel
from clv.errors import ClvError, ModelError
from clv.probability.bg_bb import BetaGeoBetaBinomial
from clv.probability.estimator import PurchaseModel
from clv.probability.gamma_gamma import GammaGamma
from clv.probability.models import saved_purchase_model
from clv.store import Store


@dataclass(frozen=True)
class StoreModels:
    """What the pages of a store draw with.

    Attributes
    ----------
    card
        The model card; empty if none was published.
    purchases, why_not
        The purchase model in continuous time, or why there is none.
    spend
        The model of the amounts, if there is one.
    churn
        The churn model where the purchase model is the score: a card has no trees.
    periods_per_year
        That values were discounted with; None for as many as a year has.
    """

    card: Mapping[str, Any]
    purchases: PurchaseModel | None
    why_not: str
    spend: GammaGamma | None
    churn: ChurnModel | None
    periods_per_year: float | None

    @classmethod
    def of(cls, store: Store) -> StoreModels:
        """The models of an open store; to be had by ``store.once(StoreModels.of)``."""
        card = store.document("model_card") or {}
        purchases, why_not = purchase_model_of(card)
        saved = card.get("spend")
        return cls(
            card,
            purchases,
            why_not,
            GammaGamma.from_dict(saved) if saved else None,
            _churn_of(card.get("churn")),
            (store.document("terms") or {}).get("periods_per_year"),
        )


def purchase_model_of(card: Mapping[str, Any] | None) -> tuple[PurchaseModel | None, str]:
    """The purchase model that a card holds; if there is none that helps here, why not."""
    saved = (card or {}).get("purchases")
    if not saved:
        return None, "No model card was published with these scores."
    try:
        model = saved_purchase_model(saved)
    except ModelError as error:
        return None, error.message
    if isinstance(model, BetaGeoBetaBinomial):
        return None, "BG/BB counts opportunities to buy, not days, so no line is drawn over days."
    if model.unit_ is None:
        return None, "The model card does not say the time unit of the purchase model."
    return model, ""


def _churn_of(saved: Mapping[str, Any] | None) -> ChurnModel | None:
    if not saved or saved.get("pool"):
        return None
    try:
        return ChurnModel.from_dict(saved, None)
    except (ClvError, KeyError):
        return None
