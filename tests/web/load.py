"""Load on a server, on loopback, bounded in requests and time: requests/s, p50, p99, errors.

It starts a server of its own with the published CDNOW parameters, or takes one that runs here::

    python tests/web/load.py                              # single scoring, 16 clients
    python tests/web/load.py --model models/demo --requests 5000 --seconds 10
    python tests/web/load.py --lookups store              # customers of a published store
    python tests/web/load.py --lookups store --model models/demo --workers 1 2 4
    python tests/web/load.py --port 8000 --path "/customers?tiers=top+1%25" --path /
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

HOST = "127.0.0.1"  # nowhere else
MOST_REQUESTS, MOST_SECONDS = 200_000, 60.0
T = TypeVar("T")


@dataclass
class Tally:
    """What the clients have seen."""

    taken: list[float] = field(default_factory=list)  # seconds per request
    errors: int = 0

    def told(self, elapsed: float) -> str:
        taken = sorted(self.taken) or [float("nan")]
        p50, p99 = (1000 * taken[int(share * (len(taken) - 1))] for share in (0.5, 0.99))
        rate = len(self.taken) / elapsed
        return (
            f"{rate:,.0f} requests/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, {self.errors} errors "
            f"({len(self.taken):,} answers in {elapsed:.1f} s)"
        )


def history(rng: random.Random) -> bytes:
    """The body of a request: one customer with one to six orders."""
    orders = [
        {
            "date": f"1997-0{rng.randint(1, 8)}-{rng.randint(1, 28):02d}",
            "amount": rng.randint(100, 9999) / 100,
        }
        for _ in range(rng.randint(1, 6))
    ]
    customer = {"customer_id": f"c-{rng.randrange(10**6)}", "orders": orders}
    return json.dumps({"customers": [customer], "as_of": "1997-09-30"}).encode()


def ids_of(store: str) -> list[str]:
    """The customers of a published store."""
    from clv.store import Store

    with Store.open(store) as opened:
        ids = opened.export(columns=["customer_id"], terms=[]).read_all()["customer_id"]
    return [str(one) for one in ids.to_pylist()]


def request(path: str, body: bytes | None, port: int, key: str | None) -> bytes:
    method = "GET" if body is None else "POST"
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}:{port}"]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


def requests_for(given: argparse.Namespace, port: int, count: int) -> list[bytes]:
    """Scores of random histories, unless paths are given or customers are to be looked up."""
    rng, paths = random.Random(0), given.path
    if given.lookups:
        known = rng.choices(ids_of(given.lookups), k=count)
        paths = [f"/v1/customers/{quote(one, safe='')}" for one in known]
    if not paths:
        return [request("/v1/score", history(rng), port, given.key) for _ in range(count)]
    return [request(paths[k % len(paths)], None, port, given.key) for k in range(count)]


async def client(port: int, requests: Sequence[bytes], until: float, tally: Tally) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    for one in requests:
        if time.perf_counter() > until:
            break
        begin = time.perf_counter()
        writer.write(one)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        tally.taken.append(time.perf_counter() - begin)
        tally.errors += head[9:12] != b"200"
    writer.close()


def processor(process: int | None) -> float:
    """Seconds of processor that a process has used; 0 where the system does not say."""
    stat = Path(f"/proc/{process}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def load(
    port: int, requests: Sequence[bytes], clients: int, seconds: float
) -> tuple[Tally, float]:
    tally, begin = Tally(), time.perf_counter()
    shares = (requests[k::clients] for k in range(clients))
    ends = await asyncio.gather(
        *(client(port, share, begin + seconds, tally) for share in shares), return_exceptions=True
    )
    tally.errors += sum(isinstance(end, BaseException) for end in ends)
    return tally, time.perf_counter() - begin


def in_a_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run it on uvloop if it is there: clients cost half, and the server has the more."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


@contextmanager
def own_server(model: str | None, store: str | None) -> Iterator[tuple[int, int]]:
    """A server in a process of its own, which ends with the block."""
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    options = [
        word for name, at in (("--model", model), ("--store", store)) if at for word in (name, at)
    ]
    process = subprocess.Popen([sys.executable, __file__, "--serve", str(port), *options])
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise SystemExit("the server did not start")
            with socket.socket() as probe:
                if probe.connect_ex((HOST, port)) == 0:
                    break
            time.sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(10)


def serve(port: int, model: str | None, store: str | None) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import uvicorn

    from clv.churn.model import ChurnModel
    from clv.periods import Duration
    from clv.probability.bg_nbd import BetaGeoNBD
    from clv.probability.gamma_gamma import GammaGamma
    from clv.scorer import CustomerScorer
    from clv.value.value import Terms
    from clv.web.application import create_app

    published = {"r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259}
    scorer = (
        CustomerScorer.load(model)
        if model
        else CustomerScorer(
            purchases=BetaGeoNBD.from_params(published, unit="week"),
            spend=GammaGamma.from_params({"p": 6.25, "q": 3.74, "v": 15.44}),
            churn=ChurnModel(Duration(13, "week"), None, "no labels were used"),
            terms=Terms(0.3, 0.15, Duration(156, "week"), "USD", periods_per_year=52),
            unit="week",
            as_of="1997-09-30",
        )
    )
    app = create_app(scorer, store=store)
    gc.freeze()  # as clv serve does
    uvicorn.run(app, host=HOST, port=port, access_log=False, log_level="warning")


@contextmanager
def clv_serve(model: str, store: str, workers: int) -> Iterator[tuple[int, list[int]]]:
    """``clv serve`` with so many processes; its port and those that answer."""
    words = ["serve", "--model", model, "--store", store, "--port", "0", "--workers", str(workers)]
    process = subprocess.Popen(
        [sys.executable, "-m", "clv", *words],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().split(" on ")[1].split()[0].rsplit(":", 1)[1])
        serving = [process.pid]
        while workers > 1 and len(serving) != workers:
            serving = spawned(process.pid)
        in_a_loop(load(port, [request("/v1/health", None, port, None)] * 64, 64, MOST_SECONDS))
        yield port, serving
    finally:
        process.terminate()
        process.wait(40)


def spawned(parent: int) -> list[int]:
    """The processes that one has started to serve, oldest first."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            stat = (place / "stat").read_text().rsplit(")", 1)[1].split()
            if int(stat[1]) == parent and b"spawn_main" in (place / "cmdline").read_bytes():
                found.append(int(place.name))
    return sorted(found)


