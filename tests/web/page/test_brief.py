"""The four answers on the first screen: from the scores, the channels and the backtest."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from clv.format import large_money, money, percent
from clv.store import Store, publish
from clv.web.page import model_report
from clv.web.page.overview_answers import brief, how_far

from .conftest import Browser, page_of

QUESTIONS = ["Who matters", "Whom to keep", "Where to spend", "How far to trust it"]
CHANNELS = pd.DataFrame(
    {
        "channel": ["search", "social"],
        "cac": [30.0, 10.0],
        "new_customer_value": [90.0, 8.0],
        "ltv_to_cac": [3.0, 0.8],
        "horizon": ["3 years"] * 2,
    }
)


def answers(html: str) -> dict[str, str]:
    """What is said to each question, with its links."""
    shown = html.partition('<ul class="brief"')[2].partition("</ul>")[0]
    found = re.findall(r"<li><h2>(.*?)</h2>(.*?)</li>", shown, re.DOTALL)
    return {question: unescape(re.sub("<.*?>", " ", said)) for question, said in found}


def test_the_first_screen_answers_four_questions_and_leads_on(browse: Browser) -> None:
    text = browse("/").text
    assert list(answers(text)) == QUESTIONS
    links = re.findall(r'<a href="([^"]*)">', text.partition('<ul class="brief"')[2])[:6]
    assert links[0] == "/customers?tiers=top+1%25"
    assert [browse(unescape(link)).status_code for link in links] == [200] * 6


def test_who_matters_and_whom_to_keep_are_sums_of_the_scores(
    browse: Browser, scores: pd.DataFrame
) -> None:
    said = answers(browse("/").text)
    best = scores["clv"].nlargest(math.ceil(len(scores) / 100))
    risk = scores["churn_probability"] * scores["value_at_stake"]
    assert f"{len(best)} customers" in said["Who matters"]
    assert percent(best.sum() / scores["clv"].sum()) in said["Who matters"]
    assert f"{money(best.mean(), 'USD')} each" in said["Who matters"]
    assert f"would be worth {large_money(risk.sum(), 'USD')}" in said["Whom to keep"]
    lower = risk[scores["clv"].rank(ascending=False, method="first") > len(scores) / 2]
    half = large_money(lower.sum(), "USD")
    assert ("bottom 50%" not in said["Whom to keep"]) or half in said["Whom to keep"]


def test_where_to_spend_names_the_best_channel_and_those_that_lose(
    scores: pd.DataFrame, tmp_path: Path
) -> None:
    publish(scores, tmp_path, tables={"channels": CHANNELS})
    said = answers(Browser(page_of(tmp_path))("/").text)["Where to spend"].replace("\xa0", " ")
    assert "A new customer of search brings most for the money: 3.0 : 1 over 3 years" in said
    assert "Those of social cost more than they bring." in said


def test_what_is_not_known_is_said(bare: Callable[..., Browser]) -> None:
    said = answers(bare()("/").text)
    assert "no channels were published" in said["Where to spend"]
    assert "never put to the test" in said["How far to trust it"]


def test_nobody_is_led_where_they_may_not_go(folder: Path) -> None:
    page: Any = SimpleNamespace(has=lambda name: name in ("customers", "trust"))
    with Store.open(folder) as store:
        names = ("concentration", "total", "model_card", "monitor")
        documents = {name: store.document(name) for name in names}
        found = brief(store, store.segments(), documents, page)
    links = [to for one in found for _, to in one.links]
    assert links == [
        "/customers?tiers=top+1%25",
        "/customers?sort=value_at_stake",
        "/trust",
    ]


@pytest.mark.parametrize(
    ("misses", "said"),
    [
        ((0.25, 0.25), "bought 28% more and spent 28% more than expected, outside the interval"),
        ((0.0, 0.02), "bought as expected and spent 2.0% more than expected."),
    ],
)
def test_how_far_says_what_came_and_if_intervals_held(
    misses: tuple[float, float], said: str
) -> None:
    rolling = {
        "cutoffs": ["2024-01-31"],
        "days": 70,
        "misses": {
            what: {"log_ratios": [miss], "explained": [0.05]}
            for what, miss in zip(("purchases", "money"), misses, strict=True)
        },
        "means": [],
    }
    card = {"training": {"holdout": {"rolling": rolling}}}
    assert said in how_far({"model_card": card, "monitor": None})


@pytest.mark.parametrize(
    ("ours", "naive", "said"),
    [
        (0.75, 0.74, "It tells good customers from others better than every simple rule."),
        (0.751, 0.749, "It tells good customers from others as well as the best simple rule."),
        (
            0.70,
            0.74,
            "A simple rule, own past rate, tells good customers from others better than the model.",
        ),
    ],
)
def test_a_naive_rule_that_wins_is_named(ours: float, naive: float, said: str) -> None:
    rows = [
        {"what": "money", "forecast": "BG/NBD", "naive": False, "gini": ours},
        {"what": "money", "forecast": "own past rate", "naive": True, "gini": naive},
        {"what": "money", "forecast": "population mean", "naive": True, "gini": 0.0},
    ]
    (sentence,) = model_report.ranks({"purchase_model": "BG/NBD"}, {"means": rows})
    assert sentence == said
