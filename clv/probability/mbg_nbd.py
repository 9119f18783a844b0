"""The MBG/NBD model of Batislam, Denizel & Filiztekin (2007): customers can leave at once.

As BG/NBD, but the first purchase too is an occasion to leave, so that a customer with x repeat
purchases had x + 1. A customer who is alive is then a new BG/NBD customer. ``theta`` and the other
arguments are those of ``clv.probability.bg_nbd``, whose formulas serve with that one more occasion.

References
----------
.. [1] Batislam, Denizel & Filiztekin (2007), Empirical validation and comparison of models for
   customer base analysis, International Journal of Research in Marketing 24(3).
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from clv.probability import bg_nbd
from clv.probability.bg_nbd import BetaGeoNBD, BgNbdTheta
from clv.schema import Floats

__all__ = ["BgNbdTheta", "ModifiedBetaGeoNBD"]

contributions = partial(bg_nbd.contributions, first=1)
log_likelihood = partial(bg_nbd.log_likelihood, first=1)
probability_alive = partial(bg_nbd.probability_alive, first=1)
given_alive = partial(bg_nbd.given_alive, first=1)
simulate = partial(bg_nbd.simulate, first=1)


def purchase_rate(theta: BgNbdTheta, t: ArrayLike) -> Floats:
    """Expected purchases per unit of time at age t: those of whom the first purchase kept.

    b/(a+b) times the BG/NBD rate with b + 1, as one occasion to leave has passed.
    """
    r, alpha, a, b = map(np.asarray, theta)
    return np.asarray(b / (a + b) * bg_nbd.purchase_rate(BgNbdTheta(r, alpha, a, b + 1), t))


class ModifiedBetaGeoNBD(BetaGeoNBD):
    """MBG/NBD: as ``BetaGeoNBD``, with one-time buyers who may already have left.

    Parameters
    ----------
    engine, unit, covariates, effect_sd
        As in ``BetaGeoNBD``.

    Examples
    --------
    >>> import pandas as pd
    >>> model = ModifiedBetaGeoNBD.from_params(r=.525, alpha=6.183, a=.891, b=1.614)
    >>> X = pd.DataFrame({"frequency": [2, 0], "recency": [30.43, 0.0], "T": [38.86, 38.86]})
    >>> model.probability_alive(X).round(4)
    array([0.7062, 0.3897])
    >>> round(float(model.expected_purchases(39)), 4)
    1.183
    """

    _contributions = staticmethod(contributions)
    _probability_alive = staticmethod(probability_alive)
    _given_alive = staticmethod(given_alive)
