"""Every purchase model in one fixture, each with an independent second way to its numbers."""

import importlib.util
import os
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

import clv
from clv.history import Cells
from clv.probability import bg_bb, bg_nbd, mbg_nbd, pareto_nbd
from clv.probability.bg_bb import BetaGeoBetaBinomial
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.mbg_nbd import ModifiedBetaGeoNBD
from clv.probability.pareto_nbd import ParetoNBD
from clv.schema import Floats

SHARED = Path(os.environ.get("CLV_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))


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


class BetaGeoBetaBinomialLatent:
    """The BG/BB model by its story: sums over a fine grid of the latent p and theta.

    The trapezoid rule over logit(p) and logit(theta); each way to live for m opportunities is one
    term of a sum over m.
    """

    def __init__(self, alpha: float, beta: float, gamma: float, delta: float) -> None:
        logs, weights = [], []
        for a, b in ((alpha, beta), (gamma, delta)):
            w = np.arange(-40 / min(a, 1), 40 / min(b, 1), 0.2)
            log_density = a * w - (a + b) * np.logaddexp(0, w)
            density = np.exp(log_density - log_density.max())
            weights.append(density / density.sum())
            logs.append((sc.log_expit(w), sc.log_expit(-w)))
        self.weight = np.outer(*weights)
        (self.log_p, self.log_q), (self.log_leave, self.log_stay) = logs

    def lives(self, k: float, m: Floats, ways: Floats, left: bool) -> Floats:
        """P(alive for m opportunities, k used in one of ``ways``), summed over m, by p, theta."""
        m, log_ways = m[:, None], np.log(ways)[:, None]
        used = np.exp(log_ways + k * self.log_p + (m - k) * self.log_q)
        return used.T @ np.exp(m * self.log_stay + left * self.log_leave)

    def histories(self, x: float, t_x: float, T: float) -> tuple[Floats, Floats]:
        """The likelihood of a history by p and theta: still a customer at T, and not."""
        m = np.arange(t_x, T + 1)
        one = np.ones(len(m))
        return self.lives(x, m[-1:], one[-1:], False), self.lives(x, m[:-1], one[:-1], True)

    def log_likelihood(self, x: float, t_x: float, T: float) -> float:
        stayed, left = self.histories(x, t_x, T)
        return float(np.log(np.sum(self.weight * (stayed + left))))

    def alive(self, x: float, t_x: float, T: float) -> float:
        stayed, left = self.histories(x, t_x, T)
        return float(np.sum(self.weight * stayed) / np.sum(self.weight * (stayed + left)))

    def discounted(self, t: float, delta: float) -> Floats:
        """A geometric sum over the whole opportunities in t, by p and theta."""
        fading = self.log_stay - delta
        lived = np.exp(fading) * np.expm1(fading * np.floor(t)) / np.expm1(fading)
        return np.outer(np.exp(self.log_p), lived)

    def purchases(self, k: int, t: float) -> Floats:
        """P(k purchases in (0, t]) by p and theta."""
        m = np.arange(k, np.floor(t) + 1)
        ways = sc.comb(m, k)
        return self.lives(k, m[-1:], ways[-1:], False) + self.lives(k, m[:-1], ways[:-1], True)

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
    thin: dict[str, float]  # changes that make many purchases unlikely
    whole: bool = False  # time is a row of opportunities, each used once or not

    def known(self, **changed: float) -> Any:
        return self.model.from_params(self.parameters | changed)

    def log_likelihood(self, parameters: dict[str, float], cells: Cells) -> tuple[float, Floats]:
        return self.functions.log_likelihood(self.model._theta(**parameters), cells)

    def as_counted(self, table: pd.DataFrame) -> pd.DataFrame:
        """``table`` in the time that the model knows, with opportunities that are whole."""
        if not self.whole:
            return table
        t_x, T = np.ceil(table["recency"]), np.ceil(table["T"])
        return table.assign(recency=t_x, T=T, frequency=np.minimum(table["frequency"], t_x))


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
        {"r": 2.0},
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
        {"r": 2.0},
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
        {"r": 2.0},
    ),
    Case(
        BetaGeoBetaBinomial,
        bg_bb,
        cache(BetaGeoBetaBinomialLatent),
        {"alpha": 1.204, "beta": 0.750, "gamma": 0.657, "delta": 2.783},
        (
            {"alpha": 3.0, "beta": 20.0, "gamma": 1.0, "delta": 1.0},
            {"alpha": 0.5, "beta": 2.0, "gamma": 2.5, "delta": 70.0},
        ),
        (
            {"alpha": 1e12, "beta": 3e12, "gamma": 0.6, "delta": 2.8},
            {"alpha": 1.2, "beta": 0.7, "gamma": 1e-12, "delta": 1e5},
            {"alpha": 1.2, "beta": 0.7, "gamma": 1e11, "delta": 4e11},
            {"alpha": 1.2, "beta": 0.7, "gamma": 1e-12, "delta": 3e-12},
            {"alpha": 1.2, "beta": 0.7, "gamma": 1e12, "delta": 1e-12},
            {"alpha": 1e-5, "beta": 3e-5, "gamma": 0.6, "delta": 2.8},
            {"alpha": 1.2, "beta": 1e-12, "gamma": 0.6, "delta": 2.8},
            {"alpha": 30.0, "beta": 500.0, "gamma": 1e-3, "delta": 1e-3},
            {"alpha": 1e12, "beta": 1e12, "gamma": 1e12, "delta": 1e12},
        ),
        {},
        whole=True,
    ),
]


