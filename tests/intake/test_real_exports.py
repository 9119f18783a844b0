# ruff: noqa: E501 - files are written as they are, a line a file
"""Exports in the manner of real systems, each with the customers, purchases and sum by hand."""

import datetime as dt
import gzip
import json
import zipfile

import pytest

from clv.errors import ColumnError, InputError
from clv.intake.check import check_files, read_files
from clv.intake.fingerprint import fingerprint, read_as_trained

TODAY = dt.date(2026, 1, 1)


def look(folder, text, name="orders.csv", **stated):
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return check_files([file], today=TODAY, stated=stated, max_unread=0.4).check


DATEV = (
    '"EXTF";700;21;"Buchungsstapel";13;20240131;;"RE";"";"";29098;55003;{};4;20240101;20240131;"Jan";"";1;0;0;"EUR"\r\n'
    "Umsatz (ohne Soll/Haben-Kz);Soll/Haben-Kennzeichen;WKZ Umsatz;Konto;Gegenkonto;Belegdatum;Belegfeld 1;Buchungstext\r\n"
    '100,00;"S";"EUR";10001;8400;0501;"R1";"Müller"\r\n30,00;"H";"EUR";10001;8400;901;"R1";"Gutschrift"\r\n50,00;"S";"EUR";10002;8400;2001;"R2";"Jäger"\r\n'
)
PLAIN = "Customer,Date,Amount\na,2024-01-05,95.00\nb,2024-01-06,50.00\n"
SQL = "order_id,customer_id,order_date,total,refunded\n1,a,2024-01-05,95.00,{0}\n2,b,2024-01-06,50.00,20.00\n3,{0},2024-01-07,40.00,{0}\n4,b,2024-01-08,{0},{0}\n5,c,2024-01-08,1.00,{0}\n"
STATUS = "Order ID,Customer,Date,Total,{}\n1,a,2024-01-05,95.00,{}\n2,b,2024-01-06,50.00,{}\n3,b,2024-01-07,40.00,{}\n4,b,2024-01-08,30.00,{}\n"
READ = {
    # 100 - 30 + 50
    "DATEV": (DATEV.format("20240101").encode("latin-1"), (2, 2, 120.00)),
    "DATEV, a fiscal year from July": (DATEV.format("20230701").encode("latin-1"), (2, 2, 120.00)),
    # 95 + (50 - 20) + 1: nobody bought for 40, and the fourth has no amount
    "NULL": (SQL.format("NULL"), (3, 3, 126.00)),
    "\\N": (SQL.format(r"\N"), (3, 3, 126.00)),
    "(null)": (SQL.format("(null)"), (3, 3, 126.00)),
    # one in full, one called off, one in part
    "Polish": (STATUS.format("Status", "Opłacone", "Anulowane", "Zwrócone", "Częściowo zwrócone"), (2, 2, 125.00)),
    "Danish": (STATUS.format("Status", "Betalt", "Annulleret", "Refunderet", "Delvist refunderet"), (2, 2, 125.00)),
    "Czech": (STATUS.format("Stav", "Zaplaceno", "Zrušeno", "Vráceno", "Částečně vráceno"), (2, 2, 125.00)),
    "Japanese": (STATUS.format("Status", "支払済み", "キャンセル", "返金済み", "一部返金"), (2, 2, 125.00)),
    "French": (STATUS.format("État", "Paiement accepté", "Annulé", "Remboursé", "Partiellement remboursé"), (2, 2, 125.00)),
    "Odoo": (STATUS.format("Status", "Sales Order", "Quotation", "Cancelled", "Sales Order"), (2, 2, 125.00)),
    "Shopware": ("orderNumber;orderDateTime;customerEmail;amountTotal;stateMachineState;currencyIsoCode\n1;2024-01-05T10:00:00.000+00:00;a@x.com;95.00;completed;EUR\n2;2024-01-06T10:00:00.000+00:00;b@x.com;50.00;cancelled;EUR\n3;2024-01-07T10:00:00.000+00:00;b@x.com;40.00;in_progress;EUR\n", (2, 2, 135.00)),
    "BigCommerce": ("Order ID,Customer ID,Order Date,Order Status,Subtotal (inc tax),Coupon Value,Order Total (inc tax),Order Total (ex tax),Refund Amount\n1,11,05/01/2024,Completed,105.00,10.00,95.00,80.00,0\n2,12,16/01/2024,Shipped,50.00,0,50.00,42.00,20.00\n3,12,17/01/2024,Incomplete,50.00,0,50.00,42.00,0\n", (2, 2, 125.00)),
    "Amazon, less promotions": ("amazon-order-id\tpurchase-date\tbuyer-email\torder-status\tsku\tcurrency\titem-price\titem-promotion-discount\n1\t2024-01-05T10:00:00+00:00\ta@x.com\tShipped\ts\tEUR\t100.00\t5.00\n2\t2024-01-06T10:00:00+00:00\tb@x.com\tShipped\tc\tEUR\t50.00\t\n", (2, 2, 145.00)),
    "Stripe's fees": ("id,Type,Amount,Fee,Currency,Created (UTC),customer_id\n1,charge,95.00,3.00,eur,2024-01-05 10:00,a\n2,charge,50.00,2.00,eur,2024-01-06 10:00,b\n3,refund,-20.00,0,eur,2024-01-07 10:00,b\n4,stripe_fee,-3.00,0,eur,2024-01-10 10:00,\n", (2, 2, 125.00)),
    "a page's header again": (PLAIN + "Customer,Date,Amount\nc,2024-01-09,5.00\n", (3, 3, 150.00)),
    "two lines of names": ("Customer,Order,Order,Money\nID,Number,Date,Total\na,1,2024-01-05,95.00\nb,2,2024-01-06,50.00\n", (2, 2, 145.00)),
    "quotes behind a stroke": (PLAIN.replace("Amount", "Amount,Note").replace("00\n", '00,"He said \\"hi, you\\""\n') + "\\N,2024-01-07,5.00,\\N\n", (2, 2, 145.00)),
    "Arabic digits": ("Customer,Date,Amount\na,٢٠٢٤-٠١-٠٥,١٬٢٣٤٫٥٠\nb,٢٠٢٤-٠١-٠٦,٥٠\n", (2, 2, 1284.50)),
    "wide digits": ("Customer,Date,Amount\na,2024-01-05,１，２３４．５０\nb,２０２４年１月６日,￥５０\n", (2, 2, 1284.50)),
    "lakhs": ('Customer,Date,Amount\na,05-01-2024,"₹1,23,456.00"\nb,16-01-2024,"Rs. 1,00,000"\n', (2, 2, 223456.00)),
    "many a minus": ("Customer,Date,Amount\na,2024-01-05,95.00\nb,2024-01-06,50.00\nb,2024-01-07,﹣20.00\na,2024-01-09,‑5.00\n", (2, 2, 120.00)),
    "codes behind": ("Customer,Date,Amount\na,2024-01-05,95.00 THB\nb,2024-01-06,(20.00) THB\nb,2024-01-04,50.00 THB\n", (2, 2, 125.00)),
    "midnight at the end": (PLAIN.replace("05,", "05 24:00,").replace("06,", "06 24:00:00,"), (2, 2, 145.00)),
    "weeks": (PLAIN.replace("2024-01-05", "2024-W05").replace("2024-01-06", "2024-W06"), (2, 2, 145.00)),
    "a month beside days": ("Customer,Month,Placed on,Amount\na,2024-01,2024-01-05,95\na,2024-01,2024-01-06,50\n", (1, 2, 145.00)),
    "months": (PLAIN.replace("Date", "Month").replace("2024-01-05", "2024-01").replace("2024-01-06", "2024-02"), (2, 2, 145.00)),
}  # fmt: skip


