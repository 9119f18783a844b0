"""What README and docs tell a reader to do works, and answers as they show."""

import os
import re
from pathlib import Path

import pytest

import clv
from tests.conftest import in_store
from tests.docs.console import Reader, parse, steps

ROOT = Path(clv.__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])
# After the tutorial, in its folder: these go on from its scores and its store.
AFTER = sorted(page for page in (DOCS / "how-to").glob("*.md") if "```console" in page.read_text())
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_is_understood(page):
    for kind, text, _ in steps(page):
        if kind != "file" and text.startswith("clv "):
            parse(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_to_a_file_leads_to_one(page):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]


def test_the_readme_says_what_the_tutorial_runs():
    def verbs(page):
        words = [text.split() for kind, text, _ in steps(page) if kind == "run"]
        return [each[1] for each in words if each[0] == "clv"]

    ours, theirs = verbs(ROOT / "README.md"), verbs(DOCS / "tutorial.md")
    assert len(ours) == 5
    assert ours == [verb for verb in theirs if verb in ours]


@pytest.fixture(scope="module")
def shop(tmp_path_factory, empty_store):
    """A folder in which somebody follows the tutorial, then each how-to."""
    folder, before = tmp_path_factory.mktemp("reader"), Path.cwd()
    with in_store(empty_store, folder / "registry"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "88")
        os.chdir(folder)
        yield folder
        os.chdir(before)


@pytest.mark.slow
def test_the_tutorial_works_letter_by_letter(shop, capsys):
    assert Reader(capsys).follow(DOCS / "tutorial.md") == 8
    assert (shop / "targets.csv").exists()


@pytest.mark.slow
@pytest.mark.parametrize("page", AFTER, ids=lambda page: page.stem)
def test_a_how_to_works_after_the_tutorial(shop, capsys, page):
    assert (shop / "scores.parquet").exists(), "the tutorial comes first"
    assert Reader(capsys).follow(page) > 0
