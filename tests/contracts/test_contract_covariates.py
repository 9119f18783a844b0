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
from clv.contracts.price_growth import NO_MOVES, PriceAge, PriceGrowth
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
    """From a to b at half as much again, once, at .02 a month: then nothing moves any more."""
    to_b, none = [("b", 1.0, (1.5,))], [("b", 1.0, (1.0,))]
    rates, steps = {"a": (40.0, 40.0), "b": (0.0, 9e9)}, {"a": to_b, "b": none}
    growth = PriceGrowth(0.01, 40, rates, steps, pace=(0.02 * 1e7, 1e7))
    paths, t = growth.paths("a", 1.0, 36), np.arange(36)
    on_average = growth.mean("a", 1.0, 36)
    assert on_average == pytest.approx(1 + 0.5 * -np.expm1(-0.02 * t))
    assert paths.mean(axis=0) == pytest.approx(on_average, abs=0.07)  # of a hundred
    still = paths[:, 35] == 1
    assert still.mean() == pytest.approx(np.exp(-35 * 0.02 * 40.5 / 40), abs=0.1)
    assert growth.of("a") == pytest.approx(0.01)
    few = PriceGrowth(0.01, 1, {"a": (1.0, 1.0), "b": (0.0, 9e9)}, steps, (0.02 * 1e7, 1e7))
    assert few.paths("a", 1.0, 36)[:, 8].std() > 0
    assert np.array_equal(NO_MOVES.paths("a", 1.0, 3), np.ones((1, 3)))


def test_prices_move_as_those_of_customers_drawn_one_by_one():
    """Rates Gamma(0.5, 6 months) apart, times 0.4 after a move; a plan's factor is 1.5."""
    up = {"a": [("a", 1.0, (1.2, 1.4))]}
    growth = PriceGrowth(0.0, 9, {"a": (1_500.0, 1_000.0)}, up, pace=(0.5, 6.0), again=0.4)
    rng, n = np.random.default_rng(4), 200_000
    for age in (PriceAge(), PriceAge(9.0), PriceAge(4.0, again=True)):
        price, months, again = np.ones(n), np.full(n, age.months), np.full(n, age.again)
        drawn = [1.0]
        for _ in range(23):
            # a rate is drawn anew at each price: of who has paid it for so long
            survives = ((6 + months) / (7 + months)) ** (0.5 * 1.5 * np.where(again, 0.4, 1.0))
            moved = rng.random(n) > survives
            price *= np.where(moved, rng.choice([1.2, 1.4], n), 1.0)
            months, again = np.where(moved, 0.0, months + 1), again | moved
            drawn.append(price.mean())
        assert growth.mean("a", 1.0, 24, age) == pytest.approx(drawn, abs=0.005)


@pytest.mark.parametrize("named", [True, False])
def test_the_money_of_half_who_move_once_and_half_who_never_do(named):
    """Twice the price: taken for moves that go on as before, 5% to 20% too much came out."""
    made = simulate_subscriptions(
        seed=6, customers=6_000, upgrade=0.5, upgrade_by=2.0, annual_share=0.0
    )
    rows, then = made.subscriptions, pd.Timestamp("2022-06-30")
    if not named:
        rows = rows.assign(plan=rows["plan"].str.removesuffix(" plus"))
    scores = two_years(rows, then)
    paid, payments = (paid_in(table, scores, then) for table in (rows, rows.assign(amount=1.0)))
    said = scores["clv"].sum() / scores["expected_purchases"].sum()
    assert said == pytest.approx(paid.sum() / payments.sum(), rel=0.03)
    assert 0.02 < (paid > scores["clv_high"] + 0.01).mean() < 0.055


def two_years(rows, then):
    """Scores of two years as the table stood on a day."""
    earlier = rows[rows["start"] <= then].copy()
    earlier["end"] = earlier["end"].where(earlier["end"] <= then)
    table = read_contract_table(earlier, as_of=then)
    plain = Terms(1.0, 0.0, Duration(24, "month"), "EUR")
    scores = contract_scores(table, fit_contracts(table), plain).to_pandas()
    return scores.set_index("customer_id")


def paid_in(rows, scores, then):
    """What these customers paid in the two years that came."""
    paid = pd.Series(0.0, index=scores.index)
    for interval, months in (("month", 1), ("year", 12)):
        own = rows[(rows["interval"] == interval) & rows["customer_id"].isin(scores.index)]
        for k in range(48 // months):
            due = own["start"] + pd.DateOffset(months=k * months)
            made_then = (due > then) & (due <= then + pd.DateOffset(months=24))
            made_then &= own["end"].isna() | (due < own["end"])
            came = own[made_then].groupby("customer_id")["amount"].sum()
            paid = paid.add(came, fill_value=0)
    return paid


def test_what_came_of_customers_who_move_up_was_expected():
    """Some take a plan at half as much again, once: no growth that goes on for ever."""
    made = simulate_subscriptions(seed=2, customers=6_000)
    rows, then = made.subscriptions, pd.Timestamp("2022-06-30")
    scores = two_years(rows, then)
    paid = paid_in(rows, scores, then)
    assert paid.sum() / scores["clv"].sum() == pytest.approx(1, abs=0.08)
    assert (paid > scores["clv_high"] + 0.01).mean() < 0.055  # who is left moves up less often
    assert (paid < scores["clv_low"] - 0.01).mean() < 0.06
