"""How a table is put in place in each database: run in DuckDB, parsed and called for the others."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pyarrow import parquet

from clv.errors import InputError, MissingExtraError
from clv.io.bigquery_jobs import load_parquet
from clv.io.database_drivers import DRIVERS
from clv.io.databases import DatabaseAddress, filled, write_scores
from clv.io.files import read_table

SCORES = pa.table({"customer_id": ["a", "b"], "clv": [1.5, 2.0]})
SIGNED_IN = 30  # seconds after which nothing may still be tried
STATEMENTS = {
    "snowflake": [
        'CREATE OR REPLACE TABLE "MART"."SCORES" COPY GRANTS AS SELECT *, '
        'CURRENT_TIMESTAMP() AS "UPDATED_AT" FROM "MART"."SCORES_1"',
        'ALTER TABLE "MART"."SCORES" ADD PRIMARY KEY ("CUSTOMER_ID")',
        'DROP TABLE IF EXISTS "MART"."SCORES_1"',
    ],
    "bigquery": [
        "CREATE OR REPLACE TABLE `mart`.`scores` AS SELECT *, "
        "CURRENT_TIMESTAMP() AS `updated_at` FROM `mart`.`scores_1`",
        "ALTER TABLE `mart`.`scores` ADD PRIMARY KEY (`customer_id`) NOT ENFORCED",
        "DROP TABLE IF EXISTS `mart`.`scores_1`",
    ],
}


def address(text: str) -> DatabaseAddress:
    parsed = DatabaseAddress.parse(text)
    assert parsed is not None
    return parsed


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    parquet.write_table(SCORES, tmp_path / "scores.parquet")
    return tmp_path / "scores.parquet"


@pytest.mark.parametrize("database", STATEMENTS)
def test_one_statement_replaces_a_table_where_none_can_be_undone(database):
    driver = DRIVERS[database]
    made = filled(driver, [*driver.swap, *driver.discard], "mart", "scores", "scores_1")
    assert made == STATEMENTS[database]
    for statement in made:
        (parsed,) = sqlglot.parse(statement, dialect=database)
        assert isinstance(parsed, (sqlglot.exp.Create, sqlglot.exp.Alter, sqlglot.exp.Drop))


def test_scores_in_duckdb_are_swapped_whole_and_read_back(tmp_path, scores):
    file = tmp_path / "shop.duckdb"
    with duckdb.connect(str(file)) as shop:
        shop.execute("CREATE SCHEMA mart; CREATE TABLE orders AS SELECT 7::DECIMAL(9, 2) AS paid")
    place = address(f"duckdb:{file}?table=mart.scores")
    assert write_scores(place, scores) == write_scores(place, scores) == 2
    twice = tmp_path / "twice.parquet"
    parquet.write_table(pa.concat_tables([SCORES, SCORES]), twice)
    with pytest.raises(InputError, match=r'DuckDB does not do it.* duplicate key "a"'):
        write_scores(place, twice)
    back = read_table(Path(str(place)))
    assert back.column_names == ["customer_id", "clv", "updated_at"]
    assert back.drop_columns("updated_at").equals(SCORES)
    assert read_table(f"duckdb:{file}?query=FROM orders")["paid"].to_pylist() == [7.0]
    with duckdb.connect(str(file)) as shop:
        assert len(shop.execute("FROM duckdb_tables()").fetchall()) == 2
        assert shop.execute("SELECT constraint_type FROM duckdb_constraints()").fetchall()[0] == (
            "PRIMARY KEY",
        )


def test_a_duckdb_that_is_read_stays_as_it_is_and_has_to_be_there(tmp_path):
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as shop:
        shop.execute("CREATE TABLE orders AS SELECT 1 AS n")
    with pytest.raises(InputError, match="read-only"):
        read_table(f"duckdb:{tmp_path}/shop.duckdb?query=INSERT INTO orders VALUES (2) RETURNING n")
    with pytest.raises(InputError, match="there is no file"):
        read_table(f"duckdb:{tmp_path}/shp.duckdb?table=orders")
    assert [file.name for file in tmp_path.iterdir()] == ["shop.duckdb"]


@pytest.mark.parametrize("database", ["snowflake", "bigquery"])
def test_a_driver_that_is_not_installed_is_one_sentence(database, monkeypatch):
    monkeypatch.setitem(sys.modules, f"adbc_driver_{database}", None)
    with pytest.raises(MissingExtraError, match=rf'pip install "clv\[{database}\]"'):
        read_table(f"{database}://shop/mart?table=orders")


@pytest.mark.parametrize("database", ["snowflake", "bigquery"])
def test_customers_who_come_twice_are_refused_where_no_key_does_it(database, tmp_path):
    parquet.write_table(pa.concat_tables([SCORES, SCORES]), tmp_path / "twice.parquet")
    with pytest.raises(InputError, match="customers come twice in the scores: a, b"):
        write_scores(address(f"{database}://shop/mart?table=scores"), tmp_path / "twice.parquet")


def needs(module: str, extra: str) -> None:
    if find_spec(module) is None:
        pytest.skip(f'there is no driver: pip install "clv[{extra}]"')


def test_a_snowflake_that_does_not_answer_says_so_and_tells_no_password(monkeypatch, scores):
    needs("adbc_driver_snowflake", "snowflake")
    monkeypatch.setenv("SNOWFLAKE_PASSWORD", "open sesame")
    where = "snowflake://ann@127.0.0.1:9/db/mart?account=acme&protocol=http&loginTimeout=2"
    start = time.monotonic()
    for act in (
        lambda: read_table(f"{where}&table=orders"),
        lambda: write_scores(address(f"{where}&table=scores"), scores),
    ):
        with pytest.raises(InputError, match=r"Snowflake does not do it: .*refused") as caught:
            act()
        said = f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
        assert "sesame" not in said
    assert time.monotonic() - start < SIGNED_IN
    monkeypatch.setenv("SNOWFLAKE_PRIVATE_KEY_FILE", "no-such.p8")
    with pytest.raises(InputError, match=r"could not read private key file 'no-such\.p8'"):
        read_table(f"{where}&authenticator=SNOWFLAKE_JWT&table=orders")


class Google(BaseHTTPRequestHandler):
    """Signs anybody in, takes a file for a load job, and says what became of the job."""

    outcome: dict[str, Any]
    received: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/token":
            return self._reply({"access_token": "t", "expires_in": 3600, "token_type": "Bearer"})
        self.received.append((self.path, body))
        host = self.headers["Host"]
        return self._reply({}, Location=f"http://{host}/session")

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, body))
        self._reply({"jobReference": self._job(), "status": {"state": "RUNNING"}})

    def do_GET(self) -> None:
        self.received.append((self.path, b""))
        self._reply({"jobReference": self._job(), "status": {"state": "DONE", **self.outcome}})

    def _job(self) -> dict[str, str]:
        return {"projectId": "shop", "jobId": "job_1", "location": "EU"}

    def _reply(self, content: dict[str, Any], **headers: str) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Google]]:
    needs("adbc_driver_bigquery", "bigquery")
    Google.received, Google.outcome = [], {}
    with ThreadingHTTPServer(("127.0.0.1", 0), Google) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"127.0.0.1:{server.server_port}")
        yield Google
        server.shutdown()


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes the key file of an account whose sign-in is at a port."""
    needs("adbc_driver_bigquery", "bigquery")
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    key = rsa.generate_private_key(65537, 2048).private_bytes(*form, serialization.NoEncryption())

    def write(port: str) -> None:
        account = {
            "type": "service_account",
            "private_key": key.decode(),
            "client_email": "robot@shop.iam.gserviceaccount.com",
            "token_uri": f"http://127.0.0.1:{port}/token",
        }
        (tmp_path / "key.json").write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))

    return write


