"""What the script adds: answers while somebody draws or types, and nothing is lost by it."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Locator, Page, expect

from .conftest import CUSTOMERS, Ask, Visit, Watch, number, unfold

pytestmark = pytest.mark.slow
Move = Callable[[Page, Locator], None]


def by_keyboard(page: Page, slider: Locator) -> None:
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")


def by_mouse(page: Page, slider: Locator) -> None:
    """Take the thumb from where it is to the middle."""
    slider.scroll_into_view_if_needed()
    box, at = slider.bounding_box(), slider.evaluate("e => (e.value - e.min) / (e.max - e.min)")
    assert box is not None
    height, thumb = box["y"] + box["height"] / 2, 8
    page.mouse.move(box["x"] + thumb + at * (box["width"] - 2 * thumb), height)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, height, steps=10)
    page.mouse.up()


def asks_for(slider: Locator) -> re.Pattern[str]:
    """An address with what the slider says now."""
    says = urlencode({str(slider.get_attribute("name")): slider.input_value()})
    return re.compile(rf"[?&]{re.escape(says)}(&|$)")


def shown(page: Page) -> list[str]:
    """The headlines."""
    return page.get_by_role("main").get_by_role("definition").all_inner_texts()


@pytest.mark.parametrize(
    ("room", "name", "move"),
    [
        ("/retention", "Budget", by_keyboard),
        ("/retention", "Contact cost", by_mouse),
        (f"/budget?budget={3 * CUSTOMERS}", "Budget", by_mouse),
        ("/budget", "influencers", by_keyboard),
    ],
)
def test_a_slider_is_answered_at_once_and_as_its_address_is(
    visit: Visit, room: str, name: str, move: Move
) -> None:
    page = visit(room)
    before, value = shown(page), number(page, name).input_value()
    slider = page.get_by_role("slider", name=re.compile(f"^{name}"))
    move(page, slider)
    first = page.get_by_role("main").get_by_role("definition").first
    expect(first).not_to_have_text(before[0], use_inner_text=True)
    expect(number(page, name)).not_to_have_value(value)
    expect(slider).to_be_focused()
    said = page.get_by_role("status")
    expect(page).to_have_url(asks_for(slider))  # the answer to the last move is there
    # what is said of it follows after a pause, so that not every step is read out
    expect(said).to_have_text(page.get_by_role("main").locator("[data-said]").first.inner_text())
    assert shown(visit(page.url)) == shown(page)


def test_a_channel_whose_slider_moves_is_locked(visit: Visit) -> None:
    page = visit("/budget")
    lock = page.get_by_role("checkbox", name="Lock affiliates")
    assert not lock.is_checked()
    by_keyboard(page, page.get_by_role("slider", name=re.compile("^affiliates")))
    expect(lock).to_be_checked()


def test_what_is_typed_is_looked_for_without_a_button(visit: Visit, ask: Ask) -> None:
    page = visit("/customers")
    unfold(page)
    field = page.get_by_role("searchbox", name="Customer")
    field.press_sequentially("4711", delay=30)
    ((found,),) = ask("SELECT count(*) FROM customers WHERE starts_with(key, '4711')")
    expect(page.get_by_role("main")).to_contain_text(f"{found:,} of {CUSTOMERS:,} customers found.")
    expect(field).to_be_focused()
    expect(field).to_have_value("4711")


def test_back_leads_back(visit: Visit) -> None:
    page = visit("/customers")
    pages = page.get_by_role("navigation", name="Pages")
    for number_of in (2, 3):
        page.get_by_role("link", name="Next").click()
        expect(pages).to_contain_text(f"Page {number_of} of")
    page.go_back()
    expect(pages).to_contain_text("Page 2 of")
    assert page.url.endswith("page=2")
    page.go_back()
    expect(pages).to_contain_text("Page 1 of")


def test_the_policy_keeps_out_what_is_not_ours_and_the_watch_sees_it(
    visit: Visit, watches: list[Watch]
) -> None:
    page = visit("/")
    with page.expect_console_message(lambda one: one.text.startswith("policy img-src")):
        page.evaluate("document.body.append(Object.assign(new Image(), {src: '//elsewhere.test'}))")
    with page.expect_console_message(lambda one: one.text.startswith("policy script-src")):
        page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), {text: '1'}))"
        )
    assert len(watches[0].amiss) >= 2
    watches.clear()
