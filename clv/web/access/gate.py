"""The gate: every request passes it, and is let through, sent back, or asked who it is.

In this order: size and host, origin, key or session, rate, role, form token. It is plain ASGI and
costs about ten microseconds. Behind it, :func:`clv.web.access.who.visitor` says who asks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from fastapi import Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from clv.web import problems
from clv.web.access import login
from clv.web.access.forms import (
    FILES,
    FORM,
    TOKEN_FIELD,
    TOKEN_HEADER,
    again,
    first_field,
    form_body,
    form_field,
    form_head,
)
from clv.web.access.headers import UNSAFE, cross_origin, too_large, wrong_host
from clv.web.access.roles import Role, least_role
from clv.web.access.who import Access, Visitor, sent_key

REFUSALS = {
    "bad-host": (400, "The request has no Host header, or one that names no host."),
    "no-key": (401, "Send a key: Authorization: Bearer KEY, or X-API-Key: KEY."),
    "bad-key": (401, "This key is not known here; it may have been revoked."),
    "no-sign-in": (401, "Come in through your company's sign-in; nobody is let in here without."),
    "other-origin": (403, "A page of another site asks for this."),
    "form-token": (403, "The form is too old, or not of this session: load its page again."),
    "long-address": (414, "Path and query may have 8,192 bytes."),
    "other-host": (421, "This server is not the host that the request names."),
    "too-many": (429, "Too many requests; wait as Retry-After says."),
    "long-headers": (431, "All headers together may have 16,384 bytes."),
}
SHAPES = {400: "bad-host", 414: "long-address", 421: "other-host", 431: "long-headers"}


class Gate:
    """Lets requests through to the application as ``access`` says."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})  # there are none here
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = dict(scope["headers"])
        try:
            answer = self._refused(scope, headers)
        except problems.ProblemError as error:  # of a sign-in that is not believed
            answer = problems.answer_to(error)
        nonce = scope["clv.visitor"].nonce if answer is None and scope["clv.visitor"] else ""
        if nonce and scope["method"] in UNSAFE:
            receive, answer = await self._checked_form(headers, receive, nonce)
        if answer is not None:
            return await self._for_people(scope, headers, answer)(scope, receive, send)
        return await self.app(scope, receive, send)

    def _refused(self, scope: Scope, headers: dict[bytes, bytes]) -> Response | None:
        """The answer to a request that may not go on; else who asks is noted in the scope."""
        access = self.access
        status = too_large(scope) or wrong_host(scope, access.hosts)
        if status:
            return refusal(SHAPES[status])
        if cross_origin(scope, headers):
            return refusal("other-origin")
        scope["clv.access"], scope["clv.visitor"] = access, None
        least = least_role(scope["method"], scope["path"], access.rules)
        if least is None and scope["method"] == "GET":
            return None
        scope["clv.visitor"] = who = access.identify(scope, headers)
        if least is None:  # the login counts wrong keys by itself
            return None
        counts = who is not None or sent_key(headers) is not None
        if counts and (seconds := access.wait(who, scope)):
            return refusal("too-many", {"Retry-After": str(seconds)})
        if who is None:
            return _ask(scope, headers)
        return None if who.role >= least else _above(who, least)

    def _for_people(self, scope: Scope, headers: dict[bytes, bytes], answer: Response) -> Response:
        """A refusal as a page, where a person asked for one."""
        show = self.access.error_page
        if show is None or not _is_page(scope, headers) or answer.media_type != problems.MEDIA_TYPE:
            return answer
        page = show(Request(scope), answer.status_code, json.loads(bytes(answer.body))["detail"])
        if wait := answer.headers.get("retry-after"):
            page.headers["Retry-After"] = wait
        return page

    async def _checked_form(
        self, headers: dict[bytes, bytes], receive: Receive, nonce: str
    ) -> tuple[Receive, Response | None]:
        """A browser sends the cookie whoever asks it to: the token shows that our page did."""
        token = headers.get(TOKEN_HEADER, b"").decode("latin-1")
        kind = headers.get(b"content-type", b"")
        if not token and kind.startswith(FORM):
            body = await form_body(receive)
            token, receive = form_field(body, TOKEN_FIELD), again(body, receive)
        elif not token and kind.startswith(FILES):  # its file is not waited for
            body, more = await form_head(receive)
            token, receive = first_field(body, TOKEN_FIELD), again(body, receive, more=more)
        if self.access.sessions.holds(nonce, token):
            return receive, None
        return receive, refusal("form-token")


def refusal(kind: str, headers: Mapping[str, str] | None = None) -> Response:
    """The problem ``kind`` as an answer."""
    status, detail = REFUSALS[kind]
    response = problems.respond(status, kind, detail)
    response.headers.update(headers or {})
    return response


def _ask(scope: Scope, headers: Mapping[bytes, bytes]) -> Response:
    """401: to a person the login form, to a program how to send a key."""
    access: Access = scope["clv.access"]
    if access.keys is None:
        return refusal("no-sign-in")
    if scope["method"] == "GET" and _is_page(scope, headers):
        return login.form(scope, status=401)
    kind = "no-key" if sent_key(headers) is None else "bad-key"
    return refusal(kind, {"WWW-Authenticate": 'Bearer realm="clv"'})


def _is_page(scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser asks for a page to show."""
    return not scope["path"].startswith("/v1/") and b"text/html" in headers.get(b"accept", b"")


def _above(who: Visitor, least: Role) -> Response:
    return problems.respond(403, "role", f"This takes the role {least}; {who.name} has {who.role}.")
