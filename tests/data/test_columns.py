import datetime as dt
import decimal

import narwhals as nw
import pandas as pd
import pytest

from clv.data.columns import find_columns
from clv.errors import ColumnError, InputError
from clv.schema import settle_objects


def test_own_names_need_no_note():
    assert find_columns(["customer_id", "date", "amount", "other"]) == (
        {"customer_id": "customer_id", "date": "date", "amount": "amount"},
        [],
    )


def test_common_spellings_are_taken_and_said():
    present = ["InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"]
    found, notes = find_columns(present)
    assert found == {
        "customer_id": "CustomerID",
        "date": "InvoiceDate",
        "order_id": "InvoiceNo",
        "product": "StockCode",
        "quantity": "Quantity",
        "price": "UnitPrice",
    }
    assert len(notes) == 6
    assert "column 'InvoiceDate' was taken as date." in notes


def test_the_caller_comes_first_and_none_keeps_a_column_out():
    present = ["customer_id", "date", "shipped", "amount", "order_id"]
    found, notes = find_columns(present, {"date": "shipped", "order_id": None})
    assert found == {"customer_id": "customer_id", "date": "shipped", "amount": "amount"}
    assert notes == []


def test_an_amount_makes_quantity_and_price_idle():
    found, notes = find_columns(["customer_id", "date", "Total", "qty", "UnitPrice"])
    assert found == {"customer_id": "customer_id", "date": "date", "amount": "Total"}
    assert notes == ["column 'Total' was taken as amount."]


def test_named_quantity_and_price_come_before_an_amount():
    present = ["customer_id", "date", "amount", "n", "each"]
    found, _ = find_columns(present, {"quantity": "n", "price": "each"})
    assert found["quantity"] == "n"
    assert "amount" not in found


@pytest.mark.parametrize(
    ("present", "columns", "error", "said"),
    [
        (["customer_id", "day", "amount"], None, ColumnError, "no column date"),
        (["customer_id", "day", "amount"], None, ColumnError, "columns={'date': ...}"),
        (["customer_id", "date", "money"], None, ColumnError, "no column amount"),
        (["customer_id", "date", "Quantity"], None, ColumnError, "no column amount"),
        (["customer_id", "ts", "order_date", "amount"], None, ColumnError, "could each be date"),
        (["customer_id", "date", "amount"], {"date": "Day"}, ColumnError, "no column 'Day'"),
        (["customer_id", "date", "amount"], {"dates": "date"}, InputError, "maps 'dates'"),
        (
            ["customer_id", "date", "amount", "n", "each"],
            {"amount": "amount", "quantity": "n", "price": "each"},
            InputError,
            "amount as well as quantity and price",
        ),
    ],
)
def test_what_is_missing_or_unclear_is_named(present, columns, error, said):
    with pytest.raises(error) as caught:
        find_columns(present, columns)
    assert said in str(caught.value)
    assert "Hint:" in str(caught.value)


def test_an_optional_column_that_is_unclear_is_not_used_and_said():
    present = ["customer_id", "date", "amount", "invoice", "order_number"]
    found, notes = find_columns(present)
    assert "order_id" not in found
    assert notes == ["'invoice' and 'order_number' could each be order_id: none was used."]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, None, 2], nw.Int64),
        ([1, 2.5, None], nw.Float64),
        ([decimal.Decimal("1.50"), None], nw.Float64),
        ([dt.date(2024, 1, 1), None], nw.Datetime),
        (["a", None], nw.String),
    ],
)
def test_python_objects_become_the_type_they_hold(values, dtype):
    frame = nw.from_native(pd.DataFrame({"x": pd.Series(values, dtype=object)}))
    assert settle_objects(frame, {"amount": "x"}).schema["x"] == dtype


def test_mixed_types_are_counted_and_named():
    frame = nw.from_native(pd.DataFrame({"CustomerID": pd.Series([1, 2, "3"], dtype=object)}))
    with pytest.raises(
        ColumnError, match="'CustomerID' \\(customer_id\\) mixes types: 2 int, 1 str"
    ):
        settle_objects(frame, {"customer_id": "CustomerID"})
