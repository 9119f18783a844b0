"""Cookies and forms of a request, read before the application reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.types import Message, Receive

from clv.format import count
from clv.web.problems import ProblemError

MOST_FORM = 256 * 2**10  # bytes of a form
FORM, FILES = b"application/x-www-form-urlencoded", b"multipart/form-data"
MOST_HEAD = 8 * 2**10  # bytes in which the first field of a form with a file ends
TOKEN_FIELD, TOKEN_HEADER = "csrf", b"x-csrf-token"
_FIRST = re.compile(  # as browsers write it
    rb'--[^\r\n]{1,200}\r\nContent-Disposition: form-data; name="(\w{1,50})"\r\n\r\n([^\r\n]*)\r\n',
    re.IGNORECASE,
)


def cookie(headers: Mapping[bytes, bytes], name: str) -> str:
    """The value of a cookie, empty if there is none."""
    try:
        morsel = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


async def form_body(receive: Receive) -> bytes:
    """The body of a form, up to what a form may have."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ProblemError(400, "cut-off", "The form did not come whole.")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_FORM:
            raise ProblemError(413, "large-form", f"A form may have {count(MOST_FORM)} bytes.")
        more = message.get("more_body", False)
    return b"".join(parts)


def form_field(body: bytes, name: str) -> str:
    """One field of a form; empty if it has none, or more than one."""
    try:
        values = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=500).get(name, [])
    except ValueError:  # more fields than that, or no text
        return ""
    return values[0] if len(values) == 1 else ""


async def form_head(receive: Receive) -> tuple[bytes, bool]:
    """The begin of a form with a file, with its first field, and whether more of it comes."""
    head, more = b"", True
    while more and len(head) < MOST_HEAD and not _FIRST.match(head):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ProblemError(400, "cut-off", "The form did not come whole.")
        head += message.get("body", b"")
        more = message.get("more_body", False)
    return head, more


def first_field(head: bytes, name: str) -> str:
    """The first field of a form with a file, if it is the one of this name; else empty."""
    field = _FIRST.match(head)
    return field[2].decode("latin-1") if field and field[1] == name.encode() else ""


def again(body: bytes, receive: Receive, *, more: bool = False) -> Receive:
    """``receive`` that gives ``body`` first; ``more`` if there is more of it to come."""
    pending = [body]

    async def repeated() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": more}
        return await receive()

    return repeated


def own_path(path: str) -> str:
    r"""A path of this server; "/" instead of what would lead elsewhere.

    >>> own_path("/trust?a=b"), own_path("//evil.example"), own_path("/\\evil"), own_path("http://x")
    ('/trust?a=b', '/', '/', '/')
    """
    plain = path.isascii() and path.isprintable() and "\\" not in path and len(path) < 2000
    return path if plain and path.startswith("/") and not path.startswith("//") else "/"
