"""Orders in files: what means the same reads the same, what is missing is counted, and bytes that
were damaged are refused or read, but nothing fails, hangs or fills the memory.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from .conftest import noting
from .hostile import damaged, draws

Rows = list[dict[str, str]]
FIELDS = ("customer_id", "date", "amount", "channel")
Expected = tuple[int, int, Decimal]  # customers, purchases, amount
ODD = ("geo.country", "a b", "_row", "c0", "select", "x'y", 'x"y', "é", "a" * 300, "#", "\u202e")


@pytest.fixture(scope="module")
def orders(home: Path) -> Rows:
    with (home / "orders.csv").open(newline="") as file:
        return [{name: row[name] for name in FIELDS} for row in csv.DictReader(file)][:120]


def expected(rows: Rows) -> Expected:
    """Worked out by hand: a day of a customer is one purchase."""
    days = {(row["customer_id"], row["date"][:10]) for row in rows}
    total = sum((Decimal(row["amount"]) for row in rows), Decimal(0))
    return len({who for who, _ in days}), len(days), total


def as_csv(
    rows: Rows, rng: random.Random, mark: str = ",", quoting: int = csv.QUOTE_MINIMAL
) -> str:
    text = io.StringIO()
    end = rng.choice(["\n", "\r\n"])
    writer = csv.DictWriter(
        text, list(rows[0]), delimiter=mark, quoting=quoting, lineterminator=end
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def written(rows: Rows, rng: random.Random, folder: Path) -> Path:
    """The rows in a kind of file, in any dialect that says the same."""
    columns = list(rows[0])
    rng.shuffle(columns)
    rows = [{name: row[name] for name in columns} for row in rows]
    kind = rng.choice(["csv", "csv", "csv.gz", "parquet", "jsonl", "json"])
    file = folder / f"orders.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    elif kind == "jsonl":
        ascii_only = rng.random() < 0.5
        file.write_text("\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows))
    elif kind == "json":
        file.write_text(json.dumps(rng.choice([rows, {"data": rows, "next": None}])))
    else:
        mark, quoting = rng.choice(",;\t|"), rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
        encoding = rng.choice(["utf-8", "utf-8-sig", "utf-16"])
        data = as_csv(rows, rng, mark, quoting).encode(encoding)
        file.write_bytes(gzip.compress(data) if kind == "csv.gz" else data)
    return file


def shuffled(rows: Rows, rng: random.Random) -> Rows:
    return rng.sample(rows, len(rows))


def wider(rows: Rows, rng: random.Random) -> Rows:
    name = rng.choice(ODD)
    return [row | {name: rng.choice(["", "a", "é", "0"])} for row in rows]


def fewer(rows: Rows, rng: random.Random) -> Rows:
    return rng.sample(rows, max(60, len(rows) - rng.randrange(60)))


def split(rows: Rows, rng: random.Random) -> Rows:
    """One order in two lines of the same day; cents that do not add up in floats."""
    at = rng.randrange(len(rows))
    whole = Decimal(rows[at]["amount"])
    part = (whole / 3).quantize(Decimal("0.01"))
    both = [rows[at] | {"amount": str(amount)} for amount in (part, whole - part)]
    return rows[:at] + both + rows[at + 1 :]


def renamed(rows: Rows, rng: random.Random) -> Rows:
    """Customers whose ids look like something else."""
    ids = {row["customer_id"] for row in rows}
    make = rng.choice(
        [lambda i: f"{i}@x.de", lambda i: f"a/{i}", lambda i: f"ü {i}", lambda i: f"={i}"]
    )
    new = {old: make(i) for i, old in enumerate(sorted(ids))}
    return [row | {"customer_id": new[row["customer_id"]]} for row in rows]


CHANGES: list[Callable[[Rows, random.Random], Rows]] = [shuffled, wider, fewer, split, renamed]
UNREADABLE = ("", "n/a", "x", "1e400", "9" * 400, "NaN", "--")


def read(verdict: Any, file: Path) -> tuple[int, dict[str, Any]]:
    code, out, _ = verdict("check", file, "--json", "--max-unread", 0.5)
    return code, json.loads(out) if out.strip() else {}


def test_what_means_the_same_reads_the_same(orders: Rows, tmp_path: Path, verdict: Any) -> None:
    failures: list[str] = []
    for rng in draws("same", 4):
        rows = orders
        for change in rng.sample(CHANGES, rng.randrange(1, 4)):
            rows = change(rows, rng)
        with noting(failures, rng):
            code, found = read(verdict, written(rows, rng, tmp_path))
            customers, purchases, amount = expected(rows)
            assert code in (0, 10), found
            assert (found["customers"], found["purchases"]) == (customers, purchases)
            assert Decimal(str(found["amount"])) == amount
        for file in tmp_path.iterdir():
            file.unlink()
    assert not failures, "\n\n".join(failures)


def test_rows_that_cannot_be_read_are_counted(orders: Rows, tmp_path: Path, verdict: Any) -> None:
    failures: list[str] = []
    for rng in draws("unread", 2):
        bad = rng.sample(range(len(orders)), rng.randrange(1, 12))
        field, word = rng.choice(["amount", "date", "customer_id"]), rng.choice(UNREADABLE)
        word = "" if field == "customer_id" else word
        rows = [row | {field: word} if k in bad else row for k, row in enumerate(orders)]
        with noting(failures, rng):
            code, found = read(verdict, written(rows, rng, tmp_path))
            customers, purchases, amount = expected(
                [r for k, r in enumerate(orders) if k not in bad]
            )
            assert code in (0, 10), found
            assert (found["customers"], found["purchases"]) == (customers, purchases)
            assert Decimal(str(found["amount"])) == amount
            assert sum(reason["rows"] for reason in found["left_out"]) == len(bad), found[
                "left_out"
            ]
        for file in tmp_path.iterdir():
            file.unlink()
    assert not failures, "\n\n".join(failures)


MORE_COLUMNS: dict[str, dict[str, Any]] = {
    "a name that ends in a space": {"date ": "date"},
    "a currency that is a number": {"currency": 1.5},
    "names that JSON takes for values": {"null": None, "NaN": 1, "Infinity": 2.0},
    "a name of 5,000 letters": {"x" * 5000: 1},
    "a name of one quote": {"'": "a"},
}


@pytest.mark.parametrize("more", MORE_COLUMNS.values(), ids=list(MORE_COLUMNS))
def test_columns_of_odd_names_and_kinds_change_nothing(
    orders: Rows, more: dict[str, Any], tmp_path: Path, verdict: Any
) -> None:
    """In a Parquet file, which has types; the column ``date `` takes the place of ``date``."""
    table = pa.Table.from_pylist(orders)
    for name, value in more.items():
        if name == "date ":
            table = table.rename_columns({"date": name})
        else:
            table = table.append_column(name, pa.array([value] * len(orders)))
    file = tmp_path / "orders.parquet"
    pq.write_table(table, file)
    code, found = read(verdict, file)
    customers, purchases, amount = expected(orders)
    assert code in (0, 10), found
    assert (found["customers"], found["purchases"]) == (customers, purchases)
    assert Decimal(str(found["amount"])) == amount


READERS = (
    (("check", "{}"), "orders.csv"),
    (("score", "{}", "--model", "model", "--anyway", "--output", "new.csv"), "orders.csv"),
    (("score", "orders.csv", "--model", "{}", "--anyway", "--output", "new.csv"), "model"),
    (("targets", "{}", "--contact-cost", "1"), "scores.csv"),
    (("targets", "scores.csv", "--offers", "{}"), "offers.toml"),
    (
        ("targets", "scores.csv", "--campaign-log", "{}", "--campaign-scores", "scores.csv"),
        "campaign.csv",
    ),
    (("allocate", "{}"), "plan.toml"),
    (("channels", "{}", "--log", "orders.csv", "--model", "model"), "spend.csv"),
    (("publish", "{}", "--to", "newstore"), "scores.csv"),
    (("publish", "scores.csv", "--to", "newstore", "--document", "mine={}"), "truth.json"),
    (("publish", "scores.csv", "--to", "newstore", "--plan", "{}"), "plan.toml"),
    (("train", "--config", "{}"), "clv.toml"),
    (("check", "--config", "{}"), "clv.toml"),
    (("keys", "list", "--keys", "{}"), "keys.json"),
    (("monitor", "orders.csv", "--model", "model", "--scores", "{}"), "scores.csv"),
    (("report", "{}", "--model", "model", "--output", "new.html"), "scores.csv"),
    (("export", "{}", "--output", "new.csv"), "scores.csv"),
    (("rollback", "{}"), "store"),
)


def damaged_copy(name: str, home: Path, work: Path, rng: random.Random) -> Path:
    """A file, or one file of a folder, with some of its bytes changed."""
    copy = work / name
    if (home / name).is_dir():
        shutil.copytree(home / name, copy)
        file = rng.choice(sorted(file for file in copy.rglob("*") if file.is_file()))
    else:
        shutil.copy(home / name, copy)
        file = copy
    data = file.read_bytes()
    for _ in range(rng.choice([1, 1, 3])):
        data = damaged(data, rng)
    file.write_bytes(data[: 2**20])
    return copy


def test_damaged_bytes_are_read_or_refused(
    home: Path, tmp_path: Path, verdict: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[str] = []
    monkeypatch.chdir(tmp_path)
    here = {file.name: str(file) for file in home.iterdir()}
    for rng in draws("damaged", 10):
        work = tmp_path / "work"
        work.mkdir()
        words, name = rng.choice(READERS)
        copy = damaged_copy(name, home, work, rng)
        new = {word: str(work / word) for word in words if word.startswith("new")}
        with noting(failures, rng):
            verdict(*((here | new).get(word, word).replace("{}", str(copy)) for word in words))
        shutil.rmtree(work)
    assert not failures, "\n\n".join(failures)
