"""The room Channels: figures of the published table, its chart, and cohorts with payback."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi import FastAPI

from clv.store import Stores, publish
from clv.web.page import mount_page
from clv.web.page.channels import paid_back

CHANNELS = pd.DataFrame(
    {
        "channel": ["search", "social", "organic"],
        "loaded_spend": [3000.0, 1000.0, 0.0],
        "new_customers": [100.0, 100.0, 50.0],
        "cac": [30.0, 10.0, None],
        "cac_low": [28.0, 9.0, None],
        "cac_high": [33.0, 11.0, None],
        "new_customers_are": ["attributed, not incremental"] * 3,
        "new_customer_value": [90.0, 8.0, 40.0],
        "ltv_to_cac": [3.0, 0.8, None],
        "horizon": ["3 years"] * 3,
        "payback": [17.0, None, None],
        "payback_unit": ["week"] * 3,
    }
)
COHORTS = pd.DataFrame(
    {
        "cohort": ["2024-01"] * 3 + ["2024-02"] * 2,
        "age": [0, 1, 2, 0, 1],
        "earned": [8.0, 14.0, 19.0, 9.0, 12.0],
        "customers": [40] * 3 + [30] * 2,
        "cac": [14.0] * 5,
        "mature": [True, True, True, True, False],
    }
)


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


@pytest.fixture
def shown(scores: pd.DataFrame, tmp_path: Path, browser: Any) -> Any:
    """The room of a store with these tables."""

    def made(path: str = "/channels", **tables: pd.DataFrame) -> Any:
        publish(scores.head(20), tmp_path, tables=tables)
        app = FastAPI(openapi_url=None)
        mount_page(app, Stores(tmp_path))
        return browser(app)(path)

    return made


@pytest.fixture
def browser(browse: Any) -> Any:
    return type(browse)


def test_it_says_which_is_cheapest_and_which_is_worth_most(shown: Any) -> None:
    said = text_of(shown(channels=CHANNELS).text)
    assert "The cheapest new customers come from social ($10 each)" in said
    assert "the most valuable from search (worth $90 each)" in said
    assert "New customers of social cost more than they are worth." in said


def test_paid_and_blended_cac_are_sums_over_sums(shown: Any) -> None:
    said = text_of(shown(channels=CHANNELS).text)
    assert "Paid CAC $20 " in said  # 4000 / 200
    assert "Blended CAC $16 " in said  # 4000 / 250


def test_ratio_and_payback_carry_their_horizon(shown: Any) -> None:
    said = text_of(shown(channels=CHANNELS).text)
    assert "Value : CAC over 3 years" in said
    assert "3.0 : 1" in said
    assert "17 weeks" in said
    assert "not within 3 years" in said


def test_the_chart_has_the_line_on_which_value_is_cost(shown: Any) -> None:
    html = shown(channels=CHANNELS).text
    line = re.search(r'points="([^"]*)" class="dash|class="dash[^"]*"[^>]*points="([^"]*)"', html)
    points = re.search(r'<polyline[^>]*points="([^"]*)"[^>]*class="dash', html) or line
    assert points is not None
    search = re.search(r'<circle class="dot[^>]*>(?:<title>search: ([^<]*)</title>)', html)
    assert search is not None
    assert "30, " in search[1] or "$30, " in search[1]
    for name in ("search", "social"):
        assert re.search(rf'<text class="row"[^>]*>{name}</text>', html)
    assert not re.search(r'<text class="row"[^>]*>organic</text>', html)


@pytest.mark.parametrize(
    "kept",
    [
        ["channel"],
        ["channel", "loaded_spend", "new_customers", "cac"],
        ["channel", "new_customer_value"],
        ["channel", "cac", "new_customer_value"],
    ],
)
def test_columns_that_are_missing_leave_a_page_without_them(shown: Any, kept: list[str]) -> None:
    answer = shown(channels=CHANNELS[kept])
    assert answer.status_code == 200
    assert "search" in answer.text


def test_without_channels_it_says_how_to_publish_them(shown: Any) -> None:
    said = text_of(shown().text)
    assert "No channels were published" in said
    assert "clv publish --spend spend.csv" in said


def test_cohorts_are_shown_where_no_spend_was_published(shown: Any) -> None:
    said = text_of(shown(cohorts=COHORTS).text)
    assert "No channels were published" in said
    assert "Jan 2024" in said


def test_a_cohort_is_marked_where_it_has_earned_what_it_cost(shown: Any) -> None:
    html = shown(channels=CHANNELS, cohorts=COHORTS).text
    rows = dict(re.findall(r'<th scope="row"[^>]*>(...\xa02024)</th>(.*?)</tr>', html, re.DOTALL))
    first = [
        text_of(cell).strip()
        for cell in re.findall(r"<td[^>]*>(.*?)</td>", rows["Jan\xa02024"], re.DOTALL)
    ]
    second = [
        text_of(cell).strip()
        for cell in re.findall(r"<td[^>]*>(.*?)</td>", rows["Feb\xa02024"], re.DOTALL)
    ]
    assert first == ["40", "$14", "$8", "✓ paid back, $14", "$19"]
    assert second == ["30", "$14", "$9", "$12 so far", "not that old yet"]


def test_cohorts_have_their_months_in_every_language(
    shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLV_LOCALE", "de_DE")
    said = text_of(shown(channels=CHANNELS, cohorts=COHORTS).text)
    assert re.search(r"Jan\.\s2024 40 ", said)


def test_cohorts_can_be_seen_by_channel(shown: Any) -> None:
    both = pd.concat([COHORTS.assign(channel="a"), COHORTS.assign(channel="b", customers=7)])
    said = text_of(shown("/channels?channel=b", channels=CHANNELS, cohorts=both).text)
    assert re.search(r"Jan\s2024 7 ", said)
    assert shown("/channels?channel=c", channels=CHANNELS, cohorts=both).status_code == 422


def test_how_many_cohorts_have_paid_back_is_said(shown: Any) -> None:
    said = text_of(shown(channels=CHANNELS, cohorts=COHORTS).text)
    assert (
        "1 of 2 cohorts have paid back what they cost, half of those by the age of 1 month." in said
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"cac": [14.0] * 3 + [9.0] * 2}, "2 of 2 cohorts have paid back"),
        (
            {"cac": [1.0] * 5},
            "2 of 2 cohorts have paid back what they cost, half of those in the first",
        ),
        ({"cac": [90.0] * 5}, "0 of 2 cohorts have paid back what they cost."),
        ({"cac": [None] * 5}, ""),
    ],
)
def test_cohorts_pay_back_what_is_known_of_their_cost(changed: dict[str, Any], said: str) -> None:
    rows = COHORTS.assign(**changed).replace({np.nan: None}).to_dict("records")
    assert paid_back(rows).startswith(said)
    assert bool(said) == bool(paid_back(rows))


def test_cohorts_without_their_columns_are_an_error_that_says_so(shown: Any) -> None:
    answer = shown(channels=CHANNELS, cohorts=COHORTS.drop(columns="earned"))
    assert answer.status_code == 422
    assert "no column earned" in answer.text


def test_names_are_never_markup(shown: Any) -> None:
    hostile = CHANNELS.assign(channel=["<script>x</script>", "b&c", "c"])
    html = shown(channels=hostile).text
    assert "<script>x" not in html
    assert "&lt;script&gt;x" in html
