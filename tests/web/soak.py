"""An hour of what a server meets, on loopback: is it never wrong, never slow, never larger?

Mixed load at 80% of what the server can bear, a store that is published anew and keys that are
edited meanwhile, hundreds of half-sent requests, few descriptors. One command::

    python -m tests.web.soak --minutes 60

It prints what it saw as JSON and ends with 1 if an answer was 5xx, the memory
grew, or health took longer than it may. A bare server of the standard library is asked as often as
health is: how long that takes is how busy the machine was, whatever the server did.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from clv.web.v1 import retention
from tests.web.load import HOST, history, in_a_loop, request
from tests.web.test_load import PLAN, command, scores_of

SHARE, WORKERS, HALF, DESCRIPTORS, CUSTOMERS = 0.8, 12, 900, 256, 20_000
SWAP, EDIT, LOOK = 20.0, 2.0, 0.25  # seconds between two stores, two keys, two looks at health
MEASURED = 10.0  # seconds in which the capacity is found
SLOWEST, GROWTH = 0.1, 1.15  # p99 of health in seconds; memory at the end by that before


def asked(rng: random.Random, port: int, key: str) -> bytes:
    """A request of the mix: mostly scores and look-ups, now and then what takes longer."""
    customer = f"c{rng.randrange(CUSTOMERS)}"
    kinds: list[tuple[int, Any]] = [
        (600, ("/v1/score", history(rng))),
        (250, (f"/v1/customers/{customer}", None)),
        (60, ("/v1/customers?tiers=top+1%25&size=200", None)),
        (30, (f"/customers/{customer}", None)),
        (20, ("/", None)),
        (15, ("/v1/segments", None)),
        (10, ("/v1/retention", json.dumps(retention.EXAMPLE).encode())),
        (10, ("/v1/exports", b"{}")),
        (3, ("/v1/allocate", json.dumps(PLAN).encode())),
        (2, ("/v1/score", many(rng))),
    ]
    path, body = rng.choices([one for _, one in kinds], [weight for weight, _ in kinds])[0]
    return request(path, body, port, key)


_many: list[bytes] = []


def many(rng: random.Random) -> bytes:
    """The body of a request with 2,000 customers."""
    if not _many:
        rows = [json.loads(history(rng))["customers"][0] for _ in range(2_000)]
        each = [row | {"customer_id": f"m-{k}"} for k, row in enumerate(rows)]
        _many.append(json.dumps({"customers": each, "as_of": "1997-09-30"}).encode())
    return _many[0]


class Line:
    """A connection that is opened again when the server has closed it, as browsers do."""

    def __init__(self, port: int, statuses: Counter[int]) -> None:
        self.port, self.statuses, self.again = port, statuses, 0
        self.ends: Any = None

    async def ask(self, what: bytes) -> None:
        for _ in range(5):
            try:
                if self.ends is None:
                    self.ends = await asyncio.open_connection(HOST, self.port)
                reader, writer = self.ends
                writer.write(what)
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                self.statuses[int(head[9:12])] += 1
                return
            except (OSError, asyncio.IncompleteReadError):
                self.again += 1
                with suppress(Exception):
                    self.ends[1].close()
                self.ends = None
        self.statuses[0] += 1


async def worker(line: Line, key: str, until: float, rate: float, seed: int) -> None:
    """Ask at a rate, 0 being as fast as answers come; what is late is not made up for at once."""
    rng, due = random.Random(seed), time.monotonic()
    while time.monotonic() < until:
        if rate:
            due = max(due + rng.expovariate(rate), time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await line.ask(asked(rng, line.port, key))


async def half_sent(port: int, until: float) -> None:
    """A client that begins a request, waits until it is sent away, and comes again."""
    whole = request("/v1/score", many(random.Random(0)), port, "none")
    while time.monotonic() < until:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(whole[: random.randrange(1, 300)])
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(reader.read(), max(0.1, until - time.monotonic()))
            writer.close()
        await asyncio.sleep(random.random())


def memory(process: int) -> float:
    """MB of memory that a process holds."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


