"""Concentration and repeat business against definitions, and the same on every kind of frame."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clv.data.cdnow import cdnow_log
from clv.decide.acquisition.concentration import concentration, concentration_of, repeat_revenue
from clv.errors import ColumnError, InputError, RowError


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=60), st.integers(-6, 6))
def test_gini_is_the_mean_difference_and_knows_no_currency(values, power):
    x = np.array(values)
    if x.sum() < 1e-3:
        return
    found, scaled = concentration_of(x), concentration_of(x * 10.0**power)
    by_pairs = np.abs(x[:, None] - x).mean() / (2 * x.mean())
    assert found.gini == pytest.approx(by_pairs, abs=1e-9)
    assert scaled.gini == pytest.approx(found.gini, abs=1e-12)
    assert scaled.top_5 == pytest.approx(found.top_5, abs=1e-12)
    assert 0 <= found.top_1 <= found.top_5 <= found.top_20 <= 1 + 1e-12


def test_the_top_shares_of_a_pareto_distribution():
    """P(X > x) = x^-a: the top share q brings q^(1 - 1/a), and Gini is 1 / (2 a - 1)."""
    a, n = 3.0, 400_000
    x = (1 - (np.arange(n) + 0.5) / n) ** (-1 / a)
    found = concentration_of(x)
    for share, top in ((0.01, found.top_1), (0.05, found.top_5), (0.20, found.top_20)):
        assert top == pytest.approx(share ** (1 - 1 / a), rel=1e-3)
    assert found.gini == pytest.approx(1 / (2 * a - 1), rel=1e-3)
    assert found.at_risk == pytest.approx(found.top_1 * x.sum())


def test_equal_customers_and_one_who_has_it_all():
    equal = concentration_of(np.ones(50))
    assert (equal.top_1, equal.top_20, equal.gini) == pytest.approx((0.01, 0.2, 0))
    one = concentration_of([0.0] * 99 + [5.0])
    assert (one.top_1, one.at_risk, one.gini) == pytest.approx((1, 5, 0.99))


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.from_pandas, lambda t: pl.from_pandas(t).lazy()])
def test_a_log_is_added_up_by_customer(kind):
    log = cdnow_log()
    by_hand = log.groupby("customer_id")["amount"].sum().sort_values(ascending=False)
    found = concentration(kind(log))
    assert (found.measure, found.customers) == ("amount", len(by_hand))
    whole = int(0.2 * len(by_hand))
    assert found.top_20 == pytest.approx(by_hand.iloc[:whole].sum() / by_hand.sum(), abs=1e-4)
    assert concentration(kind(log), measure="quantity").measure == "quantity"


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.from_pandas, lambda t: pl.from_pandas(t).lazy()])
def test_repeat_revenue_of_cdnow(kind):
    log = cdnow_log()
    first = log.groupby("customer_id")["date"].transform("min")
    again = log["date"] > first
    found = repeat_revenue(kind(log))
    assert found.repeat == pytest.approx(log.loc[again, "amount"].sum())
    assert found.share + found.first / log["amount"].sum() == pytest.approx(1)
    assert found.repeat_buyers == log.loc[again, "customer_id"].nunique()
    late = log["date"] >= pd.Timestamp("1998-01-01")
    since = repeat_revenue(kind(log), since="1998-01-01")
    assert since.share == 1  # CDNOW's customers all first bought in early 1997
    assert since.customers == log.loc[late, "customer_id"].nunique()


def test_what_cannot_be_counted_is_named():
    scores = pd.DataFrame({"customer_id": [1, 2], "clv": [1.0, -2.0]})
    with pytest.raises(RowError, match="clv is missing, infinite or negative in 1 row"):
        concentration(scores)
    with pytest.raises(ColumnError, match="neither clv nor amount"):
        concentration(scores[["customer_id"]])
    with pytest.raises(InputError, match="no customer has any clv"):
        concentration(scores.assign(clv=0.0))
    with pytest.raises(InputError, match="no revenue since 2030-01-01"):
        repeat_revenue(cdnow_log(), since="2030-01-01")
