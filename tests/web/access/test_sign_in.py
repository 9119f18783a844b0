"""A sign-in proxy: believed from its address alone, beside keys and without them."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from clv.errors import InputError
from clv.web.access.headers import check_bind
from clv.web.access.sign_in import SignIn, with_peer
from clv.web.access.who import Access
from clv.web.application import create_app

FILE = """
from = ["10.1.0.0/16", "::1"]
everyone = "viewer"
[roles]
marketing = "planner"
"user:boss@shop.example" = "admin"
"""
PROXY, ELSEWHERE = "10.1.2.3", "192.168.7.7"
ANNA = {"x-forwarded-email": "anna@shop.example", "x-forwarded-groups": "sales, marketing"}


@pytest.fixture
def settings(tmp_path):
    file = tmp_path / "sign-in.toml"
    file.write_text(FILE, encoding="utf-8")
    return file


@pytest.fixture
def through(scorer, settings, key_file, tokens):
    """Asks a server with a sign-in, and with keys or without, from an address."""
    apps = {
        keys: create_app(
            scorer,
            access=Access.on(
                "127.0.0.1", keys=key_file if keys else None, hosts=["shop"], sign_in=settings
            ),
        )
        for keys in (True, False)
    }

    def ask(method, path, *, address, keys, key=None, headers=(), **options):
        sent = [*dict(headers).items()] if isinstance(headers, dict) else [*headers]
        sent += [] if key is None else [("x-api-key", tokens[key])]

        async def once():
            transport = httpx.ASGITransport(apps[keys], client=(address, 5000))
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                return await client.request(method, path, headers=sent, **options)

        return asyncio.run(once())

    return ask


@pytest.mark.parametrize("keys", [True, False])
@pytest.mark.parametrize(
    ("address", "headers", "key", "status"),
    [
        (PROXY, ANNA, None, 200),
        ("::1", ANNA, None, 200),
        ("::ffff:10.1.2.3", ANNA, None, 200),
        (PROXY, ANNA, "viewer", 200),  # the proxy counts, which may send a token of its own
        (PROXY, {}, None, 401),
        (PROXY, {"x-forwarded-email": ""}, None, 401),
        (ELSEWHERE, ANNA, None, 403),
        (ELSEWHERE, ANNA, "admin", 403),
        (ELSEWHERE, {"x-forwarded-groups": "marketing"}, "admin", 403),
        (ELSEWHERE, {"x-forwarded-for": PROXY, **ANNA}, None, 403),
        (ELSEWHERE, {}, None, 401),
        (PROXY, [("x-forwarded-email", "a@b.c"), *ANNA.items()], None, 400),
        (PROXY, {"x-forwarded-email": "a" * 300}, None, 400),
    ],
)
def test_the_header_is_believed_from_the_proxy_alone(through, keys, address, headers, key, status):
    sent = list(headers.items()) if isinstance(headers, dict) else headers
    answer = through("GET", "/v1/model", address=address, keys=keys, key=key, headers=sent)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("key", "keys", "status"), [("viewer", True, 200), ("viewer", False, 401), (None, True, 401)]
)
def test_whoever_comes_without_the_proxy_needs_a_key(through, key, keys, status):
    for address in (PROXY, ELSEWHERE):
        answer = through("GET", "/v1/model", address=address, keys=keys, key=key)
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("email", "groups", "role"),
    [
        ("anna@shop.example", "sales,marketing", "planner"),
        ("ben@shop.example", "sales", "viewer"),
        ("boss@shop.example", "", "admin"),
        ("user:boss@shop.example", "user:boss", "viewer"),
    ],
)
def test_the_highest_role_that_fits_counts(settings, email, groups, role):
    raw = [(b"x-forwarded-email", email.encode()), (b"x-forwarded-groups", groups.encode())]
    name, given = SignIn.read(settings).names({"headers": raw, "client": (PROXY, 1)})
    assert (name, str(given)) == (email, role)


def test_who_has_no_role_is_refused_and_told_so(through, settings):
    settings.write_text(FILE.replace('everyone = "viewer"', ""), encoding="utf-8")
    raw = [(b"x-forwarded-email", b"ben@shop.example")]
    with pytest.raises(Exception, match=r"ben@shop\.example has no role here"):
        SignIn.read(settings).names({"headers": raw, "client": (PROXY, 1)})


def test_a_group_cannot_pass_for_a_user(settings):
    raw = [(b"x-forwarded-email", b"eve@x.y"), (b"x-forwarded-groups", b"user:boss@shop.example")]
    _, role = SignIn.read(settings).names({"headers": raw, "client": (PROXY, 1)})
    assert str(role) == "viewer"


def test_forms_of_who_is_signed_in_carry_a_token(through):
    body = {"offers": [{"contact_cost": 1}]}
    answer = through("POST", "/v1/retention", address=PROXY, keys=False, headers=ANNA, json=body)
    assert (answer.status_code, answer.json()["type"].split(":")[-1]) == (403, "form-token")


def test_the_connection_counts_and_not_what_a_header_says_of_it(settings):
    """As under ``clv serve --proxy``, which replaces the client by X-Forwarded-For's."""
    asked = SignIn.read(settings)
    roles = []

    async def rewritten(scope, receive, send):
        scope["client"] = ("203.0.113.9", 0)
        roles.append(asked.names(scope))

    raw = [(b"x-forwarded-email", b"ben@shop.example")]
    scope = {"type": "http", "headers": raw, "client": (PROXY, 1)}
    asyncio.run(with_peer(rewritten)(scope, None, None))
    assert [str(role) for _, role in roles] == ["viewer"]


def test_by_default_headers_say_nothing(ask, tokens):
    assert ask("GET", "/v1/model", headers=ANNA).status_code == 401
    assert ask("GET", "/v1/model", token=tokens["viewer"], headers=ANNA).status_code == 200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "from is missing"),
        ("from = []", "from"),
        ('from = ["proxy.example"]', "proxy.example"),
        ('from = ["::1"]\nuser = "X_User"', "name of a header"),
        ('from = ["::1"]\n[roles]\na = "boss"', "viewer, planner or admin"),
        ('from = ["::1"]\neveryon = "viewer"', "everyon"),
    ],
)
def test_wrong_settings_are_refused_with_what_to_write(tmp_path, text, words):
    file = tmp_path / "sign-in.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"sign-in\.toml") as caught:
        SignIn.read(file)
    assert words in str(caught.value)


def test_with_a_sign_in_others_may_be_listened_to(settings):
    assert not Access.on("0.0.0.0", sign_in=settings).open
    with pytest.raises(InputError):
        check_bind("0.0.0.0", keys=False)
