"""Budget plans under a name: kept on the server, compared side by side, and nothing is code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from clv.exports.audit import read_audit
from clv.store import publish
from clv.web.access.keys import add_key
from clv.web.access.who import Access
from clv.web.application import create_app
from clv.web.page.saved_plans import PLANS, PlanFile

from .conftest import HOSTILE, Browser
from .test_budget import PLAN, text_of
from .test_rooms import Page

Sent = Callable[..., Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plans")


@pytest.fixture(scope="module")
def send(scorer: Any, scores: pd.DataFrame, place: Path) -> Sent:
    """Posts a form, or gets a page, by the key of somebody."""
    publish(scores, place / "store", documents={"plan": PLAN})
    roles = {"ann": "planner", "ben": "planner", "viewer": "viewer"}
    keys = {name: add_key(place / "keys.json", name, role) for name, role in roles.items()}
    access = Access.on("127.0.0.1", keys=place / "keys.json", audit=place / "audit.jsonl")
    browse = Browser(create_app(scorer, store=place / "store", access=access, jobs=place / "jobs"))

    def sent(path: str, who: str = "ann", **form: Any) -> Any:
        headers = {"x-api-key": keys[who], "accept": "text/html"}
        more = {"data": form} if form else {}
        return browse(path, "POST" if form else "GET", headers=headers, **more)

    return sent


def test_plans_of_two_people_stand_side_by_side_under_their_names(send: Sent, place: Path) -> None:
    first = send("/budget/plans", name="Careful", note="as in May", open="20000")
    assert first.headers["location"] == "/budget?open=20000&saved=20000#compare"
    bold = {"name": "Bold", "note": "if stock comes", "open": "40000;search=9000"}
    second = send("/budget/plans", "ben", saved="20000", **bold)
    page = send(second.headers["location"].partition("#")[0], "ben").text
    said = text_of(page)
    for words in ("Bold , saved", "by ben: if stock", "Careful , saved", "by ann: as in May"):
        assert words in said
    cells = Page(page).cells
    assert ["Budget", "$40,000", "$20,000", "$40,000"] in cells
    assert "This plan Careful Bold" in said
    assert 'href="/budget?open=20000"' in send("/budget").text
    kept = PlanFile(place / "jobs" / PLANS).all()
    assert [(one.name, one.owner, one.setting) for one in kept] == [
        ("Bold", "ben", "40000;search=9000"), ("Careful", "ann", "20000"),
    ]  # fmt: skip
    assert send("/budget/plans/remove", name="Bold").status_code == 303
    assert "if stock comes" not in send("/budget").text
    lines = [(line["who"], line["event"]) for line in read_audit(place / "audit.jsonl")]
    assert lines == [("ann", "plan"), ("ben", "plan"), ("ann", "plan")]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": "", "open": "20000"}, "a plan needs a name"),
        ({"name": "x" * 61, "open": "20000"}, "a plan needs a name"),
        ({"name": "mine", "open": "much"}, "is no saved plan"),
        ({"name": "mine", "open": "20000", "note": "x" * 301}, "the note has 301 characters"),
    ],
)
def test_what_is_no_plan_is_refused(send: Sent, form: dict[str, str], words: str) -> None:
    answer = send("/budget/plans", **form)
    assert (answer.status_code, words in answer.text.replace("&#39;", "'")) == (422, True)


def test_a_viewer_keeps_nothing_a_name_is_text_and_a_channel_may_be_gone(send: Sent) -> None:
    assert send("/budget/plans", "viewer", name="mine", open="20000").status_code == 403
    sent = send("/budget/plans", name=HOSTILE, note=HOSTILE, open="20000;gone=5")
    assert sent.status_code == 303
    page = send("/budget?open=30000&saved=20000%3Bgone%3D5")
    assert (page.status_code, HOSTILE in page.text) == (200, False)
    assert "can no longer be met" in page.text
    assert send("/budget/plans/remove", name=HOSTILE).status_code == 303
