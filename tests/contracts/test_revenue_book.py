"""The revenue book: to the cent, against histories followed one by one; ratios; bad sums."""

import datetime as dt
import itertools
import os
import random
from dataclasses import replace

import pandas as pd
import pytest

from clv.contracts.contract_tables import read_contract_table
from clv.contracts.revenue_book import MOVEMENTS, _check_identity, book_of, revenue_ratios
from clv.errors import InputError
from tests.contracts.histories import CURRENCIES, LAST, history, movements

HISTORIES = int(os.environ.get("CLV_HISTORIES", "2000"))  # 10,000 for the whole claim


def test_the_case_of_a_month():
    ratios = revenue_ratios(200_000, churn=6_000, contraction=4_000, expansion=20_000, new=9_000)
    assert (ratios.gross_retention, ratios.net_retention) == (0.95, 1.05)
    assert ratios.quick_ratio == 2.9
    back = revenue_ratios(100, reactivation=5, churn=10, with_reactivation=True)
    assert back.quick_ratio == 0.5
    assert revenue_ratios(100, reactivation=5, churn=10).quick_ratio == 0


def test_random_histories_add_up_to_the_cent():
    rng = random.Random(14)
    histories = [history(rng, f"c{k}") for k in range(HISTORIES)]
    rows = pd.DataFrame([row for rows in histories for row in rows])
    book = read_contract_table(rows, as_of=LAST).book()
    expected = movements(histories)
    assert book.currencies == CURRENCIES
    ours = {
        (row["currency"], (row["month"] + pd.offsets.MonthEnd(0)).date()): [
            row["start"],
            *(row[name] for name in MOVEMENTS),
            row["end"],
        ]
        for row in book.months.to_dict("records")
    }
    for key, cell in expected.items():
        assert ours.get(key, [0] * 7) == cell, key


def test_cohorts_hold_everybody_who_came_and_all_of_the_end():
    rng = random.Random(3)
    rows = pd.DataFrame([row for k in range(200) for row in history(rng, f"c{k}")])
    book = read_contract_table(rows, as_of=LAST).book()
    last = book.months[book.months["month"] == pd.Timestamp(2023, 12, 1)].set_index("currency")
    ages = book.cohorts.sort_values("age").groupby(["currency", "cohort"]).tail(1)
    assert ages.groupby("currency")["revenue"].sum().to_dict() == last["end"].to_dict()
    assert ages.groupby("currency")["customers"].sum().to_dict() == last["customers"].to_dict()


def test_a_year_is_that_of_the_customers_who_were_there():
    rows = pd.DataFrame(
        {
            "customer_id": ["a", "a", "b", "c", "d"],
            "interval": "month",
            "amount": [100, 150, 100, 50, 70],
            "start": ["2022-01-01", "2023-03-01", "2022-02-01", "2022-05-01", "2023-06-01"],
            "end": ["2023-03-01", None, "2023-08-01", None, None],
        }
    )
    year = read_contract_table(rows, as_of="2023-12-31").book().year[""]
    assert year.gross_retention == pytest.approx(150 / 250)
    assert year.net_retention == pytest.approx(200 / 250)


def test_a_book_that_does_not_add_up_stops_the_run():
    rows = pd.DataFrame(
        {"customer_id": ["a"], "interval": "month", "amount": [10], "start": ["2023-01-05"]}
    )
    months = read_contract_table(rows, as_of="2023-03-31").book().months
    running = months.rename(columns={"end": "running"})[["currency", "month", "running"]]
    _check_identity(months, running)
    with pytest.raises(InputError, match="does not add up in 2023-01"):
        _check_identity(months, running.assign(running=1001))


def invoice(line, start, end, amount, **more):
    return (
        {
            "customer_id": "a",
            "subscription_id": "s",
            "period_start": start,
            "period_end": end,
            "amount": amount,
            "date": start,
        }
        | {"plan": line, "proration": False}
        | more
    )


