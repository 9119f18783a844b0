"""``clv keys``: who may use the server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clv.cli.application import Command, command_group, examples

keys = command_group(no_args_is_help=True, help="Say who may use the server.")
KeyFile = Annotated[
    Path, typer.Option("--keys", metavar="FILE", envvar="CLV_KEYS", help="The key file.")
]
KEYS = Path("clv-keys.json")


@keys.command("add", cls=Command, epilog=examples("clv keys add anna --role planner"))
def keys_add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is.")],
    role: Annotated[str, typer.Option(metavar="ROLE", help="viewer, planner or admin.")] = "viewer",
    keys: KeyFile = KEYS,
) -> None:
    """Make a key and print it, once: the file keeps only its digest."""
    from clv.web.access.keys import add_key
    from clv.web.access.roles import Role

    typer.echo(add_key(keys, name, Role.parse(role)))
    if not ctx.obj.quiet:
        typer.echo(f"For {name}, {role}, in {keys}. Sent as Authorization: Bearer KEY.", err=True)


@keys.command("list", cls=Command, epilog=examples("clv keys list --keys clv-keys.json"))
def keys_list(ctx: typer.Context, keys: KeyFile = KEYS) -> None:
    """Say who has a key."""
    from clv.web.access.keys import read_keys

    holders = {key.name: f"{key.role.name.lower()}, since {key.created}" for key in read_keys(keys)}
    ctx.obj.pairs(holders)


@keys.command("revoke", cls=Command, epilog=examples("clv keys revoke anna"))
def keys_revoke(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key ends.")],
    keys: KeyFile = KEYS,
) -> None:
    """Take a key back; a running server refuses it within a second."""
    from clv.web.access.keys import revoke_key

    revoke_key(keys, name)
    ctx.obj.say(f"{name} has no key any more.")
