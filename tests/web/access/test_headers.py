"""What a request may look like, where a server may listen, and what answers tell browsers."""

from __future__ import annotations

import pytest

from clv.errors import InputError
from clv.web.access.headers import allowed_hosts, check_bind, cross_origin, secured, wrong_host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost", "LOCALHOST"])
def test_loopback_needs_no_keys(host):
    check_bind(host, keys=False)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.168.1.4", "clv.example", "localhost.evil.example"]
)
def test_nobody_listens_to_the_outside_without_keys(host):
    with pytest.raises(InputError, match="nobody would be asked for a key"):
        check_bind(host, keys=False)
    check_bind(host, keys=True)


HOSTS = allowed_hosts("0.0.0.0", ["clv.example.com"])


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"localhost", None),
        (b"LocalHost:8000", None),
        (b"127.0.0.1:9", None),
        (b"[::1]:8000", None),
        (b"clv.example.com", None),
        (b"evil.example", 421),
        (b"localhost.evil.example", 421),
        (b"localhost@evil.example", 400),
        (b"localhost:8000:1", 400),
        (b"localhost/x", 400),
        (b"", 400),
        (b"\xff", 400),
    ],
)
def test_hosts(host, status):
    assert wrong_host({"headers": [(b"host", host)]}, HOSTS) == status


@pytest.mark.parametrize("name", ["https://clv.example", "clv.example:443", "", "a b", "*"])
def test_names_of_hosts_are_names(name):
    with pytest.raises(InputError, match="no name of a host"):
        allowed_hosts("0.0.0.0", [name])


def test_no_host_and_two_hosts_are_none():
    assert wrong_host({"headers": []}, HOSTS) == 400
    assert wrong_host({"headers": [(b"host", b"localhost"), (b"host", b"evil")]}, HOSTS) == 400


@pytest.mark.parametrize(
    ("headers", "crossing"),
    [
        ({}, False),  # no browser
        ({b"origin": b"http://localhost:8000"}, False),
        ({b"origin": b"https://localhost:8000"}, True),
        ({b"origin": b"http://localhost:9000"}, True),
        ({b"origin": b"http://evil.example"}, True),
        ({b"origin": b"null"}, True),
        ({b"sec-fetch-site": b"cross-site"}, True),
        ({b"sec-fetch-site": b"same-site"}, True),
        ({b"sec-fetch-site": b"same-origin", b"origin": b"http://localhost:8000"}, False),
        ({b"sec-fetch-site": b"none"}, False),
    ],
)
def test_what_changes_things_comes_from_our_own_pages(headers, crossing):
    headers = {b"host": b"localhost:8000", **headers}
    assert cross_origin({"method": "POST", "scheme": "http"}, headers) is crossing
    assert not cross_origin({"method": "GET", "scheme": "http"}, headers)


def test_answers_are_not_stored_unless_they_say_so():
    plain = dict(secured([], {"scheme": "http"}))
    assert plain[b"cache-control"] == b"no-store"
    assert b"strict-transport-security" not in plain
    kept = secured([(b"cache-control", b"max-age=60")], {"scheme": "https"})
    assert [value for name, value in kept if name == b"cache-control"] == [b"max-age=60"]
    assert b"strict-transport-security" in dict(kept)
