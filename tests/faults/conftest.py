"""Small files that every command can read, and commands run in this process, with a verdict."""

from __future__ import annotations

import resource
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from clv.cli.main import main
from clv.periods import Duration
from clv.scorer import CustomerScorer
from clv.value.value import Terms

from .calls import Bench, Call

PATIENCE = 60  # seconds of processor; ten times as many by the clock, on however busy a machine
MOST_MEMORY = 2**20  # KiB that this process may come to have beyond what it had
PLAN = """budget = 900
[[channels]]
name = "search"
value = 60
current = 500
response = { curve = "power", k = 9, b = 0.5 }
[[channels]]
name = "social"
value = 80
response = { curve = "point", spend = 400, customers = 90 }
"""
OFFERS = """[[offers]]
name = "letter"
contact_cost = 1
save_rate = 0.25
[[offers]]
name = "call"
contact_cost = 4
save_rate = [0.3, 0.5]
capacity = 20
"""
CONTRACTS, END = "customer_id,plan,start,end,price", ("", "2025-11-01", "2025-12-01")
DATA = """[data]
files = "orders.csv"
currency = "EUR"
[data.columns]
customer_id = "customer_id"
date = "date"
amount = "amount"
[terms]
annual_discount_rate = 0.1
horizon = "3 years"
currency = "EUR"
[model]
name = "small"
[holdout]
cutoff = 2000-01-01
"""


class HungError(BaseException):
    """Nothing came of it; no handler of ours may take it for an error of the user's."""


@contextmanager
def no_longer_than(seconds: int = PATIENCE) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise HungError

    timers = {signal.SIGALRM: signal.ITIMER_REAL, signal.SIGPROF: signal.ITIMER_PROF}
    before = {number: signal.signal(number, stop) for number in timers}
    signal.setitimer(signal.ITIMER_REAL, 10 * seconds)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        for number, timer in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])


@pytest.fixture(autouse=True)
def memory() -> Iterator[None]:
    """No test of these makes the process larger than a machine can bear."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MEMORY


def ends(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    code: Any = None
    with no_longer_than():
        try:
            main(words)
        except SystemExit as ended:
            code = ended.code or 0
    out, err = capsys.readouterr()
    return code, out, err


def happened(error: BaseException) -> str:
    """An error without a name of ours: its kind, the last line of the package, its words."""
    where, frame = error.__traceback__, "?"
    while where is not None:
        path = where.tb_frame.f_code.co_filename
        if "/clv/" in path:
            frame = f"{path.split('/clv/')[-1]}:{where.tb_lineno}"
        where = where.tb_next
    return f"{type(error).__name__} at {frame}: {str(error)[:150]}"


@contextmanager
def noting(failures: list[str], rng: Any) -> Iterator[None]:
    """One case after the other, so that a run shows all that is wrong."""
    try:
        yield
    except Exception as error:
        failures.append(f"{rng.case}: {type(error).__name__} {str(error)[:600]}")
        assert len(failures) < 30, "\n\n".join(failures)


@pytest.fixture
def verdict(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Runs a command, which may succeed or refuse, but not fail."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "stdin", None)

    def run(*words: object) -> tuple[int, str, str]:
        try:
            code, out, err = ends([str(word) for word in words], capsys)
        except HungError as error:
            raise AssertionError(f"{words}: nothing in {PATIENCE} s") from error
        told = "Traceback" not in out + err and (code == 0 or err.strip())
        if code not in (0, *range(2, 11)) or not told:
            raise AssertionError(f"{code} of {words}: {err[-400:]}")
        return code, out, err

    return run


@pytest.fixture(scope="session")
def bench() -> Bench:
    """What public names are called with; nobody changes it."""
    return Bench()


@pytest.fixture(scope="session")
def calls(bench: Bench) -> dict[str, Call]:
    return bench.calls()


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory, published_scorer: Any) -> Path:
    """A brand, a scorer, scores, a store, and files of settings."""
    folder = tmp_path_factory.mktemp("faults")

    def run(*words: object) -> None:
        with pytest.raises(SystemExit) as ended:
            main(["--quiet", *map(str, words)])
        assert not ended.value.code

    run("simulate", "--customers", 200, "--seed", 3, "--output", folder / "brand")
    for file in (folder / "brand").iterdir():
        shutil.move(file, folder / file.name)
    scorer: CustomerScorer = published_scorer(
        Terms(0.3, 0.15, Duration(156, "week"), "EUR", periods_per_year=52), "2026-01-01"
    )
    scorer.save(folder / "model")
    contracts = [f"k{i},basic,2025-{1 + i % 9:02d}-01,{END[i % 3]},10" for i in range(30)]
    (folder / "contracts.csv").write_text("\n".join((CONTRACTS, *contracts, "")))
    run("simulate", "--leads", "--customers", 200, "--output", folder / "crm")
    shutil.move(folder / "crm" / "leads.csv", folder / "leads.csv")
    for name, text in (("plan.toml", PLAN), ("offers.toml", OFFERS), ("clv.toml", DATA)):
        (folder / name).write_text(text)
    scoring = ("--model", folder / "model", "--anyway", "--output", folder / "scores.csv")
    run("score", folder / "orders.csv", *scoring)
    run("publish", folder / "scores.csv", "--to", folder / "store")
    run("keys", "add", "ann", "--keys", folder / "keys.json")
    return folder
