"""Options that several commands share."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

CHAMPION = "models:/clv@champion"

Log = Annotated[
    str, typer.Argument(metavar="LOG", help="Orders: Parquet, CSV, a folder or a pattern.")
]
Scores = Annotated[str, typer.Argument(metavar="SCORES", help="What clv score wrote.")]
Model = Annotated[
    str,
    typer.Option(
        metavar="MODEL",
        envvar="CLV_MODEL",
        help="A folder, or an MLflow URI such as models:/clv/3.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write .parquet, or .csv safe to open."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
Track = Annotated[
    str | None, typer.Option(metavar="EXPERIMENT", help="Log the result as an MLflow run.")
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        "-c",
        metavar="OURS=THEIRS",
        help="Say which column is which, as in customer_id=CustomerID. "
        "Nothing after the = keeps a column out.",
    ),
]
DateFormat = Annotated[
    str | None, typer.Option(metavar="FORMAT", help="How dates are written, as in %d/%m/%Y.")
]
TimeZone = Annotated[
    str | None, typer.Option(metavar="ZONE", help="Whose days count, as in Europe/London.")
]
Anyway = Annotated[
    bool,
    typer.Option("--anyway", help="Take files that do not look like those of the model."),
]
AsOf = Annotated[
    str | None, typer.Option(metavar="DATE", help="Last day to take in, as in 2024-03-31.")
]


@dataclass(frozen=True, kw_only=True)
class LogFormat:
    """How an order log is written."""

    HEADING: ClassVar[str] = "How the order log is read"
    column: Columns = None
    date_format: DateFormat = None
    time_zone: TimeZone = None

    def rules(self) -> dict[str, Any]:
        """The arguments of ``clean``."""
        columns = mapping(self.column)
        return {"columns": columns, "date_format": self.date_format, "time_zone": self.time_zone}


@dataclass(frozen=True, kw_only=True)
class LogReading(LogFormat):
    """How an order log is written, and up to which day it is read."""

    as_of: AsOf = None

    def rules(self) -> dict[str, Any]:
        """The arguments of ``clean``."""
        return {**super().rules(), "as_of": self.as_of}

    def stated(self) -> dict[str, Any]:
        """The fields of a recipe that the options decide."""
        from clv.data.days import as_day

        columns = mapping(self.column)
        as_of = None if self.as_of is None else as_day(self.as_of, "--as-of")
        stated = {"as_of": as_of, "date_format": self.date_format, "time_zone": self.time_zone}
        return {k: v for k, v in stated.items() if v} | ({"columns": columns} if columns else {})

    def __str__(self) -> str:
        """The same options as a shell takes them.

        >>> str(LogReading(as_of="2024-03-31", column=["date=order date"]))
        "--as-of 2024-03-31 -c 'date=order date'"
        """
        options = {"as-of": self.as_of, "date-format": self.date_format}
        options |= {"time-zone": self.time_zone}
        words = [word for name, value in options.items() if value for word in (f"--{name}", value)]
        return shlex.join([*words, *(word for text in self.column or () for word in ("-c", text))])


def mapping(columns: Sequence[str] | None) -> dict[str, str | None]:
    """Our names to theirs, from ``["customer_id=CustomerID", "channel="]``."""
    names: dict[str, str | None] = {}
    for text in columns or ():
        ours, equals, theirs = text.partition("=")
        if not (ours and equals):
            raise typer.BadParameter(
                f"{text!r} is not OURS=THEIRS, such as customer_id=CustomerID."
            )
        names[ours] = theirs or None
    return names


def named(pairs: Sequence[str] | None) -> dict[str, str]:
    """Names to files, from ``["channels=channels.csv"]``."""
    files: dict[str, str] = {}
    for text in pairs or ():
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise typer.BadParameter(f"{text!r} is not NAME=FILE, such as channels=channels.csv.")
        files[name] = file
    return files


def refuse(options: Mapping[str, object], why: str) -> None:
    """End with wrong usage if one of these options has a value: none is ignored in silence."""
    for option, value in options.items():
        if value:
            raise typer.BadParameter(why, param_hint=option)
