"""Every error that clv raises on purpose, each with what is wrong and what to try.

::

    ClvError                      exit code 1
    ├── InputError (ValueError)   exit code 3   a table or a value that cannot be used
    │   ├── ColumnError                         a column is missing or has the wrong type
    │   ├── RowError                            rows that break a rule: how many, and examples
    │   └── UnitError                           two things are measured in different time units
    ├── FitError                  exit code 4   the data cannot settle the model's parameters
    ├── PlanError                 exit code 5   a budget plan that no allocation can satisfy
    ├── ModelError                exit code 6   a saved or registered model cannot be used
    ├── PromotionError            exit code 7   the holdout does not support a promotion
    ├── MonitorError              exit code 8   what came is not what the model expected
    ├── MissingExtraError (ImportError)   exit code 9   an optional part is not installed
    └── UnfitError                exit code 10  orders that can be read, and not trained on

Exit code 2 is left to the command line's own usage errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class ClvError(Exception):
    """Base of all errors of this package.

    Parameters
    ----------
    message
        What is wrong, with the column, the rows or the values concerned.
    hint
        The first thing to try.

    Examples
    --------
    >>> print(ClvError("no orders are left.", hint="check the date column."))
    no orders are left.
    Hint: check the date column.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message}\nHint: {hint}")
        self.message = message
        self.hint = hint


class InputError(ClvError, ValueError):
    """A table or a value that cannot be used."""

    exit_code = 3


class ColumnError(InputError):
    """A column is missing, has the wrong type, or cannot be told apart from another."""


class RowError(InputError):
    """Rows that break a rule; the message carries their count and a few examples."""

    @classmethod
    def of(
        cls, what: str, count: int, examples: Sequence[object], *, hint: str | None = None
    ) -> RowError:
        """The error for ``count`` rows, of which ``examples`` are shown.

        >>> print(RowError.of("recency is beyond T", 2, ["customer 7: recency 9, T 8"]))
        recency is beyond T in 2 rows, such as customer 7: recency 9, T 8.
        """
        rows = "1 row" if count == 1 else f"{count:,} rows"
        listed = "; ".join(str(example) for example in examples)
        return cls(f"{what} in {rows}, such as {listed}.", hint=hint)


class UnitError(InputError):
    """Two things that meet are measured in different time units."""


class FitError(ClvError):
    """The data cannot settle the model's parameters."""

    exit_code = 4


class PlanError(ClvError):
    """A budget plan that no allocation can satisfy."""

    exit_code = 5


# What reading a file raises that was written for nothing of ours: wrong kinds, missing keys, depth.
DAMAGE = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RuntimeError)


class ModelError(ClvError):
    """A saved or registered model that cannot be found, read or trusted."""

    exit_code = 6


class PromotionError(ClvError):
    """The holdout does not support a promotion; ``why`` is the finding, where there is one."""

    exit_code = 7

    def __init__(self, message: str, *, hint: str | None = None, why: object = None) -> None:
        super().__init__(message, hint=hint)
        self.why = why


class MonitorError(ClvError):
    """What came since is not what the model expected, or its inputs or scores have shifted."""

    exit_code = 8


class MissingExtraError(ClvError, ImportError):
    """An optional part is not installed; the message is one sentence with the line for pip."""

    exit_code = 9


class UnfitError(ClvError):
    """Orders that can be read, but are too few, too short or too odd to train on."""

    exit_code = 10
