"""Glossary: what the words on these pages mean."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from clv.glossary import glossary
from clv.store import Store
from clv.web.page.frame import Page, room

router = APIRouter(include_in_schema=False)


@router.get("/glossary")
async def show(request: Request) -> Response:
    """The page; it is reached from the foot of every other."""
    return await room(request, "glossary.html", content, title="Glossary", active="")


def content(store: Store, page: Page) -> dict[str, Any]:
    """What the template shows."""
    return {"terms": glossary()}
