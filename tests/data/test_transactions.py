import datetime as dt
import random
from collections import defaultdict

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from clv.data import parts
from clv.data.transactions import clean
from clv.errors import InputError, RowError

DAY = dt.date(2024, 1, 1)


def day(n: int) -> dt.date:
    return DAY + dt.timedelta(days=n)


def log_of(*rows, **more):
    """A log from (customer, day, amount), with further columns by name."""
    customers, days, amounts = zip(*rows, strict=True)
    columns = {"customer_id": customers, "date": [day(n) for n in days], "amount": amounts}
    return {**{name: list(values) for name, values in columns.items()}, **more}


def test_the_same_kind_of_table_comes_back(kind):
    log = kind(log_of(("a", 0, 10.0), ("a", 3, -4.0)))
    table, _ = clean(log)
    assert type(table) is type(log)


def test_a_refund_two_days_later_undoes_its_order(kind, records):
    """Elsewhere a repeat purchase worth 0, which then stops the spend model."""
    table, report = clean(kind(log_of(("a", 0, 40.0), ("a", 2, -40.0), ("a", 9, 15.0))))
    assert records(table) == [{"customer_id": "a", "date": day(9), "amount": 15.0, "orders": 1}]
    found = {finding.reason: finding.rows for finding in report.findings}
    assert found == {"refund of earlier orders": 1, "order refunded in full, so no purchase": 1}


def test_a_refund_meets_the_order_of_its_amount_before_later_ones(kind, records):
    table, _ = clean(kind(log_of(("a", 0, 40.0), ("a", 1, 50.0), ("a", 2, -40.0))))
    assert [(row["date"], row["amount"]) for row in records(table)] == [(day(1), 50.0)]


def test_a_refund_without_its_amount_takes_the_latest_money_first(kind, records):
    log = log_of(("a", 0, 40.0), ("a", 1, 50.0), ("a", 2, -60.0), ("a", 3, 5.0))
    table, report = clean(kind(log))
    kept = [(row["date"], row["amount"]) for row in records(table)]
    assert kept == [(day(0), 30.0), (day(3), 5.0)]
    assert {f.reason: f.amount_out for f in report.findings} == {
        "refund of earlier orders": -60.0,
        "order refunded in full, so no purchase": 50.0,
        "order refunded in part": 10.0,
    }


def test_a_refund_of_what_was_never_bought_is_reported_not_hidden(kind, records):
    log = log_of(("a", 0, -10.0), ("a", 1, 30.0), ("a", 2, -50.0), ("b", 0, 5.0))
    table, report = clean(kind(log))
    assert [row["customer_id"] for row in records(table)] == ["b"]
    refunds = {f.reason: (f.rows, f.amount_out) for f in report.findings[:2]}
    assert refunds == {
        "refund of earlier orders": (0, -30.0),
        "refund of more than the customer's earlier orders": (2, -30.0),
    }


def test_float_dust_does_not_survive_a_refund(kind, records):
    rows = [("a", 0, 0.1), ("a", 0, 0.2), ("a", 1, -0.3), ("b", 0, 1.0)]
    orders = {"order_id": ["1", "1", "2", "3"]}
    table, report = clean(kind(log_of(*rows, **orders)))
    assert [row["customer_id"] for row in records(table)] == ["b"]
    assert report.findings[-2].reason == "order refunded in full, so no purchase"


def test_lines_of_one_order_are_summed_and_so_is_a_day(kind, records):
    """Two lines of 10 on one day are 20, in one order or in two."""
    rows = [("a", 0, 10.0), ("a", 0, 10.0), ("b", 0, 10.0), ("b", 0, 10.0)]
    table, report = clean(kind(log_of(*rows, order_id=["1", "1", "2", "3"])))
    assert records(table) == [
        {"customer_id": "a", "date": DAY, "amount": 20.0, "orders": 1},
        {"customer_id": "b", "date": DAY, "amount": 20.0, "orders": 2},
    ]
    joined = {f.reason: f.rows for f in report.findings if f.action == "joined"}
    assert joined == {"line of an order with several": 1, "further order of one day": 1}


