# ruff: noqa: E501 - JSON is written as it is, a record a line
"""Files of every kind: packed, sheets, JSON, Parquet, folders; and those that are refused."""

import datetime as dt
import gzip
import json
import os
import random
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clv.app.data_file import read_data
from clv.app.training.config import Config
from clv.cli.main import main
from clv.errors import ClvError, InputError
from clv.intake.check import check_files, read_files
from clv.intake.file_paths import files_of
from clv.intake.sources import read_source

TODAY = dt.date(2026, 1, 1)
CSV = "customer_id,date,amount\na,2024-01-05,10\nb,2024-02-05,20.50\n"


def result(*files, **stated):
    check = check_files(files, today=TODAY, stated=stated).check
    assert [question.text for question in check.questions] == []
    return check.purchases, check.customers, check.amount


def ended(*words):
    """The exit code of a command."""
    with pytest.raises(SystemExit) as end:
        main([*words])
    return end.value.code


def zstd(data):
    return pa.Codec("zstd").compress(data, asbytes=True)


def sheet(rows):
    """An Excel file of one sheet: text stands in its cells, numbers as numbers, days as serials."""
    lines = []
    for number, row in enumerate(rows, start=1):
        cells = [
            f'<c t="inlineStr"><is><t>{cell}</t></is></c>'
            if isinstance(cell, str)
            else f'<c s="1"><v>{(cell - dt.date(1899, 12, 30)).days}</v></c>'
            if isinstance(cell, dt.date)
            else f"<c><v>{cell}</v></c>"
            for cell in row
        ]
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    return {
        "_rels/.rels": f'<Relationships xmlns="{package}"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        '<sheet name="Orders" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}"><Relationship Id="r1" '
        f'Type="{office}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2" '
        f'Type="{office}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{main}"><cellXfs count="2"><xf numFmtId="0"/>'
        '<xf numFmtId="14"/></cellXfs></styleSheet>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{"".join(lines)}'
        "</sheetData></worksheet>",
    }


def write_sheet(file, rows):
    with zipfile.ZipFile(file, "w") as book:
        for name, text in sheet(rows).items():
            book.writestr(name, text)
    return file


def test_packed_files_are_unpacked(tmp_path):
    packed = {
        "a.csv.gz": gzip.compress(CSV.encode()),
        "b.csv.zst": zstd(CSV.encode()),
        "c.tsv.gz": gzip.compress(CSV.replace(",", "\t").encode("utf-16")),
        "d.jsonl.gz": gzip.compress(b'{"customer_id": "a", "date": "2024-01-05", "amount": 30.5}'),
    }
    sums = []
    for name, data in packed.items():
        (tmp_path / name).write_bytes(data)
        sums.append(result(tmp_path / name))
    assert sums == [(2, 2, 30.5), (2, 2, 30.5), (2, 2, 30.5), (1, 1, 30.5)]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"id": "\\ud800", "amount": 5}\n{"id": "a", "amount": 5}\n', "'id': record 1 of 1"),
        ('[{"\\udc00x": "a", "amount": 5}]', "its name"),
    ],
)
def test_half_a_character_in_json_is_named(text, where, tmp_path):
    file = tmp_path / "orders.jsonl"
    file.write_text(text)
    with pytest.raises(InputError, match="holds half a character") as refused:
        read_source([str(file)])
    assert where in str(refused.value)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("plain.csv.gz", CSV.encode()),
        ("cut.csv.gz", gzip.compress(os.urandom(4000))[:2000]),
        ("empty.csv.gz", b""),
        ("plain.csv.zst", CSV.encode()),
        ("plain.xlsx", CSV.encode()),
        ("plain.parquet", CSV.encode()),
        ("plain.jsonl", CSV.encode()),
        ("cut.json", b'[{"customer_id": "a", "date": '),
        ("numbers.json", b"[1, 2, 3]"),
        ("nothing.json", b"[]"),
        ("deep.json", b"[" * 100_000),
        ("orders.pdf", b"%PDF-1.4"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(name, data, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=name):
        check_files([tmp_path / name], today=TODAY)


def test_a_sheet_with_titles_days_and_totals(tmp_path):
    rows = [
        ["Orders of January"],
        [],
        ["Customer ID", "Order Date", "Total"],
        [1001, dt.date(2024, 1, 5), 10],
        [1002, dt.date(2024, 1, 31), 20.5],
        ["Total", "", 30.5],
    ]
    file = write_sheet(tmp_path / "orders.xlsx", rows)
    assert result(file) == (2, 2, 30.5)
    assert check_files([file], today=TODAY).check.last_day == dt.date(2024, 1, 31)
    german = [["Kunde", "Bestelldatum", "Betrag"], ["a", "05.01.2024", "1.234,50 €"]]
    assert result(write_sheet(tmp_path / "de.xlsx", german)) == (1, 1, 1234.5)
    with pytest.raises(InputError, match=r"has no sheet 'Sales'\."):
        check_files([file], stated={"sheet": "Sales"})


ORDERS = [
    {
        "id": 1,
        "buyer": {"email": "A@x.com"},
        "created_at": "2024-01-05T10:00:00Z",
        "total": "10.00",
    },
    {
        "id": 2,
        "buyer": {"email": "b@x.com"},
        "created_at": "2024-02-05T10:00:00Z",
        "total": "20.50",
    },
    {"id": 3, "buyer": {"email": "a@x.com"}, "created_at": "2024-03-05T10:00:00Z", "total": None},
]
COLUMNS = {"customer_id": "buyer.email"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lines.jsonl", "\n".join(map(json.dumps, ORDERS)) + "\n\n"),
        ("list.json", json.dumps(ORDERS)),
        ("pretty.json", json.dumps(ORDERS, indent=2)),
        ("answer.json", json.dumps({"orders": ORDERS, "next": None})),
        ("mark.json", "\ufeff" + json.dumps(ORDERS)),
        ("separators.jsonl", "\n".join(json.dumps(r | {"n": "x\u2028y"}, ensure_ascii=False) for r in ORDERS)),
    ],
)  # fmt: skip
def test_json_in_lines_lists_and_answers(name, text, tmp_path):
    (tmp_path / name).write_text(text, encoding="utf-8")
    intake = check_files(
        [tmp_path / name], today=TODAY, stated={"columns": COLUMNS}, max_unread=0.5
    )
    check = intake.check
    assert (check.questions, check.purchases, check.amount) == ((), 2, 30.5)
    assert [(part.reason, part.rows) for part in check.left_out] == [("amount is missing", 1)]


