# ruff: noqa: E501 - files are written as they are, a line a file
"""What stands beside, below and instead of amounts in exports of real shops, each with its sum by hand."""

import datetime as dt
import gzip

import pytest

from clv.errors import InputError
from clv.intake.check import check_files, read_files
from clv.intake.fingerprint import fingerprint, read_as_trained

TODAY = dt.date(2026, 1, 1)
ROWS = ("a,2024-01-05,100", "a,2024-01-09,30", "b,2024-01-20,50")


def look(folder, text, name="orders.csv", **stated):
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return check_files([file], today=TODAY, stated=stated, max_unread=0.4)


def marked(name, marks):
    rows = (f"{row},{mark}" for row, mark in zip(ROWS, marks, strict=True))
    return "\n".join([f"customer_id,date,amount,{name}", *rows]) + "\n"


ETSY = (
    "Sale Date,Order ID,Buyer,Order Value,Discount Amount,Order Total,Order Net,Adjusted Order Total\n"
    "01/15/24,1,ann,30.00,5.00,31.00,29.50,\n01/16/24,2,bob,50.00,0.00,50.00,48.00,40.00\n"
)
EBAY = (
    '\n"Sales Record Number","Order Number","Buyer Email","Quantity","Total Price","Sale Date"\n\n'
    '"101","12-1","ann@x.com","1","$25.00","Jan-05-24"\n"102","12-2","bob@x.com","2","$15.00","Jan-06-24"\n\n'
    '"2","record(s) downloaded,","from Jan-05-24 to Jan-06-24"\n"Seller ID: myshop"\n'
)
BOUGHT = "order_id,customer_id,date,quantity,price,{}\n1,a,2024-01-05,2,10.00,{}\n2,b,2024-02-05,1,50.00,{}\n"
SIDES = "Customer,Date,{},{}\na,2024-01-05,{}\nb,2024-01-16,{}\na,2024-01-29,{}\n"
ONE = ("100.00,", "50.00,", ",30.00")
OTHER = (",100.00", ",50.00", "30.00,")
OFF = "Order,Customer,Date,{},{}\n1,a,2024-01-05,{}\n2,b,2024-01-16,{}\n"
CENTS = "customer_id,date,{}\na,2024-01-05,1250\nb,2024-02-05,990\n"
READ = {
    # 12.50 + 12.50 + 1,234.50
    "two decimal marks": ("customer_id;date;amount\na;2024-01-05;12,50\nb;2024-02-05;12.50\nc;2024-03-05;1.234,50\n", 1259.50),
    "eBay": (EBAY, 40.00),
    "eBay, packed": (gzip.compress(EBAY.replace("Buyer Email", "Buyer Username").encode("utf-16")), 40.00),
    "total and note": ("Orders\n\nKunde;Datum;Betrag\nMüller;05.01.2024;10,00\nJäger;06.02.2024;20,50\nSumme EUR;;30,50\nErstellt am 01.03.2024 für Köln\n".encode("cp1252"), 30.50),
    "notes in cells": ("customer_id,date,amount\na,2024-01-05,10\nb,2024-02-05,20\nTotal amount,,30\n2 rows,,\nReport generated on,2024-03-01,\n", 30.00),
    "an average": ("Customer,Date,Amount\nMax,2024-01-05,10\nMedia,2024-02-05,20\nAverage,,15\nMax:,,20\n", 30.00),
    "an average of days": ("Datum;Kunde;Betrag\n05.01.2024;a;10,00\n05.02.2024;b;20,00\nDurchschnitt;;15,00\n", 30.00),
    "DATEV": ("Umsatz (ohne Soll/Haben-Kz);Soll/Haben-Kennzeichen;Konto;Belegdatum;Belegfeld 1\n100,00;S;10001;05.01.2024;R1\n30,00;H;10001;09.01.2024;R1\n50,00;S;10002;20.01.2024;R2\n", 120.00),
    "debit": (marked("D/C", "DCD"), 120.00),
    "credit": (marked("Dr/Cr", ("CR", "DR", "CR")), 120.00),
    "signs": (marked("+/-", "+-+"), 120.00),
    "a kind": (marked("Type", ("credit", "debit", "credit")), 120.00),
    "behind the amount": (marked("x", "...").replace("100", "100.00 DR").replace("30,", "30.00 CR,").replace(",50,", ",50.00 DR,"), 120.00),
    "signed already": (marked("D/C", "CDC").replace(",30,", ",-30,"), 120.00),
    "two columns": (SIDES.format("Debit", "Credit", *ONE), 120.00),
    "two columns, nothing is 0": (SIDES.format("Debit", "Credit", "100,0", "50,0", "0.00,30"), 120.00),
    "a minus of its own": (SIDES.format("Debit", "Credit", ",100", ",50", "-30.00,"), 120.00),
    "two columns and a total": (SIDES.format("Debit (EUR)", "Credit (EUR)", *ONE) + "Total,,150,30\n", 120.00),
    "a reversal on its own side": (SIDES.format("Soll", "Haben", "100,", "50,", "-30,"), 120.00),
    "paid in": (SIDES.format("Paid out", "Paid in", *OTHER), 120.00),
    "money in": (SIDES.format("Money In", "Money Out", "100,", "50,", ",90"), 60.00),
    "Einnahmen": (SIDES.format("Einnahmen", "Ausgaben", *ONE), 120.00),
    "Sollbetrag": (SIDES.format("Sollbetrag", "Habenbetrag", *OTHER).replace(",", ";").replace(".", ","), 120.00),
    "two columns beside an amount": (SIDES.format("Amount,Debit", "Credit", "100,100,", "50,50,", "-30,,30"), 120.00),
    "total wins": (OFF.format("Subtotal,Discount", "Total", "100,10,90", "50,0,50"), 140.00),
    "Zwischensumme": (OFF.format("Zwischensumme,Rabatt", "Gesamtbetrag", "100,10,90", "50,0,50"), 140.00),
    "gross sales": (OFF.format("Gross sales", "Discounts", "100,-10", "50,0"), 140.00),
    "the sums say net": (OFF.format("Amount,Discount", "To pay", "100,10,90", "50,0,50"), 140.00),
    "the sums say gross": (OFF.format("Amount,Discount", "List", "90,10,100", "50,0,50"), 140.00),
    "lines less it": (OFF.format("Quantity,Unit price,Line total", "Discount", "2,50,90,10", "1,50,50,0"), 140.00),
    "lines and it": (OFF.format("Quantity,Unit price,Line total", "Discount", "2,50,100,10", "1,50,50,0"), 140.00),
    "net of returns": (OFF.format("Gross sales,Discounts,Returns", "Net sales", "100,-10,0,90", "50,0,-5,45"), 135.00),
    "less what was refunded": (OFF.format("Order amount,Refunded", "Charged", "80,20,100", "50,0,50"), 130.00),
    "adjusted": (ETSY, 71.00),  # 31 + 40
    "per cent": (BOUGHT.format("discount", "10%", "0%"), 68.00),  # 2 x 10 less 10%, and 50
    "per cent by name": (BOUGHT.format("discount_pct", "10", "0"), 68.00),
    "per cent in German": (BOUGHT.format("rabatt_prozent", "12.5", ""), 67.50),
    "cents": (CENTS.format("amount_cents"), 22.40),
    "minor units": (CENTS.format("amount_minor"), 22.40),
    "pence": (CENTS.format("total (pence)"), 22.40),
    "ct": (CENTS.format("betrag_ct"), 22.40),
    "price in cents": ("order_id,customer_id,date,quantity,price_in_cents\n1,a,2024-01-05,2,1250\n2,b,2024-02-05,1,990\n", 34.90),
    "refunds in cents": ("order_id,customer_id,date,amount_cents,refunded_cents\n1,a,2024-01-05,1250,250\n2,b,2024-02-05,990,0\n", 19.90),
}  # fmt: skip


