"""Scoring inside a warehouse, as files: the SQL, the table it looks up, a dbt package."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import replace
from pathlib import Path

from clv.errors import InputError
from clv.io.changes import written_beside
from clv.io.files import write_table
from clv.scorer import CustomerScorer
from clv.warehouse.dialects import dialect_of
from clv.warehouse.score_query import OrderTable, check_query, score_query
from clv.warehouse.value_table import value_table

DBT_PROJECT = """\
name: clv_scores
version: "1.0.0"
config-version: 2
model-paths: [models]
seed-paths: [seeds]
test-paths: [tests]
vars:
  clv_orders: {orders}  # the relation of orders: refunds netted, no amount below zero
"""
DBT_SCHEMA = """\
version: 2
models:
  - name: clv_scores
    description: {description}
    columns:
      - name: customer_id
        data_tests: [unique, not_null]
      - name: clv
        data_tests: [not_null]
"""
# Names that are replaced by what dbt calls the tables.
BESIDE = {"table": "clv_orders_relation", "pairs": "clv_pairs_relation"}
COUNTED = "rows_without_customer rows_without_date rows_without_amount rows_not_above_zero"


def write_scoring_sql(
    scorer: CustomerScorer,
    folder: str | os.PathLike[str],
    dialect: str = "duckdb",
    orders: OrderTable | None = None,
    *,
    as_of: dt.date | None = None,
    oldest: int = 1_100,
    most_purchases: int = 200,
    dbt: bool = False,
) -> dict[Path, str]:
    """Write everything that a warehouse needs to score its customers itself.

    Parameters
    ----------
    scorer, dialect, orders, as_of
        As in :func:`clv.warehouse.score_query.score_query`.
    folder
        Where to write; files of the same names are replaced.
    oldest, most_purchases
        Bounds of the table, see :func:`clv.warehouse.value_table.value_table`.
    dbt
        Lay the files out as a package of dbt.

    Returns
    -------
    The files and what each is for, in the order in which they are used.

    Raises
    ------
    InputError
        The scorer cannot be written as SQL, or the folder cannot be written to.
    """
    where, sql = orders or OrderTable(), dialect_of(dialect)
    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise InputError(f"{place} is a file.", hint="name a folder.")
    if dbt and where.pairs != OrderTable.pairs:
        raise InputError(
            f"in a package of dbt the table is the seed clv_pairs, not {where.pairs}.",
            hint="leave out the name of that table.",
        )
    pairs = value_table(scorer, oldest, most_purchases)
    seed = write_table(pairs, place / ("seeds" if dbt else ".") / "clv_pairs.csv")
    if dbt:
        return {seed: "what the scores look up, a seed"} | _dbt(
            scorer,
            place,
            score_query(scorer, replace(where, **BESIDE), sql.name, as_of),
            where,
            sql.name,
        )
    integers = {"frequency", "age_days"}
    types = [
        f"{name} {'BIGINT' if name in integers else sql.double}" for name in pairs.column_names
    ]
    if sql.name == "bigquery":
        types = [text.replace("BIGINT", "INT64") for text in types]
    texts = {
        "load.sql": (sql.load(where.pairs, ", ".join(types), seed.name), "loads it"),
        "check.sql": (
            check_query(where, sql.name) + ";",
            "what would be scored wrongly; all must be 0",
        ),
        "scores.sql": (
            _comment(scorer) + score_query(scorer, where, sql.name, as_of) + ";",
            "the scores",
        ),
    }
    written = {seed: "what the scores look up, loaded once for each model"}
    for name, (text, what) in texts.items():
        written[_write(place / name, text)] = what
    return written


def _dbt(
    scorer: CustomerScorer, place: Path, query: str, where: OrderTable, dialect: str
) -> dict[Path, str]:
    """The rest of the package: one model, and the check as a test."""
    there = replace(where, **BESIDE)
    failed = " OR ".join(f"{name} > 0" for name in (*COUNTED.split(), "customers_beyond_the_table"))
    check = f"SELECT * FROM (\n{check_query(there, dialect)}\n) AS counted\nWHERE {failed}"
    model = f'{{{{ config(materialized="table") }}}}\n{_comment(scorer)}{query}'
    about = f"Scores of {scorer.version}, in {scorer.terms}"
    texts = {
        "dbt_project.yml": (DBT_PROJECT.format(orders=where.table), "the package"),
        "models/clv_scores.sql": (_in_dbt(model), "the scores, as a table"),
        "models/schema.yml": (DBT_SCHEMA.format(description=f'"{about}"'), "what they are"),
        "tests/orders_can_be_scored.sql": (_in_dbt(check), "what would be scored wrongly"),
    }
    return {_write(place / name, text): what for name, (text, what) in texts.items()}


def _in_dbt(sql: str) -> str:
    called = {"table": '{{ var("clv_orders") }}', "pairs": '{{ ref("clv_pairs") }}'}
    for name, placeholder in BESIDE.items():
        sql = sql.replace(placeholder, called[name])
    return sql


def _comment(scorer: CustomerScorer) -> str:
    """What stands above the statement: which model, which terms, what is not in it."""
    lines = [
        f"Scores of {scorer.version}, in {scorer.terms}.",
        "No interval, median and value_if_back: no formula that a database knows; see clv score.",
    ]
    if scorer.churn.pool is not None:
        lines.append(
            f"clv score corrects the next {scorer.churn.horizon} by what it learned from the log; "
            "here they are the purchase model's."
        )
    return "".join(f"-- {line}\n" for line in lines)


def _write(path: Path, text: str) -> Path:
    with written_beside(path) as beside:
        beside.write_text(text + "\n", encoding="utf-8")
    return path
