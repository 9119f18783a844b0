"""CSV as a German spreadsheet reads and writes it, and back."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow as pa
import pytest

from clv.app.batch import _writer, safe_batch
from clv.io.files import read_table, write_table
from clv.locales import in_locale

TABLE = pa.table(
    {
        "customer_id": ["007", "=1+1", "Müller; Söhne"],
        "clv": [1207.59, -0.5, None],
        "tiny": [1e-7, 2.0, 3.25],
        "orders": [3, 0, 12],
        "note": ["1.234", "a,b", "x"],
    }
)


def written(folder: Path, locale: str) -> Path:
    with in_locale(locale):
        return write_table(TABLE, folder / "list.csv")


def german_number(text: str) -> float:
    """As a German spreadsheet takes a cell: points group thousands, a comma begins decimals."""
    return float(text.replace(".", "").replace(",", "."))


def test_a_german_spreadsheet_sees_columns_umlauts_and_numbers(tmp_path):
    raw = written(tmp_path, "de_DE").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(raw.decode("utf-8-sig").splitlines(), delimiter=";"))
    assert [row["customer_id"] for row in rows] == ["007", "'=1+1", "Müller; Söhne"]
    assert [row["clv"] for row in rows] == ["1207,59", "-0,5", ""]
    assert [german_number(row["tiny"]) for row in rows] == TABLE["tiny"].to_pylist()
    assert [row["orders"] for row in rows] == ["3", "0", "12"]
    assert [row["note"] for row in rows] == ["1.234", "a,b", "x"]  # text stays what it is


@pytest.mark.parametrize("locale", ["de_DE", "fr_FR", "en_GB", "de_CH"])
def test_what_is_written_is_read_back_as_it_was(tmp_path, locale):
    back = read_table(written(tmp_path, locale))
    for name in ("clv", "tiny", "orders"):
        assert back[name].to_pylist() == TABLE[name].to_pylist()


def test_elsewhere_nothing_has_changed(tmp_path):
    text = written(tmp_path, "en_GB").read_text(encoding="utf-8")
    assert text.splitlines()[:2] == [
        "customer_id,clv,tiny,orders,note",
        "007,1207.59,1e-07,3,1.234",
    ]


def test_a_comma_between_columns_is_no_decimal_one(tmp_path):
    file = tmp_path / "list.csv"
    file.write_text('customer_id,amount\n1,"1,234"\n', encoding="utf-8")
    assert read_table(file).to_pylist() == [{"customer_id": "1", "amount": "1,234"}]


def test_scores_written_batch_by_batch_are_alike(tmp_path):
    file = tmp_path / "scores.csv"
    batch = TABLE.select(["customer_id", "clv", "orders"]).to_batches()[0]
    local = safe_batch(batch, decimal_comma=True)
    with in_locale("de_DE"), _writer(file, local.schema) as writer:
        writer.write_batch(local)
    back = read_table(file)
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    assert back["clv"].to_pylist() == [1207.59, -0.5, None]
    assert back["customer_id"].to_pylist()[::2] == ["007", "Müller; Söhne"]
