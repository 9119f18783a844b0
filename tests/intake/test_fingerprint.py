"""A model is not asked about another firm's customers without a word."""

import duckdb
import pytest

from clv.errors import InputError
from clv.intake.fingerprint import fingerprint, mismatches, require_same_firm


def log(prefix, amount, customers=300):
    return duckdb.sql(
        f"SELECT '{prefix}' || range AS customer_id, DATE '2024-01-01' + (range % 90)::INTEGER AS "
        f"date, {amount} + range % 7 AS amount FROM range({customers})"
    )


@pytest.fixture(scope="module")
def model():
    return fingerprint(log("gb-", 20.0), "GBP")


def test_a_fingerprint_tells_figures_and_no_customer(model):
    assert {key: model[key] for key in model if key != "sample"} == {
        "currency": "GBP",
        "customers": 300,
        "first_day": "2024-01-01",
        "last_day": "2024-03-30",
        "median_amount": 23.0,
        "orders_per_customer": 1.0,
    }
    assert len(model["sample"]) == 300
    assert all(len(digest) == 8 for digest in model["sample"])


def test_the_same_firm_later_is_the_same_firm(model):
    assert list(mismatches(model, log("gb-", 24.0, 340), "GBP")) == []
    assert list(mismatches(model, log("gb-", 24.0, 30), "")) == []


def spread(prefix, first, last, orders=1, customers=300):
    """So many orders of each customer, evenly from the first to the last day."""
    n = customers * orders
    return duckdb.sql(
        f"SELECT '{prefix}' || (range % {customers}) AS customer_id, 20.0 + range % 7 AS amount, "
        f"DATE '{first}' + (range * (DATE '{last}' - DATE '{first}') // {n - 1})::INTEGER AS date "
        f"FROM range({n})"
    )


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (spread("gb-", "2010-01-01", "2011-12-09"), "It ends on 2011-12-09, before the first orde"),
        (spread("gb-", "2024-06-01", "2024-08-31"), "old customers look new. Give the whole hist"),
        (spread("gb-", "2024-03-01", "2024-03-31"), "It begins on 2024-03-01, the model's log on"),
        (spread("gb-", "2024-01-01", "2024-06-30", 6), "number of orders a customer is 6.00, that"),
    ],
)
def test_days_and_habits_of_another_time_are_told(model, other, words):
    (sentence,) = mismatches(model, other, "GBP")
    assert words in sentence


def test_the_same_history_with_newer_orders_is_the_same_firm(model):
    assert list(mismatches(model, spread("gb-", "2024-01-03", "2024-09-30", 3), "GBP")) == []


def test_another_firm_is_refused_with_all_that_speaks_against_it(model):
    other = log("de-", 900.0)
    assert list(mismatches(model, other, "EUR")) == [
        "Its amounts are in EUR, the model learned in GBP.",
        "None of the customers that the model learned from is in it.",
        "Its usual order is 903.00, that of the model's log 23.00.",
    ]
    with pytest.raises(InputError, match="does not look like the one that the model learned from"):
        require_same_firm({"fingerprint": model}, other, "EUR")
    assert len(require_same_firm({"fingerprint": model}, other, "EUR", anyway=True)) == 3


def test_a_model_that_kept_nothing_is_not_asked():
    assert require_same_firm({}, log("de-", 900.0), "EUR") == []