@pytest.mark.parametrize("kind", READ)
def test_an_export_is_read_as_by_hand(kind, tmp_path):
    text, truth = READ[kind]
    check = look(tmp_path, text)
    assert [question.text for question in check.questions] == []
    assert (check.customers, check.purchases, round(check.amount, 2)) == truth


ASKED = {
    # 95 + 50 - 20, and a payment of 30 that settles an invoice
    "an invoice and its payment": (
        "Type,Date,Name,Amount\nInvoice,1/5/2024,Ann,95.00\nInvoice,1/16/2024,Bob,50.00\nCredit Memo,1/17/2024,Bob,-20.00\nPayment,1/18/2024,Bob,-30.00\n",
        "unclear_kinds", {"count": 95.00, "leave out": 125.00},
    ),
    "a status of no language that is read": (
        STATUS.format("Status", "Zaq", "Xsw", "Zaq", "Zaq"), "unclear_status", {"count": 215.00, "leave out": 0.0},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ASKED)
def test_what_may_count_twice_or_not_at_all_is_asked(kind, tmp_path):
    text, field, sums = ASKED[kind]
    check = look(tmp_path, text)
    assert [question.field for question in check.questions] == [field]
    assert {choice.value: choice.amount for choice in check.questions[0].choices} == sums


def test_rows_of_a_grouped_report_have_the_name_of_their_group(tmp_path):
    """As QuickBooks prints sales by customer: 60 + 35 of Ann's, 50 - 20 of Bob's."""
    text = (
        "My Shop,,,,\nSales by Customer Detail,,,,\n,,,,\n,Date,Transaction Type,Amount,Balance\n"
        "Ann,,,,\n,01/05/2024,Invoice,60.00,60.00\n,01/25/2024,Invoice,35.00,95.00\n"
        "Total for Ann,,,95.00,\nTotal Wine,,,,\n,01/16/2024,Invoice,50.00,50.00\n"
        ",01/17/2024,Credit Memo,-20.00,30.00\nTotal for Total Wine,,,30.00,\nTOTAL,,,$125.00,\n"
    )
    assert [q.field for q in look(tmp_path, text).questions] == ["columns.customer_id"]
    check = look(tmp_path, text, columns={"customer_id": "(column 1)"})
    assert (check.customers, check.purchases, check.amount) == (2, 3, 125.0)
    assert str(check.notes[0]) == (
        "2 lines with a name alone: each names the rows below it, whose first column has it. Lines "
        "of totals are left out."
    )


def test_what_a_second_status_says_is_asked(tmp_path):
    text = "Order ID,Customer,Date,Total,Order status,Fulfillment status\n1,a,2024-01-05,95,paid,shipped\n2,b,2024-01-06,50,paid,cancelled\n"
    check = look(tmp_path, text)
    (question,) = check.questions
    assert question.text == (
        "Fulfillment status says cancelled of 1 row, which Order status lets count. Are these "
        "purchases all the same?"
    )
    assert [(c.value, c.amount) for c in question.choices] == [("leave out", 95), ("count", 145)]


MONTHS = {  # the file, and its orders: who, when, how much
    "named": ("Customer,Jan 2024,Feb 2024,Mar 2024,Total\na,95,,10,105\nb,,50,,50\nTotal,95,50,10,155\n",
              [("a", "2024-01-01", 95), ("a", "2024-03-01", 10), ("b", "2024-02-01", 50)]),
    "comma": ("Kunde;Region;Jan 24;Mrz 24\nA;N;1.000,50;2,00\nB;S;;5,00\n",
              [("A", "2024-01-01", 1000.5), ("A", "2024-03-01", 2), ("B", "2024-03-01", 5)]),
    "numbers": ("customer_id,2024-01,2024-02\n1,10.5,\n2,3,4\n",
                [("1", "2024-01-01", 10.5), ("2", "2024-01-01", 3), ("2", "2024-02-01", 4)]),
    "quarters": ("Customer,Q1 2024,Q2 2024\na,95,5\nb,,50\n",
                 [("a", "2024-01-01", 95), ("a", "2024-04-01", 5), ("b", "2024-04-01", 50)]),
    "weeks": ("Customer,2024-W01,2024-W02\na,95,5\nb,,50\n",
              [("a", "2024-01-01", 95), ("a", "2024-01-08", 5), ("b", "2024-01-08", 50)]),
}  # fmt: skip


@pytest.mark.parametrize("kind", MONTHS)
def test_a_table_of_a_column_a_month_is_read_by_its_cells(kind, tmp_path):
    text, orders = MONTHS[kind]
    (tmp_path / "orders.csv").write_text(text)
    intake = read_files(tmp_path / "orders.csv")
    found = intake.purchases.project("customer_id, date::DATE::VARCHAR, amount").fetchall()
    assert sorted(found) == orders
    assert "are periods: each filled cell is taken for what one purchase" in str(
        intake.check.notes[0]
    )


def test_months_without_a_year_are_asked_about(tmp_path):
    check = look(tmp_path, "Customer,Jan,Feb,Mar\na,95,,10\nb,,50,\n")
    assert check.questions[0].text == (
        "Which column says when the order was placed? Jan, Feb and Mar look like periods, a column "
        "each: write their year into the names, as in Jan 2024, or export one row an order."
    )


POSTINGS = "Umsatz (ohne Soll/Haben-Kz);Soll/Haben-Kennzeichen;Konto;Gegenkonto (ohne BU-Schlüssel);Belegdatum;Belegfeld 1\n"


def test_datev_has_debtors_in_either_column(tmp_path):
    rows = "100,00;H;8400;10001;05.01.2024;R1\n50,00;S;10002;8400;16.01.2024;R2\n30,00;S;8400;10001;09.01.2024;G1\n"
    (tmp_path / "orders.csv").write_text(POSTINGS + rows)
    found = read_files(tmp_path / "orders.csv").purchases.project("customer_id, amount").fetchall()
    assert sorted(found) == [("10001", 70.0), ("10002", 50.0)]


ORDERS = {"orders": [
    {"id": 1, "created_at": "2024-01-05T10:00:00+01:00", "total_price": "95.00", "currency": "EUR", "financial_status": "paid", "customer": {"id": 11}, "line_items": [{"price": "60.00"}, {"price": "35.00"}]},
    {"id": 2, "created_at": "2024-01-06T10:00:00+01:00", "total_price": "50.00", "currency": "EUR", "financial_status": "paid", "customer": {"id": 12}, "line_items": [{"price": "50.00"}]},
]}  # fmt: skip


def test_the_same_orders_in_any_kind_of_file_come_to_the_same(tmp_path):
    one, other = (tmp_path / name for name in ("one.csv", "other.csv"))
    one.write_text("Customer,Date,Amount\n11,2024-01-05,95.00\n")
    other.write_text("Customer,Date,Amount\n12,2024-01-06,50.00\n")
    with zipfile.ZipFile(tmp_path / "orders.zip", "w") as archive:
        archive.write(one, "orders/one.csv")
        archive.write(other, "orders/other.csv")
        archive.writestr("__MACOSX/._one.csv", "x")
    (tmp_path / "orders.csv.gz").write_bytes(gzip.compress(PLAIN.encode()))
    (tmp_path / "orders.json").write_text(json.dumps(ORDERS))
    (tmp_path / "orders.jsonl").write_text("\n".join(map(json.dumps, ORDERS["orders"])))
    for name in ("orders.zip", "orders.csv.gz", "orders.json", "orders.jsonl"):
        check = check_files([tmp_path / name], today=TODAY).check
        assert (check.customers, check.purchases, check.amount) == (2, 2, 145.0), name


def test_a_zip_archive_without_a_table_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "orders.zip", "w") as archive:
        archive.writestr("orders.pdf", "x")
    with pytest.raises(InputError, match=r"orders.zip holds no table"):
        check_files([tmp_path / "orders.zip"], today=TODAY)
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(InputError, match=r"broken.zip cannot be read"):
        check_files([tmp_path / "broken.zip"], today=TODAY)


