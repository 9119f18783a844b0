"""The folder that keeps uploads: a folder each, with its record, its files and what came of them.

Several processes serve and one works; a record is read and changed under the folder's lock, and
replaced whole. That something is being worked on is told by a lock of the kernel's, which ends with
the worker however it ends.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from clv.app.jobs.upload_job import Extra, ExtraFile, Step, UploadJob
from clv.errors import InputError
from clv.format import count
from clv.intake.file_paths import FORMATS, LINES, PACKED, PARQUET, SHEETS, TEXT
from clv.io.changes import locked, workspace, written, written_beside
from clv.io.json import plain

RECORD, WORKER = "job.json", ".worker"
SETTINGS, CHECK = "clv.toml", "check"
NAME = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")
ENDINGS = (*TEXT, *(text + packed for text in TEXT for packed in PACKED), *SHEETS, *LINES, *PARQUET)
MOST_JOBS = 20  # uploads that are kept
AFRESH = {"state": "queued", "attempts": 0, "error": "", "hint": ""}
AFRESH |= {"doing": "", "part": 0, "parts": 0}
PATIENCE = 5.0  # seconds that a worker waits for one that is about to end


class StoppedError(Exception):
    """Somebody stopped the job meanwhile."""


@dataclass(frozen=True)
class JobFolder:
    """Uploads and what came of them, in the folder ``path``."""

    path: Path

    def all(self) -> list[UploadJob]:
        """All uploads, the newest first."""
        if not self.path.is_dir():
            return []
        names = sorted(
            (p.name for p in self.path.iterdir() if NAME.fullmatch(p.name)), reverse=True
        )
        jobs = []
        for name in names:
            with suppress(LookupError):  # it is just being made, or removed
                jobs.append(self.read(name))
        return jobs

    def read(self, job_id: str) -> UploadJob:
        """One of them; ``LookupError`` if there is none of this name."""
        file = self.file(job_id, RECORD)
        try:
            return UploadJob.model_validate_json(file.read_bytes())
        except (OSError, ValidationError) as error:
            raise LookupError(f"There is no upload {job_id[:40]!r}.") from error

    def file(self, job_id: str, name: str) -> Path:
        """The place of a file of a job; ``LookupError`` if that is no name of a job."""
        if not NAME.fullmatch(job_id):
            raise LookupError(f"There is no upload {job_id[:40]!r}.")
        return self.path / job_id / name

    @contextmanager
    def incoming(self, title: str) -> Iterator[Path]:
        """A place on the same disk to stream a file to, which is gone afterwards if nobody took it.

        Raises
        ------
        InputError
            The file is of a kind that is not read, by its ending; or the disk has no space.
        """
        with written(self.path), workspace(self.path, "upload") as folder:
            yield folder / f"upload{ending(title)}"

    def add(self, owner: str, title: str, upload: Path) -> UploadJob:
        """A job of its own for a file that came in; it waits to be checked.

        Raises
        ------
        InputError
            So many are kept already that one has to be removed first.
        """
        now = dt.datetime.now(dt.UTC)
        job = UploadJob(
            job_id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}",
            owner=owner,
            begun=now.isoformat(timespec="seconds"),
            title=shown_title(title),
            orders=f"orders{ending(title)}",
        )
        with locked(self.path):
            self._clear()
            if len(self.all()) >= MOST_JOBS:
                raise InputError(
                    f"{count(MOST_JOBS)} uploads are kept already.",
                    hint="remove one of them first.",
                )
            (self.path / job.job_id).mkdir(mode=0o700)
            upload.replace(self.file(job.job_id, job.orders))
            self._write(job)
        return job

    def attach(self, job_id: str, kind: Extra, title: str, upload: Path) -> UploadJob:
        """Put a file beside the orders of a job, in the place of an earlier one of its kind."""
        extra = ExtraFile(name=f"{kind}{ending(title)}", title=shown_title(title))
        with self._changing(job_id) as job:
            upload.replace(self.file(job_id, extra.name))
            return self._write(job.model_copy(update={"extras": {**job.extras, kind: extra}}))

    def queue(self, job_id: str, step: Step, **changes: Any) -> UploadJob:
        """Let a step be worked on, from its begin; ``InputError`` while another one runs."""
        with self._changing(job_id) as job:
            return self._write(job.model_copy(update={**AFRESH, "step": step, **changes}))

    def stop(self, job_id: str) -> UploadJob:
        """Let nobody work on it any further; a part that runs is finished, and not taken over."""
        with locked(self.path):
            job = self.read(job_id)
            stopped = {"state": "stopped", "doing": ""} if job.waits_for_worker else {}
            return self._write(job.model_copy(update=stopped))

    def remove(self, job_id: str) -> None:
        """Remove a job with its files; ``InputError`` while it runs."""
        with self._changing(job_id):
            self.file(job_id, RECORD).unlink()  # from here on there is none
            shutil.rmtree(self.path / job_id, ignore_errors=True)

    def begin(self, job_id: str) -> UploadJob:
        """Note that a worker begins with a step; ``StoppedError`` if it is no longer to be run."""
        with locked(self.path):
            job = self.read(job_id)
            if not job.waits_for_worker:
                raise StoppedError
            begun = {"state": "running", "attempts": job.attempts + 1}
            return self._write(job.model_copy(update=begun))

    def note(self, job_id: str, **changes: Any) -> UploadJob:
        """Change a record for the worker; ``StoppedError`` if its job is no longer to be run."""
        with locked(self.path):
            job = self.read(job_id)
            if job.state != "running":
                raise StoppedError
            return self._write(job.model_copy(update=changes))

    def next(self) -> UploadJob | None:
        """What is to be worked on: what a killed worker left first, then who waits the longest."""
        waiting = [job for job in reversed(self.all()) if job.waits_for_worker]
        return min(waiting, key=lambda job: job.state != "running", default=None)

    @contextmanager
    def alone(self, wait: float = PATIENCE) -> Iterator[None]:
        """For the one process that works; ``BlockingIOError`` if there is another."""
        with locked(self.path / WORKER, wait):
            yield

    @property
    def is_worked_on(self) -> bool:
        """Whether a worker lives."""
        try:
            with self.alone(0):
                return False
        except BlockingIOError:
            return True

    def document(self, job_id: str, name: str) -> Any:
        """What a step wrote down; None if it did not."""
        try:
            return json.loads(self.file(job_id, f"{name}.json").read_bytes())
        except (OSError, ValueError):
            return None

    def write_document(self, job_id: str, name: str, content: Any) -> None:
        """Write down what came of a step, whole."""
        with written_beside(self.file(job_id, f"{name}.json")) as beside:
            beside.write_text(json.dumps(plain(content)), encoding="utf-8")

    def _clear(self) -> None:
        """Remove what was cut short as it came or went."""
        for folder in self.path.iterdir():
            if NAME.fullmatch(folder.name) and not (folder / RECORD).exists():
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _changing(self, job_id: str) -> Iterator[UploadJob]:
        with locked(self.path):
            job = self.read(job_id)
            if job.waits_for_worker:
                raise InputError(
                    f"{job.title} is being worked on.", hint="wait until that is done, or stop it."
                )
            yield job

    def _write(self, job: UploadJob) -> UploadJob:
        with written_beside(self.file(job.job_id, RECORD)) as beside:
            beside.write_text(job.model_dump_json(), encoding="utf-8")
        return job


def ending(title: str) -> str:
    """The ending of a file's name that says how it is read.

    Raises
    ------
    InputError
        It is of a kind that is not read.

    Examples
    --------
    >>> ending("My orders.CSV.gz"), ending("../../etc/orders.xlsx")
    ('.csv.gz', '.xlsx')
    """
    fitting = [each for each in ENDINGS if title.lower().endswith(each)]
    if not fitting:
        raise InputError(
            f"{shown_title(title)} is of a format that is not read here.",
            hint=f"give {FORMATS}, as the name's ending says.",
        )
    return max(fitting, key=len)


def shown_title(title: str) -> str:
    """A file's name as people see it; browsers may send a path."""
    name = os.path.basename(title.replace("\\", "/"))  # noqa: PTH119 - of another system
    return "".join(c for c in name if c.isprintable())[:100] or "a file without a name"
