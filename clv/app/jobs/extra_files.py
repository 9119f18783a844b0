"""Files that go with the orders of an upload: refused as they come if they cannot be published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from clv.app.contents.campaign_list import read_campaign_list
from clv.app.contents.handoffs import of_contacts
from clv.app.jobs.job_folder import CHECK, SETTINGS, JobFolder
from clv.app.jobs.upload_job import Extra, UploadJob
from clv.app.next_offers import lines_of
from clv.app.spend_file import read_spend_file
from clv.errors import ClvError, InputError

READERS: dict[Extra, Callable[[str, str | None, Path | None], object]] = {
    "spend": lambda file, currency, settings: read_spend_file(file, currency, config=settings),
    "contacts": lambda file, *_: of_contacts(file),
    "campaign": lambda file, currency, _: read_campaign_list(file, {"currency": currency}),
    "order_lines": lambda file, *_: lines_of([file], {}),
}


def require_usable(jobs: JobFolder, job: UploadJob, kind: Extra, file: Path, title: str) -> None:
    """Read a file as it is read when it is published.

    Parameters
    ----------
    jobs, job
        The folder, and the upload that the file goes with.
    kind
        What it is said to be.
    file, title
        Where it is, and what it is called in messages.

    Raises
    ------
    InputError
        It is no such file, or it is in another currency: in the words of the command that takes it.
    """
    terms = {**(jobs.document(job.job_id, CHECK) or {}).get("terms", {}), **job.terms}
    settings = jobs.file(job.job_id, SETTINGS)
    try:
        READERS[kind](str(file), terms.get("currency"), settings if settings.exists() else None)
    except ClvError as error:
        words = [text and text.replace(str(file), title) for text in (error.message, error.hint)]
        raise InputError(words[0] or "", hint=words[1]) from error
