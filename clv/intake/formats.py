"""Exports of shops, payment systems and analytics: a TOML file each in ``formats/``.

A format says by which columns it is recognised, and which column is what; the rest (marks, order
of dates, what each status means) is looked at in the file as for any other.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from clv.intake.vocabulary import plain


class Format(BaseModel):
    """A kind of export.

    Attributes
    ----------
    title
        What people call it.
    match
        Columns that it always has; a list in it is several spellings of one.
    columns
        By role, the names that the column may have; "Date + Time" puts two together.
    data
        Further fields of a recipe that hold for every such file.
    note
        What its user should know.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    match: tuple[str | tuple[str, ...], ...] = Field(strict=False)
    columns: Mapping[str, tuple[str, ...]]
    data: Mapping[str, Any] = {}
    note: str = ""

    def fits(self, names: Sequence[str]) -> bool:
        """Whether files with these columns are of this kind."""
        present = {plain(name) for name in names}
        alternatives = ((word,) if isinstance(word, str) else word for word in self.match)
        return all(any(plain(spelling) in present for spelling in words) for words in alternatives)

    def mapped(self, names: Sequence[str]) -> dict[str, str | tuple[str, ...]]:
        """The columns of a file by role, as far as ``names``, those with any content, has them."""
        theirs = {plain(name): name for name in reversed(names)}
        mapped: dict[str, str | tuple[str, ...]] = {}
        for role, spellings in self.columns.items():
            for spelling in spellings:
                parts = [plain(part) for part in spelling.split(" + ")]
                if all(part in theirs for part in parts):
                    columns = tuple(theirs[part] for part in parts)
                    mapped[role] = columns[0] if len(columns) == 1 else columns
                    break
        return mapped


@cache
def formats() -> Mapping[str, Format]:
    """All formats by name, the pickiest first.

    >>> "shopify" in formats()
    True
    """
    folder = files("clv.intake") / "formats"
    read = {
        entry.name.removesuffix(".toml"): Format.model_validate(
            tomllib.loads(entry.read_text(encoding="utf-8"))
        )
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }
    return dict(sorted(read.items(), key=lambda item: (-len(item[1].match), item[0])))


def recognise(names: Sequence[str]) -> str | None:
    """The name of the format that files with these columns have; None if none fits."""
    return next((name for name, kind in formats().items() if kind.fits(names)), None)
