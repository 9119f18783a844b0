# ruff: noqa: E501 - files are written as they are, a line a file
"""Tables of spend as ad platforms and spreadsheets write them, each with its sums by hand."""

import datetime as dt

import pytest

from clv.errors import ClvError
from clv.intake.spend_table import SpendColumns, SpendRecipe, read_spend_table

TODAY = dt.date(2026, 1, 1)
JANUARY, FEBRUARY = dt.date(2024, 1, 1), dt.date(2024, 2, 1)


def read(folder, text, **stated):
    file = folder / "spend.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_spend_table(file, SpendRecipe(**stated), today=TODAY)


def rows(table):
    plain = table.rows.to_pydict()
    return list(zip(plain["channel"], plain["period"], plain["spend"], strict=True))


TWO = [("search", JANUARY, 1234.5), ("social", FEBRUARY, 40.0)]
DIALECTS = {
    "plain": "channel,period,spend\nsearch,2024-01-01,1234.5\nsocial,2024-02-01,40\n",
    "months": "Channel,Month,Cost\nsearch,2024-01,1234.50\nsocial,2024-02,40.00\n",
    "months by name": 'Platform,Month,Amount spent\nsearch,Jan 2024,"$1,234.50"\nsocial,February 2024,$40.00\n',
    "months by number": "channel,month,spend\nsearch,1/2024,1234.5\nsocial,02/2024,40.0\n",
    "German": "Kanal;Monat;Ausgaben\nsearch;01.01.2024;1.234,50 €\nsocial;01.02.2024;40,00 €\n",
    "German, old code page": "Kanal;Zeitraum;Werbeausgaben\nsearch;Januar 2024;1.234,50\nsocial;Februar 2024;40,00\n".encode("cp1252"),
    "French": "Canal;Mois;Dépenses\nsearch;01/01/2024;1\u202f234,50 €\nsocial;01/02/2024;40,00 €\nsocial;15/02/2024;0,00 €\n",
    "UTF-16 of a spreadsheet": "channel\tperiod\tspend\nsearch\t2024-01-01\t1234.5\nsocial\t2024-02-01\t40\n".encode("utf-16"),
    "Meta, currency in the header": 'Channel,Reporting starts,Reporting ends,Amount spent (EUR)\nsearch,2024-01-01,2024-01-31,"1,234.50"\nsocial,2024-02-01,2024-02-29,40.00\n',
    "a title above, a total below": "Marketing report,,\n,,\nchannel,period,spend\nsearch,2024-01-01,1234.5\nsocial,2024-02-01,40\nTotal,,1274.5\n",
    "blanks around names": "channel, period, spend\n search ,2024-01-01,1234.5\nsocial , 2024-02-01 ,40\n",
}  # fmt: skip


@pytest.mark.parametrize("kind", DIALECTS)
def test_money_and_periods_in_any_dialect(kind, tmp_path):
    day = [(c, p, s) for c, p, s in rows(read(tmp_path, DIALECTS[kind])) if s]
    assert day == TWO


def test_weeks_by_number_begin_on_monday(tmp_path):
    table = read(
        tmp_path,
        "channel;KW;spend\na;2024-W05;1\na;KW 6 2024;2\n",
        columns=SpendColumns(period="KW"),
    )
    assert [str(period) for _, period, _ in rows(table)] == ["2024-01-29", "2024-02-05"]


def test_periods_that_are_no_dates_stay_labels(tmp_path):
    table = read(tmp_path, "channel,period,spend\na,spring,1\na,autumn,2\n")
    assert rows(table) == [("a", "spring", 1.0), ("a", "autumn", 2.0)]


def test_campaigns_of_a_channel_are_added_up_in_any_spelling(tmp_path):
    text = "channel,period,campaign,spend\nSearch,2024-01-01,x,10\nsearch ,2024-01-01,y,5\nSEARCH,2024-01-01,z,5\n"
    assert rows(read(tmp_path, text)) == [("Search", JANUARY, 20.0)]


@pytest.mark.parametrize(
    "label", ["Total", "TOTAL:", "Summe", "Gesamtsumme", "Total général", "** Sum **", ""]
)
def test_rows_of_totals_are_left_out_and_counted(label, tmp_path):
    table = read(tmp_path, f"channel,period,spend\na,2024-01-01,10\nb,2024-01-01,20\n{label},,30\n")
    assert sum(spend for *_, spend in rows(table)) == 30.0
    assert [(part.reason, part.rows, part.amount) for part in table.left_out] == [
        ("row of totals", 1, 30.0)
    ]


def test_a_total_of_every_month_is_left_out_but_a_table_of_totals_alone_is_not(tmp_path):
    text = "channel,period,spend\na,2024-01-01,10\nTotal,2024-01-01,10\na,2024-02-01,20\nTotal,2024-02-01,20\n"
    assert sum(spend for *_, spend in rows(read(tmp_path, text))) == 30.0
    alone = "channel,period,spend\nTotal,2024-01-01,10\nTotal,2024-02-01,20\n"
    assert rows(read(tmp_path, alone)) == [("Total", JANUARY, 10.0), ("Total", FEBRUARY, 20.0)]


