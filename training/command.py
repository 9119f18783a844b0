"""How a recipe runs as a command: steps that say how long they took, errors without a traceback."""

from __future__ import annotations

import argparse
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from clv.cli.screen import Screen
from clv.errors import ClvError

Recipe = Callable[[argparse.Namespace, Screen], object]


@contextmanager
def step(screen: Screen, what: str) -> Iterator[None]:
    """A long step: what it does while it runs, and how long it took."""
    start = time.perf_counter()
    watched = screen.err.is_terminal
    if not watched:
        screen.say(f"{what} ...")
    with screen.progress(what):
        yield
    taken = f"{time.perf_counter() - start:.1f} s"
    screen.say(f"{what}: {taken}" if watched else f"  {taken}")


def run(
    recipe: Recipe, parser: argparse.ArgumentParser, words: Sequence[str] | None = None
) -> NoReturn:
    """Run a recipe on the words of a command line; ends the process with an exit code."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quiet", action="store_true", help="print only errors")
    parser.add_argument("--debug", action="store_true", help="show tracebacks and MLflow's log")
    asked = parser.parse_args(words)
    if asked.debug:
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "INFO")
    try:
        recipe(asked, Screen(asked.quiet))
    except Exception as error:
        if asked.debug:
            traceback.print_exc()
        raise SystemExit(_say(error)) from None
    raise SystemExit(0)


def _say(error: Exception) -> int:
    """Say on stderr what went wrong, and which exit code that is."""
    screen = Screen()
    if isinstance(error, ClvError):
        screen.error(error.message, error.hint)
        return error.exit_code
    said = (str(error).splitlines() or ["no message"])[0]
    hint = "this is a fault of the recipe or of clv; --debug shows the traceback."
    screen.error(f"{type(error).__name__}: {said}", hint)
    return 1
