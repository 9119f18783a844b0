"""Errors say what is wrong and what to try, and each kind has its exit code."""

import pickle

import pytest

from clv import errors
from clv.errors import ClvError, ColumnError, InputError, RowError


def kinds(base=ClvError):
    for kind in base.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_the_hint_is_the_last_line():
    error = ColumnError("no column T.", hint="rename it.")
    assert str(error) == "no column T.\nHint: rename it."
    assert (error.message, error.hint) == ("no column T.", "rename it.")
    assert str(ClvError("over.")) == "over."


def test_every_error_is_one_of_ours_and_drawn_in_the_tree():
    for kind in kinds():
        assert f"── {kind.__name__} " in errors.__doc__
        assert kind.__doc__


def test_exit_codes_are_those_of_the_tree():
    codes = {"InputError": 3, "FitError": 4, "PlanError": 5, "ModelError": 6}
    direct = {kind.__name__: kind.exit_code for kind in ClvError.__subclasses__()}
    assert codes.items() <= direct.items()
    assert len(set(direct.values()) | {1, 2}) == len(direct) + 2  # 1 and 2 are taken
    assert all(kind.exit_code == 3 for kind in kinds(InputError))


def test_input_errors_are_value_errors():
    with pytest.raises(ValueError, match="gone"):
        raise RowError("gone.")


@pytest.mark.parametrize(
    ("count", "rows"), [(1, "in 1 row,"), (2, "in 2 rows,"), (1234567, "in 1,234,567 rows,")]
)
def test_rows_are_counted_and_shown(count, rows):
    error = RowError.of(
        "T is negative", count, ["customer 7: T -1", "customer 9: T -2"], hint="look."
    )
    assert f"T is negative {rows} such as customer 7: T -1; customer 9: T -2." in str(error)
    assert str(error).endswith("Hint: look.")


def test_errors_cross_processes():
    """Parallel workers pickle what they raise."""
    error = pickle.loads(pickle.dumps(ColumnError("no column T.", hint="rename it.")))
    assert isinstance(error, ColumnError)
    assert str(error) == "no column T.\nHint: rename it."
