"""clv: what is each customer worth, whom to keep, and where to spend.

The public names are listed here and imported when first used, so that ``import clv`` is instant.

>>> import clv
>>> clv.Duration.parse("3 years").to("month")
36.0
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "clean": "clv.data.transactions",
    "summarize": "clv.data.summary",
    "split_holdout": "clv.data.summary",
    "BetaGeoNBD": "clv.probability.bg_nbd",
    "ModifiedBetaGeoNBD": "clv.probability.mbg_nbd",
    "ParetoNBD": "clv.probability.pareto_nbd",
    "BetaGeoBetaBinomial": "clv.probability.bg_bb",
    "GammaGamma": "clv.probability.gamma_gamma",
    "Terms": "clv.value",
    "customer_value": "clv.value",
    "new_customer_value": "clv.value",
    "value_by_channel": "clv.value",
    "value_interval": "clv.predictive",
    "value_distribution": "clv.predictive",
    "total_value": "clv.totals",
    "totals_by": "clv.totals",
    "fit_churn": "clv.churn",
    "churn_reasons": "clv.reasons",
    "propose_horizon": "clv.data.gaps",
    "fit_contract_churn": "clv.contracts",
    "CustomerScorer": "clv.scorer",
    "fit_uplift": "clv.uplift",
    "retention_targets": "clv.decide.retention",
    "Offer": "clv.decide.offer",
    "plan_campaign": "clv.decide.targeting",
    "MeasuredOffer": "clv.decide.actions",
    "Rules": "clv.decide.eligibility",
    "channel_costs": "clv.decide.channels",
    "channel_table": "clv.decide.ratios",
    "payback": "clv.decide.payback",
    "payback_interval": "clv.decide.payback",
    "concentration": "clv.decide.concentration",
    "segment_costs": "clv.decide.segments",
    "balance": "clv.decide.balance",
    "Channel": "clv.decide.allocate",
    "allocate": "clv.decide.allocate",
    "MinimumCost": "clv.decide.modes",
    "TargetCPA": "clv.decide.modes",
    "TargetLtvToCac": "clv.decide.modes",
    "budget_frontier": "clv.decide.frontier",
    "plan_uncertainty": "clv.decide.uncertainty",
    "Power": "clv.decide.response",
    "MichaelisMenten": "clv.decide.response",
    "Exponential": "clv.decide.response",
    "Tanh": "clv.decide.response",
    "Hill": "clv.decide.response",
    "response_curves": "clv.decide.curves",
    "LiftTest": "clv.decide.panel",
    "with_tiers": "clv.decide.tiers",
    "monitor": "clv.monitor",
    "simulate_brand": "clv.simulate",
    "Duration": "clv.periods",
    "ClvError": "clv.errors",
}

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'clv' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
