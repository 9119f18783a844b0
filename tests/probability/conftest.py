"""Every purchase model in one fixture, each with an independent second way to its numbers."""

import importlib.util
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special as sc

from clv.probability import bg_nbd, mbg_nbd, pareto_nbd
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.mbg_nbd import ModifiedBetaGeoNBD
from clv.probability.pareto_nbd import ParetoNBD
from clv.schema import Cells, Floats


class BetaGeoLatent:
    """The BG/NBD model told by its story: sums over a fine grid of the latent lambda and p.

    The trapezoid rule over log(lambda) and logit(p), where both densities die out on either side
    and the rule converges like an exponential. Nothing here knows a closed form over customers.
    """

    def __init__(self, r: float, alpha: float, a: float, b: float) -> None:
        s = np.arange(-40 / min(r, 1), 8, 0.2)
        w = np.arange(-40 / min(a, 1), 40 / min(b, 1), 0.2)
        log_rate = r * s - np.exp(s)
        log_drop = a * w - (a + b) * np.logaddexp(0, w)
        rate, drop = (np.exp(v - v.max()) for v in (log_rate, log_drop))
        self.weight = np.outer(rate / rate.sum(), drop / drop.sum())
        self.rate = (np.exp(s) / alpha)[:, None]
        self.log_p, self.log_q = sc.log_expit(w)[None, :], sc.log_expit(-w)[None, :]
        self.p = np.exp(self.log_p)

    def histories(self, x: float, t_x: float, T: float) -> tuple[Floats, Floats]:
        """The likelihood of a history by lambda and p: still a customer at T, and not."""
        stayed = np.exp(x * (self.log_q + np.log(self.rate)) - self.rate * T)
        if x == 0:
            return stayed, 0 * stayed
        left = self.log_p + (x - 1) * self.log_q + x * np.log(self.rate) - self.rate * t_x
        return stayed, np.exp(left)

    def log_likelihood(self, x: float, t_x: float, T: float) -> float:
        stayed, left = self.histories(x, t_x, T)
        return float(np.log(np.sum(self.weight * (stayed + left))))

    def alive(self, x: float, t_x: float, T: float) -> float:
        stayed, left = self.histories(x, t_x, T)
        return float(np.sum(self.weight * stayed) / np.sum(self.weight * (stayed + left)))

    def discounted(self, t: float, delta: float) -> Floats:
        """Purchases in (0, t] while a customer, each worth exp(-delta s), by lambda and p."""
        fading = self.rate * self.p + delta
        return -self.rate * np.expm1(-fading * t) / fading

    def purchases(self, k: int, t: float) -> Floats:
        """P(k purchases in (0, t]) by lambda and p."""
        mean = self.rate * t
        poisson = np.exp(k * np.log(mean) - mean - sc.gammaln(k + 1) + k * self.log_q)
        if k == 0:
            return poisson
        return poisson + np.exp(self.log_p + (k - 1) * self.log_q) * sc.gammainc(k, mean)

    def new(self, of_customer: Floats) -> float:
        return self.existing(of_customer, 0, 0, 0)

    def existing(self, of_customer: Floats, x: float, t_x: float, T: float) -> float:
        """The mean of ``of_customer`` if still a customer, 0 if not."""
        stayed, left = self.histories(x, t_x, T)
        total = np.sum(self.weight * (stayed + left))
        return float(np.sum(self.weight * stayed * of_customer) / total)


class ModifiedBetaGeoLatent(BetaGeoLatent):
    """The MBG/NBD model: one more occasion to leave, right after the first purchase."""

    def histories(self, x: float, t_x: float, T: float) -> tuple[Floats, Floats]:
        stayed = np.exp((x + 1) * self.log_q + x * np.log(self.rate) - self.rate * T)
        left = self.log_p + x * self.log_q + x * np.log(self.rate) - self.rate * t_x
        return stayed, np.exp(left)


