"""Saved segments: filters of customers under a name, kept in a file for everybody who looks.

A segment is the query of its address: whom it holds is found anew with every store. They are
offered beside the lists that are often asked for.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from clv.errors import InputError
from clv.format import count
from clv.io.changes import locked, written, written_beside
from clv.store.query_fields import chosen, fields_of, of_address, ordered
from clv.web.page.frame import visitor_name, write_audit
from clv.web.page.job_forms import Pairs, pairs_of

MOST_SEGMENTS, LONGEST_NAME = 100, 60  # segments of a file, characters of a name
SEGMENTS = "segments.json"  # in the folder that a server may write to
NO_FILTER = ("page", "csrf", "name", "format")

router = APIRouter(include_in_schema=False)


class SavedSegment(BaseModel):
    """A filter under a name, who saved it, and on which day."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    query: str
    owner: str
    saved: str

    @property
    def address(self) -> str:
        """The page of its customers."""
        return f"/customers?{self.query}"


_LIST = TypeAdapter(list[SavedSegment])


@dataclass(frozen=True)
class SegmentFile:
    """The saved segments, in a file that several servers may share.

    Raises
    ------
    InputError
        When it is made: what is there is no such file.
    """

    path: Path

    def __post_init__(self) -> None:
        self.all()

    def all(self) -> list[SavedSegment]:
        """All of them, in the order of their names."""
        try:
            return _LIST.validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, ValidationError) as error:
            raise InputError(
                f"{self.path} is no file of saved segments.", hint="name another, or move it away."
            ) from error

    def save(self, segment: SavedSegment) -> None:
        """Keep a segment, in the place of one of the same name."""

        def added(segments: Sequence[SavedSegment]) -> list[SavedSegment]:
            others = [one for one in segments if one.name != segment.name]
            if len(others) >= MOST_SEGMENTS:
                raise InputError(
                    f"{count(MOST_SEGMENTS)} segments are saved already.", hint="remove one first."
                )
            return sorted([*others, segment], key=lambda one: one.name.lower())

        self._change(added)

    def remove(self, name: str) -> None:
        """Forget a segment, if it is there."""
        self._change(lambda segments: [one for one in segments if one.name != name])

    def _change(self, to: Callable[[list[SavedSegment]], Iterable[SavedSegment]]) -> None:
        with written(self.path), locked(self.path.resolve().parent):
            now = [one.model_dump() for one in to(self.all())]
            with written_beside(self.path) as beside:
                beside.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")


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
    name = dict(pairs).get("name", "").strip()
    if not (0 < len(name) <= LONGEST_NAME and name.isprintable()):
        raise InputError(f"a segment needs a name, of up to {count(LONGEST_NAME)} characters.")
    fields = of_address(fields_of((key, value) for key, value in pairs if key not in NO_FILTER))
    if not chosen(fields).values:
        raise InputError("no filter is set.", hint="choose whom the segment is to hold.")
    ordered(fields)
    today = dt.datetime.now(dt.UTC).date().isoformat()
    return SavedSegment(name=name, query=urlencode(fields, doseq=True), owner=owner, saved=today)


@router.post("/customers/segments")
async def save(request: Request) -> Response:
    """Keep the filter of the form under its name, and show it."""
    pairs = await pairs_of(request)
    segment = segment_of(pairs, visitor_name(request))
    await run_in_threadpool(_file(request).save, segment)
    await write_audit(request, "segment", segment=segment.name)
    return RedirectResponse(segment.address, 303)


@router.post("/customers/segments/remove")
async def remove(request: Request) -> Response:
    """Forget a segment."""
    name = dict(await pairs_of(request)).get("name", "")
    await run_in_threadpool(_file(request).remove, name)
    await write_audit(request, "segment", segment=name)
    return RedirectResponse("/customers", 303)


def _file(request: Request) -> SegmentFile:
    file: SegmentFile | None = getattr(request.app.state, "segments", None)
    if file is None:
        raise HTTPException(404)
    return file
