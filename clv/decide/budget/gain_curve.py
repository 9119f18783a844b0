"""Retention as one more option for the budget: a concave curve G(R) of gain against spend.

Customers are sorted by gain per unit of cost, so every further unit of money buys less than the
one before, and G is concave and piecewise linear. That makes retention comparable with any
acquisition channel: both are asked what the next unit of money buys.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from operator import neg
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from clv.errors import ColumnError, InputError
from clv.findings import Finding
from clv.schema import Floats, as_frame, collect, numbers, reject_rows


@dataclass(frozen=True)
class GainCurve:
    """G(R), made by ``GainCurve.from_customers``: arrays of shape (n,), best customer first.

    Parameters
    ----------
    ratio
        Gain per unit of cost of each customer, falling.
    spent, gained
        Cumulative cost and gain, in currency.
    horizon, currency
        Of the gains, such as "3 years" and "EUR", when known.
    notes
        What the gains rest on, such as an assumed save rate.
    """

    ratio: Floats
    spent: Floats
    gained: Floats
    horizon: str | None = field(default=None, kw_only=True)
    currency: str | None = field(default=None, kw_only=True)
    notes: tuple[Finding, ...] = field(default=(), kw_only=True)

    @classmethod
    def from_customers(
        cls,
        cost: ArrayLike,
        gain: ArrayLike,
        *,
        horizon: str | None = None,
        currency: str | None = None,
        notes: tuple[Finding, ...] = (),
    ) -> GainCurve:
        """Sort customers by gain / cost; those without a gain are left out.

        Raises
        ------
        RowError
            A cost is negative, or a cost or gain is missing or infinite.

        Examples
        --------
        >>> curve = GainCurve.from_customers(cost=[2000, 3000, 1500], gain=[26000, 30000, 9000])
        >>> curve.gain_at(3500), curve.customers_at(3500)
        (41000.0, 1.5)
        """
        c, g = _checked(cost, gain)
        gaining = g > 0
        c, g = c[gaining], g[gaining]
        with np.errstate(divide="ignore", over="ignore"):
            ratio = g / c
        order = np.argsort(-ratio, kind="stable")
        spent, gained = np.cumsum(c[order]), np.cumsum(g[order])
        return cls(ratio[order], spent, gained, horizon=horizon, currency=currency, notes=notes)

    def __len__(self) -> int:
        return len(self.ratio)

    def spend_above(self, ratio: float) -> float:
        """What all customers cost who gain more than ``ratio`` per unit of cost."""
        count = bisect_left(self.ratio, -ratio, key=neg)
        return float(self.spent[count - 1]) if count else 0.0

    def customers_at(self, spend: float) -> float:
        """How many customers ``spend`` pays for; the last one may be a fraction."""
        whole, rest = self._split(spend)
        if whole == len(self):
            return float(whole)
        before = self.spent[whole - 1] if whole else 0.0
        return whole + rest / float(self.spent[whole] - before)

    def gain_at(self, spend: float) -> float:
        """G(R): the gain that ``spend`` buys; the last customer may be a fraction."""
        whole, rest = self._split(spend)
        gained = float(self.gained[whole - 1]) if whole else 0.0
        return gained if whole == len(self) else gained + rest * float(self.ratio[whole])

    def edges(self, spend: float) -> tuple[float, float]:
        """Gain per unit of cost of the last money spent and of the next: G' on both sides."""
        whole, rest = self._split(spend)
        next_ = float(self.ratio[whole]) if whole < len(self) else 0.0
        if rest > 0 and whole < len(self):
            return next_, next_
        return (float(self.ratio[whole - 1]) if whole else np.inf), next_

    def _split(self, spend: float) -> tuple[int, float]:
        """How many customers are paid for in full, and the money left after them.

        Sums of costs carry rounding, so a customer short by 1e-12 of the spend counts as paid.
        """
        whole = int(np.searchsorted(self.spent, spend * (1 + 1e-12), side="right"))
        return whole, max(spend - (float(self.spent[whole - 1]) if whole else 0.0), 0.0)


def as_gain_curve(retention: object) -> GainCurve:
    """``retention`` as a gain curve.

    Parameters
    ----------
    retention
        A ``GainCurve``, anything that carries one as ``gain_curve`` (what ``retention_targets``
        returns), a pair of arrays (cost, gain), a dataframe with the columns ``cost`` and
        ``gain`` (or ``expected_gain``), or None for no retention at all.
    """
    if retention is None:
        return GainCurve.from_customers([], [])
    if isinstance(retention, GainCurve):
        return retention
    carried = getattr(retention, "gain_curve", None)
    if isinstance(carried, GainCurve):
        return carried
    if isinstance(retention, tuple | list):
        return _from_pair(retention)
    return _from_table(retention)


def _from_pair(pair: tuple[Any, ...] | list[Any]) -> GainCurve:
    if len(pair) != 2:
        raise InputError(
            f"retention has {len(pair)} parts, not the two arrays cost and gain.",
            hint="pass (cost, gain), or a table with these columns.",
        )
    return GainCurve.from_customers(pair[0], pair[1])


def _from_table(table: object) -> GainCurve:
    names = as_frame(table, "the retention table").collect_schema().names()
    gain = next((name for name in ("gain", "expected_gain") if name in names), None)
    if gain is None:
        raise ColumnError(
            "the retention table has no column gain.",
            hint="it needs cost and gain (or expected_gain), one row per customer.",
        )
    rows = collect(table, ("cost", gain), "the retention table")
    return GainCurve.from_customers(numbers(rows, "cost"), numbers(rows, gain))


def _checked(cost: ArrayLike, gain: ArrayLike) -> tuple[Floats, Floats]:
    c, g = np.asarray(cost, dtype=np.float64), np.asarray(gain, dtype=np.float64)
    if c.ndim != 1 or c.shape != g.shape:
        raise InputError(
            f"cost has shape {c.shape}, gain has shape {g.shape}.", hint="give one of each a row."
        )
    columns = {"row": np.arange(len(c)), "cost": c, "gain": g}
    reject_rows(~(np.isfinite(c) & np.isfinite(g)), "cost or gain is missing or infinite", columns)
    reject_rows(c < 0, "cost is negative", columns)
    return c, g
