"""The dialect of a text file: its encoding, what separates its cells, and where its header is.

Nothing is read past the first megabyte, and nothing is guessed that a later line can contradict
in silence: the reader holds every line against the width of the header.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from clv.errors import InputError
from clv.format import count
from clv.intake.period_names import periods_among

HEAD = 2**20  # bytes that settle the dialect
WIDEST = 2**17  # characters of a line; beyond this it is no line of a table
SEPARATORS = ",;\t|"
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Dialect:
    """How a text file is written.

    Attributes
    ----------
    encoding
        As Python calls it.
    separator
        What stands between two cells.
    header_line
        The line of the header, counted from 1; titles and notes may stand above it.
    names
        The names in the header, without blanks around them; as many as the rows have cells.
    data_line
        The line of the first row, as a quoted name can span lines.
    records_above
        How many records stand above it, however many lines they span: DuckDB skips those.
    escape
        What stands before a quotation mark within quotation marks.
    """

    encoding: str
    separator: str
    header_line: int
    names: tuple[str, ...]
    data_line: int
    records_above: int
    escape: str = field(default='"', repr=False)


class _Record(NamedTuple):
    """The cells of one record, and its lines from the first to the one after the last."""

    begin: int
    end: int
    cells: list[str]


def dialect_of(
    head: bytes,
    file: str,
    *,
    encoding: str | None = None,
    separator: str | None = None,
    header_line: int | None = None,
) -> Dialect:
    r"""The dialect of a file that begins with ``head``; what the caller states is taken as stated.

    Parameters
    ----------
    head
        The first bytes of the file, a megabyte at most.
    file
        Its name, for messages.
    encoding, separator, header_line
        What is known of it.

    Returns
    -------
    Dialect

    Raises
    ------
    InputError
        The file is empty, cannot be decoded, or has no line that could be a header.

    Examples
    --------
    >>> dialect_of(  # doctest: +NORMALIZE_WHITESPACE
    ...     "Report\n\nKunde;Betrag\n1;2,50\n2;3,00\n".encode("cp1252"), "a.csv"
    ... )
    Dialect(encoding='utf-8', separator=';', header_line=3, names=('Kunde', 'Betrag'), data_line=4,
        records_above=3)
    """
    encoding = encoding or encoding_of(head, file)
    lines = _lines(_decoded(head, encoding, file), whole=len(head) < HEAD)
    first = 0
    if lines and lines[0].lower().startswith("sep=") and len(lines[0]) == 5:
        separator, first = separator or lines[0][4], 1  # the line that Excel reads and hides
    if not any(line.strip() for line in lines[first:]):
        raise InputError(f"{file} is empty.", hint="check how it was exported.")
    if max(map(len, lines)) > WIDEST:
        raise InputError(
            f"{file} has a line of more than {count(WIDEST)} characters, so it is no table.",
            hint="check that it is a CSV file, and that every quotation mark is closed.",
        )
    separator = separator or _separator(lines[first:])
    records = [record for record in _records(lines, separator) if record.begin > first]
    header = _stated(records, header_line, file) if header_line else _header(records)
    width = max(len(header.cells), _usual_width(records, beyond=header.begin))
    above = first + [record.begin for record in records].index(header.begin) + 1
    names = _names(header.cells, width)
    escape = _escape("\n".join(lines))
    return Dialect(encoding, separator, header.begin, names, header.end, above, escape)


def encoding_of(head: bytes, file: str = "the file") -> str:
    r"""The encoding: by its mark, by the zeros of UTF-16, else UTF-8 if it is, else Windows-1252.

    >>> encoding_of("a,b\n1,ä".encode("utf-8")), encoding_of("a,b\n1,ä".encode("cp1252"))
    ('utf-8', 'cp1252')
    """
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding
    even, odd = head[0:2000:2].count(0), head[1:2000:2].count(0)
    if max(even, odd) > len(head[:2000]) // 8:
        return "utf-16-be" if even > odd else "utf-16-le"
    if b"\0" in head:
        raise InputError(f"{file} is no text.", hint="give CSV, Parquet, Excel or JSON lines.")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < HEAD)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _decoded(head: bytes, encoding: str, file: str) -> str:
    try:
        decoder = codecs.getincrementaldecoder(encoding)("strict")
        return decoder.decode(head, final=len(head) < HEAD)
    except (UnicodeError, LookupError) as error:
        raise InputError(
            f"{file} cannot be read as {encoding}: {error}.",
            hint='save it as UTF-8, or say its encoding, as in encoding = "latin-1".',
        ) from error


def _lines(text: str, *, whole: bool) -> list[str]:
    """The lines, without the last if it may be cut off."""
    lines = re.split("\r\n|\r|\n", text.removeprefix("\ufeff"))  # as the engine counts them
    if lines[-1] == "":
        lines.pop()
    return lines if whole or len(lines) < 2 else lines[:-1]


def _records(lines: Sequence[str], separator: str) -> list[_Record]:
    """The records of the lines, which are counted from 1."""
    records: list[_Record] = []
    text = "\n".join(lines)
    strokes = "\\" if _escape(text) == "\\" else None
    reader = csv.reader(
        io.StringIO(text), delimiter=separator, skipinitialspace=True, escapechar=strokes
    )
    begin = 1
    try:
        for row in reader:
            records.append(_Record(begin, reader.line_num + 1, [cell.strip() for cell in row]))
            begin = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"line {reader.line_num} cannot be read: {error}.") from error
    return records


def _escape(text: str) -> str:
    """A stroke, as MySQL writes it before a quotation mark, or another quotation mark."""
    return "\\" if re.search(r'\\"[^,;\t|"\s]', text) else '"'


def _separator(lines: Sequence[str]) -> str:
    """The sign that splits most lines into one number of cells, more than one."""

    def steadiness(separator: str) -> tuple[int, int]:
        widths = Counter(len(r.cells) for r in _records(lines[:200], separator) if any(r.cells))
        width, count = max(widths.items(), key=lambda item: (item[0] > 1, item[1] * item[0]))
        return (count if width > 1 else 0, width)

    return max(SEPARATORS, key=steadiness)


def _stated(records: Sequence[_Record], line: int, file: str) -> _Record:
    for record in records:
        if record.begin == line and any(record.cells):
            return record
    raise InputError(f"{file} has no header in line {line}.", hint="check header_line.")


def _header(records: Sequence[_Record]) -> _Record:
    """The first line that is as wide as the table and holds names, not values."""
    filled = [record for record in records if any(record.cells)]
    widths = Counter(_width(record) for record in filled[:400])
    width = max(widths, key=lambda w: (widths[w] * (w > 1), w))
    for record in filled:
        names = [cell for cell in record.cells if cell]
        wide = len(record.cells) >= width and len(names) >= max(1, 0.6 * len(record.cells))
        if wide and not _values(names):
            return _lower_header(record, filled)
    return filled[0]


def _lower_header(header: _Record, filled: Sequence[_Record]) -> _Record:
    """The header, or the line of names below it under titles that span several columns."""
    below = filled[filled.index(header) + 1 :][:2]
    if len(set(header.cells)) == len(header.cells) or len(below) < 2:
        return header
    named = len({*filter(None, below[0].cells)}) == len(header.cells)
    digits = [any(sign.isdigit() for sign in "".join(each.cells)) for each in below]
    if not named or digits != [False, True]:
        return header
    names = [f"{title} {name}" for title, name in zip(header.cells, below[0].cells, strict=True)]
    return below[0]._replace(cells=names)


def _width(record: _Record) -> int:
    """Cells up to the last one that is filled."""
    return max((place for place, cell in enumerate(record.cells, start=1) if cell), default=0)


def _usual_width(records: Sequence[_Record], beyond: int) -> int:
    """Cells of most rows below the header: one more than names where rows end in a separator."""
    widths = Counter(len(r.cells) for r in records if r.begin > beyond and any(r.cells))
    return max(widths, key=lambda width: widths[width]) if widths else 0


def _values(cells: Sequence[str]) -> bool:
    """Whether a line looks like data: most of its cells begin with a digit or a sign of money."""
    if periods_among(cells):  # names of columns, one a month
        return False
    return sum(cell[0].isdigit() or cell[0] in "-+($€£" for cell in cells) * 2 > len(cells)


def _names(cells: Sequence[str], width: int) -> tuple[str, ...]:
    """A name for every column; those without get their place."""
    named = [" ".join(cell.split()) for cell in cells] + [""] * (width - len(cells))
    return tuple(name or f"(column {place})" for place, name in enumerate(named, start=1))
