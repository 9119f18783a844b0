"""Audiences: hashes by hashlib, everybody accounted for, no one without consent, nothing raw."""

import csv
import datetime as dt
import hashlib
import json
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clv.errors import ColumnError, InputError, RowError
from clv.exports.audience import audience_name, require_neutral, write_audience
from clv.intake.people import read_people

AGREED = {"ad_user_data": ["granted"], "ad_personalization": ["true"]}
ANN = {
    "customer_id": ["7"],
    "email": [" Ann.O'Neill+shop@Gmail.com"],
    "phone": ["(650) 555-1212"],
    "first_name": [" Ann  Marie"],
    "last_name": ["O'Neill-Smith"],
    "country": ["us"],
    "zip": ["94035-1234"],
}
SCORES = pd.DataFrame({"customer_id": [7], "clv": [123.456]})


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def rows_of(path) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        (
            "google",
            {
                "Email": sha("anno'neill@gmail.com"),
                "Phone": sha("+16505551212"),
                "First Name": sha("ann marie"),
                "Last Name": sha("o'neill-smith"),
                "Country": "US",
                "Zip": "94035-1234",
            },
        ),
        (
            "meta",
            {
                "email": sha("ann.o'neill+shop@gmail.com"),
                "phone": sha("16505551212"),
                "fn": sha("ann marie"),
                "ln": sha("oneillsmith"),
                "country": sha("us"),
                "zip": sha("94035"),
                "value": "123.46",
            },
        ),
        (
            "tiktok",
            {
                "Email_SHA256": sha("ann.o'neill+shop@gmail.com"),
                "Phone_SHA256": sha("+16505551212"),
            },
        ),
    ],
)
@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_a_person_normalised_by_hand(tmp_path, destination, expected, kind):
    path = tmp_path / "list.csv"
    report = write_audience(SCORES, kind(ANN | AGREED), destination, path)
    assert rows_of(path) == [expected]
    assert list(rows_of(path)[0]) == list(expected)
    assert report.file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert report.file.bytes == path.stat().st_size


@pytest.fixture
def mixed():
    """Eight customers, one for each fate."""
    contacts = pd.DataFrame(
        [
            ("in", "in@example.com", "+491711234567", "granted", "granted"),
            ("no mail", "nonsense", "+491711234568", "granted", "granted"),
            ("no phone", "np@example.com", "12", "granted", "granted"),
            ("neither", " \t", "\u00a0", "granted", "granted"),
            ("bad mail", "bad@", "", "granted", "granted"),
            ("bad phone", "", "12", "granted", "granted"),
            ("both bad", "bad@", "12", "granted", "granted"),
            ("denied", "d@example.com", None, "granted", "denied"),
            ("blank", "b@example.com", None, "granted", None),
            ("stranger", "s@example.com", None, "granted", "granted"),
        ],
        columns=["customer_id", "email", "phone", "ad_user_data", "ad_personalization"],
    )
    asked = [*contacts["customer_id"][:-1], "nobody"]
    return pd.DataFrame({"customer_id": asked, "clv": range(len(asked))}), contacts


def test_everybody_is_accounted_for(mixed, tmp_path):
    report = write_audience(*mixed, "meta", tmp_path / "a.csv")
    assert report.left_out == {
        "no contact row": 1,
        "no consent": 2,
        "no email and no phone": 1,
        "invalid email, no phone": 1,
        "phone not E.164-able, no email": 1,
        "invalid email and phone not E.164-able": 1,
    }
    assert report.left_empty == {"invalid email": 1, "phone not E.164-able": 1}
    assert report.asked == report.file.rows + sum(report.left_out.values()) == 10
    assert "asks for at least 100" in report.notes[0]
    assert "no consent: 2" in str(report)
    assert "example.com" not in json.dumps(report.to_dict())


def test_nothing_raw_leaves_and_the_order_tells_nothing(mixed, tmp_path):
    path = tmp_path / "a.csv"
    for destination in ("google", "meta", "tiktok"):
        write_audience(*mixed, destination, path)
        text = path.read_text()
        assert not any(raw in text for raw in ("example", "171123", "no mail", "stranger"))
        identifiers = [tuple(row.values())[:2] for row in rows_of(path)]
        filled = [(a or "~", b or "~") for a, b in identifiers]
        assert filled == sorted(filled)
    scores, contacts = mixed
    once = write_audience(scores, contacts, "google", path)
    again = write_audience(scores[::-1], contacts.sample(frac=1, random_state=1), "google", path)
    assert once.file.sha256 == again.file.sha256


