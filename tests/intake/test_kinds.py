# ruff: noqa: E501 - files are written as they are, a line a file
"""Amounts, dates, statuses, customers and rows as people write them, each with its sum by hand."""

import datetime as dt

import pytest

from clv.errors import ClvError
from clv.intake.check import check_files

TODAY = dt.date(2026, 1, 1)


def read(folder, text, **stated):
    file = folder / "orders.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return check_files([file], today=TODAY, stated=stated, max_unread=0.4)


def result(folder, text, **stated):
    check = read(folder, text, **stated).check
    assert [question.text for question in check.questions] == []
    return check.purchases, check.customers, check.amount


def table(header, *rows, separator=";"):
    return "\n".join(separator.join(row) for row in (header, *rows)) + "\n"


# Headers

HEADERS = {
    "a line break within a name": '"Customer\nID","Order\r\nDate",Total\na,2024-01-05,10\nb,2024-02-05,20\n',
    "the line of Excel": "sep=;\ncustomer_id;date;amount\na;2024-01-05;10\nb;2024-02-05;20\n",
    "the line of Excel, with a mark": b"\xef\xbb\xbfsep=|\ncustomer_id|date|amount\na|2024-01-05|10\nb|2024-02-05|20\n",
    "rows that end in a separator": "customer_id,date,amount\na,2024-01-05,10,\nb,2024-02-05,20,\n",
    "a header that ends in one too": "customer_id,date,amount,\na,2024-01-05,10,\nb,2024-02-05,20,\n",
    "a byte order mark and quotes": b'\xef\xbb\xbf"customer_id","date","amount"\n"a","2024-01-05","10"\n"b","2024-02-05","20"\n',
    "UTF-16 without a mark": "customer_id,date,amount\na,2024-01-05,10\nb,2024-02-05,20\n".encode("utf-16-be"),
    "lines of an old Mac": "customer_id,date,amount\ra,2024-01-05,10\rb,2024-02-05,20\r",
    "names twice that are not used": "customer_id,date,amount,note,note\na,2024-01-05,10,x,y\nb,2024-02-05,20,x,y\n",
    "signs of SQL": 'customer_id,date,amount,"a""b",it\'s,c.d;--\na,2024-01-05,10,1,2,3\nb,2024-02-05,20,1,2,3\n',
    "names of this program": "customer_id,date,amount,c0,_row,_why,_file\na,2024-01-05,10,x,y,z,q\nb,2024-02-05,20,x,y,z,q\n",
    "a column without a name": ",customer_id,date,amount\n0,a,2024-01-05,10\n1,b,2024-02-05,20\n",
    "blank lines between": "\n\ncustomer_id,date,amount\n\na,2024-01-05,10\n\nb,2024-02-05,20\n\n",
}  # fmt: skip


@pytest.mark.parametrize("kind", HEADERS)
def test_odd_headers_are_read(kind, tmp_path):
    assert result(tmp_path, HEADERS[kind]) == (2, 2, 30.00)


def test_numbers_as_names_can_be_stated(tmp_path):
    columns = {"customer_id": "1", "date": "2", "amount": "3"}
    text = "1,2,3\na,2024-01-05,10\nb,2024-02-05,20\n"
    assert result(tmp_path, text, columns=columns) == (2, 2, 30.00)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("customer_id,date," + "x" * 200_000 + "\na,2024-01-05,10\n", "more than 131,072 charact"),
        ("customer_id,date,Total,Total\na,2024-01-05,10,20\n", "2 columns are called 'Total'"),
        ("", "is empty"),
        ("\n \n", "is empty"),
        (b"customer_id\0\0\0\0\0,date" + bytes(range(256)), "cannot be read|is no text"),
    ],
)
def test_a_header_that_cannot_be_read_is_named(text, words, tmp_path):
    with pytest.raises(ClvError, match=words):
        read(tmp_path, text)


# Amounts: the cells of one column, and what they add up to

