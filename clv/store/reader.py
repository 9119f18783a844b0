"""Store: one open file, and every question that can be put to it.

Every value that comes from outside travels as a parameter of a prepared statement; names of columns
come from the file itself. The connection reads this one file and nothing else.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Self, TypeVar

from clv.decide.scores import ALIVE, IF_BACK, RISK, STAKE, TERMS, Scores
from clv.errors import InputError
from clv.extras import require_extra
from clv.findings import Finding
from clv.format import count
from clv.io.engine import connect
from clv.score_columns import PLAN, STATED, CustomerWords, words_for
from clv.store.build import FORMAT, segment_queries
from clv.store.documents import checked_document
from clv.store.filters import Filter, Sort, require_column
from clv.store.folder import current_file

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

T = TypeVar("T")
LARGEST_PAGE, BATCH = 1000, 50_000  # rows
HEADERS = 3 * 4096  # bytes before the first block of a DuckDB file
EVERYBODY = Filter()
TOTALS = """
SELECT count(*), coalesce(sum(clv), 0), coalesce(sum(expected_purchases), 0),
    coalesce(sum(churn_probability * value_at_stake), 0)
FROM customers {where}
"""
# the order is settled on narrow columns; whole rows are fetched for one page only
SEARCH = """
SELECT * EXCLUDE (no, key) FROM customers
WHERE rowid IN (SELECT rowid FROM customers {where} {order} LIMIT ? OFFSET ?) {order}
"""


@dataclass(frozen=True)
class CustomerPage:
    """A page of customers: ``rows`` of ``customers`` in all, ``size`` a page, ``page`` from 1."""

    rows: list[dict[str, Any]]
    customers: int
    page: int
    size: int

    @property
    def pages(self) -> int:
        """How many pages there are; one if nobody is found."""
        return max(1, -(-self.customers // self.size))


@dataclass(frozen=True)
class Totals:
    """What customers add up to.

    Attributes
    ----------
    customers
        How many they are.
    value
        Their CLV together, in the store's currency.
    share
        Of the value of all customers.
    expected_purchases
        Within the horizon.
    at_risk
        Churn probability times value at stake, added up: what saving everybody who is about to
        leave would be worth.
    """

    customers: int
    value: float
    share: float
    expected_purchases: float
    at_risk: float


class Store:
    """A published file, opened to be read, by any number of threads.

    Attributes
    ----------
    path
        The file.
    terms
        Model version, as-of date, horizon, currency and whatever else is the same for all.
    customers, orders
        How many are in it.
    columns
        Of a customer, in the order of the scores' own after those of the store.
    ranges
        By measure, its smallest and its largest value.
    documents, tables
        The names of what was published along.
    notes
        What was left out when it was published.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        self.path = path
        self._connection = connection
        self._idle: deque[duckdb.DuckDBPyConnection] = deque()
        self._once: dict[Callable[[Store], Any], Any] = {}
        self._making = RLock()
        self._number = lru_cache(1024)(self._find_number)
        self._check_length()
        about = json.loads(self._rows("SELECT content FROM about")[0]["content"])
        if about["format"] != FORMAT:
            raise InputError(
                f"{path.name} is of format {about['format']}, this version reads {FORMAT}.",
                hint="publish again.",
            )
        self.terms: dict[str, Any] = about["terms"]
        self.customers: int = about["customers"]
        self.orders: int = about["orders"]
        self.has_log: bool = about["has_log"]
        self.columns: tuple[str, ...] = tuple(about["columns"])
        self.ranges: dict[str, list[float]] = about["ranges"]
        self.documents: tuple[str, ...] = tuple(about["documents"])
        self.tables: tuple[str, ...] = tuple(about["tables"])
        self._keyed = frozenset(about["keyed"])
        self.notes = read_notes(about)

    @classmethod
    def open(cls, where: str | os.PathLike[str], *, threads: int = 1) -> Self:
        """Open the file that a folder serves now, or one file.

        Parameters
        ----------
        where
            The folder of a store, or a file in it.
        threads
            That one question may use; requests at the same time use as many more.

        Raises
        ------
        InputError
            There is no store, or the file is damaged.
        """
        require_extra("cli", "duckdb")
        import duckdb

        path, connection = current_file(where), None
        try:
            connection = connect(path, read_only=True, config={"threads": threads})
            return cls(connection, path)
        except (duckdb.Error, KeyError, IndexError, ValueError) as error:
            if connection is not None:
                connection.close()
            if isinstance(error, InputError):
                raise
            what = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"{path} cannot be opened as a store: {what}",
                hint="publish again, or go back with clv rollback.",
            ) from error

    def close(self) -> None:
        """Let go of the file; questions after that fail."""
        while self._idle:
            self._idle.pop().close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def stated(self) -> dict[str, Any]:
        """Model version, as-of date, horizon and currency: what every answer carries."""
        return {name: self.terms[name] for name in STATED}

    def customer(self, key: str) -> dict[str, Any] | None:
        """All that is known of a customer by the id as text, or None."""
        number = self._number(key)
        if number is None:
            return None
        return self._rows("SELECT * EXCLUDE (no, key) FROM customers WHERE no = ?", [number])[0]

    def customers_of(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """As ``customer``, of several at once, by key; who is not known is left out."""
        query = f"SELECT * EXCLUDE no FROM customers WHERE key IN ({', '.join('?' * len(keys))})"
        return {row.pop("key"): row for row in (self._rows(query, keys) if keys else [])}

    def orders_of(self, key: str) -> list[dict[str, Any]]:
        """The orders of a customer by day; empty if unknown, or published without a log."""
        number = self._number(key) if self.has_log else None
        if number is None:
            return []
        # a number, not a join: so whole blocks of other customers are skipped
        return self._rows("SELECT * EXCLUDE no FROM orders WHERE no = ? ORDER BY ALL", [number])

    def log(self) -> pa.Table | None:
        """All orders, by ``key``, the id as text; None if it was published without a log."""
        if not self.has_log:
            return None
        query = "SELECT key, orders.* EXCLUDE no FROM orders JOIN customers USING (no)"
        with self._cursor() as cursor:
            return cursor.sql(query).to_arrow_table()

    def search(
        self, chosen: Filter = EVERYBODY, sort: Sort | None = None, *, page: int = 1, size: int = 50
    ) -> CustomerPage:
        """A page of the customers chosen, the most valuable first unless ``sort`` says otherwise.

        Raises
        ------
        InputError
            The page or its size is out of bounds, or the store lacks a column.
        """
        if not (1 <= size <= LARGEST_PAGE and 1 <= page <= 2**31):
            raise InputError(
                f"page {page} of {size} rows cannot be shown.",
                hint=f"count pages from 1, with 1 to {count(LARGEST_PAGE)} rows.",
            )
        where, parameters = chosen.where(self.columns)
        order = (sort or Sort()).order(self.columns)
        query = SEARCH.format(where=where, order=order)
        rows = self._rows(query, [*parameters, size, (page - 1) * size])
        return CustomerPage(rows, self.count(chosen), page, size)

    def count(self, chosen: Filter = EVERYBODY) -> int:
        """How many customers are chosen."""
        where, parameters = chosen.where(self.columns)
        if not where:
            return self.customers
        return int(self._rows(f"SELECT count(*) AS n FROM customers {where}", parameters)[0]["n"])

    def totals(self, chosen: Filter = EVERYBODY) -> Totals:
        """What the customers chosen add up to."""
        where, parameters = chosen.where(self.columns)
        totals = self._rows(TOTALS.format(where=where), parameters)[0]
        customers, value, purchases, at_risk = totals.values()
        whole = self._rows("SELECT sum(value) AS v FROM segments WHERE dimension = 'tier'")[0]["v"]
        share = value / whole if whole else 0.0
        if customers == self.customers and whole:
            share = 1.0  # but for the dust of a sum
        return Totals(customers, value, share, purchases, at_risk)

    def segments(self) -> dict[str, list[dict[str, Any]]]:
        """The customers by tier, decile, recency and, where known, channel, cohort and reason.

        Each segment in order: segment, customers, value, share (of all value), at_risk,
        expected_purchases, mean_churn_probability. These are also the choices of a filter.
        """
        by_dimension: dict[str, list[dict[str, Any]]] = {}
        rows = self._rows("SELECT * FROM segments ORDER BY dimension, place")
        for row in (*rows, *self.once(Store._later_segments)):
            by_dimension.setdefault(row["dimension"], []).append(
                {name: value for name, value in row.items() if name not in ("dimension", "place")}
            )
        return by_dimension

    def _later_segments(self) -> list[dict[str, Any]]:
        """Those of filters that came after the file was published."""
        dimensions = self._rows("SELECT DISTINCT dimension FROM segments")
        names = {row["dimension"] for row in dimensions}
        queries = segment_queries(self.columns)
        missing = [query for name, query in queries.items() if name not in names]
        return [row for query in missing for row in self._rows(f"{query} ORDER BY place")]

    def document(self, name: str) -> Any:
        """A document by its name, as it was published; None if there is none.

        Raises
        ------
        InputError
            It is not what publish writes.
        """
        contents = self._rows("SELECT content FROM documents WHERE name = ?", [name])
        if not contents:
            return None
        return checked_document(name, json.loads(contents[0]["content"]), self.path.name)

    def once(self, make: Callable[[Store], T]) -> T:
        """What ``make`` makes of this file, made once and kept while the file is open.

        Parameters
        ----------
        make
            A function or a class method of a module; the cache goes by it.
        """
        with self._making:
            if make not in self._once:
                self._once[make] = make(self)
        value: T = self._once[make]
        return value

    def table(self, name: str) -> pa.Table | None:
        """A table by its name, as it was published; None if there is none."""
        if name not in self.tables:
            return None
        what = "* EXCLUDE no" if name in self._keyed else "*"
        with self._cursor() as cursor:
            return cursor.sql(f"SELECT {what} FROM given.{_quoted(name)}").to_arrow_table()

    def rows_of(self, name: str, key: str) -> list[dict[str, Any]]:
        """The rows of a table of customers that are about one of them, by the id as text.

        Empty if there is no such table or customer.
        """
        number = self._number(key) if name in self._keyed else None
        if number is None:
            return []
        query = f"SELECT * EXCLUDE no FROM given.{_quoted(name)} WHERE no = ?"
        return self._rows(query, [number])

    def export(
        self,
        chosen: Filter = EVERYBODY,
        *,
        columns: Sequence[str] | None = None,
        terms: Sequence[str] | None = None,
    ) -> pa.RecordBatchReader:
        """The customers chosen as a stream of Arrow batches, by the id as text.

        Exactly those that ``search`` and ``count`` find. Every row carries the terms, as a file
        of ``clv score`` does.

        Parameters
        ----------
        chosen
            Which customers.
        columns, terms
            Which of ``self.columns`` and ``self.terms``; all if not given.

        Raises
        ------
        InputError
            The store lacks a column.
        """
        import pyarrow as pa

        columns_shown = self.columns if columns is None else columns
        for name in columns_shown:
            require_column(name, self.columns)
        stated = [name for name in (self.terms if terms is None else terms) if name in self.terms]
        where, parameters = chosen.where(self.columns)
        names = [_quoted(name) for name in columns_shown]
        names += [f"{_typed(self.terms[name])} AS {_quoted(name)}" for name in stated]
        query = f"SELECT {', '.join(names)} FROM customers {where}"  # as they lie: by id
        batches = self._stream(query, [*(self.terms[n] for n in stated), *parameters])
        return pa.RecordBatchReader.from_batches(next(batches), batches)

    def scores(self, chosen: Filter = EVERYBODY, columns: Sequence[str] = ()) -> Scores:
        """The scores of the customers chosen, with ``columns``, for decisions."""
        needed = tuple(dict.fromkeys((RISK, STAKE, *columns)))
        more = (ALIVE, IF_BACK, PLAN)
        optional = [name for name in more if name in self.columns and name not in needed]
        names = ("customer_id", *needed, *optional)
        table = self.export(chosen, columns=names, terms=()).read_all()
        terms = {name: self.terms[name] for name in TERMS if name in self.terms}
        return Scores.read(table, needed, optional, terms)

    @property
    def words(self) -> CustomerWords:
        """What is said of the customers: those with a plan are under contract."""
        return words_for(self.subscribers, self.customers)

    @property
    def subscribers(self) -> int:
        """How many of the customers are under contract."""
        return self.once(Store._plans)

    def _plans(self) -> int:
        if PLAN not in self.columns:
            return 0
        return int(self._rows(f"SELECT count({PLAN}) AS n FROM customers")[0]["n"])

    def warm(self) -> None:
        """Read what the first page needs, so that the first client does not wait for the disk."""
        self.search(size=1)
        self.totals()
        self.segments()
        for name in self.documents:
            self.document(name)

    def check(self) -> None:
        """See that the file holds what it says; ``InputError`` if not."""
        counted = self._rows("SELECT count(*) AS n, count(DISTINCT key) AS keys FROM customers")[0]
        right = counted["n"] == counted["keys"] == self.customers
        sums = self._rows("SELECT sum(customers) AS n FROM segments GROUP BY dimension")
        right &= all(row["n"] == self.customers for row in sums)
        if self.has_log:
            right &= self._rows("SELECT count(*) AS n FROM orders")[0]["n"] == self.orders
        last = self._rows("SELECT key FROM customers ORDER BY no DESC LIMIT 1")[0]["key"]
        if not (right and self.customer(last)):
            raise InputError(f"{self.path.name} is not whole.", hint="publish again.")

    def _find_number(self, key: str) -> int | None:
        """The number of a customer, by which all tables are in order; None if there is none."""
        numbers = (
            self._rows("SELECT no FROM customers WHERE key = ?", [key]) if _is_text(key) else []
        )
        return int(numbers[0]["no"]) if numbers else None

    def _check_length(self) -> None:
        """A copy that was cut off opens all the same, and fails later."""
        size = self._rows("SELECT block_size * total_blocks AS size FROM pragma_database_size()")
        length = self.path.stat().st_size
        if length < HEADERS + int(size[0]["size"]):
            raise ValueError(f"it ends after {count(length)} bytes.")

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor for one question: no two threads share one, and making one takes time."""
        try:
            cursor = self._idle.pop()
        except IndexError:
            cursor = self._connection.cursor()
        try:
            yield cursor
        except BaseException:
            cursor.close()  # whatever it was in the midst of
            raise
        self._idle.append(cursor)

    def _rows(self, query: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        with self._cursor() as cursor:
            cursor.execute(query, list(parameters))
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _stream(self, query: str, parameters: Sequence[Any]) -> Iterator[Any]:
        """First the schema, then the batches."""
        with self._cursor() as cursor:
            relation = cursor.sql(query, params=list(parameters))
            reader = relation.to_arrow_reader(BATCH)
            yield reader.schema
            yield from reader


def _typed(value: object) -> str:
    """A parameter of the type that a term has, whatever its value: an unknown one is text."""
    kinds: Mapping[type, str] = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE"}
    return f"?::{kinds.get(type(value), 'VARCHAR')}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _is_text(key: str) -> bool:
    """Whether it can be an id: what is not Unicode is none, rather than an error."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_notes(about: Mapping[str, Any]) -> tuple[Finding, ...]:
    """What was left out when a store was published, in its currency."""
    currency = about["terms"].get("currency") or ""
    return tuple(Finding.from_dict(note, currency) for note in about["notes"])
