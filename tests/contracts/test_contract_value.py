"""What subscribers are worth: by enumeration, against what came, and with several contracts."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from clv.app.contracts import contract_document, joined_scores, run_contracts
from clv.contracts.billing_tables import Interval
from clv.contracts.contract_fit import ContractModels, fit_contracts
from clv.contracts.contract_payments import unit_values
from clv.contracts.contract_tables import read_contract_table
from clv.contracts.contract_value import contract_scores
from clv.contracts.price_growth import PriceAge
from clv.errors import FitError, InputError, ModelError, MonitorError
from clv.monitoring.contracts import monitor_contracts
from clv.periods import Duration
from clv.probability.beta_discrete_weibull import BetaDiscreteWeibull
from clv.probability.shifted_beta_geometric import ShiftedBetaGeometric
from clv.score_columns import SCORE_COLUMNS
from clv.simulate import simulate_subscriptions
from clv.value.value import Terms

MONTH = Interval("month", 1)
YEAR = Terms(0.8, 0.1, Duration(1, "year"), "EUR")
MODELS = [
    ShiftedBetaGeometric.from_params(alpha=0.7, beta=1.2),
    BetaDiscreteWeibull.from_params(alpha=0.2, beta=1.4, c=1.7),
]


@pytest.fixture(scope="module")
def firm():
    """Simulated subscribers, and the same as the table stood a year before the last day."""
    made = simulate_subscriptions(seed=3, customers=12_000)
    rows = made.subscriptions
    then = pd.Timestamp("2023-06-30")
    earlier = rows[rows["start"] <= then].copy()
    earlier["end"] = earlier["end"].where(earlier["end"] <= then)
    return made, rows, read_contract_table(earlier, as_of=then)


@pytest.fixture(scope="module")
def models(firm):
    return fit_contracts(firm[2])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("n", "days"), [(1, 3.0), (4, 30.0), (60, 11.0)])
def test_a_contract_is_worth_what_its_payments_add_up_to(model, n, days):
    period, delta, growth, horizon, churn = 30.4375, 3e-4, 1e-4, 400.0, 91.0
    ours = unit_values(
        *(model, [n], np.array([days]), period),
        **{"delta": delta, "growth": growth, "horizon": horizon, "churn_horizon": churn},
    )
    due = [days + k * period for k in range(40) if days + k * period <= horizon]
    present = [np.exp((growth - delta) * day) for day in due]
    chance = [float(model.survival(n + k) / model.survival(n - 1)) for k in range(len(due))]
    # by how many payments are made: the chance of each number, and what it brings
    exactly = np.append(-np.diff([1.0, *chance]), chance[-1])
    brings = np.concatenate([[0.0], np.cumsum(present)])
    assert exactly.sum() == pytest.approx(1)
    assert ours["clv"][0] == pytest.approx(exactly @ brings)
    assert ours["payments"][0] == pytest.approx(exactly @ np.arange(len(brings)))
    for name, q in (("clv_low", 0.05), ("clv_median", 0.5), ("clv_high", 0.95)):
        quantile = brings[np.searchsorted(np.cumsum(exactly), q - 1e-12)]
        assert ours[name][0] == pytest.approx(quantile)
    risky = sum(day <= churn for day in due)
    soon = np.append(-np.diff([1.0, *chance[:risky]]), chance[risky - 1]) if risky else np.ones(1)
    assert ours["next_purchases"][0] == pytest.approx(soon @ np.arange(risky + 1))
    for name, q in (("next_purchases_low", 0.05), ("next_purchases_high", 0.95)):
        assert ours[name][0] == np.searchsorted(np.cumsum(soon), q - 1e-12)
    paid = sum(p * np.exp(growth * day) for p, day in zip(chance, due[:risky], strict=False))
    assert ours["next_revenue"][0] == pytest.approx(paid)
    lost, stays = exactly[:risky], exactly[risky:]
    assert ours["churn"][0] == pytest.approx(lost.sum())
    gain = stays @ brings[risky:] / stays.sum() - lost @ brings[:risky] / lost.sum()
    assert ours["stake"][0] == pytest.approx(gain)


def test_an_annual_contract_has_no_risk_before_its_renewal():
    model = MODELS[0]
    year = {"delta": 3e-4, "growth": 0.0, "horizon": 1096.0, "churn_horizon": 91.0}
    ours = unit_values(model, [2, 2], np.array([200.0, 50.0]), 365.25, **year)
    assert ours["churn"][0] == 0
    assert ours["churn"][1] == pytest.approx(1 - model.retention_rate(2))
    assert np.all(ours["stake"] > 0)


def test_the_year_that_came_was_as_the_scores_said(firm, models):
    _, rows, table = firm
    scores = contract_scores(table, models, YEAR).to_pandas()
    assert list(scores["customer_id"]) == sorted(scores["customer_id"])
    assert set(scores.columns) - {"plan"} <= set(SCORE_COLUMNS)
    monthly = scores[~scores["customer_id"].isin(rows[rows["interval"] == "year"]["customer_id"])]
    until = rows.groupby("customer_id")["end"].agg(lambda e: e.max() if e.notna().all() else pd.NaT)
    until = until.fillna(pd.Timestamp("2024-07-31"))[monthly["customer_id"]]
    months = (until.dt.year - 2023) * 12 + until.dt.month - 6
    paid = np.clip(months - 1, 0, 12)  # payments from July on that were made
    assert monthly["expected_purchases"].sum() == pytest.approx(paid.sum(), rel=0.05)  # 2.5 s.e.
    quarter = np.clip(months - 1, 0, 3)  # the churn horizon is 13 weeks
    assert monthly["next_purchases"].sum() == pytest.approx(quarter.sum(), rel=0.02)
    beyond = quarter.to_numpy() > monthly["next_purchases_high"].to_numpy()
    below = quarter.to_numpy() < monthly["next_purchases_low"].to_numpy()
    assert beyond.mean() <= 0.05
    assert below.mean() <= 0.05
    spend = monthly["next_revenue"] / monthly["next_purchases"] / monthly["expected_spend"]
    assert spend.dropna().between(0.98, 1.1).all()
    gone = (paid.to_numpy() < 3).mean()
    assert monthly["churn_probability"].mean() == pytest.approx(gone, abs=0.015)
    ranked = monthly.assign(paid=paid.to_numpy()).sort_values("churn_probability")
    half = len(ranked) // 2
    assert ranked["paid"][:half].mean() > ranked["paid"][half:].mean() + 2


def test_plans_are_recovered_and_survive_being_written_down(firm, models):
    made, _, _ = firm
    monthly = models.periods[MONTH]
    basic = made.truth["plans"][0]
    # those who did not take the annual plan: the density of theta less that of those who did
    own = ShiftedBetaGeometric.from_params(alpha=basic["alpha"], beta=basic["beta"])
    took = ShiftedBetaGeometric.from_params(alpha=basic["alpha"], beta=basic["beta"] + 5)
    share = 0.2 * own.survival(5)  # E[(1 - theta)^kappa] is the survival at kappa
    truth = (own.survival(12) - share * took.survival(12)) / (1 - share)
    model = monthly.model_of("basic")
    low, high = model.interval(lambda m: m.survival(12), level=0.99)
    assert low <= truth <= high
    assert monthly.own_share["basic"] > 0.9
    assert monthly.growth.of("basic") > monthly.growth.of("basic plus", PriceAge(0, True)) >= 0
    again = ContractModels.from_dict(json.loads(json.dumps(models.to_dict())))
    assert again.version == models.version


@pytest.mark.parametrize(
    "document",
    [
        *(None, [], 5, "periods", {"model": "BetaGeoNBD"}, {"periods": 5, "format": 1}),
        {"periods": [{"interval": [1, "month"], "groups": []}], "by": "plan"},
        {"periods": [{"interval": None}], "by": "plan", "as_of": "2026-01-01", "notes": []},
    ],
)
def test_what_holds_no_models_of_contracts_is_named(document):
    with pytest.raises(ModelError, match=r"holds no models|of another version"):
        ContractModels.from_dict(document)


def test_a_plan_with_few_customers_leans_on_the_others():
    rng = np.random.default_rng(1)
    parts = []
    for plan, n in (("big", 4000), *((f"small {k}", 30) for k in range(6))):
        leaves = rng.geometric(rng.beta(0.8, 4.0, n))
        begun = np.datetime64("2023-01") + rng.integers(0, 12, n)
        end = begun + np.minimum(leaves, 60)
        days = {"start": begun.astype("M8[ns]"), "end": end.astype("M8[ns]")}
        frame = {"customer_id": [f"{plan}{k}" for k in range(n)], "plan": plan, "amount": 10}
        parts.append(pd.DataFrame(frame | days | {"interval": "month"}))
    rows = pd.concat(parts)
    rows["end"] = rows["end"].where(rows["end"] <= "2024-06-01")
    periods = fit_contracts(read_contract_table(rows, as_of="2024-06-01")).periods[MONTH]
    base, shares = periods.base.survival(6), periods.own_share
    for k in range(6):
        assert shares[f"small {k}"] < 0.5 < shares["big"]
        assert periods.model_of(f"small {k}").survival(6) == pytest.approx(base, abs=0.1)
    cohorts = fit_contracts(read_contract_table(rows, as_of="2024-06-01"), by="cohort")
    assert cohorts.by == "cohort"


def test_several_contracts_and_those_that_will_end():
    rows = pd.DataFrame(
        {
            "customer_id": ["a", "a", "b", "c", *[f"x{k}" for k in range(200)]],
            "interval": ["month", "year", "month", "month", *["month"] * 200],
            "amount": [10.0, 100.0, 10.0, 10.0, *[10.0] * 200],
            "start": pd.Timestamp("2023-01-10"),
            "end": [
                None,
                None,
                pd.Timestamp("2024-01-10"),
                None,
                *[
                    pd.Timestamp("2023-01-10") + pd.DateOffset(months=1 + k % 11)
                    for k in range(150)
                ],
                *[None] * 50,
            ],
        }
    )
    table = read_contract_table(rows, as_of="2023-12-31")
    assert any(
        "1 row" in note.text or "by the year" in note.text for note in fit_contracts(table).notes
    )
    scores = contract_scores(table, fit_contracts(table), YEAR_NO_CURRENCY).to_pandas()
    by_id = scores.set_index("customer_id")
    assert by_id.loc["b", "clv"] == 0
    assert by_id.loc["b", "churn_probability"] == 1
    assert by_id.loc["b", "value_at_stake"] > 0
    assert by_id.loc["a", "clv"] == by_id.loc["c", "clv"] > 0  # the annual one has no model
    assert len(scores) == 53


YEAR_NO_CURRENCY = Terms(0.8, 0.1, Duration(1, "year"))


def test_currencies_are_scored_apart_and_what_cannot_be_scored_is_refused(models):
    rows = simulate_subscriptions(seed=5, customers=400).subscriptions
    rows.loc[rows["customer_id"] < "c0000100", "currency"] = "USD"
    table = read_contract_table(rows)
    with pytest.raises(InputError, match="contracts are in EUR, USD, which cannot be added"):
        contract_scores(table, models, YEAR_NO_CURRENCY)
    with pytest.raises(InputError, match="not in GBP"):
        contract_scores(table, models, Terms(currency="GBP"))
    assert len(contract_scores(table, models, YEAR)) < len(rows)
    counts = pd.DataFrame({"cohort": "x", "period": range(4), "active": [100, 63, 47, 38]})
    with pytest.raises(InputError, match="hold no customers"):
        contract_scores(read_contract_table(counts), models, YEAR)
    alive = counts.assign(active=100)
    with pytest.raises(FitError, match="nobody left"):
        fit_contracts(read_contract_table(alive))


def test_what_is_shown_and_a_firm_that_also_sells(firm, models):
    _, _, table = firm
    run = run_contracts(table, YEAR, models=models)
    document = json.loads(json.dumps(contract_document(run)))
    monthly = document["periods"][0]
    observed = monthly["survival"]["observed"]
    inside = [
        low - 0.01 <= seen <= high + 0.01
        for low, seen, high in zip(
            monthly["survival"]["low"], observed, monthly["survival"]["high"], strict=True
        )
        if seen is not None
    ]
    assert np.mean(inside[:30]) > 0.9
    assert document["book"]["months"][-1]["end"] > 0
    scores = run.scores.slice(0, 3)
    both = joined_scores(scores, run.scores).to_pandas().set_index("customer_id")
    one = run.scores.to_pandas().set_index("customer_id")
    first, other = scores["customer_id"][0].as_py(), run.scores["customer_id"][9].as_py()
    assert both.loc[first, "clv"] == pytest.approx(2 * one.loc[first, "clv"])
    assert both.loc[first, "churn_probability"] == one.loc[first, "churn_probability"] ** 2
    assert both.loc[other, "clv"] == one.loc[other, "clv"]
    low, mean = one.loc[first, ["next_purchases_low", "next_purchases"]]
    assert both.loc[first, "next_purchases"] == pytest.approx(2 * mean)
    assert both.loc[first, "next_purchases_low"] == pytest.approx(2 * mean - 2**0.5 * (mean - low))
    shop = scores.drop_columns(["plan", "unit", "margin_rate"])
    shop = shop.append_column("unit", [["week"] * 3]).append_column("margin_rate", [[0.3] * 3])
    mixed = joined_scores(shop.append_column("channel", [["mail"] * 3]), run.scores)
    assert mixed["unit"].unique().to_pylist() == ["week"]
    assert "margin_rate" not in mixed.column_names  # of buyers another than of subscribers
    words = mixed.to_pandas().set_index("customer_id")[["channel", "plan"]]
    assert (words.loc[first, "channel"], words.loc[first, "plan"]) == ("mail", one["plan"][first])
    assert words["channel"].notna().sum() == 3
    hour = pd.Series(pd.to_datetime(["2023-06-30"] * 3))  # as pandas writes a day
    dated = scores.set_column(scores.column_names.index("as_of"), "as_of", pa.array(hour))
    assert len(joined_scores(dated, run.scores)) == len(run.scores)
    later = scores.set_column(scores.column_names.index("as_of"), "as_of", [["2020-01-01"] * 3])
    with pytest.raises(InputError, match="the scores have as_of 2020-01-01"):
        joined_scores(later, run.scores)


def test_a_monitor_holds_renewals_against_what_was_expected(firm, models):
    _, rows, _ = firm
    report = monitor_contracts(read_contract_table(rows, observed_from=models.as_of), models)
    assert report.verdict == "ok"
    monthly = next(check for check in report.checks if check.check == "renewals by the month")
    assert monthly.actual == pytest.approx(monthly.expected, rel=0.12)
    assert monthly.low < monthly.expected < monthly.high
    assert monthly.actual > 500
    gone = rows.copy()
    worse = gone["end"].isna() & (gone["customer_id"].str[-1] < "5")
    gone.loc[worse, "end"] = pd.Timestamp("2024-03-15")
    alarm = monitor_contracts(read_contract_table(gone, observed_from=models.as_of), models)
    assert alarm.verdict == "alarm"
    with pytest.raises(MonitorError, match=r"renewals by the month: .* were expected to"):
        alarm.require_no_alarm()
    with pytest.raises(InputError, match="the model was fitted up to 2023-06-"):
        monitor_contracts(firm[2], models)


def test_intervals_of_small_firms_cover_the_truth():
    """Twenty customers settle little: their own chances alone would promise too much."""
    rng, truth = np.random.default_rng(1), ShiftedBetaGeometric.from_params(alpha=3.0, beta=6.0)
    ahead, covered = truth.survival(np.arange(61)), {"both": [], "own chances": []}
    terms = {"delta": 0.0, "growth": 0.0, "horizon": 1826.0, "churn_horizon": 91.0}
    for _ in range(40):
        leaves, entered = rng.geometric(rng.beta(3.0, 6.0, 20)), rng.integers(1, 13, 20)
        last = np.minimum(leaves, entered)
        table = {"entered": 0, "periods": last, "churned": leaves <= entered, "customers": 1}
        frame = pd.DataFrame(table)
        sure = ShiftedBetaGeometric().fit(frame).with_covariance(frame)
        for name, model in (("both", sure), ("own chances", sure.from_params(sure.params_))):
            high = unit_values(model, [1], np.array([10.0]), 30.4375, **terms)["clv_high"][0]
            # the chance that a new customer makes no more payments than the interval says
            covered[name].append(1 - ahead[min(round(high) + 1, 60)])
    assert 0.935 < np.mean(covered["both"]) < 0.97  # 95%, of whole payments
    assert np.mean(covered["own chances"]) < np.mean(covered["both"]) - 0.01
