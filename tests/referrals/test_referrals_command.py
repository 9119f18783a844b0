"""``clv referrals``: files in, credit once, mistakes in a sentence."""

import json

import pandas as pd
import pytest


@pytest.fixture
def home(tmp_path):
    """Seven referrals, two of which do not count, with scores, orders and members."""
    rows = [("a", "b"), ("a", "c"), ("b", "d"), ("d", "d"), ("d", "b"), ("c", "e"), ("a", "old")]
    table = pd.DataFrame(rows, columns=["referrer", "friend"])
    days = [f"2024-0{month}-05" for month in range(1, 8)]
    table.assign(date=days, reward=10.0).to_csv(tmp_path / "referrals.csv", index=False)
    ids = ["a", "b", "c", "d", "e", "f", "old"]
    scores = pd.DataFrame({"customer_id": ids, "clv": [90.0, 50, 70, 20, 40, 10, 30]})
    scores.to_csv(tmp_path / "scores.csv", index=False)
    (tmp_path / "club.csv").write_text("customer_id\na\nb\nc\n")
    return tmp_path


def test_credit_is_given_once_and_what_is_left_out_is_named(run, home):
    words = ("referrals", home / "referrals.csv", "--scores", home / "scores.csv")
    out = home / "referrers.csv"
    document = json.loads(run(*words, "--members", home / "club.csv", "-o", out, "--json").out)
    assert document["referred"] == 5
    assert document["left_out"] == {
        "referred himself": 1,
        "the customer was referred by another before, who is credited": 1,
    }
    assert document["credit"] == pytest.approx(50 + 70 + 20 + 40 + 30)
    assert document["cac"] == pytest.approx(70 / 5)  # rewards paid for nothing count
    assert document["members"]["difference"] == pytest.approx(70 - 25)
    referrers = pd.read_csv(out).set_index("customer_id")
    assert referrers.loc["a", "referred"] == 3
    assert referrers["credit"].sum() == pytest.approx(document["credit"])
    shown = run(*words)
    assert "referred himself" in shown.out
    assert "Who brought most" in shown.out


def test_the_run_is_logged(run, home, store):
    words = ("referrals", home / "referrals.csv", "--scores", home / "scores.csv")
    assert json.loads(run(*words, "--track", "referrals", "--json").out)["run"]


def test_mistakes_are_said(run, home):
    file = home / "referrals.csv"
    assert run("referrals", file, "--members", home / "club.csv").code == 3
    assert run("referrals", file, "--incremental-share", "30").code == 3
    assert run("referrals", file, "-c", "referrer_id=nobody").code == 3
    assert run("referrals", home / "scores.csv").code == 3
