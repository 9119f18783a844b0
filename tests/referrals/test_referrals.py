"""Referrals: nobody credited twice, loops and self-referrals named, members beside selection."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind

import clv
from clv.errors import ClvError


def table(*rows, reward=10.0):
    names = ["referrer_id", "referred_id", "date"]
    return pd.DataFrame(rows, columns=names).assign(reward=reward)


def reasons(referrals):
    return {part.reason.split(":")[0].split(",")[0]: part.rows for part in referrals.left_out}


def test_a_customer_is_credited_to_the_first_who_referred_him_alone():
    rows = table(("a", "x", "2024-03-01"), ("b", "x", "2024-02-01"), ("c", "x", "2024-02-01"))
    referrals = clv.read_referrals(rows)
    assert referrals.rows["referrer_id"].tolist() == ["b"]
    assert reasons(referrals) == {"the customer was referred by another before": 2}
    assert clv.value_referrals(referrals, {"x": 70.0}).credit == 70.0


def test_self_referrals_are_named():
    rows = table(("a", "a", "2024-01-01"), ("a", "b", "2024-01-02"))
    assert reasons(clv.read_referrals(rows)) == {"referred himself": 1}


@pytest.mark.parametrize("length", [2, 3, 7])
def test_loops_of_any_length_are_named_and_cut_at_their_last_referral(length):
    people = [f"p{k}" for k in range(length)]
    rows = table(*((people[k], people[(k + 1) % length], f"2024-01-{k + 1:02d}")
                   for k in range(length)))  # fmt: skip
    referrals = clv.read_referrals(rows)
    assert len(referrals.rows) == length - 1
    assert reasons(referrals) == {"closes a loop": 1}
    assert referrals.left_out[0].examples == (length,)


def test_who_was_a_customer_before_is_no_new_one():
    rows = table(("a", "b", "2024-03-01"), ("a", "c", "2024-03-01"))
    joined = {"a": "2023-01-01", "b": "2024-02-01", "c": "2024-03-02"}
    referrals = clv.read_referrals(rows, joined)
    assert referrals.rows["referred_id"].tolist() == ["c"]
    assert reasons(referrals) == {"was a customer before the referral": 1}


def test_no_value_is_credited_twice_whatever_the_table_says():
    rng = np.random.default_rng(4)
    people = [f"c{k}" for k in range(300)]
    values = dict(zip(people, rng.gamma(2, 50, 300), strict=True))
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 200, 2000), "D")
    rows = pd.DataFrame({"referrer_id": rng.choice(people, 2000), "date": days,
                         "referred_id": rng.choice(people, 2000), "reward": 5.0})  # fmt: skip
    referrals = clv.read_referrals(rows)
    assert referrals.rows["referred_id"].is_unique
    made = clv.value_referrals(referrals, values)
    brought = referrals.rows["referred_id"].map(values).sum()
    assert made.credit == pytest.approx(brought)
    assert made.referrers["credit"].sum() == pytest.approx(brought)
    assert made.credit <= sum(values.values())
    assert len(referrals.rows) + sum(p.rows for p in referrals.left_out) == 2000
    roots = set(people) - set(referrals.rows["referred_id"])
    assert roots  # every chain begins with somebody who was not referred
    assert made.cac == pytest.approx(2000 * 5.0 / len(referrals.rows))


def test_the_two_types_are_credited_apart():
    rows = table(("a", "x", "2024-01-01"), ("a", "y", "2024-01-01")).assign(type=[1, 2])
    made = clv.value_referrals(clv.read_referrals(rows), {"x": 100.0, "y": 60.0}, saved_cac=25.0)
    assert made.credit == 100.0 + 25.0
    assert made.referrers.loc[0, "net"] == 125.0 - 20.0


def test_the_break_even_share_covers_the_rewards():
    rows = table(("a", "x", "2024-01-01"), ("b", "y", "2024-01-01"), reward=30.0)
    values = {"x": 100.0, "y": 60.0}
    referrals = clv.read_referrals(rows)
    share = clv.value_referrals(referrals, values, saved_cac=5.0).break_even
    again = clv.value_referrals(referrals, values, saved_cac=5.0, incremental_share=share)
    assert again.credit == pytest.approx(60.0)


def test_the_k_factor_of_known_rates_lies_in_its_interval_at_equal_age():
    rng = np.random.default_rng(2)
    held = []
    for _ in range(20):
        size, k = 800, 0.15
        joined = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 300, size), "D")
        people = [f"c{i}" for i in range(size)]
        brings = rng.poisson(rng.gamma(0.5, k / 0.5, size))
        wait = rng.integers(0, 90, brings.sum())
        rows = pd.DataFrame(
            {
                "referrer_id": np.repeat(people, brings),
                "date": np.repeat(joined, brings) + pd.to_timedelta(wait, "D"),
            }
        )
        rows["referred_id"] = [f"n{i}" for i in range(len(rows))]
        first = dict(zip(people, joined, strict=True))
        made = clv.value_referrals(clv.read_referrals(rows), dict.fromkeys(people, 1.0),
                                   joined=first, days=90)  # fmt: skip
        held.append(made.k.low <= k <= made.k.high)
    assert 0.75 <= np.mean(held) <= 1.0


def test_members_are_compared_by_welch_and_called_selection():
    rng = np.random.default_rng(3)
    values = {f"c{k}": v for k, v in enumerate(rng.gamma(2, 50, 200))}
    inside = [f"c{k}" for k in range(60)]
    made = clv.compare_members(values, inside)
    low, high = ttest_ind(
        [values[c] for c in inside], [v for c, v in values.items() if c not in set(inside)],
        equal_var=False,
    ).confidence_interval(0.9)  # fmt: skip
    assert (made.low, made.high) == pytest.approx((low, high))
    assert "selection" in str(made.finding)


BAD = [
    {"x": [1]},
    {"referrer_id": ["a"], "referred_id": ["a"], "date": ["2024-01-01"]},
    {"referrer_id": ["a"], "referred_id": [None], "date": ["2024-01-01"]},
    {"referrer_id": ["a"], "referred_id": ["b"], "date": ["soon"]},
    {"referrer_id": ["a"], "referred_id": ["b"], "date": ["2024-01-01"], "reward": [-1.0]},
    {"referrer_id": [], "referred_id": [], "date": []},
]


@pytest.mark.parametrize("rows", BAD)
def test_what_is_no_table_of_referrals_says_so(rows):
    with pytest.raises(ClvError):
        clv.read_referrals(pd.DataFrame(rows))
