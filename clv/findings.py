"""What is said of figures, and where they come from: measured, estimated or assumed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Provenance = Literal["", "measured", "assumed", "estimated"]


@dataclass(frozen=True)
class Note:
    """A sentence on what figures rest on, and whether that was measured, estimated or assumed."""

    text: str
    chip: Provenance = ""
