"""Tables of contracts as the command line has them: recognised, read, and written down."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from clv.app.data_file import as_listed, as_toml, relative_to, seen_from, write_toml
from clv.contracts.billing_tables import TITLES, ContractRecipe, recognise_contracts
from clv.contracts.contract_tables import ContractTable, read_contract_table
from clv.errors import InputError
from clv.intake.recipe import Words
from clv.intake.sources import read_source
from clv.io.settings_errors import settings_of
from clv.io.text_files import parse_toml, read_text


class ContractSection(ContractRecipe):
    """``[contracts]``: the files, and how they are read."""

    files: Annotated[Words, BeforeValidator(as_listed)] = Field(min_length=1)
    covariates: Annotated[Words, BeforeValidator(as_listed)] = ()

    def stated(self) -> dict[str, Any]:
        """What the file says of reading them."""
        return self.model_dump(exclude={"files", "kind"}, exclude_unset=True)


def read_contract_section(file: str | os.PathLike[str]) -> ContractSection | None:
    """The ``[contracts]`` of a TOML file, its files relative to it; None if it has none.

    Raises
    ------
    InputError
        A field of it cannot be used.
    """
    path = Path(file)
    try:
        document = parse_toml(read_text(path), str(path), "")
    except InputError:
        return None  # whoever reads [data] says so
    if "contracts" not in document:
        return None
    section = settings_of(
        ContractSection,
        document["contracts"],
        str(path),
        "clv init writes such a file.",
        "contracts",
    )
    files = tuple(seen_from(path.parent, name) for name in section.files)
    return section.model_copy(update={"files": files})


def is_contracts(path: str) -> bool:
    """Whether a file is a table of contracts, or says how one is read."""
    if path.endswith(".toml"):
        return read_contract_section(path) is not None
    return recognise_contracts(read_source([path]).names) is not None


def contracts_of(files: Sequence[str], stated: dict[str, Any], currency: str = "") -> ContractTable:
    """A table of contracts from files, or from a TOML file that ``clv init`` wrote.

    It is in ``currency`` where neither the table nor the file says in which.
    """
    if len(files) == 1 and files[0].endswith(".toml"):
        section = read_contract_section(files[0])
        if section is None:
            raise InputError(f"{files[0]} has no [contracts].", hint="clv init TABLE writes one.")
        stated = section.stated() | {n: value for n, value in stated.items() if value is not None}
        files = section.files
    if currency and not stated.get("currency"):
        stated = stated | {"currency": currency}
    return read_contract_table(list(files), **stated)


def write_contract_file(
    table: ContractTable, target: str | os.PathLike[str], *, over_edits: bool = True
) -> Path:
    """Write down how a table is read, as ``write_toml`` writes."""
    return write_toml(_lines(table, Path(target)), target, over_edits=over_edits)


def _lines(table: ContractTable, target: Path) -> Iterator[str]:
    recipe, folder = table.recipe, Path(os.path.realpath(target)).parent
    yield f"# Written by clv init: {TITLES[recipe.kind]}."
    yield from (f"# {note}" for note in table.notes)
    yield ""
    yield "[contracts]"
    yield f"files = {as_toml([relative_to(file, folder) for file in table.source.inputs])}"
    unsaid = {"columns"} if recipe.covariates else {"columns", "covariates"}
    shown = recipe.model_dump(exclude=unsaid, exclude_none=True)
    yield from (f"{name} = {as_toml(value)}" for name, value in shown.items())
    if table.as_of is not None and recipe.as_of is None:
        yield f"as_of = {table.as_of}            # the last day in the table"
    yield ""
    yield "[contracts.columns]      # ours = yours"
    yield from (f"{ours} = {as_toml(theirs)}" for ours, theirs in recipe.columns.items())
    used = set(recipe.columns.values())
    yield from (f"# not used: {name!r}" for name in table.source.names if name not in used)
