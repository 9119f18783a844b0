"""The door: what comes through as arrays, what is refused, and in which words."""

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from clv.errors import ColumnError, InputError, RowError, UnitError
from clv.history import (
    Levels,
    distinct,
    read_cells,
    read_history,
    read_spend,
    read_unit,
    read_weight,
    same_unit,
)
from clv.schema import (
    as_frame,
    collect,
    column,
    numbers,
    reject_rows,
    require_columns,
    same_kind,
    with_arrays,
)

ROWS = {
    "customer_id": ["ann", "bob", "cy", "dee"],
    "frequency": [2, 0, 2, 1],
    "recency": [3.5, 0.0, 3.5, 1.25],
    "T": [9.0, 4.0, 9.0, 4.0],
    "monetary_value": [10.0, 0.0, 20.0, 30.5],
    "unit": ["week"] * 4,
}

KINDS = {
    "pandas": lambda rows: pd.DataFrame(rows),
    "pandas nullable": lambda rows: pd.DataFrame(rows).convert_dtypes(),
    "pandas arrow": lambda rows: pd.DataFrame(rows).convert_dtypes(dtype_backend="pyarrow"),
    "polars": lambda rows: pl.DataFrame(rows),
    "polars lazy": lambda rows: pl.LazyFrame(rows),
    "pyarrow": lambda rows: pa.table(rows),
    "duckdb": lambda rows: duckdb.from_arrow(pa.table(rows)),
}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def kind(request):
    return request.param


# --- what comes through --------------------------------------------------------------------------


def test_histories_of_any_dataframe(kind):
    history = read_history(kind(ROWS))
    assert len(history) == 4
    assert [v.dtype for v in vars(history).values()] == [np.float64] * 3
    assert history.x.tolist() == ROWS["frequency"]
    assert history.t_x.tolist() == ROWS["recency"]
    assert history.T.tolist() == ROWS["T"]
    assert history.where(history.x > 1).T.tolist() == [9.0, 9.0]


def test_spend_of_any_dataframe(kind):
    x, zbar = read_spend(kind(ROWS | {"monetary_value": [10.0, None, 20.0, 30.5]}))
    assert x.tolist() == ROWS["frequency"]
    assert zbar.tolist() == [10.0, 0.0, 20.0, 30.5]


def test_cells_of_any_dataframe(kind):
    cells = read_cells(kind(ROWS))
    rows = np.column_stack([cells.x, cells.t_x, cells.T, cells.count])
    assert rows.tolist() == [[0, 0, 4, 1], [1, 1.25, 4, 1], [2, 3.5, 9, 2]]
    assert cells.levels.values.tolist() == [0, 1, 2]
    assert cells.levels.weight.tolist() == [1, 1, 2]


def test_weighted_cells_of_any_dataframe(kind):
    cells = read_cells(kind(ROWS), [0.5, 0.0, 2.0, 1.0])
    assert cells.x.tolist() == [1, 2]  # nobody is left in the cell of bob
    assert cells.count.tolist() == [1.0, 2.5]


def test_unit_of_any_dataframe(kind):
    assert read_unit(kind(ROWS)) == "week"
    assert read_unit(kind({name: ROWS[name] for name in ("frequency", "recency", "T")})) is None


def test_collect_takes_the_columns_asked_for(kind):
    rows = collect(kind(ROWS), ["T", "frequency"], "the table", ["unit", "channel"])
    assert rows.columns == ["T", "frequency", "unit"]


def test_the_same_kind_comes_back(kind):
    table = kind(ROWS)
    rows = with_arrays(
        collect(table, ["customer_id"]), {"clv": np.array([1.0, np.nan, 3, 4])}, unit="week"
    )
    back = same_kind(rows, table)
    assert type(back) is type(table)
    again = nw.from_native(back).lazy().collect()
    assert again.columns == ["customer_id", "clv", "unit"]
    assert sorted(again["customer_id"].to_list()) == ["ann", "bob", "cy", "dee"]
    assert again["unit"].to_list() == ["week"] * 4
    assert again["clv"].is_null().sum() == 1


def test_missing_numbers_are_nan_at_the_door(kind):
    frame = as_frame(kind({"a": [1, None, 3]})).collect()
    assert np.array_equal(numbers(frame, "a"), [1.0, np.nan, 3.0], equal_nan=True)


# --- groups --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", [1, 0.37, 1e9])
def test_distinct_against_pandas(seed, scale):
    rng = np.random.default_rng(seed)
    columns = [np.round(rng.exponential(20, 500)) * scale for _ in range(3)]
    values, of_row = distinct(*columns)
    grouped = pd.DataFrame(columns).T.groupby([0, 1, 2])
    assert np.array_equal(np.column_stack(values), np.array(list(grouped.groups)))
    assert np.array_equal(of_row, grouped.ngroup())


def test_distinct_of_many_and_wide_columns():
    """More combinations than fit in 64 bits."""
    columns = [np.random.default_rng(seed).normal(size=2000) for seed in range(7)]
    values, of_row = distinct(*columns)
    assert len(values[0]) == 2000
    for made, given in zip(values, columns, strict=True):
        assert np.array_equal(made[of_row], given)


def test_distinct_of_nothing_of_constants_and_of_infinity():
    (values,), of_row = distinct(np.array([]))
    assert len(values) == len(of_row) == 0
    (a, b), of_row = distinct(np.full(5, np.inf), np.zeros(5))
    assert a.tolist() == [np.inf]
    assert b.tolist() == [0.0]
    assert of_row.tolist() == [0] * 5


