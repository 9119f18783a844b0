"""Lines below the table of a text file that are no rows of it: counts, notes, who exported it."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from clv.intake.vocabulary import is_total, vocabulary

TAIL = 2**16  # bytes at the end of a file, in which such lines are looked for


def without_lines_below(file: Path, separator: str, width: int) -> tuple[str, ...]:
    """Takes the lines below the table out of a file of plain UTF-8.

    Parameters
    ----------
    file
        A copy of the text, which is changed.
    separator, width
        What stands between cells, and how many cells a row has.

    Returns
    -------
    tuple of str
        The lines that were taken out, as they read.
    """
    size = file.stat().st_size
    with file.open("r+b") as stream:
        start = max(0, size - TAIL)
        stream.seek(start)
        begin = start + len(stream.readline()) if start else 0
        stream.seek(begin)
        lines = stream.read().decode("utf-8", "replace").split("\n")
        kept, notes = _parted(lines, separator, width)
        if notes:
            stream.seek(begin)
            stream.write("\n".join(kept).encode())
            stream.truncate()
    return tuple(notes)


def _parted(lines: Sequence[str], separator: str, width: int) -> tuple[list[str], list[str]]:
    """The lines of the table, and those below it that are none of its rows."""
    rows = [next(csv.reader([line], delimiter=separator), []) for line in lines]
    first = len(rows)
    while first and not _is_row(rows[first - 1], width):
        first -= 1
    blank, notes, kept = False, [], list(lines[:first])
    for line, row in zip(lines[first:], rows[first:], strict=True):
        cells = [cell for cell in row if cell.strip()]
        blank = blank or not cells
        whole = line is not lines[-1]  # the last line, without an end, may be a row that was cut
        if not cells or len(row) == width:
            kept.append(line)
        elif blank or speaks_of_the_file(" ".join(cells)) or (whole and len(cells) == 1):
            notes.append(" ".join(" ".join(cells).split()))
        else:
            return list(lines), []
    return kept, notes


def _is_row(row: Sequence[str], width: int) -> bool:
    """Whether a record has the cells of a row, and is neither a total nor nearly empty."""
    filled = [cell for cell in row if cell.strip()]
    return len(row) == width and len(filled) > 2 and not any(map(is_total, filled))


def speaks_of_the_file(text: str) -> bool:
    """Whether a line speaks of its file or of all its rows, as a note below a table does.

    >>> speaks_of_the_file("2 record(s) downloaded"), speaks_of_the_file("Ann Able")
    (True, False)
    """
    return re.search(note_pattern(), text.lower()) is not None


def note_pattern() -> str:
    """A regular expression for such lines, in lower case."""
    return r"\b(" + "|".join(vocabulary()["rows"]["notes"]) + r")"
