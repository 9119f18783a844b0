"""Channels and one budget, on the SIMULATED brand, whose truth is known.

    python -m training.brand

The recipe sees what an analyst sees (orders, spend per channel and week), decides where the money
of the next quarter goes, and is then judged against the truth that produced the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from clv.data.summary import margin_rate, summarize
from clv.data.transactions import clean
from clv.decide.allocate import Channel, allocate
from clv.decide.allocation import Allocation
from clv.decide.channels import ChannelCosts, channel_costs
from clv.decide.gain import GainCurve
from clv.decide.offer import Offer
from clv.decide.ratios import channel_table
from clv.decide.response import Power
from clv.decide.retention import RetentionTargets, gain_curve, retention_targets
from clv.periods import Duration
from clv.scorer import CustomerScorer
from clv.simulate import Brand, simulate_brand
from clv.value import Terms, models_by_channel, value_by_channel

QUARTER = 13  # weeks that the budget is for
HORIZON = Duration(3, "year")
ACTIVE_DAYS = 182  # whom an offer can reach: customers who bought in the last half year


@dataclass(frozen=True)
class BrandPlan:
    """What was learned, what it costs, and where the quarter's money should go."""

    brand: Brand
    scorer: CustomerScorer
    values: pd.DataFrame
    costs: ChannelCosts
    table: pd.DataFrame
    channels: list[Channel]
    targets: RetentionTargets
    plan: Allocation


@dataclass(frozen=True)
class Judgement:
    """The plan under the truth: profit of the quarter's money, today, planned, and at best."""

    today: float
    planned: float
    best: float

    def __str__(self) -> str:
        reached = (self.planned - self.today) / (self.best - self.today)
        return (
            f"Judged by the truth of the simulation: profit {self.today:,.0f} today, "
            f"{self.planned:,.0f} by this plan, {self.best:,.0f} at best; the plan reaches "
            f"{reached:.0%} of what could be gained."
        )


def main() -> None:
    """Plan the quarter and print the plan and its judgement."""
    planned = plan_quarter(simulate_brand(seed=1))
    print(planned.table.to_string(index=False, float_format="{:,.2f}".format))
    print(planned.plan.to_frame().to_string(index=False, float_format="{:,.2f}".format))
    print(*planned.plan.findings, *planned.plan.notes, judge(planned), sep="\n")


def plan_quarter(brand: Brand) -> BrandPlan:
    """From orders and spend to a plan for the next quarter."""
    log, _ = clean(brand.orders)
    summary = summarize(log)
    terms = Terms(margin_rate(log), 0.10, HORIZON, "EUR", margin_source="measured")
    scorer = CustomerScorer.fit(log, terms, churn_horizon=Duration(13, "week"))
    models = models_by_channel(summary, scorer.purchases, scorer.spend)
    values = value_by_channel(models, terms)
    costs = channel_costs(brand.spend, as_of=brand.as_of.date())
    value = dict(zip(values["channel"], values["new_customer_clv"], strict=True))

    week = brand.spend.groupby("channel")[["spend", "new_customers"]].mean()
    week = week[week["spend"] > 0]
    scores = scorer.predict(summary)
    reachable = scores[scores["days_since_last"] <= ACTIVE_DAYS]
    offer = Offer(brand.offer.contact_cost, brand.offer.incentive)
    channels = [
        Channel(
            name,
            Power.from_point(QUARTER * spend, QUARTER * new),
            value[name],
            lo=0.5 * QUARTER * spend,
            hi=2.0 * QUARTER * spend,
            current=QUARTER * spend,
            horizon=str(HORIZON),
        )
        for name, spend, new in week.itertuples()
    ]
    table = channel_table(
        costs,
        value,
        horizon=HORIZON,
        earned={name: model.earned(terms) for name, model in models.items()},
        responses={n: Power.from_point(spend, new) for n, spend, new in week.itertuples()},
    )
    budget = QUARTER * float(week["spend"].sum())
    plan = allocate(channels, budget, retention=gain_curve(reachable, offer))
    targets = retention_targets(reachable, offer, plan.retention_spend)
    return BrandPlan(brand, scorer, values, costs, table, channels, targets, plan)


def judge(planned: BrandPlan) -> Judgement:
    """Profit of the plan, of today's and of the best one, under the simulation's own truth.

    The best plan is allocated with the true curves, values and expected lifts, in the same bounds.
    """
    truth, value = planned.brand.truth.channels, planned.brand.new_customer_value(HORIZON)
    lift = planned.brand.offer_lift(HORIZON, 0.10).set_index("customer_id")
    paid = truth.loc[[c.name for c in planned.channels], ["response_k", "response_b"]]
    curves = {name: Power(k * QUARTER ** (1 - b), b) for name, k, b in paid.itertuples()}

    def profit(spend: Mapping[str, float]) -> float:
        won = sum(value[name] * float(curves[name].customers(s)) - s for name, s in spend.items())
        return float(won)

    treated = planned.targets.table.query("group == 'treat'")["customer_id"]
    kept = lift.loc[treated, ["expected_lift", "expected_cost"]].sum()
    channels = [replace(c, response=curves[c.name], value=value[c.name]) for c in planned.channels]
    everyone = GainCurve.of(lift["expected_cost"], lift["expected_lift"], horizon=str(HORIZON))
    best = allocate(channels, planned.plan.budget, everyone)
    return Judgement(
        today=profit({c.name: c.current or 0.0 for c in channels}),
        planned=profit(planned.plan.spend) + kept["expected_lift"] - kept["expected_cost"],
        best=best.profit,
    )


if __name__ == "__main__":
    main()
