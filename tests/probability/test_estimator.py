"""What every estimator of this room must do: scikit-learn's shape, JSON, units, clear refusals."""

import json
import pickle

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from clv.errors import ColumnError, FitError, InputError, ModelError, RowError, UnitError
from clv.history import History
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.gamma_gamma import GammaGamma

KNOWN = {
    BetaGeoNBD: {"r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259},
    GammaGamma: {"p": 6.25, "q": 3.74, "v": 15.44},
}
PREDICT = {
    BetaGeoNBD: lambda model, X: model.conditional_expected_purchases(39, X),
    GammaGamma: lambda model, X: model.expected_spend(X),
}


@pytest.fixture(params=list(KNOWN), ids=lambda model: model.__name__)
def model_class(request):
    return request.param


def test_clone_and_parameters(model_class, cdnow):
    model = model_class().fit(cdnow)
    twin = clone(model)
    assert twin.get_params() == model.get_params()
    assert not hasattr(twin, "params_")
    assert twin.set_params(engine="lifetimes").engine == "lifetimes"
    with pytest.raises(ValueError, match="nonsense"):
        twin.set_params(nonsense=1)


def test_fitting_again_forgets_what_was(model_class, cdnow):
    model = model_class().fit(cdnow.head(800))
    first = model.to_dict()
    assert model.fit(cdnow).params_ == model_class().fit(cdnow).params_
    assert model.fit(cdnow.head(800)).to_dict() == first


def test_fit_takes_a_y_that_it_ignores(model_class, cdnow):
    model = model_class()
    assert model.fit(cdnow, np.zeros(len(cdnow))) is model


def test_an_unfitted_model_says_so(model_class, cdnow):
    for ask in (lambda m: PREDICT[model_class](m, cdnow), lambda m: m.to_dict()):
        with pytest.raises(NotFittedError):
            ask(model_class())


def test_json_round_trip(model_class, cdnow):
    model = model_class().fit(cdnow)
    text = json.dumps(model.to_dict(), allow_nan=False)
    assert len(text) < 1500  # a few numbers, no customer
    again = model_class.from_dict(json.loads(text))
    assert again.to_dict() == model.to_dict()
    assert again.report_ == model.report_
    assert again.log_likelihood_ == model.log_likelihood_
    assert np.array_equal(PREDICT[model_class](again, cdnow), PREDICT[model_class](model, cdnow))


def test_json_of_known_parameters(model_class):
    model = model_class.from_params(KNOWN[model_class])
    again = model_class.from_dict(json.loads(json.dumps(model.to_dict(), allow_nan=False)))
    assert again.params_ == KNOWN[model_class]
    assert again.report_ is None
    assert np.isnan(again.log_likelihood_)


def test_pickle_is_no_obstacle(model_class, cdnow):
    model = model_class().fit(cdnow)
    assert pickle.loads(pickle.dumps(model)).to_dict() == model.to_dict()


def test_a_saved_model_of_another_kind(model_class):
    with pytest.raises(ModelError, match="not a"):
        model_class.from_dict({"model": "Other", "parameters": {}, "unit": None})


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_parameters(model_class, wrong):
    for name in KNOWN[model_class]:
        with pytest.raises(InputError):
            model_class.from_params(KNOWN[model_class] | {name: wrong})


def test_parameters_by_other_names(model_class):
    with pytest.raises(InputError, match="has the parameters"):
        model_class.from_params({"r": 1.0, "alpha": 1.0})


def test_unknown_engine(model_class, cdnow):
    with pytest.raises(InputError, match="'native' or 'lifetimes'"):
        model_class(engine="fast").fit(cdnow)


@pytest.mark.parametrize("kind", ["polars", "polars lazy", "pyarrow", "duckdb", "pandas nullable"])
def test_any_dataframe_gives_the_same_numbers(model_class, cdnow, kind):
    table = {
        "polars": lambda: pl.from_pandas(cdnow),
        "polars lazy": lambda: pl.from_pandas(cdnow).lazy(),
        "pyarrow": lambda: pa.Table.from_pandas(cdnow),
        "duckdb": lambda: duckdb.from_arrow(pa.Table.from_pandas(cdnow)),
        "pandas nullable": lambda: cdnow.convert_dtypes(),
    }[kind]()
    model, reference = model_class().fit(table), model_class().fit(cdnow)
    assert model.params_ == pytest.approx(reference.params_, rel=1e-9)
    found = PREDICT[model_class](model, table)
    assert type(found) is np.ndarray
    assert found == pytest.approx(PREDICT[model_class](reference, cdnow), rel=1e-8)


def test_results_come_in_row_order_whatever_the_index(model_class, cdnow):
    model = model_class.from_params(KNOWN[model_class])
    relabelled = cdnow.set_index(np.arange(len(cdnow))[::-1])
    assert np.array_equal(
        PREDICT[model_class](model, relabelled), PREDICT[model_class](model, cdnow)
    )


def test_missing_columns(model_class, cdnow):
    with pytest.raises(ColumnError, match=r"no column frequency \(did you mean 'Frequency'\?\)"):
        model_class().fit(cdnow.rename(columns={"frequency": "Frequency"}))


# --- time units ----------------------------------------------------------------------------------


def test_the_unit_travels_with_the_summary(cdnow):
    weekly = cdnow.assign(unit="week")
    model = BetaGeoNBD().fit(weekly)
    assert model.unit_ == "week"
    assert model.to_dict()["unit"] == "week"
    assert np.isfinite(model.probability_alive(weekly)).all()
    with pytest.raises(UnitError, match="fitted in weeks, the table is in days"):
        model.probability_alive(cdnow.assign(unit="day"))
    with pytest.raises(UnitError, match="mixes the time units day, week"):
        BetaGeoNBD().fit(weekly.assign(unit=np.where(weekly["T"] > 35, "day", "week")))


def test_the_unit_may_be_said_instead(cdnow):
    assert BetaGeoNBD(unit="weeks").fit(cdnow).unit_ == "week"
    assert BetaGeoNBD.from_params(KNOWN[BetaGeoNBD], unit="Days").unit_ == "day"
    with pytest.raises(UnitError):
        BetaGeoNBD(unit="day").fit(cdnow.assign(unit="week"))
    with pytest.raises(InputError, match="not a time unit"):
        BetaGeoNBD(unit="fortnight").fit(cdnow)


def test_arrays_once_read_serve_as_well(cdnow):
    model = BetaGeoNBD.from_params(KNOWN[BetaGeoNBD])
    history = History(*(cdnow[name].to_numpy(float) for name in ("frequency", "recency", "T")))
    for ask in (model.probability_alive, lambda X: model.probability_of_no_purchase(13, X)):
        assert np.array_equal(ask(history), ask(cdnow))
    assert len(model.conditional_expected_purchases(39, history.where(history.x > 50))) == 0


# --- input that cannot be meant ------------------------------------------------------------------


def swapped(table, one, other):
    return table.rename(columns={one: other, other: one})


WRONG = {
    "frequency and recency swapped": (
        lambda t: swapped(t, "frequency", "recency"),
        "frequency is not a whole number in .* customer_id=1 frequency=30.43.*swapped",
    ),
    "recency and T swapped": (
        lambda t: swapped(t, "recency", "T"),
        "recency is above 0 without a repeat purchase in .* customer_id=3 ",
    ),
    "frequency and T swapped": (
        lambda t: swapped(t, "frequency", "T"),
        "frequency is not a whole number in .* customer_id=1 ",
    ),
    "swapped in whole days": (
        lambda t: swapped(
            t.assign(T=t["T"].round(), recency=t["recency"].round()), "frequency", "T"
        ),
        "recency is beyond T in .* customer_id=1 .*swapped",
    ),
    "days since the last purchase": (
        lambda t: t.assign(recency=t["T"] - t["recency"]),
        "recency is above 0 without a repeat purchase in 1,411 rows, .*time since the last",
    ),
    "negative recency": (
        lambda t: t.assign(recency=t["recency"].where(t.index != 4, -1.0)),
        "negative in 1 row, such as customer_id=5 ",
    ),
    "negative frequency": (
        lambda t: t.assign(frequency=t["frequency"].where(t.index != 4, -1)),
        "negative in 1 row, such as customer_id=5 ",
    ),
    "half a purchase": (
        lambda t: t.assign(frequency=t["frequency"] + (t.index == 4) * 0.5),
        "frequency is not a whole number in 1 row, such as customer_id=5 ",
    ),
    "last purchase after the end": (
        lambda t: t.assign(recency=t["recency"] + (t.index == 0) * 9),
        "recency is beyond T in 1 row, such as customer_id=1 ",
    ),
    "infinite age": (
        lambda t: t.assign(T=t["T"].where(t.index != 4, np.inf)),
        "infinite in 1 row, such as customer_id=5 ",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), WRONG.values(), ids=WRONG)
def test_wrong_histories_are_named(cdnow, spoil, message):
    table, known = spoil(cdnow), BetaGeoNBD.from_params(KNOWN[BetaGeoNBD])
    for ask in (BetaGeoNBD().fit, known.probability_alive):
        with pytest.raises(RowError, match=f"(?s){message}"):
            ask(table)
    lazy = duckdb.from_arrow(pa.Table.from_pandas(table))
    with pytest.raises(RowError, match=f"(?s){message}"):
        BetaGeoNBD().fit(lazy)


def test_wrong_types_and_empty_tables(cdnow):
    with pytest.raises(ColumnError, match=r"'T' of the summary holds String"):
        BetaGeoNBD().fit(cdnow.assign(T=cdnow["T"].astype(str)))
    with pytest.raises(InputError, match="no customers"):
        BetaGeoNBD().fit(cdnow.head(0))
    with pytest.raises(InputError, match="not a dataframe"):
        BetaGeoNBD().fit(cdnow[["frequency", "recency", "T"]].to_numpy())


@pytest.mark.parametrize(
    ("weight", "message"),
    [([1.0, 2.0], "shape"), ([1.0, -1.0, 1.0], "row=1 "), ([1.0, np.nan, 1.0], "not finite")],
)
def test_wrong_weights(model_class, cdnow, weight, message):
    with pytest.raises(InputError, match=message):
        model_class().fit(cdnow.head(3), sample_weight=weight)


def test_nobody_counts(model_class, cdnow):
    with pytest.raises(FitError, match="nobody bought twice"):
        model_class().fit(cdnow, sample_weight=np.zeros(len(cdnow)))


def test_a_table_without_ids_counts_rows():
    X = pd.DataFrame({"frequency": [0, 1], "recency": [0.0, 9.0], "T": [5.0, 5.0]})
    with pytest.raises(RowError, match=r"such as row=1 frequency=1.0 recency=9.0 T=5.0"):
        BetaGeoNBD().fit(X)


def test_parameters_may_be_given_by_name():
    by_mapping = BetaGeoNBD.from_params({"r": 0.2, "alpha": 4, "a": 0.8, "b": 2}, unit="week")
    by_name = BetaGeoNBD.from_params(r=0.2, alpha=4, a=0.8, b=2, unit="week")
    assert by_name.to_dict() == by_mapping.to_dict()
    assert by_name.get_params() == by_mapping.get_params()
