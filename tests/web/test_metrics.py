"""Metrics: the text format, read back line by line, and what the server counts."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest

from clv.app.requests import SCORE_EXAMPLE
from clv.periods import Duration
from clv.value.value import Terms
from clv.web.application import create_app
from clv.web.prometheus import Metrics

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)')


def read(text: str) -> dict[tuple[str, str], float]:
    """The samples of an exposition by name and labels; every line has to be well formed."""
    found = {}
    for line in text.splitlines():
        if line.startswith("# "):
            assert re.match(r"# (HELP|TYPE) [a-z_]+ \S", line)
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        labels = ",".join(sorted(re.findall(r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"', match[2] or "")))
        assert (match[1], labels) not in found
        found[match[1], labels] = float(match[3])
    return found


def test_histograms_add_up_and_are_cumulative():
    metrics = Metrics()
    metrics.serves({"version": 'a "quoted"\n\\ name'})
    times = [0.0005, 0.001, 0.003, 0.2, 99.0]
    for seconds in times:
        metrics.request("GET", "/a", 200, seconds)
    samples = read(metrics.text())
    buckets = [v for (name, _), v in samples.items() if name == "clv_request_seconds_bucket"]
    assert buckets == sorted(buckets)
    assert samples["clv_request_seconds_bucket", 'le="0.001",route="/a"'] == 2
    assert samples["clv_request_seconds_bucket", 'le="+Inf",route="/a"'] == len(times)
    assert samples["clv_request_seconds_count", 'route="/a"'] == len(times)
    assert samples["clv_request_seconds_sum", 'route="/a"'] == pytest.approx(sum(times))
    assert samples["clv_requests_total", 'method="GET",route="/a",status="200"'] == len(times)


def test_methods_are_few_whatever_clients_invent():
    metrics = Metrics()
    for n in range(1000):
        metrics.request(f"M{n}", "/a", 405, 0.0)
    samples = read(metrics.text())
    counts = {labels: v for (name, labels), v in samples.items() if name == "clv_requests_total"}
    assert counts == {'method="other",route="/a",status="405"': 1000}


def test_the_server_counts_by_route_and_names_no_customer(published_scorer):
    terms = Terms(0.3, 0.15, Duration(156, "week"), "USD", periods_per_year=52)
    scorer = published_scorer(terms, "2011-12-09")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(scorer))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            many = [SCORE_EXAMPLE["customers"][0] | {"customer_id": k} for k in range(60)]
            for body in (SCORE_EXAMPLE, SCORE_EXAMPLE | {"customers": many}):
                assert (await client.post("/v1/score", json=body)).status_code == 200
            await client.get("/v1/customers/secret-name")
            await client.get("/nowhere/secret-name")
            return await client.get("/v1/metrics")

    response = asyncio.run(ask())
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "secret-name" not in response.text
    samples = read(response.text)
    assert samples["clv_requests_total", 'method="POST",route="/v1/score",status="200"'] == 2
    assert samples["clv_customers_scored_total", ""] == 61
    lookup = 'method="GET",route="/v1/customers/{customer_id}",status="404"'
    assert samples["clv_requests_total", lookup] == 1
    assert samples["clv_requests_total", 'method="GET",route="(no route)",status="404"'] == 1
    assert any(scorer.version in labels for name, labels in samples if name == "clv_model_info")
