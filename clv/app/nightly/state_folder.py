"""The folder that ``clv fold`` keeps: files that never change, and one that says which are valid.

``state.json`` is replaced last, so the folder is always the old state or the new, whenever a run
ends. What it no longer names goes one night later: who read the old one may still be at it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from clv.errors import InputError
from clv.extras import require_extra
from clv.intake.recipe import Recipe
from clv.io.changes import locked, replacing, written, written_beside
from clv.io.queries import sql_text
from clv.io.settings_errors import settings_of
from clv.io.table_files import TABLE_FILES
from clv.io.text_files import parse_json, read_text

STATE_FILE = "state.json"
FORMAT = 1
HINT = "make it anew from all orders by clv fold, in another folder."
OURS = re.compile(r"(?:lines|days|customers)-[0-9]{5}-[0-9a-f]{12}\.parquet")
FileName = Annotated[str, Field(pattern=f"^{OURS.pattern}$")]


class Night(BaseModel):
    """Orders that were taken in together, and the files that hold them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    read: list[str]
    rows: Annotated[int, Field(ge=0)]
    lines: FileName
    days: FileName


class OrderState(BaseModel):
    """What ``state.json`` says.

    Attributes
    ----------
    recipe
        How all files of orders are read.
    currency
        Of the amounts.
    as_of
        The last day with a purchase.
    customers
        The file with a row for each customer.
    nights
        All that was taken in, the oldest first.
    channels
        Every way in which a channel was written.
    before
        The customers of the state before this one, which may still be read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    recipe: Recipe
    currency: str
    as_of: dt.date
    customers: FileName
    nights: Annotated[list[Night], Field(min_length=1, max_length=99_999)]
    channels: list[str] = []
    before: FileName | None = None

    def files(self) -> list[str]:
        """The files that make the state."""
        return [
            self.customers,
            *(name for night in self.nights for name in (night.lines, night.days)),
        ]


def digest_of(*texts: str) -> str:
    """A short digest, as names of files have it."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]


def is_state(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a folder that ``clv fold`` keeps."""
    return (Path(path) / STATE_FILE).is_file()


def read_state(folder: str | os.PathLike[str]) -> OrderState:
    """The state that a folder holds.

    Raises
    ------
    InputError
        There is none, it is damaged, or a file of it is missing.
    """
    place = Path(folder)
    document = parse_json(read_text(place / STATE_FILE, HINT), str(place / STATE_FILE), HINT)
    state = settings_of(OrderState, document, str(place / STATE_FILE), HINT)
    missing = [name for name in state.files() if not (place / name).is_file()]
    if missing:
        raise InputError(f"the state {place} lacks its file {missing[0]}.", hint=HINT)
    return state


def tables(folder: Path, state: OrderState, connection: Any) -> None:
    """The state as views of a connection: lines, days (of purchases that stand), customers.

    Raises
    ------
    InputError
        A file is not whole.
    """
    require_extra("warehouse", "duckdb")
    import duckdb

    try:
        _views(folder, state, connection)
    except duckdb.Error as error:
        what = str(error).splitlines()[0].partition("Error: ")[2]
        raise InputError(f"the state {folder} is damaged: {what}", hint=HINT) from error


def _views(folder: Path, state: OrderState, connection: Any) -> None:
    for name in ("lines", "days"):
        files = [folder / getattr(night, name) for night in state.nights]
        listed = ", ".join(sql_text(str(file)) for file in files)
        connection.execute(f"CREATE TEMP VIEW {name}_of_nights AS FROM read_parquet([{listed}])")
    customers = sql_text(str(folder / state.customers))
    connection.execute(f"CREATE TEMP VIEW customers AS FROM read_parquet({customers})")
    connection.execute(
        "CREATE TEMP VIEW days AS SELECT days_of_nights.* FROM days_of_nights "
        "JOIN customers USING (customer_id) WHERE night >= made_in"
    )


@contextmanager
def changing(folder: Path, output: Path) -> Iterator[None]:
    """The folder that is written to, for one run at a time; files of the state come to it first."""
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file.", hint="name a folder.")
    there = [file.name for file in output.iterdir()] if output.is_dir() else []
    if any(name[0] != "." and name != STATE_FILE and not OURS.fullmatch(name) for name in there):
        raise InputError(f"{output} holds other files.", hint="name a new folder.")
    new = not output.exists()
    try:
        with written(output), locked(output):
            if is_state(folder) and os.path.realpath(folder) != os.path.realpath(output):
                for name in read_state(folder).files():
                    with replacing(output / name) as beside:
                        shutil.copyfile(folder / name, beside)
            yield
    except BaseException:
        if new:
            with suppress(OSError):  # something is in it
                output.rmdir()
        raise


def write_rows(connection: Any, query: str, file: Path) -> None:
    """Write what a query gives as Parquet, whole or not at all."""
    with written_beside(file) as beside:
        TABLE_FILES["parquet"].copy(connection, query, beside)


def write_state(state: OrderState, folder: Path) -> None:
    """Make a state the one of its folder, and tidy up what no state names any more."""
    with written_beside(folder / STATE_FILE) as beside:
        text = json.dumps(state.model_dump(mode="json"), indent=1, ensure_ascii=False)
        beside.write_text(text + "\n", encoding="utf-8")
    valid = {STATE_FILE, state.before, *state.files()}
    for file in folder.glob("*-*-*.parquet"):
        if file.name not in valid:
            file.unlink()
