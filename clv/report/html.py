"""One self-contained HTML page from figures, tables and plots: no script, no outside host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clv.io.changes import written_beside
from clv.report.charts import Chart, Table
from clv.report.charts.fragments import render


@dataclass(frozen=True)
class Section:
    """A part of the page: what it says in one sentence, then the evidence."""

    title: str
    lead: object
    notes: Sequence[object] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Chart] = ()


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
        return render("report.html", report=self)

    def write(self, path: Path) -> Path:
        """Write the page beside ``path``, then put it in place."""
        with written_beside(path) as beside:
            beside.write_text(self.html(), encoding="utf-8")
        return path
