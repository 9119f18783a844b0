"""What ``clv promote`` does, as a recipe to copy and change: the rule is yours.

python -m training.promote --model clv
"""

from __future__ import annotations

from typing import Annotated

import typer

from clv.app.registry import Registered
from clv.app.training.promotion import promote as let_alias_follow
from clv.app.training.promotion import promotion_case
from clv.cli.application import command
from clv.cli.main import run
from clv.cli.screen import Screen

NAME = "python -m training.promote"


def promote(name: str, screen: Screen) -> Registered:
    """Let the alias champion follow the challenger, or raise; returns the champion."""
    case = promotion_case(name)
    if not case.is_champion:
        screen.say(f"{case.challenger.uri} is the champion now: {let_alias_follow(case)}")
    return case.challenger


@command(f"{NAME} --model clv")
def main(
    ctx: typer.Context,
    model: Annotated[str, typer.Option(metavar="NAME", help="In the registry.")] = "clv",
) -> None:
    """Promote the challenger if the holdout says so."""
    promote(model, ctx.obj)


if __name__ == "__main__":
    run(main, NAME)
