"""People walk every room of a store of many customers, with the script and without it."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from .conftest import CUSTOMERS, ROOMS, Ask, Locked, Visit, figures, log_in, number, unfold

pytestmark = pytest.mark.slow
SCRIPT = pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
LESS = CUSTOMERS // 4  # of a budget
RISKY = "channel = 'influencers' AND churn_probability >= 0.5"


def names(page: Page) -> list[str]:
    """The customers of the table, from the top."""
    return page.get_by_role("rowheader").get_by_role("link").all_inner_texts()


def saved(page: Page, button: str) -> Path:
    """The file that a button gives."""
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    return download.value.path()


@SCRIPT
def test_every_room_is_reached_from_every_other(visit: Visit, script: bool) -> None:
    page = visit("/", java_script_enabled=script)
    rooms = page.get_by_role("navigation", name="Rooms").get_by_role("link")
    labels = rooms.all_inner_texts()
    assert labels == [
        "Overview",
        "Customers",
        "Retention",
        "Offers",
        "Subscriptions",
        "Channels",
        "Budget",
        "Trust",
    ]
    for label in labels:
        page.get_by_role("navigation", name="Rooms").get_by_role("link", name=label).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(label)
        expect(page).to_have_title(re.compile(label))


@SCRIPT
def test_a_tier_of_the_overview_leads_to_its_customers(visit: Visit, script: bool) -> None:
    page = visit("/", java_script_enabled=script)
    expect(page.get_by_role("main")).to_contain_text(f"{CUSTOMERS:,} customers")
    page.get_by_role("row").get_by_role("link", name="Top 1%").click()
    expect(page.get_by_role("main")).to_contain_text(
        f"{CUSTOMERS // 100:,} of {CUSTOMERS:,} customers found."
    )


@SCRIPT
def test_customers_are_filtered_sorted_turned_over_and_opened(
    visit: Visit, ask: Ask, script: bool
) -> None:
    page = visit("/customers", java_script_enabled=script)
    unfold(page)
    page.get_by_role("checkbox", name="Influencers").check()
    page.get_by_label("Churn risk, from").fill("50")
    page.get_by_role("button", name="Show").click()
    ((found,),) = ask(f"SELECT count(*) FROM customers WHERE {RISKY}")
    expect(page.get_by_role("main")).to_contain_text(f"{found:,} of {CUSTOMERS:,} customers found.")
    page.get_by_role("columnheader", name="At stake").get_by_role("link").click()
    heading = page.get_by_role("columnheader", name="At stake")
    expect(heading).to_have_attribute("aria-sort", "descending")
    best = ask(
        f"SELECT key, historic_orders FROM customers WHERE {RISKY} "
        "ORDER BY value_at_stake DESC LIMIT 100"
    )
    assert names(page) == [key for key, _ in best[:50]]
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_role("navigation", name="Pages")).to_contain_text("Page 2 of")
    assert names(page) == [key for key, _ in best[50:]]
    key, orders = best[50]
    page.get_by_role("rowheader").get_by_role("link", name=key, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Customer {key}")
    expect(page.get_by_role("main")).to_contain_text(f"in {orders} order")


@SCRIPT
def test_a_download_holds_exactly_who_was_filtered(visit: Visit, ask: Ask, script: bool) -> None:
    page = visit("/customers?channels=influencers&churn_from=50", java_script_enabled=script)
    table = pd.read_csv(saved(page, "Download as CSV"), dtype={"customer_id": str})
    expected = [key for (key,) in ask(f"SELECT key FROM customers WHERE {RISKY}")]
    assert len(table) == len(expected) > 1000
    assert set(table["customer_id"]) == set(expected)


@SCRIPT
def test_a_campaign_is_answered_and_its_list_is_what_was_said(visit: Visit, script: bool) -> None:
    page = visit("/retention", java_script_enabled=script)
    number(page, "Budget").fill("20000")
    number(page, "Contact cost").fill("2")
    page.get_by_role("button", name="Apply").click()
    said = page.get_by_text(re.compile("customers to contact for €20,000"))
    audience, cost, even = figures(said.inner_text())
    table = pd.read_csv(saved(page, "Download as CSV"))
    contact = table[table["group"] != "control"]
    assert len(contact) == audience == 10_000
    assert contact["cost"].sum() == pytest.approx(cost)
    usual = 0.3  # the mean of the save rates that are assumed
    gain = contact["expected_profit"].sum() + cost
    assert even / 100 == pytest.approx(usual * cost / gain, abs=0.001)
    assert len(table) > len(contact)  # and those held out


@SCRIPT
def test_a_locked_channel_stays_while_the_others_share_what_is_left(
    visit: Visit, script: bool
) -> None:
    page = visit("/budget", java_script_enabled=script)
    search, social = spend(page, "search"), spend(page, "social")
    shown = number(page, "search").input_value()
    page.get_by_role("checkbox", name="Lock social").check()
    number(page, "Budget").fill(f"{spend(page, 'Budget') - LESS}")
    page.get_by_role("button", name="Apply").click()
    expect(number(page, "search")).not_to_have_value(shown)
    assert page.get_by_role("checkbox", name="Lock social").is_checked()
    assert spend(page, "social") == social
    assert search - LESS < spend(page, "search") < search


@SCRIPT
def test_plans_are_saved_and_compared(visit: Visit, script: bool) -> None:
    page = visit("/budget", java_script_enabled=script)
    first = spend(page, "Budget")
    page.get_by_role("link", name="Save this plan").click()
    plans = page.get_by_role("table").filter(has=page.get_by_role("columnheader", name="Plan A"))
    expect(plans).to_be_visible()
    number(page, "Budget").fill(f"{first - LESS}")
    page.get_by_role("button", name="Apply").click()
    budgets = plans.get_by_role("row", name=re.compile("^Budget")).get_by_role("cell")
    expect(budgets).to_have_text([f"€{first - LESS:,.0f}", f"€{first:,.0f}"])


def spend(page: Page, name: str) -> float:
    """What a dial shows."""
    return float(number(page, name).input_value())


@SCRIPT
def test_cohorts_of_another_channel_are_shown(visit: Visit, script: bool) -> None:
    page = visit("/channels", java_script_enabled=script)
    unfold(page)
    grid = page.get_by_role("region", name=re.compile("Earned per customer"))
    before = grid.inner_text()
    page.get_by_role("combobox", name="Channel").select_option("search")
    page.get_by_role("button", name="Show").click()
    expect(grid).not_to_have_text(before)
    expect(page.get_by_role("combobox", name="Channel")).to_have_value("search")


@pytest.mark.parametrize("path", [room for room in ROOMS if room != "/customers"])
def test_the_numbers_of_a_chart_are_a_table_too(visit: Visit, path: str) -> None:
    page = visit(path, java_script_enabled=False)
    figure = page.get_by_role("figure").first
    assert figure.get_by_role("img").count() >= 1
    expect(figure.get_by_role("table")).to_be_hidden()
    figure.get_by_text("as a table").click()
    expect(figure.get_by_role("table")).to_be_visible()


@SCRIPT
def test_colours_are_chosen_and_stay(visit: Visit, script: bool) -> None:
    page = visit("/trust", java_script_enabled=script, color_scheme="light")
    assert brightness(page) > 200
    page.get_by_role("button", name="Dark").click()
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    assert brightness(page) < 60


def brightness(page: Page) -> float:
    """Of the page's ground, from 0 to 255."""
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(figures(ground)[:3]) / 3


@SCRIPT
def test_people_log_in_see_what_their_role_may_and_log_out(
    visit: Visit, locked: Locked, script: bool
) -> None:
    page = visit("/trust", locked.address, 401, java_script_enabled=script)
    log_in(page, "clv_wrong")
    expect(page.get_by_role("alert")).to_contain_text("not known")
    log_in(page, locked.keys["viewer"])
    expect(page.get_by_role("heading", level=1)).to_have_text("Trust")
    rooms = page.get_by_role("navigation", name="Rooms").get_by_role("link")
    assert rooms.all_inner_texts() == [
        "Overview",
        "Customers",
        "Channels",
        "Trust",
    ]
    page.get_by_role("link", name="Customers").click()
    assert page.get_by_role("button", name=re.compile("Download")).count() == 0
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("API key")).to_be_visible()
