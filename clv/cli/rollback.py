"""``clv rollback``: back to the run that was published before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clv.cli.application import command
from clv.cli.screen import Screen


@command("clv rollback store")
def rollback(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the store is.")],
) -> None:
    """Go back to the run that was published before; run it again to undo that."""
    screen: Screen = ctx.obj
    from clv import store

    now = store.rollback(folder)
    screen.say(
        f"Now served: model {now.model_version}, published {now.published:%Y-%m-%d %H:%M:%S} UTC"
    )
