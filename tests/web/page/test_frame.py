"""The frame: errors for people and for programs, themes, roles, versions, macros."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from jinja2 import ChoiceLoader, DictLoader
from starlette.types import ASGIApp, Receive, Scope, Send

from clv.errors import InputError
from clv.report.charts import Column, Table
from clv.store import CustomerPage, publish
from clv.web.access.roles import Role
from clv.web.access.who import Access, Visitor
from clv.web.page import Room, login_page, room
from clv.web.page.frame import environment, own_path
from clv.web.page.routes import ROOMS
from clv.web.page.tables import Address, SortOrder

from .conftest import Browser, page_of

ELSEWHERE = ["//evil.example", "https://evil.example", "/\\evil.example", "/a\nb", "", "x"]
HOSTILE = '"><script>alert(1)</script>'
GALLERY = """{% extends "page/frame.html" %}{% block content %}
{{ ui.table(table, order) }}{{ ui.pagination(page.address, found) }}
{% call ui.filters("/gallery", keep=[("sort", "clv")]) %}
{{ ui.field("prefix", "Customer", said) }}{{ ui.choice("c", "C", [("", "All"), ("a", said)], "a") }}
{{ ui.choices("t", "T", [("1", "One"), ("2", "Two")], ["2"]) }}{{ ui.between("r", "R", 3) }}
{% endcall %}
{{ ui.download("/export", "Get", page.csrf, page.address.query) }}{% endblock %}"""


def gallery() -> Room:
    """A room that shows every macro, and fails in every way."""
    router = APIRouter()

    def content(store: Any, page: Any) -> dict[str, Any]:
        how = dict(page.address.query).get("how")
        if how == "input":
            raise InputError("tier 'x' is unknown.", hint="use top 1%.")
        if how == "missing":
            raise LookupError("There is no customer c-17.")
        if how == "fault":
            raise RuntimeError("secret c-17")
        columns = (Column("Customer"), Column("Value", "number", "clv"), Column("Days"))
        return {
            "table": Table("All", columns, [(HOSTILE, "1", "2")]),
            "order": SortOrder("clv", True, page.address),
            "found": CustomerPage([], 100, 2, 10),
            "said": HOSTILE,
        }

    @router.get("/gallery")
    async def show(request: Request) -> Response:
        return await room(request, "gallery.html", content, title="Gallery", active="gallery")

    return Room("gallery", "/gallery", "Gallery", router)


@pytest.fixture
def shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Browser:
    own = environment()
    loaders = [own.loader, DictLoader({"page/gallery.html": GALLERY})]
    monkeypatch.setattr(own, "loader", ChoiceLoader([one for one in loaders if one]))
    return Browser(page_of(folder, rooms=(*ROOMS, gallery())))


class Gate:
    """Notes who asks, as the gate of ``clv.web.access`` does."""

    def __init__(self, app: ASGIApp, visitor: Visitor | None) -> None:
        self.app, self.visitor = app, visitor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope |= {"clv.access": Access(), "clv.visitor": self.visitor}
        await self.app(scope, receive, send)


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/nowhere", 404, "There is no such page."),
        ("/gallery?how=input", 422, "use top 1%."),
        ("/gallery?how=missing", 404, "There is no customer c-17."),
        ("/gallery?how=fault", 500, "The server failed to make this page."),
    ],
)
def test_an_error_is_a_page_of_the_same_look(
    shown: Browser, path: str, status: int, said: str
) -> None:
    answer = shown(path)
    assert answer.status_code == status
    assert said in answer.text
    assert '<nav aria-label="Rooms">' in answer.text
    assert "secret" not in answer.text


def test_a_fault_is_logged_by_its_place_without_data(
    shown: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        shown("/gallery?how=fault")
    assert "RuntimeError in content" in caplog.text
    assert "secret" not in caplog.text


def test_a_wrong_method_is_told_as_a_page(browse: Browser) -> None:
    assert browse("/trust", "DELETE").status_code == 405
    assert "does not work" in browse("/trust", "DELETE").text


def test_errors_of_the_api_stay_problems(browse: Browser) -> None:
    answer = browse("/v1/nowhere")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_theme_is_kept_in_a_cookie_and_shown(browse: Browser) -> None:
    answer = browse("/theme?to=dark&back=/trust%3Fa%3Db")
    assert (answer.status_code, answer.headers["location"]) == (303, "/trust?a=b")
    assert answer.headers["set-cookie"].startswith("clv_theme=dark;")
    assert 'data-theme="dark"' in browse("/", headers={"cookie": "clv_theme=dark"}).text
    assert 'data-theme="auto"' in browse("/", headers={"cookie": 'clv_theme="><b>'}).text
    assert "Max-Age=0" in browse("/theme?to=auto").headers["set-cookie"]


@pytest.mark.parametrize("back", ELSEWHERE)
def test_no_redirect_leads_elsewhere(browse: Browser, back: str) -> None:
    assert own_path(back) == "/"
    assert browse("/theme", params={"to": "dark", "back": back}).headers["location"] == "/"


def test_the_navigation_shows_the_rooms_that_a_role_may_enter(folder: Path) -> None:
    closed = Room("retention", "/retention", "Retention", APIRouter())
    app = page_of(folder, rooms=(*ROOMS, closed))
    seen = {role: Browser(Gate(app, Visitor("ann", role)))("/").text for role in Role}
    assert [role for role in Role if ">Retention<" in seen[role]] == [Role.PLANNER, Role.ADMIN]
    assert all(">Trust<" in text for text in seen.values())


def test_nobody_sees_a_navigation(app: FastAPI) -> None:
    text = Browser(Gate(app, None))("/nowhere").text
    assert "<nav" not in text


def test_the_login_form_is_safe_and_carries_its_token(folder: Path) -> None:
    app = page_of(folder)

    async def login(request: Request) -> Response:
        to = request.query_params["next"]
        return login_page(request, "t-1", wrong=HOSTILE, to=to, status=401)

    app.add_route("/login", login)
    answer = Browser(app)("/login?next=//evil.example")
    assert answer.status_code == 401
    assert 'name="csrf" value="t-1"' in answer.text
    assert 'name="next" value="/"' in answer.text
    assert "<script>alert" not in answer.text


def test_macros_draw_what_they_are_given_and_escape_it(shown: Browser) -> None:
    text = shown("/gallery?tiers=top+1%25&page=2").text
    assert "<script>alert" not in text
    assert 'aria-sort="descending"' in text
    assert 'href="/gallery?tiers=top+1%25&amp;sort=clv&amp;order=asc"' in text
    assert 'rel="next" href="/gallery?tiers=top+1%25&amp;page=3"' in text
    assert '<input type="hidden" name="tiers" value="top 1%">' in text
    assert '<option value="a" selected>' in text
    assert 'name="t" value="2" checked' in text
    assert 'name="t" value="1">' in text
    assert '<label for="f-prefix">Customer</label>' in text


def test_a_table_with_a_cell_too_many_is_refused() -> None:
    with pytest.raises(ValueError, match="other than 1 cells"):
        Table("All", (Column("A"),), [("1", "2")])


def test_an_address_changes_one_thing_and_keeps_the_rest() -> None:
    here = Address("/c", (("a", "1"), ("a", "2"), ("page", "3")))
    assert here.but(page=None) == "/c?a=1&a=2"
    assert here.but(a="x y&z", page=1) == "/c?a=x+y%26z&page=1"
    assert here.without("a") == [("page", "3")]


def test_what_is_published_next_is_shown_next(scores: pd.DataFrame, tmp_path: Path) -> None:
    publish(scores, tmp_path)
    browse = Browser(page_of(tmp_path))
    before = browse("/").text
    publish(scores.assign(model_version="later-1"), tmp_path)
    assert "later-1" not in before
    assert "later-1" in browse("/").text
