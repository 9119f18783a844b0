"""The room Budget: its plan against ``allocate``, sliders, locks, and plans side by side."""

from __future__ import annotations

import copy
import html as entities
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi import FastAPI

from clv.app.budget_plan import Setting
from clv.app.retention import may_contact
from clv.decide.budget.allocate import allocate
from clv.decide.budget.channel import Channel
from clv.decide.budget.draws import MeanOfDraws
from clv.decide.budget.plan_gain import plan_gain
from clv.decide.budget.response import Power
from clv.decide.retention.offer import Offer
from clv.decide.retention.plan import gain_curve
from clv.store import Store, Stores, publish
from clv.web.page import mount_page

PLAN: dict[str, Any] = {
    "budget": 30_000,
    "horizon": "156 weeks",
    "channels": [
        {
            "name": "search",
            "value": 60,
            "current": 12_000,
            "response": {"curve": "power", "k": 12, "b": 0.6},
        },
        {
            "name": "social",
            "value": 80,
            "current": 8_000,
            "response": {"curve": "power", "k": 30, "b": 0.45},
        },
    ],
}
DRAWS = {"k": [10.0, 12.0, 15.0], "b": [0.55, 0.6, 0.58]}
SEARCH = Channel("search", Power(12, 0.6), 60, current=12_000)
SOCIAL = Channel("social", Power(30, 0.45), 80, current=8_000)


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def value_of(html: str, name: str) -> float:
    found = re.search(rf'name="{re.escape(name)}" type="number"[^>]*value="([^"]*)"', html)
    assert found is not None
    return float(found[1])


def locked(html: str) -> list[str]:
    return re.findall(r'name="lock" value="at\.([^"]*)" checked', html)


@pytest.fixture
def shown(scores: pd.DataFrame, tmp_path: Path, browse: Any) -> Any:
    """The room of a store with a plan; a second call publishes nothing."""

    def made(path: str = "/budget", plan: Any = PLAN, draws: Any = None) -> Any:
        if not (tmp_path / "CURRENT").exists():
            documents = {} if plan is None else {"plan": plan, "plan_draws": draws}
            publish(scores, tmp_path, documents=documents)
        app = FastAPI(openapi_url=None)
        mount_page(app, Stores(tmp_path))
        return type(browse)(app)(path)

    return made


def test_the_split_is_that_of_allocate(shown: Any) -> None:
    html = shown().text
    best = allocate([SEARCH, SOCIAL], 30_000)
    for name, spend in best.spend.items():
        assert value_of(html, f"at.{name}") == pytest.approx(spend, abs=0.5)
    assert locked(html) == []
    said = text_of(html)
    assert f"are expected to earn ${best.profit:,.0f} over 3 years" in said
    assert f"The next $1,000 of budget would bring about ${1000 * best.multiplier:,.0f} of" in said


def test_findings_have_the_currency_before_amounts_of_money_alone(shown: Any) -> None:
    html = shown("/budget?budget=30000&lock=at.search&at.search=14000&at.search.was=1+1").text
    best = allocate([replace(SEARCH, lo=14_000, hi=14_000), SOCIAL], 30_000)
    said = text_of(html)
    cheap = min(best.average_cac.items(), key=lambda one: one[1] or 0.0)
    assert f"come from {cheap[0]} (${cheap[1]:,.2f} each)" in said
    assert re.search(
        r"search is locked at \$14,000, where more money would return \$\d+\.\d\d for every \$1",
        said,
    )


def test_a_moved_slider_holds_its_channel_and_the_other_makes_the_best_of_the_rest(
    shown: Any,
) -> None:
    html = shown(
        "/budget?budget=30000&at.search=18000&at.search.slide=9000"
        "&at.search.was=18000+18000&at.social=12000&at.social.slide=12000"
        "&at.social.was=12000+12000"
    ).text
    assert locked(html) == ["search"]
    assert value_of(html, "at.search") == 9000
    held = Channel("search", Power(12, 0.6), 60, 9000, 9000, 12_000)
    best = allocate([held, SOCIAL], 30_000)
    assert value_of(html, "at.social") == pytest.approx(best.spend["social"], abs=0.5)


def test_a_lock_that_is_taken_off_lets_the_channel_move_again(shown: Any) -> None:
    plan = copy.deepcopy(PLAN)
    plan["channels"][0]["locked"] = True
    html = shown(plan=plan).text
    assert (locked(html), value_of(html, "at.search")) == (["search"], 12_000)
    fields = re.findall(r'name="((?:at|budget)[^"]*)"[^>]*value="([^"]*)"', html)
    query = "&".join(f"{name}={value.replace(' ', '+')}" for name, value in fields)
    free = shown(f"/budget?{query}").text
    best = allocate([SEARCH, SOCIAL], 30_000)
    assert locked(free) == []
    assert value_of(free, "at.search") == pytest.approx(best.spend["search"], abs=0.5)


def test_retention_competes_for_the_same_money(shown: Any, folder: Path) -> None:
    plan = PLAN | {"budget": 12_000, "retention": {"contact_cost": 1, "save_rate": 0.3}}
    html = shown(plan=plan).text
    with Store.open(folder) as store:
        curve = gain_curve(store.scores(may_contact(store)), Offer(1, save_rate=0.3))
    best = allocate([SEARCH, SOCIAL], 12_000, curve)
    assert best.retention_spend > 0
    assert f"${best.retention_spend:,.0f}" in text_of(html)
    assert "The save rate of the retention offer, 30%, is assumed." in html


