"""``clv promote``: the challenger becomes the model in use, if it is better."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clv.cli.application import command
from clv.cli.screen import Screen, table
from clv.errors import InputError
from clv.format import figure, fine_number

if TYPE_CHECKING:
    from clv.app.training.promotion import PromotionCase


@command("clv promote --model my-shop")
def promote(
    ctx: typer.Context,
    model: Annotated[str, typer.Option(metavar="NAME", help="In the registry.")] = "clv",
) -> None:
    """Make the last trained model the one in use, if it is better.

    It must be better than the model in use on the same holdout, by the
    measure of its configuration; on a tie that one stays, unless the new
    one knows later orders. A refusal ends with exit code 7.
    """
    promote_and_show(model, ctx.obj)


def promote_and_show(name: str, screen: Screen) -> None:
    """Promote, and show what decided."""
    from clv.app.registry import CHAMPION
    from clv.app.training.promotion import promote, promotion_case

    with screen.progress("comparing on the holdout"):
        case = promotion_case(name)
    new, measure = case.challenger, case.measure
    if case.is_champion:
        screen.say(f"{new.uri} is the champion already.")
        return
    _show(screen, case)
    reason = promote(case)
    if not case.beats_naive:
        rival, theirs = case.naive(measure)
        screen.warn(
            f'the naive forecast "{rival}" is as good or better on {measure}: '
            f"{figure(theirs)} against {figure(case.figure)}."
        )
    screen.say(f"{new.uri} is the champion now: {reason}")
    uri = f"models:/{name}@{CHAMPION}"
    screen.next(
        f"clv publish --model {uri}"
        if _names_orders()
        else f"clv score LOG --model {uri} --output scores.parquet"
    )


def _names_orders() -> bool:
    """Whether there is a clv.toml whose orders clv publish can score by itself."""
    from clv.app.data_file import DATA_FILE, read_data

    try:
        paths = read_data(DATA_FILE).paths(DATA_FILE)
    except InputError:  # there is none, or it says no [data]
        return False
    return all("://" in path or "*" in path or Path(path).exists() for path in paths)


def _show(screen: Screen, case: PromotionCase) -> None:
    """All measures side by side; the one that decides is marked."""
    from clv.app.registry import CHALLENGER, CHAMPION
    from clv.app.training.promotion import WORDS

    new, old = case.challenger, case.champion
    rows = [
        {**row, "measure": f"{row['measure']} *"} if row["measure"] == case.measure else row
        for row in case.measures()
    ]
    headings = {
        "measure": "measure",
        "new": f"{CHALLENGER} v{new.version}",
        "old": f"{CHAMPION} v{old.version}" if old else CHAMPION,
        "naive": "best naive",
        "by": "",
    }
    formats = dict.fromkeys(("new", "old", "naive"), fine_number)
    screen.title(f"Holdout {new.tags['holdout']}")
    screen.show(table(rows, headings, formats, left=["measure", "by"]))
    screen.say(f"* decides: {WORDS[case.measure.partition('/')[2]]}.\n")
