"""First-order values held against what came, beside one value for all, ZILN and boosted trees.

Customers are split at random. One half teaches; the other is valued by its first orders alone. Ours
learns from what the log knew at the cutoff; ZILN [1]_ and the trees need customers whose whole
horizon has passed, so they are shown the first half's, up to the end of the log.

References
----------
.. [1] Wang, Liu & Miao (2019), A deep probabilistic model for customer lifetime value prediction:
   the zero-inflated lognormal likelihood; linear here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from narwhals.typing import IntoFrame
from numpy.typing import NDArray

from clv.data.days import Day, as_day
from clv.data.log import COLUMNS, read_log
from clv.defaults import LEVEL
from clv.errors import InputError
from clv.evaluate.metrics import gini
from clv.format import change, counted, number, percent
from clv.notebook import InNotebook
from clv.periods import Duration, Unit
from clv.prospects.first_order_model import FirstOrderModel, fit_first_orders
from clv.prospects.first_orders import AMOUNT, DERIVED, first_orders
from clv.schema import Floats, collect
from clv.value.value import Terms

OURS, ZILN, TREES, MEAN = "first order", "ZILN", "boosted trees", "one value for all"
FEWEST = 20  # customers to judge by: few say little, and the standard errors show it
RESAMPLES = 100  # of the customers, for standard errors
SURE = 1.645  # standard errors: 95% one-sided


@dataclass(frozen=True)
class FirstOrderHit:
    """How a way to value first orders did.

    Attributes
    ----------
    method
        "first order", "ZILN", "boosted trees" or "one value for all".
    gini, gini_se
        Of the ranking by value, normalised, with its standard error over customers.
    total
        Money expected over money that came.
    coverage
        Share of customers within their 90% interval; None where a method has none.
    ahead
        Whether it ranks better than first-order values do, beyond chance (95%, one-sided).
    """

    method: str
    gini: float
    gini_se: float
    total: float
    coverage: float | None = None
    ahead: bool = False


@dataclass(frozen=True)
class FirstOrderBacktest(InNotebook):
    """First-order values of an earlier day against the money of the horizon after each.

    Attributes
    ----------
    cutoff, horizon
        The last day that was known, and how long after a first order money counts.
    customers
        Judged: none of them taught.
    hits
        By method.
    """

    cutoff: dt.date
    horizon: str
    customers: int
    hits: tuple[FirstOrderHit, ...]

    def hit_of(self, method: str) -> FirstOrderHit:
        """The figures of a method."""
        return next(hit for hit in self.hits if hit.method == method)

    @property
    def verdict(self) -> str:
        """In a sentence, whether first orders tell anything."""
        ours, best = self.hit_of(OURS), max(self.hits, key=lambda hit: hit.gini)
        if not ours.gini > SURE * ours.gini_se:
            return "First orders tell nothing here: not better than one value for all."
        if best.ahead:
            return (
                f"First orders tell customers apart; {best.method} ranks them better here (Gini "
                f"{number(best.gini, 3)} against {number(ours.gini, 3)}), but needs customers "
                f"whose {self.horizon} are over."
            )
        return f"First orders tell customers apart: Gini {number(ours.gini, 3)}."

    def __str__(self) -> str:
        lines = [
            f"first orders as of {self.cutoff}, {counted(self.customers, 'customer')} against the "
            f"{self.horizon} after each"
        ]
        for hit in self.hits:
            within = "" if hit.coverage is None else f", {percent(hit.coverage)} within interval"
            lines.append(
                f"  {hit.method}: Gini {number(hit.gini, 3)} ±{number(hit.gini_se, 3)}, total "
                f"{change(hit.total - 1)}{within}"
            )
        return "\n".join([*lines, f"  {self.verdict}"])

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"cutoff": str(self.cutoff), "verdict": self.verdict}


def first_order_backtest(
    log: IntoFrame,
    covariates: Sequence[str] = (AMOUNT,),
    *,
    cutoff: Day | None = None,
    horizon: str | Duration | None = None,
    unit: Unit = "week",
    seed: int = 0,
) -> FirstOrderBacktest:
    """How well first orders would have told what customers bring.

    Parameters
    ----------
    log
        As ``first_orders`` takes it.
    covariates
        As in ``first_orders``.
    cutoff
        The last day to learn from; if not given, after a third of the log.
    horizon
        How long after a first order money counts; if not given, from the cutoff to the end.
    unit
        The time unit of the models.
    seed
        Of the split into halves.

    Returns
    -------
    FirstOrderBacktest
        Ours beside one value for all, ZILN and boosted trees.

    Raises
    ------
    InputError
        Fewer than 20 customers can be judged, or a covariate leaks.

    Examples
    --------
    >>> from clv.data.cdnow import cdnow_log
    >>> judged = first_order_backtest(
    ...     cdnow_log(sample=True), ["amount", "quantity"], cutoff="1997-06-30", horizon="52 weeks")
    >>> judged.hit_of("first order").gini > 0.3
    True
    """
    _, start, last = read_log(log)
    day = start + (last - start) / 3 if cutoff is None else as_day(cutoff, "cutoff")
    span = Duration((last - day).days, "day") if horizon is None else Duration.parse(horizon)
    others = [name for name in dict.fromkeys(covariates) if name not in DERIVED]
    rows = collect(log, [*COLUMNS, *others], "the log").to_pandas()
    first = first_orders(rows, covariates, day)
    whole = first["first_order"] + pd.Timedelta(days=span.to("day")) <= pd.Timestamp(last)
    first = first[whole.to_numpy()].reset_index(drop=True)
    teaches = np.random.default_rng(seed).random(len(first)) < 0.5
    if (~teaches).sum() < FEWEST:
        raise InputError(
            f"{counted(int((~teaches).sum()), 'customer')} with a first order by {day} can be "
            f"followed for {span}, and {FEWEST} are needed.",
            hint="give an earlier cutoff or a shorter horizon.",
        )
    teachers = rows[rows["customer_id"].isin(first["customer_id"][teaches])]
    model = fit_first_orders(teachers, Terms(1.0, 0.0, span), covariates, as_of=day, unit=unit)
    hits = _hits(model, first, money_within(rows, first, span), teaches)
    return FirstOrderBacktest(day, str(span), int((~teaches).sum()), hits)


def _hits(
    model: FirstOrderModel, first: pd.DataFrame, came: Floats, teaches: NDArray[np.bool_]
) -> tuple[FirstOrderHit, ...]:
    """Every method on the customers who did not teach."""
    ours, y = model.predict(first[~teaches], LEVEL), came[~teaches]
    within = (ours["clv_low"] <= y + 1e-9) & (y <= ours["clv_high"] + 1e-9)
    z, new = model.coding.z(first[teaches]), model.coding.z(first[~teaches])
    forecasts = {
        OURS: ours["clv"].to_numpy(),
        ZILN: ziln_forecast(z, came[teaches], new),
        TREES: _trees(z, came[teaches], new),
        MEAN: np.full(len(y), ours["clv"].mean()),
    }
    spreads = {name: _resampled(y, forecast) for name, forecast in forecasts.items()}
    hits = []
    for name, forecast in forecasts.items():
        gain, reached = spreads[name] - spreads[OURS], gini(y, forecast)
        ahead = reached - gini(y, forecasts[OURS]) > SURE * float(gain.std())
        total, spread = float(forecast.sum() / y.sum()), float(spreads[name].std())
        hits.append(FirstOrderHit(name, reached, spread, total, ahead=ahead))
    return replace(hits[0], coverage=float(within.mean())), *hits[1:]


def money_within(rows: pd.DataFrame, first: pd.DataFrame, span: Duration) -> Floats:
    """What each customer spent after the day of the first order, within ``span`` of it."""
    began = rows["customer_id"].map(first.set_index("customer_id")["first_order"])
    days = (pd.to_datetime(rows["date"]).dt.normalize() - began).dt.days
    later = rows[(days > 0) & (days <= span.to("day"))]
    spent = later.groupby("customer_id")["amount"].sum().reindex(first["customer_id"])
    return spent.fillna(0.0).to_numpy(dtype=np.float64)


def ziln_forecast(z: Floats, y: Floats, new: Floats) -> Floats:
    """E = p exp(mu + sigma^2 / 2): p logistic, log y linear where y > 0; shape as ``new``."""
    from sklearn.linear_model import LinearRegression, LogisticRegression

    bought = y > 0
    chance = np.full(len(new), bought.mean())
    if 0 < bought.mean() < 1:
        chance = LogisticRegression().fit(z, bought).predict_proba(new)[:, 1]
    linear = LinearRegression().fit(z[bought], np.log(y[bought]))
    sigma2 = float(np.var(np.log(y[bought]) - linear.predict(z[bought])))
    return np.asarray(chance * np.exp(linear.predict(new) + sigma2 / 2))


def _trees(z: Floats, y: Floats, new: Floats) -> Floats:
    from sklearn.ensemble import HistGradientBoostingRegressor

    trees = HistGradientBoostingRegressor(
        loss="poisson", max_iter=60, max_leaf_nodes=8, min_samples_leaf=100, learning_rate=0.05
    )
    return np.asarray(trees.fit(z, y).predict(new))


def _resampled(y: Floats, forecast: Floats) -> Floats:
    """The Gini of resamples of the customers, the same ones for every forecast."""
    rng, n = np.random.default_rng(1), len(y)
    again = (rng.integers(0, n, n) for _ in range(RESAMPLES))
    return np.array([gini(y[rows], forecast[rows]) for rows in again])
