"""The reference engine: ours equals lifetimes, and lifetimes leaves no trace in the process."""

import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

from clv.errors import FitError
from clv.probability.bg_nbd import BetaGeoNBD, BgNbdTheta, simulate
from clv.probability.gamma_gamma import GammaGamma
from clv.probability.lifetimes_engine import fenced
from clv.probability.mbg_nbd import ModifiedBetaGeoNBD


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("model_class", [BetaGeoNBD, GammaGamma, ModifiedBetaGeoNBD])
def test_ours_equals_theirs(model_class, cdnow, weighted):
    weight = 1 + np.arange(len(cdnow)) % 3 if weighted else None
    ours = model_class().fit(cdnow, sample_weight=weight)
    theirs = model_class(engine="lifetimes").fit(cdnow, sample_weight=weight)
    assert theirs.report_.engine == "lifetimes"
    assert ours.params_ == pytest.approx(theirs.params_, rel=1e-3)
    assert ours.log_likelihood_ == pytest.approx(theirs.log_likelihood_, abs=1e-5)
    assert ours.log_likelihood_ >= theirs.log_likelihood_ - 1e-9
    assert theirs.report_.gradient_norm < 1e-4


def test_our_likelihood_is_theirs(cdnow):
    """Theirs is a mean in a time unit of its own; ours a total in the data's unit."""
    with fenced() as lifetimes:
        fitter = lifetimes.BetaGeoFitter()
        fitter.fit(cdnow["frequency"], cdnow["recency"], cdnow["T"])
        total = -fitter._negative_log_likelihood_ * len(cdnow)
        total += cdnow["frequency"].sum() * np.log(fitter._scale)
    assert BetaGeoNBD().fit(cdnow).log_likelihood_ == pytest.approx(total, abs=1e-5)


def test_simulated_customers_too():
    rng = np.random.default_rng(1)
    h = simulate(BgNbdTheta(0.8, 12.0, 1.5, 4.0), rng.uniform(30, 100, 3000), rng)
    X = pd.DataFrame({"frequency": h.x, "recency": h.t_x, "T": h.T})
    ours, theirs = (BetaGeoNBD(engine=engine).fit(X) for engine in ("native", "lifetimes"))
    assert ours.params_ == pytest.approx(theirs.params_, rel=1e-3)
    assert ours.log_likelihood_ == pytest.approx(theirs.log_likelihood_, abs=1e-5)


def test_predictions_of_theirs(cdnow):
    parameters = {"r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259}
    X = cdnow[cdnow["frequency"] < 20]
    with fenced() as lifetimes:
        fitter = lifetimes.BetaGeoFitter()
        fitter.params_ = pd.Series(parameters)
        columns = X["frequency"], X["recency"], X["T"]
        expected = fitter.conditional_expected_number_of_purchases_up_to_time(39, *columns)
        alive = fitter.conditional_probability_alive(*columns)
    model = BetaGeoNBD.from_params(parameters)
    assert model.conditional_expected_purchases(39, X) == pytest.approx(expected.to_numpy(), 1e-9)
    assert model.probability_alive(X) == pytest.approx(np.asarray(alive), rel=1e-10)


def test_where_they_do_not_converge_the_error_says_what_to_do():
    everybody_twice = pd.DataFrame({"frequency": [1] * 50, "recency": 3.0, "T": 9.0})
    with pytest.raises(FitError, match=r"(?s)lifetimes does not converge.*native"):
        BetaGeoNBD(engine="lifetimes").fit(everybody_twice)


def test_the_fence_holds(cdnow):
    """Importing lifetimes switches FutureWarning off and sets a pandas option, for everybody."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        option = pd.get_option("mode.chained_assignment")
    filters, floats = list(warnings.filters), np.geterr()
    BetaGeoNBD(engine="lifetimes").fit(cdnow.head(200))
    GammaGamma(engine="lifetimes").fit(cdnow.head(200))
    assert list(warnings.filters) == filters
    assert np.geterr() == floats
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert pd.get_option("mode.chained_assignment") == option


FRESH = """
import sys, warnings
import pandas as pd
import clv.probability.bg_nbd, clv.probability.gamma_gamma
assert "lifetimes" not in sys.modules
before = list(warnings.filters)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    option = pd.get_option("mode.chained_assignment")
x, t_x, T = [0, 2, 1, 4, 0], [0, 5.0, 3, 30, 0], [9.0, 30, 20, 35, 40]
X = pd.DataFrame({"frequency": x, "recency": t_x, "T": T})
try:
    clv.probability.bg_nbd.BetaGeoNBD(engine="lifetimes").fit(X)
except clv.errors.FitError:
    pass
assert "lifetimes" in sys.modules
assert list(warnings.filters) == before, warnings.filters
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    assert pd.get_option("mode.chained_assignment") == option
"""


@pytest.mark.slow
def test_a_fresh_process_meets_lifetimes_only_when_asked():
    found = subprocess.run(
        [sys.executable, "-c", FRESH], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
