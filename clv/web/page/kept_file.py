"""What planners save under a name for everybody who looks, in a file that servers share."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from clv.errors import InputError
from clv.format import count
from clv.io.changes import locked, written, written_beside

MOST_KEPT, LONGEST_NAME = 100, 60  # of a file, characters of a name


class Kept(BaseModel):
    """Something under a name, who saved it, and on which day."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    owner: str
    saved: str


KeptT = TypeVar("KeptT", bound=Kept)


@dataclass(frozen=True)
class KeptFile(Generic[KeptT]):
    """What is saved, in a file that several servers may share.

    Raises
    ------
    InputError
        When it is made: what is there is no such file.
    """

    path: Path
    kind: ClassVar[type[Kept]]
    plural: ClassVar[str]

    def __post_init__(self) -> None:
        self.all()

    def all(self) -> list[KeptT]:
        """All of it, in the order of the names."""
        try:
            kept: list[KeptT] = TypeAdapter(list[self.kind]).validate_json(  # type: ignore[name-defined]
                self.path.read_bytes()
            )
        except FileNotFoundError:
            return []
        except (OSError, ValidationError) as error:
            raise InputError(
                f"{self.path} is no file of saved {self.plural}.",
                hint="name another, or move it away.",
            ) from error
        return kept

    def save(self, new: KeptT) -> None:
        """Keep it, in the place of what has the same name."""

        def added(kept: Sequence[KeptT]) -> list[KeptT]:
            others = [one for one in kept if one.name != new.name]
            if len(others) >= MOST_KEPT:
                raise InputError(
                    f"{count(MOST_KEPT)} {self.plural} are saved already.", hint="remove one first."
                )
            return sorted([*others, new], key=lambda one: one.name.lower())

        self._change(added)

    def remove(self, name: str) -> None:
        """Forget what has a name, if it is there."""
        self._change(lambda kept: [one for one in kept if one.name != name])

    def _change(self, to: Callable[[list[KeptT]], Iterable[KeptT]]) -> None:
        with written(self.path), locked(self.path.resolve().parent):
            now = [one.model_dump() for one in to(self.all())]
            with written_beside(self.path) as beside:
                beside.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")


def checked_name(text: str, what: str) -> str:
    """A name without space around it; ``InputError`` if it is none.

    >>> checked_name(" Risky best ", "a segment")
    'Risky best'
    """
    name = text.strip()
    if not (0 < len(name) <= LONGEST_NAME and name.isprintable()):
        raise InputError(f"{what} needs a name, of up to {count(LONGEST_NAME)} characters.")
    return name


def file_of(request: Request, name: Literal["plans", "segments"]) -> KeptFile[Any]:
    """The server's file of them; 404 where it keeps none."""
    file: KeptFile[Any] | None = getattr(request.app.state, name, None)
    if file is None:
        raise HTTPException(404)
    return file


def today() -> str:
    """The day, in UTC."""
    return dt.datetime.now(dt.UTC).date().isoformat()
