"""Several processes on one port: what one of them learns holds for all, and nothing is lost.

A process that is stopped by SIGSTOP takes no connection, so the tests say which one answers.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from itertools import count, groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from clv.scorer import CustomerScorer
from clv.store import publish
from clv.web.access.keys import add_key
from clv.web.access.roles import Role
from tests.web.load import spawned
from tests.web.test_load import (
    HOST,
    PATIENCE,
    Ask,
    Client,
    Server,
    page,
    scorer,
    scores_of,
    serving,
    until,
    until_all_see,
    wait_for_more,
    working,
)

__all__ = ["scorer"]  # a fixture
pytestmark = pytest.mark.slow
TWO = ("--workers", 2)


def processes(server: Server) -> list[int]:
    """The processes that serve, oldest first."""
    return spawned(server.process.pid)


@contextmanager
def alone(number: int, of: list[int]) -> Iterator[None]:
    """Only this process answers."""
    others = [one for one in of if one != number]
    for one in others:
        os.kill(one, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in others:
            os.kill(one, signal.SIGCONT)


def ask(port: int, path: str, form: dict[str, str] | None = None, **headers: str) -> Any:
    """Status, headers and text of one request on a connection of its own."""
    connection = HTTPConnection(HOST, port, timeout=PATIENCE)
    body = None if form is None else urlencode(form)
    kind = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
    connection.request("GET" if form is None else "POST", path, body, kind | headers)
    response = connection.getresponse()
    answer = response.status, response.headers, response.read().decode()
    connection.close()
    return answer


def ready(server: Server, count: int = 2) -> list[int]:
    """The processes, once each has answered."""
    until(lambda: len(processes(server)) == count)
    for one in processes(server):
        with alone(one, processes(server)):
            ask(server.port, "/v1/health")
    return processes(server)


def counted(text: str, name: str) -> float:
    return sum(float(v) for v in re.findall(rf"^{name}.* (\S+)$", text, re.MULTILINE))


@dataclass(frozen=True)
class Browser:
    """Somebody at the login form."""

    port: int

    def log_in(self, key: str) -> tuple[int, str]:
        """The status, and the cookie of the session."""
        _, headers, form = ask(self.port, "/login")
        token = re.search(r'name="csrf" value="([^"]+)"', form)
        assert token
        cookie = headers["Set-Cookie"].split(";")[0]
        fields = {"csrf": token[1], "key": key, "next": "/"}
        status, answer, _ = ask(self.port, "/login", fields, Cookie=cookie)
        return status, (answer.get("Set-Cookie") or "").split(";")[0]


@pytest.fixture(scope="module")
def place(scorer: CustomerScorer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, a store and a key file."""
    folder = tmp_path_factory.mktemp("workers")
    scorer.save(folder / "model")
    publish(scores_of(1, 200), folder / "store")
    return folder


def test_sessions_wrong_keys_and_metrics_are_of_all_processes(place: Path) -> None:
    key = add_key(place / "keys.json", "ann", Role.ADMIN)
    more = (*TWO, "--keys", place / "keys.json")
    with serving(place, place / "store", more=more) as server:
        one, other = both = ready(server)
        browser = Browser(server.port)

        def metrics() -> str:
            return ask(server.port, "/v1/metrics", **{"X-API-Key": key})[2]

        with alone(one, both):
            status, cookie = browser.log_in(key)
            assert status == 303
            assert ask(server.port, "/customers", Cookie=cookie)[0] == 200
            wrong = [ask(server.port, "/v1/model", **{"X-API-Key": "no"})[0] for _ in range(20)]
        with alone(other, both):
            _, _, html = ask(server.port, "/customers", Cookie=cookie)
            token = re.search(r'name="csrf" value="([^"]+)"', html)
            assert token, "a session is known to the process that did not begin it"
            wrong += [ask(server.port, "/v1/model", **{"X-API-Key": "no"})[0] for _ in range(40)]
            assert ask(server.port, "/logout", {"csrf": token[1]}, Cookie=cookie)[0] == 303
        with alone(one, both):
            assert ask(server.port, "/customers", Cookie=cookie)[0] in (303, 401)
            text = metrics()
        assert wrong[:20] == [401] * 20
        assert 30 <= wrong.count(401) < 50, "thirty at once and one a second, whoever answers"
        requests, asked = len(wrong) + 2 + 2 + 2 + 1 + 1, count(1)
        # of the last request of the other process, which may have been stopped before it counted it
        assert requests - counted(text, "clv_requests_total") in (0, 1)
        until(lambda: counted(metrics(), "clv_requests_total") == requests + next(asked))
        assert 'clv_model_info{as_of="1997-09-30"' in text
        os.kill(one, signal.SIGKILL)
        until(lambda: len(set(processes(server)) - {one}) == 2)
        both = processes(server)
        again = metrics()
        # of the request that asked before, the process may have died between answer and count
        assert counted(again, "clv_requests_total") >= counted(text, "clv_requests_total")
        server.process.kill()
        until(lambda: not any(Path(f"/proc/{left}").exists() for left in both))  # the port is free
    assert f"process {one} ended (-9)" in server.log.read_text()


def test_a_store_a_model_and_a_process_change_under_load_and_nothing_is_lost(
    scorer: CustomerScorer, place: Path
) -> None:
    store = place / "store"
    day = Ask("/v1/model", lambda text: json.loads(text)["as_of"])
    with serving(place, store, more=TWO) as server:
        both = ready(server)
        rows = [Client(server.port, [page("/customers")]) for _ in range(2)]
        models = [Client(server.port, [day]) for _ in range(2)]
        with working([*rows, *models]):
            wait_for_more(rows, 2)
            publish(scores_of(2, 200), store)
            until_all_see(rows, 2)
            replace(scorer, as_of="1997-10-07").save(place / "model")
            server.process.send_signal(signal.SIGHUP)
            until_all_see(models, "1997-10-07")
            (place / "model" / "scorer.json").write_text("{}")
            server.process.send_signal(signal.SIGHUP)
            until(lambda: "the model stays as it is" in server.log.read_text())
            wait_for_more([*rows, *models], 2)
        assert processes(server) == both
        os.kill(both[0], signal.SIGKILL)
        until(lambda: len(set(processes(server)) - {both[0]}) == 2)
        for one in ready(server):  # the new one has the model that the others have
            with alone(one, processes(server)):
                assert json.loads(ask(server.port, "/v1/model")[2])["as_of"] == "1997-10-07"
        server.process.terminate()
        assert server.process.wait(PATIENCE) == 0
        assert processes(server) == []
    for client in rows:
        assert [v for v, _ in groupby(client.found)] == [1, 2]
    for client in models:
        assert [day for day, _ in groupby(client.found)] == ["1997-09-30", "1997-10-07"]
    assert all(client.again == 0 for client in (*rows, *models))
    assert "Traceback" not in server.log.read_text()