AMOUNTS = {
    "Swiss": (("1'234.50", "CHF 10.25", "0.25"), 1245.00),
    "Swiss, typeset": (("1’234’567.50", "10.25"), 1_234_577.75),
    "Indian": (("1,00,000.00", "₹ 12,34,567.50", "0.50"), 1_334_568.00),
    "crowns behind": (("12 SEK", "1 200,50 kr", "7,50 kr."), 1220.00),
    "whole yen": (("¥1,234", "¥12,345", "¥987"), 14566.00),
    "a code before": (("EUR 1.234,50", "EUR 0,50"), 1235.00),
    "a code behind": (("1,234.50 USD", "5.50USD"), 1240.00),
    "narrow blanks": (("1\u202f234,50 €", "2\u00a0000,50 €"), 3235.00),
    "French cents": (("12,5", "7,25", "1234,25"), 1254.00),
    "powers": (("1.5e3", "2E2", "300"), 2000.00),
    "points without digits before": ((".50", "1.50", "+3"), 5.00),
    "pounds": (("£1,234", "£1,000.00"), 2234.00),
    "digits of the Arabs": (("١٬٢٣٤٫٥٠", "١٢٫٢٥"), 1246.75),
    "wide digits": (("１２３４．５０", "1２.25"), 1246.75),
    "digits of India": (("१२३४.५०", "१२.२५"), 1246.75),
    "no cents": (("1.234,- Kč", "10,50 Kč", "5,--"), 1249.50),
    "formulas around text": (('="1234.50"', '="12.25"'), 1246.75),
    "dollars of Canada": (("CA$10.50", "C$20.00"), 30.50),
    "forints": (("1 234,50 Ft", "10,00 Ft"), 1244.50),
}


@pytest.mark.parametrize("kind", AMOUNTS)
def test_amounts_as_people_write_them(kind, tmp_path):
    cells, total = AMOUNTS[kind]
    rows = [(f"c{k}", f"2024-01-{k + 1:02d}", cell) for k, cell in enumerate(cells)]
    text = table(("customer_id", "date", "amount"), *rows)
    assert result(tmp_path, text) == (len(cells), len(cells), total)


@pytest.mark.parametrize("minus", ["-$5.00", "$-5.00", "($5.00)", "$5.00-", "−$5.00", "- $5.00"])
def test_a_minus_in_any_spelling_undoes_an_order(minus, tmp_path):
    rows = [("a", "2024-01-05", "$5.00"), ("a", "2024-01-06", "$7.50"), ("a", "2024-01-09", minus)]
    assert result(tmp_path, table(("customer_id", "date", "amount"), *rows)) == (1, 1, 7.50)


def test_a_thousand_or_three_decimals_is_asked_with_both_sums(tmp_path):
    rows = [("a", "2024-01-05", "1,250"), ("b", "2024-01-06", "2,000")]
    check = read(tmp_path, table(("customer_id", "date", "amount"), *rows)).check
    assert [question.field for question in check.questions] == ["decimal"]
    assert {c.value: c.amount for c in check.questions[0].choices} == {".": 3250.0, ",": 3.25}


# Dates: the cells of one column, and the days they are

