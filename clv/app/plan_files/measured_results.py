"""What tests by chance found, as a file that plans and offers name: assumed becomes measured.

::

    [retention]                  or [[offers]], of the test's or the only name
    test = "result.json"         its save rate in the place of an assumed one

    [curves]
    tests = ["result.json"]      its channels as lift tests

``clv measure-test`` writes it: {"format": 1, "tests": [{"name": "letter", "save_rate": {"a": 6.1,
"b": 14.2}, ...}, {"name": "search", "lift_test": {...}, ...}]}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from clv.app.plan_files.offer_terms import Amount, SaveRate
from clv.decide.response.panel import LiftTest
from clv.decide.retention.offer import BetaRate
from clv.errors import InputError
from clv.format import listed
from clv.io.files import read_json, write_json
from clv.io.settings_errors import settings_of

FORMAT = 1
HINT = "give what clv measure-test --output wrote."
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Loose(BaseModel):
    """Fields that others read are left alone."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class SavedLift(_Loose):
    """What a test by regions found of a channel, per period."""

    spend: Amount
    extra_spend: Finite
    extra_customers: Finite
    standard_error: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class SavedTest(_Loose):
    """One test of the file."""

    name: Annotated[str, Field(min_length=1)]
    save_rate: SaveRate | None = None
    lift_test: SavedLift | None = None


class SavedTests(_Loose):
    """The whole file."""

    format: Literal[1]
    tests: Annotated[list[SavedTest], Field(min_length=1)]


def write_results(tests: Mapping[str, Mapping[str, Any]], path: str | Path) -> Path:
    """Write what tests found, by name; ``InputError`` where the place cannot be written to."""
    return write_json(
        {"format": FORMAT, "tests": [{"name": n, **t} for n, t in tests.items()]}, path
    )


def save_rate_of(path: Path, name: str | None = None) -> BetaRate:
    """The save rate that a test measured.

    Parameters
    ----------
    path
        A file of results.
    name
        Of the offer; a file of one offer serves any.

    Raises
    ------
    InputError
        The file cannot be used, is of other offers, or its test kept nobody.
    """
    tests = [test for test in _read(path).tests if test.lift_test is None]
    matching = [test for test in tests if test.name == name] or (tests if len(tests) == 1 else [])
    if not matching:
        raise InputError(
            f"{path.name} holds no test of {name or 'the offer'}, but of "
            f"{listed([test.name for test in tests]) or 'channels'}.",
            hint="name the offer as the test does.",
        )
    if not isinstance(matching[0].save_rate, BetaRate):
        raise InputError(
            f"the test of {matching[0].name} in {path.name} measured no save rate.",
            hint="it kept nobody beyond chance, or the scores of the day before were not given; "
            "state a save_rate, or leave the offer out.",
        )
    return matching[0].save_rate


def lift_tests_of(paths: Sequence[Path]) -> list[LiftTest]:
    """The tests of channels that files of results hold.

    Raises
    ------
    InputError
        A file cannot be used, or holds no test of a channel.
    """
    tests = []
    for path in paths:
        lifts = {test.name: test.lift_test for test in _read(path).tests}
        here = [LiftTest(name, **dict(lift)) for name, lift in lifts.items() if lift is not None]
        if not here:
            raise InputError(f"{path.name} holds no test of a channel.", hint=HINT)
        tests += here
    return tests


def of_test(rate: BetaRate) -> dict[str, Any]:
    """What changes in the terms of an offer whose save rate was measured."""
    return {"save_rate": rate, "save_rate_source": "measured", "test": None}


def one_save_rate(section: Any) -> Any:
    """A section that names a test states no save rate; ``ValueError`` where it does."""
    if section.test is not None and section.model_fields_set & {"save_rate", "save_rate_source"}:
        raise ValueError("Input should have either test or a save_rate")
    if section.test is not None and section.leavers == "gone":
        raise ValueError('Input should have leavers = "silent" beside test, which measures it')
    return section


def _read(path: Path) -> SavedTests:
    return settings_of(SavedTests, read_json(path), path.name, HINT)
