"""The page beside the API, behind the gate: one process, one login, nothing without a key."""

from __future__ import annotations

import re
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from fastapi import FastAPI

from clv.scorer import CustomerScorer
from clv.store import Stores
from clv.web.access.keys import KeyRing, add_key
from clv.web.access.roles import Role
from clv.web.access.who import Access
from clv.web.application import create_app
from clv.web.page import error_page, login_page, mount_page

from .conftest import Browser

HTML = {"accept": "text/html"}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def viewer(keys: Path) -> str:
    return add_key(keys, "ann", Role.VIEWER)


@pytest.fixture
def served(scorer: CustomerScorer, folder: Path, keys: Path, viewer: str) -> FastAPI:
    access = Access(KeyRing(keys), login_page=login_page, error_page=error_page)
    app = create_app(scorer, access=access)
    mount_page(app, Stores(folder, check_every=None))
    return app


def hidden(text: str, name: str) -> str:
    found = re.search(f'name="{name}" value="([^"]*)"', text)
    assert found
    return found[1]


def cookie(answer: object, name: str) -> str:
    lines = answer.headers.get_list("set-cookie")  # type: ignore[attr-defined]
    found = SimpleCookie("; ".join(lines))
    return f"{name}={found[name].value}"


def log_in(browse: Browser, key: str) -> dict[str, str]:
    """The headers of a browser that has logged in."""
    form = browse("/", headers=HTML)
    assert form.status_code == 401
    sent = {"key": key, "csrf": hidden(form.text, "csrf"), "next": hidden(form.text, "next")}
    headers = {"cookie": cookie(form, "clv_form")}
    answer = browse("/login", "POST", data=sent, headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    return HTML | {"cookie": cookie(answer, "clv_session")}


def test_without_a_key_there_is_a_form_of_the_same_look_and_no_figure(served: FastAPI) -> None:
    browse = Browser(served)
    text = browse("/", headers=HTML).text
    assert "/static/page.css" in text
    assert "<nav" not in text
    assert "30 September 1997" not in text
    assert browse("/static/page.css").status_code == 200
    assert browse("/v1/model").headers["content-type"] == "application/problem+json"


def test_with_a_key_there_is_the_page_and_a_way_out(served: FastAPI, viewer: str) -> None:
    browse = Browser(served)
    headers = log_in(browse, viewer)
    answer = browse("/", headers=headers)
    assert answer.status_code == 200
    assert "ann<small>viewer</small>" in answer.text
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    out = {"csrf": hidden(answer.text, "csrf")}
    assert browse("/logout", "POST", data=out, headers=headers).status_code == 303
    assert browse("/", headers=headers).status_code == 401


def test_what_a_viewer_may_not_enter_is_refused_as_a_page(served: FastAPI, viewer: str) -> None:
    browse = Browser(served)
    answer = browse("/retention", headers=log_in(browse, viewer))
    assert answer.status_code == 403
    assert "Not with this key" in answer.text
    assert "/static/page.css" in answer.text


def test_the_api_answers_as_before(served: FastAPI, viewer: str, scorer: CustomerScorer) -> None:
    answer = Browser(served)("/v1/model", headers={"x-api-key": viewer})
    assert answer.json()["model_version"] == scorer.version
