"""Channels and one budget, on the SIMULATED brand, whose truth is known.

    python -m training.brand

The recipe sees what an analyst sees (orders, spend per channel and week), decides where the money
of the next quarter goes, and is then judged against the truth that produced the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from clv.data.summary import margin_rate, summarize
from clv.data.transactions import clean
from clv.decide.allocate import Channel, allocate
from clv.decide.allocation import Allocation
from clv.decide.channels import ChannelCosts, channel_costs
from clv.decide.curves import response_curves
from clv.decide.gain import GainCurve
from clv.decide.offer import Offer
from clv.decide.ratios import channel_table
from clv.decide.response import Power
from clv.decide.retention import RetentionTargets, gain_curve, retention_targets
from clv.periods import Duration
from clv.scorer import CustomerScorer
from clv.serve.plans import Known, Planned, to_channels, with_values, work_out
from clv.simulate import Brand, simulate_brand
from clv.value import Terms, value_by_channel

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
    targets: RetentionTargets
    quarter: Planned

    @property
    def plan(self) -> Allocation:
        """What to spend where in the quarter."""
        return self.quarter.allocation


@dataclass(frozen=True)
class Judgement:
    """The plan under the truth: profit of the quarter's money, today, planned, and at best.

    ``channels`` holds the latter two for the same money on channels alone, and ``retention`` the
    profit that retention was expected to bring and what it truly brings.
    """

    today: float
    planned: float
    best: float
    channels: tuple[float, float]
    retention: tuple[float, float]

    @property
    def reached(self) -> float:
        """Share of what could be gained that the plan reaches."""
        return (self.planned - self.today) / (self.best - self.today)

    @property
    def reached_on_channels(self) -> float:
        """The same for the money on channels alone."""
        return (self.channels[0] - self.today) / (self.channels[1] - self.today)

    def __str__(self) -> str:
        expected, brought = self.retention
        return (
            f"Judged by the truth of the simulation: profit {self.today:,.0f} today, "
            f"{self.planned:,.0f} by this plan, {self.best:,.0f} at best; the plan reaches "
            f"{self.reached:.0%} of what could be gained. With curves and values estimated, the "
            f"same money on channels alone reaches {self.reached_on_channels:.0%} of what could be "
            f"gained there; retention, whose save rate is assumed, was expected to bring "
            f"{expected:,.0f} and brings {brought:,.0f}."
        )


def main() -> None:
    """Plan the quarter and print the plan and its judgement."""
    planned = plan_quarter(simulate_brand(seed=1))
    print(planned.table.to_string(index=False, float_format="{:,.2f}".format))
    print(planned.plan.to_frame().to_string(index=False, float_format="{:,.2f}".format))
    print(*planned.quarter.findings, *planned.quarter.notes, judge(planned), sep="\n")


def plan_quarter(brand: Brand) -> BrandPlan:
    """From orders and spend to a plan for the next quarter."""
    log, _ = clean(brand.orders)
    summary = summarize(log)
    terms = Terms(margin_rate(log), 0.10, HORIZON, "EUR", margin_source="measured")
    scorer = CustomerScorer.fit(log, terms, churn_horizon=Duration(13, "week"))
    curves = response_curves(brand.spend)
    known = with_values(Known(curves, period="week"), summary, scorer, terms)
    values = value_by_channel(known.models, terms)
    costs = channel_costs(brand.spend, as_of=brand.as_of.date())
    table = channel_table(
        costs,
        dict(zip(values["channel"], values["new_customer_clv"], strict=True)),
        horizon=HORIZON,
        earned={name: model.earned(terms) for name, model in known.models.items()},
        responses={curve.name: curve.curve for curve in curves.channels},
    )
    scores = scorer.predict(summary)
    reachable = scores[scores["days_since_last"] <= ACTIVE_DAYS]
    offer = Offer(brand.offer.contact_cost, brand.offer.incentive)
    channels = to_channels(known, QUARTER)
    quarter = work_out(
        channels,
        sum(channel.current or 0.0 for channel in channels),  # the money spent today
        gain_curve(reachable, offer),
        periods=QUARTER,
        known=known,
        name="next quarter",
        currency=terms.currency,
    )
    targets = retention_targets(reachable, offer, quarter.allocation.retention_spend)
    return BrandPlan(brand, scorer, values, costs, table, targets, quarter)


def judge(planned: BrandPlan) -> Judgement:
    """Profit of the plan, of today's and of the best one, under the simulation's own truth.

    The best plan is allocated with the true curves, values and expected lifts, in the same bounds.
    """
    lift = planned.brand.offer_lift(HORIZON, 0.10).set_index("customer_id")
    everyone = GainCurve.of(lift["expected_cost"], lift["expected_lift"], horizon=str(HORIZON))
    treated = planned.targets.table.query("group == 'treat'")["customer_id"]
    kept = lift.loc[treated, ["expected_lift", "expected_cost"]].sum()
    brought = float(kept["expected_lift"] - kept["expected_cost"])

    seen, budget = planned.quarter.channels, planned.plan.budget
    true = _true_channels(planned)
    alone = allocate(seen, budget, periods=QUARTER)
    return Judgement(
        today=_profit(true, {c.name: c.current or 0.0 for c in true}),
        planned=_profit(true, planned.plan.spend) + brought,
        best=allocate(true, budget, everyone, periods=QUARTER).profit,
        channels=(
            _profit(true, alone.spend),
            allocate(true, budget, periods=QUARTER).profit,
        ),
        retention=(planned.plan.retention_gain - planned.plan.retention_spend, brought),
    )


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
