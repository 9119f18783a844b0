"""Several processes on one port: each serves the same model and store, one more watches over them.

They share what a visitor must not notice: the model, of which all load one copy, ended sessions,
counts of wrong keys, and metrics, which add up. They are spawned, not forked: a fork would lose the
threads of DuckDB. A connection that none has taken waits in the one socket, whoever of them ends.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from fastapi import FastAPI

from clv.errors import ClvError
from clv.io.changes import workspace
from clv.scorer import CustomerScorer
from clv.store import Stores, publish
from clv.web.access.who import Access
from clv.web.api import serve_model
from clv.web.application import create_app
from clv.web.connections import Server, server_config
from clv.web.prometheus import SHARED

STOP = {signal.SIGINT, signal.SIGTERM}
LOOK, PAUSE = 0.5, 1.0  # seconds between two looks at signals, before one that ended is replaced
TURN = 0.0002  # seconds that a thread may work on while another waits, such as the event loop
MODEL, STORE, COUNTS = "model", "store", "metrics"  # in the folder that is shared
log = logging.getLogger("clv.web")


@dataclass(frozen=True)
class Worker:
    """What each process does.

    Attributes
    ----------
    shared
        The folder that all have in common, with the model's copy if there is one.
    store
        The folder of the store.
    access
        Opens the rules of access.
    level
        What is logged.
    tools
        Whether there is /mcp.
    jobs
        As in :func:`clv.web.application.create_app`.
    """

    shared: Path
    store: str | os.PathLike[str] | None
    access: Callable[[], Access]
    level: int
    tools: bool
    jobs: str | os.PathLike[str] | None = None

    def serve(self, listening: socket.socket, proxies: Sequence[str]) -> None:
        """Serve in this process, until it is told to stop or its parent ends."""
        threading.Thread(target=_end_with_parent, daemon=True).start()
        settle(self.level)
        try:
            access = self.access()
            access.share(self.shared)
            app = create_app(
                self._scorer(), store=self.store, access=access, tools=self.tools, jobs=self.jobs
            )
        except ClvError as error:
            log.error("a process cannot start: %s", error.message)
            raise SystemExit(1) from error
        with suppress(KeyboardInterrupt):  # of a terminal, which every process gets
            _serve(app, listening, proxies, self._scorer)

    def _scorer(self) -> CustomerScorer | None:
        folder = self.shared / MODEL
        return CustomerScorer.load(folder) if folder.exists() else None


class Workers:
    """The processes: as many as there are to be, until this one is told to stop.

    Parameters
    ----------
    start
        What each of them calls.
    reload
        Brings the model's copy up to date, before they load it again.
    """

    def __init__(self, start: Callable[[], None], reload: Callable[[], object]) -> None:
        self.start, self.reload = start, reload
        self.signals: list[int] = []

    def run(self, count: int) -> None:
        """Start them, and another for each that ends; SIGHUP, SIGINT and SIGTERM reach all."""
        for number in STOP | {signal.SIGHUP}:
            signal.signal(number, lambda number, _: self.signals.append(number))
        running = [self._started() for _ in range(count)]
        while not STOP & set(self.signals):
            wait([process.sentinel for process in running], timeout=LOOK)
            if signal.SIGHUP in self.signals and _tried(self.reload):
                _send(signal.SIGHUP, running)
            self.signals = [number for number in self.signals if number in STOP]
            running = [self._replaced(process) for process in running]
        _send(signal.SIGTERM, running)
        for process in running:
            process.join()

    def _started(self) -> SpawnProcess:
        process = get_context("spawn").Process(target=self.start)
        process.start()
        return process

    def _replaced(self, process: SpawnProcess) -> SpawnProcess:
        if process.exitcode is None or STOP & set(self.signals):
            return process
        log.warning("process %s ended (%s): another starts", process.pid, process.exitcode)
        time.sleep(PAUSE)
        return self._started()


def _send(number: int, processes: Sequence[SpawnProcess]) -> None:
    for process in processes:
        if process.pid and process.exitcode is None:
            os.kill(process.pid, number)


Load = Callable[[], CustomerScorer]


@dataclass(frozen=True)
class Serving:
    """What is about to be served.

    Attributes
    ----------
    published
        The model behind the scores of the store; None if there is no store.
    run
        Serves on a socket until told to stop: ``run(listening, proxies, load)``, where ``load``
        gives the model anew at SIGHUP.
    """

    published: str | None
    run: Callable[[socket.socket, Sequence[str], Load], None]


@contextmanager
def opened(
    workers: int,
    scorer: CustomerScorer | None,
    scores: str | os.PathLike[str] | None,
    store: str | os.PathLike[str] | None,
    access: Callable[[], Access],
    *,
    tools: bool = False,
    jobs: str | os.PathLike[str] | None = None,
) -> Iterator[Serving]:
    """Everything is looked at before the port is taken: what is wrong stops here.

    Parameters
    ----------
    workers
        How many processes are to serve; one is this one.
    scorer, scores, store
        As in :func:`clv.web.api.create_api`.
    access
        Opens the rules of access, in each process.
    tools, jobs
        As in :func:`clv.web.application.create_app`.

    Raises
    ------
    InputError
        The store, the scores or the keys cannot be used.
    """
    if workers == 1:
        app = create_app(scorer, scores, store=store, access=access(), tools=tools, jobs=jobs)
        yield Serving(_published(app.state.stores), partial(_serve, app))
        return
    access()
    with workspace() as shared:
        (shared / COUNTS).mkdir()
        if scorer is not None:
            scorer.save(shared / MODEL)
        if scores is not None:
            store = shared / STORE
            publish(scores, store)
        worker = Worker(shared, store, access, logging.getLogger("clv").level, tools, jobs)
        with ExitStack() as stack:
            opened = (
                Stores(store, check_every=None, may_be_empty=jobs is not None) if store else None
            )
            stores = stack.enter_context(opened) if opened else None
            serving = Serving(_published(stores), partial(_run_workers, worker, workers))
        yield serving


def _published(stores: Stores | None) -> str | None:
    if stores is None or stores.empty:
        return None
    with stores.borrow() as store:
        return str(store.stated["model_version"])


def _serve(
    app: FastAPI,
    listening: socket.socket,
    proxies: Sequence[str],
    load: Callable[[], CustomerScorer | None],
) -> None:
    """Serve in this process until told to stop."""
    if hasattr(signal, "SIGHUP"):  # Windows has none

        def reload() -> None:
            _tried(lambda: serve_model(app, load()))

        signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=reload).start())
    gc.freeze()  # what stands now stands to the end: looking through it again takes 200 ms
    Server(server_config(app, proxies)).run(sockets=[listening])


def _run_workers(
    worker: Worker, count: int, listening: socket.socket, proxies: Sequence[str], load: Load
) -> None:
    os.environ[SHARED] = str(worker.shared / COUNTS)  # read where prometheus-client is imported
    model = worker.shared / MODEL

    def reload() -> None:
        load().save(model)

    Workers(partial(worker.serve, listening, proxies), reload).run(count)


def settle(level: int | str) -> None:
    """What a process that serves does with its log and its threads."""
    logging.basicConfig(format="%(asctime)s %(message)s", level="WARNING")
    logging.getLogger("clv").setLevel(level)
    sys.setswitchinterval(TURN)


def _tried(reload: Callable[[], object]) -> bool:
    """Whether it worked; if not, the log says why."""
    try:
        reload()
    except Exception as error:
        reason = error.message if isinstance(error, ClvError) else type(error).__name__
        log.error("the model stays as it is: %s", reason)
        return False
    return True


def _end_with_parent() -> None:
    """Whoever is left alone would keep the port."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
