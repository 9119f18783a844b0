"""Customers of three sizes, the peers, and the table that ends a run of the benchmarks."""

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clv.probability.lifetimes_engine import fenced
from clv.simulate import simulate_customers
from clv.simulate.process import CDNOW

SIZES = {"100k": 100_000, "1M": 1_000_000, "10M": 10_000_000}
HERE = Path(__file__).parent
MEMORY = pytest.StashKey[dict[str, float]]()


@lru_cache(maxsize=1)
def customers(size: str) -> pd.DataFrame:
    """Simulated customers in whole days, aged 100 to 730 days."""
    daily = CDNOW | {"alpha": 7 * CDNOW["alpha"]}
    table = simulate_customers(SIZES[size], daily, seed=1, unit="day")
    return table[["customer_id", "frequency", "recency", "T", "monetary_value", "unit"]]


@pytest.fixture
def summary(size: str) -> pd.DataFrame:
    """The customers of the size that a test is run with."""
    return customers(size)


@pytest.fixture
def lifetimes() -> Iterator[Any]:
    """That package, behind its fence."""
    with fenced() as package:
        yield package


@pytest.fixture
def memory(pytestconfig: pytest.Config) -> dict[str, float]:
    """Where a test notes the most memory that a job held, in input columns."""
    return pytestconfig.stash.setdefault(MEMORY, {})


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without ``make bench`` only that ours still does its job is tried, on few customers."""
    if config.getoption("benchmark_enable"):
        return
    here = [item for item in items if item.path.parent == HERE]
    large = [item for item in here if not {"ours", "100k"} >= set(item.callspec.params.values())]
    config.hook.pytest_deselected(items=large)
    items[:] = [item for item in items if item not in set(large)]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Seconds and ratios, a line for each thing that was measured."""
    session = getattr(config, "_benchmarksession", None)
    groups: dict[str, dict[str, float]] = defaultdict(dict)
    for bench in session.benchmarks if session else []:
        groups[bench.group][bench.params["who"]] = float(np.median(bench.stats.data))
    if groups:
        terminalreporter.section("median seconds, and how many times ours")
    for group, times in groups.items():
        ours = times.get("ours", float("nan"))
        cells = [
            f"{who} {seconds:.3g}" + ("" if who == "ours" else f" ({seconds / ours:.1f}x)")
            for who, seconds in times.items()
        ]
        smaller = groups.get(group.replace("10M", "1M"), {}) if "10M" in group else {}
        if "ours" in smaller:
            cells.append(f"{ours / smaller['ours']:.1f} times as long as 1M")
        terminalreporter.write_line(f"{group:<45} {'   '.join(cells)}")
    for name, peak in config.stash.get(MEMORY, {}).items():
        terminalreporter.write_line(f"{name:<45} peak memory {peak:.1f} x the input columns")
