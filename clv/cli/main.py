"""The command line: which commands there are, and how an error ends one.

A command is a file of its name. It is imported when it is run, and imports what it needs then.
Results go to stdout; warnings, errors and progress to stderr.
"""

from __future__ import annotations

import io
import re
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from clv import __version__
from clv.cli.application import command_group, examples, write_epilog
from clv.cli.json_log import JsonLog
from clv.cli.screen import Screen
from clv.errors import ClvError, InputError
from clv.io.changes import disk_errors

COMMANDS = {
    "Data": ("init", "check", "fold", "score", "sql", "simulate"),
    "Model": ("train", "contracts", "backtest", "promote", "monitor", "report"),
    "Decisions": (
        "targets",
        "offers",
        "first-orders",
        "funnel",
        "referrals",
        "channels",
        "allocate",
        "plan-test",
        "measure-test",
    ),
    "Serving": ("publish", "rollback", "digest", "serve", "mcp", "keys", "export"),
}
EXIT_CODES = """\
0  done                          5  no plan satisfies the request
1  a fault of clv                6  there is no such model
2  wrong usage                   7  the challenger is not better
3  a file or a value is wrong    8  the model no longer fits
4  a model cannot be fitted      9  an optional part is not installed
                                10  not fit to train on, and required to be"""
ANYWHERE = ("--quiet", "--debug")  # may stand before or after the command


class Commands(TyperGroup):
    """The commands by name, each imported when it is asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        names = [name for names in COMMANDS.values() for name in names]
        self.commands = dict.fromkeys(names)  # type: ignore[assignment]  # for "Did you mean"

    def get_command(self, ctx: Any, name: str) -> Any:
        """The command of a name, or None."""
        if name not in self.commands:
            return None
        module = name.replace("-", "_")
        return typer.main.get_command(getattr(import_module(f"clv.cli.{module}"), module))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands, each with its first sentence, in groups."""
        for heading, names in COMMANDS.items():
            with formatter.section(heading):
                formatter.write_dl([(n, self._short_help(ctx, n)) for n in names])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Examples and exit codes, as they are written."""
        write_epilog(self.epilog, formatter)

    def _short_help(self, ctx: Any, name: str) -> str:
        return str(self.get_command(ctx, name).help).split("\n\n")[0].replace("\n", " ")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"clv {__version__}")
        raise typer.Exit


app = command_group(
    cls=Commands,
    help="What is each customer worth, whom to keep, and where to spend.",
    no_args_is_help=True,
    epilog=examples(
        "clv simulate --output brand          a brand to try everything on",
        "clv check brand/orders.csv           what an order log holds",
        "clv COMMAND --help                   more examples",
        Exit_codes=EXIT_CODES,
    ),
)


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print only warnings, errors and JSON.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    log_format: Annotated[
        str, typer.Option("--log-format", metavar="text|json", help="json: events on stderr.")
    ] = "text",
) -> None:
    """Options of every command; ``run`` reads all but the first wherever they stand."""


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; ends the process with an exit code."""
    run(app, "clv", args)


def run(command: typer.Typer, name: str, args: Sequence[str] | None = None) -> NoReturn:
    """Run a command, such as that of a recipe; ends the process with an exit code.

    ``--quiet``, ``--debug`` and ``--log-format`` may stand anywhere.
    """
    words = list(sys.argv[1:] if args is None else args)
    quiet, debug = (option in words for option in ANYWHERE)
    rest, log_format = _without_format([word for word in words if word not in ANYWHERE])
    screen = Screen(quiet)
    if log_format not in ("text", "json"):
        screen.error(f"--log-format {log_format!r} is neither text nor json.", None)
        raise SystemExit(2)
    if log_format == "json":
        screen = JsonLog(command=next((word for word in rest if not word.startswith("-")), ""))
        screen.event("start", version=__version__)
    code = _exit_code(command, rest, name, screen, debug=debug)
    if isinstance(screen, JsonLog):
        screen.end(code)
    raise SystemExit(code)


def _without_format(words: list[str]) -> tuple[list[str], str]:
    """The words without ``--log-format NAME``, and which format that is."""
    for place, word in enumerate(words):
        option, equals, name = word.partition("=")
        if option == "--log-format":
            after = place + (1 if equals else 2)
            return words[:place] + words[after:], name or "".join(words[place + 1 : after])
    return words, "text"


def _exit_code(
    command: typer.Typer, words: list[str], name: str, screen: Screen, *, debug: bool
) -> int:
    """Run a command; how it ended, with the error said."""
    if odd := [word for word in words if not _is_text(word)]:
        screen.error(f"{odd[0]!a} is no text.", "give a name in UTF-8; rename the file.")
        return 2
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name of a file may be no text
            stream.reconfigure(errors="backslashreplace")
    events = isinstance(screen, JsonLog)  # typer would write a wrong usage as text
    try:
        ended = command(words, prog_name=name, obj=screen, standalone_mode=not events)
        return ended if isinstance(ended, int) else 0
    except SystemExit as ended_by:
        return ended_by.code if isinstance(ended_by.code, int) else 0
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _report(error, screen)


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:  # bytes that the terminal's encoding does not have
        return False
    return "\x00" not in word


def _report(error: Exception, screen: Screen) -> int:
    """Say on stderr what went wrong, and which exit code that is."""
    if isinstance(error, ClvError):
        screen.error(error.message, error.hint and _in_shell(error.hint))
        return error.exit_code
    if callable(usage := getattr(error, "format_message", None)):  # typer's, of words it refuses
        screen.error(usage(), "see --help.")
        return 2
    message = str(error).splitlines()[0] if str(error) else "no message"
    if isinstance(error, (MemoryError, *disk_errors())):
        about = getattr(error, "filename", None) or "a file or the memory"
        words = f"{about} cannot be used: {getattr(error, 'strerror', None) or message}."
        screen.error(words, "check that it is there, may be read and written, and has space left.")
        return InputError.exit_code
    screen.error(
        f"{type(error).__name__}: {message}",
        "this is a fault of clv; --debug shows the traceback.",
    )
    return 1


def _in_shell(hint: str) -> str:
    """A hint that speaks of Python's arguments, in options.

    >>> _in_shell("say which: columns={'date': 'ts'}, or date_format=...")
    "say which: --column date='ts', or --date-format ..."
    """
    hint = re.sub(r"columns=\{'(\w+)': ([^}]*)\}", r"--column \1=\2", hint)
    hint = hint.replace("consent_confirmed_by=", "--consent-confirmed-by ")
    return re.sub(r"\b(date|time)_(format|zone)=", r"--\1-\2 ", hint)


if __name__ == "__main__":
    main()
