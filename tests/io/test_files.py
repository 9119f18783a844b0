"""Files in: nothing guessed, nothing skipped. Files out: whole or not at all."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clv.errors import InputError
from clv.io.changes import written_beside
from clv.io.files import (
    check_output,
    read_json,
    read_log,
    read_table,
    write_json,
    write_table,
)

HEADER = "customer_id,date,amount\n"


def text_file(folder: Path, name: str, text: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def test_a_log_in_csv_stays_text(tmp_path):
    file = text_file(tmp_path, "log.csv", HEADER + "007,03/04/2024,1e3\n7,,5\n")
    assert read_log(file).fetchall() == [("007", "03/04/2024", "1e3"), ("7", None, "5")]


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["unix", "windows"])
def test_dialects_of_csv(tmp_path, sign, start, end):
    lines = ["customer_id,name,amount", '1,"O""Neil, Jr",5.5', "", "2,it's,6"]
    quoted = lines[1] if sign == "," else lines[1].replace(", Jr", " Jr")
    text = end.join([lines[0], quoted, *lines[2:]]).replace(",", sign)
    if sign == ",":
        text = end.join(lines)
    file = text_file(tmp_path, "log.csv", start + text.encode())
    first, second = read_log(file).fetchall()
    assert first == ("1", 'O"Neil, Jr' if sign == "," else 'O"Neil Jr', "5.5")
    assert second == ("2", "it's", "6")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEADER + "a,2024-01-01,5\nb,2024-01-01,5,7,8\n", "line 3.*Expected.*3.*Found: 4"),
        (HEADER + "a,2024-01-01,5\nb,2024-01-01\nc,2024-01-01,7\n", "line 3.*Found: 2"),
        (HEADER + 'a,2024-01-01,"5\nb,2024-01-01,6\n', "unterminated quote"),
        ("# export\n" + HEADER + "a,2024-01-01,5\n", "Expected Number of Columns: 1"),
        (HEADER.encode() + "Müller,2024-01-01,5\n".encode("latin-1"), "not utf-8(.|\n)*UTF-8"),
        ("a,a,b\n1,2,3\n", "several columns called 'a'"),
        ("", "is empty"),
    ],
)
def test_csv_that_is_damaged_is_refused_with_its_line(tmp_path, text, said):
    file = text_file(tmp_path, "log.csv", text)
    for read in (read_log, read_table):
        with pytest.raises(InputError, match=said):
            read(file)


def test_a_table_gets_the_type_that_every_value_has(tmp_path):
    text = """customer_id,n,clv,day,mixed,label,none
