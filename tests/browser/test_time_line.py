"""A part of a long time line: drawn with the mouse, chosen by keys, and without a script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from clv.store import publish
from clv.value.value import Terms

from .conftest import AS_OF, Visit, serving
from .test_accessible import violations

pytestmark = pytest.mark.slow
MONTHS = [f"{2022 + k // 12}-{1 + k % 12:02d}" for k in range(24)]


@pytest.fixture(scope="module")
def shop(
    _has_chromium: None, published_scorer: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A server of a store with two years of months."""
    folder: Path = tmp_path_factory.mktemp("months")
    scorer = published_scorer(Terms(0.3, currency="EUR"), AS_OF)
    scorer.save(folder / "model")
    scores = pd.DataFrame({"customer_id": ["a", "b"]}).assign(
        days_since_last=10.0, clv=1.0, expected_purchases=2.0, churn_probability=0.5,
        value_at_stake=1.0, model_version=scorer.version, as_of=AS_OF, horizon="3 years",
        currency="EUR",
    )  # fmt: skip
    rows = [
        {"month": month, "revenue": 100.0 + k, "orders": 30, "customers": 20, "first_orders": 12,
         "repeat_rate": 0.6, "soon": 0.4, "days_to_second": 33.0}
        for k, month in enumerate(MONTHS)
    ]  # fmt: skip
    publish(scores, folder / "store", documents={"order_months": rows})
    with serving(folder / "store", folder / "model") as address:
        yield address


def shown(page: Page) -> tuple[str, str]:
    """The first and the last month of the revenue's table."""
    rows = page.locator("section:has(#months) figure").first.locator("tbody th")
    return rows.first.inner_text(), rows.last.inner_text()


def opened(page: Page) -> None:
    figure = page.locator("section:has(#months) figure").first
    figure.get_by_text("The same numbers as a table").click()


def test_a_part_is_drawn_with_the_mouse(visit: Visit, shop: str) -> None:
    page = visit("/", origin=shop)
    plot = page.locator("section:has(#months) figure svg:not(.plot)").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    left, width = box["x"] + 0.13 * box["width"], 0.84 * box["width"]
    page.mouse.move(left + 0.25 * width, box["y"] + 90)
    page.mouse.down()
    page.mouse.move(left + 0.55 * width, box["y"] + 95, steps=4)
    page.mouse.up()
    first = page.get_by_label("From", exact=True)
    expect(first).to_have_value("2022-07")
    expect(page.get_by_label("to", exact=True)).to_have_value("2023-01")
    page.wait_for_url("**months_from=2022-07&months_to=2023-01**")  # the fields change before it
    opened(page)
    assert shown(page) == ("1 July 2022", "1 January 2023")
    assert violations(page) == ""
    page.get_by_role("link", name="All", exact=True).click()
    expect(first).to_have_value("2022-01")


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_part_is_chosen_by_the_keyboard(visit: Visit, shop: str, script: bool) -> None:
    page = visit("/", origin=shop, java_script_enabled=script)
    page.get_by_label("From", exact=True).select_option("2022-03")
    page.get_by_label("to", exact=True).select_option("2022-06")
    page.locator("form[data-span]").get_by_role("button", name="Show").press("Enter")
    page.wait_for_url("**months_from=2022-03&months_to=2022-06**")
    opened(page)
    assert shown(page) == ("1 March 2022", "1 June 2022")
