"""A server under load while its store changes, while it is killed, and while it is stopped.

Nothing here is about speed; ``load.py`` measures that. Clients keep their connections, as browsers
and systems do.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection, HTTPException
from itertools import cycle, groupby
from pathlib import Path
from threading import Event
from typing import Any

import pandas as pd
import pytest

from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.periods import Duration
from clv.scorer import CustomerScorer
from clv.store import Store, publish, rollback
from clv.value.value import Terms

HOST, PAUSE, PATIENCE = "127.0.0.1", 0.002, 60  # seconds, on however busy a machine
CUSTOMERS = 200
PLAN = {
    "budget": 900,
    "horizon": "3 years",
    "channels": [
        {"name": name, "value": value, "response": {"curve": "power", "k": k, "b": 0.5}}
        for name, value, k in (("search", 60, 9), ("social", 80, 4))
    ],
}

Check = Callable[[bytes], object]


@dataclass(frozen=True)
class Ask:
    """A request, and what is true of its answer."""

    path: str
    check: Check
    body: bytes | None = None
    kind: str = "application/json"


@dataclass
class Client:
    """Asks one thing after the other on one connection, and keeps what the checks gave."""

    port: int
    asks: list[Ask]
    stubborn: bool = False  # asks again what was refused or cut off
    found: list[Any] = field(default_factory=list)
    again: int = 0

    def work(self, done: Event) -> None:
        connection = HTTPConnection(HOST, self.port, timeout=PATIENCE)
        for one in cycle(self.asks):
            if done.is_set():
                return connection.close()
            self.found.append(one.check(self.answer(connection, one)))
            time.sleep(PAUSE)
        return None

    def answer(self, connection: HTTPConnection, one: Ask) -> bytes:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return whole_answer(connection, one)
            except (OSError, HTTPException):
                connection.close()
                if not self.stubborn or time.monotonic() > until:
                    raise
                self.again += 1
                time.sleep(0.02)


def whole_answer(connection: HTTPConnection, one: Ask) -> bytes:
    """The body; ``HTTPException`` if it was cut off."""
    method = "GET" if one.body is None else "POST"
    connection.request(method, one.path, one.body, {"Content-Type": one.kind})
    response = connection.getresponse()
    content = response.read()
    assert response.status == 200, content
    assert len(content) == int(response.headers["content-length"])
    return content


@contextmanager
def working(clients: list[Client]) -> Iterator[None]:
    """The clients work until the block ends; what goes wrong with one of them is raised."""
    done = Event()
    with ThreadPoolExecutor(len(clients)) as pool:
        futures: list[Future[None]] = [pool.submit(client.work, done) for client in clients]
        try:
            yield
        finally:
            done.set()
    for one in futures:
        one.result()


def wait_for_more(clients: list[Client], more: int) -> None:
    """Until each client has as many answers more."""
    wanted = [len(client.found) + more for client in clients]
    until(lambda: all(len(c.found) >= n for c, n in zip(clients, wanted, strict=True)))


def until_all_see(clients: list[Client], v: object) -> None:
    until(lambda: all(client.found[-1:] == [v] for client in clients))


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def scorer(published_scorer: Any) -> CustomerScorer:
    made: CustomerScorer = published_scorer(
        Terms(0.3, 0.15, Duration(156, "week"), "EUR", periods_per_year=52), "1997-09-30"
    )
    return made


@pytest.fixture(scope="module")
def home(scorer: CustomerScorer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a model is saved."""
    folder = tmp_path_factory.mktemp("load")
    scorer.save(folder / "model")
    return folder


def scores_of(v: int, customers: int) -> pd.DataFrame:
    """The scores of run v: its figures are v, or 100 v in money; how long ago tells who it is."""
    table = pd.DataFrame({"customer_id": [f"c{i}" for i in range(customers)]})
    return table.assign(
        days_since_last=[float(i) for i in range(customers)],
        clv=100.0 * v,
        expected_purchases=float(v),
        churn_probability=0.5,
        value_at_stake=100.0 * v,
        model_version=f"v{v}",
        as_of=f"2024-03-0{v}",
        horizon="3 years",
        currency="EUR",
    )


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "clv", *map(str, words)]


ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}


