"""Charts and reports as HTML: the templates of this room."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from clv.report.charts.style import figure_styles, style_sheet

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def environment() -> Environment:
    """The templates, made once."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("clv.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= {"style_sheet": style_sheet, "figure_styles": figure_styles}
    return templates


def render(template: str, **values: object) -> str:
    """A template of this room, filled in."""
    return environment().get_template(template).render(**values)