@pytest.mark.parametrize("kind", READ)
def test_what_an_amount_comes_to(kind, tmp_path):
    text, total = READ[kind]
    check = look(tmp_path, text, "orders.csv.gz" if kind.endswith("packed") else "orders.csv").check
    assert [question.text for question in check.questions] == []
    assert check.amount == total


ASKED = {
    "thousands or decimals": (
        "customer_id;date;amount\na;2024-01-05;12,50\nb;2024-02-05;12.50\nc;2024-03-05;1.234\nd;2024-03-06;2,345\n",
        "decimal", {"both": 3604.00, ".": 2371.23, ",": 1261.35},
    ),
    "debit or credit": (marked("Soll/Haben", "SHH"), "minus", {"S": -20.0, "H": 20.0}),
    "a discount of no unit": (
        BOUGHT.format("discount", "3.00", "0.00"), "discount",
        {"percent": 69.40, "money": 67.00, "none": 70.00},
    ),
    "a share or per cent": (
        BOUGHT.format("discount_rate", "0.5", "0"), "discount", {"share": 60.00, "percent": 69.90},
    ),
    "two columns, as much in each": (SIDES.format("Debit", "Credit", "100,", ",100", "0,0"), "minus", {"Debit": 0.0, "Credit": 0.0}),
    "two columns of open sides": (
        SIDES.format("Debit", "Credit", "100,", ",100", "10,"), "minus", {"Debit": -10.0, "Credit": 10.0},
    ),
    "a discount and an amount": (
        OFF.format("Amount", "Discount", "100,20", "50,0"), "discount",
        {"percent": 130.00, "money": 130.00, "none": 150.00},
    ),
    "a discount and a subtotal": (
        OFF.format("Subtotal", "Discount amount", "100,10", "50,5"), "discount", {"money": 135.00, "none": 150.00},
    ),
    "per cent and an amount": (
        OFF.format("Amount", "Discount %", "80,10", "50,0"), "discount", {"percent": 122.00, "none": 130.00},
    ),
    "orders for nothing": ("customer_id,date,amount\na,2024-01-05,0\nb,2024-02-05,0.00\n", "zero_amounts", {"keep": 0.0}),
}  # fmt: skip


