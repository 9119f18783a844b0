"""Scores of customers, read and checked once at the door of every decision."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from clv.errors import ColumnError, InputError
from clv.schema import Floats, collect, numbers, reject_rows, same_kind
from clv.score_columns import BUYERS, PLAN, CustomerWords, words_for

ID = "customer_id"
RISK, STAKE, ALIVE = "churn_probability", "value_at_stake", "probability_alive"
IF_BACK = "value_if_back"  # what a customer who had left is worth once back
SILENCE = "days_since_last"

# Columns that hold numbers, with the range that each must be in.
PROBABILITY, AMOUNT, ANY = (0.0, 1.0), (0.0, np.inf), (-np.inf, np.inf)
MEASURES = {
    RISK: PROBABILITY,
    ALIVE: PROBABILITY,
    STAKE: ANY,
    IF_BACK: ANY,
    SILENCE: AMOUNT,
    "clv": AMOUNT,
    "expected_purchases": AMOUNT,
}
# Columns that are the same in every row of one run; what must not be mixed in one decision.
TERMS = (
    "horizon",
    "churn_horizon",
    "annual_discount_rate",
    "margin_rate",
    "currency",
    "unit",
    "as_of",
    "model_version",
)
NEVER_MIXED = ("horizon", "currency", "as_of")


@dataclass(frozen=True)
class Scores:
    """Scores of customers, a row each: everybody once, every measure needed in its range.

    Attributes
    ----------
    rows
        The columns read, in memory, but for the terms.
    measures
        Columns of ``MEASURES`` by name, arrays of shape (customers,); amounts of money in
        ``currency``.
    terms
        What is the same for everybody: horizon, currency, unit, as_of and the like.
    like
        The table that they came in, whose kind results take.
    """

    rows: nw.DataFrame[Any]
    measures: Mapping[str, Floats]
    terms: Mapping[str, Any]
    like: Any = field(repr=False)
    _draws: dict[int, Floats] = field(default_factory=dict, repr=False, compare=False)
    _orders: dict[int, NDArray[np.intp]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(
        cls,
        table: object,
        needed: Sequence[str] = (),
        optional: Sequence[str] = (),
        terms: Mapping[str, Any] | None = None,
    ) -> Scores:
        """Scores from any dataframe.

        Parameters
        ----------
        table
            One row per customer, or ``Scores``, which are returned if they have what is needed.
        needed
            Columns that must be there beside customer_id; measures among them are checked.
        optional
            Columns to read if they are there. Measures among them are not checked.
        terms
            What is the same for everybody and no column of the table.

        Raises
        ------
        ColumnError, RowError, InputError
            A column is missing or holds no numbers, an id is missing or repeated, a measure is
            out of its range, or values over several horizons would be added.

        Examples
        --------
        >>> import pandas as pd
        >>> scores = Scores.read(
        ...     pd.DataFrame({"customer_id": [7, 8], "value_at_stake": [40, 5], "currency": "EUR"}),
        ...     ["value_at_stake"],
        ... )
        >>> scores.value_at_stake, scores.currency, len(scores)
        (array([40.,  5.]), 'EUR', 2)
        """
        if isinstance(table, Scores):
            return table._with(needed)
        names = tuple(dict.fromkeys((ID, *needed)))
        more = [name for name in dict.fromkeys((*optional, *TERMS)) if name not in names]
        rows = collect(table, names, "the scores", more)
        _check_ids(rows)
        read = [n for n in rows.columns if n in MEASURES]
        measures = {name: numbers(rows, name, "the scores") for name in read}
        _check_measures(rows, {n: x for n, x in measures.items() if n in names})
        same = _terms(rows)
        return cls(rows.drop(list(same)), measures, {**same, **(terms or {})}, table)

    def _with(self, needed: Sequence[str]) -> Scores:
        if missing := [n for n in needed if n not in self.rows.columns]:
            raise ColumnError(
                f"the scores were read without {', '.join(missing)}.", hint="read them with it."
            )
        return self

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def words(self) -> CustomerWords:
        """What is said of these customers: those with a plan are under contract."""
        if PLAN not in self.rows.columns:
            return BUYERS
        return words_for(len(self) - self.rows[PLAN].null_count(), len(self))

    @property
    def ids(self) -> list[Any]:
        """Of the customers."""
        return self.rows[ID].to_list()

    @property
    def churn_probability(self) -> Floats:
        """Chance of no purchase within the churn horizon; shape (customers,)."""
        return self.measures[RISK]

    @property
    def value_at_stake(self) -> Floats:
        """Present value of who stays beyond that of who leaves, in currency."""
        return self.measures[STAKE]

    @property
    def horizon(self) -> str | None:
        """Over which values are counted."""
        return self.terms.get("horizon")

    @property
    def currency(self) -> str | None:
        """Of all amounts of money."""
        return self.terms.get("currency")

    @property
    def as_of(self) -> dt.date | None:
        """The last day that they know of."""
        day = self.terms.get("as_of")
        return None if day is None else dt.date.fromisoformat(str(day)[:10])

    def draw(self, seed: int) -> Floats:
        """A uniform number in [0, 1) for everybody, by id and seed; drawn once."""
        if seed not in self._draws:
            self._draws[seed] = draw_by_id(self.ids, seed)
        return self._draws[seed]

    def by_draw(self, seed: int) -> NDArray[np.intp]:
        """Everybody in the order of the draw; sorted once."""
        if seed not in self._orders:
            self._orders[seed] = np.argsort(self.draw(seed))
        return self._orders[seed]

    def in_order_of_draw(self, seed: int) -> Scores:
        """The same customers, as plans of this seed go through them: what lies together is fast."""
        order = self.by_draw(seed)
        measures = {name: values[order] for name, values in self.measures.items()}
        drawn, first = {seed: self.draw(seed)[order]}, {seed: np.arange(len(self))}
        return replace(self, rows=self.rows[order], measures=measures, _draws=drawn, _orders=first)

    def same_kind(self, rows: nw.DataFrame[Any]) -> Any:
        """``rows`` as the kind of table that the scores came in."""
        return same_kind(rows, self.like)


def _check_ids(rows: nw.DataFrame[Any]) -> None:
    """``RowError`` unless every customer is there once; ``InputError`` if there is none."""
    if len(rows) == 0:
        raise InputError("the scores have no customers.", hint="score a summary first.")
    ids = rows[ID]
    examples: dict[str, Any] = {ID: ids.to_numpy()}
    reject_rows(ids.is_null().to_numpy(), "customer_id is missing", examples)
    if ids.n_unique() < len(rows):
        reject_rows(ids.is_duplicated().to_numpy(), "customer_id is repeated", examples)


def _check_measures(rows: nw.DataFrame[Any], measures: Mapping[str, Floats]) -> None:
    examples: dict[str, Any] = {ID: rows[ID].to_numpy(), **measures}
    for name, values in measures.items():
        low, high = MEASURES[name]
        if high == 1:
            outside = ~((values >= low) & (values <= high))
            reject_rows(outside, f"{name} is not in [0, 1]", examples)
        reject_rows(~np.isfinite(values), f"{name} is missing or infinite", examples)
        reject_rows(values < low, f"{name} is negative", examples)


def _terms(rows: nw.DataFrame[Any]) -> dict[str, Any]:
    """By name, what is the same in every row; ``InputError`` where it must be and is not."""
    values = {name: rows[name].unique() for name in TERMS if name in rows.columns}
    for name in NEVER_MIXED:
        if name in values and len(values[name]) > 1:
            raise InputError(
                f"the scores mix several values of {name}.",
                hint=f"decide on customers of one {name} at a time.",
            )
    return {name: distinct[0] for name, distinct in values.items() if len(distinct) == 1}


def draw_by_id(ids: Sequence[object], seed: int) -> Floats:
    """A uniform number in [0, 1) per id: SipHash of its text, keyed by the seed.

    >>> draw_by_id(["ann", "bob"], 0).round(3), draw_by_id(["bob"], 0).round(3)
    (array([0.234, 0.294]), array([0.294]))
    """
    from pandas.util import hash_array

    key = hashlib.blake2b(str(seed).encode(), digest_size=8).hexdigest()
    text = np.array([str(id_) for id_ in ids], dtype=object)
    hashed = hash_array(text, hash_key=key, categorize=False)
    return np.asarray(hashed >> np.uint64(11), dtype=np.float64) / 2.0**53
