"""What holds for every route: what an answer carries, and who may ask."""

from __future__ import annotations

import pytest

from clv.web import v1
from clv.web.access.roles import Role, least_role
from clv.web.v1 import channels, exports, retention

CARRIED = {"model_version", "as_of", "horizon", "currency"}
FILES = ("/v1/metrics", "/v1/exports")  # a measure names the model; a file has it in every row
ROUTES = [
    (method, route.path)
    for resource in v1.ROUTES
    for route in resource.router.routes
    for method in route.methods
]


def test_every_answer_is_described_to_carry_what_it_is_of(ask):
    described = ask("GET", "/v1/openapi.json").json()
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if path in FILES:
                continue
            shown = operation["responses"]["200"]["content"]["application/json"]["schema"]
            answer = described["components"]["schemas"][shown["$ref"].split("/")[-1]]
            assert set(answer["required"]) >= CARRIED, (method, path)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_a_key_only_health_is_told(ask, method, path):
    response = ask(method, path.replace("{customer_id}", "1"), role=None)
    assert response.status_code == (200 if path == "/v1/health" else 401)


def test_planners_plan_and_export_and_viewers_look():
    least = {path: least_role(method, path) for method, path in ROUTES if method == "POST"}
    assert least == {
        "/v1/score": Role.VIEWER,
        "/v1/channels": Role.VIEWER,
        "/v1/retention": Role.PLANNER,
        "/v1/retention/test-plan": Role.PLANNER,
        "/v1/allocate": Role.PLANNER,
        "/v1/exports": Role.PLANNER,
    }


@pytest.mark.parametrize("module", [channels, exports, retention])
def test_the_examples_of_the_description_are_those_that_the_tests_send(ask, module):
    described = ask("GET", "/v1/openapi.json").json()["paths"]
    path = f"/v1/{module.__name__.split('.')[-1]}"
    examples = described[path]["post"]["requestBody"]["content"]["application/json"]["examples"]
    assert module.EXAMPLE in [one["value"] for one in examples.values()]
