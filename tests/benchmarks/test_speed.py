"""Ours beside peers, in one run: ``make bench``. Ratios are read, never asserted.

Each test times one job for ``who`` and checks that the job was done; pymc-marketing takes part
when it is installed. Peers are left out where a single run of theirs takes minutes.
"""

import importlib.util
import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clv.history import read_history
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.gamma_gamma import GammaGamma
from clv.probability.pareto_nbd import ParetoNBD
from clv.value.predictive import value_quantiles
from clv.value.value import Terms, customer_value

ROUNDS = 5
INSTALLED = importlib.util.find_spec("pymc_marketing") is not None
ALL = ["ours", "lifetimes", *(["pymc-marketing"] if INSTALLED else [])]
READ = ["frequency", "recency", "T", "monetary_value"]
TERMS = Terms(1.0, 0.1, Duration(3, "year"))
BY_SIZE = [(size, who) for size in ("100k", "1M") for who in ALL] + [("10M", "ours")]
DAILY = {"r": 0.2426, "alpha": 4.4136 * 7, "a": 0.7929, "b": 2.4259}
PARETO = {"r": 0.5533, "alpha": 10.578 * 7, "s": 0.6061, "beta": 11.669 * 7}
SPEND = {"p": 6.25, "q": 3.74, "v": 15.44}


def measured(benchmark: Any, job: Any, rounds: int = ROUNDS) -> Any:
    """The result of a job, timed ``rounds`` times after a first run that warms up."""
    return benchmark.pedantic(job, rounds=rounds, warmup_rounds=rounds > 1)


def pymc_fit(model: str, table: pd.DataFrame) -> dict[str, float]:
    """The maximum that pymc-marketing's MAP finds."""
    from pymc_marketing import clv as peer

    fitted = getattr(peer, model)(data=table[["customer_id", "frequency", "recency", "T"]])
    found = fitted.fit(method="map", progressbar=False).posterior
    assert found.sizes["chain"] == found.sizes["draw"] == 1  # it was MAP that ran, not sampling
    return {name: float(np.ravel(found[name])[0]) for name in found.data_vars}


def lifetimes_fit(fitter: Any, table: pd.DataFrame) -> dict[str, float]:
    return dict(fitter.fit(*(table[name] for name in ("frequency", "recency", "T"))).params_)


@pytest.mark.parametrize(("size", "who"), BY_SIZE)
def test_fit_bg_nbd(benchmark, summary, lifetimes, size, who):
    benchmark.group = f"BG/NBD fit, {size} customers"
    jobs = {
        "ours": lambda: BetaGeoNBD().fit(summary).params_,
        "lifetimes": lambda: lifetimes_fit(lifetimes.BetaGeoFitter(), summary),
        "pymc-marketing": lambda: pymc_fit("BetaGeoModel", summary),
    }
    found = measured(benchmark, jobs[who])
    assert found["r"] == pytest.approx(DAILY["r"], rel=0.1)


@pytest.mark.parametrize(
    ("size", "who"), [("100k", who) for who in ALL] + [("1M", "ours"), ("10M", "ours")]
)
def test_fit_pareto_nbd(benchmark, summary, lifetimes, size, who):
    benchmark.group = f"Pareto/NBD fit, {size} customers"
    jobs = {
        "ours": lambda: ParetoNBD().fit(summary).params_,
        "lifetimes": lambda: lifetimes_fit(lifetimes.ParetoNBDFitter(), summary),
        "pymc-marketing": lambda: pymc_fit("ParetoNBDModel", summary),
    }
    found = measured(benchmark, jobs[who], ROUNDS if who == "ours" else 1)
    assert found["r"] > 0


@pytest.mark.parametrize(("size", "who"), BY_SIZE)
def test_value(benchmark, summary, lifetimes, size, who):
    """Ours: three years, discounted day by day. Peers: one year, by the month."""
    benchmark.group = f"CLV of every customer, {size}"
    purchases, spend = BetaGeoNBD.from_params(DAILY, unit="day"), GammaGamma.from_params(SPEND)

    def with_lifetimes() -> np.ndarray:
        peer, money = lifetimes.BetaGeoFitter(), lifetimes.GammaGammaFitter()
        peer.params_, money.params_ = pd.Series(purchases.params_), pd.Series(spend.params_)
        peer.predict = peer.conditional_expected_number_of_purchases_up_to_time
        columns = [summary[name] for name in READ]
        return money.customer_lifetime_value(peer, *columns, time=12, freq="D").to_numpy()

    def with_pymc() -> np.ndarray:
        return pymc_value(summary)

    jobs = {
        "ours": lambda: customer_value(summary, purchases, spend, TERMS)["clv"].to_numpy(),
        "lifetimes": with_lifetimes,
        "pymc-marketing": with_pymc,
    }
    values = measured(benchmark, jobs[who])
    assert len(values) == len(summary)
    assert np.isfinite(values).all()


