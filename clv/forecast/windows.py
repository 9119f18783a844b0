"""Windows: earlier days with what followed, the rows that a forecast of the next h learns from."""

from __future__ import annotations

import datetime as dt
import itertools
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame

from clv.data.features import beside_behaviour, refuse_future
from clv.data.log import read_log
from clv.data.summary import customer_days, of_customer_days, split_customer_days
from clv.errors import FitError
from clv.forecast.inputs import READS, Customers
from clv.io.spark_batches import on_spark
from clv.periods import Duration, Unit
from clv.probability.estimator import PurchaseModel
from clv.probability.gamma_gamma import GammaGamma
from clv.schema import Floats, Frame, as_frame, numbers, same_kind

BACK = (1.0, 1.5, 2.0, 3.0)  # how many h before today the windows begin
BEFORE = 0.8  # of h that a window needs before it
BUYERS = 50  # in a window, fewer teach nothing
MOST = 40_000  # customers; more are sampled


@dataclass(frozen=True, eq=False)
class Window:
    """Customers as of a day, and what they bought and spent in the h after it, shape (n,) each."""

    day: dt.date
    customers: Customers
    purchases: Floats
    money: Floats

    def where(self, rows: Any) -> Window:
        """The customers at ``rows``: a mask or indices."""
        return Window(self.day, self.customers.where(rows), self.purchases[rows], self.money[rows])


@dataclass(frozen=True, eq=False)
class Past:
    """An order log from which windows are cut, each once.

    Attributes
    ----------
    log
        customer_id, date, amount in memory; of ``MOST`` customers if there were more.
    horizon, unit
        h, and the unit of all times.
    model
        The kind of purchase model that is fitted at every window.
    customers, sampled
        How many the log had, and how many of them are in ``log``.
    """

    log: Any
    horizon: Duration
    unit: Unit
    model: type[PurchaseModel]
    customers: int
    sampled: int

    @classmethod
    def from_log(
        cls,
        log: IntoFrame,
        horizon: Duration,
        unit: Unit,
        model: type[PurchaseModel],
        most: int = MOST,
    ) -> Past:
        """Take what is needed of a clean log, of any engine, into memory."""
        frame = as_frame(log, "the log").select("customer_id", "date", "amount")
        ids = frame.select("customer_id").unique().collect()["customer_id"].sort()
        if len(ids) > most:
            rows = np.sort(np.random.default_rng(0).choice(len(ids), most, replace=False))
            frame = _of_customers(frame, ids[rows.tolist()])
        return cls(frame.collect().to_native(), horizon, unit, model, len(ids), min(len(ids), most))

    @cached_property
    def ends(self) -> tuple[dt.date, dt.date]:
        """The first and the last day of the log."""
        date = nw.col("date").cast(nw.Date)
        ends = as_frame(self.log).select(first=date.min(), last=date.max()).collect()
        first, last = ends.row(0)
        return first, last

    @cached_property
    def days(self) -> int:
        """The horizon in days."""
        return round(self.horizon.to("day"))

    @cached_property
    def _bought(self) -> Frame:
        """What each customer spent on each day, in order: all windows are cut from it."""
        rows, _, _ = read_log(self.log)
        kind = rows.collect_schema()["customer_id"]
        if isinstance(kind, nw.Categorical | nw.Enum):  # on which PyArrow does not join
            rows = rows.with_columns(nw.col("customer_id").cast(nw.String))
        table = nw.from_native(rows.collect().to_arrow())  # which cuts sooner than pandas
        return customer_days(table).sort("customer_id", "date").lazy()

    @cached_property
    def _cut(self) -> dict[dt.date, Window | None]:
        return {}

    def before(self, day: dt.date) -> list[Window]:
        """The windows that one can learn from at the end of ``day``, the newest first."""
        days = (day - dt.timedelta(round(back * self.days)) for back in BACK)
        windows = itertools.takewhile(lambda window: window is not None, map(self.usable, days))
        return [window for window in windows if window]

    def usable(self, day: dt.date) -> Window | None:
        """The window that begins after ``day``, if enough of the log lies before it."""
        enough = (day - self.ends[0]).days >= BEFORE * self.days
        return self.window(day) if enough else None

    def window(self, day: dt.date) -> Window | None:
        """The customers at the end of ``day`` and the h after it; None where too few bought."""
        if day not in self._cut:
            self._cut[day] = None
            with suppress(FitError):
                window = self._window(day)
                if (window.purchases > 0).sum() >= BUYERS:
                    self._cut[day] = window
        return self._cut[day]

    def customers_at(self, day: dt.date, model: PurchaseModel, spend: GammaGamma) -> Customers:
        """The customers as they stand at the end of ``day``."""
        earlier = self._bought.filter(nw.col("date") <= nw.lit(day))
        wide = self._wide(of_customer_days(earlier, day, self.unit), day)
        return self._customers(wide, model, spend)

    def purchases_within(self, day: dt.date, days: int) -> Floats:
        """What the customers at the end of ``day`` bought in the days after it, shape (n,)."""
        held = self._split(day, days).collect().sort("customer_id")
        return numbers(held, "holdout_frequency")

    def _split(self, day: dt.date, days: int) -> Frame:
        return split_customer_days(self._bought, day, day + dt.timedelta(days), self.unit)

    def _window(self, day: dt.date) -> Window:
        rows = self._wide(self._split(day, self.days), day)
        table = rows.to_native()
        model, spend = self.model(unit=self.unit).fit(table), GammaGamma().fit(table)
        happened = (numbers(rows, name) for name in ("holdout_frequency", "holdout_value"))
        return Window(day, self._customers(rows, model, spend), *happened)

    def _wide(self, table: Frame, day: dt.date) -> nw.DataFrame[Any]:
        known = self._bought.filter(nw.col("date") <= nw.lit(day))
        wide = beside_behaviour(table, known, day, self.horizon, self.unit).collect()
        refuse_future(wide.to_native(), day)
        return wide.sort("customer_id")

    def _customers(
        self, rows: nw.DataFrame[Any], model: PurchaseModel, spend: GammaGamma
    ) -> Customers:
        columns = {name: numbers(rows, name) for name in READS}
        return Customers.from_columns(columns, model, spend, self.horizon.to(self.unit))


def _of_customers(frame: Frame, ids: nw.Series[Any]) -> Frame:
    """The rows of these customers; Spark joins them, as a list of thousands is slow to plan."""
    if not on_spark(frame):
        return frame.filter(nw.col("customer_id").is_in(ids.to_list()))
    table = same_kind(ids.to_frame(), frame.to_native())
    return frame.join(nw.from_native(table), on="customer_id", how="semi")
