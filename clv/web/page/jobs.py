"""New data: upload orders, see what they hold, train, compare, publish, and go back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from clv.app.jobs.extra_files import require_usable
from clv.app.jobs.job_folder import CHECK, JobFolder, shown_title
from clv.app.jobs.job_steps import COMPARISON
from clv.app.jobs.upload_job import Extra, UploadJob
from clv.errors import InputError
from clv.exports.audit import Event
from clv.format import day
from clv.intake.file_paths import FORMATS
from clv.store import Store
from clv.store.folder import rollback, served_file, versions
from clv.web.page.frame import Page, Room, room, visitor_name, write_audit
from clv.web.page.job_forms import Pairs, answers_of, pairs_of, terms_of_form
from clv.web.page.job_view import job_content, list_content
from clv.web.uploads import FormStream, read_form

router = APIRouter()
ROOM = Room("jobs", "/jobs", "New data", router)


@dataclass(frozen=True)
class JobDesk:
    """Where uploads are kept, and the store that they are published to; at ``app.state.jobs``."""

    jobs: JobFolder
    store: Path


@router.get("/jobs")
async def show_all(request: Request) -> Response:
    """The uploads, a form for another one, and the way back."""
    desk = _desk(request)

    def content(*_: Any) -> dict[str, Any]:
        there = versions(desk.store) if served_file(desk.store) else []
        kept = [
            (
                version.model_version,
                f"{day(version.published.date())}, {version.published:%H:%M} UTC",
            )
            for version in there
        ]
        return {"uploads": list_content(desk.jobs), "kept": kept, "formats": FORMATS}

    return await room(request, "jobs.html", content, title="New data", active="jobs", empty=content)


@router.get("/jobs/{job}")
async def show_one(request: Request, job: str) -> Response:
    """How far an upload is, and what comes next."""
    desk = _desk(request)

    def content(store: Store | None, _: Any) -> dict[str, Any]:
        newest = served_file(desk.store)
        return job_content(desk.jobs, desk.jobs.read(job), store, newest)

    def empty(page: Page) -> dict[str, Any]:
        return content(None, page)

    return await room(request, "job.html", content, title="New data", active="jobs", empty=empty)


@router.post("/jobs")
async def upload(request: Request) -> Response:
    """Take a file of orders; it is checked at once."""
    jobs, owner = _desk(request).jobs, visitor_name(request)
    added = await _received(request, lambda form: jobs.add(owner, form.title, _place(form)))
    return await _on(request, "upload", added, "orders")


@router.post("/jobs/rollback")
async def go_back(request: Request) -> Response:
    """Serve what was published before."""
    desk = _desk(request)
    await write_audit(request, "rollback")
    await run_in_threadpool(rollback, desk.store)
    await run_in_threadpool(request.app.state.stores.refresh)
    return RedirectResponse("/jobs", 303)


@router.post("/jobs/{job}/file")
async def attach(request: Request, job: str) -> Response:
    """Take a file that goes with the orders of an upload, if it can be published."""
    jobs = _desk(request).jobs

    def take(form: FormStream) -> UploadJob:
        kind = form.fields.get("kind", "")
        if kind not in get_args(Extra):
            raise InputError(f"there is no file of the kind {kind[:20]!r}.")
        extra, place = cast("Extra", kind), _place(form)
        require_usable(jobs, jobs.read(job), extra, place, shown_title(form.title))
        return jobs.attach(job, extra, form.title, place)

    return await _on(request, "upload", await _received(request, take), "file")


@router.post("/jobs/{job}/{action}")
async def act(request: Request, job: str, action: str) -> Response:
    """Check again, train, publish, stop, try again, or remove."""
    jobs, pairs = _desk(request).jobs, await pairs_of(request)
    if action not in ACTIONS:
        raise HTTPException(404)
    await write_audit(request, "upload", job=job, action=action)
    changed = await run_in_threadpool(_there, lambda: ACTIONS[action](jobs, jobs.read(job), pairs))
    return RedirectResponse(f"/jobs/{changed.job_id}" if changed else "/jobs", 303)


def _check(jobs: JobFolder, job: UploadJob, pairs: Pairs) -> UploadJob:
    checked = jobs.document(job.job_id, CHECK)
    answers = answers_of(pairs, checked, job.answers) if checked else job.answers
    return jobs.queue(job.job_id, "check", answers=answers, version=0)


def _train(jobs: JobFolder, job: UploadJob, pairs: Pairs) -> UploadJob:
    checked = jobs.document(job.job_id, CHECK)
    if not checked or not checked["usable"]:
        raise InputError("the orders are not checked yet.", hint="answer what is open first.")
    terms = terms_of_form(pairs)
    jobs.file(job.job_id, f"{COMPARISON}.json").unlink(missing_ok=True)
    return jobs.queue(job.job_id, "train", terms=terms, version=0)


def _publish(jobs: JobFolder, job: UploadJob, pairs: Pairs) -> UploadJob:
    with_new = ("with", "new") in pairs
    if with_new and not job.version:
        raise InputError("no model was trained on these orders.", hint="train one first.")
    return jobs.queue(job.job_id, "publish", with_new=with_new)


def _again(jobs: JobFolder, job: UploadJob, _: Pairs) -> UploadJob:
    return jobs.queue(job.job_id, job.step)


def _stop(jobs: JobFolder, job: UploadJob, _: Pairs) -> UploadJob:
    return jobs.stop(job.job_id)


def _remove(jobs: JobFolder, job: UploadJob, _: Pairs) -> None:
    jobs.remove(job.job_id)


ACTIONS: dict[str, Callable[[JobFolder, UploadJob, Pairs], UploadJob | None]] = {
    "check": _check,
    "train": _train,
    "publish": _publish,
    "again": _again,
    "stop": _stop,
    "remove": _remove,
}


async def _received(request: Request, take: Callable[[FormStream], UploadJob]) -> UploadJob:
    """What ``take`` makes of a file that is streamed to the folder of uploads."""
    jobs = _desk(request).jobs
    if (access := request.scope.get("clv.access")) is not None:
        await run_in_threadpool(access.audit.check)
    with ExitStack() as stack:
        form = await read_form(request, lambda title: stack.enter_context(jobs.incoming(title)))
        return await run_in_threadpool(_there, lambda: take(form))


def _place(form: FormStream) -> Path:
    assert form.place is not None  # it has a size
    return form.place


def _there(change: Callable[[], Any]) -> Any:
    """What ``change`` gives; a page that says so where there is no such upload."""
    try:
        return change()
    except LookupError as error:
        raise HTTPException(404) from error


async def _on(request: Request, event: Event, job: UploadJob, action: str) -> Response:
    """On to the page of an upload; a line of the audit says what came."""
    await write_audit(request, event, job=job.job_id, action=action)
    return RedirectResponse(f"/jobs/{job.job_id}", 303)


def _desk(request: Request) -> JobDesk:
    desk: JobDesk | None = getattr(request.app.state, "jobs", None)
    if desk is None:
        raise HTTPException(404)
    return desk