@pytest.mark.parametrize(("size", "who"), [case for case in BY_SIZE if case[1] != "pymc-marketing"])
def test_expectation(benchmark, summary, lifetimes, size, who):
    """Purchases of each customer in the next year."""
    benchmark.group = f"expected purchases of every customer, {size}"
    model, peer = BetaGeoNBD.from_params(DAILY, unit="day"), lifetimes.BetaGeoFitter()
    peer.params_ = pd.Series(model.params_)
    columns = [summary[name] for name in READ[:3]]
    jobs = {
        "ours": lambda: model.conditional_expected_purchases(365, summary),
        "lifetimes": lambda: peer.conditional_expected_number_of_purchases_up_to_time(
            365, *columns
        ),
    }
    assert np.isfinite(measured(benchmark, jobs[who])).all()


def pymc_value(table: pd.DataFrame) -> np.ndarray:
    """One year of CLV by pymc-marketing, at its own MAP on the first 10,000 customers."""
    from pymc_marketing import clv as peer

    few = table.head(10_000)
    history = ["customer_id", "frequency", "recency", "T"]
    purchases = peer.BetaGeoModel(data=few[history])
    purchases.fit(method="map", progressbar=False)
    repeat = few[few["frequency"] > 0]
    spend = peer.GammaGammaModel(data=repeat[["customer_id", "frequency", "monetary_value"]])
    spend.fit(method="map", progressbar=False)
    value = spend.expected_customer_lifetime_value(
        purchases, table[[*history, "monetary_value"]], future_t=12, time_unit="D"
    )
    return np.asarray(value).ravel()


@pytest.mark.parametrize("who", ["ours", "the mean alone"])
@pytest.mark.parametrize("size", ["1M"])
def test_quantiles(benchmark, summary, size, who):
    benchmark.group = f"5, 50 and 95% of every customer's value, {size}"
    purchases, spend = BetaGeoNBD.from_params(DAILY, unit="day"), GammaGamma.from_params(SPEND)
    history, zbar = read_history(summary), summary["monetary_value"].to_numpy()
    levels = (0.05, 0.5, 0.95)
    jobs = {
        "ours": lambda: value_quantiles(purchases, spend, history, zbar, TERMS, "day", levels),
        "the mean alone": lambda: customer_value(summary, purchases, spend, TERMS),
    }
    assert len(measured(benchmark, jobs[who])) == len(summary)


@pytest.mark.parametrize("who", ["ours", "SQL by hand", "lifetimes"])
def test_log_to_summary(benchmark, lifetimes, who):
    """Five million rows of a quarter of a million customers; ours and the SQL in DuckDB."""
    import duckdb

    from clv.data.summary import summarize

    benchmark.group = "log of 5M rows to summary"
    log = orders(5_000_000, 250_000)
    connection = duckdb.connect()
    connection.sql("create table log as select customer_id, date::date date, amount from log")
    by_hand = """
        with days as (select customer_id, date, sum(amount) amount from log group by all),
        firsts as (select customer_id, min(date) first, max(date) last, count(*) n,
                   sum(amount) total from days group by all)
        select customer_id, n - 1 as frequency, (last - first) / 7.0 as recency,
               (date '2025-12-01' - first) / 7.0 as T, d.amount as first_amount,
               case when n > 1 then (total - d.amount) / (n - 1) else 0 end as monetary_value
        from firsts f join days d using (customer_id) where d.date = f.first"""

    def with_lifetimes() -> pd.DataFrame:
        make = lifetimes.utils.summary_data_from_transaction_data
        return make(log, "customer_id", "date", "amount", freq="D")

    jobs = {
        "ours": lambda: summarize(connection.table("log")).to_arrow_table(),
        "SQL by hand": lambda: connection.sql(by_hand).to_arrow_table(),
        "lifetimes": with_lifetimes,
    }
    assert len(measured(benchmark, jobs[who], 1 if who == "lifetimes" else ROUNDS)) == 250_000


def orders(n: int, customers: int) -> pd.DataFrame:
    """A log of n rows over 700 days."""
    rng = np.random.default_rng(1)
    day = np.datetime64("2024-01-01", "s") + rng.integers(0, 700, n).astype("timedelta64[D]")
    ids, amount = rng.integers(0, customers, n), rng.gamma(2.0, 20.0, n).round(2)
    return pd.DataFrame({"customer_id": ids, "date": day, "amount": amount})


@pytest.mark.parametrize("size", ["1M"])
def test_memory(summary, memory, size):
    """Not a matter of time: how many times the input columns the jobs hold at once."""
    purchases, spend = BetaGeoNBD.from_params(DAILY, unit="day"), GammaGamma.from_params(SPEND)
    history, zbar = read_history(summary), summary["monetary_value"].to_numpy()
    jobs = {
        "BG/NBD fit": lambda: BetaGeoNBD().fit(summary),
        "Pareto/NBD fit": lambda: ParetoNBD().fit(summary),
        "Gamma-Gamma fit": lambda: GammaGamma().fit(summary),
        "CLV of every customer": lambda: customer_value(summary, purchases, spend, TERMS),
        "5, 50 and 95%": lambda: value_quantiles(
            purchases, spend, history, zbar, TERMS, "day", (0.05, 0.5, 0.95)
        ),
    }
    columns = sum(summary[name].to_numpy().nbytes for name in READ)
    for name, job in jobs.items():
        tracemalloc.start()
        job()
        memory[f"{name}, {size} customers"] = tracemalloc.get_traced_memory()[1] / columns
        tracemalloc.stop()
    assert min(memory.values()) > 0
