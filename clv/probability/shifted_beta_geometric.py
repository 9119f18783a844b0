"""The shifted-beta-geometric model of Fader & Hardie (2007): contracts that are renewed or not.

At each renewal a customer leaves with a probability theta ~ Beta(alpha, beta) that stays the same
for the customer; retention rates rise as those who leave easily are gone. It is the
beta-discrete-Weibull model with c = 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from clv.probability.contract_cells import ContractCells
from clv.probability.contract_formulas import ContractTheta, contributions
from clv.probability.contract_model import ContractModel
from clv.probability.optimize import Contributions


class SbgTheta(NamedTuple):
    """alpha, beta."""

    alpha: float
    beta: float


def sbg_contributions(theta: SbgTheta, cells: ContractCells) -> Contributions:
    """The log-likelihood of cells and its derivatives by (alpha, beta)."""
    full = contributions(ContractTheta(*theta), cells)
    return Contributions(full.levels, full.weight, full.by_level[:3], full.by_row[:3])


class ShiftedBetaGeometric(ContractModel):
    """sBG: how long customers stay under contracts that are renewed or not.

    Time counts the plan's own billing periods: months of monthly plans, years of annual ones.

    Parameters
    ----------
    covariates, effect_sd
        Columns in which customers differ, and how firmly they are held to be alike: as in
        ``BetaGeoNBD``. ``model.at(channel="search")`` is then the model of one kind of customer.

    Attributes
    ----------
    params_
        alpha and beta of the chance to leave at a renewal; with covariates, those of a customer
        of the most frequent levels, then what multiplies them: "leaving[channel=search]" alpha,
        "staying[channel=search]" beta.
    log_likelihood_, report_, covariance_
        As in ``BetaGeoNBD``.

    Examples
    --------
    >>> import pandas as pd
    >>> active = [1000, 869, 743, 653, 593]  # of 1,000 subscribers, year by year
    >>> lost = [before - after for before, after in zip(active, active[1:])]
    >>> rows = pd.DataFrame({"entered": 0, "periods": [1, 2, 3, 4], "churned": lost,
    ...                      "customers": [*lost[:3], lost[3] + active[4]]})
    >>> model = ShiftedBetaGeometric().fit(rows)
    >>> model.survival([5, 12]).round(2)
    array([0.53, 0.31])
    >>> round(model.discounted_expected_lifetime(0.10), 2)
    5.46
    """

    names: ClassVar[tuple[str, ...]] = ("alpha", "beta")
    starts: ClassVar = ((1.0, 1.0), (0.5, 5.0), (10.0, 30.0))
    _theta: ClassVar[Callable[..., Any]] = SbgTheta
    _contributions: ClassVar[Callable[..., Contributions]] = staticmethod(sbg_contributions)
