"""The model card."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from clv.serve.answers import Answer
from clv.serve.v1.reply import answer, routes

router = routes("model")


class ModelAnswer(Answer):
    """The model card."""

    card: dict[str, Any]


@router.get("/model", response_model=ModelAnswer)
async def model(request: Request) -> Any:
    """The model card: what was learned, from what, on which terms, how far to trust it."""
    return answer(request, card=request.app.state.card)