def test_what_cannot_be_done_is_said_and_the_form_stays(shown: Any) -> None:
    answer = shown("/budget?budget=1000&lock=at.search&at.search=5000")
    assert answer.status_code == 200
    assert 'role="alert"' in answer.text
    assert "more than the budget of $1,000" in answer.text
    assert value_of(answer.text, "budget") == 1000
    assert locked(answer.text) == ["search"]


@pytest.mark.parametrize(
    "query",
    [
        "budget=x",
        "budget=-3",
        "budget=30000&lock=at.search&at.search=many",
        "saved=what",
        "saved=30000;search",
        "saved=30000;search=-1",
        "open=nan",
        "open=1e999",
        "open=30000;nothing=5",
        "saved=30000;nothing=5",
    ],
)
def test_what_makes_no_sense_is_no_fault_of_the_server(shown: Any, query: str) -> None:
    answer = shown(f"/budget?{query}")
    assert answer.status_code == 200
    assert value_of(answer.text, "budget") == 30_000


def test_plans_are_saved_in_the_address_and_stand_side_by_side(shown: Any) -> None:
    html = shown("/budget?open=30000").text
    link = re.search(r'href="([^"]*)">Save this plan', html)
    assert link is not None
    saved = shown(entities.unescape(link[1]))
    assert "This plan is saved" in saved.text
    both = shown("/budget?open=40000%3Bsearch%3D9000&saved=30000").text
    said = text_of(both)
    best = allocate([SEARCH, SOCIAL], 30_000)
    assert f"${best.profit:,.0f}" in said
    assert "Plan A" in said
    assert "search $9,000" in said
    assert 'name="saved" value="30000"' in both


def test_four_plans_at_most_are_saved(shown: Any) -> None:
    saved = "&".join(f"saved={30_000 + k}" for k in range(6))
    said = text_of(shown(f"/budget?{saved}").text)
    assert "Plan D" in said
    assert "Plan E" not in said
    assert "Save this plan" not in said


def test_a_setting_comes_back_from_the_address() -> None:
    setting = Setting(12.5, (("a;b=c", 3.0), ("é", 0.0)))
    assert Setting.parse(setting.text) == setting


@pytest.mark.parametrize("plan", [{"budget": -1}, {"channels": [{"name": "x"}]}, [], "plan"])
def test_a_document_that_is_no_plan_is_said(shown: Any, plan: Any) -> None:
    answer = shown(plan=plan)
    assert answer.status_code == 422
    assert "the published plan cannot be used" in answer.text


def test_without_a_plan_it_says_how_to_publish_one(shown: Any) -> None:
    said = text_of(shown(plan=None).text)
    assert "No plan was published" in said
    assert "clv publish --plan plan.toml" in said


def test_a_plan_without_a_budget_begins_with_todays_spend(shown: Any) -> None:
    plan = {name: value for name, value in PLAN.items() if name != "budget"}
    assert value_of(shown(plan=plan).text, "budget") == 20_000


def test_names_are_never_markup(shown: Any) -> None:
    plan = copy.deepcopy(PLAN)
    plan["channels"][0]["name"] = '"><script>x</script>'
    html = shown("/budget?budget=30000&lock=at.0&at.0=9000&saved=20000", plan=plan).text
    assert "<script>x" not in html
    assert re.search(r'name="lock" value="at\.0" checked', html)


def test_where_the_next_money_goes_is_the_difference_of_two_plans(shown: Any) -> None:
    html = entities.unescape(shown().text)
    table = html[html.index("Of the next 10,000") :]
    less, more = (allocate([SEARCH, SOCIAL], budget).spend for budget in (30_000, 40_000))
    for name in less:
        assert f">${round(more[name] - less[name]):,}<" in table[: table.index("</table>")]


def test_how_sure_a_plan_is_is_said_with_and_without_retention(shown: Any, scores: Any) -> None:
    plan, drawn = copy.deepcopy(PLAN), {"curve": "mean", "of": "power", "draws": DRAWS}
    plan["channels"][0] |= {"response": drawn, "observed": [9_000, 13_000]}
    plan["retention"] = {"contact_cost": 1, "incentive": 3, "save_rate": [0.1, 0.3]}
    draws = {"channels": {"search": {"curve": drawn, "values": [50.0, 60.0, 70.0]}}}
    said = text_of(shown(plan=plan, draws=draws).text)
    search = replace(SEARCH, response=MeanOfDraws(Power(*map(np.array, DRAWS.values()))))
    alone = plan_gain(
        [search, SOCIAL],
        allocate([search, SOCIAL], 30_000),
        values={"search": [50.0, 60.0, 70.0]},
    )
    assert alone is not None
    row = f"${alone.low:,.0f} to ${alone.high:,.0f} {alone.probability_better:.0%} estimated"
    assert re.search(rf"Channels alone \$[\d,]+ {re.escape(row)}", said)
    found = re.search(r"Channels and retention \$[\d,]+ (\S+) to (\S+) \d+% assumed", said)
    assert found is not None
    low, high = (float(end.replace("$", "").replace(",", "")) for end in found.groups())
    assert low < high
    assert "search $12,000" in said
    assert "Spent so far: $9,000 to $13,000; its curve is a guess here." in said


def test_a_plan_of_stated_curves_says_why_nobody_knows_how_sure_it_is(shown: Any) -> None:
    said = text_of(shown().text)
    assert "How sure is that?" in said
    assert "its curves and values are stated, not estimated" in said
