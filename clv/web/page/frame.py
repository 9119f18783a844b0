"""The frame of every page: who looks, from which store, in which theme, and how errors look."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool

from clv import format as formats
from clv.errors import ClvError, InputError
from clv.exports.audit import Event
from clv.spans import span
from clv.store import Store, Stores
from clv.web import problems
from clv.web.access.forms import own_path
from clv.web.access.roles import RULES, Role, least_role
from clv.web.access.who import LOCAL, Access, Visitor
from clv.web.page import static
from clv.web.page.tables import Address

log = logging.getLogger("clv.web")
THEMES = ("auto", "light", "dark")
Theme = Literal["auto", "light", "dark"]
THEME_COOKIE = "clv_theme"
Content = Mapping[str, Any]


@dataclass(frozen=True)
class Room:
    """A part of the page: an entry of the navigation, and its routes.

    Attributes
    ----------
    name
        Its name, which says where one is.
    path
        Where it begins.
    label
        Its entry in the navigation.
    router
        Its routes.
    needs
        Documents of the store, or notes on why there is none, by their codes: without any of
        them the navigation leaves it out.
    """

    name: str
    path: str
    label: str
    router: APIRouter
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frame:
    """What all pages of one application share; it hangs at ``app.state.frame``.

    Attributes
    ----------
    stores
        What is shown.
    rooms
        In the order of the navigation.
    """

    stores: Stores
    rooms: tuple[Room, ...]


@dataclass(frozen=True)
class Page:
    """What the frame's template needs to know of one page.

    Attributes
    ----------
    title, active
        Of the page, and the name of its room.
    address, theme
        Where it is, and how it is to look.
    visitor
        Who looks; None if that is not known.
    rooms
        Those that the visitor may enter.
    stated
        What is said below: as-of date, model version and terms; empty where no store is shown.
    closed
        Rooms that the visitor's role does not show, by their entries.
    part
        Whether the page's script asks, which takes over the results alone.
    """

    title: str
    active: str
    address: Address
    theme: Theme
    visitor: Visitor | None
    rooms: tuple[Room, ...]
    stated: Mapping[str, str]
    closed: tuple[str, ...] = ()
    part: bool = False

    @property
    def csrf(self) -> str:
        """What forms carry against requests that other sites forge."""
        return self.visitor.csrf if self.visitor else ""

    def has(self, name: str) -> bool:
        """Whether there is a room of this name that the visitor may enter, to link to."""
        return any(section.name == name for section in self.rooms)


@cache
def environment() -> Environment:
    """The templates, with words for numbers; made once."""
    templates = Environment(
        loader=ChoiceLoader([PackageLoader("clv.web"), PackageLoader("clv.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    written = (
        formats.money,
        formats.large_money,
        formats.count,
        formats.percent,
        formats.change,
        formats.day,
    )
    templates.globals |= {function.__name__: function for function in written}
    templates.globals |= {"static": static.address, "counted": formats.counted, "themes": THEMES}
    return templates


async def room(
    request: Request,
    template: str,
    content: Callable[[Store, Page], Content],
    *,
    title: str,
    active: str,
    empty: Callable[[Page], Content] | None = None,
) -> Response:
    """A page of a room, made in a thread from the store that is current.

    Parameters
    ----------
    template
        Below ``templates/page``, such as "overview.html"; it extends ``page/frame.html``.
    content
        From the store and the page (its address, its visitor) to what the template shows.
        ``InputError`` becomes a page that says what is wrong with the address, ``LookupError`` one
        that says what is not there.
    title, active
        Of the page, and the name of its room.
    empty
        What the template shows before anything was published; a room without it leads to where
        orders are uploaded.
    """
    frame: Frame = request.app.state.frame
    if frame.stores.empty and empty is None:
        return _before_the_first(request)

    def build() -> str:
        if frame.stores.empty and empty is not None:
            page = _page(request, title, active, {})
            return _render(template, page, empty(page))
        with frame.stores.borrow() as store:
            page = _page(request, title, active, _stated(store), _there(store))
            return _render(template, page, content(store, page))

    try:
        return HTMLResponse(await run_in_threadpool(build))
    except InputError as error:
        return error_page(request, 422, error.message, error.hint or "")
    except LookupError as error:
        return error_page(request, 404, str(error.args[0]) if error.args else "")
    except ClvError as error:
        return error_page(request, 422, error.message, error.hint or "")
    except Exception as error:
        problems.failed(error)  # to the log: its place, not its data
        return error_page(request, 500)


def _before_the_first(request: Request) -> Response:
    """To the room where orders are uploaded, or that nothing is there yet."""
    page = _page(request, "", "", {})
    if page.has("jobs"):
        return RedirectResponse("/jobs", 303)
    hint = "Somebody with the role admin uploads orders under New data."
    return error_page(request, 404, "Nothing was published yet.", hint)


ERRORS = {
    401: ("Please log in", "This page is shown to people with a key.", ""),
    403: ("Not with this key", "Your key does not allow this.", "Ask for a key with more rights."),
    404: ("Nothing here", "There is no such page.", "The overview is a good place to start."),
    405: ("That does not work here", "This address does not take such a request.", ""),
    422: ("That cannot be shown", "The address asks for something that does not exist.", ""),
    429: ("Too many requests", "Please wait a moment.", "Then load the page again."),
    500: ("Our fault", "The server failed to make this page.", "Its log says where. Try again."),
}


def error_page(
    request: Request,
    status: int,
    detail: str = "",
    hint: str = "",
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """A page that says what went wrong and what to do; ``status`` as in HTTP."""
    title, why, first = ERRORS.get(status, ("This did not work", "The request failed.", ""))
    page = _page(request, title, "", {})
    content = {"status": status, "why": detail or why, "hint": hint or first}
    return HTMLResponse(_render("error.html", page, content), status, headers)


def login_page(
    request: Request, token: str, *, wrong: str = "", to: str = "/", status: int = 200
) -> HTMLResponse:
    """The form that exchanges a key for a session; it posts ``key``, ``csrf`` and ``next``.

    Parameters
    ----------
    token
        What the form carries as ``csrf``.
    wrong
        Why the last attempt failed, in words.
    to
        Where to go then; anything but a path of this server is replaced by "/".
    """
    page = _page(request, "Log in", "", {})
    content = {"token": token, "wrong": wrong, "to": own_path(to)}
    return HTMLResponse(_render("login.html", page, content), status)


def theme_of(request: Request) -> Theme:
    """Light, dark, or as the system has it."""
    chosen = request.cookies.get(THEME_COOKIE, "auto")
    return next((theme for theme in ("light", "dark") if theme == chosen), "auto")


def is_page(request: Request) -> bool:
    """Whether people are to read the answer: all but the API and files."""
    return not request.url.path.startswith(("/v1", "/static/"))


def visitor_of(request: Request) -> Visitor | None:
    """Who looks: as the gate found out; everybody where there is no gate."""
    if "clv.access" not in request.scope:
        return LOCAL
    who: Visitor | None = request.scope.get("clv.visitor")
    return who


def visitor_name(request: Request) -> str:
    """The name of who looks."""
    return (visitor_of(request) or LOCAL).name


async def write_audit(request: Request, event: Event, **more: Any) -> None:
    """Add a line to the audit, where there is one: who did what by which route."""
    access: Access | None = request.scope.get("clv.access")
    if access is not None:
        route, who = request.scope["route"].path_format, visitor_name(request)
        await run_in_threadpool(access.audit.write, event, who, route=route, **more)


def _there(store: Store) -> set[str]:
    """The documents of a store, and the codes of its notes."""
    return {*store.documents, *(note.code for note in store.notes)}


def _contents(request: Request) -> set[str]:
    """Those of the current store, where there is one: a page of an error has the same rooms."""
    if "app" not in request.scope:
        return set()
    frame: Frame = request.app.state.frame
    if frame.stores.empty:
        return set()
    with frame.stores.borrow() as store:
        return _there(store)


def _open_to(
    visitor: Visitor | None, request: Request, contents: set[str]
) -> tuple[tuple[Room, bool], ...]:
    """The rooms that have something to show, and whether somebody may enter."""
    if visitor is None or "app" not in request.scope:
        return ()
    frame: Frame = request.app.state.frame
    access: Access | None = request.scope.get("clv.access")
    rules = access.rules if access else RULES
    least = {section.name: least_role("GET", section.path, rules) for section in frame.rooms}
    return tuple(
        (section, visitor.role >= (least[section.name] or Role.VIEWER))
        for section in frame.rooms
        if not section.needs or not contents.isdisjoint(section.needs)
    )


def _page(
    request: Request,
    title: str,
    active: str,
    stated: Mapping[str, str],
    contents: set[str] | None = None,
) -> Page:
    """``contents`` are those of the store that is shown; else of the current one."""
    visitor = visitor_of(request)
    sections = _open_to(visitor, request, _contents(request) if contents is None else contents)
    rooms = tuple(section for section, enters in sections if enters)
    closed = tuple(section.label for section, enters in sections if not enters)
    address = Address(request.url.path, tuple(request.query_params.multi_items()))
    part = request.headers.get("x-part") == "results"
    theme = theme_of(request)
    return Page(title, active, address, theme, visitor, rooms, stated, closed, part)


def _render(template: str, page: Page, content: Content) -> str:
    return environment().get_template(f"page/{template}").render(page=page, **content)


def _stated(store: Store) -> dict[str, str]:
    """What every page says below."""
    terms = store.terms
    lines = {
        "As of": formats.day(str(terms["as_of"])),
        "Model": str(terms["model_version"]),
        "Horizon": span(terms["horizon"]),
        "Money": _money_in_words(terms),
    }
    rate = terms.get("annual_discount_rate")
    return lines | ({} if rate is None else {"Discounted": f"{formats.typed_percent(rate)} a year"})


def _money_in_words(terms: Mapping[str, Any]) -> str:
    """What is counted.

    >>> _money_in_words({"currency": "GBP", "money": "margin", "margin_rate": 0.3})
    'GBP of margin, 30% of revenue'
    """
    text = " of ".join(str(terms[k]) for k in ("currency", "money") if terms.get(k))
    rate = terms.get("margin_rate")
    if rate is None or rate == 1:
        return text or "no currency given"
    return f"{text}, {formats.typed_percent(rate)} of revenue"