def run(given: argparse.Namespace, port: int, serving: Sequence[int] = ()) -> None:
    """Warm up, load, and say what was seen."""
    requests = requests_for(given, port, min(given.requests, MOST_REQUESTS))
    seconds = min(given.seconds, MOST_SECONDS)
    in_a_loop(load(port, requests[: len(requests) // 20], given.clients, seconds))
    before = [processor(process) for process in serving]
    tally, elapsed = in_a_loop(load(port, requests, given.clients, seconds))
    what = "look-ups" if given.lookups else ", ".join(given.path or ["/v1/score"])
    print(f"{given.clients} clients, {what}: {tally.told(elapsed)}")
    used = [processor(one) - start for one, start in zip(serving, before, strict=True)]
    if used:
        each = ", ".join(f"{100 * one / max(sum(used), 1e-9):.0f}%" for one in used)
        per = 1e6 * sum(used) / max(len(tally.taken), 1)
        print(f"{len(used)} of them, processor: {per:,.0f} us per request, shared as {each}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--port", type=int, help="of a server that runs; else one is started")
    parser.add_argument("--model", help="folder of a scorer for the server that is started")
    parser.add_argument("--store", help="folder of a store for the server that is started")
    parser.add_argument("--path", action="append", help="to GET, by turns; else it scores")
    parser.add_argument(
        "--lookups", metavar="STORE", help="look up random customers of this folder's store"
    )
    parser.add_argument("--key", help="API key")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--requests", type=int, default=20_000, help="at most; default 20,000")
    parser.add_argument("--seconds", type=float, default=10.0, help="at most; default 10")
    parser.add_argument(
        "--workers", type=int, nargs="+", help="clv serve with so many, one number after the other"
    )
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    store = given.store or given.lookups
    if given.serve:
        return serve(given.serve, given.model, store)
    if given.port:
        return run(given, given.port)
    for workers in given.workers or ():
        with clv_serve(given.model, store, workers) as (port, serving):
            run(given, port, serving)
    if given.workers:
        return None
    with own_server(given.model, store) as (port, process):
        run(given, port, [process])
    return None


if __name__ == "__main__":
    main()
