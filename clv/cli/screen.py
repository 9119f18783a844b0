"""The terminal: results on stdout, all else on stderr, made for 80 columns."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
from clv.format import NONE, count, money, number
from clv.io.json import plain

Step = Callable[[int, int], None]
Formats = Mapping[str, Callable[[Any], str]]


@dataclass(frozen=True)
class Screen:
    """Where a command writes. ``quiet`` leaves warnings, errors and JSON."""

    quiet: bool = False

    @property
    def out(self) -> Console:
        """Results."""
        return _console(stderr=False)

    @property
    def err(self) -> Console:
        """Warnings, errors and progress."""
        return _console(stderr=True)

    def say(self, text: str = "", style: str | None = None) -> None:
        """Print a sentence, wrapped to the terminal's width."""
        if not self.quiet:
            self.out.print(text, style=style, markup=False, highlight=False)

    def title(self, text: str) -> None:
        """Print a heading."""
        self.say(text, style="bold")

    def show(self, table: Table) -> None:
        """Print a table."""
        if not self.quiet:
            self.out.print(table)

    def pairs(self, rows: Mapping[str, str]) -> None:
        """Print names and values below each other."""
        width = max(map(len, rows), default=0)
        for name, value in rows.items():
            self.say(f"  {name:<{width}}  {value}")

    def points(self, sentences: Sequence[object]) -> None:
        """Print sentences as a list."""
        if not self.quiet and sentences:
            self.out.print(_points(sentences))

    def written(self, file: object) -> None:
        """Print where a result was written, if it was."""
        if file and not self.quiet:
            self.out.print(f"Written: {file}", markup=False, highlight=False, soft_wrap=True)

    def logged(self, run: str | None, experiment: str | None) -> None:
        """Say which MLflow run holds a result, if one does."""
        if run:
            self.say(f"Logged: MLflow run {run} of experiment {experiment}")

    def next(self, command: str) -> None:
        """Print what to run next, in one piece, so that it can be copied."""
        if not self.quiet:
            self.out.print(f"Next: {command}", markup=False, highlight=False, soft_wrap=True)

    def json(self, value: Any) -> None:
        """Print a value as JSON, whatever ``quiet`` says; what is no number becomes null."""
        print(json.dumps(plain(value), indent=2, ensure_ascii=False))  # noqa: T201

    def note(self, text: str) -> None:
        """Print on stderr what takes a while."""
        if not self.quiet:
            self.err.print(text, style="dim", markup=False, highlight=False)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.err.print(f"Warning: {text}", style="yellow", markup=False, highlight=False)

    def error(self, message: str, hint: str | None) -> None:
        """Print what went wrong and what to try."""
        self.err.print(f"Error: {message}", style="red", markup=False, highlight=False)
        if hint:
            self.err.print(f"Hint: {hint}", markup=False, highlight=False)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """A long step: what it does while it runs, and how long it took."""
        start = time.perf_counter()
        watched = self.err.is_terminal
        if not watched:
            self.say(f"{what} ...")
        with self.progress(what):
            yield
        seconds = f"{number(time.perf_counter() - start, 1)} s"
        self.say(f"{what}: {seconds}" if watched else f"  {seconds}")

    @contextmanager
    def progress(self, what: str) -> Iterator[Step]:
        """A progress bar, if a person is watching; the step takes how much of what is done."""
        err = self.err
        if self.quiet or not err.is_terminal:
            yield lambda done, total: None
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as TimeLeft

        words = TextColumn("{task.description}"), BarColumn()
        columns = (*words, TimeElapsedColumn(), TextColumn("{task.fields[pace]}"), TimeLeft())
        with Progress(*columns, console=err, transient=True) as bar:
            task, start = bar.add_task(what, total=None, pace=""), time.perf_counter()

            def step(done: int, total: int) -> None:
                pace = count(done / max(time.perf_counter() - start, 1e-9))
                bar.update(task, completed=done, total=total, pace=f"{pace} a second, to go:")

            yield step


def table(
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    formats: Formats | None = None,
    left: Sequence[str] = (),
) -> Table:
    """``rows`` with the ``columns`` (name to heading); missing values as a dash.

    Columns of text and those in ``left`` stand to the left, numbers and what has a format to the
    right.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    formats = formats or {}
    out = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name, heading in columns.items():
        words = name not in formats and any(isinstance(row[name], str) for row in rows)
        to_left = name in left or (words and not left)
        out.add_column(heading, justify="left" if to_left else "right", overflow="fold")
    for row in rows:
        out.add_row(*(_cell(row[name], formats.get(name, money)) for name in columns))
    return out


def _cell(value: Any, written: Callable[[Any], str]) -> Any:
    """What a cell shows; text of any kind as it is."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NONE
    if isinstance(value, str):
        from rich.text import Text

        return Text(value)  # a plan called [beta] is no style
    return written(value) if isinstance(value, int | float) else value


def _points(sentences: Sequence[object]) -> Table:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1))
    for sentence in sentences:
        grid.add_row(" -", Text(str(sentence)))
    return grid


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    return Console(stderr=stderr)


def above(text: str, below: str) -> Text:
    """A figure and, dimmed below it, its interval."""
    from rich.text import Text

    figure = Text(text)
    return figure.append(f"\n{below}", style="dim") if below else figure
