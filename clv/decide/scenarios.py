"""Plans side by side: one row per named scenario."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import narwhals as nw

from clv.decide.allocation import Allocation
from clv.decide.words import ATTRIBUTED
from clv.errors import InputError

FIELDS = (
    "budget",
    "unspent",
    "profit",
    "value",
    "expected_customers",
    "portfolio_cac",
    "portfolio_ltv_to_cac",
    "retention_share",
    "multiplier",
    "target",
    "horizon",
)
TEXT = ("target", "horizon")


def compare(
    plans: Mapping[str, Allocation],
    backend: Literal["pandas", "polars", "pyarrow"] = "pandas",
) -> Any:
    """Named plans side by side, in the order given.

    Returns
    -------
    One row per plan: scenario, spent, profit_above_first (against the first plan), the totals of
    ``Allocation``, one column per channel and for retention, called "spend: NAME", and
    new_customers_are ("attributed, not incremental" where any plan takes them so).

    Raises
    ------
    InputError
        There is no plan, or values are stated at different horizons.

    Examples
    --------
    >>> from clv.decide.allocate import Channel, allocate
    >>> from clv.decide.modes import TargetLtvToCac
    >>> from clv.decide.response import Power
    >>> channels = [Channel("search", Power(12, 0.6), 60), Channel("social", Power(30, 0.45), 80)]
    >>> plans = {
    ...     "30k": allocate(channels, 30_000),
    ...     "best": allocate(channels),
    ...     "3 : 1": allocate(channels, target=TargetLtvToCac(3)),
    ... }
    >>> compare(plans)[["scenario", "spent", "profit"]].round()
      scenario      spent     profit
    0      30k    30000.0   397255.0
    1     best  4206486.0  2986312.0
    2    3 : 1  1096138.0  2192277.0
    """
    if not plans:
        raise InputError("there are no plans to compare.", hint="give at least one by name.")
    horizons = {plan.horizon for plan in plans.values()} - {None}
    if len(horizons) > 1:
        raise InputError(f"the plans count values over {' and '.join(sorted(map(str, horizons)))}.")
    first = next(iter(plans.values()))
    rows = [_row(name, plan, first.profit) for name, plan in plans.items()]
    names = list(dict.fromkeys(key for row in rows for key in row))
    columns = {name: [row.get(name) for row in rows] for name in names}
    text = ("scenario", "new_customers_are", *TEXT)
    schema = {name: nw.String if name in text else nw.Float64 for name in names}
    return nw.from_dict(columns, schema=schema, backend=backend).to_native()


def _row(name: str, plan: Allocation, profit: float) -> dict[str, Any]:
    attributed = any(ATTRIBUTED in note for note in plan.notes)
    return {
        "scenario": name,
        "spent": sum(plan.spend.values()) + plan.retention_spend,
        "profit_above_first": plan.profit - profit,
        **{field: getattr(plan, field) for field in FIELDS},
        **{f"spend: {channel}": spend for channel, spend in plan.spend.items()},
        "spend: retention": plan.retention_spend,
        "new_customers_are": ATTRIBUTED if attributed else "incremental",
    }
