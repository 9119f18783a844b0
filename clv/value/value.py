"""What a customer is worth: existing ones (what is still to come) and new ones (what is bought).

The two are different quantities and have different names. ``clv`` of an existing customer counts
the purchases after T; ``new_customer_clv`` counts the first purchase and all that may follow, and
is the only one of the two that may meet a CAC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from narwhals.typing import IntoFrame, IntoFrameT

from clv.data.days import as_day
from clv.defaults import SHRINK
from clv.errors import InputError, UnitError
from clv.format import count, typed_percent
from clv.history import HISTORY, History, read_history, read_unit, require_unit
from clv.notebook import InNotebook
from clv.periods import Duration, Unit, continuous_rate, periods_per_year
from clv.probability.estimator import PurchaseModel
from clv.probability.gamma_gamma import GammaGamma
from clv.schema import Floats, collect, same_kind, with_arrays
from clv.shares import check_share

LONGEST = 1000  # years of a horizon: beyond, a sum over days would not end


@dataclass(frozen=True)
class Terms(InNotebook):
    """The terms that a value is stated under; every figure names them.

    Parameters
    ----------
    margin_rate
        Contribution margin per unit of revenue, in (0, 1]; 1 states revenue and says so.
    annual_discount_rate
        Annual effective rate, as a fraction.
    horizon
        How far ahead purchases count, a ``Duration`` or its text, "52 weeks". Finite, as the
        undiscounted value of all future can be infinite (BG/NBD with a < 1).
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
        object.__setattr__(self, "horizon", Duration.parse(self.horizon))
        hint = "give the contribution margin as a fraction of revenue, such as 0.3."
        check_share("margin_rate", self.margin_rate, "(0, 1]", hint)
        continuous_rate(self.annual_discount_rate, 1.0)
        if self.periods_per_year is not None and not 0 < self.periods_per_year < np.inf:
            raise InputError(f"periods_per_year = {self.periods_per_year} is not above 0.")
        if self.horizon.to("year") > LONGEST:
            raise InputError(
                f"a horizon of {self.horizon} is longer than {count(LONGEST)} years.",
                hint="discounted at 10%, what comes after 100 years is worth next to nothing.",
            )

    @property
    def money(self) -> str:
        """What the figures count: "contribution margin" or "revenue"."""
        return "revenue" if self.margin_rate == 1 else "contribution margin"

    def delta(self, unit: Unit) -> float:
        """The continuous discount rate per ``unit``."""
        per_year = self.periods_per_year or periods_per_year(unit)
        return continuous_rate(self.annual_discount_rate, per_year)

    def require_beyond(self, churn_horizon: str | Duration) -> None:
        """Raise ``InputError`` unless the horizon is longer than ``churn_horizon``."""
        if not Duration.parse(churn_horizon).to("day") < self.horizon.to("day"):
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
        return cls(**saved)

    def __str__(self) -> str:
        share = typed_percent(self.margin_rate)
        rate = "" if self.margin_rate == 1 else f" ({share}, {self.margin_source})"
        return (
            f"{self.currency or 'money'} of {self.money}{rate} "
            f"over {self.horizon}, discounted at {typed_percent(self.annual_discount_rate)} a year"
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
    unit = purchases.unit_
    if summary is not None:
        require_unit(unit, summary)
        unit = unit or read_unit(summary)
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


def check_valued(as_of: str, shrink: float, first_amount: float | None) -> None:
    """``InputError`` unless a day, the factor on stakes and a mean first purchase can be."""
    as_day(as_of, "as_of")
    check_share("shrink", shrink, "(0, 1]")
    if first_amount is not None and not 0 <= first_amount < np.inf:
        raise InputError(f"first_amount = {first_amount} is no amount of money.")


def value_at_stake(
    purchases: PurchaseModel,
    spend_per_purchase: Floats,
    history: History,
    terms: Terms,
    unit: Unit,
    churn_horizon: str | Duration,
    shrink: float = SHRINK,
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
    h, length = Duration.parse(churn_horizon).to(unit), terms.horizon.to(unit)
    check_share("shrink", shrink, "(0, 1]")
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

    Parameters
    ----------
    summary
        Any dataframe, one row per customer: frequency, recency, T, monetary_value, and if there are
        any customer_id and unit.
    purchases, spend
        The fitted models of how often and of how much.
    terms
        Horizon, discount rate, margin and currency.

    Returns
    -------
    The same kind of frame, in the order of its rows: customer_id (where the summary has it),
    ``clv`` (discounted contribution margin, in currency), ``expected_purchases`` (undiscounted)
    and ``expected_spend`` (revenue per purchase), then the terms: horizon, money, margin_rate,
    annual_discount_rate, currency.

    Raises
    ------
    ColumnError, RowError
        A column is missing, or a history is impossible.
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
    rows = collect(summary, (*read, *spend.reads), "the summary", ("customer_id", "unit"))
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
    return same_kind(valued.drop(*read, *spend.reads, "unit", strict=False), summary)


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
    purchases, spend
        The fitted models of how often and of how much.
    terms
        Horizon, discount rate, margin and currency.
    first_amount
        v0, the mean FIRST purchase. It usually differs from repeat purchases (CDNOW: 32.99
        against 38.81); None assumes that it does not, and says so.
    first_margin_rate
        m1, where the first purchase earns another margin (a welcome discount).

    Returns
    -------
    NewCustomerValue
        ``new_customer_clv`` and its two parts, discounted contribution margin in currency, and the
        expected repeat purchases within the horizon.

    Raises
    ------
    UnitError
        The purchase model does not say its time unit.

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
    check_share("first_margin_rate", margin, "(-inf, 1]")
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