PERSON = st.tuples(
    st.sampled_from(["ok@example.com", "bad", "", None]),
    st.sampled_from(["+491711234567", "12", " ", None]),
    st.sampled_from(["granted", "TRUE", "false", "denied", "", None]),
    st.booleans(),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PERSON, min_size=1, max_size=12))
def test_the_counts_are_those_of_a_slow_count(tmp_path, people):
    def reaches(email, phone, consent, known):
        agreed = (consent or "").lower() in ("granted", "true")
        return known and agreed and ("@" in (email or "") or "+" in (phone or ""))

    rows = [(str(i), *person[:3], "true") for i, person in enumerate(people) if person[3]]
    columns = ["customer_id", "email", "phone", "ad_user_data", "ad_personalization"]
    contacts = pd.DataFrame(rows, columns=columns, dtype="str")
    scores = pd.DataFrame({"customer_id": range(len(people))})
    expected = sum(reaches(*person) for person in people)
    if expected == 0:
        with pytest.raises(InputError, match="nobody is left"):
            write_audience(scores, contacts, "tiktok", tmp_path / "a.csv")
        return
    report = write_audience(scores, contacts, "tiktok", tmp_path / "a.csv")
    assert report.file.rows == expected == len(rows_of(tmp_path / "a.csv"))
    assert sum(report.left_out.values()) == len(people) - expected


def test_consent_is_asked_for(tmp_path):
    contacts, path = pd.DataFrame(ANN), tmp_path / "a.csv"
    with pytest.raises(ColumnError, match="no column ad_user_data, ad_personalization"):
        write_audience(SCORES, contacts, "google", path)
    with pytest.raises(ColumnError, match="who agreed"):
        write_audience(SCORES, contacts, "google", path, consent_confirmed_by=" ")
    assert not path.exists()
    report = write_audience(SCORES, contacts, "google", path, consent_confirmed_by="Eve, DPO")
    assert report.consent == "confirmed by Eve, DPO for ad_user_data and ad_personalization"


def test_what_the_contacts_say_counts_more_than_what_is_confirmed(tmp_path):
    contacts = pd.DataFrame(ANN | {"ad_user_data": [False]})
    with pytest.raises(InputError, match=r"no consent \(1\)"):
        write_audience(SCORES, contacts, "meta", tmp_path / "a.csv", consent_confirmed_by="Eve")


def test_a_consent_that_is_neither_is_not_guessed(tmp_path):
    contacts = pd.DataFrame(ANN | AGREED | {"ad_user_data": ["ja"]})
    with pytest.raises(
        RowError, match="neither gives nor withholds consent in 1 row, such as 'ja'"
    ):
        write_audience(SCORES, contacts, "meta", tmp_path / "a.csv")


def test_truth_values_are_consent(tmp_path):
    contacts = pd.DataFrame(ANN | {"ad_user_data": [True], "ad_personalization": [True]})
    assert write_audience(SCORES, contacts, "meta", tmp_path / "a.csv").file.rows == 1


@pytest.mark.parametrize(
    "name",
    ["churn-risk", "Lapsed_customers", "WinBack", "vip-list", "top1", "high-value", "low", "best"],
)
def test_names_that_tell(name):
    with pytest.raises(InputError, match="tells something about people"):
        require_neutral(name)


@pytest.mark.parametrize("name", ["clv-2026-11-A7F3", "flower-shop-7", "stop_it", "spring2027"])
def test_names_that_do_not(name):
    require_neutral(name)


@pytest.mark.parametrize("name", ["", "=1+1", "a b", "../x", "x" * 51])
def test_names_that_are_none(name):
    with pytest.raises(InputError, match="no name"):
        require_neutral(name)