class ParetoLatent:
    """The Pareto/NBD model by its story: sums over a fine grid of the latent lambda and mu.

    The trapezoid rule over log(lambda) and log(mu). Nothing here knows a closed form over
    customers.
    """

    def __init__(self, r: float, alpha: float, s: float, beta: float) -> None:
        rates, weights = [], []
        for shape, scale in ((r, alpha), (s, beta)):
            w = np.arange(-40 / min(shape, 1), 8, 0.2)
            log_density = shape * w - np.exp(w)
            density = np.exp(log_density - log_density.max())
            rates.append(np.exp(w) / scale)
            weights.append(density / density.sum())
        self.weight = np.outer(*weights)
        self.rate, self.hazard = rates[0][:, None], rates[1][None, :]

    def histories(self, x: float, t_x: float, T: float) -> tuple[Floats, Floats]:
        """The likelihood of a history by lambda and mu: still a customer at T, and not."""
        both = self.rate + self.hazard
        bought = np.exp(x * np.log(self.rate) - both * t_x)
        left = bought * self.hazard * -np.expm1(-both * (T - t_x)) / both
        return bought * np.exp(-both * (T - t_x)), left

    def log_likelihood(self, x: float, t_x: float, T: float) -> float:
        stayed, left = self.histories(x, t_x, T)
        return float(np.log(np.sum(self.weight * (stayed + left))))

    def alive(self, x: float, t_x: float, T: float) -> float:
        stayed, left = self.histories(x, t_x, T)
        return float(np.sum(self.weight * stayed) / np.sum(self.weight * (stayed + left)))

    def discounted(self, t: float, delta: float) -> Floats:
        fading = self.hazard + delta
        return -self.rate * np.expm1(-fading * t) / fading

    def purchases(self, k: int, t: float) -> Floats:
        """P(k purchases in (0, t]): alive at t with k, or leaving before with k by then."""
        both = self.rate + self.hazard
        stayed = np.exp(k * np.log(self.rate * t) - both * t - sc.gammaln(k + 1))
        first = np.exp(k * np.log(self.rate / both)) * self.hazard / both
        return stayed + first * sc.gammainc(k + 1, both * t)

    def new(self, of_customer: Floats) -> float:
        return self.existing(of_customer, 0, 0, 0)

    def existing(self, of_customer: Floats, x: float, t_x: float, T: float) -> float:
        """The mean of ``of_customer`` if still a customer, 0 if not."""
        stayed, left = self.histories(x, t_x, T)
        total = np.sum(self.weight * (stayed + left))
        return float(np.sum(self.weight * stayed * of_customer) / total)


@dataclass(frozen=True)
class Case:
    """A purchase model, parameters to try it at, and its story."""

    model: type[Any]
    functions: ModuleType
    latent: Callable[..., Any]
    parameters: dict[str, float]  # at which its published tables stand
    others: tuple[dict[str, float], ...]  # other corners of the parameter space, none extreme
    extremes: tuple[dict[str, float], ...]  # where nothing may be lost, overflow or warn

    def known(self, **changed: float) -> Any:
        return self.model.from_params(self.parameters | changed)

    def log_likelihood(self, parameters: dict[str, float], cells: Cells) -> tuple[float, Floats]:
        return self.functions.log_likelihood(self.functions.Theta(**parameters), cells)


