"""The beta-discrete-Weibull model of Fader, Hardie, Liu, Davin & Steenburgh (2018): contracts.

As the shifted-beta-geometric model, but each customer's own chance to leave may change with the
number of renewals: a customer is still there at the t-th with probability (1 - theta)^(t^c).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from clv.findings import Finding, finding
from clv.probability.contract_cells import ContractCells
from clv.probability.contract_formulas import ContractTheta
from clv.probability.contract_model import ContractModel

FEW_RENEWALS = 5  # below which c and the spread of customers are hard to tell apart


class BetaDiscreteWeibull(ContractModel):
    """BdW: as ``ShiftedBetaGeometric``, where a customer's chance to leave changes with time.

    c > 1: the chance rises from renewal to renewal; c < 1: it falls; c = 1 is the
    shifted-beta-geometric model. Prefer that one where fewer than five renewals were observed.

    Parameters
    ----------
    covariates, effect_sd
        As in ``ShiftedBetaGeometric``.

    Attributes
    ----------
    params_
        alpha and beta of the chance to leave at the first renewal, and c.
    log_likelihood_, report_, covariance_
        As in ``BetaGeoNBD``.

    Examples
    --------
    >>> model = BetaDiscreteWeibull.from_params(alpha=0.2143, beta=1.4266, c=1.7236)
    >>> model.survival([1, 12]).round(3)
    array([0.869, 0.404])
    >>> model.retention_rate([1, 8]).round(3)
    array([0.869, 0.953])
    >>> round(model.discounted_expected_lifetime(0.10), 2)
    6.09
    """

    names: ClassVar[tuple[str, ...]] = ("alpha", "beta", "c")
    starts: ClassVar = ((0.5, 1.0, 1.0), (1.0, 5.0, 1.5), (5.0, 10.0, 0.7))
    _theta: ClassVar[Callable[..., Any]] = ContractTheta

    def _findings(self, cells: ContractCells) -> list[Finding]:
        findings = super()._findings(cells)
        if cells.renewals < FEW_RENEWALS:
            findings.append(finding("fit.few_renewals", renewals=cells.renewals))
        return findings
