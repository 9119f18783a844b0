"""The glossary: what the words on pages and in reports mean, from ``glossary.toml``."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("glossary.toml")


class Term(NamedTuple):
    """A word, and what it means in plain English."""

    name: str
    says: str

    @property
    def anchor(self) -> str:
        """Where a page has it.

        >>> Term("CAC, customer acquisition cost", "").anchor
        'cac'
        """
        words = self.name.split(",")[0].lower()
        return "".join(c if c.isalnum() else "-" for c in words).strip("-")


@lru_cache(1)
def glossary() -> tuple[Term, ...]:
    """All terms, in the order of the alphabet.

    >>> [term.name for term in glossary()][:2]
    ['Active, P(alive)', 'Attributed']
    """
    terms = tomllib.loads(FILE.read_text(encoding="utf-8"))["term"]
    return tuple(sorted((Term(**term) for term in terms), key=lambda term: term.name.lower()))
