"""The purchase models by name: what a configuration may say, and what a saved model was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from sklearn.base import clone

from clv.errors import InputError, ModelError
from clv.history import same_unit
from clv.periods import Unit, as_unit
from clv.probability.bg_bb import BetaGeoBetaBinomial
from clv.probability.bg_cnbd import BetaGeoCNBD
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.estimator import PurchaseModel
from clv.probability.fitted import Engine
from clv.probability.mbg_cnbd import ModifiedBetaGeoCNBD
from clv.probability.mbg_nbd import ModifiedBetaGeoNBD
from clv.probability.pareto_nbd import ParetoNBD

ModelName = Literal["bg_nbd", "mbg_nbd", "pareto_nbd", "bg_cnbd", "mbg_cnbd", "bg_bb"]
MODELS: dict[str, type[PurchaseModel]] = {
    "bg_nbd": BetaGeoNBD,
    "mbg_nbd": ModifiedBetaGeoNBD,
    "pareto_nbd": ParetoNBD,
    "bg_cnbd": BetaGeoCNBD,
    "mbg_cnbd": ModifiedBetaGeoCNBD,
    "bg_bb": BetaGeoBetaBinomial,
}
TITLES = {
    "bg_nbd": "BG/NBD",
    "mbg_nbd": "MBG/NBD",
    "pareto_nbd": "Pareto/NBD",
    "bg_cnbd": "BG/CNBD-k",
    "mbg_cnbd": "MBG/CNBD-k",
    "bg_bb": "BG/BB",
}


def purchase_model(name: str) -> type[PurchaseModel]:
    """The model of a name.

    >>> purchase_model("pareto_nbd").__name__
    'ParetoNBD'
    """
    if name not in MODELS:
        raise InputError(f"there is no purchase model {name!r}.", hint=f"use {', '.join(MODELS)}.")
    return MODELS[name]


def unfitted(model: str | PurchaseModel, unit: Unit, engine: Engine) -> PurchaseModel:
    """A purchase model to fit: of this name, or like this one, which has to be in the unit."""
    if isinstance(model, str):
        return purchase_model(model)(unit=unit, engine=engine)
    like: PurchaseModel = clone(model)
    like.set_params(unit=like.unit or unit)
    same_unit(as_unit(like.unit or unit), as_unit(unit))
    return like


def title(model: PurchaseModel) -> str:
    """What a model is called in print.

    >>> title(BetaGeoNBD())
    'BG/NBD'
    """
    names = {kind: name for name, kind in MODELS.items()}
    return TITLES[names[type(model)]]


def saved_purchase_model(saved: Mapping[str, Any]) -> PurchaseModel:
    """The purchase model that ``to_dict`` wrote, whichever it was.

    Raises
    ------
    ModelError
        It is none of those that are known here.
    """
    for model in MODELS.values():
        if saved.get("model") == model.__name__:
            return model.from_dict(saved)
    raise ModelError(f"{saved.get('model')!r} is no purchase model of this version.")
