"""A server with keys, and clients that hold one or none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from clv.exports.audit import Audit
from clv.periods import Duration
from clv.scorer import CustomerScorer
from clv.value.value import Terms
from clv.web.access.keys import KeyRing, add_key
from clv.web.access.roles import Role
from clv.web.access.who import Access
from clv.web.application import create_app

Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="session")
def scorer(published_scorer) -> CustomerScorer:
    """The published CDNOW parameters (Fader, Hardie & Lee 2005; Fader & Hardie 2013)."""
    return published_scorer(
        Terms(0.3, 0.15, Duration(156, "week"), "USD", periods_per_year=52), "1997-09-30"
    )


@pytest.fixture
def key_file(tmp_path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def tokens(key_file) -> dict[str, str]:
    """A key of each role."""
    return {str(role): add_key(key_file, f"{role}-key", role) for role in Role}


@pytest.fixture
def access(key_file, tokens, tmp_path) -> Access:
    return Access(keys=KeyRing(key_file), audit=Audit(tmp_path / "audit.jsonl"))


@pytest.fixture
def app(scorer, access) -> FastAPI:
    return create_app(scorer, access=access)


@pytest.fixture(scope="session")
def asking() -> Callable[[FastAPI], Ask]:
    return client_of


@pytest.fixture
def ask(app) -> Ask:
    return client_of(app)


def client_of(app: FastAPI) -> Ask:
    """What a client of ``app`` sees: ``ask("GET", "/v1/model", token=...)``."""

    def ask(method: str, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        base = options.pop("base", "http://localhost")

        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url=base) as client:
                return await client.request(method, path, headers=headers, **options)

        return asyncio.run(once())

    return ask