def test_a_name_of_the_month_is_made_and_kept(tmp_path):
    contacts = pd.DataFrame(ANN | AGREED)
    report = write_audience(SCORES, contacts, "meta", tmp_path / "a.csv")
    require_neutral(report.audience)
    assert report.audience.startswith(f"clv-{dt.date.today():%Y-%m}-")
    chosen = write_audience(SCORES, contacts, "meta", tmp_path / "a.csv", audience="a-1")
    assert chosen.audience == "a-1"
    names = {audience_name(f"filter {i}", dt.date(2026, 11, 1)) for i in range(50)}
    assert len(names) == 50


def test_a_home_country_is_for_those_without_one_and_is_called_assumed(tmp_path):
    people = {
        "customer_id": ["1", "2", "3"],
        "phone": ["0171 1234567"] * 3,
        "country": [None, "FR", "Deutschland"],
    }
    contacts = pd.DataFrame({k: v * 3 for k, v in AGREED.items()} | people)
    scores = pd.DataFrame({"customer_id": [1, 2, 3]})
    path = tmp_path / "a.csv"
    report = write_audience(scores, contacts, "google", path, home_country="de")
    found = [(row["Phone"], row["Country"]) for row in rows_of(path)]
    assert found == [(sha("+491711234567"), "DE")]  # ten digits are one too many for France
    assert report.left_out == {"phone not E.164-able, no email": 2}
    assert "taken to be of DE: assumed" in " ".join(report.notes)
    with pytest.raises(InputError, match="no two-letter"):
        write_audience(scores, contacts, "google", path, home_country="Germany")


def test_contacts_from_a_file_keep_their_zeros(tmp_path):
    file = tmp_path / "contacts.csv"
    file.write_text(
        "customer_id,phone,zip,country,ad_user_data,ad_personalization\n"
        "007,01711234567,01067,DE,granted,granted\n"
    )
    scores = pd.DataFrame({"customer_id": ["007"]})
    write_audience(scores, read_people(file), "google", tmp_path / "a.csv")
    row = rows_of(tmp_path / "a.csv")[0]
    assert (row["Phone"], row["Zip"]) == (sha("+491711234567"), "01067")


def test_numbers_that_lost_their_zeros_are_refused(tmp_path):
    contacts = pd.DataFrame(ANN | AGREED | {"phone": [1711234567]})
    with pytest.raises(ColumnError, match=r"'phone' of the contacts holds Int64, not text"):
        write_audience(SCORES, contacts, "meta", tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("scores", "contacts", "error", "message"),
    [
        (SCORES, pd.concat([pd.DataFrame(ANN | AGREED)] * 2), RowError, "contacts is repeated"),
        (pd.concat([SCORES] * 2), pd.DataFrame(ANN | AGREED), RowError, "customers is repeated"),
        (
            SCORES,
            pd.DataFrame(ANN | AGREED | {"customer_id": [None]}),
            RowError,
            "contacts is missing",
        ),
        (SCORES[:0], pd.DataFrame(ANN | AGREED), InputError, "no customers to export"),
        (SCORES.assign(clv=-1.0), pd.DataFrame(ANN | AGREED), RowError, "missing or below 0"),
        (
            SCORES.assign(clv=float("nan")),
            pd.DataFrame(ANN | AGREED),
            RowError,
            "missing or below 0",
        ),
        (SCORES[["customer_id"]], pd.DataFrame(ANN | AGREED), ColumnError, "clv"),
        (
            SCORES,
            pd.DataFrame({"customer_id": ["7"]} | AGREED),
            ColumnError,
            "neither email nor phone",
        ),
    ],
)
def test_tables_that_cannot_be_used_leave_the_old_file(tmp_path, scores, contacts, error, message):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(error, match=message):
        write_audience(scores, contacts, "meta", path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_destinations_and_suffixes(tmp_path):
    contacts = pd.DataFrame(ANN | AGREED)
    with pytest.raises(InputError, match="no destination"):
        write_audience(SCORES, contacts, "myspace", tmp_path / "a.csv")
    with pytest.raises(InputError, match="takes CSV"):
        write_audience(SCORES, contacts, "meta", tmp_path / "a.parquet")


def test_a_filtered_table_of_a_store(tmp_path):
    with duckdb.connect() as connection:
        connection.register("scores", SCORES)
        chosen = connection.sql("SELECT * FROM scores WHERE clv > 100")
        contacts = pd.DataFrame(ANN | AGREED)
        assert write_audience(chosen, contacts, "meta", tmp_path / "a.csv").file.rows == 1
