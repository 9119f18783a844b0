"""kill -9 at random moments: nothing half, nothing lost, no litter after the next run, same bytes.

The suite kills each command once; ``CLV_KILLS=50 pytest tests/faults/test_kills.py`` fifty times.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

KILLS = os.environ.get("CLV_KILLS", "1")
PROGRAM = Path(__file__).with_name("killing.py")
COMMANDS = ("score", "targets", "export", "fold", "publish", "keys", "save", "train", "promote")


def answers(*words: object) -> list[dict[str, Any]]:
    """What the program found, a line a command."""
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, PROGRAM, *map(str, words)],
        env=os.environ | one_thread,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_killed_commands_leave_all_whole_and_the_next_run_tidies(tmp_path: Path) -> None:
    found = answers("kill", ",".join(COMMANDS), tmp_path / "kills", KILLS, 0)
    print(*found, sep="\n")
    assert [line["command"] for line in found] == list(COMMANDS)
    assert all(line["kills"] == sum(line["left"].values()) == int(KILLS) for line in found)


@pytest.mark.slow
def test_a_full_disk_is_named_by_every_command_and_changes_nothing(tmp_path: Path) -> None:
    found = answers("full", "keys,publish,train", tmp_path / "full")
    by_size = {(line["command"], line["bytes"]): line["outcome"] for line in found}
    assert all(by_size[command, 0] == "refused" for command in ("keys", "publish", "train"))
    assert by_size["keys", 60_000] == "done"
