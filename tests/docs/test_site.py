"""The site is built strictly, and loads nothing from another host."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import clv
from clv.cli.main import COMMANDS

ROOT = Path(clv.__file__).parent.parent
LOADED = re.compile(
    r"<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=\"(https?:)?//", re.IGNORECASE
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "docs", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.mark.slow
def test_no_page_loads_anything_from_another_host(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 5
    assert not [page.name for page in pages if LOADED.search(page.read_text(encoding="utf-8"))]


@pytest.mark.slow
def test_every_public_name_and_every_command_is_described(site):
    names = (site / "reference" / "python.html").read_text(encoding="utf-8")
    assert not [name for name in clv.__all__ if f'id="clv.{name}"' not in names]
    commands = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    ours = [name for group in COMMANDS.values() for name in group]
    assert not [name for name in ours if f"Usage: clv {name} " not in commands]
