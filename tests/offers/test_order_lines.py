"""Order lines: every row in use or counted by name, returns taken off what they undo."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

import clv
from clv.errors import FitError, InputError, RowError
from clv.offers.order_lines import Lines, read_order_lines
from clv.offers.ranking import next_best_offers
from clv.offers.returns import net_returns

ROWS = [
    ("ann", "10002", "2024-01-05", 2, 9.0, "1", "MUG"),
    ("ann", "10003", "2024-01-05", 1, 4.0, "1", "CUP"),
    ("ann", "POST", "2024-01-05", 1, 3.0, "1", "POSTAGE"),
    ("ann", "10002", "2024-02-01", 1, 5.0, "2", "MUG"),
    ("ann", "10002", "2024-02-09", -2, -9.5, "3", "MUG"),
    ("bob", "10003", "2024-02-10", 1, 0.0, "4", "CUP"),
    ("bob", "10003", "2024-02-11", 1, 4.0, "5", "CUP"),
    (None, "10003", "2024-02-11", 1, 4.0, "6", "CUP"),
    ("bob", None, "2024-02-11", 1, 4.0, "5", None),
]
NAMES = ["customer_id", "item", "date", "quantity", "amount", "order_id", "name"]


def table(rows=ROWS):
    return pd.DataFrame(rows, columns=NAMES).assign(date=lambda t: pd.to_datetime(t["date"]))


def test_every_row_is_in_use_or_counted():
    lines = read_order_lines(table())
    out = {part.reason: part.rows for part in lines.left_out}
    assert out == {
        "customer is missing": 1,
        "item is missing": 1,
        "no product but a fee, postage or a correction (POST)": 1,
        "no money: given away, or a correction of stock": 1,
    }
    assert len(lines.lines.day) + sum(out.values()) == lines.rows_in == 9
    assert lines.customers.tolist() == ["ann", "bob"]
    assert lines.items["item"].tolist() == ["10002", "10003"]
    assert lines.names.tolist() == ["MUG", "CUP"]
    assert lines.as_of == dt.date(2024, 2, 11)


def test_returns_undo_the_latest_purchases_first():
    net = net_returns(read_order_lines(table()).lines)
    # the return of 2 takes the mug of February, and one of the two of January
    assert net.lines.amount.tolist() == [4.5, 4.0, 4.0]
    assert (net.returned, net.unmatched) == (1, 0)


def test_a_return_without_its_purchase_is_counted():
    place = np.zeros(1, dtype=np.int32)
    lines = Lines(place, place, place, place, *(np.array([-2.0]) for _ in range(3)))
    assert (net_returns(lines).unmatched, net_returns(lines).unmatched_amount) == (1, 2.0)


def test_the_order_of_the_rows_changes_nothing():
    ordered, shuffled = (read_order_lines(rows).lines for rows in (table(), table(ROWS[::-1])))
    for one, other in zip(ordered, shuffled, strict=True):
        np.testing.assert_array_equal(one, other)


def test_text_is_read_as_orders_are(tmp_path):
    file = tmp_path / "lines.csv"
    rows = ["Kundennummer;Artikelnummer;Bestelldatum;Menge;Betrag;Bestellnummer;Bezeichnung"]
    rows += [f"k{n % 7};{10000 + n % 5};{1 + n % 28:02d}.0{1 + n % 4}.2024;1;3,5{n % 9};b{n};Tee"
             for n in range(60)]  # fmt: skip
    file.write_text("\n".join(rows))
    lines = read_order_lines(str(file), as_of="2024-04-30")
    assert lines.as_of == dt.date(2024, 4, 30)
    assert lines.items["item"].tolist() == ["10000", "10001", "10002", "10003", "10004"]
    assert lines.lines.amount.sum() == pytest.approx(60 * 3.5 + sum(n % 9 for n in range(60)) / 100)


def test_what_cannot_be_used_is_said():
    with pytest.raises(InputError, match="which item a line is of"):
        read_order_lines(table().drop(columns=["item"]), columns={"customer_id": "customer_id"})
    with pytest.raises(RowError, match="dated after today"):
        read_order_lines(table([*ROWS, ("bob", "10003", "2199-01-01", 1, 4.0, "9", "CUP")]))
    with pytest.raises(RowError, match="no line of a product is left"):
        read_order_lines(table(ROWS[2:3]))
    with pytest.raises(FitError, match="bought two items or more"):
        next_best_offers(read_order_lines(table()))


@pytest.mark.parametrize("as_file", [False, True])
def test_a_column_that_is_stated_is_used_and_one_stated_as_none_is_not(tmp_path, as_file):
    rows = clv.simulate_order_lines(1, customers=30, items=12).lines.assign(other="x")
    rows["other"] = rows["name"].str.upper()
    table = rows
    if as_file:
        table = tmp_path / "lines.csv"
        rows.to_csv(table, index=False)
    for role in ("product", "item"):
        stated = clv.read_order_lines(table, columns={role: "other"})
        assert set(stated.items["item"]) == set(rows["other"])
    without = clv.read_order_lines(table, columns={"margin": None})
    assert np.isnan(without.lines.margin).all()
    with pytest.raises(InputError, match="which item"):
        clv.read_order_lines(table, columns={"product": None})
    with pytest.raises(InputError, match=r"'prodct' .did you mean 'product'.., which is none"):
        clv.read_order_lines(table, columns={"prodct": "other"})
