"""Lists of people meet the customers who were scored, however either is written."""

import datetime as dt

import pyarrow as pa
import pytest

from clv.errors import ClvError
from clv.intake.people import read_people

ADDRESSES = pa.chunked_array([["ann@x.com", "bob@x.com"]])
NUMBERS = pa.chunked_array([["00123", "0123"]])


def read(folder, text, customers=ADDRESSES, **options):
    file = folder / "list.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_people(file, customers, **options).to_pydict()


LISTS = {
    "plain": "customer_id,email\nann@x.com,a\n",
    "German, old code page": "Kunde;E-Mail;Straße\n Ann@X.com ;a;Allee 5\n".encode("cp1252"),
    "UTF-16 with tabs": "Kundennummer\tMail\nANN@x.com\ta\n".encode("utf-16"),
    "title rows": "Opt-outs,,\n,,\ncustomer_id,email,why\nann@x.com,a,asked\nbob@x.com,a,asked\n",
    "a line of the spreadsheet": "sep=;\nCustomer ID;Email address\nann@x.com;a\n",
}


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_in_any_dialect(kind, tmp_path):
    people = read(tmp_path, LISTS[kind])
    assert people["customer_id"][0] == "ann@x.com"
    assert people["email"][0] == "a"


def test_customers_known_by_their_address_alone(tmp_path):
    people = read(tmp_path, "Email,Telefon\nAnn@x.com,0171 1\n")
    assert people == {"customer_id": ["ann@x.com"], "email": ["Ann@x.com"], "phone": ["0171 1"]}


def test_addresses_stay_as_they_are_where_the_scores_have_capitals(tmp_path):
    customers = pa.chunked_array([["Ann@x.com", "bob@x.com"]])
    assert read(tmp_path, "customer_id\nAnn@x.com\n", customers)["customer_id"] == ["Ann@x.com"]


def test_ids_are_those_of_the_scores(tmp_path):
    assert read(tmp_path, "customer_id\n 00123 \n0123\n", NUMBERS)["customer_id"] == [
        "00123",
        "0123",
    ]
    numbers = pa.chunked_array([[7, 8]])
    assert read(tmp_path, "customer_id\n7\n9\n", numbers)["customer_id"] == [7, 9]


@pytest.mark.parametrize("written", ["2024-03-31", "31.03.2024", "03/31/2024", "31 Mar 2024"])
def test_dates_of_contacts_in_any_dialect(written, tmp_path):
    people = read(tmp_path, f"customer_id,date\nann@x.com,{written}\n")
    assert people["date"] == [dt.date(2024, 3, 31)]


@pytest.mark.parametrize(
    ("text", "customers"),
    [
        ("customer_id\nzoe@y.com\n", ADDRESSES),
        ("customer_id\n123\n", NUMBERS),  # the zeros were lost in a spreadsheet
        ("Kunde\nX1\nX2\n", pa.chunked_array([[1, 2]])),
    ],
)
def test_a_list_of_another_firm_is_refused_unless_it_is_meant(text, customers, tmp_path):
    with pytest.raises(ClvError, match=r"none of the . customers? of the list is among"):
        read(tmp_path, text, customers)
    assert len(read(tmp_path, text, customers, anyway=True)["customer_id"]) == text.count("\n") - 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("when,why\n2024-01-01,asked\n", "has no column customer_id: there are when, why"),
        ("customer_id,date\nann@x.com,01/02/2024\n", "with the day or with the month first"),
        ("customer_id,date\nann@x.com,soon\n", "dates that cannot be read, as in row 2"),
    ],
)
def test_what_cannot_be_read_is_named(text, words, tmp_path):
    with pytest.raises(ClvError, match=words) as error:
        read(tmp_path, text)
    assert error.value.hint
