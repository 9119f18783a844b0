"""Exports from file to file, with their tiers, their difference and their record."""

import csv
import hashlib
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clv.decide.acquisition.tiers import with_tiers
from clv.errors import InputError
from clv.exports.audit import read_audit
from clv.exports.run import export_scores


@pytest.fixture
def folder(tmp_path):
    """Scores of 200 customers and contacts of 150 of them."""
    ids = [f"{i:03d}" for i in range(200)]
    scores = pa.table({"customer_id": ids, "clv": [float(i) for i in range(200)]})
    scores = scores.append_column("as_of", [["2026-11-21"] * 200])
    pq.write_table(scores, tmp_path / "scores.parquet")
    contacts = pd.DataFrame({"customer_id": ids[50:]})
    contacts["email"] = contacts["customer_id"] + "@example.com"
    contacts["ad_user_data"] = contacts["ad_personalization"] = "granted"
    contacts.to_csv(tmp_path / "contacts.csv", index=False)
    return tmp_path


def rows_of(path) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_a_plain_file_of_some_tiers(folder):
    found = export_scores(
        folder / "scores.parquet", folder / "a.csv", tiers=["top 1%", "1 to 5%"],
        audit=folder / "audit.jsonl", who="ann",
    )  # fmt: skip
    rows = rows_of(folder / "a.csv")
    assert sorted(row["customer_id"] for row in rows) == [f"{i:03d}" for i in range(190, 200)]
    assert {row["tier"] for row in rows} == {"top 1%", "1 to 5%"}
    log = read_audit(folder / "audit.jsonl")
    assert log == [found.record]
    assert (log[0]["who"], log[0]["destination"], log[0]["rows"]) == ("ann", "csv", 10)
    assert (log[0]["filters"], log[0]["as_of"]) == ({"tiers": ["top 1%", "1 to 5%"]}, "2026-11-21")
    assert log[0]["sha256"] == hashlib.sha256((folder / "a.csv").read_bytes()).hexdigest()


def test_an_audience_and_what_changed_since(folder):
    files = {"contacts": folder / "contacts.csv", "last": folder / "a.csv"}
    contacts = pd.read_csv(folder / "contacts.csv", dtype=str)
    first = export_scores(
        folder / "scores.parquet", folder / "a.csv", "meta", contacts=files["contacts"]
    )
    assert first.audience.left_out == {"no contact row": 50}
    contacts[:-1].to_csv(folder / "contacts.csv", index=False)
    scores = pq.read_table(folder / "scores.parquet")
    values = scores["clv"].to_pylist()
    values[100] = 500.0
    pq.write_table(scores.set_column(1, "clv", [values]), folder / "scores.parquet")
    again = export_scores(folder / "scores.parquet", folder / "a.csv", "meta", **files)
    counts = again.since_last.counts()
    assert (counts["added"], counts["removed"], counts["changed"]) == (0, 1, 1)
    gone = again.since_last.removed.to_pylist()[0]
    assert gone["email"] == hashlib.sha256(b"199@example.com").hexdigest()
    assert again.record["since_last"] == counts
    assert "who" not in again.record


def test_a_plain_file_beside_the_last(folder):
    export_scores(folder / "scores.parquet", folder / "a.csv", tiers=["top 1%"])
    found = export_scores(folder / "scores.parquet", folder / "b.csv", last=folder / "a.csv")
    assert found.since_last.added.num_rows == 198
    assert found.since_last.changed.num_rows == 0
    written = pd.read_csv(folder / "b.csv", dtype={"customer_id": str})
    expected = with_tiers(pq.read_table(folder / "scores.parquet")).to_pandas()
    assert written["decile"].tolist() == expected["decile"].tolist()


def test_what_cannot_be_exported(folder):
    scores = folder / "scores.parquet"
    with pytest.raises(InputError, match="is no tier"):
        export_scores(scores, folder / "a.csv", tiers=["gold"])
    with pytest.raises(InputError, match="needs contacts"):
        export_scores(scores, folder / "a.csv", "google")
    with pytest.raises(InputError, match="is the file that is read"):
        export_scores(scores, scores)
    assert not (folder / "a.csv").exists()
