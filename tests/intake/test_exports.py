"""Random logs in twenty dialects, written by a writer of their own, read without being told how.

A log of each dialect is read in every run; five hundred are with ``pytest -m slow``.
"""

import datetime as dt
import importlib.util
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
def test_five_hundred_logs_are_read_right_or_asked_about(tmp_path):
    asked = 0
    for seed in range(100, 600):
        truth, result = read(seed, tmp_path)
        asked += result is None
        assert result in (truth, None), f"seed {seed}"
    assert asked <= 5
