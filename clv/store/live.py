"""Stores: the file that ``CURRENT`` names, changed under load without losing a request."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Self

from clv.errors import InputError
from clv.store.folder import POINTER
from clv.store.reader import Store

log = logging.getLogger("clv.web")
ATTEMPTS = 5  # a file may be tidied away between reading its name and opening it


class _Held:
    """An open store, how many requests read it, and whether another has taken its place."""

    def __init__(self, store: Store) -> None:
        self.store, self.readers, self.retired = store, 0, False


class Stores:
    """The store of a folder, always the one that was published last.

    A request borrows the file that is current when it begins, and keeps it to its end: all of an
    answer is of one version. When ``CURRENT`` changes, the new file is opened while requests go on
    with the old one, which is closed by the last request that reads it. A new file is warmed before
    it takes over, so that nobody waits for it. One that cannot be opened is logged, and the old one
    stays.

    Parameters
    ----------
    folder
        Where ``clv publish`` writes.
    check_every
        Seconds after which a request looks at ``CURRENT`` again; None: only ``refresh`` does.
    threads
        As in :meth:`Store.open`.
    warm
        What else is made of a store before it takes over, such as what sliders rest on; if it
        fails, that is logged, and the store takes over without it.
    may_be_empty
        Whether the first store may be published later: until then nothing can be borrowed.

    Raises
    ------
    InputError
        The folder holds no store.

    Examples
    --------
    In a coroutine, where a look-up takes about a millisecond; what takes longer goes to a thread::

        with stores.borrow() as store:
            found = store.customer("c-17")

    Opening a file takes longer, so a server with an event loop says ``check_every=None`` and has a
    task of its own::

        while True:
            await asyncio.sleep(1)
            await asyncio.to_thread(stores.refresh)
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        check_every: float | None = 1.0,
        threads: int = 1,
        warm: Callable[[Store], object] | None = None,
        may_be_empty: bool = False,
    ) -> None:
        self._folder, self._check_every, self._threads = Path(folder), check_every, threads
        self._warm = warm
        self._lock, self._opening = Lock(), Lock()
        self._seen, self._checked = self._signature(), time.monotonic()
        nothing = may_be_empty and self._seen is None
        self._held = None if nothing else _Held(self._open())

    @property
    def empty(self) -> bool:
        """Whether nothing was published yet."""
        return self._held is None

    @contextmanager
    def borrow(self) -> Iterator[Store]:
        """The current store, for one request; it stays open until the request is done."""
        every = self._check_every
        if every is not None and time.monotonic() - self._checked >= every:
            self.refresh()
        with self._lock:
            held = self._held
            if held is None:
                raise InputError("nothing was published yet.", hint="run clv publish first.")
            held.readers += 1
        try:
            yield held.store
        finally:
            self._give_back(held)

    def refresh(self) -> bool:
        """Look at ``CURRENT`` now; whether another file is served than before.

        One thread at a time opens a file; the others go on with the one that is open.
        """
        if not self._opening.acquire(blocking=False):
            return False
        try:
            self._checked = time.monotonic()
            signature = self._signature()
            if signature == self._seen:
                return False
            changed = self._replace()
            self._seen = signature
            return changed
        except Exception as error:  # it is tried again at the next look
            reason = error.message if isinstance(error, InputError) else type(error).__name__
            log.error("the store stays as it is: %s", reason)
            return False
        finally:
            self._opening.release()

    def close(self) -> None:
        """Close the file, once nobody reads it."""
        with self._lock:
            self._retire(self._held)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _replace(self) -> bool:
        fresh = self._open()
        if self._held is not None and fresh.path == self._held.store.path:
            fresh.close()
            return False
        with self._lock:
            old, self._held = self._held, _Held(fresh)
            self._retire(old)
        log.info("the store is now %s", fresh.path.name)
        return True

    @staticmethod
    def _retire(held: _Held | None) -> None:
        """Close a file, now or when its last reader is done."""
        if held is None:
            return
        held.retired = True
        if held.readers == 0:
            held.store.close()

    def _give_back(self, held: _Held) -> None:
        with self._lock:
            held.readers -= 1
            last = held.retired and held.readers == 0
        if last:
            held.store.close()

    def _open(self) -> Store:
        for attempt in range(ATTEMPTS):
            try:
                store = Store.open(self._folder, threads=self._threads)
            except InputError:
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                return self._warmed(store)
        raise AssertionError("unreachable")

    def _warmed(self, store: Store) -> Store:
        try:
            store.warm()
        except BaseException:  # a damaged block is not found before it is read
            store.close()
            raise
        try:
            if self._warm is not None:
                self._warm(store)
        except Exception as error:
            log.error("the store %s is not warm: %s", store.path.name, type(error).__name__)
        return store

    def _signature(self) -> tuple[int, int, int] | None:
        """What changes when ``CURRENT`` is replaced; None if it is not there."""
        try:
            status = (self._folder / POINTER).stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size
