"""Random logs in two dozen dialects, written by a writer of their own, read without being told how.

A log of each dialect is read in every run, thirty more with ``pytest -m slow``, and as many as
``CLV_LOGS=500`` says.
"""

import datetime as dt
import importlib.util
import os
import sys
from pathlib import Path

import pytest

from clv.intake.check import check_files

SPEC = importlib.util.spec_from_file_location("exports", Path(__file__).parent / "exports.py")
exports = importlib.util.module_from_spec(SPEC)
sys.modules["exports"] = exports
SPEC.loader.exec_module(exports)

TODAY = dt.date(2026, 1, 1)


def read(seed, folder):
    """What a log truly holds, and what is read of it; None where something is asked."""
    dialect = exports.DIALECTS[seed % len(exports.DIALECTS)]
    log = exports.random_log(seed, dialect)
    check = check_files([exports.write(log, dialect, folder / f"{seed}.csv")], today=TODAY).check
    if check.questions or check.stopped:
        return log.truth(), None
    return log.truth(), exports.Truth(check.purchases, round(100 * check.amount), check.customers)


@pytest.mark.parametrize(
    "seed", range(len(exports.DIALECTS)), ids=lambda k: exports.DIALECTS[k].name
)
def test_a_log_of_every_dialect_is_read_right(seed, tmp_path):
    truth, result = read(seed, tmp_path)
    assert result == truth


@pytest.mark.slow
def test_many_more_logs_are_read_right_or_asked_about(tmp_path):
    count = int(os.environ.get("CLV_LOGS", "10"))  # 500 took five minutes when it was written
    asked = 0
    for seed in range(100, 100 + count):
        truth, result = read(seed, tmp_path)
        asked += result is None
        assert result in (truth, None), f"seed {seed}"
    assert asked <= max(1, count / 100)
