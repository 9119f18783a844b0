"""The five questions of a Monday, each answered within two clicks of the first page."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from .conftest import CUSTOMERS, Visit, figures

pytestmark = pytest.mark.slow
SCRIPT = pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])


def go_to(page: Page, name: str) -> None:
    """One click on a room."""
    page.get_by_role("navigation", name="Rooms").get_by_role("link", name=name).click()


@SCRIPT
def test_five_questions_take_two_clicks_at_most(visit: Visit, script: bool) -> None:
    page = visit("/", java_script_enabled=script)
    # what changed since the last run, and how it went
    changed = page.get_by_role("heading", name=re.compile("^What changed since"))
    expect(changed).to_be_visible()
    expect(page.get_by_role("heading", name="Run by run", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Month by month")).to_be_visible()
    # who are the best
    page.get_by_role("row").get_by_role("link", name="Top 1%").click()
    expect(page.get_by_role("main")).to_contain_text(f"{CUSTOMERS // 100:,} of {CUSTOMERS:,}")
    # whom to contact
    go_to(page, "Retention")
    expect(page.get_by_role("heading", name="Slipping")).to_be_visible()
    listed = page.get_by_role("table").filter(has_text="Still winnable").first
    expect(listed.get_by_role("row")).to_have_count(21)
    # where the next 10,000 go, and how sure that is
    go_to(page, "Budget")
    changes = page.get_by_role("table").filter(has_text="Of the next 10,000")
    headings = changes.get_by_role("columnheader").all_inner_texts()
    place = [" ".join(text.split()) for text in headings].index("Of the next 10,000")
    rows = changes.get_by_role("row").all()[1:]
    money = [figures(row.get_by_role("cell").all_inner_texts()[place - 1])[0] for row in rows]
    assert sum(money[:-1]) == pytest.approx(money[-1], abs=len(money)) == pytest.approx(10_000)
    sure = page.get_by_role("table").filter(has_text="90% sure: between")
    expect(sure.get_by_role("row").nth(1)).to_contain_text("Channels and retention")
    alone = r"Channels alone.*€[\d,]+ to €[\d,]+.*\d+%.*estimated"
    expect(sure).to_contain_text(re.compile(alone, re.DOTALL))