def parquet(file, zone, amounts=(10.0, 20.5)):
    at = [dt.datetime(2024, 1, 5, 23, 30), dt.datetime(2024, 7, 5, 23, 30)]
    columns = {
        "customer_id": ["a", "b"],
        "date": pa.array(at, pa.timestamp("us", tz=zone)),
        "amount": list(amounts),
    }
    pq.write_table(pa.table(columns), file)
    return file


@pytest.mark.parametrize(
    ("zone", "stated", "expected"),
    [
        (None, {}, ("2024-01-05", "2024-07-05")),
        ("UTC", {}, ("2024-01-05", "2024-07-05")),
        ("UTC", {"time_zone": "Europe/Berlin"}, ("2024-01-06", "2024-07-06")),
        ("UTC", {"time_zone": "America/New_York"}, ("2024-01-05", "2024-07-05")),
        ("Europe/Berlin", {"time_zone": "Europe/London"}, ("2024-01-05", "2024-07-06")),
    ],
)
def test_parquet_with_a_zone(zone, stated, expected, tmp_path):
    # what is stored is UTC: 23:30 in winter is 00:30 in Berlin, in summer 00:30 in London
    file = parquet(tmp_path / "orders.parquet", zone)
    check = check_files([file], today=TODAY, stated=stated).check
    assert check.questions == ()
    assert (str(check.first_day), str(check.last_day)) == expected


def test_of_a_folder_only_the_tables_that_are_meant(tmp_path):
    parquet(tmp_path / "part-0.parquet", None)
    for place in ("_temporary/0", ".hidden", "2024"):
        (tmp_path / place).mkdir(parents=True)
        parquet(tmp_path / place / "part-1.parquet", None)
    for name in ("_SUCCESS", ".part-0.parquet.crc", "notes.md"):
        (tmp_path / name).write_text("x")
    assert [file.removeprefix(f"{tmp_path}/") for file in files_of([tmp_path])] == [
        "2024/part-1.parquet",
        "part-0.parquet",
    ]
    assert result(tmp_path)[2] == 61.0


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ("_delta_log/0.json", "is a Delta table, which cannot be read"),
        ("metadata/v1.metadata.json", "is an Iceberg table, which cannot be read"),
        ("_temporary/part-0.csv", "holds no table"),
        (".hidden/part-0.csv", "holds no table"),
    ],
)
def test_folders_that_are_no_tables(inside, words, tmp_path):
    (tmp_path / inside).parent.mkdir()
    (tmp_path / inside).write_text(CSV)
    with pytest.raises(InputError, match=words):
        read_source([tmp_path])


def test_pipes_and_devices_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "link.csv").symlink_to(tmp_path / "pipe.csv")
    for path in (tmp_path / "pipe.csv", tmp_path / "link.csv", "-", "/dev/zero", "/dev/null"):
        with pytest.raises(InputError, match="is no regular file but a pipe or a device"):
            files_of([path])
    with pytest.raises(InputError, match="holds no table"):
        files_of([tmp_path])  # a pipe in a folder is passed over


def test_files_of_one_export_may_have_their_columns_in_any_order(tmp_path):
    (tmp_path / "1.csv").write_text(CSV)
    (tmp_path / "2.csv").write_text("amount;date;customer_id\n5;2024-03-05;a\n")
    (tmp_path / "3.csv").write_text("date\tcustomer_id\tamount\n2024-04-05\tc\t1\n")
    assert result(tmp_path) == (4, 3, 36.5)
    assert result(tmp_path / "*.csv") == (4, 3, 36.5)
    (tmp_path / "4.csv").write_text("customer_id,date,total\na,2024-01-05,10\n")
    with pytest.raises(InputError, match=r"4.csv has other columns than .*1.csv: amount, total\."):
        result(tmp_path)


