"""What moved a churn score away from the base's average: contributions that add up exactly.

The score of the pool is the mean of two probabilities, and each is taken apart on its own scale:

- of the hurdle, 1 - p: the log odds are a sum over the inputs of the trees, and each input moves
  the probability in proportion to it; what the model's surer word takes off is the pace's;
- of the corrected purchase model: first P(no purchase in h e^k) for a correction that is the same
  for all, a product of P(alive) and P(purchase | alive); then what the customer's own correction
  changes, in proportion to the inputs of its trees.

What is left off by the rounding of a correction goes to the inputs by their size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special as sc

from clv.data.features import FEATURES, LOG_FEATURES
from clv.forecast.attribution import (
    boosted_average,
    boosted_contributions,
    product_contributions,
)
from clv.forecast.inputs import INPUTS, Customers
from clv.forecast.pool import Pool
from clv.probability.estimator import Histories, PurchaseModel
from clv.schema import Floats

# What each input of the trees speaks of.
TOPIC_OF: Mapping[str, str] = {
    "alive": "silence",
    "buys_if_alive": "pace",
    "expected": "pace",
    "spend": "spend",
    **{name: feature.topic for name, feature in (FEATURES | LOG_FEATURES).items()},
}
AMOUNT = "mean_amount"  # in ``base``, beside the score, what survives, and a number per topic


@dataclass(frozen=True)
class ChurnEffects:
    """What moved each customer's churn score away from the base's average.

    Attributes
    ----------
    topics
        What the k columns are about.
    values
        Shape (n, k); positive raises the risk. Rows add up to ``score - average``.
    score, average
        Each customer's score and the base's average, on ``scale``.
    scale
        "probability", or "log odds" under contracts.
    typical_amount
        The base's usual amount per purchase, None where money is no input.
    around
        The averages behind it that ``base`` adds to.
    """

    topics: tuple[str, ...]
    values: Floats
    score: Floats
    average: float
    scale: str
    typical_amount: float | None = None
    around: Mapping[str, float] | None = None

    def base(self) -> dict[str, float]:
        """The averages of these customers: what effects of others are measured against."""
        topics = dict(zip(self.topics, self.values.mean(axis=0).tolist(), strict=True))
        return {**(self.around or {}), "score": float(self.score.mean()), **topics}

    def importance(self) -> tuple[dict[str, Any], ...]:
        """One row per topic, the weightiest first, of effects on these customers."""
        centred = self.values - self.values.mean(axis=0)
        rows = (
            {
                "topic": topic,
                "inputs": ", ".join(name for name in INPUTS if TOPIC_OF[name] == topic),
                "mean_effect": float(size),
            }
            for topic, size in zip(self.topics, np.abs(centred).mean(axis=0), strict=True)
        )
        return tuple(sorted(rows, key=lambda row: -row["mean_effect"]))


def of_purchase_model(
    purchases: PurchaseModel, X: Histories, h: float, base: Mapping[str, float]
) -> ChurnEffects:
    """P(purchase) = P(alive) P(purchase | alive): what the silence and the pace did to it."""
    alive = purchases.probability_alive(X)
    buys = _if_alive(purchases.probability_of_purchase(h, X), alive)
    average = base if {"alive", "buys_if_alive", "buys"} <= set(base) else _averages(alive, buys)
    around = (average["alive"], average["buys_if_alive"], average["buys"])
    values = -product_contributions(alive, buys, *around)
    return ChurnEffects(("silence", "pace"), values, 1 - alive * buys, 1 - around[2], "probability")


def of_pool(pool: Pool, customers: Customers, base: Mapping[str, float]) -> ChurnEffects:
    """The effects on the pool's P(no purchase in h), by topic.

    ``base`` is what ``ChurnEffects.base`` gave of the base; without, effects are measured against
    averages of the trees' examples.
    """
    learner, reading = pool.learner, pool.learner.read(customers.X)
    topics = tuple(dict.fromkeys(TOPIC_OF[name] for name in INPUTS))
    member = np.array([[TOPIC_OF[name] == topic for topic in topics] for name in INPUTS])
    odds, factor = (
        boosted_contributions(trees, customers.X) @ member
        for trees in (learner.buys, learner.corrects)
    )
    usual_odds, usual_factor = boosted_average(learner.buys), boosted_average(learner.corrects)

    def leaves(log_odds: Floats | float) -> Floats:
        return np.asarray(sc.expit(-(log_odds + pool.shift)))

    def silent(log_factor: Floats | float) -> Floats:
        t = pool.length * np.exp(log_factor + pool.stretch)
        return customers.model.probability_of_no_purchase(t, customers.history)

    alive = customers.model.probability_alive(customers.history)
    same = silent(usual_factor)
    around = base if base else _around(customers, alive, _if_alive(1 - same, alive))
    of_trees, of_model = leaves(reading.odds), silent(reading.factor)
    hurdle = 1 - pool.hurdle(reading, of_model)[0]
    values = _shared_out(odds, of_trees - leaves(usual_odds))
    values[:, topics.index("pace")] += hurdle - of_trees
    values += _shared_out(factor, of_model - same)
    two = -product_contributions(
        alive, _if_alive(1 - same, alive), *(around[n] for n in ("alive", "buys_if_alive", "buys"))
    )
    for i, topic in enumerate(("silence", "pace")):
        values[:, topics.index(topic)] += two[:, i]
    values /= 2
    score = (hurdle + of_model) / 2
    average = (1 - around["buys"] + float(leaves(usual_odds))) / 2
    if base:
        values -= np.array([base[topic] for topic in topics])
        average += sum(base[topic] for topic in topics)
    typical = float(np.expm1(around[AMOUNT]))
    return ChurnEffects(topics, values, score, average, "probability", typical, around)


def survival(purchases: PurchaseModel, X: Histories, h: float) -> dict[str, float]:
    """Means of P(alive), P(purchase | alive) and P(purchase) in h: where reasons start."""
    alive = purchases.probability_alive(X)
    return _averages(alive, _if_alive(purchases.probability_of_purchase(h, X), alive))


def _around(customers: Customers, alive: Floats, buys: Floats) -> dict[str, float]:
    amount = float(customers.X[:, INPUTS.index(AMOUNT)].mean())
    return {**_averages(alive, buys), AMOUNT: amount}


def _averages(alive: Floats, buys: Floats) -> dict[str, float]:
    return {
        "alive": float(alive.mean()),
        "buys_if_alive": float(buys.mean()),
        "buys": float((alive * buys).mean()),
    }


def _if_alive(buys: Floats, alive: Floats) -> Floats:
    """P(purchase in h | alive) from P(purchase in h) and P(alive)."""
    return np.clip(buys / np.maximum(alive, 1e-12), 0.0, 1.0)


def _shared_out(parts: Floats, change: Floats) -> Floats:
    """A change of a probability, shape (n,), shared out to the parts of its cause, shape (n, k).

    In proportion to the parts, by the slope between the two ends where their sum tells one; what
    this leaves goes by the sizes of the parts, so that rows add up to the change.
    """
    total, size = parts.sum(axis=1), np.abs(parts).sum(axis=1)
    differs = np.abs(total) > 1e-2 * size
    slope = np.divide(change, total, out=np.zeros_like(total), where=differs & (total != 0))
    # a probability moves by no more than a quarter, of a log factor by no more than e^-1, per unit
    values = np.clip(slope, -0.5, 0.5)[:, None] * parts
    rest = change - values.sum(axis=1)
    weight = np.divide(
        np.abs(parts),
        size[:, None],
        out=np.full_like(parts, 1 / parts.shape[1]),
        where=size[:, None] > 0,
    )
    return np.asarray(values + rest[:, None] * weight)
