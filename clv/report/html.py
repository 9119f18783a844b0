"""One self-contained HTML page from figures, tables and plots: no script, no outside host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv.io.files import written_beside

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Figure:
    """A plot as SVG markup of our own (it is not escaped) and the sentence below it."""

    svg: str
    caption: str


@dataclass(frozen=True)
class Table:
    """Rows for the page; numbers are written by ``formats``: column name to format spec.

    Columns of text in ``right``, such as figures with their interval, stand to the right.
    """

    rows: pd.DataFrame
    caption: str
    formats: dict[str, str] = field(default_factory=dict)
    right: tuple[str, ...] = ()

    def cells(self) -> list[list[tuple[str, bool]]]:
        """The text of every cell, and whether it is a number, row by row."""
        return [
            [self._cell(name, value) for name, value in zip(self.rows.columns, row, strict=True)]
            for row in self.rows.itertuples(index=False)
        ]

    def _cell(self, name: str, value: Any) -> tuple[str, bool]:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value is None or value != value:
            return "–", number
        spec = self.formats.get(name, ",.0f" if isinstance(value, int) else ",.2f")
        return (format(value, spec), True) if number else (str(value), name in self.right)


@dataclass(frozen=True)
class Section:
    """A part of the page: what it says in one sentence, then the evidence."""

    title: str
    lead: str
    notes: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()


@dataclass(frozen=True)
class Report:
    """The page: a title, the figures that come first, and the sections.

    >>> page = Report("Customers", "as of today", [("Base", "12", "in all")], []).html()
    >>> "<h1>Customers</h1>" in page, "<script" in page
    (True, False)
    """

    title: str
    subtitle: str
    headlines: Sequence[tuple[str, str, str]]  # label, figure, what it counts
    sections: Sequence[Section]

    def html(self) -> str:
        """The page as text."""
        from jinja2 import Environment, PackageLoader, StrictUndefined

        environment = Environment(
            loader=PackageLoader("clv.report"), autoescape=True, undefined=StrictUndefined
        )
        return environment.get_template("report.html").render(report=self)

    def write(self, path: Path) -> Path:
        """Write the page beside ``path``, then put it in place."""
        with written_beside(path) as beside:
            beside.write_text(self.html(), encoding="utf-8")
        return path
