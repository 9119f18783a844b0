"""A real PostgreSQL: a query is read as its file is, and scores are swapped in whole."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from clv.app.batch import score_log
from clv.app.data_file import read_data, write_data_file
from clv.data.cdnow import cdnow_log
from clv.errors import InputError
from clv.intake.check import check_files
from clv.intake.sources import read_source
from clv.io.databases import DatabaseAddress, fetched, write_scores
from clv.io.files import read_table
from clv.periods import Duration
from clv.scorer import CustomerScorer
from clv.value.value import Terms
from tests.warehouse.conftest import Postgres

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sampled CDNOW orders, in the database with amounts as NUMERIC, and in a file."""
    log = cdnow_log(sample=True)[["customer_id", "date", "amount"]]
    log["date"] = pd.to_datetime(log["date"]).dt.strftime("%Y-%m-%d")
    columns = "customer_id text, date date, amount numeric(12, 2)"
    postgres("-c", f"CREATE TABLE shop ({columns})")
    rows = log.to_csv(index=False)
    postgres(input="\\copy shop FROM stdin CSV HEADER\n" + rows + "\\.\n")
    file = tmp_path_factory.mktemp("shop") / "orders.csv"
    file.write_text(rows)
    return file


@pytest.fixture(scope="module")
def scorer(published_scorer: Any) -> CustomerScorer:
    made: CustomerScorer = published_scorer(
        Terms(0.3, 0.15, Duration(156, "week"), "USD", periods_per_year=52), "1997-09-30"
    )
    return made


def table(postgres: Postgres, name: str) -> str:
    return postgres.address(f"table={name}")


def scores_of(value: float, customers: int = 1000) -> pa.Table:
    ids = [f"c{i}" for i in range(customers)]
    return pa.table({"customer_id": ids, "clv": np.full(customers, value)})


def write(postgres: Postgres, name: str, scores: pa.Table, folder: Path) -> int:
    file = folder / f"{threading.get_ident()}.parquet"
    parquet.write_table(scores, file)
    address = DatabaseAddress.parse(table(postgres, name))
    assert address is not None
    return write_scores(address, file)


def test_orders_to_scores_and_back_are_those_of_the_file(postgres, shop, scorer, tmp_path):
    orders = postgres.address("query=SELECT * FROM shop WHERE date <= '1997-09-30'")
    postgres("-c", "CREATE SCHEMA mart")
    report = score_log(orders, scorer, table(postgres, "mart.scores"))
    log = pd.read_csv(shop, dtype=str)
    log[log["date"] <= "1997-09-30"].to_csv(tmp_path / "orders.csv", index=False)
    of_file = score_log(tmp_path / "orders.csv", scorer, tmp_path / "scores.parquet")
    assert (report.rows_in, report.customers) == (of_file.rows_in, of_file.customers)
    back = read_table(table(postgres, "mart.scores")).sort_by("customer_id")
    want = parquet.read_table(tmp_path / "scores.parquet").sort_by("customer_id")
    assert back.column_names == [*want.column_names, "updated_at"]
    for name in want.column_names:
        assert back[name].to_pylist() == want[name].to_pylist(), name  # to the last bit
    assert back["updated_at"].type == pa.timestamp("us")
    indexes = "SELECT indisprimary FROM pg_index WHERE indrelid = 'mart.scores'::regclass"
    assert sorted(postgres("-At", "-c", indexes).split()) == ["f", "t"]


def test_settings_name_the_address_and_not_what_was_fetched(postgres, shop, tmp_path):
    orders = postgres.address("query=SELECT * FROM shop WHERE date <= '1997-09-30'")
    written = write_data_file(check_files([orders]), tmp_path / "clv.toml")
    assert read_data(written).files == (orders,)
    assert read_data(written).paths(written) == [orders]