def test_prorations_move_the_price_on_their_day_and_are_no_revenue():
    lines = [
        invoice("basic", "2023-01-15", "2023-02-15", 10.00),
        invoice("basic", "2023-02-15", "2023-03-15", 10.00),
        invoice("basic", "2023-02-25", "2023-03-15", -6.43, proration=True),
        invoice("plus", "2023-02-25", "2023-03-15", 12.86, proration=True),
        invoice("plus", "2023-03-15", "2023-04-15", 20.00),
        invoice("plus", "2023-04-15", "2023-05-15", 20.00),
        invoice("plus", "2023-04-20", "2023-05-15", -16.67, proration=True),  # leaves at once
        invoice("tax", "2023-03-15", "2023-04-15", 3.80, type="tax"),
    ]
    table = read_contract_table(pd.DataFrame(lines), as_of="2023-06-30")
    months = table.book().months.set_index("month")
    assert months["end"].tolist() == [1000, 2000, 2000, 0, 0, 0]
    assert months["expansion"].tolist() == [0, 1000, 0, 0, 0, 0]
    assert months["churn"].tolist() == [0, 0, 0, 2000, 0, 0]
    reasons = {part.reason: part.rows for part in table.left_out}
    assert reasons == {
        "proration, netted to the period it belongs to": 3,
        "tax, usage, one-off or refund: does not recur": 1,
    }


def test_a_move_that_no_full_period_follows_is_the_net_of_its_lines():
    lines = [
        invoice("basic", "2023-01-15", "2023-02-15", 10.00),
        invoice("basic", "2023-01-25", "2023-02-15", -6.77, proration=True),
        invoice("plus", "2023-01-25", "2023-02-15", 13.55, proration=True),
    ]
    table = read_contract_table(pd.DataFrame(lines), as_of=dt.date(2023, 1, 31))
    (end,) = table.book().months["end"]
    assert end == pytest.approx(2000, abs=2)  # both credits were rounded to the cent


def test_lines_and_subscriptions_tell_the_same_story():
    rng = random.Random(5)
    subscriptions, lines = [], []
    for k in range(150):
        row = history(rng, f"c{k}")[0] | {"interval": "month", "quantity": 1}
        start, stop = pd.Timestamp(row["start"]), row["end"] or dt.date(2024, 1, 31)
        row["amount"] = price = PRICES_OF[k % 3]
        dates = [start + pd.DateOffset(months=n) for n in range(40)]
        used = [d for d in itertools.pairwise(dates) if d[0].date() < stop]
        used = [d for d in used if d[0].date() <= LAST]
        subscriptions.append(row | {"end": used[-1][1].date()})
        lines += [
            invoice(row["plan"], a.date(), b.date(), price, customer_id=f"c{k}", currency="EUR")
            | {"subscription_id": f"s{k}"}
            for a, b in used
        ]
    rows = pd.DataFrame(subscriptions).assign(currency="EUR")
    one = read_contract_table(rows, as_of=LAST, grace_days=0).book().months
    other = read_contract_table(pd.DataFrame(lines), as_of=LAST, grace_days=0).book().months
    pd.testing.assert_frame_equal(one, other)


def test_lines_that_begin_in_mid_life_have_no_age_and_a_late_invoice_is_no_end():
    days = pd.date_range("2023-01-05", periods=12, freq="MS") + pd.Timedelta(4, "D")
    lines = [
        invoice("basic", a.date(), b.date(), 10.0, customer_id=f"c{k}", subscription_id=f"s{k}")
        for k in range(40)
        for a, b in itertools.pairwise(days[(k - 29 if k >= 30 else 0) :])
    ]
    table = read_contract_table(pd.DataFrame(lines), as_of="2024-01-09")
    assert table.rows_in == len(lines)
    (cells,) = table.cells.values()
    assert cells["customers"].sum() == 10  # those who began later
    assert any("30 customers were there when the table begins" in note.text for note in table.notes)
    assert any("40 customers whose last period ended within 7 days" in n.text for n in table.notes)
    assert table.book().months["end"].iloc[-1] == 40_000
    later = read_contract_table(pd.DataFrame(lines), as_of="2024-01-31")
    assert later.book().months["end"].iloc[-1] == 0


PRICES_OF = (9.99, 19.5, 49.01)


def test_few_at_a_time_and_one_row_each_come_to_the_same(monkeypatch):
    rng = random.Random(9)
    rows = pd.DataFrame([row for k in range(150) for row in history(rng, f"c{k}")])
    book = read_contract_table(rows, as_of=LAST).book()
    monkeypatch.setattr("clv.contracts.revenue_book.AT_ONCE", 40)
    pieces = read_contract_table(rows, as_of=LAST).book()
    pd.testing.assert_frame_equal(pieces.months, book.months)
    pd.testing.assert_frame_equal(pieces.cohorts, book.cohorts)
    single = read_contract_table(rows.drop_duplicates("customer_id"), as_of=LAST)
    followed = replace(single.contracts, several=True)
    assert not single.contracts.several
    for name in ("months", "cohorts"):
        other = getattr(book_of(followed, single.source.connection), name)
        pd.testing.assert_frame_equal(getattr(single.book(), name), other)
