"""What the server did, in the text format that Prometheus reads (version 0.0.4).

Requests are counted by route, never by path, so that no customer is named and the number of lines
stays bounded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

SHARED = "PROMETHEUS_MULTIPROC_DIR"  # the variable that names the folder several processes count in
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

disable_created_metrics()  # type: ignore[no-untyped-call] # a second line for every counter


class Metrics:
    """Counts since the application was made, in a registry of its own.

    >>> metrics = Metrics()
    >>> metrics.request("GET", "/v1/health", 200, 0.002)
    >>> [line for line in metrics.text().splitlines() if line.startswith("clv_requests_total")]
    ['clv_requests_total{method="GET",route="/v1/health",status="200"} 1.0']
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "clv_requests", "Requests answered.", ("method", "route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "clv_request_seconds",
            "Time from the request's head to the end of its answer.",
            ("route",),
            buckets=BOUNDS,
            registry=registry,
        )
        self._scored = Counter(
            "clv_customers_scored",
            "Customers scored from histories in requests.",
            registry=registry,
        )
        self._model = Info("clv_model", "The model that scores.", registry=registry)

    def serves(self, model: Mapping[str, str]) -> None:
        """Which model it is from now on."""
        self._model.info(dict(model))

    def request(
        self, method: str, route: str, status: int, seconds: float, scored: int = 0
    ) -> None:
        """Count a request that was answered, and the customers it scored."""
        self._requests.labels(method if method in METHODS else "other", route, status).inc()
        self._seconds.labels(route).observe(seconds)
        self._scored.inc(scored)

    def text(self) -> str:
        """All of it, as Prometheus reads it; of several processes, ended ones too, the sum."""
        if SHARED not in os.environ:
            return generate_latest(self.registry).decode()
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        registry.register(self._model)  # the library does not share this one
        return generate_latest(registry).decode()
