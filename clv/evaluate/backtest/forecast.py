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
NEGLIGIBLE = 1e-10  # a chance that no figure shows


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
        From whole numbers k (K,), and rows (m,) if not of all, to P(exactly k purchases), shape
        (m, K); None: it does not say.
    money_within
        From amounts (n,) to P(revenue <= amount), shape (n,); None: it does not say.
    shipped
        Whether it is the one that a scorer trained that day would give.
    """

    name: str
    naive: bool
    purchases: Floats
    money: Floats
    chances: Callable[..., Floats] | None = None
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
    """P(revenue <= amount), shape (n,), of customers whose counts are ``chances(k, rows)``.

    k purchases bring (v + x zbar) BetaPrime(p k, q + p x) under Gamma-Gamma; a mixture over k. More
    purchases bring more, so those not looked at yet add no more than their chance times the last
    one's P(revenue <= amount): a customer is done where that is negligible.
    """
    p, q, v = spend
    odds, share = q + p * x, amount / (amount + v + x * zbar)
    chance = chances(np.zeros(1))[:, 0]
    left = 1 - chance
    likely = np.minimum(amount * odds / (p * (v + x * zbar)), expected)  # purchases
    for rows in alike(np.flatnonzero(amount > 0), likely):
        for k in _counts(float(likely[rows].max()), float(expected[rows].max())):
            of_k = chances(k, rows)
            within = sc.betainc(p * k, odds[rows, None], share[rows, None])
            chance[rows] += (of_k * within).sum(axis=1)
            left[rows] -= of_k.sum(axis=1)
            rows = rows[left[rows] * within[:, -1] > NEGLIGIBLE]
            if not len(rows):
                break
    return np.minimum(chance, 1.0)


def alike(rows: NDArray[np.intp], by: Floats) -> Iterator[NDArray[np.intp]]:
    """The rows in blocks of like ones, as all of a block are looked at up to its largest count."""
    order = rows[np.argsort(by[rows], kind="stable")]
    return (order[start : start + BLOCK] for start in range(0, len(order), BLOCK))


def _counts(likely: float, most: float) -> list[Floats]:
    """Numbers of purchases up to one that is next to never passed, in parts."""
    last = int(most + 12 * np.sqrt(most + most**2) + 25)
    first = int(likely + 3 * np.sqrt(likely) + 5)
    return np.split(np.arange(1.0, max(last, first + 1)), [first, 2 * first, 4 * first])
