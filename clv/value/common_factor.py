"""Where the spread of an average or a total comes from: parameters drawn, and a common factor.

What ``totals`` and ``new_customer`` have in common. The parameters move all customers at once, by
as much as the fit is unsure of them; the common factor (a season, a recession) is in no model and
is measured by a backtest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from clv.errors import InputError
from clv.findings import Finding, finding
from clv.probability.covariance import draws, with_parameters
from clv.probability.fitted import FittedModel
from clv.schema import Floats
from clv.shares import check_share

NO_COMMON_FACTOR = finding("interval.no_common")


@dataclass(frozen=True)
class CommonFactor:
    """What moves all customers together and is in no model: a factor on the total.

    The log of the factor is sd times Student's t with ``degrees`` of freedom: with few cutoffs the
    sd is itself unsure, and the tails are heavier.

    Attributes
    ----------
    sd
        Scale of the log of the factor; 0.1 is about 10%.
    degrees
        Cutoffs, and what the prior counts for.
    cutoffs
        How many ratios were measured.
    note
        The same in words, measured and assumed told apart.
    """

    sd: float
    degrees: float
    cutoffs: int
    note: Finding

    @property
    def variance(self) -> float:
        """Of the log of the factor."""
        return self.sd**2 * self.degrees / (self.degrees - 2)


def common_factor(
    log_ratios: ArrayLike,
    explained: ArrayLike = 0.0,
    prior_sd: float = 0.1,
    prior_cutoffs: float = 3.0,
) -> CommonFactor:
    """How far totals were off in a backtest, as a factor on a new total.

    Parameters
    ----------
    log_ratios
        log(actual total / predicted total), one per cutoff of a backtest, best with holdouts that
        do not overlap and as long as the horizon asked for. Their spread is taken around 0, not
        around their mean: a bias that persists widens the interval, it does not move the forecast.
    explained
        ``log_sd`` of the forecast ``Total`` of each cutoff, made without a common factor: so much
        of an error the models expected themselves. 0 lays all of it on the common factor.
    prior_sd, prior_cutoffs
        An assumption that counts as that many cutoffs with ratios of that size, and keeps one or
        two lucky ones from promising too much.

    Examples
    --------
    >>> factor = common_factor([0.13, -0.05], explained=0.06)
    >>> round(factor.sd, 3), factor.degrees
    (0.092, 5.0)
    >>> print(factor.note)
    common factor of 9.2%: 2 cutoffs with 7.8% beyond what the models expect, and 10% assumed (as 3)
    """
    ratios = np.atleast_1d(np.asarray(log_ratios, dtype=np.float64))
    if ratios.ndim != 1 or not np.isfinite(ratios).all() or len(ratios) == 0:
        raise InputError(
            "log_ratios holds no ratios, or some that are not finite.",
            hint="give log(actual / predicted) per cutoff; without a backtest give common=None.",
        )
    if not (prior_sd > 0 and prior_cutoffs > 2):
        raise InputError("prior_sd must be above 0 and prior_cutoffs above 2.")
    n = len(ratios)
    degrees = n + prior_cutoffs
    beyond = max(float(np.sum(ratios**2 - np.asarray(explained) ** 2)), 0.0)
    sd = float(np.sqrt((prior_cutoffs * prior_sd**2 + beyond) / degrees))
    unexplained = float(np.sqrt(beyond / n))
    note = finding(
        "interval.common",
        sd=sd,
        cutoffs=n,
        beyond=unexplained,
        prior=prior_sd,
        prior_cutoffs=prior_cutoffs,
    )
    return CommonFactor(sd, degrees, n, note)


def larger(*factors: CommonFactor | None) -> CommonFactor | None:
    """The one of more variance; None where there is none."""
    return max(filter(None, factors), key=lambda factor: factor.variance, default=None)


def draw_factors(common: CommonFactor | None, n: int, rng: np.random.Generator) -> Floats:
    """Draws of the common factor, shape (n,); 1 where none was measured."""
    if common is None:
        return np.ones(n)
    return np.exp(common.sd * rng.standard_t(common.degrees, n))


def drawn_models(
    models: tuple[FittedModel, ...], n: int, seed: int
) -> tuple[list[tuple[Any, ...]], list[Finding]]:
    """The models at n draws of their parameters, independent of each other, and what is left out.

    Purchases and spend are independent in the models. A model without a covariance stays as it is;
    if that is so of all, they are the one draw.
    """
    reasons, columns = [], []
    for place, model in enumerate(models):
        kind, covariance = type(model).__name__, model.covariance_
        if covariance is None:
            reasons.append(finding("interval.no_covariance", model=kind))
            columns.append([model] * n)
        else:
            notes = covariance.notes
            reasons += [finding("interval.of_model", model=kind, what=note) for note in notes]
            thetas = draws(model, n, seed + 1000 * place)
            columns.append([with_parameters(model, theta) for theta in thetas])
    if all(model.covariance_ is None for model in models):
        return [models], reasons
    return list(zip(*columns, strict=True)), reasons


def shares_of_variance(variances: dict[str, float]) -> dict[str, float]:
    """Each part of a variance as its share; all 0 where there is no variance."""
    total = sum(variances.values())
    return {name: value / total if total else 0.0 for name, value in variances.items()}


def check_level(level: float) -> None:
    """``InputError`` for a level of an interval that is no probability."""
    check_share("level", level, "(0, 1)", "give 0.9 for 90%.")
