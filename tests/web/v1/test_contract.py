"""Schemathesis holds the API to its own description: no 5xx, and every status, content type and
body as documented, whoever asks.

That what the description allows is also accepted (``positive_data_acceptance``) is not asked: which
columns a store has, which days lie after its own and which budgets are feasible, no schema says.
"""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode

from clv.web import v1

REFUSED = [400, 401, 403, 404, 405, 413, 414, 415, 422]
CONFIG = {
    "checks": {
        "positive_data_acceptance": {"enabled": False},
        "negative_data_rejection": {"expected-statuses": [str(status) for status in REFUSED]},
    }
}
ROUTES = [
    (method, route.path.replace(":path}", "}"))  # as the document writes it
    for resource in v1.ROUTES
    for route in resource.router.routes
    if route.include_in_schema
    for method in route.methods
]


@pytest.fixture(scope="module")
def described(app, keys) -> Any:
    """The description, as whoever has a key may read it."""

    async def served(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"  # else the first test's end would close the store
        await app(scope, receive, send)

    config, headers = SchemathesisConfig.from_dict(CONFIG), {"X-API-Key": keys[1]["viewer"]}
    where = "/v1/openapi.json"
    return schemathesis.openapi.from_asgi(where, served, config=config, headers=headers)


def hold(operation: Any, mode: GenerationMode, token: str | None, examples: int) -> None:
    """Send requests of a kind, and check each answer against the description."""
    headers = {} if token is None else {"X-API-Key": token}

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],  # a failure is shown as it was found
        suppress_health_check=list(HealthCheck),  # bodies of many fields are slow to make
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def each(case: Any) -> None:
        case.call_and_validate(headers=headers)

    each()


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_answer_is_as_described(described, keys, method, path):
    operation, token = described[path][method], keys[1]["admin"]
    hold(operation, GenerationMode.POSITIVE, token, 20)
    if operation.query or operation.body:  # else no request is wrong
        hold(operation, GenerationMode.NEGATIVE, token, 20)


@pytest.mark.slow
@pytest.mark.parametrize("role", ["viewer", None])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_refusal_is_as_described(described, keys, method, path, role):
    token = keys[1][role] if role else None
    hold(described[path][method], GenerationMode.POSITIVE, token, 3)