PUBLISHED = tomllib.loads((Path(__file__).parents[1] / "published.toml").read_text("utf-8"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Walk the models; a test marked published("table") walks those that have this table.

    ``case`` is each in turn, ``timed_case`` those in continuous time, ``counted_case`` the others.
    """
    groups = {
        "case": CASES,
        "timed_case": [case for case in CASES if not case.whole],
        "counted_case": [case for case in CASES if case.whole],
    }
    marker = metafunc.definition.get_closest_marker("published")
    for name in set(groups) & set(metafunc.fixturenames):
        known = [
            case
            for case in groups[name]
            if marker is None or marker.args[0] in PUBLISHED[case.model.__name__]
        ]
        metafunc.parametrize(name, known, ids=[one.model.__name__ for one in known], indirect=True)


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """Each purchase model in turn."""
    return request.param


@pytest.fixture
def timed_case(request: pytest.FixtureRequest) -> Case:
    """Each purchase model in continuous time."""
    return request.param


@pytest.fixture
def counted_case(request: pytest.FixtureRequest) -> Case:
    """Each purchase model whose time is a row of opportunities."""
    return request.param


@pytest.fixture(scope="session")
def published() -> dict[str, Any]:
    """The numbers of ``tests/published.toml``."""
    return PUBLISHED


def dataset(name: str) -> Path:
    """One of lifetimes' files, without importing that package."""
    package = importlib.util.find_spec("lifetimes")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "datasets" / name


@pytest.fixture(scope="session")
def cdnow() -> pd.DataFrame:
    """The CDNOW summary in weeks."""
    file = dataset("cdnow_customers_summary_with_transactions.csv")
    names = ["customer_id", "frequency", "recency", "T", "monetary_value"]
    return pd.read_csv(file, header=0, names=names)


@pytest.fixture(scope="session")
def donations() -> pd.DataFrame:
    """Gifts of 11,104 donors who began in 1995, in the six years after: distinct histories."""
    return pd.read_csv(dataset("donations.csv")).rename(columns={"periods": "T"})


@pytest.fixture
def base(case: Case, cdnow: pd.DataFrame) -> pd.DataFrame:
    """CDNOW, in whole weeks where the model needs them."""
    return case.as_counted(cdnow)


@pytest.fixture(scope="session")
def extreme_customers() -> Callable[[int, int], pd.DataFrame]:
    """A function of (n, seed): purchases from 0 to 50,000, ages from minutes to 10,000 days."""

    def draw(n: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        x = np.floor(10 ** rng.uniform(-1, np.log10(50_001), n))
        T = 10 ** rng.uniform(-3, 4, n)
        share = rng.choice([1e-12, 1e-9, 0.5, 1 - 1e-12, 1.0], n) + rng.choice([0, 1e-3], n)
        t_x = np.where(x > 0, T * np.minimum(share, 1.0), 0.0)
        money = np.where(x > 0, 10 ** rng.uniform(-6, 9, n), 0.0)
        columns = {"frequency": x, "recency": t_x, "T": T, "monetary_value": money}
        return pd.DataFrame({"customer_id": np.arange(n), **columns})

    return draw


@pytest.fixture(scope="session")
def apparel():
    """The reference data of the R package CLVTools, up to the end of 2006."""
    if not (SHARED / "apparel_orders.parquet").exists():
        pytest.skip("apparel_orders.parquet is not shipped; CLV_SHARED_DATA=<its folder> runs this")
    orders, traits, weeks = (
        pd.read_parquet(SHARED / f"apparel_{name}.parquet").rename(
            columns={"Id": "customer_id", "Date": "date", "Cov.Date": "date", "Price": "amount"}
        )
        for name in ("orders", "static", "dynamic")
    )
    log = orders.assign(date=pd.to_datetime(orders["date"]))
    log = log.groupby(["customer_id", "date"], as_index=False)["amount"].sum()
    X = clv.summarize(log[log["date"] <= "2006-12-31"], unit="week", as_of="2006-12-31")
    weeks = weeks.assign(date=pd.to_datetime(weeks["date"]))
    season = weeks[["customer_id", "date", "High.Season"]]
    return clv.with_changes(X.merge(traits, on="customer_id"), log, season)
