"""What a customer is worth who had left for good and is brought back.

Who is gone left at the last purchase, so what the history says of such a customer is another thing
than of one who is still there: under BG/NBD [1]_

    lambda ~ Gamma(r + x, alpha + t_x),    p ~ Beta(a + 1, b + x - 1),

as the likelihood of x purchases up to t_x of which the last was one of leaving is
lambda^x exp(-lambda t_x) p (1 - p)^(x - 1). Brought back, the customer goes on with these rates.
Value at stake is of those who are still there: it takes them to buy less often than they did, and
to leave less soon after it, most of all where few orders tell.

References
----------
.. [1] Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2),
   whose likelihood this splits in two.
"""

from __future__ import annotations

import numpy as np

from clv.history import History
from clv.periods import Unit
from clv.probability.bg_nbd import BetaGeoNBD, BgNbdTheta
from clv.probability.estimator import PurchaseModel
from clv.probability.mbg_nbd import ModifiedBetaGeoNBD
from clv.schema import Floats
from clv.value.value import Terms

LEAVES_FROM: dict[type[PurchaseModel], int] = {
    BetaGeoNBD: 1,
    ModifiedBetaGeoNBD: 0,
}  # repeat purchases after which one can leave


def value_if_back(
    purchases: PurchaseModel, terms: Terms, unit: Unit, history: History
) -> Floats | None:
    """Discounted value of each customer who has left and comes back today, over the horizon.

    It is not shrunk, as ``value_at_stake`` is for those who leave later all the same: that whoever
    comes back leaves again is counted in it.

    Parameters
    ----------
    purchases, terms, unit
        As everywhere.
    history
        Of the customers, in that unit.

    Returns
    -------
    Shape (n,), per unit of money that a purchase brings; 0 for who cannot have left. None for a
    model that does not tell it: any but BG/NBD and MBG/NBD, or one with covariates.
    """
    first = LEAVES_FROM.get(type(purchases))
    if first is None or getattr(purchases, "covariates", None):
        return None
    x, t_x, of_row = history.last_pairs
    r, alpha, a, b = purchases._parameters()
    could = x >= first
    stays = np.where(could, b + x - first, 1.0)
    theta = BgNbdTheta(r + x, alpha + t_x, np.full(len(x), a + 1.0), np.maximum(stays, 1e-9))
    horizon = np.full(len(x), terms.horizon.to(unit))
    bought = purchases._discounted(theta, horizon, terms.delta(unit), tabled=True)
    return np.asarray(terms.margin_rate * np.where(could, bought, 0.0)[of_row])
