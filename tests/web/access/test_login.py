"""The page login: a key for a cookie, forms with a token, and the way out."""

from __future__ import annotations

import json
import re
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest
from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, PlainTextResponse

from clv.exports.audit import Audit, read_audit
from clv.web.access import keys
from clv.web.access import sessions as sessions_module
from clv.web.access.forms import form_body, form_field
from clv.web.access.keys import KeyRing, revoke_key
from clv.web.access.limits import Rate
from clv.web.access.roles import Role, Rule
from clv.web.access.who import Access, Visitor, visitor
from clv.web.application import create_app

HTML = {"accept": "text/html"}


def cookies_of(response: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in response.headers.get_list("set-cookie"):
        found |= SimpleCookie(line)
    return found


def hidden(page: str, name: str) -> str:
    match = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert match
    return match[1]


def log_in(ask: Any, token: str, base: str = "http://localhost", **changes: str) -> httpx.Response:
    shown = ask("GET", "/login?next=/customers", base=base)
    fields = {"key": token, "csrf": hidden(shown.text, "csrf"), "next": hidden(shown.text, "next")}
    cookie = f"clv_form={cookies_of(shown)['clv_form'].value}"
    return ask("POST", "/login", data=fields | changes, headers={"cookie": cookie}, base=base)


def session(ask: Any, token: str) -> dict[str, str]:
    """The headers of a browser that is logged in."""
    return {"cookie": f"clv_session={cookies_of(log_in(ask, token))['clv_session'].value}"}


def test_a_page_without_session_shows_the_form_as_401(ask):
    response = ask("GET", "/customers", headers=HTML)
    assert response.status_code == 401
    assert '<form method="post" action="/login">' in response.text
    assert hidden(response.text, "next") == "/customers"
    assert ask("GET", "/v1/model", headers=HTML).headers["content-type"].endswith("problem+json")


def test_pages_of_another_look_take_the_same_form(scorer, asking, access, tokens):
    def login_page(request: Any, token: str, *, wrong: str, to: str, status: int) -> Any:
        form = f'<input name="csrf" value="{token}"><input name="next" value="{to}">{wrong}'
        return HTMLResponse(f"<h1>Ours</h1>{form}", status)

    def error_page(request: Any, status: int, detail: str) -> Any:
        return HTMLResponse(f"<h1>No</h1><p>{detail}", status)

    access.login_page, access.error_page = login_page, error_page
    ask = asking(create_app(scorer, access=access))
    shown = ask("GET", "/customers", headers=HTML)
    assert (shown.status_code, shown.text[:13]) == (401, "<h1>Ours</h1>")
    assert log_in(ask, "clv_wrong").text.endswith("not known here.")
    headers = session(ask, tokens["viewer"])
    refused = ask("GET", "/budget", headers=headers | HTML)
    assert (refused.status_code, refused.text[:11]) == (403, "<h1>No</h1>")
    assert "planner" in refused.text
    assert ask("POST", "/v1/retention", headers=headers | HTML).json()["status"] == 403


def test_login_gives_a_guarded_cookie_that_gets_in(ask, tokens):
    response = log_in(ask, tokens["viewer"])
    assert (response.status_code, response.headers["location"]) == (303, "/customers")
    cookie = cookies_of(response)["clv_session"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "strict"
    assert not cookie["secure"]
    assert int(cookie["max-age"]) == 8 * 3600
    assert tokens["viewer"] not in cookie.value
    headers = {"cookie": f"clv_session={cookie.value}"}
    assert ask("GET", "/v1/model", headers=headers).status_code == 200
    assert ask("POST", "/v1/retention", headers=headers).status_code == 403


def test_over_https_the_cookie_is_for_https_alone(ask, tokens):
    response = log_in(ask, tokens["viewer"], base="https://localhost")
    assert cookies_of(response)["clv_session"]["secure"]


def test_a_wrong_key_or_an_alien_form_gives_none(ask, tokens, tmp_path):
    wrong = log_in(ask, "clv_wrong")
    assert wrong.status_code == 401
    assert "clv_session" not in cookies_of(wrong)
    assert "clv_wrong" not in wrong.text
    for csrf in ("", "x", "0" * 64):
        assert log_in(ask, tokens["admin"], csrf=csrf).status_code == 403
    blind = ask("POST", "/login", data={"key": tokens["admin"]})
    assert blind.status_code == 403
    (line,) = (tmp_path / "audit.jsonl").read_text().splitlines()
    told = json.loads(line)
    assert (told["event"], told["who"], told["done"]) == ("login", "(unknown)", False)
    assert "clv_wrong" not in line


@pytest.mark.parametrize(
    "onward", ["//evil.example", "https://evil.example", "/\\evil.example", "x", "/a\r\nb: c", ""]
)
def test_login_leads_nowhere_else(ask, tokens, onward):
    response = log_in(ask, tokens["viewer"], next=onward)
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert "b" not in response.headers


def test_wrong_keys_are_limited_and_never_bar_the_right_one(scorer, asking, key_file, tokens):
    slow = Access(keys=KeyRing(key_file), rate_unknown=Rate(per_second=0.01, burst=16))
    ask = asking(create_app(scorer, access=slow))
    wrong = [log_in(ask, f"clv_guess-{n}").status_code for n in range(20)]
    assert wrong == [401] * 16 + [429] * 4
    late = log_in(ask, "clv_guess")
    assert "Too many wrong keys" in late.text
    assert 1 <= int(late.headers["retry-after"]) <= 100
    assert ask("GET", "/v1/model", "clv_guess").status_code == 429
    assert ask("GET", "/customers", headers=HTML).status_code == 401  # still the form
    assert log_in(ask, tokens["viewer"]).status_code == 303
    assert ask("GET", "/v1/model", tokens["viewer"]).status_code == 200


def test_what_is_beyond_the_limit_fills_no_audit(scorer, asking, key_file, tokens, tmp_path):
    audit = Audit(tmp_path / "few.jsonl")
    slow = Access(KeyRing(key_file), audit=audit, rate_unknown=Rate(per_second=0.01, burst=3))
    ask = asking(create_app(scorer, access=slow))
    for n in range(9):
        log_in(ask, f"clv_guess-{n}")
    assert [line["done"] for line in read_audit(audit.path)] == [False] * 3


def test_what_was_typed_is_shown_as_text(ask):
    page = ask("GET", '/login?next=/"><script>alert(1)</script>').text
    assert "<script>" not in page


def test_revoking_a_key_ends_its_sessions(ask, tokens, key_file, monkeypatch):
    monkeypatch.setattr(keys, "FRESH", 0.0)
    headers = session(ask, tokens["viewer"])
    assert ask("GET", "/v1/model", headers=headers).status_code == 200
    revoke_key(key_file, "viewer-key")
    assert ask("GET", "/v1/model", headers=headers).status_code == 401


def test_a_session_ends_in_time_and_with_the_process(
    scorer, asking, access, ask, tokens, monkeypatch
):
    headers = session(ask, tokens["viewer"])
    restarted = asking(create_app(scorer, access=Access(keys=access.keys)))
    assert restarted("GET", "/v1/model", headers=headers).status_code == 401
    later = sessions_module.time.time() + access.sessions.lifetime + 1
    monkeypatch.setattr(sessions_module.time, "time", lambda: later)
    assert ask("GET", "/v1/model", headers=headers).status_code == 401


@pytest.fixture
def page(scorer, asking, access) -> Any:
    """An application with a page of a form, and a client of it."""
    access.rules = (Rule(("POST",), "/save", Role.VIEWER), *access.rules)
    app = create_app(scorer, access=access)

    @app.get("/form")
    async def show(who: Visitor = Depends(visitor)) -> PlainTextResponse:  # noqa: B008
        return PlainTextResponse(who.csrf)

    @app.post("/save")
    async def save(request: Request) -> PlainTextResponse:
        body = await form_body(request.receive)
        return PlainTextResponse(f"{visitor(request).name} {form_field(body, 'kept')}")

    return asking(app)


def test_forms_need_the_token_of_their_session(page, tokens):
    mine, other = session(page, tokens["viewer"]), session(page, tokens["viewer"])
    token = page("GET", "/form", headers=mine).text
    assert len(token) == 64
    kept = page("POST", "/save", data={"kept": "plan é", "csrf": token}, headers=mine)
    assert (kept.status_code, kept.text) == (200, "viewer-key plan é")
    by_header = page("POST", "/save", data={"kept": "1"}, headers=mine | {"x-csrf-token": token})
    assert by_header.status_code == 200
    for headers, data in (
        (mine, {"kept": "1"}),
        (mine, {"kept": "1", "csrf": ""}),
        (mine, {"kept": "1", "csrf": "0" * 64}),
        (mine, {"kept": "1", "csrf": [token, token]}),
        (other, {"kept": "1", "csrf": token}),
        (mine | {"origin": "http://evil.example"}, {"kept": "1", "csrf": token}),
    ):
        assert page("POST", "/save", data=data, headers=headers).status_code == 403
    json_body = page("POST", "/save", json={"csrf": token}, headers=mine)
    assert json_body.status_code == 403  # a token in JSON is none: send the header


def test_a_key_in_the_header_needs_no_token(page, tokens):
    assert page("POST", "/save", tokens["viewer"], data={"kept": "1"}).status_code == 200


def test_logout_ends_the_session_but_not_at_a_strangers_bidding(page, tokens, tmp_path):
    headers = session(page, tokens["viewer"])
    assert page("POST", "/logout", headers=headers).status_code == 403
    assert page("GET", "/v1/model", headers=headers).status_code == 200
    token = page("GET", "/form", headers=headers).text
    gone = page("POST", "/logout", data={"csrf": token}, headers=headers)
    assert (gone.status_code, gone.headers["location"]) == (303, "/login")
    assert page("GET", "/v1/model", headers=headers).status_code == 401
    lines = (tmp_path / "audit.jsonl").read_text().splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert events == ["login", "logout"]
