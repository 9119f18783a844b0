"""What the command line shows of contracts."""

from __future__ import annotations

from clv.cli.screen import Screen, table
from clv.contracts.billing_tables import TITLES
from clv.contracts.contract_tables import ContractTable


def show_table(screen: Screen, contracts: ContractTable) -> None:
    """What a table of contracts holds, what was left out of it, and what was assumed."""
    screen.title(f"{TITLES[contracts.recipe.kind]}: {contracts.rows_in:,} rows".capitalize())
    screen.pairs(
        {
            **{
                f"paid by the {interval}": f"{int(cells['customers'].sum()):,} contracts"
                for interval, cells in contracts.cells.items()
            },
            "currencies": ", ".join(code or "not stated" for code in contracts.currencies)
            or "none",
            "last day": str(contracts.as_of or "not stated"),
        }
    )
    if contracts.left_out:
        screen.title("Left out")
        rows = [
            {
                "rows": f"{part.rows:,}",
                "amount": f"{part.amount:,.2f}",
                "why": f"{part.reason}, as in row {part.examples[0]}",
            }
            for part in contracts.left_out
        ]
        columns = {"rows": "rows", "amount": "amount", "why": "why"}
        screen.show(table(rows, columns, left=("why",)))
    screen.points(contracts.notes)
