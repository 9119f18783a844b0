"""Scores by SQL are the scorer's: in DuckDB and in a PostgreSQL; parsed for other databases."""

from dataclasses import replace
from functools import partial

import duckdb
import jinja2
import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pytest
import sqlglot

from clv.app.scoring_sql import write_scoring_sql
from clv.data.cdnow import cdnow_log
from clv.data.summary import summarize
from clv.errors import InputError
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.mbg_nbd import ModifiedBetaGeoNBD
from clv.probability.pareto_nbd import ParetoNBD
from clv.simulate import simulate_brand
from clv.value.value import Terms
from clv.warehouse.dialects import DIALECTS
from clv.warehouse.score_query import OrderTable, check_query, score_query
from clv.warehouse.value_table import value_table

SCORES = [
    "clv",
    "expected_purchases",
    "expected_spend",
    "probability_alive",
    "probability_no_purchase",
    "value_at_stake",
]
EXACT = 1e-9  # relative, of scores by SQL against those of the scorer


@pytest.fixture(scope="module")
def log():
    orders = cdnow_log(sample=True)
    return orders.loc[orders["amount"] > 0, ["customer_id", "date", "amount"]]


MODELS = {
    "BG/NBD": BetaGeoNBD.from_params(r=0.2426, alpha=4.4136, a=0.7929, b=2.4259, unit="week"),
    "MBG/NBD": ModifiedBetaGeoNBD.from_params(r=0.525, alpha=6.183, a=0.891, b=1.614, unit="week"),
}


@pytest.fixture(scope="module", params=MODELS)
def scorer(published_scorer, request):
    terms = Terms(0.3, currency="USD", horizon=Duration(2, "year"))
    return replace(published_scorer(terms, "1998-06-30"), purchases=MODELS[request.param])


@pytest.fixture(scope="module")
def pairs(scorer):
    return value_table(scorer, 546, 50)


def expected(scorer, log, **as_of):
    return scorer.predict(summarize(log, unit=scorer.unit, **as_of)).sort_values("customer_id")


def assert_equal_scores(got, want):
    assert got["customer_id"].tolist() == want["customer_id"].tolist()
    assert got["frequency"].tolist() == want["frequency"].tolist()
    assert got["days_since_last"].tolist() == want["days_since_last"].tolist()
    for name in SCORES:
        np.testing.assert_allclose(
            got[name].astype(float), want[name], rtol=EXACT, atol=1e-12, err_msg=name
        )


def in_duckdb(scorer, log, query, pairs):
    connection = duckdb.connect()
    connection.register("orders", log)
    connection.register("clv_pairs", pairs)
    return connection.sql(query).df().sort_values("customer_id")


def test_duckdb_scores_as_the_scorer_does(scorer, log, pairs):
    got = in_duckdb(scorer, log, score_query(scorer), pairs)
    assert_equal_scores(got, expected(scorer, log))
    assert set(got["model_version"]) == {scorer.version}
    assert set(got["money"]) == {"contribution margin"}
    assert set(got["horizon"]) == {"2 years"}


def test_an_earlier_day(scorer, log, pairs):
    as_of = pd.Timestamp("1997-09-30").date()
    got = in_duckdb(scorer, log, score_query(scorer, as_of=as_of), pairs)
    assert_equal_scores(got, expected(scorer, log, as_of="1997-09-30"))
    assert {str(day)[:10] for day in got["as_of"]} == {"1997-09-30"}


def test_a_customer_beyond_the_table_is_counted_and_not_left_out(scorer, log, pairs):
    pairs = pairs.filter(pc.field("frequency") <= 2)
    beyond = (summarize(log)["frequency"] > 2).sum()
    (counted,) = in_duckdb_row(log, pairs)
    assert counted["customers_beyond_the_table"] == beyond > 0
    got = in_duckdb(scorer, log, score_query(scorer), pairs)
    assert len(got) == log["customer_id"].nunique()
    assert got["clv"].isna().sum() == got["value_at_stake"].isna().sum() == beyond


def in_duckdb_row(log, pairs):
    connection = duckdb.connect()
    connection.register("orders", log)
    connection.register("clv_pairs", pairs)
    return connection.sql(check_query()).df().to_dict("records")


def test_rows_that_are_no_purchases_are_counted(log, pairs):
    bad = pd.DataFrame(
        {
            "customer_id": ["x", None, "y", "z", "z"],
            "date": pd.to_datetime(["1997-02-01", "1997-02-01", None, "1997-02-01", "1997-02-02"]),
            "amount": [10.0, 10.0, 10.0, -5.0, None],
        }
    )
    orders = pd.concat([log.astype({"customer_id": str}), bad])
    (counted,) = in_duckdb_row(orders, pairs)
    assert counted == {
        "rows_without_customer": 1,
        "rows_without_date": 1,
        "rows_without_amount": 1,
        "rows_not_above_zero": 1,
        "customers_beyond_the_table": 0,
    }


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_parses(scorer, dialect):
    at = OrderTable("shop.orders", '"Customer"' if dialect != "bigquery" else "`Customer`", "day")
    for query in (score_query(scorer, at, dialect), check_query(at, dialect)):
        (parsed,) = sqlglot.parse(query, dialect=dialect)
        assert parsed is not None
        assert {table.name for table in parsed.find_all(sqlglot.exp.Table)} >= {"orders"}


