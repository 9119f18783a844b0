"""``clv export`` as its user meets it, and CSV that no spreadsheet runs, whoever writes it."""

from __future__ import annotations

import csv
import hashlib
import importlib
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clv.cli import export
from clv.data.cdnow import END_OF_CALIBRATION, cdnow_log
from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.exports.formats import FORMATS, ExportFormat
from clv.exports.identifiers import hashed
from clv.scorer import CustomerScorer

AS_OF = str(END_OF_CALIBRATION)
NASTY = ("=1+1", "+49171", "-7+1", "@ABS(A1)", "=cmd|'/c calc'!A0", '=HYPERLINK("http://x","y")')
NUMBER = re.compile(r"-?[0-9.]+(e[+-]?[0-9]+)?")


@pytest.fixture(scope="module")
def home(cdnow_scorer: CustomerScorer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scores of then, those of nine months later, contacts of most, and a log of nasty ids."""
    folder = tmp_path_factory.mktemp("export")
    raw = cdnow_log(sample=True)[["customer_id", "date", "amount"]]
    for name, day in (("then", AS_OF), ("now", "1998-06-30")):
        log, _ = clean(raw, as_of=day)
        cdnow_scorer.predict(summarize(log, as_of=day)).to_parquet(folder / f"{name}.parquet")
    contacts = pd.DataFrame({"customer_id": np.arange(1, 2001)})
    contacts["email"] = [f" Person.{i}@Example.com" for i in contacts["customer_id"]]
    contacts.to_csv(folder / "bare.csv", index=False)
    agreed = np.where(contacts["customer_id"] % 4 > 0, "granted", "denied")
    agreed = contacts.assign(ad_user_data=agreed, ad_personalization=agreed)
    agreed.to_csv(folder / "crm.csv", index=False)
    cdnow_scorer.save(folder / "model")
    first = raw["customer_id"].unique()[: len(NASTY)]
    names = raw["customer_id"].map(dict(zip(first, NASTY, strict=True)))
    raw.assign(customer_id=names.fillna(raw["customer_id"].astype(str)))[:3000].to_csv(
        folder / "nasty.csv", index=False
    )
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def runs_in_a_spreadsheet(path: Path) -> list[str]:
    """Cells that start as a formula does and are no numbers."""
    with path.open(encoding="utf-8", newline="") as lines:
        cells = [cell for row in csv.reader(lines) for cell in row]
    return [cell for cell in cells if cell[:1] in set("=+-@\t\r\n") and not NUMBER.fullmatch(cell)]


def by_clv(home: Path, name: str = "now") -> pd.DataFrame:
    return pd.read_parquet(home / f"{name}.parquet").sort_values("clv", ascending=False)


def test_a_new_format_needs_no_change_of_the_command_line(run, home, tmp_path, monkeypatch):
    columns = {"mail": hashed("email"), "call": hashed("phone")}
    monkeypatch.setitem(FORMATS, "pinterest", lambda: ExportFormat("pinterest", columns, fewest=1))
    importlib.reload(export)
    assert "google, meta, tiktok, pinterest; without" in run("export", "--help").said
    output, contacts = tmp_path / "list.csv", ("--contacts", home / "crm.csv")
    done = run("export", home / "now.parquet", "-o", output, "--to", "pinterest", *contacts)
    assert done.code == 0
    assert "for pinterest" in done.said
    assert list(rows_of(output)[0]) == ["mail", "call"]
    unknown = run("export", home / "now.parquet", "-o", output, "--to", "nobody", *contacts)
    assert unknown.code == 2
    assert "'nobody' is not one of google, meta, tiktok, pinterest." in unknown.failed


def test_a_plain_file_of_the_best(run, home, tmp_path):
    output = tmp_path / "top.csv"
    words = ("--tier", "top 1%", "--columns", "customer_id, clv,tier", "-o", output)
    shown = run("export", home / "now.parquet", *words)
    best = by_clv(home)[: int(np.ceil(len(by_clv(home)) / 100))]
    rows = rows_of(output)
    assert list(rows[0]) == ["customer_id", "clv", "tier"]
    assert {row["customer_id"] for row in rows} == set(best["customer_id"].astype(str))
    assert f"{len(best)} customers exported" in shown.said
    assert hashlib.sha256(output.read_bytes()).hexdigest() in shown.out
    assert f"Written: {output}" in shown.out


def test_an_audience_accounts_for_everybody(run, home, tmp_path):
    words = ("--to", "tiktok", "--contacts", home / "crm.csv", "-o", tmp_path / "list.csv")
    shown = run("export", home / "now.parquet", *words)
    ids = by_clv(home)["customer_id"]
    known = ids[ids <= 2000]
    agreed = known[known % 4 > 0]
    assert f"{len(ids):,} asked for" in shown.said
    assert f"−{len(ids) - len(known):,} left out: no contact row" in shown.said
    assert f"−{len(known) - len(agreed):,} left out: no consent" in shown.said
    assert f"{len(agreed):,} in the file" in shown.said
    assert "Consent: the contacts' own, to both uses." in shown.said
    hashes = {hashlib.sha256(f"person.{i}@example.com".encode()).hexdigest() for i in agreed}
    assert {row["Email_SHA256"] for row in rows_of(tmp_path / "list.csv")} == hashes
    assert "example.com" not in (tmp_path / "list.csv").read_text() + shown.out


def test_what_changed_since_the_last_export(run, home, tmp_path):
    output = tmp_path / "list.csv"
    words = ("--to", "meta", "--contacts", home / "crm.csv", "-o", output)
    words += ("--tier", "top 1%", "--tier", "1 to 5%")
    assert run("export", home / "then.parquet", *words).code == 0
    before = {row["email"] for row in rows_of(output)}
    found = run("export", home / "now.parquet", *words, "--last", output, "--json").json
    now = {row["email"] for row in rows_of(output)}
    assert found["since_last"]["added"] == len(now - before) > 0
    assert found["since_last"]["removed"] == len(before - now) > 0
    assert (found["since_last"]["before"], found["since_last"]["now"]) == (len(before), len(now))
    assert found["audience"]["file"]["rows"] == found["file"]["rows"] == len(now)
    shown = run("export", home / "now.parquet", *words, "--last", output)
    assert "Since the last export" in shown.out
    assert "0 added, 0 removed, 0 changed" in shown.said


def test_consent_of_all_is_confirmed_by_somebody(run, home, tmp_path):
    words = ("--to", "google", "--contacts", home / "bare.csv", "-o", tmp_path / "list.csv")
    refused = run("export", home / "now.parquet", *words)
    assert (refused.code, refused.out) == (3, "")
    assert "--consent-confirmed-by NAME" in refused.failed
    assert not (tmp_path / "list.csv").exists()
    words += ("--consent-confirmed-by", "Ann Lee", "--audience", "clv-2026-11-A7F3")
    found = run("export", home / "now.parquet", *words, "--json").json
    assert found["audience"]["audience"] == "clv-2026-11-A7F3"
    assert "confirmed by Ann Lee" in found["audience"]["consent"]
    assert found["file"]["rows"] == (by_clv(home)["customer_id"] <= 2000).sum()


def test_each_export_leaves_a_line_and_none_is_made_without_it(run, home, tmp_path):
    log, output = tmp_path / "audit.jsonl", tmp_path / "top.csv"
    words = ("export", home / "now.parquet", "-o", output, "--tier", "top 1%")
    for who in ("ann", "bob"):
        assert run(*words, "--audit", log, "--who", who, "--quiet").code == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["who"] for line in lines] == ["ann", "bob"]
    assert lines[0]["filters"] == {"tiers": ["top 1%"]}
    assert lines[0]["sha256"] == hashlib.sha256(output.read_bytes()).hexdigest()
    output.unlink()
    refused = run(*words, "--audit", tmp_path)
    assert refused.code == 3
    assert "cannot be written" in refused.failed
    assert not output.exists()


FAILURES = [
    (2, "--contacts is for an advertiser's list", ("--contacts", "crm.csv")),
    (2, "--home-country is for an advertiser's list", ("--home-country", "DE")),
    (2, "google says what it takes", ("--to", "google", "--contacts", "crm.csv", "--columns", "a")),
    (2, "--audit FILE", ("--who", "ann")),
    (2, "'bing' is not one of", ("--to", "bing")),
    (3, "google needs contacts", ("--to", "google")),
    (3, "is no tier", ("--tier", "best")),
    (3, "no column nothing", ("--columns", "nothing")),
    (3, "tells something about people", ("--to", "tiktok", "--contacts", "crm.csv",
                                         "--audience", "vip-leavers")),
    (3, "two-letter country code", ("--to", "tiktok", "--contacts", "crm.csv",
                                    "--home-country", "Germany")),
    (3, "there is no file", ("--last", "nowhere.csv")),
]  # fmt: skip


@pytest.mark.parametrize(("code", "said", "words"), FAILURES, ids=lambda case: str(case))
def test_what_cannot_be_exported_leaves_no_file(
    run, home, monkeypatch, tmp_path, code, said, words
):
    monkeypatch.chdir(home)
    ended = run("export", "now.parquet", "-o", tmp_path / "list.csv", *words)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.failed
    assert list(tmp_path.iterdir()) == []


def test_scores_in_csv_run_in_no_spreadsheet_and_parquet_is_exact(run, home, tmp_path):
    words = ("score", home / "nasty.csv", "--model", home / "model", "--as-of", AS_OF)
    shown = run(*words, "-o", tmp_path / "s.csv")
    assert shown.code == 0, shown.err
    assert f"{len(NASTY)} ids start as a formula does" in shown.failed
    assert runs_in_a_spreadsheet(tmp_path / "s.csv") == []
    assert run(*words, "-o", tmp_path / "s.parquet").err == ""
    exact, rows = pd.read_parquet(tmp_path / "s.parquet"), rows_of(tmp_path / "s.csv")
    ids = exact["customer_id"].tolist()
    assert set(NASTY) < set(ids)
    assert [row["customer_id"] for row in rows] == [f"'{i}" if i in NASTY else i for i in ids]
    for name in exact.select_dtypes("number"):
        written = [float(row[name] or "nan") for row in rows]
        np.testing.assert_array_equal(written, exact[name].astype(float))


def test_targets_in_csv_run_in_no_spreadsheet(run, home, tmp_path):
    scores = tmp_path / "s.parquet"
    words = ("--model", home / "model", "--as-of", AS_OF, "-o", scores)
    assert run("score", home / "nasty.csv", *words).code == 0
    words = ("targets", scores, "--contact-cost", "0.01", "--save-rate", "1")
    for name in ("t.csv", "t.parquet"):
        ended = run(*words, "-o", tmp_path / name)
        assert ended.code == 0, ended.err
    exact = pd.read_parquet(tmp_path / "t.parquet")["customer_id"].tolist()
    assert set(NASTY) & set(exact)
    assert runs_in_a_spreadsheet(tmp_path / "t.csv") == []
    written = [row["customer_id"] for row in rows_of(tmp_path / "t.csv")]
    assert written == [f"'{i}" if i in NASTY else i for i in exact]
