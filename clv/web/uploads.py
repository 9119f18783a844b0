"""Forms with a file: fields are read, the file is streamed to the disk, and nothing is held.

Reading is on threads, so that it holds nobody up. What a client calls its file is never a path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from clv.io.changes import written
from clv.web.problems import ProblemError

MOST_FIELDS, MOST_PARTS = 64 * 2**10, 20  # bytes of all fields but the file; fields
FILE = "file"  # the field that has it


@dataclass
class FormStream:
    """What came of a form: its fields, and what the client calls its file.

    Attributes
    ----------
    target
        Opens the place of the file when its name is there; it may refuse it.
    fields, title, size
        The fields, the file's name there, and its bytes.
    whole
        Whether the form came to its end.
    """

    target: Callable[[str], Path]
    fields: dict[str, str] = field(default_factory=dict)
    title: str = ""
    size: int = 0
    whole: bool = False
    place: Path | None = None
    _file: IO[bytes] | None = None
    _headers: dict[str, bytes] = field(default_factory=dict)
    _header: list[bytes] = field(default_factory=lambda: [b"", b""])
    _name: str = ""
    _text: int = 0
    _parts: int = 0

    def callbacks(self) -> Any:
        """What the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._add(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._add(1, data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": lambda data, start, end: self._take(data[start:end]),
            "on_part_end": self.close,
            "on_end": self._end,
        }

    def close(self) -> None:
        """Close the file, if one is open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self) -> None:
        self._headers, self._header = {}, [b"", b""]
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise ProblemError(413, "large-form", "The form has too many fields.")

    def _add(self, which: int, data: bytes) -> None:
        self._header[which] += data

    def _end_header(self) -> None:
        self._headers[self._header[0].decode("latin-1").lower()] = self._header[1]
        self._header = [b"", b""]

    def _open(self) -> None:
        """The headers of a part are there: it is the file, or a field."""
        _, options = parse_options_header(self._headers.get("content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" not in options:
            self.fields[self._name] = ""
            return
        if self._name != FILE or self.place is not None:
            raise ProblemError(400, "no-form", "The form has one file.")
        self.title = options[b"filename"].decode("utf-8", "replace")
        if self.title:
            self.place = self.target(self.title)
            self._file = self.place.open("xb")

    def _take(self, data: bytes) -> None:
        if self._file is not None:
            self._file.write(data)
            self.size += len(data)
            return
        self._text += len(data)
        if self._text > MOST_FIELDS:
            raise ProblemError(413, "large-form", "The fields of the form are too long.")
        if self._name in self.fields:
            self.fields[self._name] += data.decode("utf-8", "replace")

    def _end(self) -> None:
        self.whole = True


async def read_form(request: Request, target: Callable[[str], Path]) -> FormStream:
    """The form of a request, its file written to where ``target`` says for its name.

    Raises
    ------
    ProblemError
        It is no form with one file, it has none, or it did not come whole.
    InputError
        ``target`` refuses the name, or the file cannot be written.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise ProblemError(415, "no-form", "Send a form with a file.")
    form = FormStream(target)
    parser = MultipartParser(options[b"boundary"], form.callbacks())
    try:
        with written("the upload"):
            async for chunk in request.stream():
                await run_in_threadpool(parser.write, chunk)
            parser.finalize()
    except (FormParserError, ClientDisconnect) as error:
        raise ProblemError(400, "cut-off", "The form did not come whole.") from error
    finally:
        form.close()
    if not form.whole:
        raise ProblemError(400, "cut-off", "The form did not come whole.")
    if not form.size:
        raise ProblemError(422, "no-file", "Choose a file that has something in it.")
    return form
