"""A browser, what it is to look at, and an eye on what pages do besides.

``site`` serves a store of ``million.py`` on loopback without keys, of 50,000 customers unless
``CLV_CUSTOMERS`` says how many; ``locked`` a small store that
knows next to nothing, with keys. ``visit`` opens a page in a context of its own; when the test ends
no page may have asked another host for anything, or have had an error to report.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from clv.store import Store, publish
from clv.value.value import Terms
from clv.web.access.keys import add_key
from clv.web.access.roles import Role

CUSTOMERS = int(os.environ.get("CLV_CUSTOMERS", "50000"))
MILLION = Path(__file__).with_name("million.py")
ROOMS = (
    *(
        "/",
        "/customers",
        "/customers/4711",
        "/retention",
        "/subscriptions",
        "/channels",
        "/budget",
        "/offers",
    ),
    "/trust",
)
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
STILL = {"reduced_motion": "reduce"}
PHONE = {"viewport": {"width": 375, "height": 812}, "is_mobile": True, "has_touch": True}
AS_OF, PATIENCE = "2024-03-31", 20_000  # milliseconds: no test is about speed
# what the content security policy blocks is told on the console
TELL = (
    "addEventListener('securitypolicyviolation', e =>"
    " console.error('policy', e.violatedDirective, e.blockedURI))"
)

Ask = Callable[..., list[tuple[Any, ...]]]
Visit = Callable[..., Page]
expect.set_options(timeout=PATIENCE)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        path, flags = shutil.which("chromium"), ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def serving(store: Path, model: Path, *words: object) -> Iterator[str]:
    """``clv serve`` in a process of its own, until the block ends; its address."""
    command = [sys.executable, "-m", "clv", "serve", "--port", "0"]
    command += [str(word) for word in ("--store", store, "--model", model, *words)]
    env = os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    log = store / "serve.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=env) as run,
    ):
        assert run.stdout is not None
        found = re.search(r"http://\S+", run.stdout.readline())
        try:
            assert found is not None, log.read_text()
            yield found[0]
        finally:
            run.terminate()


def publish_million(folder: Path, customers: int = 1_000_000) -> None:
    """Fill the folder, in a process that gives its memory back; done once, whoever asks first."""
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "model").exists():
            folder.mkdir()
            subprocess.run([sys.executable, MILLION, folder, str(customers)], check=True)


@pytest.fixture(scope="session")
def _has_chromium() -> None:
    if shutil.which("chromium") is None:
        wanted = "these tests need Debian's chromium: apt-get install chromium"
        pytest.fail(wanted) if os.environ.get("CI") else pytest.skip(wanted)


@pytest.fixture(scope="session")
def million(_has_chromium: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of ``million.py``; the workers of one run share it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "million"
    publish_million(folder, CUSTOMERS)
    return folder


@pytest.fixture(scope="session")
def site(million: Path) -> Iterator[str]:
    """The address of a server of the million."""
    with serving(million / "store", million / "model") as address:
        yield address


@pytest.fixture(scope="session")
def ask(million: Path) -> Iterator[Ask]:
    """Asks the published file itself, past all that is tested here."""
    with Store.open(million / "store") as store:
        path = store.path
    with duckdb.connect(path, read_only=True) as connection:
        yield lambda query, *values: connection.execute(query, values).fetchall()


@dataclass(frozen=True)
class Locked:
    """A server that asks who comes: its address, and a key of each role."""

    address: str
    keys: dict[str, str]


@pytest.fixture(scope="session")
def locked(
    _has_chromium: None, published_scorer: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Locked]:
    """A server with keys whose store has scores, and nothing else that could be shown."""
    folder = tmp_path_factory.mktemp("locked")
    scorer = published_scorer(Terms(0.3, currency="EUR"), AS_OF)
    scorer.save(folder / "model")
    scores = pd.DataFrame({"customer_id": [f"c-{k}" for k in range(120)]}).assign(
        days_since_last=10.0, clv=1.0, expected_purchases=2.0, churn_probability=0.5,
        value_at_stake=1.0, model_version=scorer.version, as_of=AS_OF, horizon="3 years",
        currency="EUR",
    )  # fmt: skip
    publish(scores, folder / "store")
    keys = {str(role): add_key(folder / "keys.json", str(role), role) for role in Role}
    words = ("--keys", folder / "keys.json", "--audit", folder / "audit.jsonl")
    with serving(folder / "store", folder / "model", *words) as address:
        yield Locked(address, keys)


@dataclass
class Watch:
    """What pages of one server do that they should not."""

    origin: str
    status: int
    amiss: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        """Listen to a page from now on."""
        page.add_init_script(TELL)
        page.on("request", lambda request: self._request(request.url))
        page.on("console", lambda message: self._console(message.type, message.text))
        page.on("pageerror", lambda error: self.amiss.append(f"error: {error}"))

    def _request(self, url: str) -> None:
        if not url.startswith(f"{self.origin}/"):
            self.amiss.append(f"request: {url}")

    def _console(self, kind: str, text: str) -> None:
        wanted = self.status >= 400 and f"a status of {self.status} " in text
        if kind == "error" and not wanted:
            self.amiss.append(f"console: {text}")


@pytest.fixture(scope="module")
def browser(_has_chromium: None) -> Iterator[Browser]:
    """One for each file: its event loop must not run in other tests of this process."""
    with chromium() as started:
        yield started


@pytest.fixture
def watches() -> list[Watch]:
    """One for each page that ``visit`` opened."""
    return []


@pytest.fixture
def visit(
    browser: Browser, watches: list[Watch], request: pytest.FixtureRequest
) -> Iterator[Visit]:
    """Opens an address in a context of its own; ``status`` is what the server is to answer."""
    with ExitStack() as contexts:

        def opened(path: str = "/", origin: str = "", status: int = 200, **options: Any) -> Page:
            origin = origin or request.getfixturevalue("site")
            context = browser.new_context(**DESKTOP | STILL | {"base_url": origin} | options)
            contexts.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            watches.append(Watch(origin, status))
            watches[-1].over(page)
            answer = page.goto(path)
            assert answer is not None
            assert answer.status == status
            return page

        yield opened
    assert [told for watch in watches for told in watch.amiss] == []


def log_in(page: Page, key: str) -> None:
    """Send the login form."""
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in").click()


def unfold(page: Page) -> None:
    """Open a form that is folded, as on a phone."""
    for fold in page.locator("form summary").all():
        if fold.is_visible():
            fold.click()


def number(page: Page, name: str) -> Locator:
    """The number field of a dial."""
    return page.get_by_role("spinbutton", name=re.compile(f"^{name}", re.IGNORECASE))


def figures(text: str) -> list[float]:
    """The numbers in a sentence, as people write them.

    >>> figures("8,000 customers to contact for €8,000.50, expected to earn €1.2m")
    [8000.0, 8000.5, 1.2]
    """
    return [float(one.replace(",", "")) for one in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]
