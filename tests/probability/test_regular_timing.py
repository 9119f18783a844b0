"""(M)BG/CNBD-k: its story summed over latent rates and stages, k = 1, truth recovered, JSON."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import special as sc
from scipy import stats

from clv.errors import InputError
from clv.history import Cells, read_cells
from clv.probability import bg_cnbd, mbg_cnbd
from clv.probability.bg_cnbd import BetaGeoCNBD, CnbdTheta
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.mbg_cnbd import ModifiedBetaGeoCNBD
from clv.probability.mbg_nbd import ModifiedBetaGeoNBD
from clv.probability.models import saved_purchase_model
from clv.value.predictive.quantiles import purchase_quantiles

# the parameters that the R package BTYDplus simulates and recovers in its own tests
KNOWN = {"r": 0.85, "alpha": 1.45, "a": 0.79, "b": 2.42}
HISTORIES = [(0, 0.0, 32.0), (1, 1.7, 32.0), (4, 30.0, 32.0), (4, 20.0, 32.0), (12, 55.0, 60.0)]


def frame(histories):
    return pd.DataFrame(histories, columns=["frequency", "recency", "T"])


class Story:
    """Sums over a grid of lambda and p and over stages; a purchase is every k-th event."""

    def __init__(self, k, first, r, alpha, a, b):
        self.k, self.first = k, first
        # so fine that 60 events, which tell log(lambda) to an eighth, are seen
        s, w = np.arange(-40.0, 8.0, 0.08), np.arange(-45.0, 20.0, 0.25)
        self.rate, self.log_p, self.log_q = (
            np.exp(s)[:, None] / alpha,
            sc.log_expit(w),
            sc.log_expit(-w),
        )
        density = np.outer(np.exp(r * s - np.exp(s)), np.exp(a * self.log_p + b * self.log_q))
        self.weight = density / density.sum()

    def histories(self, x, t_x, T):
        """The likelihood of (x, t_x, T) given the times between, by lambda, p: stages, left."""
        events, occasions = self.k * x, x + self.first
        came = events * np.log(self.rate) - self.rate * t_x
        if x:  # the density of the last time, over that of the x-th of evenly spread ones
            came = came + (events - x) * np.log(t_x) - sc.gammaln(events) + sc.gammaln(x)
        silent = self.rate * (T - t_x)
        stays = [
            np.exp(came + occasions * self.log_q + stats.poisson.logpmf(j, silent))
            for j in range(self.k)
        ]
        left = np.exp(came + self.log_p + (occasions - 1) * self.log_q) if occasions else 0 * came
        return stays, left

    def mean(self, of_stage, x, t_x, T):
        """The mean of ``of_stage(j)``, 0 for who has left."""
        stays, left = self.histories(x, t_x, T)
        total = sum(np.sum(self.weight * each) for each in (*stays, left))
        return sum(np.sum(self.weight * s * of_stage(j)) for j, s in enumerate(stays)) / total

    def at_least(self, y, t, j):
        """P(y purchases or more) from stage j, by lambda and p."""
        return np.exp((y - 1) * self.log_q) * sc.gammainc(self.k * y - j, self.rate * t)

    def discounted(self, t, delta, j, most):
        fading, total = self.rate + delta, 0.0
        for y in range(1, most + 1):
            n = self.k * y - j
            at = np.exp((y - 1) * self.log_q + n * np.log(self.rate / fading))
            total = total + at * sc.gammainc(n, fading * t)
        return total


@pytest.fixture(scope="module", params=[(2, 0), (3, 1), (5, 1)], ids=["BG 2", "MBG 3", "MBG 5"])
def told(request):
    """A model with its story."""
    k, first = request.param
    model = ModifiedBetaGeoCNBD if first else BetaGeoCNBD
    return model.from_params(KNOWN, k=k), Story(k, first, **KNOWN)


def test_histories_against_the_story(told):
    model, story = told
    functions = mbg_cnbd if story.first else bg_cnbd
    for history in HISTORIES:
        stays, left = story.histories(*history)
        alive, gone = (float(np.sum(story.weight * each)) for each in (sum(stays), left))
        one = Cells(*(np.array([float(v)]) for v in history), np.ones(1))
        value, _ = functions.log_likelihood(CnbdTheta(**KNOWN, k=story.k), one)
        assert value == pytest.approx(np.log(alive + gone), abs=1e-8)
        assert model.probability_alive(frame([history])) == pytest.approx(
            [alive / (alive + gone)], rel=1e-8
        )


def test_forecasts_against_the_story(told):
    model, story = told
    X = frame(HISTORIES)
    worth = [story.discounted(0.7, 0.1, j, 16) for j in range(story.k)]
    wanted = [story.mean(worth.__getitem__, *h) for h in HISTORIES]
    found = model.discounted_expected_purchases(0.7, 0.1, X)
    assert found == pytest.approx(wanted, rel=1e-6)
    chances = [[story.at_least(y, 9.0, j) for j in range(story.k)] for y in range(1, 4)]
    bought = [[story.mean(of.__getitem__, *h) for h in HISTORIES] for of in chances]
    pmf = model.probability_of_purchases([1, 2], 9.0, X).T
    assert pmf == pytest.approx(-np.diff(bought, axis=0), abs=1e-9)
    assert model.probability_of_purchase(9.0, X) == pytest.approx(bought[0], abs=1e-9)


def test_pairs_are_those_of_the_distribution(told):
    """E[Y (Y - 1)], and with a discount within that of the first and of the last day."""
    model, _ = told
    X, k = frame(HISTORIES), np.arange(1500.0)
    pmf = model.probability_of_purchases(k, 6.0, X)
    moment = pmf @ (k * (k - 1))
    assert model.discounted_purchase_pairs(6.0, 0.0, X) == pytest.approx(moment, rel=1e-4)
    discounted = model.discounted_purchase_pairs(6.0, 0.02, X)
    assert (discounted < moment).all()
    assert (discounted > moment * np.exp(-2 * 0.02 * 6.0)).all()


def test_quantiles_count_the_stages(told):
    model, _ = told
    X = frame(HISTORIES)
    upto = model.probability_of_purchases(np.arange(400), 12.0, X).cumsum(axis=1)
    wanted = [[int((row < level).sum()) for level in (0.05, 0.5, 0.95)] for row in upto]
    assert purchase_quantiles(model, 12.0, X, [0.05, 0.5, 0.95]).tolist() == wanted


@pytest.mark.parametrize(
    ("regular", "ordinary"),
    [(BetaGeoCNBD, BetaGeoNBD), (ModifiedBetaGeoCNBD, ModifiedBetaGeoNBD)],
)
def test_one_stage_is_the_ordinary_model(regular, ordinary, cdnow):
    X = cdnow.assign(unit="week")
    ours, theirs = regular(k=1).fit(X), ordinary().fit(X)
    assert ours.params_ == pytest.approx(theirs.params_, rel=1e-10)
    assert ours.log_likelihood_ == pytest.approx(theirs.log_likelihood_, rel=1e-12)
    for verb, given in (
        ("probability_alive", ()),
        ("conditional_expected_purchases", (26.0,)),
        ("discounted_expected_purchases", (26.0, [0.01, 0.0])),
        ("probability_of_purchases", ([0, 1, 7], 26.0)),
        ("probability_of_purchase", (26.0,)),
    ):
        one, two = (getattr(model, verb)(*given, X) for model in (ours, theirs))
        assert one == pytest.approx(two, rel=1e-10, abs=1e-14), verb
    assert ours.expected_purchases(39.0) == pytest.approx(theirs.expected_purchases(39.0), 1e-12)


def test_chance_is_not_called_regular(cdnow):
    assert ModifiedBetaGeoCNBD().fit(cdnow).k_ == 1


def test_the_slopes_are_those_of_the_log_likelihood(cdnow):
    cells, values = read_cells(cdnow), np.array(list(KNOWN.values()))
    _, slope = mbg_cnbd.log_likelihood(CnbdTheta(*values, k=3), cells)
    for i, value in enumerate(values):
        step = np.zeros(4)
        step[i] = 1e-5 * value
        up, down = (
            mbg_cnbd.log_likelihood(CnbdTheta(*(values + s), k=3), cells)[0] for s in (step, -step)
        )
        assert slope[i] == pytest.approx((up - down) / (2e-5 * value), rel=1e-6, abs=1e-4)


@pytest.fixture(scope="module")
def simulated():
    """Who buys with k = 3, by their gaps one by one: 6,000 customers, known for 20 to 60 weeks."""
    rng = np.random.default_rng(4)
    n = 6_000
    rate, p = rng.gamma(KNOWN["r"], 1 / KNOWN["alpha"], n), rng.beta(KNOWN["a"], KNOWN["b"], n)
    occasions = np.minimum(rng.geometric(p), 400)  # the last purchase, of which 1 is the first
    times = rng.gamma(3.0, 1 / rate[:, None], (n, 399)).cumsum(axis=1)
    T = rng.integers(20, 61, n).astype(float)
    made = np.arange(1, 400) < occasions[:, None]
    known, later = made & (times < T[:, None]), made & (times < T[:, None] + 30)
    x = known.sum(axis=1)
    t_x = np.where(x > 0, times[np.arange(n), np.maximum(x - 1, 0)], 0.0)
    table = pd.DataFrame({"frequency": x, "recency": t_x, "T": T, "unit": "week"})
    return table, later.sum(axis=1) - x


def test_k_and_parameters_are_recovered(simulated):
    X, came = simulated
    model = ModifiedBetaGeoCNBD().fit(X).with_covariance(X)
    assert model.k_ == 3
    assert model.log_likelihood_ > ModifiedBetaGeoNBD().fit(X).log_likelihood_ + 20
    for name, truth in KNOWN.items():
        error = model.covariance_.standard_errors[f"log {name}"]
        assert abs(np.log(model.params_[name] / truth)) < 3 * error, name
    expected = model.conditional_expected_purchases(30.0, X)
    assert expected.sum() == pytest.approx(came.sum(), rel=0.05)
    spread = np.sqrt(expected + model.discounted_purchase_pairs(30.0, 0.0, X) - expected**2)
    assert np.std((came - expected) / spread) == pytest.approx(1.0, abs=0.1)


def test_simulation_is_the_story(simulated):
    X, _ = simulated
    drawn = mbg_cnbd.simulate(CnbdTheta(**KNOWN, k=3), X["T"].to_numpy(), np.random.default_rng(5))
    assert stats.ks_2samp(drawn.x, X["frequency"]).pvalue > 0.001
    assert stats.ks_2samp(drawn.T - drawn.t_x, X["T"] - X["recency"]).pvalue > 0.001


def test_json_keeps_k_and_a_bad_k_is_named(simulated):
    X, _ = simulated
    model = ModifiedBetaGeoCNBD(k=2).fit(X[:500])
    again = saved_purchase_model(json.loads(json.dumps(model.to_dict())))
    assert (type(again), again.k_, again.unit_) == (ModifiedBetaGeoCNBD, 2, "week")
    one, two = (each.conditional_expected_purchases(9.0, X) for each in (model, again))
    assert np.array_equal(one, two)
    for wrong in (0, 2.5, 99):
        with pytest.raises(InputError, match="whole k from 1 to 12"):
            BetaGeoCNBD(k=wrong).fit(X)
    with pytest.raises(InputError, match="lifetimes has no model"):
        BetaGeoCNBD(engine="lifetimes").fit(X)
