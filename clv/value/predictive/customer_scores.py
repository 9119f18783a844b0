"""The scores of customers: what they are worth, how sure that is, and what their next h may bring.

Where there is a pooled forecast of the next h, the first h brings the money that it expects. What
comes after it is the purchase model's, in two cases: who was silent through h, and who was not; the
pool's P(no purchase in h) says how likely each is, so that for every customer

    CLV = P0 V_churn + (1 - P0) V_ret.

Both cases are multiplied by what is left of the customer's correction by then, see ``Pool.fade``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np

from clv.data.features import BEHAVIOUR, Columns
from clv.forecast.pool import PooledForecast
from clv.format import fine_percent, percent
from clv.history import HISTORY, History
from clv.periods import Unit
from clv.probability.estimator import PurchaseModel
from clv.probability.gamma_gamma import GammaGamma, expected_spend
from clv.schema import Floats, numbers
from clv.score_columns import SCORE_COLUMNS
from clv.shares import check_share
from clv.value.brought_back import value_if_back
from clv.value.predictive.quantiles import purchase_quantiles, value_quantiles
from clv.value.value import Terms

MADE_UP: dict[str, list[Any]] = {
    "frequency": [0, 2, 7],
    "recency": [0.0, 30.0, 20.0],
    "T": [38.0, 38.0, 60.0],
    "monetary_value": [0.0, 22.35, 41.0],
    "first_amount": [20.0, 35.0, 12.5],
    "days_since_last": [266.0, 56.0, 280.0],
}
CHANCES = ("probability_alive", "probability_no_purchase", "churn_probability")
MONEY = (
    *("clv", "clv_low", "clv_high", "expected_purchases", "expected_spend", "value_at_stake"),
    *("next_purchases", "next_purchases_low", "next_purchases_high", "next_revenue"),
)
PAID = (
    "clv",
    "clv_low",
    "clv_median",
    "clv_high",
    "expected_spend",
    "value_at_stake",
    "value_if_back",
    "next_revenue",
)


@dataclass(frozen=True)
class Rates:
    """The models and terms that customers are scored with.

    Attributes
    ----------
    purchases, spend, terms, unit
        As everywhere.
    h
        The churn horizon, in ``unit``.
    shrink
        Factor on the value at stake, see :func:`clv.value.value.value_at_stake`.
    levels
        Of the three quantiles of the value.
    """

    purchases: PurchaseModel
    spend: GammaGamma
    terms: Terms
    unit: Unit
    h: float
    shrink: float
    levels: Sequence[float]

    def __post_init__(self) -> None:
        check_share("shrink", self.shrink, "(0, 1]")

    def scores(
        self,
        history: History,
        zbar: Floats,
        forecast: PooledForecast | None,
        fade: float | None = None,
    ) -> dict[str, Floats]:
        """The scores by name, shape (n,) each, of customers whose next h is ``forecast``.

        Parameters
        ----------
        zbar
            Mean value of the repeat purchases, shape (n,).
        forecast
            None: the purchase model's own.
        fade
            As in ``Pool``.
        """
        means, known = self._means(history, zbar, forecast, fade)
        low, median, high = value_quantiles(
            *(self.purchases, self.spend, history, zbar, self.terms, self.unit, self.levels),
            known=known,
        ).T
        ends = {"clv_low": low, "clv_median": median, "clv_high": high}
        scores = means | ends | self._next(history, means["expected_spend"], forecast)
        back = value_if_back(self.purchases, self.terms, self.unit, history)
        if back is not None:
            scores["value_if_back"] = means["expected_spend"] * back
        return {name: scores[name] for name in SCORE_COLUMNS if name in scores}

    def scores_of(
        self, columns: Columns, forecast: PooledForecast | None, fade: float | None
    ) -> dict[str, Floats]:
        """As ``scores``, of the columns of a summary, with those by which customers spend more.

        Each is then an ordinary customer in a coin of its own, see ``in_one_coin``.
        """
        history, zbar = _read(columns)
        if not self.spend.reads:
            return self.scores(history, zbar, forecast, fade)
        covariates = nw.from_dict({n: columns[n] for n in self.spend.reads}, backend="pandas")
        ordinary, coin = self.spend.in_one_coin(covariates.to_native())
        if forecast is not None:
            forecast = replace(forecast, money=forecast.money / coin)
        scores = replace(self, spend=ordinary).scores(history, zbar / coin, forecast, fade)
        return {name: s * coin if name in PAID else s for name, s in scores.items()}

    def values(
        self, history: History, zbar: Floats, forecast: PooledForecast | None, fade: float | None
    ) -> dict[str, Floats]:
        """As ``scores``, of the same customers, but for intervals and the next h."""
        return self._means(history, zbar, forecast, fade)[0]

    def _means(
        self, history: History, zbar: Floats, forecast: PooledForecast | None, fade: float | None
    ) -> tuple[dict[str, Floats], tuple[Floats, Floats] | None]:
        """The scores but for intervals and the next h, and what ``value_quantiles`` takes."""
        model, terms, unit, h = self.purchases, self.terms, self.unit, self.h
        per_purchase = expected_spend(self.spend._parameters(), history.x, zbar)
        margin, delta, length = terms.margin_rate, terms.delta(unit), terms.horizon.to(unit)
        whole = model.discounted_expected_purchases(length, [delta, 0.0], history)
        clv, expected = margin * per_purchase * whole[:, 0], whole[:, 1]
        buys, known = model.probability_of_purchase(h, history), None
        silent, churn = 1 - buys, 1 - buys
        waited = History(history.x, history.t_x, history.T + h)
        after = model.discounted_expected_purchases(length - h, [delta, 0.0], waited)
        after[:, 0] *= np.exp(-delta * h)
        if forecast is not None:
            churn, buys, of_model = forecast.no_purchase, 1 - forecast.no_purchase, clv
            first = model.discounted_expected_purchases(h, [delta, 0.0], history)
            later, after = self._later(forecast, silent, whole - first, after, fade)
            discount = _ratio(first[:, 0], first[:, 1])
            clv = margin * (forecast.money * discount + per_purchase * later[:, 0])
            expected = forecast.purchases + later[:, 1]
            within = model.probability_of_purchase(length, history)
            known = known_besides(within, silent, churn, of_model, clv)
        gain = clv - margin * per_purchase * after[:, 0]
        return {
            "clv": clv,
            "expected_purchases": expected,
            "expected_spend": per_purchase,
            "probability_alive": model.probability_alive(history),
            "probability_no_purchase": silent,
            "churn_probability": churn,
            "value_at_stake": self.shrink * np.maximum(_ratio(gain, buys, 0.0), 0.0),
        }, known

    def _next(
        self, history: History, per_purchase: Floats, forecast: PooledForecast | None
    ) -> dict[str, Floats]:
        """What the next h brings, with the interval of the purchases."""
        ends = (self.levels[0], self.levels[-1])
        if forecast is None:
            bought = self.purchases.conditional_expected_purchases(self.h, history)
            revenue = bought * per_purchase
            low, high = purchase_quantiles(self.purchases, self.h, history, ends).T
        else:
            bought, revenue = forecast.purchases, forecast.money
            low, high = forecast.quantiles(ends).T
        return {
            "next_purchases": bought,
            "next_purchases_low": low,
            "next_purchases_high": high,
            "next_revenue": revenue,
        }

    def beyond(
        self, columns: Columns, forecast: PooledForecast, fade: float | None
    ) -> dict[str, float | None]:
        """By what share the value of customers would differ if corrections faded otherwise."""
        history, zbar = _read(columns)
        used, without, lasting = (
            float(self._means(history, zbar, forecast, left)[0]["clv"].sum())
            for left in (fade, None, 1.0)
        )
        return {"fade": fade, "without": without / used - 1, "lasting": lasting / used - 1}

    def _later(
        self,
        forecast: PooledForecast,
        silent: Floats,
        later: Floats,
        after: Floats,
        fade: float | None,
    ) -> tuple[Floats, Floats]:
        """Purchases after h, (n, 2) each as ``after``: in all, and of who was silent through h.

        ``later`` is what the purchase model expects in all, ``silent`` its P(no purchase in h).
        """
        missed = silent[:, None]
        active = np.maximum(_ratio(later - missed * after, 1 - missed), 0.0)
        left = self._lasting(forecast.factor, fade)[:, None]
        after, active = left * after, left * active
        churn = forecast.no_purchase[:, None]
        return churn * after + (1 - churn) * active, after

    def _lasting(self, factor: Floats, fade: float | None) -> Floats:
        """By what purchases after h are multiplied: what is left of each factor, h after h.

        The weights of the spans are those of a new customer's discounted purchases.
        """
        total, model = np.zeros_like(factor), self.purchases
        if not fade:
            return total + 1
        end, delta = self.terms.horizon.to(self.unit), self.terms.delta(self.unit)
        ends = np.append(np.arange(self.h, end, self.h), end)
        weight = np.diff(model.discounted_expected_purchases(ends, delta))
        for i, part in enumerate(weight / weight.sum(), start=1):
            total += part * np.exp(factor * fade**i)
        return total


def _read(columns: Columns) -> tuple[History, Floats]:
    return History(*(columns[name] for name in HISTORY)), columns["monetary_value"]


def _ratio(above: Floats, below: Floats, nothing: float = 1.0) -> Floats:
    """``above / below``, and ``nothing`` where there is nothing below."""
    above, below = np.broadcast_arrays(above, below)
    filled = np.full(above.shape, nothing)
    return np.asarray(np.divide(above, below, out=filled, where=below > 0))


def known_besides(
    within: Floats, silent: Floats, churn: Floats, of_model: Floats, clv: Floats
) -> tuple[Floats, Floats]:
    """What a pooled forecast knows besides the purchase model, as ``value_quantiles`` takes it.

    Parameters
    ----------
    within, silent, of_model
        The purchase model's P(purchase within the horizon), P(no purchase in h) and value, (n,).
    churn, clv
        P(no purchase in h) and value with the pool: who was silent through h goes on as the
        purchase model says.
    """
    still = np.minimum(_ratio(1 - within, silent), 1.0)
    return 1 - churn * still, _ratio(clv, of_model)


def beyond_in_words(beyond: Mapping[str, float | None] | None) -> str:
    """What values beyond the churn horizon rest on, from what ``Rates.beyond`` found.

    >>> beyond_in_words({"fade": None, "without": 0.0, "lasting": 0.021})
    "the purchase model's own: the log is too short to measure how long a customer's correction \
lasts; if it lasted, the base would be worth 2.1% more"
    """
    if beyond is None:
        return "the purchase model's own, as the churn horizon is"
    fade, without, lasting = (beyond[name] for name in ("fade", "without", "lasting"))
    if fade is None:
        return (
            "the purchase model's own: the log is too short to measure how long a customer's "
            f"correction lasts; if it lasted, the base would be worth {_more(lasting)}"
        )
    return (
        f"{percent(fade)} of a customer's correction is left after each further churn horizon, as "
        "measured over the first of them; if none were left, the base would be worth "
        f"{_more(without)}, if all of it {_more(lasting)}"
    )


def _more(share: float | None) -> str:
    change = share or 0.0
    return f"{fine_percent(abs(change))} {'more' if change >= 0 else 'less'}"


def made_up(unit: Unit) -> Any:
    """A summary in pandas that every model can score: what a loaded one is tried on."""
    columns = MADE_UP | {name: [0.0, 1.0, 4.0] for name in BEHAVIOUR}
    return nw.from_dict(columns, backend="pandas").with_columns(unit=nw.lit(unit)).to_native()


def require_sound_scores(scores: nw.DataFrame[Any]) -> None:
    """Raise ``ValueError`` unless every score of a table can be."""
    every = np.concatenate([numbers(scores, name) for name in MONEY])
    if not (np.isfinite(every).all() and (every >= 0).all()):
        raise ValueError("a customer has a score that is no number")
    chances = np.concatenate([numbers(scores, name) for name in CHANCES])
    if not ((chances >= 0).all() and (chances <= 1).all()):
        raise ValueError("a probability is not between 0 and 1")
    low, mid, high = (numbers(scores, f"clv_{name}") for name in ("low", "median", "high"))
    if not ((low <= mid).all() and (mid <= high).all()):
        raise ValueError("an interval ends before it begins")
