"""/docs shows every route, to whoever may read, and runs no script."""

from __future__ import annotations

import re


def test_every_route_is_shown_with_what_it_takes(ask):
    page = ask("GET", "/docs")
    described = ask("GET", "/v1/openapi.json").json()["paths"]
    assert f"curl &#39;{page.url.scheme}://{page.url.netloc.decode()}/v1/model&#39;" in page.text
    assert page.status_code == 200
    for path, methods in described.items():
        for method, operation in methods.items():
            assert f'<h2 id="{operation["operationId"]}">{method.upper()} {path}</h2>' in page.text
            for each in operation.get("parameters", ()):
                assert f"<code>{each['name']}</code>" in page.text


def test_it_has_no_script_no_style_of_its_own_and_no_other_host(ask):
    page = ask("GET", "/docs").text
    assert not re.findall(r"<script|<style| style=| on\w+=", page)
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page)


def test_whoever_may_not_read_is_asked_for_a_key(ask):
    assert ask("GET", "/docs", role=None).status_code == 401
