"""The gate over ASGI: who gets in, who does not, and what they are told."""

from __future__ import annotations

import json
import re
import stat
from typing import Any

import pytest

from clv.app.requests import PLAN_EXAMPLE, SCORE_EXAMPLE
from clv.errors import InputError
from clv.exports.audit import Audit
from clv.web.access import keys
from clv.web.access.keys import KeyRing, revoke_key
from clv.web.access.limits import Rate
from clv.web.access.roles import Role
from clv.web.access.who import Access
from clv.web.application import create_app
from clv.web.v1 import channels, retention

PROBLEM = "application/problem+json"
PLAN = {name: value for name, value in PLAN_EXAMPLE.items() if name != "retention"}


def routes(app: Any) -> list[tuple[str, str]]:
    """Every method and path of the API, with an example in the place of a parameter."""
    described = app.openapi()["paths"]
    found = [
        (method.upper(), re.sub(r"\{.*?\}", "1", path))
        for path, methods in described.items()
        for method in methods
    ]
    return [*found, ("GET", "/v1/openapi.json"), ("POST", "/logout")]


def test_without_a_key_nothing_but_health(app, ask):
    walked = routes(app)
    assert len(walked) > 8
    for method, path in walked:
        response = ask(method, path)
        if path == "/v1/health":
            assert response.status_code == 200
            continue
        assert response.status_code == 401, path
        assert response.headers["content-type"] == PROBLEM
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert "model_version" not in response.text


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/V1/health",
        "/v1/health/",
        "//v1/health",
        "/v1/health%2f..%2fmodel",
        "/v1/health/../model",
        "/static/../v1/model",
        "/static/..%2f..%2fetc%2fpasswd",
        "/login/x",
        "/docs",
        "/metrics",
    ],
)
def test_no_other_spelling_gets_in(ask, path):
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "X"):
        response = ask(method, path)
        assert response.status_code in (401, 404), method
        assert "model_version" not in response.text
        assert "root:" not in response.text


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer "},
        {"authorization": "Bearer"},
        {"authorization": "Bearer wrong"},
        {"authorization": "Basic YTpi"},
        {"authorization": b"Bearer \xff\xfe"},
        {"x-api-key": ""},
        {"x-api-key": "clv_" + "A" * 43},
        {"cookie": "clv_session=x.y"},
        {"cookie": 'clv_session="'},
        {"cookie": "clv_session=" + "A" * 5000},
    ],
    ids=str,
)
def test_wrong_keys(ask, headers):
    assert ask("GET", "/v1/model", headers=headers).status_code == 401


def test_a_key_may_come_in_either_header(ask, tokens):
    for headers in (
        {"authorization": f"Bearer {tokens['viewer']}"},
        {"authorization": f"bearer {tokens['viewer']}"},
        {"x-api-key": tokens["viewer"]},
    ):
        assert ask("GET", "/v1/model", headers=headers).status_code == 200


ROUTES = [
    ("GET", "/v1/ready", Role.VIEWER),
    ("GET", "/v1/model", Role.VIEWER),
    ("GET", "/v1/metrics", Role.VIEWER),
    ("GET", "/v1/openapi.json", Role.VIEWER),
    ("GET", "/v1/customers/1", Role.VIEWER),
    ("GET", "/v1/customers", Role.VIEWER),
    ("GET", "/v1/segments", Role.VIEWER),
    ("GET", "/v1/channels", Role.VIEWER),
    ("POST", "/v1/channels", Role.VIEWER),
    ("POST", "/v1/score", Role.VIEWER),
    ("POST", "/v1/allocate", Role.PLANNER),
    ("POST", "/v1/retention", Role.PLANNER),
    ("GET", "/v1/export/customers.csv", Role.PLANNER),
    ("POST", "/v1/exports", Role.PLANNER),
    ("POST", "/customers/export", Role.PLANNER),
    ("DELETE", "/v1/anything", Role.ADMIN),
]


BODIES: dict[str, Any] = {
    "/v1/score": SCORE_EXAMPLE,
    "/v1/allocate": PLAN,
    "/v1/retention": retention.EXAMPLE,
    "/v1/channels": channels.EXAMPLE,
    "/v1/exports": {},
}


@pytest.mark.parametrize(("method", "path", "least"), ROUTES)
def test_roles(ask, tokens, method, path, least):
    body = BODIES.get(path)
    for role in Role:
        response = ask(method, path, tokens[str(role)], json=body)
        if role < least:
            assert response.status_code == 403
            assert response.headers["content-type"] == PROBLEM
            assert str(least) in response.json()["detail"]
        else:
            assert response.status_code in (200, 404, 405)


def test_a_revoked_key_gets_no_further(ask, tokens, key_file, monkeypatch):
    monkeypatch.setattr(keys, "FRESH", 0.0)
    assert ask("GET", "/v1/model", tokens["viewer"]).status_code == 200
    revoke_key(key_file, "viewer-key")
    assert ask("GET", "/v1/model", tokens["viewer"]).status_code == 401


def test_without_keys_this_machine_may_do_all(scorer, asking):
    ask = asking(create_app(scorer))
    assert ask("GET", "/v1/model").status_code == 200
    assert ask("POST", "/v1/allocate", json=PLAN).status_code == 200
    assert ask("GET", "/login").status_code == 404


