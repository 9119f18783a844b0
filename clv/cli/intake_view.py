"""What ``clv init`` and ``clv check`` show of an order export."""

from __future__ import annotations

from typing import Any

from clv.cli.screen import Screen, table
from clv.cli.terminal import show_cleaning
from clv.format import count, number
from clv.intake.check import Intake, OrderCheck
from clv.intake.column_roles import BY_NAME
from clv.intake.draft import Question
from clv.intake.recipe import Columns

SHOWN_COLUMNS = 12


def show_check(screen: Screen, intake: Intake) -> None:
    """Verdict first, then what must be decided, how it is read, what was left out or not used."""
    check = intake.check
    screen.title(check.verdict)
    for question in check.questions:
        screen.warn(f"{question.field}: {question.text}")
        if any(choice.amount is not None for choice in question.choices):
            screen.show(_choices(question))
        elif question.choices:
            screen.points([choice.value for choice in question.choices[:SHOWN_COLUMNS]])
    _show_reading(screen, intake)
    if check.left_out:
        screen.title("Left out before cleaning")
        screen.show(_left_out(check))
    if check.unused_columns:
        screen.title("Columns not used")
        named = [
            c.name if c.holds == "other" else f"{c.name}: {c.holds}"
            for c in check.unused_columns[:SHOWN_COLUMNS]
        ]
        more = len(check.unused_columns) - SHOWN_COLUMNS
        screen.points(named + ([f"and {count(more)} more"] if more > 0 else []))
    if check.cleaning is not None:
        show_cleaning(screen, check.cleaning)


def _show_reading(screen: Screen, intake: Intake) -> None:
    """Which column is what and why, and what the user should know of it."""
    recipe, reasons = intake.recipe, intake.proposal.reasons
    columns = [
        f"{role}: {' + '.join(names)}" + (f" ({why})" if (why := _odd(reasons.get(role))) else "")
        for role in Columns.model_fields
        if (names := recipe.names(role))
    ]
    if columns:
        screen.title("Columns as they are read")
        screen.points(columns)
    if intake.proposal.notes:
        screen.title("Worth knowing")
        screen.points(intake.proposal.notes)


def _odd(reason: str | None) -> str:
    """A reason worth a word."""
    return (reason or "").removeprefix(BY_NAME).removeprefix("; ")


def show_regular(screen: Screen, intake: Intake) -> None:
    """A warning where an order log is one of contracts."""
    if intake.purchases is None:
        return
    from clv.contracts.regular_charges import regular_charges

    charges = regular_charges(intake.purchases)
    if charges.contractual:
        screen.warn(f"{charges}.")


def _choices(question: Question) -> Any:
    rows = [
        {
            "answer": choice.value,
            "purchases": "" if choice.purchases is None else count(choice.purchases),
            "sum": "" if choice.amount is None else number(choice.amount),
        }
        for choice in question.choices
    ]
    return table(
        rows, {"answer": "answer", "purchases": "purchases", "sum": "sum"}, left=("answer",)
    )


def _left_out(check: OrderCheck) -> Any:
    rows = [
        {
            "rows": count(part.rows),
            "amount": number(part.amount),
            "why": part.reason + (f", as in row {part.examples[0]}" if part.examples else ""),
        }
        for part in check.left_out
    ]
    return table(rows, {"rows": "rows", "amount": "amount", "why": "why"}, left=("why",))
