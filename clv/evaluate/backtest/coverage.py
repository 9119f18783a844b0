"""Nominal and measured coverage of a purchase model's intervals: of customers, and of totals.

Single customers are held against their own predictive distribution. A total is held against what
its model expects of it by chance alone, and against that with a common factor on top, which is
estimated at the other cutoffs: no total is judged by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from clv.defaults import LEVEL
from clv.evaluate import LEVELS
from clv.evaluate.backtest.origin import Calibration, Origin
from clv.evaluate.backtest.rolling import WHATS, RollingOrigin, What, actual
from clv.periods import Duration
from clv.value.common_factor import CommonFactor, common_factor
from clv.value.total_moments import Total, TotalMoments
from clv.value.totals import purchases_moments, value_moments
from clv.value.value import Terms


@dataclass(frozen=True)
class Misses:
    """How far the totals of several cutoffs were off.

    Attributes
    ----------
    log_ratios
        log(actual total / predicted total), one per cutoff.
    explained
        So much of it the model expects by the chance of single customers: a standard deviation.
        The parameters are taken as known, so that their uncertainty is left to the common factor.
    """

    log_ratios: tuple[float, ...]
    explained: tuple[float, ...]

    def factor(self, without: int | None = None) -> CommonFactor:
        """The common factor that they speak for; ``without`` one of the cutoffs if it is judged."""
        index = [i for i in range(len(self.log_ratios)) if i != without]
        ratios, explained = np.array(self.log_ratios)[index], np.array(self.explained)[index]
        return common_factor(ratios, explained)


def misses(rolling: RollingOrigin, title: str, what: What) -> Misses:
    """How far a purchase model's totals were off; ``title`` as in the table, such as "BG/NBD"."""
    ratios = rolling.log_ratios(title)[what]
    expected = [_total(origin, rolling.models[title], what).log_sd for origin in rolling.origins]
    return Misses(tuple(ratios), tuple(expected))


def coverage_table(rolling: RollingOrigin, title: str) -> pd.DataFrame:
    """How often a purchase model's central intervals held what happened.

    Columns: what ("purchases of customers", "total money, models alone", "total money", ...), n
    (customers of all cutoffs, or cutoffs), nominal, inside, randomized; see
    :func:`clv.evaluate.interval_coverage`. randomized is NaN for totals, which have no atoms. A few
    cutoffs say little of totals: read 2 of 3, not 67%.
    """
    if title not in rolling.coverage_tables:
        rolling.coverage_tables[title] = _coverage_table(rolling, title)
    return rolling.coverage_tables[title].copy()


def _coverage_table(rolling: RollingOrigin, title: str) -> pd.DataFrame:
    coverage = rolling.coverage().rename(columns={"customers": "n"})
    ours = coverage[coverage["forecast"] == title].drop(columns="forecast")
    customers = ours.assign(what=ours["what"] + " of customers")
    totals = [_totals_coverage(rolling, title, what) for what in WHATS]
    return pd.concat([customers, *totals], ignore_index=True)


def rolling_record(rolling: RollingOrigin, title: str) -> dict[str, Any]:
    """What goes with a fitted model, as JSON values: how such models did, and their coverage.

    ``misses`` hold what ``common_factor`` takes, by purchases and money.
    """
    return {
        "days": rolling.days,
        "cutoffs": [str(origin.calibration.cutoff) for origin in rolling.origins],
        "means": _records(rolling.means()),
        "coverage": _records(coverage_table(rolling, title)),
        "misses": {what: _plain(misses(rolling, title, what)) for what in WHATS},
    }


def _totals_coverage(rolling: RollingOrigin, title: str, what: What) -> pd.DataFrame:
    missed, n = misses(rolling, title, what), len(rolling.origins)
    factors = [missed.factor(without=i) for i in range(n)] if n > 1 else []
    cases: dict[str, list[Any]] = {f"total {what}, models alone": [None] * n}
    if factors:
        cases[f"total {what}"] = list(factors)
    rows = [
        {"what": name, "n": n, "nominal": level, "inside": share, "randomized": float("nan")}
        for name, common in cases.items()
        for level, share in _inside(rolling, rolling.models[title], what, common).items()
    ]
    return pd.DataFrame(rows)


def _inside(
    rolling: RollingOrigin, name: str, what: What, common: list[CommonFactor | None]
) -> dict[float, float]:
    """By level, the share of the cutoffs whose total lay within its interval."""
    shares = {}
    for level in LEVELS:
        totals = [
            _total(origin, name, what, level, factor)
            for origin, factor in zip(rolling.origins, common, strict=True)
        ]
        held = [
            total.low <= actual(origin, what).sum() <= total.high
            for origin, total in zip(rolling.origins, totals, strict=True)
        ]
        shares[level] = float(np.mean(held))
    return shares


def total_interval(origin: Origin, what: What) -> tuple[float, float]:
    """The 90% interval of a total, as factors on its forecast, from what was known at the cutoff.

    What moves everybody at once is that of the weeks before it; money adds the chance of amounts.
    """
    calibration = origin.calibration
    variance = calibration.total.log_sd**2
    if what == "money":
        money, purchases = (_total(origin, calibration.base, each).log_sd for each in WHATS[::-1])
        variance += max(money**2 - purchases**2, 0.0)
    reach = float(norm.ppf((1 + LEVEL) / 2) * np.sqrt(variance))
    return float(np.exp(-reach)), float(np.exp(reach))


def _total(
    origin: Origin,
    name: str,
    what: What,
    level: float = LEVEL,
    common: CommonFactor | None = None,
) -> Total:
    moments = origin.calibration.moments
    if (name, what) not in moments:
        moments[name, what] = _moments(origin.calibration, name, what)
    return moments[name, what].total(level, common)


def _moments(calibration: Calibration, name: str, what: What) -> TotalMoments:
    horizon, model = Duration(calibration.days, "day"), calibration.purchases[name]
    if what == "purchases":
        return purchases_moments(calibration.summary, model, horizon)
    terms = Terms(1.0, 0.0, horizon)
    return value_moments(calibration.summary, model, calibration.spend, terms)


def _plain(missed: Misses) -> dict[str, list[float]]:
    return {name: [round(value, 6) for value in values] for name, values in vars(missed).items()}


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON values: NaN, which JSON has not, as None."""
    plain = table.round(6).astype(object).where(table.notna(), None)
    return [{str(k): v for k, v in row.items()} for row in plain.to_dict("records")]
