"""What each row brought: the amount, or quantity times price, less discounts and refunds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clv.intake.recipe import Recipe
from clv.intake.role_cells import number_sql, stated_sql, text_sql
from clv.intake.row_reasons import among
from clv.intake.sources import Source

WHOLE_UNITS = ("JPY", "KRW", "VND", "CLP", "ISK", "XAF", "XOF", "PYG", "UGX", "RWF")  # no cents
AMOUNTS = (
    *("amount", "counterpart", "adjusted", "quantity", "price", "discount", "refund", "margin"),
)
SIDES = ("amount", "counterpart")
LESS = {"percent": "{0} * (1 - {1} / 100)", "share": "{0} * (1 - {1})", "money": "{0} - {1}"}


def with_amounts(rows: Any, source: Source, recipe: Recipe) -> Any:
    """The rows with _gross, _refund, _amount, what they say of an amount, and numbers beside it."""
    amounts = {role: number_sql(source, recipe, role) for role in AMOUNTS}
    gross, refund = _gross(recipe, amounts), f"coalesce(abs({amounts['refund']}), 0)"
    if recipe.minor_units:
        gross, refund = f"({gross}) / {_units_in_one()}", f"({refund}) / {_units_in_one()}"
    if recipe.minus and recipe.names("sign"):
        minus = [recipe.minus] if isinstance(recipe.minus, str) else recipe.minus
        gross = f"CASE WHEN {among('_sign', minus)} THEN -abs({gross}) ELSE {gross} END"
    sides = (*recipe.names("amount"), *recipe.names("counterpart"))
    stated = stated_sql(source, sides or recipe.names("quantity"))
    if recipe.refund_kinds:
        is_refund = among("_kind", recipe.refund_kinds)
        back = f"coalesce(nullif({gross}, 0), {refund})"
        gross = f"CASE WHEN {is_refund} THEN -abs({back}) ELSE {gross} END"
        said = f"CASE WHEN {is_refund} THEN {text_sql(source, recipe.names('refund'))} END"
        stated = f"coalesce(({stated})::VARCHAR, {said})"
    rows = rows.project(
        f"*, {gross} AS _gross, {refund} AS _refund, {stated} AS _said, "
        + ", ".join(f"{amounts[role]} AS _{role}" for role in ("margin", "quantity", "price"))
    )
    paid = "CASE WHEN _gross > 0 THEN _gross - _refund ELSE _gross END"
    if recipe.names("amount") and not (recipe.names("refund") or recipe.names("discount")):
        return rows.project(f"*, {paid} AS _amount")
    return rows.project(
        f"* REPLACE ({_decimal('_gross')} AS _gross), {_decimal(f'({paid})')} AS _amount"
    )


def _gross(recipe: Recipe, amounts: Mapping[str, str]) -> str:
    """SQL for what a row brought before refunds: its amount, or quantity times price."""
    bought = amounts["amount"]
    if recipe.names("counterpart"):
        bought = _of_two_sides(recipe, amounts)
    elif not recipe.names("amount"):
        bought = f"{amounts['quantity']} * {amounts['price']}"
    if recipe.names("discount") and recipe.discount in LESS:
        taken_off = f"coalesce(abs({amounts['discount']}), 0)"
        bought = LESS[recipe.discount].format(f"({bought})", taken_off)
    return f"coalesce({amounts['adjusted']}, {bought})" if recipe.names("adjusted") else bought


def _of_two_sides(recipe: Recipe, amounts: Mapping[str, str]) -> str:
    """SQL for an amount that stands in one of two columns, such as debit and credit."""
    minus = {recipe.minus} if isinstance(recipe.minus, str) else {*recipe.minus}
    parts = (
        f"{'-' if minus & {*recipe.names(role)} else '+'} coalesce({amounts[role]}, 0)"
        for role in SIDES
    )
    either = ", ".join(amounts[role] for role in SIDES)
    return f"CASE WHEN coalesce({either}) IS NOT NULL THEN {' '.join(parts)} END"


def _decimal(amount: str) -> str:
    """SQL for a worked-out amount as the decimal it stands for: 105.82 - 3.1 is 102.72.

    The same orders written otherwise then give the same model, to the last bit.

    >>> import duckdb
    >>> [duckdb.execute(f"SELECT {_decimal('$1')}", [x]).fetchall()[0][0]
    ...  for x in (105.82 - 3.1, 3 * 0.1, 1e-5, -0.3 + 0.1)]
    [102.72, 0.3, 1e-05, -0.2]
    """
    near = f"round({amount}, 4)"
    noise = f"1e-9 * greatest(1, abs({amount}))"
    return f"CASE WHEN abs({amount} - {near}) < {noise} THEN {near} ELSE {amount} END"


def _units_in_one() -> str:
    """SQL for how many of the file's units are one of its currency: cents, but whole yen."""
    whole = ", ".join(f"'{code}'" for code in WHOLE_UNITS)
    return f"(CASE WHEN upper(_currency) IN ({whole}) THEN 1 ELSE 100 END)"