async def watched(process: int, until: float, sizes: list[float], statuses: Counter[int]) -> None:
    while time.monotonic() < until:
        sizes.append(memory(process))
        if len(sizes) % 12 == 0:  # a run that is ended before its time has said something
            print(f"{sizes[-1]:.0f} MB, {dict(statuses)}", file=sys.stderr, flush=True)
        await asyncio.sleep(min(5.0, max(0.0, until - time.monotonic())))


async def asked_by_all(lines: list[Line], key: str, seconds: float, rate: float) -> float:
    """Answers a second, of clients that ask at a rate, 0 being as fast as answers come."""
    begin, before = time.monotonic(), sum(lines[0].statuses.values())
    work = (worker(line, key, begin + seconds, rate, k) for k, line in enumerate(lines))
    await asyncio.gather(*work)
    return (sum(lines[0].statuses.values()) - before) / (time.monotonic() - begin)


async def soak(port: int, process: int, key: str, seconds: float) -> dict[str, Any]:
    """What clients saw, and what the server became."""
    statuses: Counter[int] = Counter()
    lines = [Line(port, statuses) for _ in range(WORKERS)]
    alone = await asked_by_all(lines, key, MEASURED, 0)
    until = time.monotonic() + MEASURED + seconds
    halves = asyncio.gather(*(half_sent(port, until) for _ in range(HALF)))
    capacity = await asked_by_all(lines, key, MEASURED, 0)  # with the others at the door
    statuses.clear()
    sizes: list[float] = []
    answered, *_ = await asyncio.gather(
        asked_by_all(lines, key, seconds, SHARE * capacity / WORKERS),
        watched(process, until, sizes, statuses),
    )
    await halves
    third = max(1, len(sizes) // 3)
    return {
        "capacity_alone": round(alone, 1),
        "capacity": round(capacity, 1),
        "answers_per_second": round(answered, 1),
        "answers": sum(statuses.values()),
        "statuses": {str(status): n for status, n in sorted(statuses.items())},
        "reconnected": sum(line.again for line in lines),
        "memory_mb": [round(statistics.median(sizes[k:][:third])) for k in (third, -third)],
    }


def ranked(taken: list[float], q: float) -> float:
    """The quantile of what was measured."""
    return sorted(taken)[int(q * (len(taken) - 1))]


def disturb(folder: Path, port: int, seconds: float, bare_seconds: Callable[[], float]) -> None:
    """Another process: publish, edit keys, look at health; print what was seen as JSON."""
    from clv.store import publish
    from clv.web.access.keys import add_key, revoke_key

    taken: list[float] = []
    bare: list[float] = []
    seen: Counter[str] = Counter()
    slowest: list[tuple[float, float]] = []  # and when they were asked
    line = HTTPConnection(HOST, port, timeout=30)
    time.sleep(2 * MEASURED)  # while the capacity is found, the load is more than 80% of it
    now = begin = time.monotonic()
    swap, edit, version = now + SWAP, now + EDIT, 1
    while now < begin + seconds:
        started = time.perf_counter()
        try:
            line.request("GET", "/v1/health")
            answer = line.getresponse()
            answer.read()
            seen[f"health {answer.status}"] += 1
            taken.append(time.perf_counter() - started)
            slowest = sorted([*slowest, (taken[-1], now - begin)])[-8:]
        except (OSError, HTTPException):
            line.close()  # it was idle, and another needed its place
            seen["health again"] += 1
        bare.append(bare_seconds())
        if now > swap:
            version, swap = version % 8 + 1, now + SWAP
            publish(scores_of(version, CUSTOMERS), folder / "store", documents={"plan": PLAN})
            seen["stores"] += 1
        if now > edit:
            edit = now + EDIT
            add_key(folder / "keys.json", "passing", "viewer")
            revoke_key(folder / "keys.json", "passing")
            seen["keys"] += 1
        time.sleep(LOOK)
        now = time.monotonic()
        if len(taken) % 240 == 239:
            print(f"health, p99 {1000 * ranked(taken, 0.99):.0f} ms", file=sys.stderr, flush=True)
    times = {}
    for name, each in (("health", taken), ("bare", bare)):
        for what, q in (("p50", 0.5), ("p99", 0.99), ("worst", 1)):
            times[f"{name}_{what}_ms"] = round(1000 * ranked(each, q), 1)
    late = [f"{1000 * each:.0f} ms at {at:.0f} s" for each, at in reversed(slowest)]
    print(json.dumps({**times, "slowest": late, "seen": dict(seen)}))


@contextmanager
def bare_server() -> Iterator[Callable[[], float]]:
    """Seconds that a server which does nothing takes to answer, asked anew at each call."""
    words = [sys.executable, "-u", "-m", "http.server", "0", "--bind", HOST]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().split("port ")[1].split()[0])

        def seconds() -> float:
            started, line = time.perf_counter(), HTTPConnection(HOST, port, timeout=30)
            line.request("HEAD", "/nothing")
            line.getresponse().read()
            line.close()
            return time.perf_counter() - started

        try:
            yield seconds
        finally:
            process.terminate()