def test_orders_of_a_day_can_stay_apart(kind, records):
    table, _ = clean(kind(log_of(("a", 0, 10.0), ("a", 0, 12.0))), same_day="separate")
    assert [row["amount"] for row in records(table)] == [10.0, 12.0]


def test_an_order_number_is_one_order_also_over_midnight_and_without_number_each_alone(
    kind, records
):
    rows = [("a", 0, 10.0), ("a", 1, 10.0), ("a", 5, 7.0), ("a", 5, 8.0)]
    table, report = clean(kind(log_of(*rows, order_id=["1", "1", None, ""])), same_day="separate")
    kept = [(row["date"], row["amount"]) for row in records(table)]
    assert kept == [(day(0), 20.0), (day(5), 15.0)]
    spread = report.findings[0]
    assert (spread.reason, spread.rows) == ("order number seen on several days", 1)
    assert "order_id 1" in spread.examples[0]


def test_a_refund_under_its_order_number_needs_no_search(kind, records):
    rows = [("a", 0, 40.0), ("a", 3, 40.0), ("a", 9, -40.0)]
    table, _ = clean(kind(log_of(*rows, order_id=["1", "2", "1"])))
    assert [row["date"] for row in records(table)] == [day(3)]


def test_equal_rows_stay_unless_they_name_the_same_line(kind, records):
    rows = [("a", 0, 10.0), ("a", 0, 10.0), ("a", 1, 5.0)]
    plain, numbered = log_of(*rows), log_of(*rows, order_id=["1", "1", "2"])
    named = {**numbered, "product": ["x", "x", "y"]}
    for log, rule, first, said in [
        (plain, "auto", 20.0, "kept"),
        (numbered, "auto", 20.0, "kept"),
        (named, "auto", 10.0, "dropped"),
        (plain, "drop", 10.0, "dropped"),
        (named, "keep", 20.0, "kept"),
    ]:
        table, report = clean(kind(log), duplicates=rule)
        assert [row["amount"] for row in records(table)] == [first, 5.0]
        assert (report.findings[0].rows, report.findings[0].action[: len(said)]) == (1, said)


def test_later_rows_are_out_with_their_refunds(kind, records):
    log = log_of(("a", 0, 40.0), ("a", 5, -40.0), ("b", 5, 10.0))
    table, report = clean(kind(log), as_of=str(day(4)))
    assert [(row["customer_id"], row["amount"]) for row in records(table)] == [("a", 40.0)]
    assert (report.findings[0].reason, report.findings[0].rows) == ("date is after as_of", 2)


def test_zero_amounts_can_count_as_purchases(kind, records):
    log = log_of(("a", 0, 0.0), ("a", 1, 5.0), ("b", 0, -3.0), ("b", 1, 4.0))
    assert [row["amount"] for row in records(clean(kind(log))[0])] == [5.0, 4.0]
    kept = records(clean(kind(log), zero_amounts="keep")[0])
    assert [row["amount"] for row in kept] == [0.0, 5.0, 4.0]


def test_margin_channel_and_product_come_along(kind, records):
    log = log_of(
        *[("a", 0, 10.0), ("a", 0, 30.0), ("a", 4, 40.0), ("a", 6, -20.0), ("b", 1, 5.0)],
        margin=[3.0, 9.0, 20.0, -5.0, None],
        channel=["search", "search", "mail", None, ""],
        product=["pen", "book", "lamp", "lamp", "pen"],
    )
    assert records(clean(kind(log))[0]) == [
        {
            **{"customer_id": "a", "date": DAY, "amount": 40.0, "orders": 2},
            **{"margin": 12.0, "channel": "search", "product": "book"},
        },
        {
            **{"customer_id": "a", "date": day(4), "amount": 20.0, "orders": 1},
            **{"margin": 10.0, "channel": "mail", "product": "lamp"},
        },
        {
            **{"customer_id": "b", "date": day(1), "amount": 5.0, "orders": 1},
            **{"margin": None, "channel": None, "product": "pen"},
        },
    ]


