"""A change in one place: an entry that ``added`` puts into a registry is everywhere at once.

The checks run in a process of their own, since models of requests are built from the registries
when their files are imported.
"""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("check", sorted(HERE.glob("check_*.py")), ids=lambda file: file.stem)
def test_an_added_entry_is_everywhere(check):
    words = ["-m", "pytest", "-q", "-n", "0", "-p", "tests.registries.added", str(check)]
    run = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, cwd=HERE.parents[1], check=False
    )
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-1000:]
    assert " passed" in run.stdout
