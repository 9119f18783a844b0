"""Scores kept part by part while a large base is scored: a run that was cut off goes on there.

A part is named by a digest of the summary that it was made of and of the scorer, and ends in a
digest of itself: one of other customers, of another model or that is damaged is made anew.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from clv import __version__
from clv.io.changes import written_beside

if TYPE_CHECKING:
    import pyarrow as pa

    Score = Callable[[pa.RecordBatch], pa.RecordBatch]

DIGEST = 32  # bytes at the end of a part


class ScoredParts:
    """The parts of one file of scores, in a hidden folder beside it.

    Parameters
    ----------
    target
        The file.
    model_version
        Of the scorer.
    """

    def __init__(self, target: Path, model_version: str) -> None:
        self.folder = target.parent / f".{target.name}.parts"
        self.maker = f"{model_version} {__version__}".encode()

    def keeping(self, score: Score) -> Score:
        """``score``, which takes a part that was scored before from its file."""

        def of_part(batch: pa.RecordBatch) -> pa.RecordBatch:
            file = self.folder / f"{hashlib.sha256(self.maker + _body(batch)).hexdigest()}.arrow"
            scores = _read(file)
            if scores is None:
                scores = score(batch)
                body = _body(scores)
                with written_beside(file) as beside:
                    beside.write_bytes(body + hashlib.sha256(body).digest())
            return scores

        return of_part

    @contextmanager
    def until_done(self) -> Iterator[None]:
        """The parts stay if the run is stopped; when it is done or fails, they go."""
        try:
            yield
        except Exception:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        shutil.rmtree(self.folder, ignore_errors=True)


def _body(batch: pa.RecordBatch) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


def _read(file: Path) -> pa.RecordBatch | None:
    """The scores of a part that is there and whole."""
    import pyarrow as pa

    try:
        content = file.read_bytes()
    except OSError:
        return None
    body, digest = content[:-DIGEST], content[-DIGEST:]
    if hashlib.sha256(body).digest() != digest:
        return None
    return pa.ipc.open_stream(body).read_next_batch()