def test_the_channel_is_that_of_the_first_order_of_the_day(kind, records):
    times = [dt.datetime(2024, 1, 1, hour) for hour in (18, 9, 12)]
    columns = {"customer_id": [1, 1, 1], "date": times, "amount": [1.0, 2.0, 3.0]}
    log = kind({**columns, "channel": ["mail", "search", "direct"]})
    assert [row["channel"] for row in records(clean(log)[0])] == ["search"]


def test_quantity_times_price_is_the_amount(kind, records):
    columns = {"customer_id": [1, 1], "date": [DAY, DAY], "n": [2, -1], "each": [2.5, 2.5]}
    table, report = clean(kind(columns), columns={"quantity": "n", "price": "each"})
    assert [row["amount"] for row in records(table)] == [2.5]
    assert "amounts are quantity times price." in report.assumptions


def test_a_query_can_be_joined_with_what_its_connection_holds():
    connection = duckdb.connect()
    connection.execute(
        "create table log as select * from (values (1, date '2024-01-01', 5.0), "
        "(1, date '2024-01-02', -5.0), (2, date '2024-01-01', 7.0)) t(customer_id, date, amount)"
    )
    connection.execute("create table names as select 2 as customer_id, 'Ada' as name")
    table, _ = clean(connection.table("log"))
    found = connection.sql('select name, amount from names join "table" using (customer_id)')
    assert found.fetchall() == [("Ada", 7.0)]
    assert len(table.fetchall()) == 1
    assert connection.sql("show tables").fetchall() == [("log",), ("names",)]


ORDERS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.integers(-5, 8).map(lambda n: n * 0.7)),
    min_size=1,
    max_size=25,
)


def by_stacks(rows):
    """The purchases of ``rows`` by two passes over stacks: equal amounts first, then the rest."""
    customers = defaultdict(list)
    for customer, n, amount in rows:
        cents = round(amount * 10_000)
        if cents:
            customers[customer].append([n, cents])
    purchases, unmet = defaultdict(int), 0
    for customer, orders in customers.items():
        orders.sort(key=lambda order: (order[0], -order[1]))
        for equal in (True, False):
            stack = []
            for order in orders:
                if order[1] > 0:
                    stack.append(order)
                    continue
                for other in reversed(stack):
                    if order[1] < 0 and (not equal or other[1] == -order[1]):
                        met = min(other[1], -order[1])
                        other[1] -= met
                        order[1] += met
        for n, cents in orders:
            if cents > 0:
                purchases[customer, day(n)] += cents
            unmet += min(cents, 0)
    return {key: cents / 10_000 for key, cents in purchases.items()}, unmet / 10_000


def check_against_stacks(log, rows, read):
    expected, unmet = by_stacks(rows)
    if not expected:
        with pytest.raises(RowError):
            clean(log)
        return
    table, report = clean(log)
    found = {(row["customer_id"], row["date"]): row["amount"] for row in read(table)}
    assert found == pytest.approx(expected)
    ledger = report.findings
    assert report.rows_in - sum(f.rows_out for f in ledger) == report.rows_out == len(found)
    assert report.amount_in - sum(f.amount_out for f in ledger) == pytest.approx(report.amount_out)
    rest = sum(f.amount_out for f in ledger if f.reason.startswith("refund of more"))
    assert rest == pytest.approx(unmet)


@settings(max_examples=60, deadline=None)
@given(ORDERS)
def test_netting_agrees_with_stacks_and_the_ledger_adds_up(rows):
    check_against_stacks(pl.DataFrame(log_of(*rows)), rows, pl.DataFrame.to_dicts)


