"""Churn under contracts: a plain classifier, its baselines, its reasons, its file."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from clv.churn.contract_verdict import BASE_RATE
from clv.churn.contracts import ContractChurn, fit_contract_churn, setting
from clv.errors import ColumnError, FitError, ModelError

TELCO = Path(__file__).parents[1] / ".." / "shared" / "data" / "telco_churn.parquet"


def customers(n: int = 4000, seed: int = 0) -> pd.DataFrame:
    """Customers whose true churn probability is known: ``odds`` is its log odds."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "customer_id": np.arange(n),
            "tenure": rng.integers(0, 72, n),
            "plan": rng.choice(["month", "year"], n),
            "charges": rng.normal(60, 20, n).round(2).astype(str),
            "shoe_size": rng.normal(40, 2, n),
        }
    )
    odds = 0.5 - 0.05 * table["tenure"] + 1.5 * (table["plan"] == "month")
    table["left"] = rng.uniform(size=n) < 1 / (1 + np.exp(-odds))
    return table.assign(odds=odds)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return customers()


@pytest.fixture(scope="module")
def model(table) -> ContractChurn:
    return fit_contract_churn(table, "left", ignore=["odds"])


def test_the_truth_is_found(model):
    """On fresh customers the log odds come close to those that the events were drawn from."""
    fresh = customers(seed=1)
    probability = model.predict(fresh)
    truth = 1 / (1 + np.exp(-fresh["odds"]))
    assert np.abs(probability - truth).mean() < 0.03
    figures = model.table().set_index("score")
    chosen = figures.index[figures["chosen"]][0]
    assert figures.loc[chosen, "log_loss"] < figures.loc[BASE_RATE, "log_loss"]
    assert figures.loc[BASE_RATE, "auc"] == pytest.approx(0.5)
    assert figures.loc["shortest tenure", "auc"] > 0.6
    assert "split at random, not in time" in model.reason


def test_what_matters_is_important_and_what_does_not_is_not(model):
    shown = model.importance.set_index("topic")
    assert shown.index[:2].tolist() == ["tenure", "plan"]
    assert shown.loc["plan", "loss_increase"] > 0.02
    assert abs(shown.loc["shoe_size", "loss_increase"]) < 0.005


def test_identifiers_are_left_out_and_numbers_in_texts_are_numbers(model):
    assert model.ignored == {"customer_id": "an identifier"}
    assert [one.name for one in model.columns if one.levels] == ["plan"]
    assert [one.name for one in model.columns] == ["tenure", "plan", "charges", "shoe_size"]


def test_reasons_add_up_and_say_what_they_mean(model, table):
    effects = model.effects(table)
    total = effects.average + effects.values.sum(axis=1)
    np.testing.assert_allclose(1 / (1 + np.exp(-total)), model.predict(table), rtol=1e-9)
    told = model.reasons(table.assign(tenure=1, plan="month"), top=2)
    assert told.columns.tolist() == ["reason_1", "effect_1", "reason_2", "effect_2"]
    middle = model.columns[0].middle
    said = set(told.iloc[0][["reason_1", "reason_2"]])
    assert said == {
        f"tenure: 1; {middle:g} is usual (raises the risk)",
        "plan: month (raises the risk)",
    }


def test_polars_and_another_order_of_rows_give_the_same(model, table):
    frame = pl.from_pandas(table.sample(frac=1, random_state=2))
    np.testing.assert_allclose(model.predict(pl.from_pandas(table)), model.predict(table))
    again = fit_contract_churn(frame, "left", ignore=["odds"])
    np.testing.assert_allclose(again.predict(table), model.predict(table))


def test_saved_and_loaded_it_predicts_the_same(model, table, tmp_path):
    model.save_classifier(tmp_path / "churn.skops")
    loaded = ContractChurn.from_dict(model.to_dict(), tmp_path / "churn.skops")
    np.testing.assert_array_equal(loaded.predict(table), model.predict(table))
    assert loaded.reasons(table).equals(model.reasons(table))


def test_a_foreign_file_is_not_loaded(model, tmp_path):
    from sklearn.preprocessing import FunctionTransformer
    from skops.io import dump

    dump([[FunctionTransformer(func=customers)]], tmp_path / "churn.skops")
    with pytest.raises(ModelError, match="types that no model of this package has"):
        ContractChurn.from_dict(model.to_dict(), tmp_path / "churn.skops")


def test_a_column_that_knows_the_event_raises_the_alarm(table):
    knows = table.assign(cancelled_on=np.where(table["left"], "a day", "never"))
    model = fit_contract_churn(knows, "left")
    assert model.classifier is None
    assert "too good to be true" in model.reason
    np.testing.assert_allclose(model.predict(knows), table["left"].mean())


def test_of_who_left_by_lot_no_classifier_is_used(table):
    """Events shuffled among customers: by chance one is better than the churn rate on a quarter."""
    better = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        noise = table.assign(left=rng.permutation(table["left"])).head(1500)
        model = fit_contract_churn(noise, "left", ignore=["odds"])
        assert model.classifier is None, model.reason
        found = model.table().set_index("score")
        best = found.loc[found["chosen"], "log_loss"].iloc[0]
        better += best < found.loc[BASE_RATE, "log_loss"]
        np.testing.assert_allclose(model.predict(noise), noise["left"].mean())
    assert better > 0


def test_what_cannot_be_used_is_named(table):
    with pytest.raises(ColumnError, match="no column 'Churn'"):
        fit_contract_churn(table)
    with pytest.raises(ColumnError, match="'plan' holds 'month', 'year', which is neither"):
        fit_contract_churn(table, "plan")
    with pytest.raises(FitError, match="0 of 4,000 customers left"):
        fit_contract_churn(table.assign(left=0), "left")


def test_a_number_that_became_text_is_refused(model, table):
    with pytest.raises(ColumnError, match=r"'tenure' holds .* but numbers were learned from"):
        model.predict(table.assign(tenure="long"))


def test_missing_numbers_count_as_usual_and_new_texts_as_none(model, table):
    odd = table.head(3).assign(tenure=np.nan, plan="decade")
    assert np.isfinite(model.predict(odd)).all()
    assert "tenure: not known" in str(model.reasons(odd).to_numpy())


def test_the_setting_is_told_from_the_columns(table):
    assert setting(table, "left")[0] == "contractual"
    log = pd.DataFrame({"customer_id": [1], "date": ["2024-01-01"], "amount": [1.0]})
    assert setting(log)[0] == "non-contractual"
    with pytest.raises(ColumnError, match="neither an event"):
        setting(log[["amount"]])


@pytest.mark.slow
def test_telco_customers_who_leave_are_found():
    """IBM's telco sample: 26.54% of 7,043 customers left."""
    if not TELCO.is_file():
        pytest.skip(f"{TELCO.name} is not there: it is not shipped with the project")
    model = fit_contract_churn(pd.read_parquet(TELCO))
    figures = model.table().set_index("score")
    chosen = figures[figures["chosen"]].iloc[0]
    assert chosen["auc"] > 0.84
    assert chosen["log_loss"] < 0.42
    assert model.churn_rate == pytest.approx(0.2654, abs=1e-4)
    assert set(model.importance["topic"][:2]) == {"tenure", "Contract"}
    assert model.ignored == {"customerID": "an identifier"}