DATES = {
    "seconds": (("1704450600", "1719786600"), ("2024-01-05", "2024-06-30")),
    "milliseconds": (("1704450600000", "1719786600000"), ("2024-01-05", "2024-06-30")),
    "microseconds": (("1704450600000000", "1719786600000000"), ("2024-01-05", "2024-06-30")),
    "American clock": (("Jan 5, 2024 1:05 PM", "Dec 31, 2024 12:30 AM"), ("2024-01-05", "2024-12-31")),
    "French": (("5 janv. 2024", "14 août 2024", "1er déc. 2024"), ("2024-01-05", "2024-08-14", "2024-12-01")),
    "Spanish": (("5 de enero de 2024", "14 de agosto de 2024"), ("2024-01-05", "2024-08-14")),
    "German": (("5. März 2024", "14. Dezember 2024"), ("2024-03-05", "2024-12-14")),
    "two digits, month first": (("01/15/24", "12/31/23"), ("2024-01-15", "2023-12-31")),
    "two digits, dots": (("15.01.24", "31.12.23"), ("2024-01-15", "2023-12-31")),
    "compact": (("20240105", "20241231"), ("2024-01-05", "2024-12-31")),
    "clock with a word": (("05.01.2024 23:30 Uhr", "31.12.2024 01:05 Uhr"), ("2024-01-05", "2024-12-31")),
    "clock with a narrow blank": (("1/5/24, 11:30\u202fPM", "12/31/24, 1:05\u202fAM"), ("2024-01-05", "2024-12-31")),
    "Spanish clock": (("15/01/2024 11:30 p. m.", "31/12/2024 1:05 a. m."), ("2024-01-15", "2024-12-31")),
    "clock with points": (("05.01.2024 23.30", "31.12.2024 01.05"), ("2024-01-05", "2024-12-31")),
    "French clock": (("05/01/2024 23h30", "31/12/2024 01h05"), ("2024-01-05", "2024-12-31")),
    "weeks": (("2024-W01-5", "2024-W52-1"), ("2024-01-05", "2024-12-23")),
    "weeks, compact": (("2024W015", "2021W011"), ("2024-01-05", "2021-01-04")),
    "compact with a zone": (("20240105T233000Z", "20241231T010500Z"), ("2024-01-05", "2024-12-31")),
    "a zone by its name": (("2024-01-05T23:30:00+01:00[Europe/Berlin]", "2024-07-31T01:05:00+02:00[Europe/Berlin]"), ("2024-01-05", "2024-07-31")),
    "nanoseconds": (("1704450600000000000", "1719786600000000000"), ("2024-01-05", "2024-06-30")),
    "serials with a comma": (("45296,979", "45657,045"), ("2024-01-05", "2024-12-31")),
    "Japanese": (("2024年1月5日", "2024年12月31日 23:30"), ("2024-01-05", "2024-12-31")),
    "Korean": (("2024. 1. 5.", "2024. 12. 31."), ("2024-01-05", "2024-12-31")),
    "Turkish": (("5 Ocak 2024", "14 Ağustos 2024"), ("2024-01-05", "2024-08-14")),
    "Russian": (("5 января 2024", "14 августа 2024"), ("2024-01-05", "2024-08-14")),
    "short week day": (("Fr. 05.01.2024", "Di. 31.12.2024"), ("2024-01-05", "2024-12-31")),
    "week day": (("Fri, 5 Jan 2024 10:00:00 +0000", "Tue, 31 Dec 2024 23:00:00 GMT"), ("2024-01-05", "2024-12-31")),
    "ISO with a zone": (("2024-01-05T23:30:00Z", "2024-07-05T23:30:00.123456+02:00"), ("2024-01-05", "2024-07-05")),
}  # fmt: skip


def days(intake):
    return tuple(
        str(day)[:10] for (day,) in intake.orders.order("customer_id").project("date").fetchall()
    )


@pytest.mark.parametrize("kind", DATES)
def test_dates_as_people_write_them(kind, tmp_path):
    cells, expected = DATES[kind]
    rows = [(f"c{k}", cell, "10") for k, cell in enumerate(cells)]
    intake = read(tmp_path, table(("customer_id", "date", "amount"), *rows))
    assert intake.check.questions == ()
    assert days(intake) == expected