def test_netting_agrees_with_stacks_on_every_kind(kind, records):
    random.seed(5)
    for _ in range(4):
        rows = [
            (random.choice("abc"), random.randint(0, 9), random.randint(-5, 8) * 0.7)
            for _ in range(40)
        ]
        check_against_stacks(kind(log_of(*rows)), rows, records)


@settings(max_examples=25, deadline=None)
@given(rows=ORDERS, seed=st.integers(0, 99))
def test_the_order_of_rows_does_not_matter(rows, seed):
    log = pl.DataFrame(log_of(*rows, ("c", 0, 1.0)))
    shuffled = log.sample(fraction=1.0, shuffle=True, seed=seed)
    assert_frame_equal(clean(log)[0], clean(shuffled)[0])
    assert clean(log)[1] == clean(shuffled)[1]


@settings(max_examples=25, deadline=None)
@given(rows=ORDERS, last=st.integers(0, 5))
def test_as_of_shows_the_log_as_it_was_then(rows, last):
    log = pl.DataFrame(log_of(*rows, ("c", 0, 1.0)))
    then = log.filter(pl.col("date") <= day(last))
    assert_frame_equal(clean(log, as_of=day(last))[0], clean(then)[0])


@pytest.mark.parametrize("choice", ["same_day", "duplicates", "zero_amounts"])
def test_a_choice_that_does_not_exist_is_named(choice):
    with pytest.raises(InputError, match=f"{choice}='sometimes'.*\n.*use \""):
        clean(pd.DataFrame(log_of(("a", 0, 1.0))), **{choice: "sometimes"})


def test_what_is_no_table_and_what_is_empty_is_said():
    with pytest.raises(InputError, match="the log is a list, not a dataframe"):
        clean([1, 2])
    with pytest.raises(InputError, match="the log has no rows"):
        clean(pl.DataFrame(log_of(("a", 0, 1.0))).head(0))
    with pytest.raises(RowError, match="no purchase is left"):
        clean(pd.DataFrame(log_of(("a", 0, 1.0), ("a", 1, -1.0))))


def test_the_log_that_was_given_is_not_changed():
    log = pd.DataFrame(log_of(("a", 0, 1.0), ("a", 1, -1.0), ("a", 1, 7.0)), dtype=object)
    before = log.copy(deep=True)
    clean(log)
    pd.testing.assert_frame_equal(log, before)


@pytest.mark.parametrize("kept", [("order_id",), ()])
def test_parts_are_the_whole_to_the_last_bit(kept, monkeypatch):
    """Refunds, order numbers with several lines and rows sent twice, in any order of the rows."""
    drawn = np.random.default_rng(5)
    log = pd.DataFrame(
        {
            "customer_id": drawn.integers(0, 60, 3000).astype(str),
            "order_id": drawn.integers(0, 1500, 3000),
            "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(drawn.integers(0, 90, 3000), "D"),
            "amount": np.round(
                drawn.exponential(30, 3000) * np.where(drawn.random(3000) < 0.1, -1, 1), 2
            )
            / 3,
        }
    )[["customer_id", *kept, "date", "amount"]]
    log = pd.concat([log, log.iloc[:200]])

    def cleaned(rows, seed):
        monkeypatch.setattr(parts, "rows_in_memory", lambda: rows)
        monkeypatch.setattr("clv.data.transactions.FEW", 0)
        shuffled = log.sample(frac=1, random_state=seed)
        table, report = clean(duckdb.connect().from_df(shuffled), duplicates="drop")
        return table.order("customer_id, date").df(), report

    whole, of_whole = cleaned(10_000, 0)
    for rows, seed in ((1600, 1), (500, 2)):
        table, report = cleaned(rows, seed)
        pd.testing.assert_frame_equal(table, whole, check_exact=True)
        assert report == of_whole
