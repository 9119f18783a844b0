"""What the server did, in the text format that Prometheus reads (version 0.0.4).

Requests are counted by route, never by path, so that no customer is named and the number of lines
stays bounded. A counter and a histogram are a few lines; a library for them would be a dependency.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


@dataclass
class Metrics:
    """Counts since the start of the process.

    >>> metrics = Metrics({"version": "2024"})
    >>> metrics.request("GET", "/v1/health", 200, 0.002)
    >>> [line for line in metrics.text().splitlines() if line.startswith("clv_requests_total")]
    ['clv_requests_total{method="GET",route="/v1/health",status="200"} 1']
    """

    model: Mapping[str, str]
    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    seconds: defaultdict[str, list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0] * (len(BOUNDS) + 1))
    )
    total: Counter[str] = field(default_factory=Counter)
    scored: int = 0

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self.requests[method if method in METHODS else "other", route, status] += 1
        self.seconds[route][bisect_left(BOUNDS, seconds)] += 1
        self.total[route] += seconds  # type: ignore[assignment] # a Counter adds floats too

    def text(self) -> str:
        """All of it, as Prometheus reads it."""
        requests = (
            _line("clv_requests_total", count, method=method, route=route, status=status)
            for (method, route, status), count in sorted(self.requests.items())
        )
        model = _line("clv_model_info", 1, **self.model)
        return "".join(
            [
                *_metric("clv_requests_total", "counter", "Requests answered.", requests),
                *_metric(
                    "clv_request_seconds",
                    "histogram",
                    "Time from the request's head to the end of its answer.",
                    self._histogram("clv_request_seconds"),
                ),
                *_metric(
                    "clv_customers_scored_total",
                    "counter",
                    "Customers scored from histories in requests.",
                    [_line("clv_customers_scored_total", self.scored)],
                ),
                *_metric("clv_model_info", "gauge", "The model that scores.", [model]),
            ]
        )

    def _histogram(self, name: str) -> Iterable[str]:
        bounds = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
        for route, counts in sorted(self.seconds.items()):
            for bound, count in zip(bounds, accumulate(counts), strict=True):
                yield _line(f"{name}_bucket", count, route=route, le=bound)
            yield _line(f"{name}_sum", self.total[route], route=route)
            yield _line(f"{name}_count", sum(counts), route=route)


def _metric(name: str, kind: str, told: str, lines: Iterable[str]) -> list[str]:
    return [f"# HELP {name} {told}\n", f"# TYPE {name} {kind}\n", *lines]


def _line(name: str, value: float, **labels: object) -> str:
    r"""One sample.

    >>> _line("a", 1.5, route='say "hi"\n')
    'a{route="say \\"hi\\"\\n"} 1.5\n'
    """
    told = ",".join(f'{label}="{_escaped(str(text))}"' for label, text in labels.items())
    return f"{name}{{{told}}} {value:.10g}\n" if told else f"{name} {value:.10g}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
