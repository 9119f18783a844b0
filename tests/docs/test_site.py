"""The site is built strictly, its notebooks run as they are shown, nothing is another host's."""

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import clv
from clv.cli.main import COMMANDS

ROOT = Path(clv.__file__).parent.parent
OUTPUTS = Path(__file__).parent / "notebook_outputs"
LOADED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=\"(?:https?:)?//")
NOTEBOOKS = sorted(page.stem for page in (ROOT / "docs" / "notebooks").glob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built") / "site"
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "docs", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_no_page_loads_anything_from_another_host(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    assert not [page.name for page in pages if LOADED.search(page.read_text(encoding="utf-8"))]


@pytest.mark.slow
def test_every_public_name_and_every_command_is_described(site):
    names = (site / "reference" / "python.html").read_text(encoding="utf-8")
    assert not [name for name in clv.__all__ if f'id="clv.{name}"' not in names]
    commands = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    ours = [name for group in COMMANDS.values() for name in group]
    assert not [name for name in ours if f"Usage: clv {name} " not in commands]


def said(notebook):
    """What the cells of an executed notebook show, as text: a cell a paragraph."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            text = output.get("text") or data.get("text/html") or data.get("text/plain")
            text = re.sub(r"<style.*?</style>|<[^>]+>", " ", "".join(text), flags=re.DOTALL)
            lines = (" ".join(line.split()) for line in html.unescape(text).splitlines())
            yield "\n".join(line for line in lines if line)


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_shows_what_it_showed(site, name):
    """CLV_NOTEBOOK_OUTPUTS=write takes what it shows now for true: look at it before you commit."""
    ran = site.parent / "jupyter_execute" / "notebooks" / f"{name}.ipynb"
    text = "\n\n".join(said(json.loads(ran.read_text(encoding="utf-8")))) + "\n"
    shown = OUTPUTS / f"{name}.txt"
    if os.environ.get("CLV_NOTEBOOK_OUTPUTS") == "write":
        shown.write_text(text, encoding="utf-8")
    assert text == shown.read_text(encoding="utf-8")
