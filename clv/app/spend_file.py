"""A file of spend as the ``[spend]`` of a TOML reads it, its channels called as the orders do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clv.app.data_file import DATA_FILE, read_spend_recipe
from clv.errors import InputError
from clv.findings import Finding, finding, within
from clv.intake.channel_names import folded, nearest, one_sided, require_counterparts, spellings
from clv.intake.spend_table import WHERE, SpendRecipe, SpendTable, read_spend_table

if TYPE_CHECKING:
    import pyarrow as pa

SIDES = ("customers", "spend")  # that a channel may be without


@dataclass(frozen=True)
class SpendFile:
    """What a file of spend holds.

    Attributes
    ----------
    table
        As it was read.
    recipe
        The ``[spend]`` that it was read by.
    same_channels
        Names of the table with what the orders call them, where these differ.
    """

    table: SpendTable
    recipe: SpendRecipe
    same_channels: tuple[tuple[str, str], ...] = ()

    @property
    def rows(self) -> pa.Table:
        """channel, period, spend [, fixed_cost] [, new_customers]."""
        return self.table.rows

    @property
    def notes(self) -> tuple[Finding, ...]:
        """Rows that are no part of it, and channels that the orders call otherwise."""
        return within(self._notes(), self.table.currency)

    def _notes(self) -> Iterator[Finding]:
        for part in self.table.left_out:
            yield finding(
                "acquisition.spend_left_out",
                rows=part.rows,
                reason=part.reason,
                spend=part.amount,
            )
        for name, theirs in self.same_channels:
            yield finding("acquisition.same_channel", name=name, channel=theirs)

    def beside(self, channels: Iterable[str | None]) -> SpendFile:
        """The file with its channels called as the orders call them.

        Raises
        ------
        InputError
            A channel stands on one side alone, and ``[spend]`` does not say that it does.
        """
        theirs = {str(name) for name in channels if name is not None}
        stated = {folded(name): other for name, other in self.recipe.names.items()}
        written = self.rows["channel"].to_pylist()
        renamed = [stated.get(folded(name), name) for name in written]
        spelled = spellings(renamed, theirs)
        named = [spelled[name] for name in renamed]
        spent = self.rows["spend"].to_pylist()
        paid = {name for name, money in zip(named, spent, strict=True) if money}
        silent, unpaid = one_sided(paid, named, theirs, theirs)
        alone = [set(map(folded, getattr(self.recipe, f"without_{x}"))) for x in SIDES]
        silent = [name for name in silent if folded(name) not in alone[0]]
        costless = [name for name in unpaid if folded(name) in alone[1]]
        unpaid = [name for name in unpaid if folded(name) not in alone[1]]
        require_counterparts(silent, unpaid, hint=_hint(silent, unpaid))
        rows = _with_costless(self.rows.set_column(0, "channel", [named]), costless)
        same = {old: new for old, new in zip(written, named, strict=True) if old != new}
        return replace(
            self, table=replace(self.table, rows=rows), same_channels=tuple(same.items())
        )


def read_spend_file(
    file: str | os.PathLike[str],
    currency: str | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    what: str = "the scores are",
) -> SpendFile:
    """A file of spend.

    Parameters
    ----------
    file
        Of any dialect; see :func:`clv.intake.spend_table.read_spend_table`.
    currency
        That its money is to be in, if it says any.
    config
        The TOML whose ``[spend]`` says how it is read; clv.toml if there is one.
    what
        Is in that currency, for messages.

    Raises
    ------
    InputError
        It cannot be read or used, or is in another currency.
    """
    recipe = read_spend_recipe(config or DATA_FILE, required=config is not None)
    table = read_spend_table(file, recipe)
    if currency and table.currency and table.currency.upper() != currency.upper():
        raise InputError(
            f"the spend table is in {table.currency}, {what} in {currency}.",
            hint="convert the money of one of them; amounts of two currencies cannot be compared.",
        )
    return SpendFile(table, recipe)


def _hint(silent: Sequence[str], unpaid: Sequence[str]) -> str:
    """The lines of ``[spend]`` that say it."""
    pairs = ", ".join(f'"{name}" = "{other}"' for name, other in nearest(silent, unpaid).items())
    lines = [f"names = {{ {pairs} }} if they are the same"] if pairs else []
    for key, names in {"without_customers": silent, "without_spend": unpaid}.items():
        listed_names = ", ".join(f'"{name}"' for name in names)
        lines += [f"{key} = [{listed_names}]"] if names else []
    return f"write {' or '.join(lines)} {WHERE}"


def _with_costless(rows: pa.Table, channels: Iterable[str]) -> pa.Table:
    """The rows with one of no spend for each of the channels."""
    import pyarrow as pa

    first = rows["period"][0].as_py()
    row = dict.fromkeys(rows.column_names, 0.0) | {"period": first}
    added = [row | {"channel": name} for name in channels]
    return pa.concat_tables([rows, pa.Table.from_pylist(added, rows.schema)]) if added else rows
