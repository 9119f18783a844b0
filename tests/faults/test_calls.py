"""Every public name with arguments that nobody should give: a result, or an error by its name.

The suite draws a few. All of them: ``CLV_FAULTS=10000 pytest tests/faults/test_calls.py``.
"""

from __future__ import annotations

import datetime as dt
import itertools
import random
import resource
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import clv
from clv.errors import ClvError, ColumnError, InputError

from .calls import Call
from .conftest import HungError, happened, no_longer_than
from .hostile import VALUES, draws

SECONDS = 20  # on however busy a machine
ROOM = 640 * 2**20  # bytes of memory that a call may ask for


class Rude:
    """Whatever is asked of it, it fails."""

    def _fail(self, *_: object) -> Any:
        raise OSError("rude")

    __len__ = __iter__ = __float__ = __getitem__ = _fail


OBJECTS: list[Callable[[], Any]] = [
    *(object, Rude, lambda: Rude, lambda: len, lambda: itertools.count(), lambda: iter(())),
    *(lambda: (x for x in itertools.repeat(1.0)), set, lambda: {1, 2}, lambda: b"x", bytearray),
    *(lambda: Decimal("1.5"), lambda: Decimal("NaN"), lambda: Fraction(1, 3), lambda: 1 + 2j),
    *(lambda: np.float32(2), lambda: np.int64(-3), lambda: np.bool_(True), lambda: np.nan),
    *(lambda: np.array([]), lambda: np.array([np.nan, 1]), lambda: np.zeros((2, 2, 2))),
    *(lambda: np.array(["a", None], dtype=object), lambda: np.array(5), lambda: np.arange(3)),
    *(lambda: pd.NaT, lambda: pd.NA, lambda: pd.Timestamp("2024-01-01"), lambda: pd.Timedelta(1)),
    *(lambda: dt.date(2024, 1, 1), lambda: dt.date.max, lambda: dt.datetime.min, dt.timedelta),
    *(pd.DataFrame, pl.DataFrame, lambda: pa.table({}), lambda: pd.Series([1.0, 2.0])),
    *(lambda: pd.DataFrame({float("nan"): [1], None: [2]}), lambda: pl.LazyFrame({"a": [1]})),
    *(lambda: ["a", 1, None], lambda: [float("inf")] * 3, lambda: {float("nan"): 1.0}),
    *(lambda: {"search": -1.0}, lambda: {1: 2, "a": 3}, lambda: (1, 2), lambda: range(3)),
]
NAMES: list[Any] = [float("nan"), None, 1, ("a", "b"), "", "\ud800", "x" * 5000, "date ", True]
CELLS: list[Any] = [None, float("nan"), float("inf"), -1.0, 0.0, 1e308, 5e-324, 0.5, 2.0**60]
DTYPES = ["object", "category", "str", "float16", "float32", "complex128", "Int8", "boolean"]


def odd_cells(table: pd.DataFrame, column: Any, rng: random.Random) -> pd.DataFrame:
    values = table[column].astype(object)
    for row in rng.sample(range(len(table)), min(len(table), rng.choice([1, 2, len(table)]))):
        values.iloc[row] = rng.choice([*CELLS, *rng.sample(VALUES, 3)])
    return table.assign(**{column: values})


def converted(table: pd.DataFrame, column: Any, rng: random.Random) -> pd.DataFrame:
    return table.astype({column: rng.choice(DTYPES)})


def constant(table: pd.DataFrame, column: Any, rng: random.Random) -> pd.DataFrame:
    return table.assign(**{column: rng.choice(CELLS)})


def huge(table: pd.DataFrame, column: Any, rng: random.Random) -> pd.DataFrame:
    return table.assign(**{column: table[column] * rng.choice([-1, 0, 1e9, 1e300, 1e-300])})


def other_name(table: pd.DataFrame, column: Any, rng: random.Random) -> pd.DataFrame:
    return table.rename(columns={column: rng.choice(NAMES)})


def one_more(table: pd.DataFrame, column: Any, rng: random.Random) -> pd.DataFrame:
    more = pd.Series([rng.choice([1, "a", None])] * len(table), index=table.index)
    return pd.concat([table, more.rename(rng.choice([*NAMES, column]))], axis=1)


def other_index(table: pd.DataFrame, column: Any, rng: random.Random) -> pd.DataFrame:
    return rng.choice(
        [
            lambda: table.set_index(column),
            lambda: table.set_axis([0] * len(table)),
            lambda: table.T,
            lambda: table.set_axis(pd.MultiIndex.from_product([table.columns, ["x"]]), axis=1),
        ]
    )()


CHANGES: list[Callable[[pd.DataFrame, Any, random.Random], Any]] = [
    *(odd_cells, odd_cells, converted, constant, huge, other_name, one_more, other_index),
    lambda table, column, rng: table.drop(columns=column),
    lambda table, column, rng: table.head(rng.choice([0, 1, 2])),
    lambda table, column, rng: pd.concat([table, table]),
    lambda table, column, rng: table[[column]],
    lambda table, column, rng: pl.from_pandas(table),
    lambda table, column, rng: pa.Table.from_pandas(table),
    lambda table, column, rng: table.to_dict("list"),
    lambda table, column, rng: table.to_numpy(),
]