@contextmanager
def served(folder: Path, core: int | None = None) -> Iterator[tuple[int, int, str]]:
    """Port, process and key of a server with few descriptors."""
    from clv.store import publish
    from clv.web.access.keys import add_key
    from tests.faults.on_trial import scorer

    scorer("1997-09-30").save(folder / "model")
    publish(scores_of(1, CUSTOMERS), folder / "store", documents={"plan": PLAN})
    key = add_key(folder / "keys.json", "soak", "admin")
    words = command("serve", "--model", folder / "model", "--store", folder / "store")
    words += ["--port", "0", "--keys", str(folder / "keys.json")]
    log = (folder / "log").open("w")

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
        if core is not None:
            os.sched_setaffinity(0, {core})

    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=log, text=True, preexec_fn=few
    ) as process:
        assert process.stdout is not None
        found = re.search(rf"http://{HOST}:(\d+)", process.stdout.readline())
        try:
            assert found is not None, (folder / "log").read_text()
            yield int(found[1]), process.pid, key
        finally:
            process.terminate()


def run(minutes: float, core: int | None = None) -> dict[str, Any]:
    """Everything together; the verdict under ``wrong``."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as place, served(Path(place), core) as (port, process, key):
        words = [sys.executable, "-m", "tests.web.soak", "--disturb", place, "--port", str(port)]
        seconds = 60 * minutes
        with subprocess.Popen(
            [*words, "--minutes", str(minutes)], stdout=subprocess.PIPE, text=True
        ) as other:
            found = in_a_loop(soak(port, process, key, seconds))
            found |= json.loads(other.communicate()[0])
        with (Path(place) / "log").open() as log:  # but for the lines of requests
            said = Counter(line.split(" ", 2)[-1][:70] for line in log if line[-4:] != " ms\n")
        found["log"] = dict(said.most_common(5))
    before, after = found["memory_mb"]
    found["wrong"] = [
        what
        for what, is_so in {
            "an answer was 5xx or none": any(s[0] in "05" for s in found["statuses"]),
            "health was not well": any(k.startswith("health 5") for k in found["seen"]),
            "the memory grew": after > GROWTH * before,
            f"health took over {1000 * SLOWEST:.0f} ms": found["health_p99_ms"] > 1000 * SLOWEST,
        }.items()
        if is_so
    ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--core", type=int, help="the processor on which the server stays")
    parser.add_argument("--disturb", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.disturb:
        with bare_server() as bare:
            return disturb(given.disturb, given.port, 60 * given.minutes, bare)
    found = run(given.minutes, given.core)
    print(json.dumps(found, indent=1))
    sys.exit(bool(found["wrong"]))


if __name__ == "__main__":
    main()
