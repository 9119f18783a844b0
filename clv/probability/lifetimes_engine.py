"""Fits through the package lifetimes, the reference engine, behind a fence.

Importing lifetimes switches FutureWarning off for the whole process and sets a pandas option; both
are put back as they were. It is imported only when somebody asks for ``engine="lifetimes"``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from clv.errors import FitError
from clv.history import Cells
from clv.schema import Floats


@contextmanager
def fenced() -> Iterator[Any]:
    """The lifetimes package, with the process's warnings and pandas options left as they were.

    >>> with fenced() as lifetimes:
    ...     lifetimes.BetaGeoFitter.__name__
    'BetaGeoFitter'
    """
    import pandas as pd

    option = "mode.chained_assignment"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own divisions by zero and old pandas calls
        with pd.option_context(option, pd.get_option(option)), np.errstate(all="ignore"):
            import lifetimes
            import lifetimes.utils

            yield lifetimes


def fit_purchases(model: str, cells: Cells) -> dict[str, float]:
    """Parameters that lifetimes finds for ``model`` on weighted cells."""
    with fenced() as lifetimes:
        fitters = {
            "BetaGeoNBD": lifetimes.BetaGeoFitter,
            "ModifiedBetaGeoNBD": lifetimes.ModifiedBetaGeoFitter,
            "ParetoNBD": lifetimes.ParetoNBDFitter,
            "BetaGeoBetaBinomial": lifetimes.BetaGeoBetaBinomFitter,
        }
        fitter = fitters[model](penalizer_coef=0.0)
        return _fitted(fitter, lifetimes, cells.x, cells.t_x, cells.T, weights=cells.count)


def fit_spend(x: Floats, zbar: Floats, weight: Floats) -> dict[str, float]:
    """Gamma-Gamma parameters that lifetimes finds."""
    with fenced() as lifetimes:
        fitter = lifetimes.GammaGammaFitter(penalizer_coef=0.0)
        return _fitted(fitter, lifetimes, x, zbar, weights=weight, q_constraint=True)


def _fitted(fitter: Any, lifetimes: Any, *columns: Floats, **options: Any) -> dict[str, float]:
    try:
        fitter.fit(*columns, **options)
    except lifetimes.utils.ConvergenceError as error:
        raise FitError(
            "lifetimes does not converge on these customers.",
            hint='engine="native" ends at the boundary and says what it means.',
        ) from error
    return {name: float(value) for name, value in fitter.params_.items()}