def test_access_as_an_operator_says_it(scorer, asking, key_file, tokens, tmp_path):
    with pytest.raises(InputError, match="can be reached from outside"):
        Access.on("0.0.0.0")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"the audit .* cannot be written"):
        Access.on("127.0.0.1", audit=tmp_path / "file" / "audit.jsonl")
    with pytest.raises(InputError, match=r"there is no file .*none\.json"):
        Access.on("127.0.0.1", keys=tmp_path / "none.json")
    assert Access.on("127.0.0.1").keys is None
    access = Access.on("0.0.0.0", keys=key_file, hosts=["clv.example.com"])
    ask = asking(create_app(scorer, access=access))
    for base, status in (("http://clv.example.com", 200), ("http://clv.example", 421)):
        assert ask("GET", "/v1/model", tokens["viewer"], base=base).status_code == status


@pytest.mark.parametrize("keyed", [True, False])
def test_a_rebound_name_does_not_reach_the_numbers(scorer, asking, access, tokens, keyed):
    ask = asking(create_app(scorer, access=access if keyed else None))
    response = ask("GET", "/v1/model", tokens["admin"], base="http://evil.example")
    assert response.status_code == 421
    assert "evil" not in response.text


@pytest.mark.parametrize("keyed", [True, False])
def test_a_page_elsewhere_changes_nothing(scorer, asking, access, tokens, keyed):
    ask = asking(create_app(scorer, access=access if keyed else None))
    headers = {"origin": "http://evil.example"}
    response = ask("POST", "/v1/allocate", tokens["admin"], json=PLAN, headers=headers)
    assert (response.status_code, response.json()["type"]) == (403, "urn:clv:problem:other-origin")


def test_sizes_are_bounded(ask, tokens):
    token = tokens["viewer"]
    assert ask("GET", "/v1/model?" + "q" * 9000, token).status_code == 414
    assert ask("GET", "/v1/customers/" + "q" * 9000, token).status_code == 414
    assert ask("GET", "/v1/model", token, headers={"x-long": "q" * 20_000}).status_code == 431
    many = {f"x-{n}": "q" * 100 for n in range(200)}
    assert ask("GET", "/v1/model", token, headers=many).status_code == 431
    form = {"content-type": "application/x-www-form-urlencoded"}
    large = ask("POST", "/login", content=b"key=" + b"x" * 300_000, headers=form)
    assert (large.status_code, large.headers["content-type"]) == (413, PROBLEM)


def test_every_answer_is_guarded(ask, tokens):
    for path, token in (("/v1/model", tokens["viewer"]), ("/v1/model", None), ("/x", None)):
        headers = ask("GET", path, token).headers
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["referrer-policy"] == "same-origin"
        assert "strict-transport-security" not in headers
    secure = ask("GET", "/v1/health", base="https://localhost")
    assert "strict-transport-security" in secure.headers


def test_rates_are_per_key_and_strict_for_the_unknown(scorer, asking, key_file, tokens):
    slow = Rate(per_second=0.01, burst=3)
    access = Access(keys=KeyRing(key_file), rate=slow, rate_unknown=slow)
    ask = asking(create_app(scorer, access=access))
    for token, status in ((tokens["viewer"], 200), (tokens["admin"], 200), ("wrong", 401)):
        statuses = [ask("GET", "/v1/model", token) for _ in range(4)]
        assert [one.status_code for one in statuses] == [status] * 3 + [429]
        assert int(statuses[-1].headers["retry-after"]) >= 1
    assert ask("GET", "/v1/health").status_code == 200


def test_guesses_at_the_login_are_limited(scorer, asking, key_file, tokens):
    access = Access(keys=KeyRing(key_file), rate_unknown=Rate(per_second=0.01, burst=5))
    ask = asking(create_app(scorer, access=access))
    statuses = [ask("POST", "/login", data={"key": f"guess {n}"}).status_code for n in range(8)]
    assert statuses == [403] * 5 + [429] * 3


def test_the_audit_tells_who_planned_and_no_customer(scorer, access, ask, tokens, tmp_path):
    assert ask("POST", "/v1/allocate", tokens["planner"], json=PLAN).status_code == 200
    file = tmp_path / "audit.jsonl"
    (line,) = [json.loads(text) for text in file.read_text().splitlines()]
    assert (line["event"], line["who"], line["route"]) == ("plan", "planner-key", "/v1/allocate")
    assert line["filters"]["budget"] == PLAN["budget"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    Audit(file).write("login", 'eve\n{"who": "admin"}', route="/login")
    assert len(file.read_text().splitlines()) == 2  # no name makes a line of its own


def test_neither_log_nor_answer_tells_a_key(ask, tokens, caplog):
    with caplog.at_level("DEBUG"):
        answers = [
            ask("GET", "/v1/model", tokens["viewer"]).text,
            ask("POST", "/v1/allocate", tokens["viewer"], json=PLAN).text,
            ask("GET", "/v1/model", "clv_wrong-key").text,
        ]
    for secret in (*tokens.values(), "clv_wrong-key"):
        assert secret not in caplog.text
        assert not any(secret in text for text in answers)
