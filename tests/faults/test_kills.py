"""kill -9 at random moments: nothing half, nothing lost, no litter after the next run, same bytes.

The suite kills some commands once; ``CLV_KILLS=50 pytest tests/faults/test_kills.py`` kills all of
them fifty times, runs as many rounds of two at once and takes as many files away (``killing.py``).
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
QUICK = ("score_in_parts", "fold", "publish", "keys")
ALL = "CLV_KILLS" in os.environ
COMMANDS = (
    (*QUICK, "score", "targets", "export", "save", "train", "retrain", "promote") if ALL else QUICK
)
AT_ONCE = ("publish", "train", "promote") if ALL else ("publish",)
ON_DISK = COMMANDS if ALL else ("keys", "publish")


def answers(*words: object) -> list[dict[str, Any]]:
    """What the program found, a line of JSON each."""
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.killing", *map(str, words)],
        env=os.environ | one_thread,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_killed_commands_leave_all_whole_and_the_next_run_tidies(tmp_path: Path) -> None:
    found = answers("kill", ",".join(COMMANDS), tmp_path / "kills", KILLS, 0)
    assert [line["command"] for line in found] == list(COMMANDS)
    assert all(line["kills"] == sum(line["left"].values()) == int(KILLS) for line in found)


@pytest.mark.slow
def test_of_two_at_once_each_is_whole_or_refused(tmp_path: Path) -> None:
    found = answers("together", ",".join(AT_ONCE), tmp_path / "together", KILLS, 0)
    assert all(line["outcomes"]["done"] >= int(KILLS) for line in found)


@pytest.mark.slow
def test_trouble_with_the_disk_is_named_by_every_command_and_changes_nothing(
    tmp_path: Path,
) -> None:
    found = answers("disk", ",".join(ON_DISK), tmp_path / "disk", KILLS, 0)
    outcomes = {(line["command"], line["trouble"]): line.get("outcome") for line in found}
    for trouble in ("0 bytes", "another's"):
        assert all(outcomes[command, trouble] == "refused" for command in ON_DISK)
    assert outcomes["keys", "60000 bytes"] == "done"
