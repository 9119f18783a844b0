"""Connections of the server: how many, for how long, and how much of a request may lie unread.

Whoever opens connections and sends half requests, or takes no answer, holds descriptors. So each
connection looks every second at what it waits for, and where no further one fits, the one that has
waited for its client the longest makes room: who sends whole requests always gets in.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Sequence
from http import HTTPStatus
from itertools import chain
from typing import Any, ClassVar

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
MOST, SPARE = 1000, 128  # connections; descriptors for files, threads, and what comes and goes
AT_ONCE = 64  # connections that may be opening or closing beside those
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


class _ByAge(dict[Any, None]):
    """A set of connections in the order in which they began to wait."""

    def add(self, one: Any) -> None:
        self.pop(one, None)
        self[one] = None

    def discard(self, one: Any) -> None:
        self.pop(one, None)


class Server(uvicorn.Server):
    """uvicorn's server, which takes up all who came.

    An event loop may take up one connection a turn: behind hundreds that come again and again, who
    sends whole requests would wait a second for its turn.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        state: Any = self.server_state
        state.connections = _ByAge()
        self._opening: set[asyncio.Task[Any]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on the sockets."""
        if sys.platform == "win32":  # whose loop cannot say when a socket is ready
            await super().startup(sockets)
            return
        await super().startup([])
        for listening in sockets or ():
            listening.setblocking(False)
            asyncio.get_running_loop().add_reader(listening, self._take_up, listening)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen no longer, and end when what has begun is done."""
        if sys.platform != "win32":
            for listening in sockets or ():
                asyncio.get_running_loop().remove_reader(listening)
        await super().shutdown(sockets)

    def _take_up(self, listening: socket.socket) -> None:
        """Take up those who wait; what does not fit in a turn is met in the next."""
        while Connection.open + len(self._opening) < Connection.most + AT_ONCE:
            try:
                line, _ = listening.accept()
            except OSError:  # nobody is left, or no descriptor
                return
            line.setblocking(False)
            loop = asyncio.get_running_loop()
            opening = loop.create_task(self._open(loop, line))
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)

    async def _open(self, loop: asyncio.AbstractEventLoop, line: socket.socket) -> None:
        def connection() -> Connection:
            return Connection(self.config, self.server_state, self.lifespan.state, loop)

        try:
            await loop.connect_accepted_socket(connection, line)
        except OSError:  # it has gone already
            line.close()


class Connection(HttpToolsProtocol):
    """One connection, with limits; the class counts for all of them.

    Attributes
    ----------
    most, open
        How many may be open, and are, with those that are closing.
    answered
        Those that have had what they asked for.
    since
        When it began to wait for what it waits for now, on the loop's clock.
    """

    most, open = MOST, 0
    answered: ClassVar[_ByAge] = _ByAge()

    def connection_made(self, transport: Any) -> None:
        """Take it up, in the place of one that waits if there are too many."""
        super().connection_made(transport)
        Connection.open += 1
        self._unread, self._left, self._came = 0, 0, 0
        self._begin_to_wait()
        self._watch = self.loop.call_later(LOOK, self._look)
        if len(self.connections) > self.most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        Connection.open -= 1
        self.answered.discard(self)
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
        self._unread, self._came = 0, 0
        self._begin_to_wait()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._unread = 0
        self._came += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._unread = 0
        self._begin_to_wait()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The next request is waited for."""
        scope: Any = self.cycle.scope
        if scope.get("clv.status", 0) < HTTPStatus.BAD_REQUEST:
            self.answered.add(self)
        self._begin_to_wait()
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

    def _begin_to_wait(self) -> None:
        self.since = self.loop.time()
        for crowd in (self.connections, self.answered):
            if self in crowd:
                crowd.add(self)  # as the last

    def _look(self) -> None:
        """End what waits too long; it stays open while the server works on an answer."""
        self._watch = self.loop.call_later(LOOK, self._look)
        left, before = self.transport.get_write_buffer_size(), self._left
        self._left = left
        if left != before:  # the client takes its answer
            self._begin_to_wait()
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
        """End the connection that waits the longest for its client; this one, if none waits.

        Those that had an answer keep half of the places, whoever crowds in and asks for nothing.
        """
        answered = self.answered
        fresh = (one for one in self.connections if one not in answered)
        crowds = [fresh, answered] if len(answered) <= self.most // 2 else [answered, fresh]
        waiting = (other for other in chain(*crowds) if other.waits and other is not self)
        full = f"{count(self.most)} connections are open, the most that fit here"
        next(waiting, self)._abort(full)

    def _abort(self, why: str) -> None:
        _note(f"{why}: a connection was ended")
        self.connections.discard(self)
        self.answered.discard(self)
        self.transport.abort()


def _note(what: str) -> None:
    """A line of the log, at most one in a while: there may be thousands of such connections."""
    now = asyncio.get_running_loop().time()
    if now - _noted.get(what, -QUIET) >= QUIET:
        _noted[what] = now
        log.warning("%s (more of this is not logged for %d seconds)", what, QUIET)
