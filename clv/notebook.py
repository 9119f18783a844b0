"""How a record looks in a notebook: its printed words as HTML, with a table where it has one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

Row = Sequence[str]


class InNotebook:
    """A record whose ``str`` reads well: the first line is a heading, each further one a point.

    A record with a table gives it in ``_table`` (names of columns, rows of text), and in
    ``_points`` what is not in the table.
    """

    def _table(self) -> tuple[Row, Iterable[Row]] | None:
        return None

    def _points(self) -> Iterable[str]:
        return str(self).splitlines()[1:]

    def _repr_html_(self) -> str:
        heading = str(self).partition("\n")[0]
        parts = [f"<p><strong>{escape(heading)}</strong></p>"]
        if (table := self._table()) is not None:
            parts.append(_as_table(*table))
        points = [f"<li>{escape(line.strip())}</li>" for line in self._points() if line.strip()]
        if points:
            parts.append(f"<ul>{''.join(points)}</ul>")
        return f"<div>{''.join(parts)}</div>"


def _as_table(columns: Row, rows: Iterable[Row]) -> str:
    """A table whose first column is words, and whose others are figures."""
    body = "".join(_as_row(row, "td") for row in rows)
    return f"<table><thead>{_as_row(columns, 'th')}</thead><tbody>{body}</tbody></table>"


def _as_row(row: Row, tag: str) -> str:
    cells = (
        f'<{tag} style="text-align: {"right" if index else "left"}">{escape(text)}</{tag}>'
        for index, text in enumerate(row)
    )
    return f"<tr>{''.join(cells)}</tr>"