def test_a_load_job_of_bigquery_sends_the_file_and_waits(google, key_file, scores, monkeypatch):
    key_file(os.environ["BIGQUERY_EMULATOR_HOST"].rpartition(":")[2])
    monkeypatch.setattr("clv.io.bigquery_jobs.PAUSE", 0)
    load_parquet(scores, "shop", ["shop", "mart", "scores_1"], "EU")
    (start, job), (_, sent), (look, _) = google.received
    assert start == "/upload/bigquery/v2/projects/shop/jobs?uploadType=resumable"
    assert look == "/bigquery/v2/projects/shop/jobs/job_1?location=EU"
    table = {"projectId": "shop", "datasetId": "mart", "tableId": "scores_1"}
    load = {"sourceFormat": "PARQUET", "writeDisposition": "WRITE_EMPTY", "destinationTable": table}
    assert json.loads(job) == {
        "configuration": {"load": load},
        "jobReference": {"projectId": "shop", "location": "EU"},
    }
    assert sent == scores.read_bytes()
    google.outcome = {"errorResult": {"message": "Access Denied: Table shop:mart.scores_1."}}
    with pytest.raises(InputError, match=r"BigQuery does not do it: Access Denied: Table"):
        load_parquet(scores, "shop", ["shop", "mart", "scores_1"])


def test_an_account_that_google_does_not_let_in_is_said_at_once(key_file, scores):
    key_file("9")
    start = time.monotonic()
    for act in (
        lambda: read_table("bigquery://shop/mart?query=SELECT 1"),
        lambda: write_scores(address("bigquery://shop/mart?table=scores"), scores),
    ):
        with pytest.raises(InputError, match=r"no sign-in to BigQuery: .*refused") as caught:
            act()
        assert "GOOGLE_APPLICATION_CREDENTIALS" in str(caught.value.hint)
        assert "PRIVATE KEY" not in f"{caught.value} {caught.value.__cause__}"
    assert time.monotonic() - start < SIGNED_IN