def test_a_package_of_dbt(scorer, log, tmp_path):
    as_of = pd.Timestamp("1998-03-31").date()
    written = write_scoring_sql(
        scorer, tmp_path, oldest=550, most_purchases=50, as_of=as_of, dbt=True
    )
    assert {str(path.relative_to(tmp_path)) for path in written} == {
        "seeds/clv_pairs.csv",
        "dbt_project.yml",
        "models/clv_scores.sql",
        "models/schema.yml",
        "tests/orders_can_be_scored.sql",
    }
    rendered = partial(render, tmp_path)
    connection = duckdb.connect()
    connection.register("orders", log)
    connection.execute(f"CREATE TABLE clv_pairs AS FROM read_csv('{tmp_path}/seeds/clv_pairs.csv')")
    got = connection.sql(rendered("models/clv_scores.sql")).df().sort_values("customer_id")
    assert_equal_scores(got, expected(scorer, log, as_of="1998-03-31"))
    assert connection.sql(rendered("tests/orders_can_be_scored.sql")).fetchall() == []


def render(folder, name):
    told = {"var": {"clv_orders": "orders"}.get, "ref": str, "config": lambda **_: ""}
    return jinja2.Template((folder / name).read_text()).render(told)


@pytest.mark.parametrize(
    "name", ["orders; DROP TABLE x", "a b", "", "x--", "a.b.", "'orders'", ".a"]
)
def test_a_name_that_is_none(name):
    with pytest.raises(InputError, match="cannot be the name of a table"):
        OrderTable(name)
    with pytest.raises(InputError, match="cannot be the name of a column"):
        OrderTable(customer="shop.customer")


def test_models_without_a_formula_are_refused(scorer):
    pareto = ParetoNBD.from_params(r=0.55, alpha=10.6, s=0.6, beta=11.7, unit="week")
    other = replace(scorer, purchases=pareto)
    with pytest.raises(InputError, match="is not written as SQL"):
        score_query(other)
    with pytest.raises(InputError, match="'oracle' is no dialect known here"):
        score_query(scorer, dialect="oracle")
    with pytest.raises(InputError, match="rows, more than 5,000,000"):
        value_table(scorer, 40_000, 40_000)


def test_extreme_parameters_do_not_overflow(scorer, log):
    """A power above 1e308 would end the query in some databases."""
    extreme = BetaGeoNBD.from_params(r=50.0, alpha=0.001, a=5.0, b=0.5, unit="week")
    other = replace(scorer, purchases=extreme)
    pairs = value_table(other, 546, 50)
    assert_equal_scores(in_duckdb(other, log, score_query(other), pairs), expected(other, log))


@pytest.mark.slow
def test_postgres_scores_as_the_scorer_does(scorer, log, postgres, tmp_path):
    at = OrderTable("shop_orders", '"Buyer"', "day", "amount")
    write_scoring_sql(scorer, tmp_path, "postgres", at, oldest=546, most_purchases=50)
    made = 'CREATE TABLE shop_orders ("Buyer" INT, day TIMESTAMP, amount NUMERIC(12, 2))'
    postgres(input=f"DROP TABLE IF EXISTS shop_orders; {made};")
    filled = "\\copy shop_orders FROM stdin CSV HEADER\n"
    postgres(input=filled + log.to_csv(index=False) + "\\.\n")
    load = (tmp_path / "load.sql").read_text().replace("'clv_pairs.csv'", "stdin")
    postgres(input=load + (tmp_path / "clv_pairs.csv").read_text() + "\\.\n")
    checked = postgres("--csv", "-c", (tmp_path / "check.sql").read_text())
    assert checked.splitlines()[1] == "0,0,0,0,0"
    scored = postgres("--csv", input=(tmp_path / "scores.sql").read_text())
    (tmp_path / "scores.csv").write_text(scored)
    got = pd.read_csv(tmp_path / "scores.csv").sort_values("customer_id")
    assert_equal_scores(got, expected(scorer, log))


def test_a_brand_in_days(published_scorer):
    """Another time unit, text for customers' ids, several orders a day."""
    orders = simulate_brand(3, customers=300).orders
    log = orders[orders["amount"] > 0][["customer_id", "date", "amount"]]
    daily = BetaGeoNBD.from_params(r=0.6, alpha=40.0, a=0.8, b=2.4, unit="day")
    scorer = replace(published_scorer(Terms(0.4), "2024-12-31"), purchases=daily, unit="day")
    got = in_duckdb(scorer, log, score_query(scorer), value_table(scorer, 1_100, 80))
    assert_equal_scores(got, expected(scorer, log))
