"""What changed since an earlier run, and why: the difference in value, split into steps.

Customers are scored again and again with the earlier model, each time on a history that has one
thing more of what came since; what a step adds is the difference to the score before it::

    the earlier model, on the orders it was given        the value then
      + time passing        what it expected the value to be by now: by the law of total expectation
                            e^(delta d) [D(d + H) - D(d)] / D(H) of it, D being the discounted
                            purchases and d the days between
      + silence, orders     who ordered and who did not, new orders priced as it expected
      + spend               new orders at what was really paid
      + refunds             earlier orders as they are known today
      + new customers       as the earlier model values them
      + terms               today's margin, discount and horizon
      + model               today's model: the value now

A purchase at a customer's expected spend leaves that expectation as it was (Gamma-Gamma, eq. 5 of
Fader & Hardie 2013), so that the orders' step is about orders and the spend's about money alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from clv.data.days import as_day
from clv.data.summary import summarize
from clv.errors import InputError
from clv.history import HISTORY, History
from clv.periods import DAYS
from clv.schema import Floats
from clv.scorer import CustomerScorer

STEPS = ("time", "silence", "orders", "spend", "refunds", "new", "terms", "model", "other")
CENTS = 100


@dataclass(frozen=True)
class ValuedBase:
    """The values of one run, and what they were worked out from.

    Attributes
    ----------
    values
        ``clv`` by customer_id, which is text.
    as_of
        The day of the run.
    scorer
        The model that scored; None if it is not known.
    log
        Clean orders up to that day (customer_id as text, date, amount and, where known, channel);
        None if they are not known.
    """

    values: pd.Series[float]
    as_of: str
    scorer: CustomerScorer | None = None
    log: pd.DataFrame | None = None


@dataclass(frozen=True)
class ValueChange:
    """Why the customers are worth another sum than at an earlier run.

    Attributes
    ----------
    since, until
        The days of both runs.
    customers
        One row per customer of either run: before, after, and the steps, which add up to the
        difference.
    was_scored, is_scored
        Whether each of them is of the earlier run, and of the later one; by customer.
    orders, expected_orders
        What the customers of the earlier run ordered since (days with a purchase), and what its
        model expected of them; None where that cannot be said.
    """

    since: str
    until: str
    customers: pd.DataFrame
    was_scored: pd.Series[bool]
    is_scored: pd.Series[bool]
    orders: int | None = None
    expected_orders: float | None = None

    @cached_property
    def levels(self) -> dict[str, float]:
        """The value before, after each step, and so at the end now: rounded to the cent."""
        sums = self.customers[["before", *STEPS]].sum().cumsum()
        sums.iloc[-1] = self.customers["after"].sum()
        return {str(name): round(float(value), 2) for name, value in sums.items()}

    @cached_property
    def amounts(self) -> dict[str, float]:
        """What each step added; in cents they add up to the difference, exactly."""
        cents = np.rint(np.asarray(list(self.levels.values())) * CENTS)
        return dict(zip(STEPS, (np.diff(cents) / CENTS).tolist(), strict=True))


def explain_change(before: ValuedBase, after: ValuedBase) -> ValueChange:
    """Split the difference between two runs into steps, customer by customer.

    Where the earlier run kept no model or no orders, or for customers whom its model does not
    score (those under contract), all that is not a new customer is in the step "other".

    Parameters
    ----------
    before, after
        Both runs, their values in one currency; ``after`` is not of an earlier day.

    Raises
    ------
    InputError
        The later run is of an earlier day.

    Examples
    --------
    >>> then = ValuedBase(pd.Series({"ann": 80.0, "bob": 20.0}), "2024-03-31")
    >>> now = ValuedBase(pd.Series({"ann": 70.5, "eve": 30.0}), "2024-04-30")
    >>> change = explain_change(then, now)
    >>> change.levels["before"], {n: v for n, v in change.amounts.items() if v}
    (100.0, {'new': 30.0, 'other': -29.5})
    """
    if as_day(after.as_of, "as_of") < as_day(before.as_of, "as_of"):
        raise InputError(f"the run before is of {before.as_of}, this one of {after.as_of}.")
    ids = before.values.index.union(after.values.index)
    table = pd.DataFrame(0.0, index=ids, columns=["before", "after", *STEPS])
    table["before"] = before.values.reindex(ids, fill_value=0.0)
    table["after"] = after.values.reindex(ids, fill_value=0.0)
    difference = table["after"] - table["before"]
    was, there = (pd.Series(ids.isin(run.values.index), index=ids) for run in (before, after))
    table["other"] = difference.where(was, 0.0)
    table["new"] = difference.where(~was, 0.0)
    change = ValueChange(before.as_of, after.as_of, table, was, there)
    if before.scorer is None or before.log is None or after.log is None:
        return change
    return _Rescoring(before, after, before.scorer).explained(change)


@dataclass(frozen=True)
class _Rescoring:
    """The later run rescored by the earlier model, one change of the log at a time."""

    before: ValuedBase
    after: ValuedBase
    scorer: CustomerScorer

    @property
    def ahead(self) -> float:
        """From the earlier day to the later one, in the model's unit."""
        days = as_day(self.after.as_of, "as_of") - as_day(self.before.as_of, "as_of")
        return days.days / DAYS[self.scorer.unit]

    @cached_property
    def logs(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Days with a purchase, as they were known then and now."""
        return _days(self.before.log), _days(self.after.log)

    @cached_property
    def first(self) -> pd.DataFrame:
        """The scores then."""
        return scored(self.scorer, self.logs[0], self.before.as_of)

    @cached_property
    def since(self) -> pd.DataFrame:
        """What the customers of then ordered after the day of the earlier run."""
        now = self.logs[1]
        later = now["date"] > pd.Timestamp(self.before.as_of)
        return now[later & now["customer_id"].isin(self.first.index)]

    def explained(self, change: ValueChange) -> ValueChange:
        """The same with all that can be rescored in its steps, and what was ordered."""
        table = change.customers.copy()
        steps = self._steps(table["before"], table["after"])
        ids = steps.index.intersection(table.index)
        table.loc[ids, list(STEPS)] = steps.loc[ids]
        expected = self.scorer.purchases.conditional_expected_purchases(
            self.ahead, _history(self.first)[0]
        )
        return replace(
            change, customers=table, orders=len(self.since), expected_orders=float(expected.sum())
        )

    def _steps(self, before: pd.Series[float], after: pd.Series[float]) -> pd.DataFrame:
        """One row per customer whom the earlier model scores, then or now."""
        (then, now), since = self.logs, self.since
        usual = since.assign(amount=since["customer_id"].map(self.first["expected_spend"]))
        levels = {
            "then": self.first["clv"],
            "passed": self._passed(),
            "ordered": self._values(pd.concat([then, usual])),
            "paid": self._values(pd.concat([then, since])),
            "corrected": self._values(now),
        }
        v = pd.DataFrame(levels | {"restated": self._restated(levels["corrected"])}).fillna(0.0)
        start, end = (values.reindex(v.index, fill_value=0.0) for values in (before, after))
        existing = v.index.isin(self.first.index)
        bought = v.index.isin(since["customer_id"].unique())
        reaction = v["ordered"] - v["passed"]
        columns = {
            "time": v["passed"] - v["then"],
            "silence": reaction.where(~bought, 0.0),
            "orders": reaction.where(bought, 0.0),
            "spend": v["paid"] - v["ordered"],
            "refunds": (v["corrected"] - v["paid"]).where(existing, 0.0),
            "new": v["corrected"].where(~existing, 0.0),
            "terms": v["restated"] - v["corrected"],
            # and by what the earlier scores are not what their model says today
            "model": end - v["restated"] + v["then"] - start,
        }
        return pd.DataFrame(columns).assign(other=0.0)

    def _values(self, log: pd.DataFrame) -> pd.Series[float]:
        return _clv(scored(self.scorer, log, self.after.as_of))

    def _restated(self, corrected: pd.Series[float]) -> pd.Series[float]:
        """The earlier model on today's orders and today's terms."""
        later = self.after.scorer
        if later is None or later.terms == self.scorer.terms:
            return corrected
        restated = replace(self.scorer, terms=later.terms)
        return _clv(scored(restated, self.logs[1], self.after.as_of))

    def _passed(self) -> pd.Series[float]:
        """What the earlier model expected each value to be by the later day."""
        scorer, (history, _) = self.scorer, _history(self.first)
        d, delta = self.ahead, scorer.terms.delta(scorer.unit)
        horizon, det = scorer.terms.horizon.to(scorer.unit), scorer.purchases
        ends = [det.discounted_expected_purchases(t, delta, history) for t in (d, d + horizon)]
        whole = det.discounted_expected_purchases(horizon, delta, history)
        later = np.exp(delta * d) * (ends[1] - ends[0])
        share = np.divide(later, whole, out=np.ones_like(whole), where=whole > 0)
        return _clv(self.first).mul(share)


def scored(scorer: CustomerScorer, log: pd.DataFrame, as_of: str) -> pd.DataFrame:
    """History, clv and expected_spend by customer_id, of a log as of a day; no intervals."""
    summary = summarize(log, as_of=as_of, unit=scorer.unit)
    wide = scorer.churn.attach(summary, log, as_of, scorer.unit)
    columns = {name: wide[name].to_numpy() for name in wide.columns}
    forecast, pool = scorer.churn.forecast(columns, scorer.purchases), scorer.churn.pool
    values = scorer.rates.values(*_history(columns), forecast, None if pool is None else pool.fade)
    scores = {name: values[name] for name in ("clv", "expected_spend")}
    inputs = {name: columns[name] for name in (*HISTORY, "monetary_value")}
    return pd.DataFrame(inputs | scores, index=pd.Index(columns["customer_id"], name="customer_id"))


def _clv(scores: pd.DataFrame) -> pd.Series[float]:
    clv: pd.Series[float] = scores["clv"]
    return clv


def _history(columns: Mapping[str, Any] | pd.DataFrame) -> tuple[History, Floats]:
    x, t_x, T, zbar = (
        np.asarray(columns[name], dtype=np.float64) for name in (*HISTORY, "monetary_value")
    )
    return History(x, t_x, T), zbar


def _days(log: pd.DataFrame | None) -> pd.DataFrame:
    """One row per customer and day; of several channels the first in the alphabet."""
    assert log is not None
    channel = {"channel": ("channel", "min")} if "channel" in log else {}
    grouped = log.groupby(["customer_id", "date"], as_index=False, sort=False)
    return grouped.agg(amount=("amount", "sum"), **channel)
