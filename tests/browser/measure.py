"""Measures the page on the store of ``million.py``, as one browser on this machine sees it.

::

    python -m tests.browser.measure                      # first loads, and answers to sliders
    python -m tests.browser.measure --folder brand       # on a store that is kept for the next time
    python -m tests.browser.measure --shots pictures     # pictures of every page instead

A first load is from the navigation to the load event, by a browser that has stored nothing, of a
server that has just started and has shown nothing yet. An answer is from the input event of a
slider to the change of the page that it brings, over several values that were not shown before.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser

from .conftest import DESKTOP, PHONE, ROOMS, chromium, publish_million, serving

MOST_REPEATS = 20
SLIDERS = {
    "/retention": ("budget", "contact_cost", "incentive", "control"),
    "/budget": ("budget", "at.search", "at.social"),
    "/subscriptions": ("discount", "selection"),
}
LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd"
ANSWER = """([id, share]) => new Promise((resolve, reject) => {
  setTimeout(reject, 20000);
  const slider = document.getElementById(id);
  slider.value = Number(slider.min) + share * (slider.max - slider.min);
  const begin = performance.now();
  const seen = new MutationObserver((changes) => {
    const added = changes.flatMap((one) => [...one.addedNodes]);
    const answers = "#results, :has(h2, [role=alert])";
    if (!added.some((node) => node.matches?.(answers))) return;
    seen.disconnect();
    resolve(performance.now() - begin);
  });
  seen.observe(document.body, { childList: true, subtree: true });
  slider.dispatchEvent(new InputEvent("input", { bubbles: true }));
})"""
LOOKS = {
    "light": DESKTOP | {"color_scheme": "light"},
    "dark": DESKTOP | {"color_scheme": "dark"},
    "phone": PHONE | {"color_scheme": "light", "device_scale_factor": 2},
}


def first_load(browser: Browser, folder: Path, path: str) -> float:
    """Milliseconds, by a new browser of a new server."""
    with serving(folder / "store", folder / "model") as address:
        context = browser.new_context(**DESKTOP)
        page = context.new_page()
        page.goto(address + path, wait_until="load")
        page.wait_for_function(f"{LOADED} > 0")
        taken = page.evaluate(LOADED)
        context.close()
    return taken


def answers(browser: Browser, address: str, path: str, dial: str, repeats: int) -> Iterator[float]:
    """Milliseconds for each of several places of a slider."""
    context = browser.new_context(**DESKTOP)
    page = context.new_page()
    page.goto(address + path)
    for k in range(repeats):
        yield page.evaluate(ANSWER, [f"s-{dial}", 0.3 + 0.6 * (k + 0.5) / repeats])
        page.wait_for_load_state("networkidle")
    context.close()


def told(what: str, taken: list[float]) -> str:
    """One line."""
    return f"{what:<32} median {statistics.median(taken):5.0f} ms, most {max(taken):5.0f} ms"


def measure(browser: Browser, folder: Path, repeats: int) -> None:
    """Print every figure, and how busy the machine is with other things."""
    print(f"{os.cpu_count()} cores; waiting or running before: {os.getloadavg()[0]:.1f}")
    for path in ROOMS:
        print(
            told(f"first load {path}", [first_load(browser, folder, path) for _ in range(repeats)])
        )
    with serving(folder / "store", folder / "model") as address:
        for path, dials in SLIDERS.items():
            for dial in dials:
                taken = list(answers(browser, address, path, dial, repeats))
                print(told(f"slider {path} {dial}", taken))


def take_pictures(browser: Browser, folder: Path, into: Path) -> None:
    """Every page in every look, whole."""
    into.mkdir(parents=True, exist_ok=True)
    with serving(folder / "store", folder / "model") as address:
        for look, options in LOOKS.items():
            page = browser.new_context(**options).new_page()
            for path in (*ROOMS, "/login", "/nowhere"):
                page.goto(address + path)
                name = path.strip("/").replace("/", "-") or "overview"
                page.screenshot(path=into / f"{name}-{look}.png", full_page=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="where the store is, or is to be")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--shots", type=Path, help="a folder for pictures; nothing is measured")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, chromium() as browser:
        folder = given.folder or Path(temporary) / "million"
        publish_million(folder)
        if given.shots:
            take_pictures(browser, folder, given.shots)
        else:
            measure(browser, folder, min(given.repeats, MOST_REPEATS))


if __name__ == "__main__":
    main()