OFFSETS = ("2024-01-05 23:30:00 +0100", "2024-07-05 23:30:00 +0200", "2024-07-06 04:30:00 Z")


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        (None, ("2024-01-05", "2024-07-05", "2024-07-06")),
        ("Europe/Berlin", ("2024-01-05", "2024-07-05", "2024-07-06")),
        ("Asia/Tokyo", ("2024-01-06", "2024-07-06", "2024-07-06")),
        # 04:30 in London's summer is after midnight in New York's: 00:30
        ("America/New_York", ("2024-01-05", "2024-07-05", "2024-07-06")),
        ("America/Los_Angeles", ("2024-01-05", "2024-07-05", "2024-07-05")),
    ],
)
def test_offsets_that_change_with_the_season(zone, expected, tmp_path):
    rows = [(f"c{k}", cell, "10") for k, cell in enumerate(OFFSETS)]
    stated = {} if zone is None else {"time_zone": zone}
    assert days(read(tmp_path, table(("customer_id", "date", "amount"), *rows), **stated)) == (
        expected
    )


def test_day_or_month_first_is_asked_where_nothing_settles_it(tmp_path):
    rows = [("a", "01/02/2024", "10"), ("a", "03/02/2024", "20")]
    check = read(tmp_path, table(("customer_id", "date", "amount"), *rows)).check
    assert [question.field for question in check.questions] == ["date_order"]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "x'; DROP TABLE judged; --"])
def test_a_time_zone_that_does_not_exist_is_named(zone, tmp_path):
    text = table(("customer_id", "date", "amount"), ("a", OFFSETS[0], "10"))
    with pytest.raises(ClvError, match="there is no time_zone"):
        read(tmp_path, text, time_zone=zone)


# Statuses, kinds of rows, refunds and duplicates

STATUS = ("order_id", "customer_id", "date", "amount", "status")


@pytest.mark.parametrize("word", ["Glorp", "in Klärung", "7"])
def test_a_status_of_unknown_meaning_is_asked_with_both_sums(word, tmp_path):
    rows = [("1", "a", "2024-01-05", "10", "paid"), ("2", "a", "2024-01-06", "20", word)]
    rows.append(("3", "b", "2024-01-07", "5", "paid"))
    check = read(tmp_path, table(STATUS, *rows)).check
    assert [question.field for question in check.questions] == ["unclear_status"]
    sums = {choice.value: choice.amount for choice in check.questions[0].choices}
    assert sums == {"count": 35.0, "leave out": 15.0}


@pytest.mark.parametrize(
    ("done", "void", "back"),
    [
        ("bezahlt", "storniert", "erstattet"),
        ("payée", "annulée", "remboursée"),
        ("completado", "anulado", "reembolsado"),
        ("pagato", "annullato", "rimborsato"),
        ("betaald", "geannuleerd", "terugbetaald"),
        ("wc-completed", "wc-failed", "wc-refunded"),
    ],
)
def test_statuses_in_several_languages(done, void, back, tmp_path):
    rows = [("1", "a", "2024-01-05", "10", done), ("2", "a", "2024-01-06", "20", void)]
    rows += [("3", "a", "2024-01-07", "40", back), ("4", "b", "2024-01-08", "80", done)]
    assert result(tmp_path, table(STATUS, *rows)) == (2, 2, 90.00)


def test_refunds_in_part_by_column_by_row_and_by_kind(tmp_path):
    header = ("order_id", "customer_id", "date", "amount", "refunded amount")
    rows = [("1", "a", "2024-01-05", "100", "30"), ("2", "b", "2024-01-06", "20", "")]
    assert result(tmp_path, table(header, *rows)) == (2, 2, 90.00)
    # written as a negative number, which some shops do
    rows = [("1", "a", "2024-01-05", "100", "-30"), ("2", "b", "2024-01-06", "20", "0")]
    assert result(tmp_path, table(header, *rows)) == (2, 2, 90.00)
    rows = [("1", "a", "2024-01-05", "100"), ("1", "a", "2024-01-09", "-30")]
    rows.append(("2", "b", "2024-01-06", "20"))
    assert result(tmp_path, table(header[:4], *rows)) == (2, 2, 90.00)
    rows = [("1", "a", "2024-01-05", "100", "Verkauf"), ("1", "a", "2024-01-09", "30", "Retoure")]
    rows.append(("2", "b", "2024-01-06", "20", "Verkauf"))
    assert result(tmp_path, table((*header[:4], "Vorgang"), *rows)) == (2, 2, 90.00)