@pytest.mark.parametrize("name", ["Totally Media", "sum-up", "Summer sale", "TOTAL1"])
def test_a_channel_whose_name_holds_such_a_word_is_a_channel(name, tmp_path):
    table = read(tmp_path, f"channel,period,spend\n{name},2024-01-01,10\na,2024-01-01,20\n")
    assert rows(table)[0] == (name, JANUARY, 10.0)


TWICE = "channel,period,spend\na,2024-01-01,10\nb,2024-01-01,20\na,2024-01-01,10\n"


def test_the_same_row_twice_is_asked_and_then_read_as_stated(tmp_path):
    with pytest.raises(
        ClvError, match=r"1 row repeats another .* such as row 4: sent twice, or real"
    ):
        read(tmp_path, TWICE)
    dropped = read(tmp_path, TWICE, duplicates="drop")
    assert rows(dropped) == [("a", JANUARY, 10.0), ("b", JANUARY, 20.0)]
    assert [(part.reason, part.rows) for part in dropped.left_out] == [
        ("row equal to another in every column", 1)
    ]
    assert rows(read(tmp_path, TWICE, duplicates="keep"))[0] == ("a", JANUARY, 20.0)


def test_rows_without_money_may_repeat(tmp_path):
    text = "channel,period,spend\na,2024-01-01,0\na,2024-01-01,0\n"
    assert rows(read(tmp_path, text)) == [("a", JANUARY, 0.0)]


CURRENCIES = {
    "a column": "channel,period,spend,currency\na,2024-01-01,10,USD\na,2024-02-01,1500,JPY\nb,2024-01-01,12,EUR\n",
    "signs": "channel,period,spend\na,2024-01-01,$10.00\na,2024-02-01,¥1500\nb,2024-01-01,€12.00\n",
    "codes": "channel,period,spend\na,2024-01-01,10 USD\na,2024-02-01,1500 JPY\nb,2024-01-01,12 EUR\n",
}


@pytest.mark.parametrize("kind", CURRENCIES)
def test_several_currencies_are_refused(kind, tmp_path):
    with pytest.raises(
        ClvError, match="Amounts are in EUR and JPY and USD, which cannot be added"
    ) as e:
        read(tmp_path, CURRENCIES[kind])
    assert 'currency = "EUR"' in e.value.hint


def test_one_of_several_currencies_is_read_if_stated(tmp_path):
    table = read(tmp_path, CURRENCIES["a column"], currency="EUR")
    assert (rows(table), table.currency) == ([("b", JANUARY, 12.0)], "EUR")
    assert {(part.reason, part.amount) for part in table.left_out} == {
        ("currency: USD", 10.0),
        ("currency: JPY", 1500.0),
    }


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        (DIALECTS["months by name"], "USD"),
        (DIALECTS["German"], "EUR"),
        (DIALECTS["Meta, currency in the header"], "EUR"),
        (DIALECTS["plain"], ""),
    ],
)
def test_the_currency_is_that_of_the_table(text, currency, tmp_path):
    assert read(tmp_path, text).currency == currency


WRONG = {
    "such as 1.234 can be read in two ways": "channel;period;spend\na;2024-01-01;1.234\nb;2024-01-01;2.500\n",
    "with the day or with the month first": "channel,period,spend\na,01/02/2024,10\nb,03/04/2024,20\n",
    "no column of the spend table is called spend": "channel,period,clicks\na,2024-01-01,10\n",
    "spend is missing or no number in the spend table: in 1 row, such as row 3": "channel,period,spend\na,2024-01-01,10\nb,2024-01-01,n/a\n",
    "period begins after today": "channel,period,spend\na,2204-01-01,10\nb,2024-01-01,5\n",
    "period is no date, as those of other rows are": "channel,period,spend\na,soon,10\nb,2024-01-01,5\n",
    "channel is missing": "channel,period,spend\n,2024-01-01,10\nb,2024-01-01,5\n",
}  # fmt: skip


@pytest.mark.parametrize("words", WRONG)
def test_what_cannot_be_read_is_named(words, tmp_path):
    with pytest.raises(ClvError, match=words) as error:
        read(tmp_path, WRONG[words])
    assert error.value.hint


def test_what_was_asked_is_read_as_stated(tmp_path):
    decimal = "channel;period;spend\na;2024-01-01;1.234\n"
    assert rows(read(tmp_path, decimal, decimal=",")) == [("a", JANUARY, 1234.0)]
    assert rows(read(tmp_path, decimal, decimal=".")) == [("a", JANUARY, 1.234)]
    order = "channel,period,spend\na,01/02/2024,10\n"
    assert rows(read(tmp_path, order, date_order="dmy")) == [("a", FEBRUARY, 10.0)]
