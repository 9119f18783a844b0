"""A forecast of one origin: means of purchases and money, and how sure it is of them.

Every forecaster, model or naive, takes a ``Calibration`` and gives such records; all are judged
alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special as sc

from clv.evaluate.backtest.origin import Calibration
from clv.history import read_history, read_spend
from clv.probability.estimator import PurchaseModel
from clv.probability.gamma_gamma import GammaGammaTheta
from clv.schema import Floats

BLOCK = 1_024  # customers whose numbers of purchases are looked at together


@dataclass(frozen=True, eq=False)
class Forecast:
    """What somebody expects of each of n customers.

    Attributes
    ----------
    name
        Who forecasts.
    naive
        Whether without a model.
    purchases, money
        Means, shape (n,): purchases in the holdout, and revenue.
    chances
        From whole numbers k (K,) to P(exactly k purchases), shape (n, K); None: it does not say.
    money_within
        From amounts (n,) to P(revenue <= amount), shape (n,); None: it does not say.
    shipped
        Whether it is the one that a scorer trained that day would give.
    """

    name: str
    naive: bool
    purchases: Floats
    money: Floats
    chances: Callable[[Floats], Floats] | None = None
    money_within: Callable[[Floats], Floats] | None = None
    shipped: bool = False


def model_forecast(
    calibration: Calibration, purchases: PurchaseModel, name: str, shipped: bool = False
) -> Forecast:
    """The forecast of a fitted purchase model with Gamma-Gamma, of what is known."""
    spend, t = calibration.spend, calibration.horizon
    history, (x, zbar) = read_history(calibration.summary), read_spend(calibration.summary)
    expected = purchases.conditional_expected_purchases(t, history)
    theta = GammaGammaTheta(**spend.params_)

    def chances(k: Floats, rows: Any = slice(None)) -> Floats:
        return purchases.probability_of_purchases(k, t, history.where(rows))

    def within(amount: Floats) -> Floats:
        return within_money(amount, chances, expected, theta, x, zbar)

    money = expected * spend.expected_spend(calibration.summary)
    return Forecast(name, False, expected, money, chances, within, shipped)


def within_money(
    amount: Floats,
    chances: Callable[..., Floats],
    expected: Floats,
    spend: GammaGammaTheta,
    x: Floats,
    zbar: Floats,
) -> Floats:
    """P(revenue <= amount), shape (n,), of customers whose counts are ``chances(k, rows)``."""
    chance = chances(np.zeros(1))[:, 0]
    for rows, most in _blocks(np.flatnonzero(amount > 0), expected):
        p = chances(np.arange(most), rows)
        chance[rows] = revenue_within(amount[rows], p, spend, x[rows], zbar[rows])
    return chance


def revenue_within(
    amount: Floats, chances: Floats, spend: GammaGammaTheta, x: Floats, zbar: Floats
) -> Floats:
    """P(revenue <= amount) for n customers, from P(exactly k purchases), shape (n, K).

    k purchases bring (v + x zbar) BetaPrime(p k, q + p x) under Gamma-Gamma; a mixture over k.
    """
    p, q, v = spend
    share = amount / (amount + v + x * zbar)
    k = np.arange(1, chances.shape[1])
    within = sc.betainc(p * k, (q + p * x)[:, None], share[:, None])
    return np.asarray(np.minimum(chances[:, 0] + (chances[:, 1:] * within).sum(axis=1), 1.0))


def _blocks(rows: NDArray[np.intp], expected: Floats) -> Iterator[tuple[NDArray[np.intp], int]]:
    """Customers of like means together, with a number of purchases that is next to never passed."""
    order = rows[np.argsort(expected[rows])]
    for start in range(0, len(order), BLOCK):
        block = order[start : start + BLOCK]
        most = float(expected[block[-1]])
        yield block, int(most + 12 * np.sqrt(most + most**2) + 25)