def test_an_order_sent_twice_counts_once_where_its_number_says_so(tmp_path):
    rows = [("1", "a", "2024-01-05", "10"), ("1", "a", "2024-01-05", "10")]
    rows.append(("2", "b", "2024-01-06", "20"))
    header = ("order_id", "customer_id", "date", "amount")
    assert result(tmp_path, table(header, *rows)) == (2, 2, 30.00)
    without = table(header[1:], *(row[1:] for row in rows))
    assert result(tmp_path, without) == (2, 2, 40.00)
    assert result(tmp_path, without, duplicates="drop") == (2, 2, 30.00)
    assert "1 row the same as another in every column" in str(
        str(read(tmp_path, without).check.notes[0])
    )


KIND = ("order_id", "customer_id", "date", "amount", "type")


@pytest.mark.parametrize("word", ["Abo-Verlängerung", "Gift Card", "O'Neill"])
def test_a_kind_of_row_of_unknown_meaning_is_asked_with_both_sums(word, tmp_path):
    rows = [("1", "a", "2024-01-05", "10", "Sale"), ("2", "a", "2024-01-06", "20", word)]
    rows.append(("3", "b", "2024-01-07", "5", "Sale"))
    text = table(KIND, *rows)
    check = read(tmp_path, text).check
    assert [question.field for question in check.questions] == ["unclear_kinds"]
    sums = {choice.value: choice.amount for choice in check.questions[0].choices}
    assert sums == {"count": 35.0, "leave out": 15.0}
    assert result(tmp_path, text, counted_kinds=(word,)) == (3, 2, 35.00)
    assert result(tmp_path, text, leave_out_kinds=(word,)) == (2, 2, 15.00)


def test_a_kind_of_row_without_money_is_no_order_and_not_asked(tmp_path):
    rows = [("1", "a", "2024-01-05", "10", "Sale"), ("2", "a", "2024-01-06", "0.00", "Note")]
    rows.append(("3", "b", "2024-01-07", "", "Call"))
    assert result(tmp_path, table(KIND, *rows)) == (1, 1, 10.00)


# Customers


@pytest.mark.parametrize(
    "word", ["Gast", "Invité", "anónimo", "Walk-in", "UNKNOWN", "n/a", "null", "(not set)", "ospite"]
)  # fmt: skip
def test_guests_are_no_customers(word, tmp_path):
    rows = [("a", "2024-01-05", "10"), (word, "2024-01-06", "500"), ("b", "2024-01-07", "20")]
    assert result(tmp_path, table(("customer_id", "date", "amount"), *rows)) == (2, 2, 30.00)