def test_parquet_and_text_amounts_of_two_files_are_one_column(tmp_path):
    parquet(tmp_path / "1.parquet", None)
    parquet(tmp_path / "2.parquet", None, amounts=("1.25", "2.25"))
    assert result(tmp_path)[2] == 34.0


# Hostile input: nothing but an error of ours, whatever stands in a file

SOURCES = {
    "orders.csv": CSV * 3,
    "orders.jsonl": "\n".join(map(json.dumps, ORDERS)),
    "orders.json": json.dumps(ORDERS),
    "clv.toml": '[data]\nfiles = ["orders.csv"]\ndate_order = "dmy"\ndecimal = "."\n'
    '[data.columns]\ncustomer_id = "customer_id"\ndate = "date"\namount = "amount"\n',
}


def mutated(data, rng):
    """Bytes with a few faults: cut, overwritten, doubled, or nested without end."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(data) + 1)
        fault = rng.randrange(5)
        if fault == 0:
            del data[place:]
        elif fault == 1:
            data[place : place + 3] = rng.randbytes(rng.randint(1, 6))
        elif fault == 2:
            data[place:place] = data[: rng.randint(0, 60)]
        elif fault == 3:
            data[place:place] = rng.choice([b"[", b"{", b'"', b"\0", b",", b"[[["]) * rng.choice(
                [1, 3000]
            )
        else:
            del data[place : place + rng.randint(1, 9)]
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files_end_in_an_error_of_ours(seed, tmp_path):
    rng = random.Random(seed)
    outcomes = {"read": 0, "refused": 0}
    for name in SOURCES:
        for number in range(12 if name != "clv.toml" else 20):
            file = tmp_path / f"{number}-{name}"
            file.write_bytes(mutated(SOURCES[name].encode(), rng))
            try:
                if name.endswith("toml"):
                    read_data(file)
                else:
                    read_source([file])
                outcomes["read"] += 1
            except ClvError:
                outcomes["refused"] += 1
    assert outcomes["refused"] > 10
    assert sum(outcomes.values()) == 56


@pytest.mark.parametrize("seed", range(2))
def test_damaged_logs_are_checked_or_refused(seed, tmp_path):
    rng = random.Random(100 + seed)
    for number in range(12):
        file = tmp_path / f"{number}.csv"
        file.write_bytes(mutated(SOURCES["orders.csv"].encode(), rng))
        try:
            check = check_files([file], today=TODAY).check
        except ClvError:
            continue
        assert check.questions or check.purchases is not None


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "orders.csv").write_text(CSV)
    (tmp_path / "taken").write_text("a file, where a folder is needed")
    assert ended("init", "orders.csv", "--output", "taken/shop.toml") == 3
    message = capsys.readouterr().err
    assert "taken/shop.toml cannot be written: File exists." in message
    assert "fault of clv" not in message


def test_what_was_answered_is_kept_and_asked_about_once(tmp_path, monkeypatch, capsys):
    """Once answered, the file is one to train by: its cutoff is that of the log."""
    monkeypatch.chdir(tmp_path)
    rows = [f"a,2024-01-{day:02},{day}.50,{('done', 'zaq')[day % 2]}\n" for day in range(1, 29)]
    (tmp_path / "orders.csv").write_text("customer_id,date,amount,status\n" + "".join(rows))
    assert ended("init", "orders.csv") == 0
    with pytest.raises(InputError, match="'zaq' count as") as asked:
        read_files("orders.csv", recipe=read_data("clv.toml").recipe())
    assert "or 'zaq'" not in asked.value.message
    assert asked.value.hint.startswith("move the words to counted_status or leave_out_status in")
    written = Path("clv.toml").read_text()
    answered = written.replace('unclear_status = ["zaq"]', 'counted_status = ["zaq"]')
    Path("clv.toml").write_text(answered)
    assert Config.read("clv.toml").holdout.cutoff is None
    assert ended("init", "orders.csv") == 3
    assert "--overwrite" in capsys.readouterr().err
    assert Path("clv.toml").read_text() == answered
    assert ended("init", "orders.csv", "--overwrite") == 0
    assert Path("clv.toml").read_text() == written


@pytest.mark.parametrize(
    "text",
    [
        b"customer_id,date,amount\na,2024-01-05,10\nb,2024-02-05,20\r\n",
        b"customer_id,date,amount\r\na,2024-01-05,10\nb,2024-02-05,20\n\r\n",
        b"customer_id,date,amount\na,2024-01-05,10\r\nb,2024-02-05,20",
    ],
)
def test_lines_that_end_in_two_ways_are_read(text, tmp_path):
    file = tmp_path / "orders.csv"
    file.write_bytes(text)
    check = check_files([file], today=TODAY).check
    assert (check.purchases, check.customers, check.amount) == (2, 2, 30.00)
