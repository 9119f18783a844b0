"""Small exports that were read wrong once, in the public formats of shops and spreadsheets.

The right values were worked out by hand from the few rows of each file.
"""

import datetime as dt
from pathlib import Path

import pytest

from clv.intake.check import check_files

CASES = Path(__file__).parent / "cases"
TODAY = dt.date(2026, 1, 1)

# file: purchases, customers, amount
READ = {
    "dot_unused.csv": (2, 2, 30.00),
    "case_dup.csv": (2, 2, 30.00),
    "own_name_copies.csv": (2, 2, 30.00),
    "space_after_comma.csv": (2, 2, 30.00),
    "woo_analytics.csv": (2, 1, 1071.00),
    "shopify_nooffset.csv": (3, 1, 90.00),
    "shopify.csv": (3, 1, 90.00),
    "stripe.csv": (2, 2, 76.00),
    "square.csv": (2, 2, 1267.50),
    "total_repeated.csv": (2, 2, 70.00),
    "emails.csv": (3, 1, 60.00),
    "guests.csv": (2, 1, 40.00),
    "ids.csv": (5, 3, 120.00),
    "totals.csv": (2, 2, 30.00),
    "excel_utf16.csv": (2, 2, 21.00),
    "title.csv": (2, 2, 30.00),
    "serial.csv": (2, 2, 30.00),
    "shortdates.csv": (4, 2, 44.00),
    # the refund of customer 0123 finds no order, and 0123 is not 00123
    "excel_de.csv": (2, 1, 1279.50),
}
# file: what is asked, and the sum that each answer would give
ASKED = {
    "currencies.csv": ("currency", {"EUR": 12.0, "JPY": 1500.0, "USD": 10.0}),
    "de_thousand.csv": ("decimal", {".": 983.73, ",": 4714.0}),
    "amazon_eu.csv": ("columns.customer_id", {}),
}


def look(name):
    return check_files([CASES / name], today=TODAY).check


@pytest.mark.parametrize("name", READ)
def test_it_is_read_right(name):
    check = look(name)
    assert not check.questions
    assert (check.purchases, check.customers, check.amount) == READ[name]


@pytest.mark.parametrize("name", ASKED)
def test_what_the_file_cannot_say_is_asked(name):
    field, sums = ASKED[name]
    check = look(name)
    assert [question.field for question in check.questions] == [field]
    assert check.purchases is check.amount is None
    choices = check.questions[0].choices
    assert {c.value: c.amount for c in choices if c.amount is not None} == sums


def test_two_marks_and_two_currencies_are_two_questions():
    check = look("paren.csv")
    assert [question.field for question in check.questions] == ["decimal", "currency"]
    assert check.questions[0].text == (
        "1 amount such as 1,000 can be read in two ways: as a thousand and more, or as a number "
        "with three decimals. Which sign is the decimal mark?"
    )
    assert str(check.notes[0]) == (
        "Amounts are written with two decimal marks: 4 as in $10.00, 1 as in 1 000,50. Each is "
        "read by its own mark."
    )


def test_orders_not_paid_yet_are_left_out_and_counted():
    left_out = {part.reason: (part.rows, part.amount) for part in look("shopify.csv").left_out}
    assert left_out == {
        "not paid yet: pending": (1, 15.0),
        "refunded in full": (1, 40.0),
        "status: voided": (1, 99.0),
        "customer is missing": (1, 12.0),
        "further line of an order, whose amount stands on the first": (1, 0.0),
    }


def test_columns_not_used_are_named_those_of_money_first():
    unused = look("stripe.csv").unused_columns
    assert [(column.name, column.holds) for column in unused[:4]] == [
        ("Amount", "money"),
        ("Fee", "money"),
        ("Amount Refunded", "refunds"),
        ("Currency", "currencies"),
    ]


def test_ids_that_are_one_number_are_named():
    floats, note = map(str, look("ids.csv").notes[:2])
    assert floats == (
        "Customers of 1 row are written as in 12345.0, which is read as 12345: 1 customer stood "
        "under both."
    )
    assert note.startswith("1 customer may stand under several ids that are one number, such as ")
    assert note.endswith(": they stay apart. A spreadsheet may have changed them.")


def test_a_row_of_the_future_stops_the_run(tmp_path):
    file = tmp_path / "orders.csv"
    file.write_text("customer_id,date,amount\na,2024-01-05,10\na,2204-01-05,33\n")
    check = check_files([file], today=TODAY).check
    assert [question.field for question in check.questions] == ["as_of"]
    assert "1 row is dated after today, 2026-01-01, such as row 3." in check.questions[0].text
    stated = check_files([file], today=TODAY, stated={"as_of": dt.date(2024, 12, 31)}).check
    assert (stated.purchases, stated.amount) == (1, 10.0)


def test_missing_dates_written_as_1970_are_counted(tmp_path):
    file = tmp_path / "orders.csv"
    file.write_text("customer_id,date,amount\na,2024-01-05,10\nb,1970-01-01,33\n")
    check = check_files([file], today=TODAY, max_unread=0.6).check
    assert [(p.reason, p.rows, p.amount) for p in check.left_out] == [
        ("date before 1971, as a missing one is written", 1, 33.0)
    ]


def test_too_many_unreadable_rows_stop_the_run(tmp_path):
    file = tmp_path / "orders.csv"
    rows = [f"c{k},{'2024-01-05' if k < 8 else 'soon'},10" for k in range(10)]
    file.write_text("\n".join(["customer_id,date,amount", *rows]))
    intake = check_files([file], today=TODAY, stated={"columns": {"date": "date"}})
    assert intake.check.stopped
    assert intake.check.verdict.startswith(
        "Not fit to train on: 20% of the rows, with 20% of the money, cannot be read, most because "
        "date cannot be read (rows 10, 11)."
    )


@pytest.mark.parametrize(
    ("rows", "limit", "stopped"),
    [
        (["b,soon,900"], None, True),  # 1 row of 21, but 82% of the money
        (["b,soon,20"], None, False),  # 1 row of 21, 9% of the money
        (["b,,120"], 0.4, False),  # 38% of the money, and 40% are stated
        (["b,,-900"], None, True),  # money that was paid back is money
        (["b,2024-01-05,9e15"], None, False),  # no money at all, but a number that slipped
        (["b,soon,0", "b,soon,0", "b,soon,0"], None, True),  # 3 rows of 23, no money
    ],
)
def test_the_share_that_stops_a_run_is_of_rows_and_of_money(rows, limit, stopped, tmp_path):
    file = tmp_path / "orders.csv"
    whole = [f"c{k},2024-01-{k + 1:02d},10" for k in range(20)]
    file.write_text("\n".join(["customer_id,date,amount", *whole, *rows]))
    columns = {"customer_id": "customer_id", "date": "date", "amount": "amount"}
    stated = {"columns": columns} | ({} if limit is None else {"max_unread": limit})
    check = check_files([file], today=TODAY, stated=stated).check
    assert check.stopped is stopped
    assert (check.purchases, check.amount) == (20, 200.0)
