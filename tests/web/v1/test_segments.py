"""Segments add up to everybody, in every dimension."""

from __future__ import annotations

import pytest


def test_every_dimension_adds_up_to_all_customers(ask, scores):
    answer = ask("GET", "/v1/segments", role="viewer").json()
    assert answer["currency"] == "USD"
    assert {"tier", "decile", "recency", "channel", "cohort", "eligible"} <= set(answer["segments"])
    for found in answer["segments"].values():
        assert sum(one["customers"] for one in found) == len(scores)
        assert sum(one["value"] for one in found) == pytest.approx(scores["clv"].sum())


def test_one_dimension(ask, scores):
    answer = ask("GET", "/v1/segments?dimension=channel").json()
    assert list(answer["segments"]) == ["channel"]
    found = answer["segments"]["channel"]
    expected = scores.groupby("channel")["clv"].sum().to_dict()
    assert {one["segment"]: one["value"] for one in found} == pytest.approx(expected)


@pytest.mark.parametrize("name", ["country", "", "tier'--", "x" * 300])
def test_an_unknown_dimension_is_told_which_there_are(ask, refused, name):
    response = ask("GET", "/v1/segments", params={"dimension": name})
    assert refused(response) == ["dimension"]


def test_the_dimensions_there_are_are_said(ask):
    problem = ask("GET", "/v1/segments?dimension=country").json()
    assert "tier" in problem["errors"][0]["send"]
