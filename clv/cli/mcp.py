"""``clv mcp``: the numbers for an assistant, by the Model Context Protocol."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from clv.cli.application import command
from clv.cli.options import CHAMPION, Model
from clv.cli.screen import Screen
from clv.cli.serve import scorer_for
from clv.errors import InputError


@command(
    "clv mcp --store store",
    "CLV_KEY=clv_... clv mcp --api https://clv.example.com",
    "claude mcp add clv -- clv mcp --store store",
)
def mcp(
    ctx: typer.Context,
    store: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="What clv publish writes to.")
    ] = None,
    model: Model = CHAMPION,
    api: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Or a server that runs, asked with the key in CLV_KEY."),
    ] = None,
) -> None:
    """Give an assistant the numbers as tools, on standard input and output.

    The tools read and change nothing: the value of a customer, whom to keep,
    where to spend, how far to trust it. An assistant starts this command by
    itself; over HTTP there is clv serve --mcp.
    """
    screen: Screen = ctx.obj
    if (store is None) == (api is None):
        raise typer.BadParameter("give --store or --api.")
    logging.basicConfig(format="%(asctime)s %(message)s", level="WARNING")  # on stderr
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from clv.web.assistants.mcp_server import api_at, api_here, run_stdio

    with suppress(KeyboardInterrupt):
        if api is not None:
            if not api.startswith(("http://", "https://")):
                raise InputError(
                    f"{api!r} is no address of a server.",
                    hint="give it as https://clv.example.com.",
                )
            asyncio.run(run_stdio(api_at(api, os.environ.get("CLV_KEY"))))
            return
        from clv.web.application import create_app

        app = create_app(scorer_for(screen, store, model), store=store)
        asyncio.run(run_stdio(api_here(app), app.router.lifespan_context(app)))
