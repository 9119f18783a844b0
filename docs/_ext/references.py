"""The pages that are written from the code: public names, commands, the glossary."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import clv
from clv.cli.main import COMMANDS, app
from clv.glossary import glossary

# The rooms of the public names, in the order in which somebody meets them.
HEADINGS = {
    "data": "Orders, and what they say of each customer",
    "probability": "Purchase and spend models",
    "value": "Value of customers",
    "churn": "Who will not buy, and why",
    "forecast": "Forecasts of the next weeks",
    "scorer": "One object that is trained, saved and served",
    "evaluate": "How good forecasts are",
    "monitoring": "What came against what was expected",
    "decide": "Whom to keep, where to spend, what a customer costs",
    "uplift": "Whom a contact pays for",
    "experiments": "Tests by chance",
    "offers": "What to offer next",
    "contracts": "Customers under contract",
    "funnel": "From lead to customer",
    "prospects": "Worth at the first order",
    "referrals": "Customers who bring customers",
}
REST = "Terms, durations and errors"


def public_names() -> dict[str, list[str]]:
    """The public names by heading, as ``__init__.pyi`` lists them."""
    rooms: dict[str, list[str]] = {title: [] for title in (*HEADINGS.values(), REST)}
    stub = Path(clv.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    for line in ast.walk(ast.parse(stub)):
        if isinstance(line, ast.ImportFrom) and line.module:
            room = HEADINGS.get(line.module.split(".")[0], REST)
            rooms[room] += [alias.name for alias in line.names]
    return {title: names for title, names in rooms.items() if names}


def heading(text: str, sign: str) -> list[str]:
    """A heading as reStructuredText underlines it."""
    return ["", text, sign * len(text), ""]


class Written(SphinxDirective):
    """A part of a page whose text is made by the class."""

    def run(self) -> list[nodes.Node]:
        """The text, read as if it stood in the page."""
        lines = StringList([*self.lines()], source=type(self).__name__)
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)

    def lines(self) -> Iterator[str]:
        """The lines of the text, as reStructuredText."""
        raise NotImplementedError


class PublicNames(Written):
    """Every public name with its docstring."""

    def lines(self) -> Iterator[str]:
        """A section a room, in it a name after another."""
        for title, names in public_names().items():
            yield from heading(title, "-")
            for name in names:
                kind = "class" if isinstance(getattr(clv, name), type) else "function"
                yield from (f".. auto{kind}:: clv.{name}", "   :members:" * (kind == "class"), "")


class CommandHelp(Written):
    """Every command with its help, as the terminal shows it."""

    def lines(self) -> Iterator[str]:
        """A section a group of commands, in it a command after another."""
        tree: Any = typer.main.get_command(app)
        for group, names in COMMANDS.items():
            yield from heading(group, "-")
            for name in names:
                yield from heading(f"clv {name}", "~")
                command = tree.get_command(None, name)
                for words, each in [((), command), *_within(command)]:
                    yield from ("", ".. code-block:: text", "")
                    text = _help(each, " ".join(("clv", name, *words)))
                    yield from (f"   {line}".rstrip() for line in text.splitlines())


def _within(command: Any) -> Iterator[tuple[tuple[str], Any]]:
    yield from (((name,), each) for name, each in getattr(command, "commands", {}).items())


def _help(command: Any, name: str) -> str:
    with command.make_context(name, [], resilient_parsing=True, max_content_width=88) as context:
        return str(command.get_help(context))


class Glossary(Written):
    """The terms of the page, in the order of the alphabet."""

    def lines(self) -> Iterator[str]:
        """A list of terms."""
        yield from (".. glossary::", "")
        for term in glossary():
            yield from (f"   {term.name}", f"      {term.says}", "")


def skip(app: Sphinx, what: str, name: str, thing: object, skipped: bool, options: Any) -> bool:
    """What scikit-learn adds to every estimator to route metadata is described there."""
    routing = name == "get_metadata_routing" or name.endswith("_request")
    return skipped or routing


def setup(sphinx: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    sphinx.connect("autodoc-skip-member", skip)
    sphinx.add_directive("public-names", PublicNames)
    sphinx.add_directive("command-help", CommandHelp)
    sphinx.add_directive("clv-glossary", Glossary)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
