"""What is logged beside a model or a result in a run, so that others can judge it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clv.app.registry import ALL


@dataclass(frozen=True)
class Evidence:
    """What is logged beside a model, so that others can judge it.

    Attributes
    ----------
    params, metrics, tags
        By name. The tags mark the run and the registered version.
    leading
        The few figures to look at first; all ``metrics`` then stand under "all/".
    says
        The run in words.
    files
        Path in the run to text, bytes (such as a PNG) or a JSON value.
    source
        The raw log; its path and SHA-256 are recorded, its rows are not.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)
    source: Path | None = None
    leading: Mapping[str, float] = field(default_factory=dict)
    says: str = ""

    @property
    def logged(self) -> dict[str, float]:
        """The metrics as a run has them."""
        before = ALL if self.leading else ""
        return dict(self.leading) | {before + name: of for name, of in self.metrics.items()}
