"""A SIMULATED brand as files: what an analyst would have, and the truth apart from it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv import __version__
from clv.errors import InputError
from clv.io.changes import written_beside
from clv.io.files import write_table
from clv.simulate.simulated_lines import MORE_LINES

if TYPE_CHECKING:
    from clv.simulate import Brand, SimulatedLeads, SimulatedLines, SimulatedSubscriptions

HORIZON, ANNUAL_DISCOUNT_RATE = "3 years", 0.10

CONTENTS = {
    "orders.csv": "orders, with margin and channel",
    "spend.csv": "spend and new customers per channel and week",
    "campaign.csv": "a randomised retention campaign",
    "truth.json": "what is behind it, to judge results by",
}
OF_SUBSCRIBERS = {
    "subscriptions.csv": "subscriptions, as a billing system exports them",
    "truth.json": CONTENTS["truth.json"],
}

OF_ORDER_LINES = {
    "lines.csv": "order lines, a row per item of an order, a few of them returns",
    "true_customers.csv": "how often each customer orders, and the share of each group of items",
    "true_items.csv": "the group of each item, and its share of the lines there",
    "truth.json": "how chances follow from both, to judge offers by",
}

OF_LEADS = {
    "leads.csv": "leads, a row each, as a CRM exports them",
    "changes.csv": "the same as a row for each change of stage",
    "truth.json": CONTENTS["truth.json"],
}


def write_brand(brand: Brand, folder: str | os.PathLike[str], *, seed: int) -> dict[Path, str]:
    """Write the files of ``CONTENTS``; what each of them holds is returned by its path.

    Raises
    ------
    InputError
        The folder holds something else already, or cannot be written to.
    """
    place = _folder(folder, CONTENTS)
    tables = (brand.orders, brand.spend, brand.campaign)
    for name, table in zip(CONTENTS, tables, strict=False):
        day = "period" if "period" in table else "date"
        write_table(table.assign(**{day: table[day].dt.date}), place / name)
    return _with_truth(place, truth(brand, seed), CONTENTS)


def write_subscriptions(
    firm: SimulatedSubscriptions, folder: str | os.PathLike[str]
) -> dict[Path, str]:
    """Write the files of ``OF_SUBSCRIBERS``, as ``write_brand`` does.

    Raises
    ------
    InputError
        The folder holds something else already, or cannot be written to.
    """
    place = _folder(folder, OF_SUBSCRIBERS)
    days = {day: firm.subscriptions[day].dt.date for day in ("start", "end")}
    write_table(firm.subscriptions.assign(**days), place / "subscriptions.csv")
    return _with_truth(place, firm.truth, OF_SUBSCRIBERS)


def write_leads(leads: SimulatedLeads, folder: str | os.PathLike[str]) -> dict[Path, str]:
    """Write the files of ``OF_LEADS``, as ``write_brand`` does.

    Raises
    ------
    InputError
        The folder holds something else already, or cannot be written to.
    """
    place = _folder(folder, OF_LEADS)
    for rows, name in ((leads.leads, "leads.csv"), (leads.changes, "changes.csv")):
        moments = rows.select_dtypes("datetime").columns
        write_table(rows.assign(**{day: rows[day].dt.date for day in moments}), place / name)
    return _with_truth(place, leads.truth, OF_LEADS)


def write_order_lines(
    simulated: SimulatedLines, folder: str | os.PathLike[str], *, seed: int
) -> dict[Path, str]:
    """Write the files of ``OF_ORDER_LINES``, as ``write_brand`` does.

    Raises
    ------
    InputError
        The folder holds something else already, or cannot be written to.
    """
    place, lines = _folder(folder, OF_ORDER_LINES), simulated.lines
    tables = (lines.assign(date=lines["date"].dt.date), simulated.customers, simulated.items)
    for name, table in zip(OF_ORDER_LINES, tables, strict=False):
        write_table(table, place / name)
    behind = {
        "simulated": "no real person or shop is in this data",
        "made_by": f"clv {__version__}, seed {seed}",
        "as_of": str(lines["date"].max().date()) if len(lines) else None,
        "more_lines": MORE_LINES,
        "chance_within_days": "1 - exp(-orders_a_day * days * held), where an order holds the item "
        "with chance held = 1 - (1 - q) * exp(-more_lines * q), q = share of the customer's lines "
        "in the item's group * share of the item in it",
    }
    return _with_truth(place, behind, OF_ORDER_LINES)


def write_orders(
    folder: str | os.PathLike[str],
    customers: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Path, int]:
    """Write Parquet files of SIMULATED orders, a file for each part; where, and how many rows.

    Raises
    ------
    InputError
        The folder holds something else already, or cannot be written to.
    """
    from clv.simulate.simulated_orders import PART, simulated_orders

    names = [f"orders-{number:05}.parquet" for number in range(-(-customers // PART))]
    place, rows = _folder(folder, dict.fromkeys(names, "orders")), 0
    parts = zip(names, simulated_orders(customers, seed), strict=True)
    for number, (name, part) in enumerate(parts, start=1):
        write_table(part, place / name)
        rows += part.num_rows
        if progress:
            progress(min(number * PART, customers), customers)
    return place, rows


def _folder(folder: str | os.PathLike[str], contents: Mapping[str, str]) -> Path:
    """A folder that is new, or holds nothing but what is written again."""
    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise InputError(f"{place} is a file.", hint="name a folder.")
    others = {file.name for file in place.iterdir()} - set(contents) if place.is_dir() else set()
    if others:
        raise InputError(
            f"{place} holds other files, such as {min(others)}.", hint="name a new folder."
        )
    return place


def _with_truth(
    place: Path, behind: Mapping[str, Any], contents: Mapping[str, str]
) -> dict[Path, str]:
    with written_beside(place / "truth.json") as beside:
        beside.write_text(json.dumps(behind, indent=2) + "\n", encoding="utf-8")
    return {place / name: what for name, what in contents.items()}


def truth(brand: Brand, seed: int) -> dict[str, Any]:
    """What no analyst sees, as JSON values: true parameters, values and effects."""
    terms = {"horizon": HORIZON, "annual_discount_rate": ANNUAL_DISCOUNT_RATE}
    values = brand.new_customer_value(HORIZON, ANNUAL_DISCOUNT_RATE)
    effects, log = brand.truth.campaign, brand.campaign
    return {
        "simulated": "no real person or shop is in this data",
        "made_by": f"clv {__version__}, seed {seed}",
        "as_of": str(brand.as_of.date()),
        "margin_rate": brand.margin,
        "channels": brand.truth.channels.to_dict(orient="index"),
        "new_customer_clv": terms | {"by_channel": values.to_dict()},
        "future": terms
        | {
            "customers": len(brand.truth.customers),
            "discounted_margin": float(brand.future_value(HORIZON, ANNUAL_DISCOUNT_RATE).sum()),
        },
        "campaign": {
            "offer": asdict(brand.offer),
            "customers": len(log),
            "treated": int(log["treated"].sum()),
            "mean_lift_of_margin": float(effects["lift_margin"].mean()),
            "mean_cost_of_treating": float(effects["expected_cost"].mean()),
        },
    }
