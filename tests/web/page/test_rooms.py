"""Overview and Trust: their figures worked out a second way, and markup that people can use."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clv.evaluate.backtest import RollingOrigin
from clv.format import change, large_money, money, percent
from clv.scorer import CustomerScorer

from .conftest import HOSTILE, Browser

ROOMS = ["/", "/trust"]
VOID = {"meta", "link", "input", "br", "hr", "img"}


class Page(HTMLParser):
    """A page read strictly: what is opened is closed, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.open: list[str] = []
        self.cells: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open) and self.cells:
            self.cells[-1][-1] += data.strip()

    def row(self, first: str) -> list[str]:
        return next(row for row in self.cells if row and row[0] == first)


@pytest.mark.parametrize("path", ROOMS)
def test_a_page_is_whole_and_needs_nothing_from_elsewhere(browse: Browser, path: str) -> None:
    answer = browse(path)
    page = Page(answer.text)
    assert answer.status_code == 200
    assert page.open == []
    for tag, attributes in page.tags:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert tag != "style"
        assert tag != "script" or attributes["src"].startswith("/static/")
        for name in ("href", "src", "action"):
            assert attributes.get(name, "/").startswith(("/", "#"))


@pytest.mark.parametrize("path", ROOMS)
def test_a_page_can_be_found_around_in(browse: Browser, path: str) -> None:
    tags = Page(browse(path).text).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert [tag for tag, _ in tags].count("h1") == 1
    assert {"main", "nav", "header", "footer"} <= {tag for tag, _ in tags}
    assert [a["href"] for tag, a in tags if tag == "a" and a.get("aria-current")] == [path]
    for tag, attributes in tags:
        if tag == "section":
            assert attributes["aria-labelledby"] in ids
        if tag == "div" and attributes.get("class") == "scroll":
            assert attributes["tabindex"] == "0"
            assert attributes["aria-label"]
        if tag == "svg":
            assert (
                attributes.get("role") == "img"
                or attributes.get("aria-hidden")
                or (not attributes.get("class") or attributes["class"] == "plot")
            )
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch("h[1-6]", tag)]
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))


@pytest.mark.parametrize("path", ROOMS)
def test_every_page_says_what_its_figures_rest_on(
    browse: Browser, scorer: CustomerScorer, path: str
) -> None:
    footer = unescape(browse(path).text.partition("<footer")[2])
    for said in ("30 September 1997", scorer.version, "3 years", "30% of revenue", "15% a year"):
        assert said in footer


@pytest.mark.parametrize("path", ROOMS)
def test_what_others_wrote_is_never_markup(browse: Browser, path: str) -> None:
    text = browse(path).text
    assert HOSTILE not in text
    assert path != "/" or "No: &lt;script&gt;" in text


def test_tiers_hold_what_sorting_the_scores_gives(browse: Browser, scores: pd.DataFrame) -> None:
    clv = np.sort(scores["clv"].to_numpy())[::-1]
    n = math.ceil(len(clv) * 0.01)
    page = Page(browse("/").text)
    _, share, _, customers, value, each, _ = page.row("Top 1%")
    assert (share, customers) == (percent(clv[:n].sum() / clv.sum()), f"{n}")
    assert (value, each) == (money(clv[:n].sum(), "USD"), money(clv[:n].mean(), "USD"))
    assert large_money(clv.sum(), "USD") in browse("/").text


def test_the_curve_of_concentration_goes_through_the_sorted_values(
    browse: Browser, scores: pd.DataFrame
) -> None:
    clv = np.sort(scores["clv"].to_numpy())[::-1]
    carried = np.concatenate([[0], np.cumsum(clv)]) / clv.sum()
    text = browse("/").text
    points = re.findall(r'<polyline class="line[^"]*" points="([^"]*)"', text)[0].split()
    assert len(points) > 12
    for point in points:
        across, down = (float(part) for part in point.split(","))
        place = across / 100 * len(clv)
        assert place == pytest.approx(round(place), abs=0.02)
        assert 1 - down / 100 == pytest.approx(carried[round(place)], abs=1e-4)