CASES = [
    Case(
        BetaGeoNBD,
        bg_nbd,
        cache(BetaGeoLatent),
        {"r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259},
        (
            {"r": 3.0, "alpha": 20.0, "a": 1.0, "b": 1.0},
            {"r": 0.8, "alpha": 0.5, "a": 2.5, "b": 7.0},
        ),
        (
            {"r": 1e12, "alpha": 1e13, "a": 0.8, "b": 2.4},
            {"r": 0.2, "alpha": 4.0, "a": 1e-12, "b": 1e5},
            {"r": 0.2, "alpha": 4.0, "a": 1e11, "b": 4e11},
            {"r": 0.2, "alpha": 4.0, "a": 1e-12, "b": 3e-12},
            {"r": 0.2, "alpha": 4.0, "a": 1e12, "b": 1e-12},
            {"r": 1e-3, "alpha": 1e-3, "a": 30.0, "b": 500.0},
            {"r": 1e12, "alpha": 1e12, "a": 1e12, "b": 1e12},
        ),
    ),
    Case(
        ModifiedBetaGeoNBD,
        mbg_nbd,
        cache(ModifiedBetaGeoLatent),
        {"r": 0.525, "alpha": 6.183, "a": 0.891, "b": 1.614},
        (
            {"r": 3.0, "alpha": 20.0, "a": 1.0, "b": 1.0},
            {"r": 0.8, "alpha": 0.5, "a": 2.5, "b": 7.0},
        ),
        (
            {"r": 1e12, "alpha": 1e13, "a": 0.8, "b": 2.4},
            {"r": 0.2, "alpha": 4.0, "a": 1e-12, "b": 1e5},
            {"r": 0.2, "alpha": 4.0, "a": 1e11, "b": 4e11},
            {"r": 1e-3, "alpha": 1e-3, "a": 30.0, "b": 500.0},
            {"r": 1e12, "alpha": 1e12, "a": 1e12, "b": 1e12},
        ),
    ),
    Case(
        ParetoNBD,
        pareto_nbd,
        cache(ParetoLatent),
        {"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669},
        (
            {"r": 3.0, "alpha": 20.0, "s": 1.0, "beta": 4.0},
            {"r": 0.8, "alpha": 0.5, "s": 2.5, "beta": 70.0},
        ),
        (
            {"r": 1e12, "alpha": 1e13, "s": 0.6, "beta": 11.0},
            {"r": 0.5, "alpha": 10.0, "s": 1e11, "beta": 4e12},
            {"r": 0.5, "alpha": 10.0, "s": 1e-9, "beta": 10.0},
            {"r": 0.5, "alpha": 10.0, "s": 0.6, "beta": 1e9},
            {"r": 0.5, "alpha": 1e-4, "s": 0.6, "beta": 1e3},
            {"r": 0.5, "alpha": 1e3, "s": 0.6, "beta": 1e-4},
            {"r": 1e-3, "alpha": 1e-3, "s": 1e-3, "beta": 1e-3},
            {"r": 1e12, "alpha": 1e12, "s": 1e12, "beta": 1e12},
        ),
    ),
]


PUBLISHED = tomllib.loads((Path(__file__).parents[1] / "published.toml").read_text("utf-8"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Walk the models; a test marked published("table") walks those that have this table."""
    if "case" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("published")
    known = [
        case for case in CASES if marker is None or marker.args[0] in PUBLISHED[case.model.__name__]
    ]
    metafunc.parametrize("case", known, ids=[one.model.__name__ for one in known], indirect=True)


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """Each purchase model in turn."""
    return request.param


@pytest.fixture(scope="session")
def published() -> dict[str, Any]:
    """The numbers of ``tests/published.toml``."""
    return PUBLISHED


@pytest.fixture(scope="session")
def cdnow() -> pd.DataFrame:
    """The CDNOW summary in weeks, from lifetimes' files, without importing that package."""
    package = importlib.util.find_spec("lifetimes")
    assert package is not None
    assert package.origin is not None
    file = Path(package.origin).parent / "datasets/cdnow_customers_summary_with_transactions.csv"
    names = ["customer_id", "frequency", "recency", "T", "monetary_value"]
    return pd.read_csv(file, header=0, names=names)


@pytest.fixture(scope="session")
def extreme_customers() -> Callable[[int, int], pd.DataFrame]:
    """A function of (n, seed): purchases from 0 to 50,000, ages from minutes to 10,000 days."""

    def draw(n: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        x = np.floor(10 ** rng.uniform(-1, np.log10(50_001), n))
        T = 10 ** rng.uniform(-3, 4, n)
        share = rng.choice([0.0, 1e-9, 0.5, 1 - 1e-12, 1.0], n) + rng.choice([0, 1e-3], n)
        t_x = np.where(x > 0, T * np.minimum(share, 1.0), 0.0)
        money = np.where(x > 0, 10 ** rng.uniform(-6, 9, n), 0.0)
        columns = {"frequency": x, "recency": t_x, "T": T, "monetary_value": money}
        return pd.DataFrame({"customer_id": np.arange(n), **columns})

    return draw
