"""What no model of a query checks: parameters that a route does not take, or that come twice."""

from __future__ import annotations

from collections import Counter
from typing import Any, get_origin

from fastapi import Request

from clv.serve import problems


async def check_query(request: Request) -> None:
    """A problem with the first parameter that would be ignored in silence."""
    lists = _parameters(request.scope["route"])
    for name, times in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in lists:
            raise _problem(name, "This route does not take it.", "Leave it out.")
        if times > 1 and not lists[name]:
            raise _problem(name, f"It is given {times} times.", "Give it once.")


def _parameters(route: Any) -> dict[str, bool]:
    """By name, whether a parameter may be given several times."""
    found: dict[str, bool] = {}
    for taken in route.dependant.query_params:
        fields = getattr(
            taken.field_info.annotation, "model_fields", {taken.alias: taken.field_info}
        )
        found |= {name: get_origin(field.annotation) is list for name, field in fields.items()}
    return found


def _problem(name: str, detail: str, send: str) -> problems.ProblemError:
    field = ascii(name[:40])[1:-1] or "(empty)"
    wrong = {"field": field, "detail": detail, "send": send}
    return problems.ProblemError(422, "invalid-field", f"1 wrong: {field}.", [wrong])