def wrong_table(table: pd.DataFrame, rng: random.Random) -> Any:
    """A table that is nearly right; as it was, where pandas itself will not make it."""
    changed: Any = table
    for _ in range(rng.choice([1, 1, 2])):
        try:
            with warnings.catch_warnings(action="ignore"):
                changed = rng.choice(CHANGES)(changed, rng.choice(list(changed.columns)), rng)
        except Exception:
            return changed
        if not isinstance(changed, pd.DataFrame) or not len(changed.columns):
            return changed
    return changed


def wrong(value: Any, rng: random.Random) -> Any:
    """Another value of the same kind, or of none."""
    if isinstance(value, pd.DataFrame) and rng.random() < 0.8:
        return wrong_table(value, rng)
    way = rng.random()
    if isinstance(value, list | tuple) and value and way < 0.3:
        part = rng.randrange(len(value))
        parts = [*value[:part], wrong(value[part], rng), *value[part + 1 :]]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict) and value and way < 0.5:
        key = rng.choice(list(value))
        return {k: wrong(v, rng) if k == key else v for k, v in value.items()}
    if isinstance(value, float) and way < 0.3:
        return rng.choice([-value, value * 1e300, value * 1e-300, str(value), [value], 0.0])
    return rng.choice(VALUES) if way < 0.6 else rng.choice(OBJECTS)()


@contextmanager
def little_memory() -> Iterator[None]:
    """A call that asks for more memory than it may have gets a ``MemoryError``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def outcome(call: Call, arguments: dict[str, Any]) -> str:
    """Empty if a call gave a result or named what is wrong, else what happened."""
    try:
        with no_longer_than(SECONDS), little_memory(), warnings.catch_warnings(action="ignore"):
            call.function(**arguments)
    except ClvError as error:
        return "" if error.message.strip() else "an error without a word"
    except HungError:
        return f"nothing in {SECONDS} s"
    except Exception as error:
        return happened(error)
    return ""


def test_every_public_name_is_called(calls: dict[str, Call]) -> None:
    named = {name.split(".")[0] for name in calls}
    assert named == set(clv.__all__) - {"ClvError"}


def test_the_calls_are_right(calls: dict[str, Call]) -> None:
    for name in calls.keys() - {"CustomerScorer.load"}:
        calls[name].function(**calls[name].arguments)


DATED = {"with_changes": ("log", "changes"), "with_season": ("log",), "calendar_total": ("log",)}
DATED |= {"regular_charges": ("log",), "fit_churn": ("log",), "propose_horizon": ("data",)}
NO_DAYS = ["yesterday", "2024-02-30", 5, 1e308, None, 2**63, pd.NaT, True, {}, b"x"]


@pytest.mark.parametrize(("name", "key"), [(name, k) for name, keys in DATED.items() for k in keys])
def test_a_date_that_is_none_is_named(calls: dict[str, Call], name: str, key: str) -> None:
    given = calls[name].arguments
    for bad in NO_DAYS:
        dates = list(given[key]["date"])
        dates[3] = bad
        table = given[key].assign(date=pd.Series(dates, dtype=object, index=given[key].index))
        with pytest.raises(InputError, match="date"):
            calls[name].function(**given | {key: table})


@pytest.mark.parametrize("name", ["read_leads", "read_contract_table", "summarize"])
def test_a_day_that_is_missing_is_named(calls: dict[str, Call], name: str) -> None:
    with pytest.raises(InputError, match="as_of"):
        calls[name].function(**calls[name].arguments | {"as_of": pd.NaT})


def test_columns_that_are_named_must_be_there(calls: dict[str, Call]) -> None:
    call = calls["fit_contract_churn"]
    for key, name in (("tenure", "tenur"), ("ignore", ["custmer_id"])):
        with pytest.raises(ColumnError, match="no column"):
            call.function(**call.arguments | {key: name})


def test_a_curve_that_gives_no_number_is_named(calls: dict[str, Call]) -> None:
    with pytest.raises(InputError, match=r"earned\(0\) gives no number"):
        clv.payback(20.0, len, within="3 years")


def test_wrong_arguments_are_named_or_taken(calls: dict[str, Call]) -> None:
    names = sorted(name for name in calls if calls[name].arguments)
    failures = []
    for rng in draws("call", 40):
        name = rng.choice(names)
        given = dict(calls[name].arguments)
        for _ in range(rng.choice([1, 1, 2])):
            key = rng.choice(list(given))
            given[key] = wrong(given[key], rng)
        if said := outcome(calls[name], given):
            changed = {
                k: repr(v)[:80] for k, v in given.items() if v is not calls[name].arguments[k]
            }
            failures.append(f"{rng.case}: {name}({changed}): {said}")  # type: ignore[attr-defined]
    assert not failures, f"{len(failures)}:\n" + "\n".join(failures)