def test_eligible_customers_are_counted_with_the_reasons_against_the_others(
    browse: Browser, scores: pd.DataFrame
) -> None:
    page = Page(browse("/").text)
    assert page.row("Yes")[3] == f"{int(scores['eligible'].sum()):,}"
    assert page.row(f"No: {HOSTILE}")[3] == f"{int((~scores['eligible']).sum()):,}"


def test_the_base_has_the_interval_that_was_published(
    browse: Browser, documents: dict[str, Any]
) -> None:
    total = documents["total"]
    low, high = large_money(total["low"], "USD"), large_money(total["high"], "USD")
    assert f"90% between {low} and {high}" in browse("/").text


def test_the_last_window_is_that_of_the_backtest(browse: Browser, rolling: RollingOrigin) -> None:
    table = rolling.table
    ours = table[(table["forecast"] == "BG/NBD") & (table["what"] == "purchases")].iloc[-1]
    off = ours["actual_total"] / ours["predicted_total"] - 1
    said = f"{percent(abs(off))} {'more' if off > 0 else 'less'}"
    text = browse("/").text
    assert f"In the 91 days after 30 December 1997, customers bought {said}" in text


def test_scores_alone_say_what_is_missing_and_what_to_do(bare: Callable[..., Browser]) -> None:
    browse = bare()
    overview, trust = unescape(browse("/").text), unescape(browse("/trust").text)
    assert "No interval, because no total was published" in overview
    assert "The scores do not say who may be contacted" in overview
    assert "No forecast has been put to the test" in overview
    for missing in ("The model was not put to the test", "No model card", "Run clv monitor"):
        assert missing in trust
    assert Page(overview).open == Page(trust).open == []


def test_customers_without_any_value_break_nothing(bare: Callable[..., Browser]) -> None:
    text = bare(clv=0.0, value_at_stake=0.0)("/").text
    assert "No customer has any value still to come." in text
    assert "nan" not in text.lower()


def test_one_customer_is_a_base_too(bare: Callable[..., Browser]) -> None:
    page = Page(bare(customers=1)("/").text)
    assert page.row("Top 1%")[1:4:2] == ["100%", "1"]


@pytest.mark.parametrize("what", ["purchases", "money"])
def test_the_backtest_shows_the_means_and_marks_the_best(
    browse: Browser, rolling: RollingOrigin, what: str
) -> None:
    means = rolling.means()
    rows = means[means["what"] == what].set_index("forecast")
    text = browse("/trust").text
    heading = {"purchases": "Purchases: mean", "money": "Money: mean"}[what]
    table = text[text.index(f"<caption><span>{heading}") :].partition("</table>")[0]
    page = Page("<table>" + table + "</table>")
    ours = page.row("BG/NBDin use")
    assert ours[1] == f"{rows['gini']['BG/NBD']:.3f}"
    assert ours[2] == change(rows["bias"]["BG/NBD"])
    bold = re.findall(r'<b class="best">([^<]*)</b>', table)
    assert f"{rows['gini'].max():.3f}" in bold
    assert change(rows["bias"][rows["bias"].abs().idxmin()]) in bold


def test_every_window_lies_where_its_miss_says(browse: Browser, scorer: CustomerScorer) -> None:
    missed = scorer.card()["training"]["holdout"]["rolling"]["misses"]
    page = Page(browse("/trust").text)
    shown = [row for row in page.cells if row and row[0] in ("Purchases", "Money")]
    ratios = [math.exp(r) for what in missed.values() for r in what["log_ratios"]]
    assert [row[2] for row in shown if len(row) == 5] == [percent(ratio) for ratio in ratios]


def test_the_parameters_are_told_in_words(browse: Browser, scorer: CustomerScorer) -> None:
    p = scorer.purchases.params_
    text = unescape(browse("/trust").text)
    assert f"buys {p['r'] / p['alpha']:.2g} times a week" in text
    assert f"After a purchase, {percent(p['a'] / (p['a'] + p['b']))} leave for good." in text