def test_orders_in_another_dialect_are_scored_alike_or_refused_by_name(tmp_path):
    """A model of a comma's file, beside a semicolon, another mark, another name, a new currency."""
    file = tmp_path / "orders.csv"
    file.write_text("Customer,Date,Amount\na,2024-01-05,1.50\nb,2024-01-06,2500.25\n")
    learned = read_files(file)
    training = {
        "data": learned.recipe.model_dump(exclude_unset=True),
        "fingerprint": fingerprint(learned.purchases, "", learned.source.names),
    }
    rows = "Customer;Date;Amount\na;05.01.2024;1,50\nb;16.01.2024;{}\n"
    file.write_text(rows.format("2.500,25"), encoding="utf-16")
    assert read_as_trained(file, training).check.amount == 2501.75
    file.write_text(rows.format("2.500"))
    with pytest.raises(InputError, match=r'Amount has "," as its decimal mark, they had "[.]"'):
        read_as_trained(file, training)
    assert read_as_trained(file, training, decimal=",").check.amount == 2501.50
    file.write_text(rows.format("2500,25").replace("Amount", "Total paid"))
    with pytest.raises(ColumnError, match="the file has no column 'Amount'"):
        read_as_trained(file, training)
    file.write_text("Customer,Date,Amount\na,2024-01-05,JPY 1.50\nb,2024-01-06,JPY 2500.25\n")
    training["fingerprint"]["currency"] = "EUR"
    with pytest.raises(InputError, match="in JPY, the model learned in EUR"):
        read_as_trained(file, training)


