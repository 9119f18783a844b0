"""How much of the attainable profit does targeting reach, on SIMULATED brands whose truth is known?

    python -m training.uplift_study              # 20 repetitions, logs of 20,000 and 2,000
    python -m training.uplift_study --hillstrom hillstrom.parquet

One repetition: a brand runs a randomised campaign; the uplift model learns from its log and the
scores as of the day before; then a fresh draw of the same kind of brand is targeted with the same
offer and a tenth of what contacting all its active customers would cost. *Attainable* is what
somebody earns who knows all parameters, but of each customer only the history. Purchase and spend
models are fitted once, on a third brand. Money is the margin of the campaign's 26 weeks less the
cost of the contacts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.decide.retention.offer import Offer as AssumedOffer
from clv.decide.retention.offer import treat
from clv.evaluate.policy import Experiment, contact_best, policy_table
from clv.history import read_history
from clv.periods import Duration, Unit
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.gamma_gamma import GammaGamma
from clv.schema import Floats
from clv.simulate import SimulatedOffer, simulate_brand
from clv.uplift import UpliftModel, against_control, fit_uplift
from clv.value.value import Terms, residual_value, value_at_stake

WINDOW, CHURN = Duration(26, "week"), Duration(13, "week")
OFFER, UNSENT = SimulatedOffer(), SimulatedOffer(propensity=0.0)
UPLIFT, UPLIFT_STAKE = "learned uplift", "learned uplift, value at stake"
RANKED = "risk x stake per cost, save rate 0.3"
RANKED_LEFT = "left x stake per cost, save rate 0.3"
ACTIVE = 0.36  # of all customers ever acquired, at the campaign


@dataclass(frozen=True)
class Models:
    """Purchase and spend model, and the terms of the campaign's window."""

    purchases: BetaGeoNBD
    spend: GammaGamma
    terms: Terms

    @classmethod
    def fit(cls, seed: int = 999, customers: int = 60_000) -> Models:
        """Fitted on a brand that nobody is targeted in."""
        brand = simulate_brand(seed, customers=customers, offer=UNSENT, future="1 week")
        summary = summarize(clean(brand.orders)[0], unit="week")
        terms = Terms(brand.margin, 1e-9, WINDOW)
        return cls(BetaGeoNBD(unit="week").fit(summary), GammaGamma().fit(summary), terms)

    def scores(self, orders: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
        """What a scorer says of everybody as of a day, in the columns of its scores."""
        log = clean(orders[orders["date"] <= as_of])[0]
        summary = summarize(log, unit="week", as_of=as_of.date())
        history, spend = read_history(summary), self.spend.expected_spend(summary)
        unit: Unit = "week"
        money = (self.purchases, spend, history, self.terms, unit)
        columns = ["customer_id", "frequency", "days_since_last", "as_of"]
        return summary[columns].assign(
            clv=residual_value(*money),
            expected_spend=spend,
            probability_alive=self.purchases.probability_alive(history),
            churn_probability=self.purchases.probability_of_no_purchase(CHURN.to("week"), history),
            value_at_stake=value_at_stake(*money, CHURN, shrink=1.0),
        )

    def campaign(self, seed: int, size: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """A campaign log of ``size`` customers, and the scores of the day before."""
        brand = simulate_brand(seed, customers=int(size / ACTIVE) + 500, future="1 week")
        log = brand.campaign.sample(size, random_state=seed)
        day = log["date"].iloc[0] - pd.Timedelta(days=1)
        scores = self.scores(brand.orders, day)
        channel = brand.orders.drop_duplicates("customer_id")[["customer_id", "channel"]]
        return log, scores.merge(channel, on="customer_id")

    def next_customers(self, seed: int, customers: int) -> pd.DataFrame:
        """Active customers of another brand: scores, true expected lift and cost."""
        brand = simulate_brand(seed, customers=customers, offer=UNSENT, future="1 week")
        truth = brand.offer_lift("26 weeks")[
            ["customer_id", "channel", "expected_lift", "expected_cost"]
        ]
        return truth.merge(self.scores(brand.orders, brand.as_of), on="customer_id")


@dataclass(frozen=True)
class Contest:
    """Customers with known effects, and a budget; every ranking spends it from the top."""

    gain: Floats
    cost: Floats
    budget: float

    @classmethod
    def with_budget(cls, customers: pd.DataFrame, budget_share: float) -> Contest:
        """With a budget that is a share of what contacting everybody costs."""
        gain, cost = (customers[name].to_numpy() for name in ("expected_lift", "expected_cost"))
        return cls(gain, cost, budget_share * float(cost.sum()))

    def profit(self, score: Any, paying: Any = True) -> float:
        """True expected profit of contacting by ``score`` whoever is thought to be ``paying``."""
        order = np.argsort(-np.asarray(score), kind="stable")
        order = order[np.broadcast_to(paying, order.shape)[order]]
        funded = order[np.cumsum(self.cost[order]) <= self.budget]
        return float((self.gain - self.cost)[funded].sum())

    @property
    def attainable(self) -> float:
        """The most profit, within a customer's."""
        return self.profit(self.gain / self.cost, self.gain > self.cost)


def shares(models: Models, seed: int, size: int, customers: int = 60_000) -> dict[str, Any]:
    """One repetition: the share of the attainable profit by policy, and the method learned."""
    log, features = models.campaign(seed, size)
    people = models.next_customers(10_000 + seed, customers)
    contest = Contest.with_budget(people, 0.1)
    learned = fit_uplift(log, features, seed=seed)
    staked = fit_uplift(log, features, value="value_at_stake", seed=seed)
    profits = {
        UPLIFT: _by_model(contest, learned, people),
        UPLIFT_STAKE: _by_model(contest, staked, people),
        **{name: contest.profit(rank(people)) for name, rank in RANKINGS.items()},
    }
    by_policy: dict[str, Any] = {k: p / contest.attainable for k, p in profits.items()}
    return by_policy | {"method": learned.method, "stake method": staked.method}


def _by_model(contest: Contest, model: UpliftModel, people: pd.DataFrame) -> float:
    expected = model.predict(people)
    gain, cost = expected["expected_gain"], expected["cost"]
    return contest.profit(gain / cost, gain > cost)


def _per_cost(people: pd.DataFrame, leavers: Literal["silent", "gone"]) -> Floats:
    """As ``plan_campaign`` ranks an offer whose save rate is assumed."""
    assumed = AssumedOffer(OFFER.contact_cost, OFFER.incentive, leavers=leavers)
    churned = None if leavers == "silent" else 1 - people["probability_alive"]
    return treat(
        people["churn_probability"], people["value_at_stake"], assumed, churned
    ).gain_per_cost


RANKINGS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "by risk": lambda people: people["churn_probability"],
    "by CLV": lambda people: people["clv"],
    "risk x CLV, save rate 0.3": lambda people: people["churn_probability"] * people["clv"],
    "risk x stake, save rate 0.3": lambda p: p["churn_probability"] * p["value_at_stake"],
    RANKED: lambda people: _per_cost(people, "silent"),
    # told how the simulated offer works: it brings back who has left
    RANKED_LEFT: lambda people: _per_cost(people, "gone"),
    "random": lambda people: np.random.default_rng(0).random(len(people)),
}


def study(
    models: Models, sizes: Sequence[int], repetitions: int, first_seed: int = 0
) -> pd.DataFrame:
    """All repetitions, a row each: log (its size), seed, the shares and the methods."""
    return pd.DataFrame(
        {"log": size, "seed": seed, **shares(models, seed, size)}
        for size in sizes
        for seed in range(first_seed, first_seed + repetitions)
    )


def in_one_table(results: pd.DataFrame, ours: str = UPLIFT) -> pd.DataFrame:
    """Mean share by policy with 95% intervals of the mean, and how far ``ours`` is ahead, paired.

    Columns: log, policy, share, low, high, worst, ahead, ahead_low, ahead_high, won.
    """
    records = []
    for size, group in results.groupby("log", sort=False):
        for policy in [UPLIFT, UPLIFT_STAKE, *RANKINGS]:
            mean, low, high = _interval(group[policy])
            ahead, least, most = _interval(group[ours] - group[policy])
            record = {"log": size, "policy": policy, "share": mean, "low": low, "high": high}
            record |= {"worst": group[policy].min(), "ahead": ahead, "ahead_low": least}
            won = int((group[ours] > group[policy]).sum())
            records.append(record | {"ahead_high": most, "won": won})
    return pd.DataFrame(records)


def _interval(values: pd.Series[float]) -> tuple[float, float, float]:
    mean, error = float(values.mean()), float(values.std() / np.sqrt(len(values)))
    return mean, mean - 1.96 * error, mean + 1.96 * error


def hillstrom(table: pd.DataFrame, arm: str, margin: float, cost: float, seed: int) -> pd.DataFrame:
    """Policies learned on one half of Hillstrom's e-mail campaign, judged on the other.

    ``arm`` against no e-mail; profit is ``margin`` times the spend of two weeks less ``cost`` per
    e-mail. Judged are the policy "whoever is expected to pay for the e-mail", and the better half
    by each ranking.
    """
    log = hillstrom_log(table, arm, margin, cost)
    learn = np.random.default_rng(seed).random(len(log)) < 0.5
    held = log[~learn]
    model = fit_uplift(log[learn], seed=seed)
    expected = model.predict(held)
    policies = {
        f"{model.method}, who pays": (expected["expected_profit"] > 0).to_numpy(dtype=float),
        f"{model.method}, best half": contact_best(expected["expected_profit"], 0.5),
        "silent longest (risk), half": contact_best(held["recency"], 0.5),
        "most spent (CLV), half": contact_best(held["history"], 0.5),
        "random half": np.full(len(held), 0.5),
    }
    return policy_table(_judge(log[learn], held), policies)


def hillstrom_log(table: pd.DataFrame, arm: str, margin: float, cost: float) -> pd.DataFrame:
    """One arm of Hillstrom's campaign against no e-mail, as a campaign log with its features."""
    numbered = table.assign(customer_id=np.arange(len(table)))
    two = against_control(numbered, arm, "No E-Mail", column="segment")
    log: pd.DataFrame = two.to_native()
    log = log.assign(outcome_margin=margin * log["spend"], cost=cost * log["treated"])
    return log.drop(columns=["spend", "visit", "conversion"])


def _judge(learned: pd.DataFrame, held: pd.DataFrame) -> Experiment:
    """The held-out half; what is expected there are the means of the half that was learned from."""
    profit = (learned["outcome_margin"] - learned["cost"]).groupby(learned["treated"]).mean()
    mu = {f"mu{arm}": np.full(len(held), profit[arm]) for arm in (0, 1)}
    outcome = held["outcome_margin"] - held["cost"]
    return Experiment.from_arrays(outcome, held["treated"], held["propensity"], **mu)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--sizes", type=int, nargs="+", default=[20_000, 2_000])
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--hillstrom", help="a parquet file; judged instead of the simulation")
    arguments = parser.parse_args()
    if arguments.hillstrom:
        table = pd.read_parquet(arguments.hillstrom)
        for arm in ("Womens E-Mail", "Mens E-Mail"):
            results = hillstrom(table, arm, margin=0.3, cost=0.1, seed=0)
            print(f"\n{arm}\n{results.round(4).to_string(index=False)}")
        return
    results = study(Models.fit(), arguments.sizes, arguments.repetitions, arguments.first_seed)
    print(in_one_table(results).round(3).to_string(index=False))
    print(results.groupby("log", sort=False)[["method", "stake method"]].value_counts())


if __name__ == "__main__":
    main()
