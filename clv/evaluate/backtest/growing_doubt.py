"""How doubt grows with the horizon, measured on a log's own past.

Where the power by which rates fall with age is a little off, a total is off by that little times
log(1 + horizon / known): its *reach*, how far ahead it looks beside how far back it knows. So the
misses of forecasts from earlier days, each over its reach, say how unsure a total further ahead is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from clv.data.summary import split_holdout
from clv.errors import FitError
from clv.evaluate.backtest.origin import day_of, plain
from clv.findings import finding
from clv.periods import Duration, Unit
from clv.probability.estimator import PurchaseModel
from clv.value.common_factor import CommonFactor, common_factor
from clv.value.totals import total_purchases

SHARES = (1 / 3, 1 / 2, 2 / 3)  # of what is known, from which the rest is forecast
LEAST = 14  # days to know, and to forecast


@dataclass(frozen=True)
class GrowingDoubt:
    """Misses of forecasts from earlier days.

    Attributes
    ----------
    log_ratios, explained
        As in ``Misses``, over the reach of each.
    span
        Days of the log.
    """

    log_ratios: tuple[float, ...]
    explained: tuple[float, ...]
    span: float

    def over(self, horizon: Duration) -> CommonFactor:
        """The common factor on a total over the horizon that follows the log."""
        reach = float(np.log1p(horizon.to("day") / self.span))
        factor = common_factor(self.log_ratios, self.explained)
        squares = np.square(self.log_ratios) - np.square(self.explained)
        note = finding(
            "interval.growing",
            sd=factor.sd * reach,
            cutoffs=factor.cutoffs,
            beyond=float(np.sqrt(max(squares.mean(), 0.0)) * np.log(2)),
            horizon=str(horizon),
        )
        return replace(factor, sd=factor.sd * reach, note=note)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "log_ratios": [*self.log_ratios], "explained": [*self.explained]}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> GrowingDoubt:
        """What ``to_dict`` wrote."""
        return cls(tuple(saved["log_ratios"]), tuple(saved["explained"]), saved["span"])


def growing_doubt(
    log: Any, purchases: PurchaseModel, unit: Unit = "week", last: dt.date | None = None
) -> GrowingDoubt | None:
    """What totals of a log were off from earlier days to its end; None where it is too short.

    Parameters
    ----------
    log
        A clean log: customer_id, date, amount.
    purchases
        Its kind is fitted anew at each of these days, on what was known then.
    last
        The last day to know; the log's last day if not given.
    """
    rows = plain(log)
    first, last = day_of(rows["date"].min()), last or day_of(rows["date"].max())
    span = (last - first).days
    pairs = []
    for share in SHARES:
        days = round(share * span)
        if not LEAST <= days <= span - LEAST:
            continue
        table: Any = split_holdout(rows, first + dt.timedelta(days), last, unit)
        came = float(table["holdout_frequency"].sum())
        try:
            model = type(purchases)(unit=unit).fit(table)
        except FitError:
            continue
        total = total_purchases(table, model, Duration(span - days, "day"))
        if came and total.mean:
            missed = np.array([np.log(came / total.mean), total.log_sd])
            pairs.append((missed / np.log(span / days)).tolist())
    if not pairs:
        return None
    log_ratios, explained = map(tuple, zip(*pairs, strict=True))
    return GrowingDoubt(log_ratios, explained, float(span))


def doubt_record(log: Any, purchases: PurchaseModel, unit: Unit) -> dict[str, Any] | None:
    """``growing_doubt`` as JSON values; None where the log or the model does not allow it."""
    doubt = growing_doubt(log, purchases, unit) if purchases.times else None
    return doubt.to_dict() if doubt else None


def grown_factor(training: Mapping[str, Any] | None, horizon: Duration) -> CommonFactor | None:
    """The factor on a total over a horizon, by the record of a training that has one."""
    record = (training or {}).get("growing_doubt")
    return GrowingDoubt.from_dict(record).over(horizon) if record else None
