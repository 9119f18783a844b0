"""The audit: a line per login, plan and export, never mixed, never a customer."""

import datetime as dt
import json
import subprocess
import sys

import pytest

from clv.errors import InputError
from clv.exports.audit import Audit, read_audit
from clv.exports.file import ExportedFile

FILE = ExportedFile("top.csv", 10, ("customer_id", "clv"), 120, "ab12")
MANY = """
import sys
from clv.exports.audit import Audit
from clv.exports.file import ExportedFile
audit = Audit(sys.argv[1])
file = ExportedFile("top.csv", 10, ("customer_id",) * 200, 120, "ab12")
for number in range(100):
    audit.export(sys.argv[2], "csv", file, number=number)
"""


def test_a_record_says_who_when_and_what(tmp_path):
    log = tmp_path / "folder" / "audit.jsonl"
    noon = dt.datetime(2026, 11, 22, 13, 0, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    Audit(log).export(
        "ann", "google", FILE, when=noon, filters={"tier": "top 1%"},
        left_out={"no consent": 3}, audience="clv-2026-11-A7F3",
    )  # fmt: skip
    assert read_audit(log) == [
        {
            "when": "2026-11-22T12:00:00+00:00",
            "who": "ann",
            "event": "export",
            "destination": "google",
            "filters": {"tier": "top 1%"},
            "path": "top.csv",
            "rows": 10,
            "columns": ["customer_id", "clv"],
            "bytes": 120,
            "sha256": "ab12",
            "left_out": {"no consent": 3},
            "audience": "clv-2026-11-A7F3",
        }
    ]
    assert log.stat().st_mode & 0o077 == 0


def test_no_customer_is_in_it_and_no_line_can_be_forged(tmp_path):
    log = tmp_path / "audit.jsonl"
    filters = {"search": "Bob", "where": "bob@example.com", "customer_id": "7", "q": ""}
    Audit(log).export("ann\n{}", "csv", FILE, filters=filters)
    text = log.read_text()
    assert not any(name in text for name in ("Bob", "bob@", '"7"'))
    assert len(text.splitlines()) == 1
    assert json.loads(text)["filters"]["q"] == ""


def test_lines_of_several_processes_do_not_mix(tmp_path):
    log = tmp_path / "audit.jsonl"
    running = [
        subprocess.Popen([sys.executable, "-c", MANY, str(log), who]) for who in ("ann", "bob")
    ]
    assert [process.wait(timeout=60) for process in running] == [0, 0]
    records = read_audit(log)
    for who in ("ann", "bob"):
        assert [row["number"] for row in records if row["who"] == who] == list(range(100))


def test_no_log_yet_and_none_possible(tmp_path):
    assert read_audit(tmp_path / "audit.jsonl") == []
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        Audit(tmp_path / "file" / "audit.jsonl")
