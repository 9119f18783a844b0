"""The one process that works on uploads, and who starts it: again, if it was killed.

The worker takes what waits, one job at a time, and ends when nothing does, so that it holds no
memory meanwhile. What was running when a worker was killed is begun again by the next one; what was
killed several times is given up.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from clv.app.jobs.job_folder import JobFolder, StoppedError
from clv.app.jobs.job_steps import STEPS, JobRun
from clv.errors import ClvError
from clv.io.changes import disk_errors

LOOK, PAUSE = 0.5, 5.0  # seconds between two looks, before a worker that failed starts again
MOST_ATTEMPTS = 3  # that a step is begun
KILLED = "the step was interrupted {count} times, maybe for want of memory."
SPACE = "is there space left on the disk of the server?"
FAULT = "this is a fault of clv; the log of the server says where."
log = logging.getLogger("clv.jobs")


def work(jobs: JobFolder, store: Path, model: str) -> None:
    """Work on what waits, until nothing does; at once done if another process works."""
    with suppress(BlockingIOError), jobs.alone():
        while (job := jobs.next()) is not None:
            with suppress(StoppedError, LookupError):  # by somebody, meanwhile
                _run(JobRun(jobs, jobs.begin(job.job_id), store, model))


def _run(run: JobRun) -> None:
    """Work on one step, and note how it ended."""
    job_id = run.job.job_id
    if run.job.attempts > MOST_ATTEMPTS:
        why = KILLED.format(count=MOST_ATTEMPTS)
        run.jobs.note(job_id, state="failed", error=why, hint="try again, or a smaller file.")
        return
    try:
        STEPS[run.job.step](run)
    except StoppedError:
        raise
    except ClvError as error:
        run.jobs.note(job_id, state="failed", error=error.message, hint=error.hint or "")
    except Exception as error:
        log.exception("job %s", job_id)
        run.jobs.note(job_id, state="failed", **_in_words(error))
    else:
        run.jobs.note(job_id, state="done", doing="")


def _in_words(error: Exception) -> dict[str, str]:
    """What to say of an error that is nobody's mistake."""
    if isinstance(error, (MemoryError, *disk_errors())):
        said = getattr(error, "strerror", "") or error
        return {"error": f"a file or the memory cannot be used: {said}.", "hint": SPACE}
    return {"error": type(error).__name__, "hint": FAULT}


class JobKeeper:
    """While the server runs, starts a worker when something waits and none works.

    Parameters
    ----------
    jobs, store, model
        As ``work`` has them.
    """

    def __init__(self, jobs: JobFolder, store: Path, model: str) -> None:
        self.jobs, self.store, self.model = jobs, store, model
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._worker: subprocess.Popen[bytes] | None = None
        self._published = self._newest()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._end.wait(LOOK):
            try:
                self._look()
            except OSError as error:  # of the folder, or of a machine that starts no process
                log.warning("uploads cannot be worked on: %s", error)
                self._end.wait(PAUSE)
        if self._worker is not None:
            self._worker.terminate()  # the next server's worker begins its step again
            self._worker.wait()

    def _look(self) -> None:
        """Start a worker if there is something to do, and take note of one that ended."""
        if self._worker is not None and self._worker.poll() is not None:
            failed, self._worker = self._worker.returncode != 0, None
            self._reload()
            self._end.wait(PAUSE if failed else 0)
        waits = self._worker is None and self.jobs.next() is not None
        if waits and not self._end.is_set() and not self.jobs.is_worked_on:
            self._worker = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", __name__, str(self.jobs.path), str(self.store), self.model]
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True)

    def _reload(self) -> None:
        """Let the server load the model in use, once something new was published."""
        newest, handler = self._newest(), getattr(signal, "SIGHUP", None)
        if newest != self._published and handler and callable(signal.getsignal(handler)):
            signal.raise_signal(handler)
        self._published = newest

    def _newest(self) -> list[str]:
        return [job.published for job in self.jobs.all() if job.published]


def _end_with(parent: int) -> None:
    """End when the server does, however it ends: the worker of the next one goes on."""
    while os.getppid() == parent:
        time.sleep(LOOK)
    os._exit(1)


def main() -> None:
    """What a worker process runs: the folder of jobs, that of the store, and the model's name."""
    logging.basicConfig(format="%(asctime)s %(message)s", level="WARNING")
    folder, store, model = sys.argv[1:]
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    work(JobFolder(Path(folder)), Path(store), model)


if __name__ == "__main__":
    main()
