"""How a command is declared: groups of options, examples, and help that is quick and plain.

A command is a function that parses, calls and prints. Options that belong together are a frozen
dataclass: a parameter of such a type stands for one option per field, under the heading that the
dataclass names in ``HEADING``, so several commands share them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Annotated, Any, ClassVar, Protocol, get_args, get_type_hints

import typer
from typer.core import TyperCommand

from clv.errors import InputError
from clv.shares import parse_share

# what stands for a table in the help
TABLES = ("LOG", "FILE...", "ORDERS...", "SCORES", "[SCORES]", "SPEND", "LEADS", "REFERRALS")
SETTINGS = {"help_option_names": ["-h", "--help"]}


class OptionGroup(Protocol):
    """A frozen dataclass whose fields are options."""

    HEADING: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


class Command(TyperCommand):
    """A command whose help lists its options under the headings of their groups."""

    def invoke(self, ctx: Any) -> Any:
        """Run it, unless a file of settings stands where a table belongs."""
        configurable = "config" in ctx.params
        for parameter in self.params:
            if parameter.metavar in TABLES:
                value = ctx.params.get(parameter.name)
                for file in [value] if isinstance(value, str) else value or ():
                    _refuse_settings(file, as_config=configurable and not parameter.required)
        return super().invoke(ctx)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments first, then options, then each group."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                usual = "Arguments" if parameter.param_type_name == "argument" else "Options"
                heading = getattr(parameter, "rich_help_panel", None) or usual
                name = record[0] if usual == "Options" else parameter.metavar or record[0]
                sections.setdefault(heading, []).append((name, record[1]))
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The line of usage, with names of arguments as they are listed below it."""
        pieces: list[str] = super().collect_usage_pieces(ctx)
        return [piece.replace("{", "").replace("}", "") for piece in pieces]

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """What stands below the options, as it is written."""
        write_epilog(self.epilog, formatter)


def _refuse_settings(file: str, *, as_config: bool) -> None:
    """Raise if what is given as a table is a file as clv init writes it."""
    if file.lower().endswith(".toml"):
        here = f"give it as --config {file}."
        elsewhere = f"give the table itself; clv check and clv train take --config {file}."
        hint = here if as_config else elsewhere
        raise InputError(f"{file} holds settings, and no table.", hint=hint)


def write_epilog(epilog: str | None, formatter: Any) -> None:
    """Write what stands below the options without wrapping it."""
    if epilog:
        formatter.write_paragraph()
        formatter.write(f"{epilog}\n")


def examples(*commands: str, **blocks: str) -> str:
    """What stands below the options: examples, and whole files under a heading each."""
    parts = {"Examples": "\n".join(commands)}
    parts |= {heading.replace("_", " "): text for heading, text in blocks.items()}
    return "\n\n".join(
        f"{heading}:\n" + "\n".join(f"  {line}" for line in text.splitlines())
        for heading, text in parts.items()
    )


def command(*lines: str, **blocks: str) -> Callable[[Callable[..., None]], typer.Typer]:
    """Make a function a command of that name, with ``examples(*lines, **blocks)`` in its help."""

    def declare(function: Callable[..., None]) -> typer.Typer:
        app = command_group()
        app.command(cls=Command, epilog=examples(*lines, **blocks))(with_option_groups(function))
        return app

    return declare


def command_group(**settings: Any) -> typer.Typer:
    """Several commands under one name; plain help, since Rich takes longer to load than to use."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=SETTINGS,
        **settings,
    )


def with_option_groups(function: Callable[..., None]) -> Callable[..., None]:
    """The function with each option group among its parameters replaced by the group's fields."""
    hints = get_type_hints(function, include_extras=True)
    signature = inspect.signature(function)
    groups = {name: hints[name] for name in signature.parameters if is_dataclass(hints[name])}

    def call(**values: Any) -> None:
        for name, group in groups.items():
            own_fields = {field.name: values.pop(field.name) for field in fields(group)}
            values[name] = group(**own_fields)
        function(**values)

    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        if name in groups:
            parameters += _parameters_of(groups[name])
        else:
            parameters.append(_keyword(name, hints[name], parameter.default))
    call.__name__, call.__doc__ = function.__name__, function.__doc__
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {}
    return call


def _parameters_of(group: type[OptionGroup]) -> Iterator[inspect.Parameter]:
    """A parameter for each field of an option group, below the group's heading."""
    hints = get_type_hints(group, include_extras=True)
    for field in fields(group):
        kind, option = get_args(hints[field.name])
        option = copy(option)
        option.rich_help_panel = group.HEADING
        default = inspect.Parameter.empty if field.default is MISSING else field.default
        yield _keyword(field.name, Annotated[kind, option], default)


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    """Only by keyword, so that what has no default may stand after what has one."""
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=_with_parser(annotation))


def _with_parser(annotation: Any) -> Any:
    """The same, a number being read in our words: a share as a percentage too."""
    values, *options = get_args(annotation) or (None,)
    if values not in (float, float | None):
        return annotation
    option = copy(options[0])
    option.parser = _parse_share if option.metavar == "SHARE" else _parse_number
    return Annotated[values, option]


def _parse_number(value: str | float) -> float:
    try:
        return float(value)
    except ValueError as error:
        how = "write 1234.50, with a point and nothing between thousands."
        raise typer.BadParameter(f"{value!r} is not a number: {how}") from error


def _parse_share(value: str | float) -> float:
    try:
        return parse_share(str(value))
    except ValueError as error:
        raise typer.BadParameter(f"{value!r} is not a number: write 0.3 or 30%.") from error
