"""The MBG/CNBD-k model of Reutterer, Platzer & Schröder (2021): regular, and gone at once perhaps.

As BG/CNBD-k, but the first purchase too is an occasion to leave, see ``mbg_nbd``. The formulas are
those of ``clv.probability.bg_cnbd`` with that one more occasion; k = 1 is MBG/NBD.
"""

from __future__ import annotations

from functools import partial

from clv.probability import bg_cnbd
from clv.probability.bg_cnbd import BetaGeoCNBD, CnbdTheta

__all__ = ["CnbdTheta", "ModifiedBetaGeoCNBD"]

contributions = partial(bg_cnbd.contributions, first=1)
log_likelihood = partial(bg_cnbd.log_likelihood, first=1)
probability_alive = partial(bg_cnbd.probability_alive, first=1)
given_alive = partial(bg_cnbd.given_alive, first=1)
simulate = partial(bg_cnbd.simulate, first=1)


class ModifiedBetaGeoCNBD(BetaGeoCNBD):
    """MBG/CNBD-k: as ``BetaGeoCNBD``, with one-time buyers who may already have left.

    Parameters
    ----------
    unit, engine, k
        As in ``BetaGeoCNBD``.

    Examples
    --------
    >>> import pandas as pd
    >>> model = ModifiedBetaGeoCNBD.from_params(r=0.85, alpha=1.45, a=0.79, b=2.42, k=3)
    >>> X = pd.DataFrame({"frequency": [4, 0], "recency": [30.0, 0.0], "T": [32.0, 32.0]})
    >>> model.probability_alive(X).round(3)
    array([0.885, 0.35 ])
    """

    _contributions = staticmethod(contributions)
    _probability_alive = staticmethod(probability_alive)
    _given_alive = staticmethod(given_alive)
