"""Files are stored by browsers until they change, and nothing else is given out."""

from __future__ import annotations

import re

import pytest

from clv.web.page.static import TYPES, address, held

from .conftest import Browser


@pytest.mark.parametrize("name", TYPES)
def test_a_file_is_kept_for_good_under_its_own_address_only(browse: Browser, name: str) -> None:
    mine, other = browse(address(name)), browse(f"/static/{name}?v=older")
    assert mine.content == other.content == held()[name].content
    assert "immutable" in mine.headers["cache-control"]
    assert other.headers["cache-control"] == "public, no-cache"
    assert mine.headers["content-type"].startswith(TYPES[name].partition(";")[0])


def test_a_browser_with_the_same_file_is_told_so_without_it(browse: Browser) -> None:
    etag = browse("/static/page.css").headers["etag"]
    again = browse("/static/page.css", headers={"if-none-match": f'"x", {etag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert browse("/static/page.css", headers={"if-none-match": '"x"'}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/static/", "/static/..%2fpage.py", "/static/%2e%2e/page/static.py", "/static/no.css"]
)
def test_there_are_no_other_files(browse: Browser, path: str) -> None:
    assert browse(path).status_code == 404


@pytest.mark.parametrize("path", ["/customers", "/retention"])
def test_a_form_stands_before_what_it_changes_so_that_it_can_stay(
    browse: Browser, path: str
) -> None:
    text = browse(path).text
    form, _, after = text.partition('<form class="filters"')[2].partition("</form>")
    assert 'id="results"' not in form
    assert text.count('id="results"') == after.count('id="results"') == 1
    numbers = re.findall(r'type="range"[^>]*data-number="([^"]*)"', form)
    assert all(f'id="{one}"' in form for one in numbers)
    assert len(numbers) == form.count('type="range"')
    fields = re.findall(r"<(?:input|select)([^>]*)>", form)
    assert all("id=" in one or "name=" in one for one in fields)


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def colours() -> dict[str, tuple[str, str]]:
    css = held()["page.css"].content.decode()
    pairs = re.findall(r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", css)
    return {name: (light, dark) for name, light, dark in pairs}


TEXT = ["ink", "muted", "accent", "good", "warn", "bad"]
SHAPES = [*(f"tone-{k}" for k in range(1, 7)), "edge"]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["page", "card", "wash"])
def test_text_and_shapes_stand_out_from_their_ground(scheme: int, ground: str) -> None:
    known = colours()
    behind = known[ground][scheme]
    faint = [name for name in TEXT if contrast(known[name][scheme], behind) < 4.5]
    faint += [name for name in SHAPES if contrast(known[name][scheme], behind) < 3]
    assert faint == []
    assert contrast(known["on-accent"][scheme], known["accent"][scheme]) >= 4.5


def test_the_known_contrast_of_black_on_white() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
