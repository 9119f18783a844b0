"""The style sheet of charts, as a page has it, and as a file that stands alone needs it."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

COLOUR = re.compile(r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)")
RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
TONES = range(1, 7)


@cache
def style_sheet() -> str:
    """The style sheet, for a page that says ``color-scheme: light dark``."""
    return _read("charts.css")


@cache
def figure_styles() -> str:
    """The style sheet for one figure among strangers, such as in a notebook: it leaks nowhere."""
    rules = style_sheet().replace(":root", ":scope")
    return f"@scope (.clv-figure) {{\n{rules}{_read('notebook.css')}}}\n"


@cache
def standalone_styles() -> str:
    """The rules with their colours written out, first for light, then for dark.

    Programs other than browsers know neither variables nor ``light-dark``.
    """
    sheet = re.sub(r"/\*.*?\*/", "", style_sheet(), flags=re.S)
    colours = {name: (light, dark) for name, light, dark in COLOUR.findall(sheet)}
    rules = [rule for match in RULE.findall(sheet) for rule in _by_tone(*match)]
    light, dark = (
        "\n".join(
            f"{selector} {{ {_resolved(style, colours, scheme)} }}"
            for selector, style in rules
            if scheme == 0 or "var(" in style
        )
        for scheme in (0, 1)
    )
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"


def _by_tone(selector: str, style: str) -> list[tuple[str, str]]:
    """A rule of SVG as it is, or once for each tone that it is coloured in."""
    selector, style = selector.strip(), style.strip()
    if selector.startswith((":root", ".tone", ".legend", "svg")):
        return []
    if "var(--tone)" not in style:
        return [(selector, style)]
    return [
        (
            ", ".join(f"{part.strip()}.tone-{tone}" for part in selector.split(",")),
            style.replace("var(--tone)", f"var(--tone-{tone})"),
        )
        for tone in TONES
    ]


def _resolved(style: str, colours: dict[str, tuple[str, str]], scheme: int) -> str:
    return re.sub(r"var\(--([a-z0-9-]+)\)", lambda name: colours[name[1]][scheme], style)


def _read(name: str) -> str:
    return (files("clv.report.charts") / name).read_text(encoding="utf-8")
