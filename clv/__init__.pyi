"""The public names, each with its home: the one list, for type checkers and for __init__.py."""

from .churn.contracts import fit_contract_churn as fit_contract_churn
from .churn.model import fit_churn as fit_churn
from .churn.reasons import churn_reasons as churn_reasons
from .contracts.contract_fit import (
    ContractModels as ContractModels,
    fit_contracts as fit_contracts,
)
from .contracts.contract_tables import (
    ContractTable as ContractTable,
    read_contract_table as read_contract_table,
)
from .contracts.contract_value import contract_scores as contract_scores
from .contracts.regular_charges import regular_charges as regular_charges
from .contracts.revenue_book import (
    RevenueBook as RevenueBook,
    revenue_ratios as revenue_ratios,
)
from .data.gaps import propose_horizon as propose_horizon
from .data.summary import (
    split_holdout as split_holdout,
    summarize as summarize,
)
from .data.transactions import clean as clean
from .decide.acquisition.balance import balance as balance
from .decide.acquisition.channels import channel_costs as channel_costs
from .decide.acquisition.concentration import concentration as concentration
from .decide.acquisition.payback import (
    payback as payback,
    payback_interval as payback_interval,
)
from .decide.acquisition.ratios import channel_table as channel_table
from .decide.acquisition.segments import segment_costs as segment_costs
from .decide.acquisition.tiers import with_tiers as with_tiers
from .decide.budget.allocate import allocate as allocate
from .decide.budget.channel import Channel as Channel
from .decide.budget.modes import (
    MinimumCost as MinimumCost,
    TargetCPA as TargetCPA,
    TargetLtvToCac as TargetLtvToCac,
)
from .decide.budget.response import (
    Exponential as Exponential,
    Hill as Hill,
    MichaelisMenten as MichaelisMenten,
    Power as Power,
    Tanh as Tanh,
)
from .decide.budget.scenarios import budget_frontier as budget_frontier
from .decide.budget.uncertainty import plan_uncertainty as plan_uncertainty
from .decide.response.curves import response_curves as response_curves
from .decide.response.panel import LiftTest as LiftTest
from .decide.retention.actions import MeasuredOffer as MeasuredOffer
from .decide.retention.eligibility import Rules as Rules
from .decide.retention.offer import Offer as Offer
from .decide.retention.offer_actions import next_offer_actions as next_offer_actions
from .decide.retention.plan import plan_campaign as plan_campaign
from .decide.retention.plan import retention_targets as retention_targets
from .errors import ClvError as ClvError
from .experiments.assignment import assign_test as assign_test
from .experiments.campaign_roi import campaign_roi as campaign_roi
from .experiments.channel_test import plan_channel_test as plan_channel_test
from .experiments.geo_pairs import (
    measure_regions as measure_regions,
    pair_regions as pair_regions,
)
from .experiments.measured_test import measure_test as measure_test
from .experiments.offer_test import plan_offer_test as plan_offer_test
from .experiments.planned_test import plan_test as plan_test
from .experiments.rollout import Rollout as Rollout
from .forecast.calendar import (
    Calendar as Calendar,
    Event as Event,
)
from .forecast.calendar_groups import calendar_total_by as calendar_total_by
from .forecast.calendar_total import calendar_total as calendar_total
from .funnel.funnel_terms import FunnelTerms as FunnelTerms
from .funnel.lead_funnel import (
    LeadFunnel as LeadFunnel,
    lead_funnel as lead_funnel,
)
from .funnel.lead_table import (
    LeadTable as LeadTable,
    read_leads as read_leads,
)
from .monitoring import monitor as monitor
from .offers.offer_backtest import offers_backtest as offers_backtest
from .offers.order_lines import (
    OrderLines as OrderLines,
    read_order_lines as read_order_lines,
)
from .offers.ranking import next_best_offers as next_best_offers
from .offers.terms_of_offers import NextOfferTerms as NextOfferTerms
from .periods import Duration as Duration
from .probability.beta_discrete_weibull import BetaDiscreteWeibull as BetaDiscreteWeibull
from .probability.bg_bb import BetaGeoBetaBinomial as BetaGeoBetaBinomial
from .probability.bg_cnbd import BetaGeoCNBD as BetaGeoCNBD
from .probability.bg_nbd import BetaGeoNBD as BetaGeoNBD
from .probability.changing_summary import with_changes as with_changes
from .probability.contract_choice import choose_contract_model as choose_contract_model
from .probability.gamma_gamma import GammaGamma as GammaGamma
from .probability.mbg_cnbd import ModifiedBetaGeoCNBD as ModifiedBetaGeoCNBD
from .probability.mbg_nbd import ModifiedBetaGeoNBD as ModifiedBetaGeoNBD
from .probability.pareto_nbd import ParetoNBD as ParetoNBD
from .probability.season import with_season as with_season
from .probability.shifted_beta_geometric import ShiftedBetaGeometric as ShiftedBetaGeometric
from .prospects.first_order_backtest import first_order_backtest as first_order_backtest
from .prospects.first_order_model import fit_first_orders as fit_first_orders
from .prospects.first_orders import first_orders as first_orders
from .prospects.segment_values import segment_values as segment_values
from .referrals.members import compare_members as compare_members
from .referrals.referral_table import (
    Referrals as Referrals,
    read_referrals as read_referrals,
)
from .referrals.referral_value import (
    ReferralValue as ReferralValue,
    value_referrals as value_referrals,
)
from .scorer import CustomerScorer as CustomerScorer
from .simulate import (
    simulate_brand as simulate_brand,
    simulate_leads as simulate_leads,
    simulate_order_lines as simulate_order_lines,
    simulate_subscriptions as simulate_subscriptions,
)
from .uplift import fit_uplift as fit_uplift
from .value.annual_plan import annual_plan as annual_plan
from .value.annual_surface import (
    annual_offer_by_age as annual_offer_by_age,
    annual_plan_surface as annual_plan_surface,
    annual_plan_test as annual_plan_test,
)
from .value.by_channel import value_by_channel as value_by_channel
from .value.predictive import (
    value_distribution as value_distribution,
    value_interval as value_interval,
)
from .value.totals import (
    total_value as total_value,
    totals_by as totals_by,
)
from .value.value import (
    Terms as Terms,
    customer_value as customer_value,
    new_customer_value as new_customer_value,
)

__version__: str
