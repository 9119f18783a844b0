"""Elements of SVG: what is written into them is escaped, and places are in percent."""

from __future__ import annotations

from markupsafe import Markup, escape


def tag(name: str, *children: Markup, cls: str = "", **attributes: object) -> Markup:
    """An element; ``aria_label`` is written aria-label.

    >>> print(tag("g", tag("circle", r=5), cls="dot"))
    <g class="dot"><circle r="5"></circle></g>
    """
    every = ({"class": cls} if cls else {}) | attributes
    written = Markup("").join(
        Markup(' {}="{}"').format(key.replace("_", "-"), value) for key, value in every.items()
    )
    element = Markup(name)
    return Markup("<{}{}>{}</{}>").format(element, written, Markup("").join(children), element)


def text(
    words: str, x: str | float, y: str | float, cls: str, anchor: str = "start", dy: str = "0"
) -> Markup:
    """A line of text."""
    return tag("text", escape(words), cls=cls, x=x, y=y, dy=dy, text_anchor=anchor)


def hint(words: str) -> Markup:
    """What the pointer is shown over an element."""
    return tag("title", escape(words))


def pc(value: float) -> str:
    """A percentage as an attribute has it.

    >>> pc(33.33333), pc(50)
    ('33.333%', '50%')
    """
    return f"{value:.3f}".rstrip("0").rstrip(".") + "%"
