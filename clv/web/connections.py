"""Connections of the server: how many, for how long, and how much of a request may lie unread.

Whoever opens connections and sends half requests, or takes no answer, holds descriptors. So each
connection looks every second at what it waits for, and where no further one fits, the one that has
waited for its client the longest makes room: who sends whole requests always gets in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from clv.format import count
from clv.web.access.headers import secured
from clv.web.access.sign_in import with_peer
from clv.web.problems import respond

HEAD, BODY, ANSWER = 10.0, 60.0, 60.0  # seconds for a request's head, its body, to take an answer
PACE = 64 * 2**10  # bytes a second that a longer body has to come with
LOOK = 1.0  # seconds between two looks at a connection
UNREAD = 64 * 2**10  # bytes of headers, trailers or chunk marks that come without an end
MOST, SPARE = 1000, 64  # connections; descriptors for files and threads
GRACE = 25  # seconds that a server takes to finish what it has begun when it is told to stop
QUIET = 10.0  # seconds between two lines of the log on the same

_noted: dict[str, float] = {}  # when a line was last logged, on the loop's clock
log = logging.getLogger("clv.web")


def most_connections() -> int:
    """How many connections this process may have open; at least half of its descriptors."""
    try:
        import resource
    except ImportError:  # Windows
        return MOST // 2
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return MOST
    return max(1, min(MOST, max(files - SPARE, files // 2)))


def server_config(app: Any, proxies: Sequence[str]) -> uvicorn.Config:
    """How a server runs; it believes the ``proxies`` for whom they ask, and nobody else.

    The server's own access log would name customers; the API logs routes instead.
    """
    Connection.most = most_connections()
    behind: Any = ProxyHeadersMiddleware(app, trusted_hosts=list(proxies)) if proxies else app
    return uvicorn.Config(
        with_peer(behind),
        http=Connection,
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,  # done above, after the address of the connection was noted
        timeout_graceful_shutdown=GRACE,
    )


class Connection(HttpToolsProtocol):
    """One connection, with limits; the class counts for all of them.

    Attributes
    ----------
    most
        How many may be open.
    since
        When it began to wait for what it waits for now, on the loop's clock.
    """

    most = MOST

    def connection_made(self, transport: Any) -> None:
        """Take it up, in the place of one that waits if there are too many."""
        super().connection_made(transport)
        self.since, self._unread, self._left, self._came = self.loop.time(), 0, 0, 0
        self._watch = self.loop.call_later(LOOK, self._look)
        if len(self.connections) > self.most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless what was sent since the last part of a request has no end."""
        self._unread += len(data)
        super().data_received(data)
        if self._unread > UNREAD and not self.transport.is_closing():
            self._refuse(431, "long-headers", "A request's headers have no end.")

    def on_headers_complete(self) -> None:
        """From here on the body is waited for."""
        self._unread, self._came, self.since = 0, 0, self.loop.time()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._unread = 0
        self._came += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._unread, self.since = 0, self.loop.time()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The next request is waited for."""
        self.since = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is answered as everything else is."""
        self._refuse(400, "no-http", msg)

    def _unsupported_upgrade_warning(self) -> None:
        """There are no websockets here, and whoever asks for one is no news."""

    @property
    def waits(self) -> bool:
        """Whether it waits for its client, and not the client for an answer."""
        waiting = self.cycle is not None and not self.cycle.response_complete
        taken = self.transport.get_write_buffer_size() == 0
        return not (waiting and taken) or self.cycle.more_body

    def _look(self) -> None:
        """End what waits too long; it stays open while the server works on an answer."""
        self._watch = self.loop.call_later(LOOK, self._look)
        left, before = self.transport.get_write_buffer_size(), self._left
        self._left = left
        if left != before:  # the client takes its answer
            self.since = self.loop.time()
        waited = self.loop.time() - self.since
        if left:
            if waited > ANSWER:
                self._abort("took no answer")
        elif self.waits and not self.transport.is_closing():
            head = self.cycle is None or self.cycle.response_complete
            limit = HEAD if head else BODY + self._came / PACE
            if waited > limit:
                _note(f"a request was not whole after {count(round(limit))} seconds")
                self._refuse(408, "slow-request", "The request did not come whole in time.")

    def _refuse(self, status: int, kind: str, detail: str) -> None:
        """Answer in the place of the application, unless it answers already, and close."""
        begun = self.cycle is not None and self.cycle.response_started
        if not self.pipeline and (not begun or self.cycle.response_complete):
            response = respond(status, kind, detail)
            headers = [*secured(response.raw_headers, {}), (b"connection", b"close")]
            lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
            lines += [name + b": " + value for name, value in headers]
            self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + bytes(response.body))
        if self.cycle is not None:
            self.cycle.disconnected = True  # what the application still sends goes nowhere
            self.cycle.message_event.set()
        self.transport.close()

    def _make_room(self) -> None:
        """End the connection that waits the longest for its client; this one, if none waits."""
        waiting = [other for other in _own(self.connections) if other.waits and other is not self]
        longest = min(waiting, key=lambda other: other.since, default=self)
        longest._abort(f"{count(self.most)} connections are open, the most that fit here")

    def _abort(self, why: str) -> None:
        _note(f"{why}: a connection was ended")
        self.connections.discard(self)
        self.transport.abort()


def _own(connections: Iterable[Any]) -> list[Connection]:
    return [one for one in connections if isinstance(one, Connection)]


def _note(what: str) -> None:
    """A line of the log, at most one in a while: there may be thousands of such connections."""
    now = asyncio.get_running_loop().time()
    if now - _noted.get(what, -QUIET) >= QUIET:
        _noted[what] = now
        log.warning("%s (more of this is not logged for %d seconds)", what, QUIET)
