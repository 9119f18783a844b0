"""A change in one place: an entry that ``added`` puts into a registry is everywhere at once.

The checks run in one process of their own, since models of requests are built from the registries
when their files are imported.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_added_entries_are_everywhere():
    checks = sorted(HERE.glob("check_*.py"))
    words = ["-m", "pytest", "-v", "-n", "0", "-p", "tests.registries.added", *map(str, checks)]
    run = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, cwd=HERE.parents[1], check=False
    )
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-1000:]
    tried = {line.partition("::")[0] for line in run.stdout.splitlines() if " PASSED" in line}
    assert tried == {f"tests/registries/{check.name}" for check in checks}
