"""Every page for everybody: WCAG A and AA by axe, the keyboard alone, and a phone's width."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from .conftest import PHONE, ROOMS, Locked, Visit, log_in

pytestmark = pytest.mark.slow
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RULES = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
# Most of axe's time goes into contrast, and a phone shows the colours of the light look.
RULES_OF_COLOUR = RULES | {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
RULES_OF_LAYOUT = RULES | {"rules": {"color-contrast": {"enabled": False}}}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": PHONE | {"color_scheme": "light"},
}
EVERY_LOOK = pytest.mark.parametrize("look", LOOKS.values(), ids=list(LOOKS))
TWO_LOOKS = pytest.mark.parametrize("look", [LOOKS["dark"], LOOKS["phone"]], ids=["dark", "phone"])
MANY = "/customers?tiers=top+1%25&channels=search&churn_from=20&sort=churn_probability&page=2"
WRONG = {
    "/customers?churn_from=much": 422,
    "/customers?prefix=nobody": 200,
    "/customers/nobody": 404,
    "/retention?budget=much": 200,
    "/budget?budget=1": 200,
    "/nowhere": 404,
}
STOPS = """() => {
  const all = "a[href], button, input:not([type=hidden]), select, summary, [tabindex='0']";
  window.stops = [...document.querySelectorAll(all)].filter(
    (one) => !one.disabled && one.checkVisibility({ visibilityProperty: true }));
  return window.stops.length;
}"""
STOP = """() => {
  const one = document.activeElement;
  const style = getComputedStyle(one), box = one.getBoundingClientRect();
  const middle = (from, to, end) => (Math.max(from, 0) + Math.min(to, end)) / 2;
  const top = document.elementFromPoint(
    middle(box.left, box.right, innerWidth), middle(box.top, box.bottom, innerHeight));
  return {
    place: window.stops.indexOf(one),
    what: one.outerHTML.slice(0, 120),
    ringed: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    seen: top !== null && (one.contains(top) || top.contains(one)),
  };
}"""


def violations(page: Page, rules: dict[str, Any] = RULES) -> str:
    """What axe finds, one paragraph each; the page's own policy stays in force."""
    phone = page.viewport_size == PHONE["viewport"]
    found = Axe().run(page, options=RULES_OF_LAYOUT if phone else rules)
    assert found.response["passes"]
    return found.generate_report() if found.violations_count else ""


def too_wide(page: Page) -> int:
    """Pixels by which the page can be scrolled sideways."""
    return page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )


@pytest.mark.parametrize("path", [*ROOMS, MANY])
def test_a_room_breaks_no_rule(visit: Visit, path: str) -> None:
    page = visit(path, **LOOKS["light"])
    assert violations(page) == ""
    assert too_wide(page) == 0
    page.emulate_media(color_scheme="dark")  # which changes nothing but colours
    assert violations(page, RULES_OF_COLOUR) == ""


@pytest.mark.parametrize("path", [*ROOMS, MANY])
def test_a_room_fits_a_phone(visit: Visit, path: str) -> None:
    page = visit(path, **LOOKS["phone"])
    assert violations(page) == ""
    assert too_wide(page) == 0


@TWO_LOOKS
def test_pages_that_say_what_is_wrong_break_no_rule(visit: Visit, look: dict[str, Any]) -> None:
    for path, status in WRONG.items():
        page = visit(path, status=status, **look)
        assert violations(page) == "", path
        assert too_wide(page) == 0, path


@TWO_LOOKS
def test_the_login_and_rooms_with_nothing_to_show_break_no_rule(
    visit: Visit, locked: Locked, look: dict[str, Any]
) -> None:
    page = visit("/login", locked.address, 200, **look)
    assert violations(page) == ""
    log_in(page, locked.keys["planner"])
    for path in ("/", "/customers", "/customers/c-7", *ROOMS[3:]):
        page.goto(path)
        assert violations(page) == "", path
        assert too_wide(page) == 0, path


@pytest.mark.parametrize(
    ("path", "look"), [*((room, {}) for room in ROOMS), ("/customers", PHONE), ("/budget", PHONE)]
)
def test_tab_reaches_everything_in_order_and_shows_where_it_is(
    visit: Visit, path: str, look: dict[str, Any]
) -> None:
    page = visit(path, **look)
    stops = page.evaluate(STOPS)
    reached = []
    for _ in range(stops):
        page.keyboard.press("Tab")
        stop = page.evaluate(STOP)
        assert stop["ringed"], stop
        assert stop["seen"], stop
        reached.append(stop["place"])
    assert reached == list(range(stops))


def test_the_first_tab_skips_to_the_content(visit: Visit) -> None:
    page = visit("/customers")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


@EVERY_LOOK
def test_tables_behind_charts_break_no_rule(visit: Visit, look: dict[str, Any]) -> None:
    page = visit("/budget", **look)
    for summary in page.get_by_text("The same numbers as a table").all():
        summary.focus()
        page.keyboard.press("Enter")
    expect(page.get_by_role("figure").first.get_by_role("table")).to_be_visible()
    assert violations(page) == ""
    assert too_wide(page) == 0
