"""Delta and Iceberg tables where a file may stand: the rows of their last version alone."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog

import clv
from clv.app.data_file import read_data, write_data_file
from clv.errors import InputError, MissingExtraError
from clv.intake.check import check_files
from clv.io.files import read_log
from clv.io.lake_tables import METADATA

ORDERS = pa.table(
    {
        "customer_id": ["ann", "bob", "ann", "eve"],
        "date": [dt.datetime(2024, month, 5, 23, 30) for month in (1, 2, 3, 4)],
        "amount": [10.0, 20.0, 30.5, 7.0],
    }
)
LEFT = {"ann": 40.5, "bob": 20.0}  # as eve is deleted below


def delta(folder: Path) -> Path:
    deltalake.write_deltalake(folder, ORDERS, partition_by=["customer_id"])
    deltalake.DeltaTable(folder).delete("customer_id = 'eve'")
    return folder


def iceberg_table(folder: Path) -> Any:
    folder.mkdir()
    catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/lake.db", warehouse=f"file://{folder}")
    catalog.create_namespace("shop")
    table = catalog.create_table("shop.orders", ORDERS.schema)
    table.append(ORDERS)
    table.delete("customer_id = 'eve'")
    catalog.close()
    return table


def iceberg(folder: Path) -> Path:
    iceberg_table(folder)
    return folder / "shop" / "orders"


@pytest.mark.parametrize("made", [delta, iceberg])
def test_a_folder_gives_the_rows_of_its_last_version(
    made: Callable[[Path], Path], tmp_path: Path
) -> None:
    folder = made(tmp_path / "lake")
    check = check_files([folder], today=dt.date(2026, 1, 1)).check
    assert (check.purchases, check.customers, check.amount) == (3, 2, 60.5)
    sums = read_log(folder).aggregate("customer_id, sum(amount)").fetchall()
    assert dict(sums) == LEFT


@pytest.mark.parametrize("made", [delta, iceberg])
def test_settings_name_the_table_and_not_what_was_read_of_it(
    made: Callable[[Path], Path], tmp_path: Path
) -> None:
    folder = made(tmp_path / "lake")
    written = write_data_file(check_files([folder]), tmp_path / "settings" / "clv.toml")
    data = read_data(written)
    assert data.files == (f"../{folder.relative_to(tmp_path)}",)
    assert check_files(data.paths(written)).check.amount == 60.5


def test_an_iceberg_table_and_a_scan_of_it_are_tables_in_python(tmp_path: Path) -> None:
    table = iceberg_table(tmp_path / "lake")
    rows = clv.clean(table)[0].aggregate("customer_id, sum(amount)").fetchall()
    assert dict(rows) == LEFT
    some = table.scan(row_filter="amount > 15")
    assert sorted(clv.clean(some)[0].project("amount").fetchall()) == [(20.0,), (30.5,)]


@pytest.mark.parametrize("made", [delta, iceberg])
def test_a_table_that_cannot_be_read_is_named(made: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = made(tmp_path / "lake")
    for file in folder.rglob("*.parquet"):
        file.unlink()
    kind = "a Delta" if made is delta else "an Iceberg"
    with pytest.raises(InputError, match=f"is {kind} table, which cannot be read: ") as caught:
        check_files([folder])
    assert caught.value.hint == "read it by its own engine, and save that as Parquet."


def test_code_that_a_table_names_is_not_run(tmp_path: Path) -> None:
    folder = iceberg(tmp_path / "lake")
    last = max(folder.glob(METADATA))
    said = json.loads(last.read_bytes())
    last.write_text(json.dumps(said | {"properties": {"py-io-impl": "antigravity.IO"}}))
    with pytest.raises(InputError, match=r"names code to run \(py-io-impl\), which is not run"):
        check_files([folder])


@pytest.mark.parametrize(("made", "library"), [(delta, "deltalake"), (iceberg, "pyiceberg")])
def test_without_its_library_the_line_for_pip_is_said(
    made: Callable[[Path], Path], library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made(tmp_path / "lake")
    monkeypatch.setattr("clv.extras.find_spec", lambda name: None if name == library else name)
    with pytest.raises(MissingExtraError, match=f"this needs {library}: pip install"):
        check_files([folder])