BOTH = {
    "an id for some, an address for others": (
        "customer_id,email,date,amount\n7,,2024-01-05,10\n8,,2024-01-06,20\n,a@x.com,2024-01-07,40\n",
        {"customer_id": (2, 30.0), "email": (1, 40.0)},
    ),
    "guests with an address": (
        "Customer ID;E-Mail;Date;Amount\n0;a@x.com;2024-01-05;10\n7;b@x.com;2024-01-06;20\n7;b@x.com;2024-02-07;40\n",
        {"Customer ID": (2, 60.0), "E-Mail": (3, 70.0)},
    ),
    "a word for guests": (
        "user id,email,date,amount\nguest,a@x.com,2024-01-05,10\n7,b@x.com,2024-01-06,20\n",
        {"user id": (1, 20.0), "email": (2, 30.0)},
    ),
    "addresses of some": (
        "Kunde;Email;Datum;Betrag\nK1;;05.01.2024;10,00\n;a@x.de;06.01.2024;20,00\n;b@x.de;07.01.2024;40,00\n",
        {"Kunde": (1, 10.0), "Email": (2, 60.0)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BOTH)
def test_two_columns_that_each_name_some_customers_are_asked(kind, tmp_path):
    text, outcomes = BOTH[kind]
    check = read(tmp_path, text).check
    assert [question.field for question in check.questions] == ["columns.customer_id"]
    choices = check.questions[0].choices
    assert {c.value: (c.purchases, c.amount) for c in choices} == outcomes
    for name, (purchases, amount) in outcomes.items():
        stated = read(tmp_path, text, columns={"customer_id": name}).check
        assert not stated.questions
        assert (stated.purchases, stated.amount) == (purchases, amount)


def test_a_second_column_that_adds_nobody_is_not_asked(tmp_path):
    text = "customer_id,email,date,amount\n7,a@x.com,2024-01-05,10\n8,,2024-01-06,20\n,,2024-01-07,40\n"
    assert result(tmp_path, text) == (2, 2, 30.00)


@pytest.mark.parametrize(
    "name", ["@SUM(A1)", "total-recall@x.com", "SUM-42", "Total1", "Summers", "Gesamt (2)", "sumO1"]
)
def test_an_id_that_holds_such_a_word_is_a_customer(name, tmp_path):
    rows = [("a", "2024-01-05", "10"), (name, "2024-01-06", "20"), (name, "2024-02-06", "5")]
    assert result(tmp_path, table(("customer_id", "date", "amount"), *rows)) == (3, 2, 35.00)


@pytest.mark.parametrize("letters", ["wxyz", "vwx", "xy"])
def test_a_letter_among_letters_is_a_customer(letters, tmp_path):
    rows = [(letter, "2024-01-05", "10") for letter in letters]
    n = len(letters)
    assert result(tmp_path, table(("customer_id", "date", "amount"), *rows)) == (n, n, 10.0 * n)


@pytest.mark.parametrize(
    "word", ["Total", "TOTAL:", "Gesamtsumme", "Total général", "Suma", "Totaal", "Razem", ""]
)
def test_a_row_of_totals_is_no_order(word, tmp_path):
    rows = [("a", "2024-01-05", "10"), ("b", "2024-01-06", "20"), (word, "", "30")]
    intake = read(tmp_path, table(("customer_id", "date", "amount"), *rows))
    assert (intake.check.purchases, intake.check.amount) == (2, 30.00)
    assert [part.reason for part in intake.check.left_out] == ["row of totals"]


def test_one_customer_in_several_spellings_is_one(tmp_path):
    rows = [(" Ann@X.com ", "2024-01-05", "10"), ("ann@x.com", "2024-01-06", "20")]
    rows.append(("ANN@x.COM", "2024-01-07", "5"))
    header = ("customer_id", "date", "amount")
    assert result(tmp_path, table(header, *rows)) == (3, 1, 35.00)
    assert result(tmp_path, table(header, *rows), fold_emails=False) == (3, 3, 35.00)


# Logs that cannot carry what is asked


def test_a_short_log_and_one_huge_order_are_named(tmp_path):
    rows = [(f"c{k}", f"2024-01-{k % 14 + 1:02d}", "10") for k in range(30)]
    rows.append(("c1", "2024-01-14", "1000000"))
    verdict = read(tmp_path, table(("customer_id", "date", "amount"), *rows)).check.verdict
    assert "It spans 13 days" in verdict
    assert (
        "One order of 1,000,000 is nearly 100% of all money; all 30 others together are 300."
        in verdict
    )


def test_crowns_are_of_a_country_that_is_asked_for(tmp_path):
    """kr is Swedish, Norwegian, Danish and Icelandic: read as one of them, values are ten times off."""
    rows = [("a", "2024-01-05", "12 kr"), ("b", "2024-02-05", "1 200,50 kr")]
    text = table(("customer_id", "date", "amount"), *rows)
    (question,) = read(tmp_path, text).check.questions
    assert question.text == "Amounts are in kr, which several currencies write. Which is it?"
    assert [choice.value for choice in question.choices] == ["SEK", "NOK", "DKK", "ISK"]
    assert {choice.amount for choice in question.choices} == {1212.5}
    check = read(tmp_path, text, currency="DKK").check
    assert (check.questions, check.currency, check.amount) == ((), "DKK", 1212.5)


def test_a_zone_by_its_name_is_named(tmp_path):
    rows = [("a", "2024-01-05 23:10 EST", "12"), ("b", "2024-02-05 10:00 EST", "5")]
    intake = read(tmp_path, table(("customer_id", "date", "amount"), *rows))
    assert days(intake) == ("2024-01-05", "2024-02-05")
    assert str(intake.check.notes[0]).startswith("Times carry EST: the name of a zone is not used")


def test_currencies_beside_the_amounts_are_not_added(tmp_path):
    rows = [("a", "2024-01-05", "$10.00"), ("b", "2024-01-06", "€20.00")]
    check = read(tmp_path, table(("customer_id", "date", "amount"), *rows)).check
    assert [question.field for question in check.questions] == ["currency"]
    sums = {choice.value: choice.amount for choice in check.questions[0].choices}
    assert sums == {"EUR": 20.0, "USD": 10.0}


def test_many_columns_that_are_not_used_are_looked_at_in_one_pass(tmp_path):
    """What they hold is seen in the first rows, and in all where the first ones are empty."""
    cells = {"shipped": "2024-03-05", "fee": "1.25", "colour": "red", "late": ""}
    rows = [
        (f"c{k}", f"2024-01-{k % 28 + 1:02d}", "10", *cells.values(), *("x1",) * 120)
        for k in range(2100)
    ]
    rows[2050:] = [(*row[:6], "2024-04-01", *row[7:]) for row in rows[2050:]]
    extra = tuple(f"attr_{k}" for k in range(120))
    check = read(tmp_path, table(("customer_id", "date", "amount", *cells, *extra), *rows)).check
    holds = {column.name: column.holds for column in check.unused_columns}
    assert {name: holds[name] for name in cells} == {
        "shipped": "dates", "fee": "money", "colour": "other", "late": "dates",
    }  # fmt: skip
    assert {holds[name] for name in extra} == {"other"}


@pytest.mark.parametrize(
    ("last", "purchases", "amount", "said"),
    [
        ("b;05.03.2024;-20,50 €;Storniert", 1, 10.0, True),  # undoes the order before
        ("b;05.03.2024;20,50 €;Storniert", 2, 30.5, False),  # was never paid
        ("b;05.03.2024;0,00 €;Storniert", 2, 30.5, False),
    ],
)
def test_cancelled_rows_below_zero_are_refunds(tmp_path, last, purchases, amount, said):
    rows = ["Kunde;Datum;Betrag;Status", "a;05.01.2024;10,00 €;Bezahlt"]
    file = tmp_path / "orders.csv"
    file.write_text("\n".join([*rows, "b;05.02.2024;20,50 €;Bezahlt", last]) + "\n")
    check = check_files([file], today=dt.date(2026, 1, 1), stated={"date_order": "dmy"}).check
    assert (check.purchases, check.amount) == (purchases, amount)
    assert any("taken for refunds" in str(note) for note in check.notes) == said


# Columns that decide whether and how a row counts, whatever they are called

MARKS = {
    "is_cancelled": (("0", "1", "0"), (2, 40.0)),
    "Canceled": (("false", "true", "FALSE"), (2, 40.0)),
    "storniert": (("nein", "ja", "nein"), (2, 40.0)),
    "isTestOrder": (("", "x", ""), (2, 40.0)),
    "is_refund": (("no", "no", "yes"), (1, 20.0)),
    "Is Return": (("0", "0", "1"), (1, 20.0)),
    "Event": (("Placed Order", "Checkout Started", "Placed Order"), (2, 40.0)),
    "Type": (("Sales invoice", "Sales invoice", "Sales credit note"), (1, 20.0)),
}


@pytest.mark.parametrize("name", MARKS)
def test_a_column_that_marks_what_is_no_order_is_heeded(name, tmp_path):
    marks, (purchases, amount) = MARKS[name]
    rows = [("a", "2024-01-05", "10"), ("b", "2024-02-05", "20"), ("a", "2024-03-05", "30")]
    if "refund" in name or "Return" in name or name == "Type":
        rows[2] = ("a", "2024-03-05", "10")
    marked = [(*row, mark) for row, mark in zip(rows, marks, strict=True)]
    text = table(("customer_id", "date", "amount", name), *marked)
    assert result(tmp_path, text)[::2] == (purchases, amount)


@pytest.mark.parametrize(
    ("ids", "customers"),
    [
        (("Null", "Jane Doe", "Bob Roe", "Null", "Ann O'Neil", "Cy Li"), 5),
        (("Smith", "Null", "NULL", "Nan", "Guest", "Nguyen"), 4),
        (("11", "Null", "12", "13", "null", "Nan"), 3),
    ],
)
def test_a_customer_may_be_called_null_where_others_have_names(ids, customers, tmp_path):
    rows = [(cell, f"2024-01-{day}", "10") for day, cell in enumerate(ids, start=10)]
    intake = read(tmp_path, table(("customer", "date", "amount"), *rows))
    assert len({row[0] for row in intake.orders.fetchall()}) == customers


# Beside a status that lets all of five orders count: whether it is asked, and the sum without.
BESIDE = {
    "Test": ("", "", "TRUE", "", "", False, 120.0),
    "test order": ("no", "no", "yes", "yes", "no", False, 80.0),
    "Cancelled at": ("", "", "2024-02-06", "", "", True, 120.0),
    "Fulfillment Status": ("shipped", "shipped", "returned", "cancelled", "pending", True, 80.0),
    "IsVoid": ("0", "0", "1", "0", "0", True, 120.0),
}


@pytest.mark.parametrize("name", BESIDE)
def test_what_is_no_order_beside_a_status_is_left_out_or_asked(name, tmp_path):
    *marks, asked, without = BESIDE[name]
    head = ("customer_id", "date", "amount", "Financial Status", name)
    rows = [(f"c{k}", f"2024-01-{k + 10}", f"{k + 1}0", "paid", marks[k]) for k in range(5)]
    check = read(tmp_path, text := table(head, *rows)).check
    answers = [(c.value, c.amount) for q in check.questions for c in q.choices]
    assert answers == ([("leave out", without), ("count", 150.0)] if asked else [])
    columns = {"cancelled": name}
    assert read(tmp_path, text, columns=columns).check.amount == without
    assert read(tmp_path, text, columns={"cancelled": None}).check.amount == 150.0


@pytest.mark.parametrize("name", ["order_currency_code", "Curr.", "payment_currency", "c"])
def test_several_currencies_are_asked_whatever_their_column_is_called(name, tmp_path):
    rows = [("a", "2024-01-05", "10", "EUR"), ("b", "2024-02-05", "2000", "JPY")]
    check = read(tmp_path, table(("customer_id", "date", "amount", name), *rows)).check
    assert [question.field for question in check.questions] == ["currency"]
    assert [(c.value, c.amount) for c in check.questions[0].choices] == [("EUR", 10), ("JPY", 2000)]


def test_a_country_is_no_currency(tmp_path):
    rows = [("a", "2024-01-05", "10", "CHE"), ("b", "2024-02-05", "20", "CHE")]
    check = read(tmp_path, table(("customer_id", "date", "amount", "country"), *rows)).check
    assert (check.currency, check.amount) == ("", 30.0)


def test_ids_that_a_spreadsheet_has_rounded_are_mentioned(tmp_path):
    rows = [("4.91511E+12", "2024-01-05", "10"), ("4.91512E+12", "2024-02-05", "20")]
    check = read(tmp_path, table(("customer_id", "date", "amount"), *rows)).check
    said = "Customers of 2 rows are written as 4.91511E+12: a spreadsheet has rounded their ids"
    assert said in " ".join(map(str, check.notes))
