"""Uploads as files: states, what a stranger calls a file, and a worker that is killed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from clv.app.jobs import job_worker
from clv.app.jobs.job_folder import MOST_JOBS, JobFolder, StoppedError, ending
from clv.app.jobs.job_steps import JobRun
from clv.app.jobs.job_worker import MOST_ATTEMPTS, JobKeeper, work
from clv.app.jobs.upload_job import UploadJob
from clv.errors import InputError


@pytest.fixture
def jobs(tmp_path: Path) -> JobFolder:
    return JobFolder(tmp_path / "jobs")


def uploaded(jobs: JobFolder, title: str = "orders.csv", content: str = "a,b\n1,2\n") -> UploadJob:
    with jobs.incoming(title) as place:
        place.write_text(content)
        return jobs.add("ann", title, place)


def test_an_upload_is_there_whole_or_not_at_all(jobs: JobFolder) -> None:
    job = uploaded(jobs, r"C:\My Files\..\Orders 5.CSV")
    assert (job.title, job.orders, job.state) == ("Orders 5.CSV", "orders.csv", "queued")
    assert jobs.file(job.job_id, "orders.csv").read_text() == "a,b\n1,2\n"
    with jobs.incoming("orders.csv") as place:
        place.write_text("half")  # and nobody takes it
    assert [one.job_id for one in jobs.all()] == [job.job_id]
    assert not list(jobs.path.glob(".upload*"))


@pytest.mark.parametrize("title", ["orders.exe", "", "csv", "../../../etc/passwd", "x.csv\0.sh"])
def test_a_file_of_another_kind_is_refused(jobs: JobFolder, title: str) -> None:
    with pytest.raises(InputError, match="format that is not read"), jobs.incoming(title):
        pass


@pytest.mark.parametrize("name", ["../jobs", "x", "", "20240101-000000-0000000g", ".worker"])
def test_a_name_that_is_none_leads_nowhere(jobs: JobFolder, name: str) -> None:
    uploaded(jobs)
    with pytest.raises(LookupError):
        jobs.read(name)
    with pytest.raises(LookupError):
        jobs.file(name, "job.json")


def test_endings_are_those_that_are_read() -> None:
    assert ending("a.b.tsv.zst") == ".tsv.zst"
    assert ending("Sheet.XLSX") == ".xlsx"


def test_no_more_are_kept_than_fit(jobs: JobFolder) -> None:
    first = uploaded(jobs)
    for _ in range(MOST_JOBS - 1):
        uploaded(jobs)
    with pytest.raises(InputError, match="remove one"):
        uploaded(jobs)
    jobs.stop(first.job_id)
    jobs.remove(first.job_id)
    uploaded(jobs)
    assert len(jobs.all()) == MOST_JOBS


def test_what_is_worked_on_is_not_changed_by_anybody_else(jobs: JobFolder) -> None:
    job = uploaded(jobs)
    for change in (jobs.remove, lambda name: jobs.queue(name, "train")):
        with pytest.raises(InputError, match="being worked on"):
            change(job.job_id)
    jobs.begin(job.job_id)
    jobs.stop(job.job_id)
    with pytest.raises(StoppedError):
        jobs.note(job.job_id, doing="goes on")
    assert jobs.queue(job.job_id, "train").attempts == 0


def test_what_was_killed_comes_first_then_who_waits_the_longest(jobs: JobFolder) -> None:
    names = [uploaded(jobs).job_id for _ in range(3)]
    first = jobs.next()
    assert first is not None
    assert first.job_id == min(names)
    jobs.begin(max(names))
    running = jobs.next()
    assert running is not None
    assert running.job_id == max(names)


def test_a_step_ends_as_its_command_does(
    jobs: JobFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(run: JobRun) -> None:
        raise InputError("no orders are left.", hint="check the date column.")

    def fault(run: JobRun) -> None:
        raise KeyError("customer 4711")

    monkeypatch.setattr(job_worker, "STEPS", {"check": wrong, "train": fault, "publish": print})
    job = uploaded(jobs)
    outcomes = []
    for step in ("check", "train", "publish"):
        if step != "check":
            jobs.queue(job.job_id, step)
        work(jobs, tmp_path, "clv")
        ended = jobs.read(job.job_id)
        outcomes.append((ended.state, ended.error, ended.hint))
    assert outcomes == [
        ("failed", "no orders are left.", "check the date column."),
        ("failed", "KeyError", job_worker.FAULT),  # and not whom it was about
        ("done", "", ""),
    ]


HOLD = """
import sys, time
from pathlib import Path
from clv.app.jobs.job_folder import JobFolder
jobs = JobFolder(Path(sys.argv[1]))
with jobs.alone():
    jobs.begin(jobs.next().job_id)
    time.sleep(600)
"""


def killed_at_work(jobs: JobFolder) -> None:
    """A worker begins with what waits, another one gets no turn, and then it is killed."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(jobs.path)]) as worker:
        while not (jobs.is_worked_on and jobs.all()[0].state == "running"):
            time.sleep(0.02)
            assert worker.poll() is None
        with pytest.raises(BlockingIOError), jobs.alone(0):
            pass
        worker.kill()


def test_a_killed_step_is_begun_again_but_not_for_ever(
    jobs: JobFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = uploaded(jobs)
    killed_at_work(jobs)
    left = jobs.read(job.job_id)
    assert (left.state, left.attempts, jobs.is_worked_on) == ("running", 1, False)
    seen: list[int] = []
    monkeypatch.setattr(job_worker, "STEPS", {"check": lambda run: seen.append(run.job.attempts)})
    work(jobs, tmp_path, "clv")
    assert (seen, jobs.read(job.job_id).state) == ([2], "done")
    jobs.queue(job.job_id, "check")
    for _ in range(MOST_ATTEMPTS):
        jobs.begin(job.job_id)  # and killed
    work(jobs, tmp_path, "clv")
    ended = jobs.read(job.job_id)
    assert (ended.state, seen) == ("failed", [2])
    assert "interrupted" in ended.error


def test_the_keeper_starts_a_worker_for_what_waits(
    jobs: JobFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_worker, "LOOK", 0.05)
    started: list[bool] = []

    def start(keeper: JobKeeper) -> subprocess.Popen[bytes]:
        started.append(True)
        jobs.stop(jobs.all()[0].job_id)
        return subprocess.Popen([sys.executable, "-S", "-c", ""])

    monkeypatch.setattr(JobKeeper, "_start", start)
    with JobKeeper(jobs, tmp_path, "clv"):
        time.sleep(0.2)
        assert not started
        uploaded(jobs)
        while not started:
            time.sleep(0.02)
    assert len(started) == 1