def test_levels_carry_the_weight():
    levels = Levels.from_column(np.array([5.0, 2.0, 5.0]), np.array([1.0, 10.0, 0.5]))
    assert levels.values.tolist() == [2.0, 5.0]
    assert levels.weight.tolist() == [10.0, 1.5]
    assert levels.values[levels.of_row].tolist() == [5.0, 2.0, 5.0]


# --- what is refused -----------------------------------------------------------------------------


def test_no_dataframe():
    with pytest.raises(InputError, match=r"(?s)the log is a list, not a dataframe.*Polars"):
        as_frame([1, 2], "the log")


@pytest.mark.parametrize(
    "says",
    [
        "the scores have no column z",
        "the channel costs have no column z",
        "the table of scores has no column z",
        "the log has no column z",
        "scores.csvs has no column z",
    ],
)
def test_the_verb_goes_with_what_is_read(says):
    what = says.partition(" ha")[0]
    with pytest.raises(ColumnError, match=f"^{says}"):
        require_columns(as_frame(pd.DataFrame({"id": [1]})), ["z"], what)


def test_missing_columns_and_the_ones_meant(kind):
    frame = as_frame(kind({"Frequency": [1], "recency_weeks": [1.0], "z": [2.0]}))
    with pytest.raises(ColumnError) as caught:
        require_columns(frame, ["frequency", "recency", "T"], "the summary")
    text = str(caught.value)
    assert "the summary has no column frequency (did you mean 'Frequency'?)" in text
    assert "recency (did you mean 'recency_weeks'?), T." in text
    assert "there are Frequency, recency_weeks, z" in text


def test_text_is_no_number(kind):
    with pytest.raises(
        ColumnError, match=r"(?s)'T' of the summary holds String, not numbers.*convert"
    ):
        read_history(kind(ROWS | {"T": ["9", "4", "9", "4"]}))


WRONG = {
    "missing": ({"recency": [3.5, None, 3.5, 1.25]}, "missing or infinite in 1 row.*bob"),
    "negative": (
        {"T": [9.0, -4.0, 9.0, 4.0]},
        "negative in 1 row.*bob frequency=0.0 recency=0.0 T=-4.0",
    ),
    "not whole": (
        {"frequency": [2.0, 0.0, 2.5, 1.5]},
        "whole number in 2 rows.*cy .*dee .*swapped",
    ),
    "since the last": (
        {"recency": [3.5, 4.0, 3.5, 1.25]},
        "above 0 without a repeat.*bob.*T minus the time",
    ),
    "beyond T": ({"recency": [3.5, 0.0, 9.5, 1.25]}, "recency is beyond T in 1 row.*cy "),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_wrong_histories_name_the_customer(kind, change, message):
    for read in (read_history, read_cells):
        with pytest.raises(RowError, match=f"(?s){message}"):
            read(kind(ROWS | change))


def test_not_a_number_is_missing_in_every_engine():
    rows = ROWS | {"recency": [3.5, float("nan"), 3.5, 1.25]}
    for build in KINDS.values():
        with pytest.raises(RowError, match=r"missing or infinite in 1 row.*bob"):
            read_cells(build(rows))


def test_no_customers(kind):
    empty = pd.DataFrame(ROWS).head(0).astype({"frequency": float})
    table = kind({name: empty[name].to_numpy() for name in ("frequency", "recency", "T")})
    for read in (read_history, read_cells):
        with pytest.raises(InputError, match="no customers"):
            read(table)


@pytest.mark.parametrize("value", [None, -5.0, float("inf")])
def test_spend_must_not_be_negative(value):
    rows = ROWS | {"monetary_value": [10.0, 0.0, value, 30.5]}
    with pytest.raises(RowError, match=r"(?s)or negative in 1 row.*customer_id=cy.*refunds"):
        read_spend(pd.DataFrame(rows))


def test_one_unit_a_table(kind):
    with pytest.raises(UnitError, match="mixes the time units day, week"):
        read_unit(kind(ROWS | {"unit": ["week", "week", "day", "week"]}))
    with pytest.raises(InputError, match="'parsec' is not a time unit"):
        read_unit(kind(ROWS | {"unit": ["parsec"] * 4}))


def test_unknown_units_are_not_compared():
    same_unit(None, "week")
    same_unit("week", None)
    same_unit("week", "week")
    with pytest.raises(UnitError, match=r"(?s)fitted in weeks, the table is in days.*unit='week'"):
        same_unit("week", "day")


def test_weights():
    assert read_weight(None, 3).tolist() == [1, 1, 1]
    assert read_weight(pd.Series([1, 2, 3], index=[9, 8, 7]), 3).tolist() == [1, 2, 3]
    with pytest.raises(InputError, match=r"shape \(2,\), the summary has 3 rows"):
        read_weight([1, 2], 3)
    with pytest.raises(RowError, match="row=2 sample_weight=inf"):
        read_weight([1, 2, np.inf], 3)


def test_three_examples_are_enough():
    bad = np.arange(10_000) % 2 == 0
    with pytest.raises(RowError) as caught:
        reject_rows(bad, "x is even", {"x": np.arange(10_000)}, hint="odd ones.")
    assert str(caught.value) == "x is even in 5,000 rows, such as x=0; x=2; x=4.\nHint: odd ones."
    reject_rows(~bad & bad, "nothing", {"x": np.arange(10_000)})


def test_new_columns_fit_any_engine(kind):
    rows = collect(kind(ROWS), ["T"])
    series = column(rows, "flag", np.array([1.0, np.nan, 0.0, 2.0]), nw.Float64)
    assert rows.with_columns(series)["flag"].to_list() == [1.0, None, 0.0, 2.0] or np.isnan(
        rows.with_columns(series)["flag"].to_list()[1]
    )
