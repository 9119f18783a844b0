"""Channels and one budget, on the SIMULATED brand, whose truth is known.

    python -m training.brand

The recipe sees what an analyst sees (orders, spend per channel and week, the log of a randomised
retention campaign), decides where the money of the next quarter goes, and is then judged against
the truth that produced the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import pyarrow as pa

from clv.app.estimates import Estimates, to_channels, with_values
from clv.app.plans import Planned, work_out
from clv.data.summary import margin_rate, summarize
from clv.data.transactions import clean
from clv.decide.acquisition.channels import ChannelCosts, channel_costs
from clv.decide.acquisition.ratios import channel_table
from clv.decide.budget.allocate import allocate
from clv.decide.budget.allocation import Allocation
from clv.decide.budget.channel import Channel
from clv.decide.budget.gain_curve import GainCurve
from clv.decide.budget.response import Power
from clv.decide.response.curves import response_curves
from clv.decide.retention.actions import MeasuredOffer
from clv.decide.retention.offer import BetaRate, Offer
from clv.decide.retention.plan import CampaignPlan, plan_campaign
from clv.periods import Duration
from clv.scorer import CustomerScorer
from clv.simulate import Brand, simulate_brand
from clv.uplift import UpliftModel, fit_uplift
from clv.value.by_channel import value_by_channel
from clv.value.value import Terms

QUARTER = 13  # weeks that the budget is for
HORIZON = Duration(3, "year")
ACTIVE_DAYS = 182  # whom an offer can reach: customers who bought in the last half year


@dataclass(frozen=True)
class BrandPlan:
    """What was learned, what it costs, and where the quarter's money should go.

    ``uplift`` is what the last campaign taught, ``reachable`` the scores of those whom the next one
    can reach, ``campaign`` whom of them it should reach.
    """

    brand: Brand
    scorer: CustomerScorer
    values: pd.DataFrame
    costs: ChannelCosts
    table: pd.DataFrame
    uplift: UpliftModel
    reachable: pd.DataFrame
    campaign: CampaignPlan
    quarter: Planned

    @property
    def plan(self) -> Allocation:
        """What to spend where in the quarter."""
        return self.quarter.allocation


@dataclass(frozen=True)
class Judgement:
    """The plan under the truth: profit of the quarter's money, today, planned, and at best.

    ``channels`` holds the latter two for the same money on channels alone, ``retention`` the
    profit that retention was expected to bring and what it truly brings. ``unlearned`` is
    ``planned`` had there been no campaign to learn from, and ``guessed`` its ``retention``.
    """

    today: float
    planned: float
    best: float
    channels: tuple[float, float]
    retention: tuple[float, float]
    unlearned: float
    guessed: tuple[float, float]

    @property
    def reached(self) -> float:
        """Share of what could be gained that the plan reaches."""
        return self._share(self.planned)

    @property
    def reached_unlearned(self) -> float:
        """The same with a save rate that is assumed instead of a lift that is measured."""
        return self._share(self.unlearned)

    @property
    def reached_on_channels(self) -> float:
        """The same for the money on channels alone."""
        return (self.channels[0] - self.today) / (self.channels[1] - self.today)

    def _share(self, profit: float) -> float:
        return (profit - self.today) / (self.best - self.today)

    def __str__(self) -> str:
        (expected, brought), (hoped, had) = self.retention, self.guessed
        return (
            f"Judged by the truth of the simulation: profit {self.today:,.0f} today, "
            f"{self.planned:,.0f} by this plan, {self.best:,.0f} at best; the plan reaches "
            f"{self.reached:.0%} of what could be gained. With curves and values estimated, the "
            f"same money on channels alone reaches {self.reached_on_channels:.0%} of what could be "
            f"gained there; retention, whose lift is measured in the last campaign and whose value "
            f"is modelled, was expected to bring {expected:,.0f} and brings {brought:,.0f}. "
            f"Without the campaign's log, at an assumed save rate of {BetaRate().mean:g}, it would "
            f"have been expected to bring {hoped:,.0f}, would have brought {had:,.0f}, and the "
            f"plan would have reached {self.reached_unlearned:.0%}."
        )


def main() -> None:
    """Plan the quarter and print the plan and its judgement."""
    planned = plan_quarter(simulate_brand(seed=1))
    print(planned.table.to_string(index=False, float_format="{:,.2f}".format))
    print(planned.plan.to_frame().to_string(index=False, float_format="{:,.2f}".format))
    print(planned.uplift, *planned.quarter.findings, *planned.quarter.notes, sep="\n")
    print(judge(planned))


def plan_quarter(brand: Brand) -> BrandPlan:
    """From orders, spend and the last campaign to a plan for the next quarter."""
    log, _ = clean(brand.orders)
    summary = summarize(log)
    terms = Terms(margin_rate(log), 0.10, HORIZON, "EUR", margin_source="measured")
    arrow = pa.Table.from_pandas(log, preserve_index=False)  # which is cut and joined sooner
    scorer = CustomerScorer.fit(arrow, terms, churn_horizon=Duration(13, "week"))
    curves = response_curves(brand.spend)
    estimates = with_values(Estimates(curves, period="week"), summary, scorer, terms)
    values = value_by_channel(estimates.models, terms)
    costs = channel_costs(brand.spend, as_of=brand.as_of.date())
    table = channel_table(
        costs,
        dict(zip(values["channel"], values["new_customer_clv"], strict=True)),
        horizon=HORIZON,
        earned={name: model.earned(terms) for name, model in estimates.models.items()},
        responses={curve.name: curve.curve for curve in curves.channels},
    )
    uplift = learn(brand, scorer, log)
    reachable = scorer.predict(summary[summary["days_since_last"] <= ACTIVE_DAYS])
    offer = MeasuredOffer("the retention offer", uplift.predict(reachable))
    channels = to_channels(estimates, QUARTER)
    quarter = work_out(
        channels,
        sum(channel.current or 0.0 for channel in channels),  # the money spent today
        plan_campaign(reachable, offer).gain_curve,
        periods=QUARTER,
        estimates=estimates,
        name="next quarter",
        currency=terms.currency,
    )
    campaign = plan_campaign(reachable, offer, quarter.allocation.retention_spend)
    return BrandPlan(brand, scorer, values, costs, table, uplift, reachable, campaign, quarter)


def learn(brand: Brand, scorer: CustomerScorer, log: pd.DataFrame) -> UpliftModel:
    """What the last campaign taught: from its log, and the scores as of the day before it."""
    eve = (brand.campaign["date"].min() - pd.Timedelta(days=1)).date()
    before = summarize(log, as_of=eve)
    reached = before[before["customer_id"].isin(brand.campaign["customer_id"])]
    return fit_uplift(brand.campaign, scorer.predict(reached), value="value_at_stake")


def judge(planned: BrandPlan) -> Judgement:
    """Profit of the plan, of today's and of the best one, under the simulation's own truth.

    The best plan is allocated with the true curves, values and expected lifts, in the same bounds.
    """
    lift = planned.brand.offer_lift(HORIZON, 0.10).set_index("customer_id")
    everyone = GainCurve.from_customers(
        lift["expected_cost"], lift["expected_lift"], horizon=str(HORIZON)
    )
    estimated, budget, sent = planned.quarter.channels, planned.plan.budget, planned.brand.offer
    true = _true_channels(planned)
    alone = allocate(estimated, budget, periods=QUARTER)
    brought = _brought(planned.campaign, lift)
    guess = Offer(sent.contact_cost, sent.incentive)
    unlearned = allocate(
        estimated, budget, plan_campaign(planned.reachable, guess), periods=QUARTER
    )
    had = _brought(plan_campaign(planned.reachable, guess, unlearned.retention_spend), lift)
    return Judgement(
        today=_profit(true, {c.name: c.current or 0.0 for c in true}),
        planned=_profit(true, planned.plan.spend) + brought,
        best=allocate(true, budget, everyone, periods=QUARTER).profit,
        channels=(
            _profit(true, alone.spend),
            allocate(true, budget, periods=QUARTER).profit,
        ),
        retention=(_expected(planned.plan), brought),
        unlearned=_profit(true, unlearned.spend) + had,
        guessed=(_expected(unlearned), had),
    )


def _brought(campaign: CampaignPlan, lift: pd.DataFrame) -> float:
    """What contacting the campaign's audience truly earns."""
    treated = campaign.table.query("group == 'treat'")["customer_id"]
    return float((lift["expected_lift"] - lift["expected_cost"]).loc[treated].sum())


def _expected(plan: Allocation) -> float:
    """Profit that the plan expects of retention."""
    return plan.retention_gain - plan.retention_spend


def _true_channels(planned: BrandPlan) -> list[Channel]:
    """The channels of the plan with their true curves and values, in the same bounds."""
    truth, value = planned.brand.truth.channels, planned.brand.new_customer_value(HORIZON)
    return [
        replace(
            channel,
            response=Power(*truth.loc[channel.name, ["response_k", "response_b"]].astype(float)),
            value=float(value[channel.name]),
        )
        for channel in planned.quarter.channels
    ]


def _profit(channels: Sequence[Channel], spend: Mapping[str, float]) -> float:
    """Value of the new customers of a quarter's spend, less that spend."""
    return sum(
        c.value * float(c.response.over(QUARTER).customers(spend[c.name])) - spend[c.name]
        for c in channels
    )


if __name__ == "__main__":
    main()
