"""Addresses of databases: what is read, what is refused, and no password anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from clv.errors import InputError
from clv.io.database_drivers import DRIVERS
from clv.io.databases import DatabaseAddress
from clv.io.files import check_output

BASE = "postgresql://ann@db.example.com/shop"
ODD = "SELECT a + b FROM t WHERE c = 'x&y?z'"


@pytest.mark.parametrize(
    ("text", "query", "uri"),
    [
        (f"{BASE}?query={ODD}", ODD, BASE),
        (f"{BASE}?sslmode=require&query=SELECT 1", "SELECT 1", f"{BASE}?sslmode=require"),
        (f"{BASE}?table=m.t&sslmode=off", 'SELECT * FROM "m"."t"', f"{BASE}?sslmode=off"),
        ('postgres:///shop?table=a"b', 'SELECT * FROM "a""b"', "postgres:///shop"),
        (f"{BASE}?table=t", 'SELECT * FROM "t"', BASE),
        ("snowflake://ann@acme/shop/m?warehouse=w&table=m.Orders", 'SELECT * FROM "M"."Orders"',
         "snowflake://ann@acme/shop/m?warehouse=w"),
        ("bigquery://shop-1/m?location=EU&table=o`t", "SELECT * FROM `o\\`t`",
         "bigquery://shop-1/m?location=EU"),
        ("duckdb:shop.duckdb?table=t", 'SELECT * FROM "t"', "duckdb:shop.duckdb"),
        ("duckdb:/data/shop.duckdb?query=SELECT 1", "SELECT 1", "duckdb:/data/shop.duckdb"),
    ],
)  # fmt: skip
def test_an_address_says_what_is_read_and_where(text, query, uri):
    for form in (text, Path(text)) if "///" not in text else (text,):
        address = DatabaseAddress.parse(form)
        assert address is not None
        assert (address.sql, address.opened()) == (query, (DRIVERS[text.split(":")[0]], uri))
        assert str(address) == text


@pytest.mark.parametrize(
    "text", ["orders.parquet", "a/b:c/*.csv", "-", "C:/orders.csv", "", "may:orders.csv"]
)
def test_a_path_is_no_address(text):
    assert DatabaseAddress.parse(text) is None


def test_what_the_environment_holds_is_put_in_where_it_is_opened_alone(monkeypatch):
    monkeypatch.setenv("PW", "p@ss/w:rd")
    monkeypatch.setenv("SHOP_DB", "postgresql://bob:pw@host/shop?sslmode=require")
    one = DatabaseAddress.parse("postgresql://ann:${PW}@host/shop?query=SELECT 1")
    assert one is not None
    assert "p@ss" not in f"{one!r} {one}"
    assert one.opened()[1] == "postgresql://ann:p%40ss%2Fw%3Ard@host/shop"
    whole = DatabaseAddress.parse("${SHOP_DB}?connect_timeout=3&table=t")
    assert whole is not None
    assert "pw" not in repr(whole)
    assert whole.opened()[1] == "postgresql://bob:pw@host/shop?sslmode=require&connect_timeout=3"
    monkeypatch.setenv("SNOWFLAKE_PASSWORD", "pw?")
    for user, start in (("ann", "ann:pw%3F"), ("ann:${PW}", "ann:p%40ss%2Fw%3Ard")):
        text = f"snowflake://{user}@acme/shop?authenticator=oauth&token=${{PW}}&table=t"
        flake = DatabaseAddress.parse(text)
        assert flake is not None
        end = "acme/shop?authenticator=oauth&token=p%40ss%2Fw%3Ard"
        assert flake.opened()[1] == f"snowflake://{start}@{end}"
    monkeypatch.delenv("PW")
    with pytest.raises(InputError, match="the environment has no PW"):
        one.opened()


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ann:secret@host/shop?query=SELECT 1",
        "postgresql:/ann:secret@host/shop?query=SELECT 1",
        "postgresql://ann:sec@secret@host/shop?table=t",
        "postgresql://ann:sec/secret@host/shop?table=t",
        "postgresql://ann:sec?secret@host/shop?query=SELECT 1",
        "postgresql://host/shop?password=secret&table=t",
        "${SHOP_DB}?sslpassword=secret&table=t",
        "mysql://ann:secret@host/shop?table=t",
        "snowflake://ann@acme/shop?authenticator=oauth&token=secret&table=t",
        "snowflake://ann@acme/shop?privateKey=secret&query=SELECT 1",
    ],
)
def test_a_password_that_is_typed_is_refused_and_not_repeated(text):
    with pytest.raises(InputError, match="holds a password") as caught:
        DatabaseAddress.parse(text)
    assert "secret" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s3://bucket/orders.parquet", "nothing is read from s3:"),
        ("postgresql+psycopg2://host/shop?table=t", "nothing is read from postgresql"),
        (BASE, "neither query nor table"),
        (f"{BASE}?query= ", "neither query nor table"),
    ],
)
def test_what_is_no_address_of_a_database_says_how_one_looks(text, said):
    with pytest.raises(InputError, match=said) as caught:
        DatabaseAddress.parse(text)
    assert "postgresql://" in str(caught.value.hint)


def test_scores_are_written_to_a_table_and_not_to_a_query():
    assert check_output(f"{BASE}?table=t", kind="scores") == Path(f"{BASE}?table=t")
    with pytest.raises(InputError, match="not to a query"):
        check_output(f"{BASE}?query=SELECT 1", kind="scores")
    with pytest.raises(InputError, match="does not say which kind"):
        check_output(f"{BASE}?table=t")  # other tables are written to files
