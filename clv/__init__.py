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
    "Terms": "clv.value.value",
    "customer_value": "clv.value.value",
    "new_customer_value": "clv.value.value",
    "value_by_channel": "clv.value.value",
    "value_interval": "clv.value.predictive",
    "value_distribution": "clv.value.predictive",
    "total_value": "clv.value.totals",
    "totals_by": "clv.value.totals",
    "fit_churn": "clv.churn.model",
    "churn_reasons": "clv.churn.reasons",
    "propose_horizon": "clv.data.gaps",
    "fit_contract_churn": "clv.churn.contracts",
    "CustomerScorer": "clv.scorer",
    "fit_uplift": "clv.uplift",
    "retention_targets": "clv.decide.retention.targets",
    "Offer": "clv.decide.retention.offer",
    "plan_campaign": "clv.decide.retention.plan",
    "MeasuredOffer": "clv.decide.retention.actions",
    "Rules": "clv.decide.retention.eligibility",
    "channel_costs": "clv.decide.acquisition.channels",
    "channel_table": "clv.decide.acquisition.ratios",
    "payback": "clv.decide.acquisition.payback",
    "payback_interval": "clv.decide.acquisition.payback",
    "concentration": "clv.decide.acquisition.concentration",
    "segment_costs": "clv.decide.acquisition.segments",
    "balance": "clv.decide.acquisition.balance",
    "Channel": "clv.decide.budget.allocate",
    "allocate": "clv.decide.budget.allocate",
    "MinimumCost": "clv.decide.budget.modes",
    "TargetCPA": "clv.decide.budget.modes",
    "TargetLtvToCac": "clv.decide.budget.modes",
    "budget_frontier": "clv.decide.budget.scenarios",
    "plan_uncertainty": "clv.decide.budget.uncertainty",
    "Power": "clv.decide.budget.response",
    "MichaelisMenten": "clv.decide.budget.response",
    "Exponential": "clv.decide.budget.response",
    "Tanh": "clv.decide.budget.response",
    "Hill": "clv.decide.budget.response",
    "response_curves": "clv.decide.response.curves",
    "LiftTest": "clv.decide.response.panel",
    "with_tiers": "clv.decide.acquisition.tiers",
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
