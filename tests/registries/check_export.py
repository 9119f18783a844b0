"""A kind of file and an advertiser that ``added`` declares are written from every door."""

from __future__ import annotations

import csv
import hashlib
import json

import pandas as pd

from clv.exports.file import write_plain

SCORES = pd.DataFrame({"customer_id": ["=1+1", "b"], "clv": [2.0, 1.0]})
CONTACTS = """customer_id,email,ad_user_data,ad_personalization
a,ann@example.com,granted,granted
b,bob@example.com,granted,granted
"""


def test_a_table_is_written_with_its_values_as_they_are(tmp_path):
    file = write_plain(SCORES, tmp_path / "list.json")
    assert (file.rows, file.columns) == (2, ("customer_id", "clv"))
    rows = json.loads((tmp_path / "list.json").read_text())
    assert rows == [{"customer_id": "=1+1", "clv": 2.0}, {"customer_id": "b", "clv": 1.0}]


def test_the_command_line_writes_both(run, tmp_path):
    scores, contacts = tmp_path / "scores.csv", tmp_path / "crm.csv"
    SCORES.replace("=1+1", "a").to_csv(scores, index=False)
    contacts.write_text(CONTACTS)
    done = run("export", scores, "-o", tmp_path / "out.json")
    assert done.code == 0, done.err
    assert [row["clv"] for row in json.loads((tmp_path / "out.json").read_text())] == [2.0, 1.0]
    words = ("--to", "pinterest", "--contacts", contacts, "-o", tmp_path / "list.csv")
    done = run("export", scores, *words)
    assert done.code == 0
    assert "upload it twice" in (done.out + done.err).lower()
    with (tmp_path / "list.csv").open(newline="") as lines:
        emails = {row["email"] for row in csv.DictReader(lines)}
    assert emails == {
        hashlib.sha256(f"{name}@example.com".encode()).hexdigest() for name in ("ann", "bob")
    }
    assert "pinterest" in run("export", "--help").out
    refused = run("export", scores, "-o", tmp_path / "x.docx")
    assert "end its name in .csv or .parquet or .json" in refused.err


def test_the_api_and_the_page_offer_it(ask):
    body = {"columns": ["customer_id"], "format": "json", "customers": {"prefix": "c1"}}
    answer = ask("POST", "/v1/exports", json=body)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"].endswith('-filtered.json"')
    assert [row["customer_id"] for row in answer.json()][:2] == ["c1", "c10"]
    page = ask("GET", "/customers").text
    assert "Download as JSON" in page
    sent = ask("POST", "/customers/export", data={"prefix": "c88", "format": "json"})
    assert [row["customer_id"] for row in sent.json()] == ["c88"]
    schema = ask("GET", "/v1/openapi.json").json()["components"]["schemas"]["ExportBody"]
    assert schema["properties"]["format"]["enum"] == ["csv", "parquet", "json"]