PAID = {"105.82": "3.10", "19.99": "0.00", "0.30": "0.10", "1000.01": "333.34"}  # and paid back
DIALECTS = {
    "refunds in a column": (
        "Kunde;Tag;Betrag;Erstattet",
        lambda paid, back: f"{paid};{back}".replace(".", ","),
        ";",
    ),
    "price less a discount": (
        "Customer,Date,Quantity,Unit Price,Discount Amount",
        lambda paid, back: f"1,{paid},{back}",
        ",",
    ),
    "three of a price": (
        "Customer,Date,Quantity,Price",
        lambda paid, back: f"3,{(float(paid) - float(back)) / 3!r}",
        ",",
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_amounts_that_are_worked_out_are_those_of_a_plain_table_to_the_last_bit(dialect, tmp_path):
    head, write, sign = DIALECTS[dialect]
    file = tmp_path / "orders.csv"
    days = [f"2024-01-{day}" for day in range(10, 14)]
    rows = zip(days, PAID.items(), strict=True)
    file.write_text("\n".join([head, *(f"a{sign}{day}{sign}{write(*row)}" for day, row in rows)]))
    stated = {"discount": "money"} if "discount" in dialect else {}
    purchases = read_files(file, **stated).purchases.order("date").fetchall()
    assert [row[2] for row in purchases] == [102.72, 19.99, 0.2, 666.67]


FURTHER = {  # exports of other systems, and their sums; where it is asked, those of each answer
    "Lightspeed": ("Receipt #,Date,Customer Code,Sale total,Discount,Status\n1,2024-01-05,C1,$95.00,-$5.00,Sale\n2,2024-01-06,C2,$50.00,$0.00,Sale\n3,2024-01-07,C2,$70.00,$0.00,Voided\n", [145.0]),
    "Shopware": ("Bestellnummer;Kundennummer;Bestellzeit;Gesamtbetrag;Zahlungsstatus;Bestellstatus\n1;K1;05.01.2024;95,00;Bezahlt;Abgeschlossen\n2;K2;16.01.2024;50,00;Bezahlt;Offen\n3;K2;17.01.2024;70,00;Bezahlt;Storniert\n", [145.0, 215.0]),
    "Eventbrite": ("Order no.,Order Date,Buyer Email,Gross revenue (USD),Order Type\n1,2024-01-05,ann@x.com,95.00,Eventbrite Completed\n2,2024-01-06,bob@x.com,50.00,Eventbrite Completed\n3,2024-01-07,bob@x.com,50.00,Refunded\n", [145.0, 195.0]),
    "Gumroad": ("Sale ID,Purchase Date,Purchase Email,Sale Price ($),Refunded?,Partial Refund ($),Fully Refunded?\n1,2024-01-05,ann@x.com,95.00,0,0.0,0\n2,2024-01-06,bob@x.com,50.00,1,20.0,0\n3,2024-01-07,bob@x.com,60.00,1,0.0,1\n", [125.0]),
    "SumUp": ("Email,Date,Transaction ID,Transaction Type,Status,Total\nann@x.com,2024-01-05,T1,Sale,Successful,95.00\nbob@x.com,2024-01-06,T2,Sale,Successful,50.00\nann@x.com,2024-01-08,T3,Refund,Refunded,20.00\nann@x.com,2024-01-09,T4,Sale,Failed,30.00\n", [125.0]),
    "refunded twice said": ("Customer,Date,Type,Status,Total\na,2024-01-05,Sale,Refunded,95.00\nb,2024-01-06,Sale,Paid,50.00\na,2024-01-08,Refund,Paid,95.00\n", [50.0]),
    "refunded without a row": ("Customer,Date,Type,Status,Total\na,2024-01-05,Sale,Refunded,95.00\nb,2024-01-06,Sale,Paid,50.00\n", [50.0]),
    "notes on refunds": ("Customer,Date,Total,Reason\na,2024-01-05,95.00,\na,2024-01-08,-95.00,Refunded\nb,2024-01-06,50.00,\n", [50.0]),
}  # fmt: skip


@pytest.mark.parametrize("system", FURTHER)
def test_exports_of_further_systems_come_to_their_sums(system, tmp_path):
    text, sums = FURTHER[system]
    check = look(tmp_path, text)
    answers = [choice.amount for question in check.questions for choice in question.choices]
    assert (answers or [check.amount]) == sums
