"""Style sheet, script and icon: held in memory, and stored by browsers until they change."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from clv.report.charts.style import style_sheet

TYPES = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
FOREVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "public, no-cache"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class File:
    """A file with its type and a digest of what is in it."""

    content: bytes
    media_type: str
    digest: str


@cache
def held() -> dict[str, File]:
    """The files by name; there are no others."""
    folder = files("clv.web") / "static"
    by_name = {}
    for name, media_type in TYPES.items():
        content = (folder / name).read_bytes()
        if name == "page.css":
            content = style_sheet().encode() + content
        by_name[name] = File(content, media_type, hashlib.sha256(content).hexdigest()[:12])
    return by_name


def address(name: str) -> str:
    """Where a file is, with its digest: another content has another address.

    >>> address("page.css").startswith("/static/page.css?v=")
    True
    """
    return f"/static/{name}?v={held()[name].digest}"


@router.api_route("/static/{name}", methods=["GET", "HEAD"])
async def file(request: Request, name: str) -> Response:
    """A file, or word that the browser's own copy is still right."""
    current_file = held().get(name)
    if current_file is None:
        raise HTTPException(404)
    current = request.query_params.get("v") == current_file.digest
    etag = f'"{current_file.digest}"'
    headers = {"ETag": etag, "Cache-Control": FOREVER if current else ASK_AGAIN}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(current_file.content, media_type=current_file.media_type, headers=headers)
