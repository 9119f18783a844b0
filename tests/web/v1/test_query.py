"""No parameter of a query is ignored in silence, on any route."""

from __future__ import annotations

import pytest

from clv.app.requests import SCORE_EXAMPLE
from clv.web import v1

PATHS = sorted(
    route.path
    for resource in v1.ROUTES
    for route in resource.router.routes
    if "GET" in route.methods
)
NEEDED = {"/v1/test-plan": "?baseline_mean=9&baseline_sd=45&lift=0.1"}


@pytest.mark.parametrize("path", PATHS)
def test_a_parameter_that_a_route_does_not_take_is_refused(ask, refused, path):
    path = path.replace("{customer_id}", "1")
    assert refused(ask("GET", f"{path}?verbose=1")) == ["verbose"]
    assert ask("GET", f"{path}{NEEDED.get(path, '')}").status_code in (200, 404)


@pytest.mark.parametrize("path", ["/v1/channels", "/v1/retention", "/v1/allocate", "/v1/exports"])
def test_so_it_is_where_a_body_is_sent(ask, refused, path):
    assert refused(ask("POST", f"{path}?budget=1", json={})) == ["budget"]


def test_a_small_body_to_score_is_no_exception(ask, refused):
    assert refused(ask("POST", "/v1/score?verbose=1", json=SCORE_EXAMPLE)) == ["verbose"]


def test_a_parameter_is_given_once_unless_it_is_a_list(ask, refused):
    assert refused(ask("GET", "/v1/segments?dimension=tier&dimension=decile")) == ["dimension"]
    assert refused(ask("POST", "/v1/allocate?details=1&details=0", json={})) == ["details"]
    twice = ask("GET", "/v1/customers?tiers=top 1%&tiers=1 to 5%")
    assert twice.status_code == 200


def test_a_name_that_is_no_text_is_shown_as_such(ask, refused):
    assert refused(ask("GET", "/v1/model?%00%F0%9F%A6%86=1")) == [r"\x00\U0001f986"]
