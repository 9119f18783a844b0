"""The server's sockets: half requests, endless headers, clients that take no answer, too many."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from clv.web import connections
from clv.web.connections import Connection, most_connections, server_config

HOST, PATIENCE = "127.0.0.1", 30.0  # seconds, on however busy a machine
WHOLE = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGE = 64 * 2**20  # bytes: more than the buffers of any socket


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server in a thread, with tenths of seconds in the place of tens, for eight connections."""
    app = FastAPI()

    @app.get("/v1/health")
    async def health() -> str:
        return "ok"

    @app.post("/body")
    async def body(content: dict[str, int]) -> int:
        return len(content)

    @app.get("/large")
    async def large() -> PlainTextResponse:
        return PlainTextResponse("x" * LARGE)

    with pytest.MonkeyPatch.context() as patch, socket.create_server((HOST, 0)) as listening:
        for name, seconds in (("HEAD", 0.4), ("BODY", 0.4), ("ANSWER", 0.4), ("LOOK", 0.05)):
            patch.setattr(connections, name, seconds)
        config = server_config(app, [])
        patch.setattr(Connection, "most", 8)
        server = connections.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(PATIENCE)


@pytest.fixture
def dial(port: int) -> Iterator[Any]:
    opened: list[socket.socket] = []

    def to_server(sent: bytes) -> socket.socket:
        line = socket.create_connection((HOST, port), timeout=PATIENCE)
        opened.append(line)
        line.sendall(sent)
        return line

    yield to_server
    for line in opened:
        line.close()


def told(line: socket.socket) -> tuple[int, bytes]:
    """The status and the body of what comes until the server closes."""
    parts = []
    while part := line.recv(2**16):
        parts.append(part)
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def answered(line: socket.socket) -> int:
    return int(line.recv(2**16).split()[1])


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"G",
        b"\r\n" * 5,
        b"GET /v1/health HTTP/1.1\r\nHost: loc",
        b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
        b"POST /body HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        WHOLE + b"GET /v1/hea",
    ],
    ids=["nothing", "a letter", "line ends", "half a head", "half a body", "chunks", "then half"],
)
def test_who_sends_half_a_request_is_sent_away(dial: Any, sent: bytes) -> None:
    line = dial(sent)
    if sent.startswith(WHOLE):
        assert answered(line) == 200
    status, body = told(line)
    assert (status, json.loads(body)["type"]) == (408, "urn:clv:problem:slow-request")


def test_a_crowd_of_half_requests_shuts_nobody_out(dial: Any) -> None:
    """Who was answered keeps the place, who is new is answered, and descriptors are left."""
    mine = dial(WHOLE)
    assert answered(mine) == 200
    for _ in range(30):
        dial(b"GET /v1/hea")
        mine.sendall(WHOLE)
        assert answered(mine) == 200
        assert Connection.open <= Connection.most + connections.AT_ONCE
    assert answered(dial(WHOLE)) == 200


def test_one_byte_at_a_time_gains_no_time(dial: Any) -> None:
    line, begun = dial(b"GET / HTTP/1.1\r\n"), time.monotonic()
    with suppress(OSError):
        while time.monotonic() < begun + PATIENCE:
            line.sendall(b"a")
            time.sleep(0.02)
    assert time.monotonic() < begun + PATIENCE


@pytest.mark.parametrize(
    "start",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n",
        b"POST /body HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    ],
    ids=["headers", "trailers"],
)
def test_headers_without_an_end_are_not_kept(dial: Any, start: bytes) -> None:
    line, sent = dial(start), 0
    with suppress(OSError):
        for k in range(100_000):
            line.sendall(b"x-%d: %s\r\n" % (k, b"a" * 500))
            sent += 500
    assert sent < 16 * 2**20  # what lay in the buffers of the sockets


def test_who_takes_no_answer_is_cut_off_and_others_are_not(dial: Any) -> None:
    stuck = dial(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
    time.sleep(1.5)
    got = 0
    with suppress(ConnectionResetError):
        while part := stuck.recv(2**20):
            got += len(part)
    assert got < LARGE
    taking = dial(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    status, body = told(taking)
    assert (status, len(body)) == (200, LARGE)


def test_whole_requests_get_in_however_many_half_ones_are_open(
    dial: Any, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_noted", {})  # whatever was logged before
    held = [dial(b"POST /body HTTP/1.1\r\nHost: ") for _ in range(40)]
    assert [answered(dial(WHOLE)) for _ in range(20)] == [200] * 20
    assert len(held) == 40
    assert "8 connections are open" in caplog.text
    assert len(caplog.records) < 5


def test_what_is_no_http_is_told_so(dial: Any) -> None:
    status, body = told(dial(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"))
    assert (status, json.loads(body)["type"]) == (400, "urn:clv:problem:no-http")


def test_a_websocket_is_not_opened(dial: Any) -> None:
    upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    assert answered(dial(WHOLE[:-2] + upgrade + key)) == 200


@pytest.mark.parametrize(
    ("descriptors", "connections"),
    [(20, 10), (128, 64), (256, 128), (1024, 896), (10**6, 1000), (resource.RLIM_INFINITY, 1000)],
)
def test_files_have_descriptors_left(
    descriptors: int, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (descriptors, descriptors))
    assert most_connections() == connections


def test_nobody_is_believed_for_whom_he_asks_but_a_proxy_that_is_named() -> None:
    seen: list[tuple[str, str]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["client"][0], scope["scheme"]))

    def ask(proxies: list[str]) -> None:
        config = server_config(app, proxies)
        config.load()
        headers = [(b"x-forwarded-for", b"203.0.113.7"), (b"x-forwarded-proto", b"https")]
        scope = {"type": "http", "client": (HOST, 1), "scheme": "http", "headers": headers}
        asyncio.run(config.loaded_app(scope, None, None))

    for proxies in ([], ["10.0.0.1"], [HOST], ["127.0.0.0/8"]):
        ask(proxies)
    assert seen == [(HOST, "http")] * 2 + [("203.0.113.7", "https")] * 2