@pytest.mark.parametrize("kind", ASKED)
def test_what_a_column_leaves_open_is_asked_with_its_sums(kind, tmp_path):
    text, field, sums = ASKED[kind]
    check = look(tmp_path, text).check
    assert [question.field for question in check.questions] == [field]
    assert {c.value: c.amount for c in check.questions[0].choices} == sums
    for value, total in sums.items():
        if field != "zero_amounts":
            read = look(tmp_path, text, **{field: value})
            assert read.check.questions == ()
            assert round(sum(a for (a,) in read.orders.project("amount").fetchall()), 2) == total


SAID = {
    "two decimal marks": "Amounts are written with two decimal marks: 1 as in 12.50, 2 as in 1.234,50. Each is read by its own mark.",
    "debit": "D/C gives amounts their sign. Added: 2 rows with D (150.00). Taken off as refunds: 1 row with C (30.00). Payments of invoices are no refunds: leave them out of the file.",
    "adjusted": "Adjusted Order Total has an amount in 1 row, which counts there in the place of Order Total.",
    "per cent": "discount is taken off quantity times price as per cent.",
    "two columns": "Debit and Credit give amounts their sign. Added: 2 rows with Debit (150.00). Taken off as refunds: 1 row with Credit (30.00). Payments of invoices are no refunds: leave them out of the file.",
    "gross sales": "Discounts is taken off Gross sales as money.",
    "net of returns": "Net sales is taken to be less Returns already. If it is not, add -c 'refund=Returns'.",
    "cents": "amount_cents is read in the smallest unit of its currency, as its name says: a hundred cents are one, but yen have no cents.",
    "eBay": "2 lines below the table: '2 record(s) downloaded, from Jan-05-24 to Jan-06-24', 'Seller ID: myshop'.",
}  # fmt: skip


@pytest.mark.parametrize("kind", SAID)
def test_what_was_done_to_amounts_is_said(kind, tmp_path):
    assert SAID[kind] in map(str, look(tmp_path, READ[kind][0]).check.notes)


# Columns with the names of their log, and what stands beside the amount.
NAMED = ("two columns", "gross sales", "per cent", "debit")


