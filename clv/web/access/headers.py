"""What a request may look like before anybody reads it, and what every answer says to a browser."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable

from starlette.types import Scope

from clv.errors import InputError

MOST_HEADERS, MOST_TARGET = 16 * 2**10, 8 * 2**10  # bytes of all headers; of path and query
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::\d{1,5})?", re.IGNORECASE)
UNSAFE = frozenset(("POST", "PUT", "PATCH", "DELETE"))

# A referrer goes to this server alone; with none at all, browsers would send "Origin: null".
SECURITY = (
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        b"object-src 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
NO_STORE = (b"cache-control", b"no-store")
HSTS = (b"strict-transport-security", b"max-age=31536000")

Headers = Iterable[tuple[bytes, bytes]]


def secured(headers: Headers, scope: Scope) -> list[tuple[bytes, bytes]]:
    """The headers of an answer, and those that guard it; it is stored nowhere unless it says so."""
    guarded = list(headers)
    stored = any(name == b"cache-control" for name, _ in guarded)
    guarded += SECURITY
    if not stored:
        guarded.append(NO_STORE)
    if scope.get("scheme") == "https":
        guarded.append(HSTS)
    return guarded


def too_large(scope: Scope) -> int | None:
    """The status of a request whose headers (431) or address (414) are too long, else None."""
    if len(scope["raw_path"] or b"") + len(scope["query_string"]) > MOST_TARGET:
        return 414
    size = sum(len(name) + len(value) for name, value in scope["headers"])
    return 431 if size > MOST_HEADERS else None


def wrong_host(scope: Scope, hosts: Collection[str]) -> int | None:
    """The status of a request for another host (421) or for none (400), else None.

    A page elsewhere can make a browser take its name for this machine's address; what it then sends
    here carries its own name.
    """
    hosts_sent = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts_sent) != 1:
        return 400
    match = HOST.fullmatch(hosts_sent[0].decode("latin-1"))
    if match is None:
        return 400
    return None if match[1].lower() in hosts else 421


def cross_origin(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Whether a browser says that a request that changes things comes from another site's page."""
    if scope["method"] not in UNSAFE:
        return False
    if headers.get(b"sec-fetch-site", b"same-origin") not in (b"same-origin", b"none"):
        return True
    origin = headers.get(b"origin")
    if origin is None:
        return False
    our_origin = scope.get("scheme", "http").encode() + b"://" + headers[b"host"]
    return bool(origin.lower() != our_origin.lower())


def allowed_hosts(host: str, more: Iterable[str] = ()) -> frozenset[str]:
    """The names that requests may be for: this machine's own, the address bound, and ``more``.

    Raises
    ------
    InputError
        One of ``more`` is no name, such as an address with a scheme or a port.

    Examples
    --------
    >>> sorted(allowed_hosts("0.0.0.0", ["clv.example.com"]))
    ['127.0.0.1', '[::1]', 'clv.example.com', 'localhost']
    """
    more = list(more)
    for name in more:
        match = HOST.fullmatch(name)
        if match is None or match[1] != name:
            raise InputError(
                f"{name!r} is no name of a host.", hint="give it alone, as in clv.example.com."
            )
    bound = f"[{host}]" if ":" in host else host
    bound_names = [] if host in ("", "0.0.0.0", "::") else [bound]
    return frozenset(name.lower() for name in (*LOOPBACK, *bound_names, *more))


def check_bind(host: str, *, keys: bool) -> None:
    """Refuse to listen where others can reach it unless keys are set.

    Raises
    ------
    InputError
        The address is not this machine's own, and there are no keys.

    Examples
    --------
    >>> check_bind("127.0.0.1", keys=False)
    >>> check_bind("0.0.0.0", keys=True)
    """
    if keys or _is_loopback(host):
        return
    raise InputError(
        f"{host} can be reached from outside, and nobody would be asked for a key.",
        hint="make a key with clv keys add NAME and serve with --keys, or leave --host out.",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
