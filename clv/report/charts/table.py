"""Tables whose cells are written already, as they stand behind charts and in pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from markupsafe import Markup

from clv.format import NONE, count, number

if TYPE_CHECKING:
    import pandas as pd

Cell = str | Markup
Writers = Mapping[str, Callable[[Any], str]]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    heading
        What stands above it.
    kind
        "text"; "prose", whole sentences, which need room; "number", which is aligned to the right;
        or "chart", a drawing in every cell, whose heading is only read out.
    sort
        The name by which the store sorts; "" if the table cannot be sorted by it.
    """

    heading: str
    kind: Literal["text", "prose", "number", "chart"] = "text"
    sort: str = ""


@dataclass(frozen=True)
class Table:
    """Rows that are written already; the first cell of each is its heading.

    Attributes
    ----------
    caption
        What it shows, with its scope: of whom, when, in what.
    columns, rows
        As many cells in a row as there are columns; a cell is text, or markup of our own.
    marked
        Numbers of the rows that stand out, such as the model in use among others.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    marked: Sequence[int] = ()

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"a row of {self.caption!r} has other than {len(self.columns)} cells")


def table_of(
    frame: pd.DataFrame,
    caption: str,
    formats: Writers | None = None,
    right: Sequence[str] = (),
) -> Table:
    """The rows of a frame, its figures written by ``formats``, by column.

    Columns of text in ``right``, such as figures with their interval, stand to the right.

    >>> import pandas as pd
    >>> table_of(pd.DataFrame({"tier": ["top"], "clv": [1234.5]}), "Tiers").rows
    [('top', '1,234.50')]
    """
    formats = formats or {}
    rows = [
        tuple(
            _written(value, formats.get(str(name))) for name, value in zip(frame, row, strict=True)
        )
        for row in frame.itertuples(index=False)
    ]
    columns = [
        Column(str(name), "number" if name in right or _is_number(frame[name]) else "text")
        for name in frame
    ]
    return Table(caption, columns, rows)


def _is_number(column: pd.Series[Any]) -> bool:
    return all(
        isinstance(value, (int, float)) and not isinstance(value, bool)
        for value in column.tolist()
        if value is not None
    )


def _written(value: Any, write: Callable[[Any], str] | None) -> str:
    if value is None or value != value:
        return NONE
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return (write or (count if isinstance(value, int) else number))(value)