@pytest.mark.parametrize("kind", NAMED)
def test_who_names_customer_and_date_is_read_as_who_does_not(kind, tmp_path):
    text, amount = READ[kind]
    ours = {"customer_id": "customer_id", "Customer": "customer_id", "Date": "date", "date": "date"}
    named = {ours[name]: name for name in text.partition("\n")[0].split(",") if name in ours}
    assert set(named) == {"customer_id", "date"}
    check = look(tmp_path, text, columns=named).check
    assert (check.amount, check.questions) == (amount, ())


def test_whole_numbers_beside_a_currency_may_be_cents(tmp_path):
    text = "customer_id,date,amount,currency\na,2024-01-05,1250,{0}\nb,2024-02-05,990,{0}\n"
    check = look(tmp_path, text.format("usd")).check
    assert check.amount == 2240.00
    assert "amount has whole numbers alone, as where payment systems write cents." in str(
        check.notes[0]
    )
    assert not any("cents" in str(note) for note in look(tmp_path, text.format("jpy")).check.notes)


@pytest.mark.parametrize("rows", ["b,2024-0", "b,2024-02\nc,2024-02-06,5\n"])
def test_a_row_that_was_cut_is_no_note(rows, tmp_path):
    with pytest.raises(InputError, match="line 3 Expected Number of Columns: 3 Found: 2"):
        look(tmp_path, f"customer_id,date,amount\na,2024-01-05,10\n{rows}")


def test_a_file_of_a_header_alone_has_no_row(tmp_path):
    with pytest.raises(InputError, match=r"orders.csv has a header, and no row below it"):
        look(tmp_path, "customer_id,date,amount\n\n")


def test_ids_of_spreadsheets_are_those_of_others(tmp_path):
    text = "customer_id,date,amount\n38,2024-01-05,10\n38.0,2024-02-05,20\n 38,2024-03-05,30\n0038,2024-04-05,40\n39.0,2024-04-05,5\n"
    check = look(tmp_path, text).check
    assert (check.customers, check.purchases) == (3, 5)
    assert str(check.notes[0]) == (
        "Customers of 2 rows are written as in 38.0, which is read as 38: 1 customer stood under both."
    )


def test_the_money_of_amounts_that_are_no_numbers_is_that_of_the_others(tmp_path):
    rows = "".join(f"c{k},2024-01-05,10\n" for k in range(9))
    stated = {"columns": {"amount": "amount"}, "max_unread": 0.01}
    check = look(tmp_path, f"customer_id,date,amount\n{rows}z,2024-01-05,12.5.0\n", **stated).check
    verdict = check_files([tmp_path / "orders.csv"], today=TODAY, stated=stated).check.verdict
    assert check.amount == 90.0
    assert "10% of the rows, with 10% of the money, cannot be read" in verdict


NEW = {
    "currency": (",USD", ",JPY", "amounts are in JPY and USD"),
    "is_cancelled": (",0", ",1", "it marks rows as 1"),
    "is_refund": (",no", ",yes", "it marks rows as yes"),
    "refunded amount": (",0", ",5", "it says something in 1 row, as refund"),
    "test": (",0", ",1", "test is new: it marks rows as 1"),
    "cancelled_at": (",", ",2024-02-06", "it says something in 1 row, as cancelled"),
}  # fmt: skip


@pytest.mark.parametrize("name", NEW)
def test_a_new_column_that_would_change_sums_stops_scoring(name, tmp_path):
    file, (one, other, words) = tmp_path / "orders.csv", NEW[name]
    rows = ["a,2024-01-05,10", "b,2024-02-05,20"]
    file.write_text("\n".join(["customer_id,date,amount", *rows]) + "\n")
    learned = read_files(file)
    names = learned.source.names
    training = {
        "data": learned.recipe.model_dump(exclude_unset=True),
        "fingerprint": fingerprint(learned.purchases, "USD", names),
    }
    assert read_as_trained(file, training).check.amount == 30.0
    file.write_text(f"customer_id,date,amount,{name}\n{rows[0]}{one}\n{rows[1]}{other}\n")
    with pytest.raises(InputError, match=words):
        read_as_trained(file, training)
    assert read_as_trained(file, training, anyway=True).report.assumptions
    file.write_text(f"customer_id,date,amount,{name}\n{rows[0]}{one}\n{rows[1]}{one}\n")
    assert read_as_trained(file, training).check.amount == 30.0
