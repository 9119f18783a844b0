"""Columns called anything at all, in every kind of table: read, or an error that names them."""

import datetime as dt

import pandas as pd
import pyarrow as pa
import pytest

import clv
from clv.data.cdnow import cdnow_summary
from clv.errors import ColumnError

LOG = {
    "customer_id": ["a", "a", "b", "b"],
    "date": [dt.date(2024, 1, 1), dt.date(2024, 2, 1), dt.date(2024, 1, 5), dt.date(2024, 1, 5)],
    "amount": [10.0, 20.0, 5.0, 5.0],
}
TEXTS = ["w", "x", "y", "z"]
NAMES = [
    *("geo.country", " x ", "", "a\nb", 'a"b', "it's", "c;--", "*", "^.*$", "{x}", "2024", "`t`"),
    *("_copies", "_at", "_reason", "_raw_date", "_raw_customer_id", "_amount", "_extra", "_row"),
    *("orders", "frequency", "unit", "as_of", "len", "literal", "Total %", "ÄÖ, ß", "日付"),
]


def test_columns_that_are_not_used_may_be_called_anything(kind):
    log, report = clv.clean(kind(LOG | dict.fromkeys(NAMES, TEXTS)))
    assert (report.purchases, report.amount_out) == (3, 40.0)
    assert type(log) is type(kind(LOG))
    assert clv.summarize(log) is not None


USED = ["geo.country", " x ", 'a"b', "a\nb", "*", "^.*$", "2024", "_copies", "_raw_customer_id"]


@pytest.mark.parametrize("name", [*USED, "Kunden-Nr. (neu)"])
def test_a_column_that_is_used_may_be_called_anything(kind, name):
    renamed = {name: LOG["customer_id"], **{k: v for k, v in LOG.items() if k != "customer_id"}}
    _, report = clv.clean(kind(renamed), columns={"customer_id": name})
    assert (report.purchases, report.customers, report.amount_out) == (3, 2, 40.0)


PANDAS = {
    "numbers": ([0, 1, 2, 3], {"customer_id": 0, "date": 1, "amount": 2}),
    "a number": (["customer_id", "date", "amount", 7], None),
    "nothing": (["customer_id", "date", "amount", None], None),
    "bytes": (["customer_id", "date", "amount", b"x"], None),
    "a day": (["customer_id", "date", "amount", pd.Timestamp("2024-01-01")], None),
    "two alike that are not used": (["customer_id", "date", "amount", "note", "note"], None),
    "levels, the second empty": (
        pd.MultiIndex.from_product([["customer_id", "date", "amount", "note"], [""]]),
        None,
    ),
    "levels, by their names": (
        pd.MultiIndex.from_product([["order"], ["who", "when", "sum", "note"]]),
        {"customer_id": ("order", "who"), "date": ("order", "when"), "amount": ("order", "sum")},
    ),
    "levels, as one text": (
        pd.MultiIndex.from_product([["order"], ["who", "when", "sum", "note"]]),
        {"customer_id": "order who", "date": "order when", "amount": "order sum"},
    ),
    "categories": (pd.CategoricalIndex(["customer_id", "date", "amount", "note"]), None),
}


@pytest.mark.parametrize("case", PANDAS)
def test_names_that_only_pandas_has(case):
    names, columns = PANDAS[case]
    values = [*LOG.values(), *[TEXTS] * (len(names) - 3)]
    table = pd.DataFrame(dict(enumerate(values)))
    table[1] = pd.to_datetime(table[1])
    table.columns = names
    log, report = clv.clean(table, columns=columns)
    assert (report.purchases, report.amount_out) == (3, 40.0)
    assert clv.summarize(log)["frequency"].to_list() == [1, 0]


@pytest.mark.parametrize("name", LOG)
def test_a_column_that_is_used_and_there_twice_is_refused_by_name(name):
    arrow = pa.table([*LOG.values(), LOG[name]], names=[*LOG, name])
    pandas = pd.concat([pd.DataFrame(LOG), pd.DataFrame(LOG)[[name]]], axis=1)
    for table in (arrow, pandas):
        with pytest.raises(ColumnError, match=f"2 columns are called '{name}'"):
            clv.clean(table)
        with pytest.raises(ColumnError, match=f"several columns of the log are called '{name}'"):
            clv.summarize(table)


def test_levels_without_a_known_name_are_listed():
    table = pd.DataFrame(LOG)
    table.columns = pd.MultiIndex.from_product([["order"], ["who", "when", "sum"]])
    with pytest.raises(ColumnError, match="there are order who, order when, order sum"):
        clv.clean(table)


WEEKLY = clv.BetaGeoNBD.from_params(r=0.243, alpha=4.414, a=0.793, b=2.426, unit="week")
SPEND = clv.GammaGamma.from_params(p=6.25, q=3.74, v=15.44)
SUMMARY = cdnow_summary().head(300).assign(channel="a")
SCORES = clv.customer_value(SUMMARY, WEEKLY, SPEND, clv.Terms(0.3)).assign(
    churn_probability=0.5, value_at_stake=3.0
)
AFTER = {
    "fit": (SUMMARY, clv.BetaGeoNBD().fit),
    "fit of spend": (SUMMARY, clv.GammaGamma().fit),
    "value": (SUMMARY, lambda X: clv.customer_value(X, WEEKLY, SPEND, clv.Terms(0.3))),
    "total": (SUMMARY, lambda X: clv.total_value(X, WEEKLY, SPEND, clv.Terms(0.3))),
    "retention": (SCORES, lambda X: clv.plan_campaign(X, clv.Offer(1)).summary),
    "tiers": (SCORES, clv.with_tiers),
    "channels": (
        SUMMARY,
        lambda X: clv.channel_costs(
            pd.DataFrame({"channel": ["a"], "period": ["1997-01"], "spend": [1e3]}),
            X,
            period_length="1 month",
        ),
    ),
}


@pytest.mark.parametrize("use", AFTER)
@pytest.mark.parametrize("name", [7, ("a", "b"), "geo.country", " x ", "*", "_count", None, "a\nb"])
def test_later_steps_take_any_further_column_too(use, name):
    table, step = AFTER[use]
    odd = table.assign(further=1.0)
    odd.columns = pd.Index([*table.columns, name], dtype=object, tupleize_cols=False)
    assert step(odd) is not None
    with pytest.raises(ColumnError, match="are called 'customer_id'"):
        step(pd.concat([table, table[["customer_id"]]], axis=1))
