"""A call of every public name that works, small and fast, for tests that then make it wrong."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

import clv
from clv.churn.model import ChurnModel
from clv.contracts.contract_tables import ContractTable
from clv.decide.acquisition.balance import Ceiling
from clv.value.by_channel import models_by_channel

PARAMS = {
    "BetaGeoNBD": {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426},
    "ModifiedBetaGeoNBD": {"r": 0.525, "alpha": 6.183, "a": 0.891, "b": 1.614},
    "ParetoNBD": {"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669},
    "BetaGeoCNBD": {"r": 0.85, "alpha": 1.45, "a": 0.79, "b": 2.42},
    "ModifiedBetaGeoCNBD": {"r": 0.85, "alpha": 1.45, "a": 0.79, "b": 2.42},
    "BetaGeoBetaBinomial": {"alpha": 1.204, "beta": 0.75, "gamma": 0.657, "delta": 2.783},
    "ShiftedBetaGeometric": {"alpha": 0.7, "beta": 3.8},
    "BetaDiscreteWeibull": {"alpha": 0.7, "beta": 3.8, "c": 1.1},
    "GammaGamma": {"p": 6.25, "q": 3.74, "v": 15.44},
}
CONTRACTS = ("ShiftedBetaGeometric", "BetaDiscreteWeibull")
CURVES = {
    "Exponential": {"V": 900.0, "K": 20_000.0},
    "MichaelisMenten": {"V": 900.0, "K": 20_000.0},
    "Hill": {"V": 900.0, "K": 20_000.0, "exponent": 0.9},
    "Power": {"k": 9.0, "b": 0.5},
    "Tanh": {"S": 900.0, "c": 20.0},
}


@dataclass(frozen=True)
class Call:
    """A function with arguments that it takes."""

    function: Callable[..., Any]
    arguments: dict[str, Any]


class Bench:
    """Tables and models of forty customers, made once."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        who = np.repeat(np.arange(40), 4)
        days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 360, 160), "D")
        log = {"customer_id": who, "date": days, "amount": rng.gamma(2, 10, 160).round(2)}
        self.log = pd.DataFrame(log | {"channel": np.where(who % 2, "search", "social")})
        self.clean, _ = clv.clean(self.log)
        self.summary = clv.summarize(self.clean)
        earlier = self.clean.assign(date=self.clean["date"] - pd.Timedelta(400, "D"))
        self.years = pd.concat([earlier, self.clean], ignore_index=True)
        self.models = {
            name: self.fitted(name, params, None if name == "GammaGamma" else "week")
            for name, params in PARAMS.items()
        }
        self.terms = clv.Terms(0.3)
        churn = ChurnModel(clv.Duration(13, "week"), None, "no labels")
        about = (self.terms, "week", "2024-12-31")
        self.scorer = clv.CustomerScorer(self.bought, self.spent, churn, *about)
        self.scores = self.scorer.predict(self.summary)
        self.curves = {name: getattr(clv, name)(**given) for name, given in CURVES.items()}
        self.channels = [
            clv.Channel("search", self.curves["Power"], 60.0, current=500.0),
            clv.Channel("social", self.curves["Hill"], 80.0, current=400.0),
        ]
        periods = [f"2024-{month:02d}" for month in range(1, 13)] * 2
        spend = {"channel": ["search"] * 12 + ["social"] * 12, "period": periods}
        spend |= {"spend": rng.gamma(9, 100, 24).round(2), "new_customers": rng.integers(5, 60, 24)}
        self.spend = pd.DataFrame(spend)
        self.firsts = self.clean.assign(country=np.where(self.clean["customer_id"] % 3, "UK", "DE"))
        cohort = {"entered": 0, "periods": range(1, 6), "churned": [131, 126, 90, 60, 42]}
        self.cells = pd.DataFrame(cohort | {"customers": [131, 126, 90, 60, 593]})
        starts = pd.date_range("2023-01-05", periods=60, freq="D")
        ends = [day + pd.DateOffset(months=1 + k % 9) for k, day in enumerate(starts)]
        rows = {"customer_id": range(60), "interval": "month", "amount": 10.0, "start": starts}
        self.contracts = pd.DataFrame(rows | {"end": [*ends[:30], *[None] * 30]})
        self.billed: ContractTable = clv.read_contract_table(self.contracts, as_of="2024-01-31")
        n = 400
        campaign = {"customer_id": range(n), "treated": rng.integers(0, 2, n), "cost": 0.0}
        campaign |= {"loyal": rng.integers(0, 2, n), "outcome_margin": rng.gamma(2, 5, n)}
        self.campaign = pd.DataFrame(campaign)
        self.made = clv.simulate_order_lines(1, customers=600, items=60)
        self.lines = clv.read_order_lines(self.made.lines)
        self.leads = clv.simulate_leads(1, leads=300)
        months = pd.date_range("2023-12-01", "2025-02-01", freq="MS")
        self.changes = pd.DataFrame({"date": months, "winter": months.month.isin([12, 1]) * 1.0})
        parts = {"region": np.tile(np.arange(12), 3), "period": np.repeat([1, 2, 3], 12)}
        self.regions = pd.DataFrame(parts | {"outcome": rng.integers(5, 50, 36)})
        left = {"tenure": rng.integers(1, 60, n), "plan": rng.choice(["a", "b"], n)}
        self.left = pd.DataFrame(left | {"Churn": rng.random(n) < 0.4})

    @staticmethod
    def fitted(name: str, params: dict[str, float], unit: str | None) -> Any:
        unit_of = {"unit": unit} if name not in (*CONTRACTS, "GammaGamma") else {}
        return getattr(clv, name).from_params(params, **unit_of)

    @property
    def bought(self) -> Any:
        return self.models["BetaGeoNBD"]

    @property
    def spent(self) -> Any:
        return self.models["GammaGamma"]

    def calls(self) -> dict[str, Call]:
        """By public name, or by the name with a method's."""
        found = {**self._records(), **self._of_orders(), **self._of_contracts(), **self._plans()}
        found |= self._of_lines() | self._of_leads()
        made = {name: Call(getattr(clv, name), given) for name, given in found.items()}
        return made | self._methods()

    def _records(self) -> dict[str, dict[str, Any]]:
        day = dt.date(2024, 5, 1)
        effects = pd.DataFrame({"customer_id": range(40), "cost": 1.0, "expected_gain": 5.0})
        test = {"channel": "search", "spend": 900.0, "extra_spend": 300.0}
        test |= {"extra_customers": 9.0, "standard_error": 4.0}
        event = {"name": "sale", "first": day, "last": day, "multiplier": 1.5}
        channel = {"name": "tv", "response": self.curves["Power"], "value": 60.0, "lo": 0.0}
        channel |= {"hi": 900.0, "current": 100.0, "incrementality": 0.9, "decline": 0.1}
        offer = {"contact_cost": 1.0, "incentive": 2.0, "save_rate": (0.1, 0.4), "name": "a"}
        offer |= {"redemption": 0.5, "capacity": 20, "leavers": "silent"}
        terms = {"margin_rate": 0.3, "annual_discount_rate": 0.1, "horizon": "3 years"}
        rules = {"exclude": [1, 2], "bought_within": "2 weeks", "silent_for": "2 years"}
        kept = ("purchases", "spend", "churn", "terms", "unit", "as_of", "shrink")
        table, models = vars(self.billed), clv.fit_contracts(self.billed)
        return {
            **CURVES,
            "Duration": {"length": 3.0, "unit": "week"},
            "Terms": terms | {"currency": "EUR", "periods_per_year": 52.0},
            "Event": event,
            "Calendar": {"months": (1.0,) * 12, "events": (clv.Event(**event),)},
            "Channel": channel | {"horizon": "3 years", "step": (0.5, 2.0)},
            "LiftTest": test,
            "MeasuredOffer": {"name": "a", "effects": effects, "capacity": 9},
            "Offer": offer,
            "Rules": rules | {"most_contacts": 1, "contact_days": 30},
            "MinimumCost": {"customers": 50.0},
            "TargetCPA": {"amount": 20.0, "per": "portfolio"},
            "TargetLtvToCac": {"amount": 3.0, "per": "portfolio"},
            "CustomerScorer": {name: getattr(self.scorer, name) for name in kept},
            "BetaGeoNBD": {"unit": "week", "engine": "native", "covariates": (), "effect_sd": None},
            "ModifiedBetaGeoNBD": {"unit": "week"},
            "ParetoNBD": {"unit": "week"},
            "BetaGeoCNBD": {"unit": "week", "k": 2},
            "ModifiedBetaGeoCNBD": {"unit": "week", "k": 3},
            "BetaGeoBetaBinomial": {"unit": "week"},
            "GammaGamma": {"engine": "native", "covariates": (), "effect_sd": None},
            "ShiftedBetaGeometric": {},
            "BetaDiscreteWeibull": {},
            "ContractTable": dict(table),
            "ContractModels": dict(vars(models)),
            "RevenueBook": dict(vars(self.billed.book())),
        }

    def _of_orders(self) -> dict[str, dict[str, Any]]:
        value = {"purchases": self.bought, "spend": self.spent, "terms": self.terms}
        of = {"summary": self.summary, **value}
        log, models = {"log": self.clean}, models_by_channel(self.summary, self.bought, self.spent)
        churn = {"churn": self.scorer.churn, "purchases": self.bought, "unit": "week", "top": 2}
        tot = partial(clv.total_value, purchases=self.bought, spend=self.spent, terms=self.terms)
        cutoff = dt.date(2024, 10, 1)
        forecast = {"purchases": self.bought, "horizon": "8 weeks", "cutoff": cutoff}
        names = {"customer_id": "customer_id", "date": "date", "amount": "amount"}
        cleaning = {"as_of": "2024-12-31", "same_day": "merge"}
        cleaning |= {"duplicates": "drop", "zero_amounts": "drop", "date_format": "%Y-%m-%d"}
        total = {"total": clv.calendar_total(**log, **forecast), "summary": self.summary}
        watch = {"scorer": self.scorer, "scores_then": self.scores, "since": "2024-10-01"}
        return {
            "clean": {"log": self.log, "columns": names, **cleaning},
            "summarize": log | {"as_of": "2024-12-31", "unit": "week"},
            "split_holdout": log | {"cutoff": "2024-06-30", "end": "2024-12-31", "unit": "week"},
            "propose_horizon": {"data": self.clean, "unit": "week"},
            "fit_churn": log | {"horizon": "13 weeks", "unit": "week"},
            "churn_reasons": {"summary": self.summary, **churn},
            "customer_value": of,
            "value_interval": of | {"level": 0.9},
            "total_value": of | {"level": 0.9, "seed": 0},
            "value_distribution": value | {"customer": self.summary.head(1)},
            "new_customer_value": value | {"first_amount": 20.0, "first_margin_rate": 0.3},
            "totals_by": {"summary": self.summary, "by": "frequency", "total": tot},
            "value_by_channel": {"models": models, "terms": self.terms},
            "calendar_total": log | forecast | {"calendar": clv.Calendar(), "level": 0.9},
            "calendar_total_by": total | {"purchases": self.bought, "by": "frequency"},
            "with_season": {"summary": clv.summarize(self.years), "log": self.years},
            "with_changes": {"summary": self.summary, "log": self.clean, "changes": self.changes},
            "concentration": {"table": self.scores, "measure": "clv"},
            "with_tiers": {"scores": self.scores, "by": "clv"},
            "monitor": {"log": self.clean, "until": "2024-12-31", "seed": 0, **watch},
            "regular_charges": log,
            "simulate_brand": {"seed": 1, "customers": 60, "weeks": 60, "start": "2023-01-02"},
            "simulate_subscriptions": {"seed": 1, "customers": 60, "months": 12},
        }

    def _of_lines(self) -> dict[str, dict[str, Any]]:
        terms = {"horizon": "8 weeks", "top": 3, "margin_rate": 0.3, "contact_cost": 0.1}
        lines = {"order_lines": self.lines}
        cut = {"cutoff": self.lines.as_of - dt.timedelta(70), "horizon": "8 weeks"}
        return {
            "simulate_order_lines": {"seed": 1, "customers": 60, "items": 20, "days": 300},
            "read_order_lines": {"table": self.made.lines, "no_products": ("post",)},
            "OrderLines": dict(vars(self.lines)),
            "NextOfferTerms": terms | {"incremental_share": 0.5, "most_items": 100},
            "next_best_offers": lines | {"terms": clv.NextOfferTerms(**terms)},
            "offers_backtest": lines | cut,
        }

    def _of_leads(self) -> dict[str, dict[str, Any]]:
        table = clv.read_leads(self.leads.leads)
        terms = {"age": 90, "value": 900.0, "cost_to_serve": 5.0, "level": 0.9}
        funnel = clv.lead_funnel(table, **terms)
        simulated = {"seed": 1, "leads": 50, "days": 300, "last_day": "2024-06-30", "value": 900.0}
        return {
            "simulate_leads": simulated,
            "read_leads": {"table": self.leads.leads, "as_of": "2024-06-30", "currency": "EUR"},
            "LeadTable": dict(vars(table)),
            "FunnelTerms": terms,
            "lead_funnel": {"leads": table, "terms": clv.FunnelTerms(**terms)},
            "LeadFunnel": dict(vars(funnel)),
        } | self._of_referrals()

    def _of_referrals(self) -> dict[str, dict[str, Any]]:
        rows = pd.DataFrame({"referrer_id": ["a", "b", "b"], "referred_id": ["b", "c", "d"]})
        rows = rows.assign(date="2024-01-05", reward=10.0)
        referrals, values = clv.read_referrals(rows), {"a": 90.0, "b": 50.0, "c": 20.0, "d": 30.0}
        terms = {"incremental_share": 0.5, "saved_cac": 20.0, "days": 90.0, "level": 0.9}
        made = clv.value_referrals(referrals, values)
        return {
            "read_referrals": {"table": rows, "joined": {"a": "2023-05-01"}},
            "Referrals": dict(vars(referrals)),
            "value_referrals": {"referrals": referrals, "values": values, **terms},
            "ReferralValue": dict(vars(made)),
            "compare_members": {"values": values, "members": ["a", "b"], "level": 0.9},
        } | self._of_first_orders()

    def _of_first_orders(self) -> dict[str, dict[str, Any]]:
        named = {"log": self.years, "covariates": ["amount"]}
        first, model = clv.first_orders(self.log), clv.fit_first_orders(self.years, self.terms)
        first = first.assign(channel=np.where(first["customer_id"] % 2, "search", "social"))
        judged = named | {"cutoff": "2024-01-01", "horizon": "26 weeks", "unit": "week", "seed": 1}
        return {
            "first_orders": {"log": self.log, "covariates": ["channel"], "as_of": "2024-06-30"},
            "fit_first_orders": {**named, "terms": self.terms, "as_of": "2024-10-31"},
            "first_order_backtest": judged,
            "next_offer_actions": {
                "scores": pd.DataFrame({"customer_id": ["a", "b"]}),
                "offers": pd.DataFrame(
                    {
                        "customer_id": ["a"],
                        "rank": [1],
                        "item": ["tea"],
                        "kind": ["new"],
                        "chance": [0.2],
                        "spend": [50.0],
                        "margin": [0.4],
                        "value": [3.5],
                    }
                ),
                "incremental_share": 0.5,
            },
            "segment_values": {"model": model, "first": first, "by": ["channel"], "level": 0.9},
        }

    def _of_contracts(self) -> dict[str, dict[str, Any]]:
        models = clv.fit_contracts(self.billed)
        annual = {"model": self.models["ShiftedBetaGeometric"], "price": 100.0, "discount": 0.25}
        rates = {"selections": [0.0, 5.0], "renewal_rates": [0.5, 0.8], "years": 3}
        offer = {"selection": 0.0, "periods": 12}
        moves = {"start": 900.0, "new": 90.0, "expansion": 9.0, "contraction": 5.0, "churn": 8.0}
        scored = {"table": self.billed, "models": models, "terms": self.terms, "shrink": 0.5}
        return {
            "read_contract_table": {"table": self.contracts, "as_of": "2024-01-31"},
            "fit_contracts": {"table": self.billed, "by": "plan"},
            "contract_scores": scored | {"churn_horizon": "13 weeks"},
            "choose_contract_model": {"table": self.cells},
            "fit_contract_churn": {"table": self.left, "event": "Churn", "tenure": "tenure"},
            "revenue_ratios": moves | {"reactivation": 2.0},
            "annual_plan": annual | offer,
            "annual_plan_surface": annual | rates | {"margin_rate": 0.5, "periods": 12},
            "annual_plan_test": annual | offer | {"acceptance": 0.2, "renewal_rate": 0.6},
            "annual_offer_by_age": annual | offer | {"ages": [0, 6]},
        }

    def _of_tests(self) -> dict[str, dict[str, Any]]:
        decision = {"customers": 900, "value": 60.0, "contact_cost": 1.0, "lift_range": (0.0, 0.2)}
        figures = {"baseline_mean": 9.0, "baseline_sd": 45.0, "lift": 0.1, "r2": 0.5}
        chances = {"control_share": 0.5, "power": 0.8, "level": 0.05, "currency": "EUR"}
        times = {"weeks": 13.0, "arrivals": 40.0, "rollout": clv.Rollout(**decision)}
        log = {"log": self.campaign, "propensity": 0.5, "covariates": ["loyal"], "level": 0.9}
        drawn = {"customers": self.scores, "control_share": 0.3, "stratify": "clv", "seed": 0}
        test = clv.measure_test(self.campaign, propensity=0.5)
        curves = clv.response_curves(self.spend, draws=50, shape="power", time="nothing")
        return {
            "Rollout": decision,
            "plan_test": figures | chances | times,
            "assign_test": drawn | {"customers_in_test": 30},
            "measure_test": log | {"currency": "EUR"},
            "pair_regions": {"history": self.regions, "seed": 0},
            "measure_regions": {
                "pairs": clv.pair_regions(self.regions),
                "after": self.regions,
                "history": self.regions,
                "extra_spend": 90.0,
                "level": 0.8,
            },
            "plan_channel_test": {
                "channels": [curves[n].to_channel(60.0) for n in ("search", "social")],
                **{"budget": 1500.0, "channel": "search", "phi": 40.0, "rise": 0.5},
                **{"retention": None, "periods": 1.0, "seed": 0, "currency": "EUR"},
            },
            "plan_offer_test": {
                "scores": self.scores,
                "offer": clv.Offer(0.01, save_rate=(0.01, 0.4)),
                **{"control_share": 0.4, "power": 0.8, "level": 0.05, "weeks": 13.0},
            },
            "campaign_roi": {"test": test, "cost": 900.0, "margin_rate": 0.4},
        }

    def _plans(self) -> dict[str, dict[str, Any]]:
        best = clv.allocate(self.channels, 900.0)
        spend = {"spend": self.spend, "period_length": "1 month"}
        paid = spend | {"spend": self.spend.drop(columns="new_customers")}
        plan = {"channels": self.channels, "periods": 1.0, "retention": None}
        ages = np.arange(0, 105.0)
        curve, within = (ages, 10 + 0.2 * ages), {"within": "104 weeks", "unit": "week"}
        drawn = {"cac": 20.0, "age": ages, "earned": [10 + 0.2 * ages, 10 + 0.4 * ages]}
        share, day = {"control_share": 0.1, "seed": 0}, dt.date(2024, 12, 31)
        ceilings = {"acquisition": Ceiling(0.3, 0.05), "retention": Ceiling(0.8, 0.08)}
        known = {"value": {"search": 60.0, "social": 50.0}, "horizon": "1 year", "unit": "week"}
        return {
            "allocate": plan | {"budget": 900.0, "currency": "EUR"},
            "budget_frontier": plan | {"budgets": [800.0, 900.0], "backend": "pandas"},
            "plan_uncertainty": plan | {"plan": best, "values": {"search": [50.0, 70.0]}},
            "balance": {"margin": 100.0, "discount_rate": 0.15, **ceilings},
            "channel_costs": spend | {"as_of": "2024-12-31", "incrementality": 0.9},
            "channel_table": {"costs": clv.channel_costs(self.spend), **known},
            "segment_costs": paid | {"customers": self.firsts, "segment": "country"},
            "response_curves": spend
            | {
                "plan_from": "2024-07-01",
                "draws": 50,
                "seed": 0,
                "shape": "power",
                "time": "nothing",
            },
            "payback": {"cac": 20.0, "earned": curve, **within},
            "payback_interval": drawn | within,
            "plan_campaign": {"scores": self.scores, "offers": clv.Offer(1.0), "date": day} | share,
            "retention_targets": {"scores": self.scores, "offer": clv.Offer(1.0), "budget": 9.0}
            | share,
            **self._of_tests(),
            "fit_uplift": {
                "log": self.campaign,
                "propensity": 0.5,
                "columns": ["loyal"],
                "seed": 0,
            },
        }

    def _methods(self) -> dict[str, Call]:
        t, found = [13.0, 52.0], dict[str, Call]()
        whole = {name: np.ceil(self.summary[name]) for name in ("recency", "T")}
        for name, model in self.models.items():
            params, X = {"params": PARAMS[name]}, self.summary
            X = X.assign(**whole) if name == "BetaGeoBetaBinomial" else X
            table = self.cells if name in CONTRACTS else X
            given: dict[str, dict[str, Any]] = {"fit": {"X": table, "sample_weight": None}}
            if name in CONTRACTS:
                given |= {"survival": {"t": t}, "discounted_expected_lifetime": {"rate": 0.1}}
                given |= {"retention_rate": {"t": t}, "expected_lifetime": {"horizon": 12.0}}
            elif name == "GammaGamma":
                given |= {"expected_spend": {"X": X}}
            else:
                given |= {"conditional_expected_purchases": {"t": 13.0, "X": X}}
                given |= {"probability_alive": {"X": X}, "expected_purchases": {"t": t}}
                given |= {"probability_of_purchases": {"k": 1, "t": 13.0, "X": X}}
            given |= {"from_params": params, "from_dict": {"saved": model.to_dict()}}
            fresh = type(model)() if name in CONTRACTS else model
            owners = {"from_params": type(model), "from_dict": type(model), "fit": fresh}
            for method, arguments in given.items():
                owner = owners.get(method, model)
                found[f"{name}.{method}"] = Call(getattr(owner, method), arguments)
        for name, curve in self.curves.items():
            for method in ("customers", "marginal", "elasticity"):
                found[f"{name}.{method}"] = Call(getattr(curve, method), {"spend": [100.0, 900.0]})
        scorer, months = self.scorer, {f"2024-{m:02d}": 9.0 for m in range(1, 13)}
        return found | {
            "CustomerScorer.predict": Call(scorer.predict, {"summary": self.summary}),
            "CustomerScorer.total_value": Call(scorer.total_value, {"summary": self.summary}),
            "CustomerScorer.load": Call(clv.CustomerScorer.load, {"directory": "none"}),
            "Duration.parse": Call(clv.Duration.parse, {"text": "3 weeks"}),
            "Duration.to": Call(clv.Duration(3, "week").to, {"unit": "day"}),
            "Terms.from_dict": Call(clv.Terms.from_dict, {"saved": self.terms.to_dict()}),
            "Terms.delta": Call(self.terms.delta, {"unit": "week"}),
            "Power.from_point": Call(clv.Power.from_point, {"spend": 100.0, "customers": 9.0}),
            "Channel.bounds": Call(self.channels[0].bounds, {"periods": 2.0}),
            "Calendar.from_totals": Call(clv.Calendar.from_totals, {"totals": months}),
        }
