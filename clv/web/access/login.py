"""The page login: a form where a key is exchanged for a session cookie, and the way out."""

from __future__ import annotations

import html
import secrets

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.types import Scope

from clv.web.access.forms import TOKEN_FIELD, cookie, form_body, form_field, own_path
from clv.web.access.sessions import COOKIE, FORM_COOKIE
from clv.web.access.who import Access, visitor

router = APIRouter(include_in_schema=False)

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log in · clv</title>
<link rel="stylesheet" href="/static/page.css">
</head>
<body class="login">
<main>
<h1>Log in</h1>
{said}<form method="post" action="/login">
<input type="hidden" name="csrf" value="{token}">
<input type="hidden" name="next" value="{next}">
<label for="key">API key</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
<button type="submit">Log in</button>
</form>
</main>
</body>
</html>
"""


@router.get("/login")
async def show(request: Request) -> Response:
    """The form."""
    return form(request.scope, onward=request.query_params.get("next", "/"))


@router.post("/login")
async def begin(request: Request) -> Response:
    """Exchange a key for a session."""
    access: Access = request.scope["clv.access"]
    headers = dict(request.scope["headers"])
    body = await form_body(request.receive)
    onward = own_path(form_field(body, "next"))
    nonce = cookie(headers, FORM_COOKIE)
    ours = bool(nonce) and access.sessions.holds(nonce, form_field(body, TOKEN_FIELD))
    key = access.keys.find(form_field(body, "key").strip()) if ours and access.keys else None
    if key is None:  # what went wrong before keeps nobody out who has the right key
        if seconds := access.wait(None, request.scope):
            return _later(request.scope, seconds, onward)
        if not ours:
            return form(request.scope, 403, "The form was too old. Please try again.", onward)
        access.audit.write("login", "(unknown)", route="/login", done=False)
        return form(request.scope, 401, "This key is not known here.", onward)
    access.audit.write("login", key.name, route="/login", done=True)
    response = RedirectResponse(onward, 303)
    secure = request.scope.get("scheme") == "https"
    response.set_cookie(
        COOKIE,
        access.sessions.begin(key),
        max_age=int(access.sessions.lifetime),
        httponly=True,
        samesite="strict",
        secure=secure,
    )
    response.delete_cookie(FORM_COOKIE, httponly=True, samesite="strict", secure=secure)
    return response


@router.post("/logout")
async def end(request: Request) -> Response:
    """End the session."""
    who, access = visitor(request), request.scope["clv.access"]
    if who.session:
        access.sessions.end(who.session)
        access.audit.write("logout", who.name, route="/logout", done=True)
    response = RedirectResponse("/login", 303)
    secure = request.scope.get("scheme") == "https"
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=secure)
    return response


def _later(scope: Scope, seconds: int, onward: str) -> Response:
    response = form(scope, 429, f"Too many wrong keys. Please wait {seconds} seconds.", onward)
    response.headers["Retry-After"] = str(seconds)
    return response


def form(scope: Scope, status: int = 200, message: str = "", onward: str | None = None) -> Response:
    """The login form; its token is bound to a cookie of its own."""
    access: Access = scope["clv.access"]
    nonce = secrets.token_urlsafe(16)
    token, to = access.sessions.token(nonce), own_path(scope["path"] if onward is None else onward)
    if access.login_page:
        response = access.login_page(Request(scope), token, wrong=message, to=to, status=status)
    else:
        alert = f'<p role="alert">{html.escape(message)}</p>\n' if message else ""
        response = HTMLResponse(PAGE.format(said=alert, token=token, next=html.escape(to)), status)
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="clv"'
    secure = scope.get("scheme") == "https"
    response.set_cookie(
        FORM_COOKIE, nonce, max_age=3600, httponly=True, samesite="strict", secure=secure
    )
    return response
