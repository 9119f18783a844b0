"""Load jobs of BigQuery, by its REST API: its ADBC driver reads, and cannot load.

Who signs in is the account of the machine (Application Default Credentials): the key file that
``GOOGLE_APPLICATION_CREDENTIALS`` names, gcloud's, or that of a server of Google's. An emulator
is used where ``BIGQUERY_EMULATOR_HOST`` names one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clv.errors import InputError
from clv.extras import require_extra

SCOPE = "https://www.googleapis.com/auth/bigquery"
HOST = "https://bigquery.googleapis.com"
ANSWER = 60  # seconds that a request may take
PAUSE = 1.0  # seconds between two looks at a job
SIGN_IN = (
    "set GOOGLE_APPLICATION_CREDENTIALS to a key file, "
    "or run gcloud auth application-default login."
)


def authorized_session() -> Any:
    """A session of HTTP that is signed in.

    Raises
    ------
    InputError
        There is no account, or Google does not let it in.
    """
    require_extra("bigquery", "google")
    import google.auth
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import AuthorizedSession, Request

    try:
        credentials, _ = google.auth.default(scopes=[SCOPE])
        credentials.refresh(Request())
    except GoogleAuthError as error:
        raise InputError(f"no sign-in to BigQuery: {_first(error)}", hint=SIGN_IN) from None
    return AuthorizedSession(credentials)


def load_parquet(file: Path, project: str, table: Sequence[str], location: str = "") -> None:
    """Make a table of a Parquet file, and wait until it is there.

    Parameters
    ----------
    file
        What is loaded; it is sent as it is read.
    project
        Whose job it is.
    table
        Project, dataset and name of the new table.
    location
        Where the job runs, as ``EU``; BigQuery takes that of the dataset if it is empty.

    Raises
    ------
    InputError
        BigQuery does not answer or refuses, or there is such a table.
    """
    names = dict(zip(("projectId", "datasetId", "tableId"), table, strict=True))
    load = {"sourceFormat": "PARQUET", "writeDisposition": "WRITE_EMPTY", "destinationTable": names}
    job: dict[str, Any] = {"configuration": {"load": load}}
    if location:
        job |= {"jobReference": {"projectId": project, "location": location}}
    session = authorized_session()
    start = f"/upload/bigquery/v2/projects/{project}/jobs?uploadType=resumable"
    place = _answer(session, "POST", start, json=job).headers["Location"]
    with file.open("rb") as content:
        started = _answer(session, "PUT", place, data=content).json()
    _wait(session, started)


def _wait(session: Any, job: dict[str, Any]) -> None:
    """Until a job is done; ``InputError`` if it failed."""
    of = job["jobReference"]
    place = f"/bigquery/v2/projects/{of['projectId']}/jobs/{of['jobId']}"
    where = {"location": of["location"]} if of.get("location") else {}
    while job["status"]["state"] != "DONE":
        time.sleep(PAUSE)
        job = _answer(session, "GET", place, params=where).json()
    if failed := job["status"].get("errorResult"):
        raise _refused(failed.get("message", "the job failed"))


def _answer(session: Any, method: str, place: str, **content: Any) -> Any:
    """What BigQuery answers to a request."""
    from google.auth.exceptions import GoogleAuthError
    from requests import RequestException

    host = os.environ.get("BIGQUERY_EMULATOR_HOST") or HOST
    url = f"{host if '://' in host else f'http://{host}'}{place}" if place[0] == "/" else place
    try:
        answer = session.request(method, url, timeout=ANSWER, **content)
    except (RequestException, GoogleAuthError) as error:
        raise _refused(_first(error)) from None
    if not answer.ok:
        raise _refused(_said(answer))
    return answer


def _said(answer: Any) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.reason}"


def _refused(reason: str) -> InputError:
    return InputError(
        f"BigQuery does not do it: {reason.rstrip('.')}.",
        hint="check address and rights; nothing there was changed.",
    )


def _first(error: Exception) -> str:
    """The first line of what a library says."""
    return str(error).partition("\n")[0].rstrip(". ") + "."