@dataclass(frozen=True)
class Server:
    """A process of ``clv serve``."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    def answered(self) -> int:
        """How many requests it took and answered, as its log says."""
        return len(re.findall(r" (GET|POST) \S+ 200 ", self.log.read_text()))


@contextmanager
def serving(
    home: Path, store: Path, port: int = 0, more: Sequence[object] = ()
) -> Iterator[Server]:
    log = store.with_name(f"serve-{time.monotonic_ns()}.log")
    words = command("serve", "--model", home / "model", "--store", store, "--port", port)
    words += ["--audit", str(store.with_name("audit.jsonl")), *map(str, more)]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=errors, text=True, env=ENVIRONMENT
        ) as process,
    ):
        assert process.stdout is not None
        found = re.search(rf"http://{HOST}:(\d+)", process.stdout.readline())
        try:
            assert found is not None, log.read_text()
            yield Server(process, int(found[1]), log)
        finally:
            process.kill()


def look_up(i: int) -> Ask:
    def check(content: bytes) -> int:
        answer = json.loads(content)
        row, v = answer["customer"], int(answer["model_version"].removeprefix("v"))
        assert (answer["as_of"], answer["currency"]) == (f"2024-03-0{v}", "EUR")
        assert (row["customer_id"], row["days_since_last"]) == (f"c{i}", i)
        assert (row["clv"], row["expected_purchases"]) == (100 * v, v)
        return v

    return Ask(f"/v1/customers/c{i}", check)


def page(path: str) -> Ask:
    """A page: its model, its day and its money are of one run."""

    def check(content: bytes) -> int:
        html = content.decode()
        assert html.rstrip().endswith("</html>")
        runs = {int(v) for v in re.findall(r"\bv(\d)\b", html)}
        assert len(runs) == 1
        assert {int(v) for v in re.findall(r"(\d) March 2024", html)} == runs
        assert {int(v) for v in re.findall(r'number">€(\d)00<', html)} <= runs
        return runs.pop()

    return Ask(path, check)


def text_of(path: str) -> Ask:
    return Ask(path, lambda content: content.decode())


@pytest.mark.slow
def test_every_answer_is_of_one_run_while_runs_are_published_and_taken_back(
    home: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    publish(scores_of(1, CUSTOMERS), store)
    steps: list[tuple[Callable[[], object], int]] = [
        (lambda: publish(scores_of(2, CUSTOMERS), store), 2),
        (lambda: publish(scores_of(3, CUSTOMERS), store), 3),
        (lambda: rollback(store), 2),
    ]
    with serving(home, store) as server:
        looking = [Client(server.port, [look_up(i) for i in range(k, 200, 2)]) for k in range(2)]
        reading = [Client(server.port, [page(path)]) for path in ("/customers", "/customers/c7")]
        clients = [*looking, *reading]
        with working(clients):
            wait_for_more(clients, 3)
            for change, v in steps:
                change()
                until_all_see(clients, v)
                wait_for_more(clients, 2)
    for client in clients:
        assert [v for v, _ in groupby(client.found)] == [1, 2, 3, 2]
        assert client.again == 0


@pytest.mark.slow
def test_a_publish_that_is_killed_leaves_the_file_that_is_served_alone(
    home: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    publish(scores_of(1, CUSTOMERS), store)
    scores_of(2, 100_000).to_parquet(tmp_path / "many.parquet")
    words = command("publish", tmp_path / "many.parquet", "--to", store)
    with serving(home, store) as server:
        clients = [Client(server.port, [look_up(7)]), Client(server.port, [page("/customers")])]
        with working(clients):
            with subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.DEVNULL) as publishing:
                until(lambda: any(place.is_dir() for place in store.rglob(".*")))
                publishing.kill()
            assert publishing.returncode == -signal.SIGKILL
            wait_for_more(clients, 5)
            assert {v for client in clients for v in client.found} == {1}
            publish(scores_of(3, CUSTOMERS), store)
            until_all_see(clients, 3)
    assert len(list((store / "stores").iterdir())) == 2
    with Store.open(store) as opened:
        opened.check()


def score(scorer: CustomerScorer, i: int) -> Ask:
    """A customer to be scored: what a batch says."""
    orders = [(f"1997-0{1 + i % 8}-0{1 + i}", 10.0 + i), ("1997-09-09", 20.0)]
    log = pd.DataFrame(orders, columns=["date", "amount"]).assign(customer_id=f"s{i}")
    batch = scorer.predict(summarize(clean(log)[0], as_of=scorer.as_of)).iloc[0]
    body = {"customer_id": f"s{i}", "orders": [{"date": d, "amount": a} for d, a in orders]}

    def check(content: bytes) -> None:
        (row,) = json.loads(content)["scores"]
        for name in ("clv", "clv_high", "churn_probability", "value_at_stake"):
            assert row[name] == pytest.approx(batch[name], rel=1e-12)

    return Ask("/v1/score", check, json.dumps({"customers": [body]}).encode())


def export(tier: str) -> Ask:
    """An export: the digest of what arrived."""

    def check(content: bytes) -> str:
        assert content.count(b"\n") > 1
        return hashlib.sha256(content).hexdigest()

    form = f"format=csv&tiers={tier}".encode()
    return Ask("/customers/export", check, form, "application/x-www-form-urlencoded")


PLANS = "/budget?" + "&".join(f"saved={text}" for text in ("700", "800%3Bsearch%3D300"))


def asked_of(scorer: CustomerScorer, port: int) -> list[Client]:
    """Clients that do not give up: look-ups, scores, exports and saved plans."""
    kinds = [
        [look_up(i) for i in range(CUSTOMERS)],
        [score(scorer, i) for i in range(8)],
        [export(tier) for tier in ("top+1%25", "bottom+50%25", "5+to+10%25")],
        [text_of(PLANS)],
    ]
    return [Client(port, asks, stubborn=True) for asks in kinds]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    publish(scores_of(1, CUSTOMERS), tmp_path / "store", documents={"plan": PLAN})
    return tmp_path / "store"


@pytest.mark.slow
def test_a_server_killed_in_the_midst_comes_back_and_every_answer_was_whole(
    scorer: CustomerScorer, home: Path, store: Path
) -> None:
    with ExitStack() as servers:
        server = servers.enter_context(serving(home, store))
        clients = asked_of(scorer, server.port)
        with working(clients):
            wait_for_more(clients, 5)
            server.process.kill()
            server.process.wait(PATIENCE)
            servers.enter_context(serving(home, store, server.port))
            wait_for_more(clients, 5)
    assert sum(client.again for client in clients) > 0
    *_, exporting, planning = clients
    lines = store.with_name("audit.jsonl").read_text().splitlines()
    noted = [json.loads(line) for line in lines if "sha256" in line]
    assert set(exporting.found) <= {line["sha256"] for line in noted}
    assert len(exporting.found) <= len(noted)
    assert len(set(planning.found)) == 1
    assert "Plan B" in planning.found[0]


@pytest.mark.slow
def test_a_server_that_is_stopped_answers_whatever_it_took(
    scorer: CustomerScorer, home: Path, store: Path
) -> None:
    with ExitStack() as servers:
        server = servers.enter_context(serving(home, store))
        clients = asked_of(scorer, server.port)
        with working(clients):
            wait_for_more(clients, 5)
            server.process.terminate()
            server.process.wait(PATIENCE)
            until(lambda: server.answered() == sum(len(client.found) for client in clients))
            servers.enter_context(serving(home, store, server.port))
            wait_for_more(clients, 5)
    assert "Traceback" not in server.log.read_text()


@pytest.mark.slow
def test_a_hangup_takes_up_the_model_anew_and_ends_nothing(
    scorer: CustomerScorer, store: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    scorer.save(model)
    later = replace(scorer, as_of="1997-10-07")
    with serving(tmp_path, store) as server:
        client = Client(server.port, [Ask("/v1/model", lambda text: json.loads(text)["as_of"])])
        with working([client]):
            until_all_see([client], scorer.as_of)
            later.save(model)
            server.process.send_signal(signal.SIGHUP)
            until_all_see([client], later.as_of)
            (model / "scorer.json").write_text("{}")
            server.process.send_signal(signal.SIGHUP)
            until(lambda: "the model stays as it is" in server.log.read_text())
            wait_for_more([client], 2)
    assert [day for day, _ in groupby(client.found)] == [scorer.as_of, later.as_of]
