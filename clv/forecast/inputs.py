"""What a learner reads of a customer: history and log, and what the fitted models say of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import logit

from clv.data.features import (
    BEHAVIOUR,
    FEATURES,
    LOG_FEATURES,
    MONEY,
    Columns,
    features,
    log_features,
)
from clv.history import HISTORY, History
from clv.probability.estimator import PurchaseModel
from clv.probability.gamma_gamma import GammaGamma, expected_spend
from clv.schema import Floats

OF_MODELS = ("alive", "buys_if_alive", "expected", "spend")
INPUTS = (*FEATURES, *LOG_FEATURES, *OF_MODELS)
READS = (*HISTORY, *MONEY, *BEHAVIOUR)  # the columns of a summary, widened by ``with_behaviour``
LEAST = 1e-3  # probabilities stay this far from 0 and 1 before their logarithm is taken


@dataclass(frozen=True, eq=False)
class Customers:
    """n customers as of a day, and what models say of their next h.

    Attributes
    ----------
    columns
        ``READS`` by name, shape (n,) each.
    history
        The first three of them.
    model
        The purchase model.
    expected, spend
        Its expectation of purchases in h, and the spend model's of the money of one, shape (n,).
    X
        ``INPUTS``, shape (n, k).
    """

    columns: Columns
    history: History
    model: PurchaseModel
    expected: Floats
    spend: Floats
    X: Floats

    def __len__(self) -> int:
        return len(self.expected)

    @classmethod
    def from_columns(
        cls, columns: Columns, model: PurchaseModel, spend: GammaGamma, h: float
    ) -> Self:
        """The customers of a summary in memory; ``h`` in the model's unit."""
        history = History(*(np.asarray(columns[name], dtype=np.float64) for name in HISTORY))
        alive = model.probability_alive(history)
        buys = model.probability_of_purchase(h, history) / np.maximum(alive, 1e-12)
        expected = np.maximum(model.conditional_expected_purchases(h, history), 1e-9)
        amount = expected_spend(spend._parameters(), history.x, columns["monetary_value"])
        of_models = (
            np.log(np.maximum(alive, LEAST)),
            logit(np.clip(buys, LEAST, 1 - LEAST)),
            np.log(np.maximum(expected, 1e-6)),
            np.log1p(amount),
        )
        of_log = features(columns, history), log_features(columns, history)
        # engines add in another order; trees would split on the last bit
        X = np.round(np.column_stack([*of_log, *of_models]), 9)
        return cls(columns, history, model, expected, amount, X)

    def where(self, rows: Floats) -> Customers:
        """The customers at ``rows``: a mask or indices."""
        columns = {name: np.asarray(self.columns[name])[rows] for name in READS}
        return Customers(
            columns,
            self.history.where(rows),
            self.model,
            self.expected[rows],
            self.spend[rows],
            self.X[rows],
        )
