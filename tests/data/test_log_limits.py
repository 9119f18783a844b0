"""What a log cannot carry is said in the report of a fit and in the model card."""

import numpy as np
import pandas as pd
import pytest

from clv.data.log_limits import log_limits
from clv.data.summary import summarize
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.gamma_gamma import GammaGamma
from clv.scorer import CustomerScorer
from clv.value.value import Terms

YEARS = Duration(3, "year")


def log(days, giant=None, customers=60, orders=3):
    """Orders of about 10 from each customer, spread over so many days; one is a giant if given."""
    n = customers * orders
    rng = np.random.default_rng(5)
    table = pd.DataFrame(
        {
            "customer_id": np.arange(n) % customers,
            "date": pd.Timestamp("2024-01-01")
            + pd.to_timedelta(np.arange(n) * days // (n - 1), "D"),
            "amount": rng.gamma(4.0, 2.5, n).round(2),
        }
    )
    if giant:
        table.loc[n - 1, "amount"] = giant
    return table


def test_a_log_that_carries_it_has_no_limits():
    assert list(log_limits(log(400), YEARS)) == []


@pytest.mark.parametrize(("days", "times"), [(14, 78), (30, 37), (200, 5)])
def test_two_weeks_for_three_years_are_named(days, times):
    (limit,) = log_limits(log(days), YEARS)
    assert str(limit).startswith(
        f"The log spans {days} days and values reach 3 years ahead, {times} times as far"
    )


@pytest.mark.parametrize("giant", [1000.0, 1_000_000.0])
def test_one_huge_order_is_named(giant):
    table = log(400, giant)
    rest = table["amount"].sum() - giant
    (limit,) = log_limits(table, YEARS)
    share = {1000.0: "36%", 1_000_000.0: "nearly 100%"}[giant]
    assert str(limit.within("EUR")) == (
        f"One order of €{giant:,.0f} is {share} of all money; all 179 others together are "
        f"€{rest:,.0f}. Check it: every total and mean rests on it."
    )


def test_a_large_order_among_few_is_no_news():
    assert list(log_limits(log(400, 1000.0, customers=5), YEARS)) == []


def test_both_are_in_the_model_card():
    table = log(28, 1_000_000.0)
    scorer = CustomerScorer.fit(table, Terms(horizon=YEARS), churn_horizon=Duration(1, "week"))
    spans, giant = scorer.card()["training"]["limits"]
    assert spans["text"].startswith("The log spans 28 days")
    assert giant["text"].startswith("One order of 1,000,000 is nearly 100% of all money")
    assert giant["values"]["order"] == {"kind": "money", "value": 1_000_000.0}


def test_the_fits_of_a_summary_say_it_too():
    summary = summarize(log(28, 1_000_000.0), unit="week")
    (short,) = BetaGeoNBD().fit(summary).report_.findings[-1:]
    assert short.text.startswith(
        "nobody was observed for more than 28 days: how many stay for months"
    )
    said = GammaGamma().fit(summary).report_.findings
    assert any(
        "one customer brings nearly 100% of the money of all repeat purchases" in s.text
        for s in said
    )