007,1,1.5,2024-01-31,5,2024-01,
8,2,,2024-02-01,x,2024-02,
"""
    table = read_table(text_file(tmp_path, "t.csv", text))
    assert table.to_pydict() == {
        "customer_id": ["007", "8"],
        "n": [1, 2],
        "clv": [1.5, None],
        "day": [dt.date(2024, 1, 31), dt.date(2024, 2, 1)],
        "mixed": ["5", "x"],
        "label": ["2024-01", "2024-02"],
        "none": [None, None],
    }


def test_folders_patterns_and_compressed_files(tmp_path):
    for name in ("a", "b"):
        pq.write_table(pa.table({"customer_id": [name]}), tmp_path / f"{name}.parquet")
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress(b"customer_id\nc\n"))
    assert sorted(read_log(tmp_path).fetchall()) == [("a",), ("b",)]
    assert sorted(read_log(tmp_path / "*.parquet").fetchall()) == [("a",), ("b",)]
    assert read_log(tmp_path / "c.csv.gz").fetchall() == [("c",)]
    with pytest.raises(InputError, match="mixes Parquet and CSV"):
        read_log(tmp_path / "*")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ordres.csv", "there is no file.*(\n.*)*did you mean.*orders.csv"),
        ("nowhere/orders.csv", "no folder"),
        ("*.feather", "no file matches"),
        ("orders.xlsx", "format(.|\n)*CSV"),
        ("fake.parquet", "cannot be read"),
    ],
)
def test_files_that_are_not_there_or_of_another_kind(tmp_path, name, said):
    text_file(tmp_path, "orders.csv", HEADER)
    text_file(tmp_path, "orders.xlsx", "")
    text_file(tmp_path, "fake.parquet", "this is no parquet file at all")
    with pytest.raises(InputError, match=said):
        read_log(tmp_path / name)


@pytest.mark.parametrize("name", ["scores.parquet", "scores.csv", "new/folder/scores.csv"])
def test_what_is_written_reads_back(tmp_path, name):
    table = pa.table({"customer_id": ["007", 'a,"b"'], "clv": [0.1 + 0.2, None], "n": [1, 2]})
    file = write_table(table, tmp_path / name)
    assert read_table(file).to_pydict() == table.to_pydict()
    assert os.listdir(file.parent) == [file.name]  # noqa: PTH208 - hidden files too


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    file = text_file(tmp_path, "scores.csv", "old")

    def fail() -> None:
        with written_beside(file) as beside:
            beside.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_outputs_that_would_do_harm_are_refused(tmp_path):
    log = text_file(tmp_path, "log.csv", HEADER)
    (tmp_path / "link.csv").symlink_to(log)
    (tmp_path / "folder.csv").mkdir()
    for output, said in {
        "log.csv": "is the file that is read",
        "link.csv": "is the file that is read",
        "folder.csv": "is a folder",
        "scores": "which kind of file",
        "scores.xlsx": "which kind of file",
    }.items():
        with pytest.raises(InputError, match=said):
            check_output(tmp_path / output, tmp_path / "l*.csv")
    with pytest.raises(InputError, match="cannot be written"):
        write_table(pa.table({"a": [1]}), log / "inside.csv")


def test_csv_runs_in_no_spreadsheet_and_its_numbers_stay(tmp_path):
    text = ["=1+1", "+49", "-1+1", "@A1", "\tx", "\rx", "-12", "a=b", None]
    table = pa.table(
        {
            "=id": text,
            "kind": pa.array(text).dictionary_encode(),
            "n": list(range(-4, 5)),
            "x": [-0.5] * 9,
            "day": [dt.date(2024, 1, 31)] * 9,
            "yes": [True] * 9,
        }
    )
    with write_table(table, tmp_path / "t.csv").open(encoding="utf-8", newline="") as lines:
        heading, *rows = csv.reader(lines)
    safe = ["'=1+1", "'+49", "'-1+1", "'@A1", "'\tx", "'\rx", "-12", "a=b", ""]
    assert heading == ["'=id", *table.column_names[1:]]
    assert [row[0] for row in rows] == [row[1] for row in rows] == safe
    assert [row[2:] for row in rows][:2] == [
        ["-4", "-0.5", "2024-01-31", "true"],
        ["-3", "-0.5", "2024-01-31", "true"],
    ]
    assert read_table(write_table(table, tmp_path / "t.parquet")).to_pydict() == table.to_pydict()


@pytest.mark.parametrize(("kind", "name"), [("table", "a.json"), ("page", "a.csv"), ("json", "a")])
def test_a_kind_of_file_has_its_endings(tmp_path, kind, name):
    with pytest.raises(InputError, match="which kind of file"):
        check_output(tmp_path / name, kind=kind)


def test_json_is_whole_and_holds_no_nan(tmp_path):
    value = {"a": float("nan"), "b": [1, "ü"], "day": dt.date(2024, 1, 31)}
    file = write_json(value, tmp_path / "new" / "a.json")
    assert read_json(file) == {"a": None, "b": [1, "ü"], "day": "2024-01-31"}
    assert os.listdir(file.parent) == [file.name]  # noqa: PTH208 - hidden files too
    with pytest.raises(InputError, match="cannot be written"):
        write_json(value, file / "b.json")