def test_a_failed_write_leaves_the_old_table_and_nothing_else(postgres, tmp_path):
    before = postgres("-At", "-c", "SELECT count(*) FROM pg_class")
    write(postgres, "kept", scores_of(1.0), tmp_path)
    there = postgres("-At", "-c", "SELECT count(*) FROM pg_class")
    twice = pa.concat_tables([scores_of(2.0), scores_of(3.0, 1)])
    with pytest.raises(InputError, match=r"duplicated|unique") as caught:
        write(postgres, "kept", twice, tmp_path)
    assert "nothing there was changed" in str(caught.value.hint)
    postgres("-c", "CREATE VIEW reads_it AS SELECT * FROM kept")
    with pytest.raises(InputError, match="depend"):
        write(postgres, "kept", scores_of(2.0), tmp_path)
    postgres("-c", "DROP VIEW reads_it")
    assert postgres("-At", "-c", "SELECT DISTINCT clv FROM kept").strip() == "1"
    assert int(there) > int(before)
    assert postgres("-At", "-c", "SELECT count(*) FROM pg_class") == there


def test_who_could_read_the_old_table_may_read_the_new_one(postgres, tmp_path):
    write(postgres, "shared", scores_of(1.0), tmp_path)
    roles = 'CREATE ROLE reader LOGIN; CREATE ROLE "The team"; '
    postgres("-c", roles + 'GRANT SELECT ON shared TO reader, "The team"')
    write(postgres, "shared", scores_of(2.0), tmp_path)
    seen = read_table(postgres.address("query=SELECT max(clv) AS clv FROM shared", "reader"))
    assert seen["clv"].to_pylist() == [2.0]
    may = "SELECT has_table_privilege('The team', 'shared', 'SELECT')"
    assert postgres("-At", "-c", may).strip() == "t"


def test_two_writers_at_once_and_readers_see_whole_tables(postgres, tmp_path):
    write(postgres, "busy", scores_of(0.0), tmp_path)
    seen: set[str] = set()
    failed: list[object] = []
    done = threading.Event()

    def writer(value: float) -> None:
        try:
            for _ in range(4):
                write(postgres, "busy", scores_of(value), tmp_path)
        except BaseException as error:
            failed.append(error)

    def reader() -> None:
        rows = "SELECT count(*), min(clv), max(clv) FROM busy"
        while not done.is_set():
            try:
                seen.add(postgres("-At", "-c", rows).strip())
            except subprocess.CalledProcessError as error:
                failed.append(error.stderr)

    writers = [threading.Thread(target=writer, args=(value,)) for value in (1.0, 2.0)]
    reading = threading.Thread(target=reader)
    for thread in (reading, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reading.join()
    assert not failed
    assert seen <= {"1000|0|0", "1000|1|1", "1000|2|2"}


def test_a_query_changes_nothing_and_its_errors_tell_no_password(postgres, shop, monkeypatch):
    monkeypatch.setenv("PW", "sesame")
    start = f"postgresql://postgres:${{PW}}@/postgres?host={postgres.socket}&query="
    for query in (
        "INSERT INTO shop VALUES ('x', now(), 1) RETURNING *",
        "SELECT nothing FROM shop",
    ):
        with pytest.raises(InputError) as caught:
            read_source([start + query])
        assert "sesame" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    with pytest.raises(InputError, match="PostgreSQL does not do it") as caught:
        read_source(["postgresql://nobody:${PW}@127.0.0.1:9/shop?query=SELECT 1"])
    assert "sesame" not in str(caught.value)
    assert postgres("-At", "-c", "SELECT count(*) FROM shop WHERE customer_id = 'x'").strip() == "0"


def test_numbers_of_any_type_are_read_exactly(postgres):
    kinds = "9::numeric(20) AS id, 1.234::numeric(9, 3) AS amount, NULL::numeric AS nothing"
    more = "SELECT 10, 5.5, NULL ORDER BY id"
    rows = read_table(postgres.address(f"query=SELECT {kinds} UNION ALL {more}"))
    assert rows["id"].type == pa.int64()
    assert rows["amount"].type == pa.float64()
    assert rows.to_pydict() == {"id": [9, 10], "amount": [1.234, 5.5], "nothing": [None, None]}
    with pytest.raises(InputError, match="'paid' is of type money"):
        read_table(postgres.address("query=SELECT 5::money AS paid"))
    uuid = "6f9619ff-8b86-d011-b42d-00cf4fc964ff"
    rows = read_table(postgres.address(f"query=SELECT '{uuid}'::uuid AS customer_id"))
    assert rows["customer_id"].to_pylist() == [uuid]


def test_a_process_asks_once(postgres, shop):
    address = DatabaseAddress.parse(postgres.address("query=SELECT count(*) AS n FROM shop"))
    assert address is not None
    assert fetched(address) == fetched(address)
