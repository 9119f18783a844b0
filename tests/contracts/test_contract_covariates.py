"""Contracts whose customers differ by columns of their table, and how their prices may move."""

import json

import numpy as np
import pandas as pd
import pytest

from clv.app.contracts import contract_document, run_contracts
from clv.contracts.billing_tables import Interval
from clv.contracts.contract_fit import ContractModels, fit_contracts
from clv.contracts.contract_tables import read_contract_table
from clv.contracts.contract_value import contract_scores
from clv.contracts.price_growth import NO_MOVES, PriceGrowth
from clv.errors import ColumnError, InputError
from clv.periods import Duration
from clv.report.contract_report import contract_report
from clv.simulate import simulate_subscriptions
from clv.value.value import Terms

MONTH = Interval("month", 1)
TERMS = Terms(1.0, 0.1, Duration(2, "year"), "")


@pytest.fixture(scope="module")
def rows():
    """Two countries and three channels: in DE customers leave as if alpha were twice as large."""
    rng, n = np.random.default_rng(5), 8_000
    country = rng.choice(["FR", "DE"], n, p=[0.6, 0.4])
    paid = rng.geometric(rng.beta(np.where(country == "DE", 1.6, 0.8), 6.0))
    start = np.datetime64("2021-01") + rng.integers(0, 36, n)
    end = (start + paid).astype("datetime64[D]") + 4
    start = start.astype("datetime64[D]") + 4
    table = {"customer_id": np.arange(n), "interval": "month", "amount": 10.0, "start": start}
    table |= {"end": np.where(end > np.datetime64("2023-12-31"), np.datetime64("NaT"), end)}
    table |= {"country": country, "via": rng.choice(["ad", "web", "shop"], n), "note": np.arange(n)}
    return pd.DataFrame(table)


@pytest.fixture(scope="module")
def models(rows):
    return fit_contracts(read_contract_table(rows, as_of="2023-12-31"), covariates=["country"])


def test_the_effect_of_a_country_is_found_and_told(rows, models):
    monthly = models.periods[MONTH]
    factor, low, high = monthly.effects["leaving[country=DE]"]
    assert low < 2 < high
    assert 1.5 < factor < 2.5
    assert set(monthly.groups) == {"DE", "FR"}
    for name, alpha in (("FR", 0.8), ("DE", 1.6)):
        truth = monthly.base.from_params(alpha=alpha, beta=6.0).survival([3, 12])
        lower, upper = monthly.groups[name].interval(lambda m: m.survival([3, 12]), level=0.99)
        assert np.all((lower <= truth) & (truth <= upper))
    assert "country make customers differ by 2 factors" in str(models)
    assert "chance alone" not in str(models)
    again = ContractModels.from_dict(json.loads(json.dumps(models.to_dict())))
    assert again.version == models.version
    idle = fit_contracts(read_contract_table(rows, as_of="2023-12-31"), covariates=["via"])
    assert "no more than chance alone often does" in str(idle)


def test_scores_and_document_are_by_covariates(rows, models):
    table = read_contract_table(rows, as_of="2023-12-31", covariates=("country",))
    run = run_contracts(table, TERMS)  # as the table's recipe says
    assert run.models.version == models.version
    scored = run.scores.to_pandas().merge(rows[["customer_id", "country"]])
    young = scored[scored["frequency"] == 3].groupby("country")["clv"].mean()
    assert young["FR"] > 1.15 * young["DE"]
    document = contract_document(run)
    plans = {plan["plan"]: plan for plan in document["periods"][0]["plans"]}
    assert plans["DE"]["active"] + plans["FR"]["active"] == len(scored)
    assert plans["DE"]["price"] == 10
    report = contract_report(document)
    shown = " ".join(table.caption for section in report.sections for table in section.tables)
    assert "How customers differ" in shown


def test_covariates_that_cannot_be_are_named(rows):
    table = read_contract_table(rows, as_of="2023-12-31")
    with pytest.raises(InputError, match=r"'note' has .* values, at most 40|, at most 200"):
        fit_contracts(table, covariates=["note"])
    with pytest.raises(InputError, match="the same for everybody"):
        fit_contracts(table, covariates=["interval"])
    with pytest.raises(ColumnError, match="shoe"):
        fit_contracts(table, covariates=["shoe"])
    counts = pd.DataFrame({"cohort": "a", "period": range(4), "active": [90, 60, 45, 40]})
    with pytest.raises(InputError, match="counts of cohorts have no 'country'"):
        fit_contracts(read_contract_table(counts), covariates=["country"])


def test_a_price_may_stay_or_step_and_grows_as_plans_do_on_average():
    """From a to b at half as much again, once: then nothing moves any more."""
    to_b, none = [("b", 1.0, (1.5,))], [("b", 1.0, (1.0,))]
    growth = PriceGrowth(0.01, 40, {"a": (40.0, 2_000.0), "b": (0.0, 9e9)}, {"a": to_b, "b": none})
    paths, t = growth.paths("a", 1.0, 36), np.arange(36)
    assert paths.mean(axis=0) == pytest.approx(1 + 0.5 * -np.expm1(-0.02 * t))
    still = paths[:, 35] < 1.25 * paths[:, 35].min()
    assert still.mean() == pytest.approx(np.exp(-35 * 40.5 / 2_000), abs=0.1)
    assert growth.of("a") == pytest.approx(0.01)
    few = PriceGrowth(0.01, 1, {"a": (1.0, 50.0), "b": (0.0, 9e9)}, {"a": to_b, "b": none})
    assert few.paths("a", 1.0, 36)[:, 8].std() > 0
    assert np.array_equal(NO_MOVES.paths("a", 1.0, 3), np.ones((1, 3)))


def test_what_came_of_customers_who_move_up_was_expected():
    """Some take a plan at half as much again, once: no growth that goes on for ever."""
    made = simulate_subscriptions(seed=2, customers=6_000)
    rows, then = made.subscriptions, pd.Timestamp("2022-06-30")
    earlier = rows[rows["start"] <= then].copy()
    earlier["end"] = earlier["end"].where(earlier["end"] <= then)
    table = read_contract_table(earlier, as_of=then)
    plain = Terms(1.0, 0.0, Duration(24, "month"), "EUR")
    scores = contract_scores(table, fit_contracts(table), plain).to_pandas()
    scores = scores.set_index("customer_id")
    paid = pd.Series(0.0, index=scores.index)
    for interval, months in (("month", 1), ("year", 12)):
        own = rows[(rows["interval"] == interval) & rows["customer_id"].isin(scores.index)]
        for k in range(48 // months):
            due = own["start"] + pd.DateOffset(months=k * months)
            made_then = (due > then) & (due <= then + pd.DateOffset(months=24))
            made_then &= own["end"].isna() | (due < own["end"])
            came = own[made_then].groupby("customer_id")["amount"].sum()
            paid = paid.add(came, fill_value=0)
    assert paid.sum() / scores["clv"].sum() == pytest.approx(1, abs=0.08)
    assert (paid > scores["clv_high"] + 0.01).mean() < 0.055  # who is left moves up less often
    assert (paid < scores["clv_low"] - 0.01).mean() < 0.06
