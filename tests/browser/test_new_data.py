"""From an uploaded file to a published page, by a person's clicks; the worker is killed at work."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from clv.data.cdnow import cdnow_log
from clv.store import publish
from clv.value.value import Terms
from clv.web.access.keys import add_key
from tests.conftest import in_store

from .conftest import AS_OF, PHONE, Visit, log_in, serving
from .test_accessible import too_wide, violations

pytestmark = pytest.mark.slow
LONG = 900_000  # milliseconds that training may take on a machine in use
CUSTOMERS = 350


@pytest.fixture(scope="module")
def office(
    _has_chromium: None,
    published_scorer: Any,
    empty_store: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, str, Path]]:
    """A server that takes uploads, the key of its admin, and its folder."""
    folder = tmp_path_factory.mktemp("office")
    scorer = published_scorer(Terms(0.3, currency="USD"), AS_OF)
    scorer.save(folder / "model")
    scores = pd.DataFrame({"customer_id": ["c-1", "c-2"]}).assign(
        days_since_last=10.0, clv=1.0, expected_purchases=2.0, churn_probability=0.5,
        value_at_stake=1.0, model_version=scorer.version, as_of=AS_OF, horizon="3 years",
        currency="USD",
    )  # fmt: skip
    publish(scores, folder / "store")
    log = pd.DataFrame(cdnow_log(sample=True)).drop(columns="quantity")
    some = log[log["customer_id"].isin(log["customer_id"].unique()[:CUSTOMERS])]
    names = {"customer_id": "Who", "date": "When", "amount": "Paid"}
    some.rename(columns=names).to_csv(folder / "Orders of June.csv", index=False)
    key = add_key(folder / "keys.json", "ann", "admin")
    words = ("--keys", folder / "keys.json", "--jobs", folder / "jobs")
    with (
        in_store(empty_store, folder / "models"),
        serving(folder / "store", folder / "model", *words) as address,
    ):
        yield address, key, folder


def worker_of(folder: Path) -> int:
    """The process that works on the uploads in a folder."""
    words = (b"clv.app.jobs.job_worker", os.fsencode(folder))
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes()
        except OSError:  # it ended
            continue
        if all(word in line for word in words):
            return int(process.name)
    raise AssertionError("nobody works")


def looked_at(page: Page, *schemes: Literal["light", "dark"]) -> None:
    """Nothing that axe finds, and nothing too wide on a phone."""
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == ""
    page.set_viewport_size(PHONE["viewport"])
    assert too_wide(page) == 0
    page.set_viewport_size({"width": 1280, "height": 900})


def test_orders_are_uploaded_trained_on_and_published_though_the_worker_is_killed(
    visit: Visit, office: tuple[str, str, Path]
) -> None:
    address, key, folder = office
    page = visit("/", origin=address, status=401)
    log_in(page, key)
    page.get_by_role("link", name="New data").click()
    looked_at(page, "dark")
    page.get_by_label("Orders", exact=True).set_input_files(folder / "Orders of June.csv")
    page.get_by_role("button", name="Upload and check").click()
    customer = page.get_by_label("Customer", exact=True)
    customer.wait_for(timeout=LONG)
    expect(page.locator("main")).to_contain_text("Which column names the customer?")
    looked_at(page, "light")
    customer.select_option("Who")
    page.get_by_role("button", name="Check again").click()
    page.get_by_text("Fit to train on.").wait_for(timeout=LONG)
    columns = [page.get_by_label(name, exact=True) for name in ("Customer", "Date", "Amount")]
    assert [one.input_value() for one in columns] == ['"Who"', '"When"', '"Paid"']
    expect(page.get_by_label("Currency", exact=True)).to_have_value("USD")  # as the pages have it
    page.get_by_label("Margin, % of revenue").fill("30")
    looked_at(page, "light", "dark")
    page.get_by_role("button", name="Train and compare").click()
    page.get_by_text(re.compile("part [234] of 6")).wait_for(timeout=LONG)
    looked_at(page, "light")
    os.kill(worker_of(folder), signal.SIGKILL)
    page.get_by_text("begun again after it was interrupted").wait_for(timeout=LONG)
    better = page.get_by_role("heading", name="Is the new model better?")
    better.wait_for(timeout=LONG)
    looked_at(page, "dark")
    page.get_by_role("button", name="Take the new model into use").click()
    page.get_by_text("Published: every page shows these orders now.").wait_for(timeout=LONG)
    page.get_by_role("link", name="To the overview").click()
    stated = page.locator("footer .stated")
    expect(stated).to_contain_text("30 June 1998")
    expect(page.locator("main")).to_contain_text("customers")
    page.get_by_role("link", name="New data").click()
    page.get_by_role("button", name="Go back to the one before").click()
    page.get_by_role("link", name="Overview").click()
    expect(stated).to_contain_text("31 March 2024")
