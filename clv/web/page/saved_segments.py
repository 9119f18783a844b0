"""Saved segments: filters of customers under a name, kept in a file for everybody who looks.

A segment is the query of its address: whom it holds is found anew with every store. They are
offered beside the lists that are often asked for.
"""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from clv.errors import InputError
from clv.store.query_fields import chosen, fields_of, of_address, ordered
from clv.web.page.frame import visitor_name, write_audit
from clv.web.page.job_forms import Pairs, pairs_of
from clv.web.page.kept_file import Kept, KeptFile, checked_name, file_of, today

SEGMENTS = "segments.json"  # in the folder that a server may write to
NO_FILTER = ("page", "csrf", "name", "format")

router = APIRouter(include_in_schema=False)


class SavedSegment(Kept):
    """A filter under a name."""

    query: str

    @property
    def address(self) -> str:
        """The page of its customers."""
        return f"/customers?{self.query}"


class SegmentFile(KeptFile[SavedSegment]):
    """The segments that were saved."""

    kind, plural = SavedSegment, "segments"


def saved_segments(request: Request) -> list[SavedSegment] | None:
    """Those of a server; None where it keeps none."""
    file: SegmentFile | None = getattr(request.app.state, "segments", None)
    return None if file is None else file.all()


def segment_of(pairs: Pairs, owner: str) -> SavedSegment:
    """The segment that a form asks to save.

    Raises
    ------
    InputError
        It has no name, or a filter of it does not exist.
    """
    name = checked_name(dict(pairs).get("name", ""), "a segment")
    fields = of_address(fields_of((key, value) for key, value in pairs if key not in NO_FILTER))
    if not chosen(fields).values:
        raise InputError("no filter is set.", hint="choose whom the segment is to hold.")
    ordered(fields)
    query = urlencode(fields, doseq=True)
    return SavedSegment(name=name, query=query, owner=owner, saved=today())


@router.post("/customers/segments")
async def save(request: Request) -> Response:
    """Keep the filter of the form under its name, and show it."""
    pairs = await pairs_of(request)
    segment = segment_of(pairs, visitor_name(request))
    await run_in_threadpool(file_of(request, "segments").save, segment)
    await write_audit(request, "segment", segment=segment.name)
    return RedirectResponse(segment.address, 303)


@router.post("/customers/segments/remove")
async def remove(request: Request) -> Response:
    """Forget a segment."""
    name = dict(await pairs_of(request)).get("name", "")
    await run_in_threadpool(file_of(request, "segments").remove, name)
    await write_audit(request, "segment", segment=name)
    return RedirectResponse("/customers", 303)
