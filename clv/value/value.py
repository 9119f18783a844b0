"""What a customer is worth: existing ones (what is still to come) and new ones (what is bought).

The two are different quantities and have different names. ``clv`` of an existing customer counts
the purchases after T; ``new_customer_clv`` counts the first purchase and all that may follow, and
is the only one of the two that may meet a CAC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from narwhals.typing import IntoFrame, IntoFrameT
from numpy.typing import ArrayLike

from clv.errors import InputError, UnitError
from clv.history import HISTORY, History, read_history, read_unit, same_unit
from clv.periods import Duration, Unit, continuous_rate, periods_per_year
from clv.probability.estimator import PurchaseModel
from clv.probability.gamma_gamma import GammaGamma
from clv.probability.uncertainty import draws
from clv.schema import Floats, collect, numbers, same_kind, with_arrays
from clv.value.pooling import pooled_models

if TYPE_CHECKING:
    import pandas as pd

OWN_SHARE = 0.9  # share of own history from which on a channel's models are called its own


@dataclass(frozen=True)
class Terms:
    """The terms that a value is stated under; every figure names them.

    Parameters
    ----------
    margin_rate
        Contribution margin per unit of revenue, in (0, 1]; 1 states revenue and says so.
    annual_discount_rate
        Annual effective rate, as a fraction.
    horizon
        How far ahead purchases count. Finite, as the undiscounted value of all future can be
        infinite (BG/NBD with a < 1).
    currency
        A name such as "GBP"; it is only printed.
    margin_source
        "assumed" or "measured": where the margin rate comes from.
    periods_per_year
        Units per year for discounting; None takes 365.25 days. Papers use 52 weeks.

    Examples
    --------
    >>> print(Terms(0.3, 0.1, Duration(3, "year"), "GBP"))
    GBP of contribution margin (30%, assumed) over 3 years, discounted at 10% a year
    """

    margin_rate: float = 1.0
    annual_discount_rate: float = 0.10
    horizon: Duration = field(default=Duration(3, "year"))
    currency: str = ""
    margin_source: str = "assumed"
    periods_per_year: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.margin_rate <= 1:
            raise InputError(
                f"margin_rate = {self.margin_rate} is not in (0, 1].",
                hint="give the contribution margin as a fraction of revenue, such as 0.3.",
            )
        continuous_rate(self.annual_discount_rate, 1.0)

    @property
    def money(self) -> str:
        """What the figures count: "contribution margin" or "revenue"."""
        return "revenue" if self.margin_rate == 1 else "contribution margin"

    def delta(self, unit: Unit) -> float:
        """The continuous discount rate per ``unit``."""
        per_year = self.periods_per_year or periods_per_year(unit)
        return continuous_rate(self.annual_discount_rate, per_year)

    def require_beyond(self, churn_horizon: Duration) -> None:
        """Raise ``InputError`` unless the horizon is longer than ``churn_horizon``."""
        if not churn_horizon.to("day") < self.horizon.to("day"):
            raise InputError(
                f"the churn horizon ({churn_horizon}) is not shorter than the value horizon "
                f"({self.horizon}).",
                hint="what a silent customer is still worth needs time after the silence.",
            )

    def to_dict(self) -> dict[str, Any]:
        """The terms as JSON values."""
        return vars(self) | {"horizon": str(self.horizon)}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Terms:
        """The terms that ``to_dict`` wrote."""
        return cls(**{**saved, "horizon": Duration.parse(saved["horizon"])})

    def __str__(self) -> str:
        share = f"{100 * self.margin_rate:.4g}%"
        rate = "" if self.margin_rate == 1 else f" ({share}, {self.margin_source})"
        return (
            f"{self.currency or 'money'} of {self.money}{rate} "
            f"over {self.horizon}, discounted at {100 * self.annual_discount_rate:g}% a year"
        )


@dataclass(frozen=True)
class NewCustomerValue:
    """What winning one customer is worth, from the first purchase on, and what it is made of.

    Attributes
    ----------
    new_customer_clv
        ``first_purchase`` + ``repeat_purchases``, in the terms' money and currency.
    first_purchase
        Margin on the first purchase, m1 v0, undiscounted: it happens at once.
    repeat_purchases
        m E[M] DET(H).
    expected_purchases
        E[X(H)], undiscounted, without the first.
    first_amount_source
        "measured" from the first purchases, or "assumed equal to repeat purchases".
    """

    new_customer_clv: float
    first_purchase: float
    repeat_purchases: float
    expected_purchases: float
    first_amount_source: str
    terms: Terms


def known_unit(purchases: PurchaseModel, summary: IntoFrame | None = None) -> Unit:
    """The time unit of a model and its summary; ``UnitError`` if neither says it or they differ."""
    summary_unit = None if summary is None else read_unit(summary)
    same_unit(purchases.unit_, summary_unit)
    unit = purchases.unit_ or summary_unit
    if unit is None:
        raise UnitError(
            "neither the model nor the summary says its time unit, so a horizon has no length.",
            hint='fit with BetaGeoNBD(unit="week"), or use summarize(), which writes the unit.',
        )
    return unit


def residual_value(
    purchases: PurchaseModel,
    spend_per_purchase: Floats,
    history: History,
    terms: Terms,
    unit: Unit,
    horizon: float | None = None,
) -> Floats:
    """CLV of existing customers, m E[M | x, zbar] DET(H | x, t_x, T), shape (n,).

    ``horizon`` in ``unit`` replaces that of ``terms``.
    """
    length = terms.horizon.to(unit) if horizon is None else horizon
    det = purchases.discounted_expected_purchases(length, terms.delta(unit), history)
    return terms.margin_rate * spend_per_purchase * det


def value_at_stake(
    purchases: PurchaseModel,
    spend_per_purchase: Floats,
    history: History,
    terms: Terms,
    unit: Unit,
    churn_horizon: Duration,
    shrink: float = 0.5,
    clv: Floats | None = None,
    buys: Floats | None = None,
) -> Floats:
    """What keeping a customer is worth: CLV if a purchase falls in the next h, less CLV if not.

    V_churn = exp(-delta h) CLV(x, t_x, T+h; H-h) is what remains after h silent periods, V_ret
    what the rest of the probability is worth, and CLV = P0 V_churn + (1 - P0) V_ret, so that
    V_ret - V_churn = (CLV - V_churn) / (1 - P0), exact under the purchase model.

    Parameters
    ----------
    churn_horizon
        h, shorter than the horizon of ``terms``.
    shrink
        Factor on the stake. The formula takes an induced purchase to be as telling as a natural
        one; 0.5 is an assumption until an experiment has measured how long a save lasts.
    clv, buys
        ``residual_value`` of the same customers and their P(purchase in h), where these are known
        already.

    Returns
    -------
    Floats
        Shape (n,), in the terms' money, never negative.
    """
    terms.require_beyond(churn_horizon)
    h, length = churn_horizon.to(unit), terms.horizon.to(unit)
    if not 0 < shrink <= 1:
        raise InputError(f"shrink = {shrink} is not in (0, 1].")
    later = History(history.x, history.t_x, history.T + h)
    now = (
        residual_value(purchases, spend_per_purchase, history, terms, unit) if clv is None else clv
    )
    after_silence = residual_value(purchases, spend_per_purchase, later, terms, unit, length - h)
    gain = now - np.exp(-terms.delta(unit) * h) * after_silence
    if buys is None:
        buys = purchases.probability_of_purchase(h, history)
    stake = np.divide(gain, buys, out=np.zeros_like(gain), where=buys > 0)
    return np.asarray(shrink * np.maximum(stake, 0.0))


def customer_value(
    summary: IntoFrameT, purchases: PurchaseModel, spend: GammaGamma, terms: Terms
) -> IntoFrameT:
    """What each existing customer is still worth: the same kind of frame, one row a customer.

    Columns: customer_id (where the summary has it), ``clv``, ``expected_purchases`` (undiscounted)
    and ``expected_spend`` (revenue per purchase), then the terms: horizon, money, margin_rate,
    annual_discount_rate, currency.

    Raises
    ------
    UnitError
        The time unit of model and summary differ, or neither says it.

    Examples
    --------
    >>> import pandas as pd
    >>> from clv.probability.bg_nbd import BetaGeoNBD
    >>> model = BetaGeoNBD.from_params({"r": .2426, "alpha": 4.4136, "a": .7929, "b": 2.4259})
    >>> spend = GammaGamma.from_params({"p": 6.25, "q": 3.74, "v": 15.44})
    >>> X = pd.DataFrame({"customer_id": ["ann"], "frequency": [2], "recency": [30.43],
    ...                   "T": [38.86], "monetary_value": [22.35], "unit": ["week"]})
    >>> terms = Terms(0.3, 0.15, Duration(156, "week"), "USD", periods_per_year=52)
    >>> float(customer_value(X, model, spend, terms)["clv"].iloc[0].round(4))
    22.1247
    """
    read = (*HISTORY, "monetary_value")
    rows = collect(summary, read, "the summary", ("customer_id", "unit"))
    table: Any = rows.to_native()
    unit = known_unit(purchases, table)
    history, per_purchase = read_history(table), spend.expected_spend(table)
    horizon, rates = terms.horizon.to(unit), [terms.delta(unit), 0.0]
    discounted, expected = purchases.discounted_expected_purchases(horizon, rates, history).T
    columns = {
        "clv": terms.margin_rate * per_purchase * discounted,
        "expected_purchases": expected,
        "expected_spend": per_purchase,
    }
    valued = with_arrays(rows, columns, **stated(terms))
    return same_kind(valued.drop(*read, "unit", strict=False), summary)


def stated(terms: Terms) -> dict[str, Any]:
    """The terms as the constant columns that travel with a table of values."""
    return {
        "horizon": str(terms.horizon),
        "money": terms.money,
        "margin_rate": terms.margin_rate,
        "annual_discount_rate": terms.annual_discount_rate,
        "currency": terms.currency,
    }


def new_customer_value(
    purchases: PurchaseModel,
    spend: GammaGamma,
    terms: Terms,
    first_amount: float | None = None,
    first_margin_rate: float | None = None,
) -> NewCustomerValue:
    """What winning one customer is worth: m1 v0 + m E[M] DET(H).

    Parameters
    ----------
    first_amount
        v0, the mean FIRST purchase. It usually differs from repeat purchases (CDNOW: 32.99
        against 38.81); None assumes that it does not, and says so.
    first_margin_rate
        m1, where the first purchase earns another margin (a welcome discount).

    Examples
    --------
    >>> from clv.probability.bg_nbd import BetaGeoNBD
    >>> model = BetaGeoNBD.from_params(
    ...     {"r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259}, unit="week")
    >>> spend = GammaGamma.from_params({"p": 6.25, "q": 3.74, "v": 15.44})
    >>> terms = Terms(0.3, 0.10, Duration(52, "week"), "USD", periods_per_year=52)
    >>> round(new_customer_value(model, spend, terms).new_customer_clv, 4)
    25.2398
    """
    unit = known_unit(purchases)
    length = terms.horizon.to(unit)
    mean_spend = float(spend.expected_spend())
    det = float(purchases.discounted_expected_purchases(length, terms.delta(unit)))
    margin = terms.margin_rate if first_margin_rate is None else first_margin_rate
    first = margin * (mean_spend if first_amount is None else first_amount)
    repeat = terms.margin_rate * mean_spend * det
    return NewCustomerValue(
        new_customer_clv=first + repeat,
        first_purchase=first,
        repeat_purchases=repeat,
        expected_purchases=float(purchases.expected_purchases(length)),
        first_amount_source=(
            "assumed equal to repeat purchases" if first_amount is None else "measured"
        ),
        terms=terms,
    )


def earned_by_age(
    purchases: PurchaseModel,
    spend: GammaGamma,
    terms: Terms,
    first_amount: float | None = None,
) -> Callable[[float], float]:
    """Discounted margin that a new customer has brought by age t (in the model's unit).

    Its value at the horizon of ``terms`` is ``new_customer_value``.
    """
    unit = known_unit(purchases)
    per_purchase = float(spend.expected_spend())
    first = per_purchase if first_amount is None else first_amount

    def earned(t: float) -> float:
        det = float(purchases.discounted_expected_purchases(t, terms.delta(unit)))
        return terms.margin_rate * (first + per_purchase * det)

    return earned


@dataclass(frozen=True)
class ChannelModels:
    """The models of one acquisition channel, and on what they rest.

    Attributes
    ----------
    purchases, spend
        Partially pooled towards the whole base, each with its covariance; see ``pooling``.
    first_amount, first_amount_error
        v0, the channel's mean first purchase, pooled likewise, and its standard error.
    customers, repeat_buyers
        Of this channel.
    own_share
        Share of what the purchase model rests on that is the channel's own history.
    basis
        The same in words: "own history", or how much of it comes from the whole base.
    """

    purchases: PurchaseModel
    spend: GammaGamma
    first_amount: float
    customers: int
    repeat_buyers: int
    basis: str
    first_amount_error: float = 0.0
    own_share: float = 1.0

    def earned(self, terms: Terms) -> Callable[[float], float]:
        """``earned_by_age`` of a new customer of this channel."""
        return earned_by_age(self.purchases, self.spend, terms, self.first_amount)

    def value_draws(self, terms: Terms, n: int = 400, seed: int = 0) -> Floats:
        """New-customer CLV in n draws of all parameters, shape (n,)."""
        length = terms.horizon.to(known_unit(self.purchases))
        return self.earned_draws(terms, np.array([length]), n, seed)[:, 0]

    def earned_draws(self, terms: Terms, age: ArrayLike, n: int = 400, seed: int = 0) -> Floats:
        """What a new customer has brought by each age (m,), in n draws: shape (n, m)."""
        rng = np.random.default_rng(seed)
        first = self.first_amount + self.first_amount_error * rng.standard_normal(n)
        p, q, v = draws(self.spend, n, seed + 1).T
        repeat = self._drawn_purchases(terms, draws(self.purchases, n, seed + 2), np.asarray(age))
        repeat = (p * v / (q - 1))[:, None] * repeat
        return np.asarray(terms.margin_rate * (np.maximum(first, 0.0)[:, None] + repeat))

    def _drawn_purchases(self, terms: Terms, thetas: Floats, age: Floats) -> Floats:
        """DET(t) of a new customer at each of n parameter vectors (n, k) and ages (m,)."""
        model, start = self.purchases, np.zeros(1)
        just_won, delta = History(start, start, start), terms.delta(known_unit(self.purchases))
        stays = [model._probability_alive(model._theta(*theta), just_won)[0] for theta in thetas]
        given_alive = model._given_alive(model._theta(*thetas.T), start, start)
        det = [model._discounted(given_alive, np.full(len(thetas), t), delta) for t in age]
        return np.array(stays)[:, None] * np.column_stack(det)


def models_by_channel(
    summary: IntoFrame,
    purchases: PurchaseModel,
    spend: GammaGamma,
    channels: Sequence[str] = (),
) -> dict[str, ChannelModels]:
    """Models per acquisition channel of a summary with the columns channel and first_amount.

    Each channel's parameters are partially pooled towards the whole base, whose models are passed
    in: a channel with much history of its own keeps it, a small one gets nearly those of the
    others, and how fast that changes follows from how much the channels differ.

    Parameters
    ----------
    channels
        Further channels, such as all that money is spent on. One without customers gets the base's
        models, spread as much as channels differ.
    """
    needed = (*HISTORY, "monetary_value", "channel", "first_amount")
    rows = collect(summary, needed, "the summary", ["unit"])
    table: Any = rows.to_native()
    known_unit(purchases, table)
    channel = np.array(rows["channel"].to_list(), dtype=object)
    channel[rows["channel"].is_null().to_numpy()] = None
    names = sorted({*channel[channel != None], *channels})  # noqa: E711 # element by element
    groups = {name: channel == name for name in names}
    if not groups:
        return {}
    bought = pooled_models(purchases, table, groups)
    paid = pooled_models(spend, table, groups)
    first = _first_amounts(numbers(rows, "first_amount"), groups)
    again = numbers(rows, "frequency") > 0
    return {
        name: ChannelModels(
            bought[name].model,
            paid[name].model,
            first[name][0],
            customers=int(mask.sum()),
            repeat_buyers=int((mask & again).sum()),
            basis=_basis(bought[name].own_share, int(mask.sum())),
            first_amount_error=first[name][1],
            own_share=bought[name].own_share,
        )
        for name, mask in groups.items()
    }


def value_by_channel(models: Mapping[str, ChannelModels], terms: Terms) -> pd.DataFrame:
    """New-customer CLV of each acquisition channel, best first.

    Returns
    -------
    pandas.DataFrame
        channel, customers, repeat_buyers, first_amount, expected_purchases, new_customer_clv,
        new_customer_clv_low and _high (5% and 95% points of what is known of the parameters; a
        single customer varies far more), own_share, basis, then the terms.
    """
    import pandas as pd

    records = []
    for name, model in models.items():
        value = new_customer_value(model.purchases, model.spend, terms, model.first_amount)
        low, high = _interval(model, terms)
        records.append(
            {
                "channel": name,
                "customers": model.customers,
                "repeat_buyers": model.repeat_buyers,
                "first_amount": model.first_amount,
                "expected_purchases": value.expected_purchases,
                "new_customer_clv": value.new_customer_clv,
                "new_customer_clv_low": low,
                "new_customer_clv_high": high,
                "own_share": model.own_share,
                "basis": model.basis,
                **stated(terms),
            }
        )
    table = pd.DataFrame(records)
    return table.sort_values("new_customer_clv", ascending=False, ignore_index=True)


def _interval(model: ChannelModels, terms: Terms) -> tuple[float, float]:
    """5% and 95% points of the value; NaN for models that carry no covariance."""
    if model.purchases.covariance_ is None or model.spend.covariance_ is None:
        return float("nan"), float("nan")
    low, high = np.quantile(model.value_draws(terms), [0.05, 0.95])
    return float(low), float(high)


def _first_amounts(amount: Floats, groups: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """The mean first purchase of each group, pooled towards that of all, and its standard error.

    The variance between groups is the moments' of DerSimonian & Laird (1986).
    """
    finite = np.isfinite(amount)
    whole, within = float(amount[finite].mean()), float(amount[finite].var())
    amounts = {name: amount[mask & finite] for name, mask in groups.items()}
    sizes = np.array([len(values) for values in amounts.values()], dtype=np.float64)
    means = np.array([values.mean() if len(values) else whole for values in amounts.values()])
    scale = sizes.sum() - (sizes**2).sum() / max(sizes.sum(), 1)
    spread = float(sizes @ (means - whole) ** 2) - within * (np.sum(sizes > 0) - 1)
    between = max(spread / scale, 0.0) if scale > 0 else 0.0
    if between == 0:  # no difference seen: those of all customers, as sure as they are
        error = float(np.sqrt(within / max(finite.sum(), 1)))
        return dict.fromkeys(groups, (whole, error))
    m = within / between
    return {
        name: (
            float((n * mean + m * whole) / (n + m)),
            float(np.sqrt(within / (n + m))) if n + m > 0 else 0.0,
        )
        for name, n, mean in zip(groups, sizes, means, strict=True)
    }


def _basis(own_share: float, customers: int) -> str:
    if customers == 0:
        return "whole base, as this channel has no history"
    if own_share >= OWN_SHARE:
        return "own history"
    return f"own history to {own_share:.0%}, the rest is the whole base's"
