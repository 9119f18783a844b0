"""Sums of money that are the same to the last bit, in whatever order the rows come.

An engine with several threads adds in an order of its own, and floating-point sums depend on it:
one log would give two summaries, two fits and two versions of a model. So money is added in whole
ten-thousandths, which is exact up to 9e11, and what they leave over apart, in whole parts of its
own: of money nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import narwhals as nw

from clv.schema import Frame

MONEY = 10_000  # parts of a unit of money that are told apart
DUST = 2.0**52  # parts of a unit in which what is less than those is added


def quotient(value: nw.Expr, divisor: float) -> nw.Expr:
    """``value`` (floats) over ``divisor``, the same to the last bit on every engine.

    Polars takes a number's reciprocal and multiplies, which may be off by a bit; over a column it
    divides.

    >>> import polars as pl
    >>> (pl.Series([38.0]) / 7)[0] == 38 / 7
    False
    >>> days = nw.from_native(pl.DataFrame({"days": [38.0]}))
    >>> days.select(quotient(nw.col("days"), 7))["days"][0] == 38 / 7
    True
    """
    return value / (value * 0.0 + divisor)


def summed(rows: Frame, by: Sequence[str], money: Sequence[str], *others: nw.Expr) -> Frame:
    """One row per group: the sums of the columns ``money``, missing ones left out, and ``others``.

    Parameters
    ----------
    rows
        A Narwhals frame, eager or lazy.
    by
        The columns that make a group.
    money
        Columns of floats: finite, below 1e300, or missing.
    others
        What else of each group, as ``agg`` takes it.

    Examples
    --------
    >>> import pandas as pd
    >>> from clv.schema import as_frame
    >>> log = pd.DataFrame({"who": ["a"] * 3, "amount": [0.1, 0.2, 0.3]})
    >>> print(0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1)
    0.6000000000000001 0.6
    >>> print(summed(as_frame(log), ["who"], ["amount"]).collect()["amount"][0])
    0.6
    """
    parts = [f"_{part}_{name}" for name in money for part in ("whole", "rest")]
    grouped = _parted(rows, money).group_by(*by).agg(nw.col(*parts).sum(), *others)
    return _together(grouped, money)


def as_summed(rows: Frame, money: Sequence[str]) -> Frame:
    """The rows with the columns ``money`` as ``summed`` leaves them of groups of one row each.

    >>> import pandas as pd
    >>> from clv.schema import as_frame
    >>> log = as_frame(pd.DataFrame({"who": ["a", "b"], "amount": [1 / 3, 2e-17]}))
    >>> once, again = as_summed(log, ["amount"]), summed(log, ["who"], ["amount"])
    >>> [frame.collect()["amount"].to_list() for frame in (once, again)]
    [[0.3333333333333333, 0.0], [0.3333333333333333, 0.0]]
    """
    names = rows.collect_schema().names()
    return _together(_parted(rows, money), money).select(names)


def _parted(rows: Frame, money: Sequence[str]) -> Frame:
    """Money in whole parts, and what they leave over in whole parts of its own."""
    rows = rows.with_columns((nw.col(*money) * MONEY).round(0).name.prefix("_whole_"))
    return rows.with_columns(
        ((nw.col(name) - quotient(nw.col(f"_whole_{name}"), MONEY)) * DUST)
        .round(0)
        .alias(f"_rest_{name}")
        for name in money
    )


def _together(rows: Frame, money: Sequence[str]) -> Frame:
    """The money that such parts are of."""
    together = {
        name: quotient(nw.col(f"_whole_{name}"), MONEY) + nw.col(f"_rest_{name}") * (1 / DUST)
        for name in money
    }
    parts = [f"_{part}_{name}" for name in money for part in ("whole", "rest")]
    return rows.with_columns(**together).drop(*parts)
