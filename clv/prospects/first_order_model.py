"""What a customer is worth at the first order: BG/NBD and Gamma-Gamma, moved by what it says [1]_.

The purchase rate of a customer is exp(g'z) times that of others, and so is the mean amount. A new
customer then differs from another by two numbers, and a value or its quantile is that of the
ordinary models at such a rate, times a scale.

References
----------
.. [1] Fader & Hardie (2007), Incorporating time-invariant covariates into the Pareto/NBD and
   BG/NBD models, brucehardie.com/notes/019.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from narwhals.typing import IntoFrame

from clv.data.days import Day, as_day
from clv.data.log import read_log
from clv.data.summary import summarize
from clv.defaults import LEVEL
from clv.format import change, count, counted, money
from clv.history import History
from clv.notebook import InNotebook
from clv.periods import Unit
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.gamma_gamma import GammaGamma
from clv.prospects.first_order_coding import FirstOrderCoding
from clv.prospects.first_orders import AMOUNT, first_orders
from clv.prospects.leaks import require_no_leak
from clv.schema import Floats, as_frame, require_columns
from clv.value.common_factor import check_level
from clv.value.predictive.quantiles import value_quantiles
from clv.value.value import Terms, known_unit, stated

EFFECT_SD = 1.0  # of the prior of an effect: e times the purchases are likely, 20 times are not
NODES = 33  # rates at which what a new customer brings is worked out; straight lines join them


@dataclass(frozen=True)
class NewcomerCurves:
    """What follows the first order by the log of the rate u, where the mean amount is 1."""

    u: Floats
    discounted: Floats
    expected: Floats
    buys: Floats
    quantiles: Floats  # shape (levels, nodes)

    def read(self, name: str, u: Floats) -> Floats:
        """A curve at each u, shape (n,)."""
        return np.asarray(np.interp(u, self.u, getattr(self, name)))


@dataclass(frozen=True)
class FirstOrderModel(InNotebook):
    """Models of how often and of how much, moved by what a first order says.

    Attributes
    ----------
    coding
        What they are moved by.
    purchases, spend
        Fitted with covariates.
    level
        What a purchase brings over what a customer's mean purchase brings: who buys more often may
        spend more.
    terms, unit, as_of
        What values are stated under, and the last day that the models know.
    customers, repeat_buyers
        That they learned from.
    """

    coding: FirstOrderCoding
    purchases: BetaGeoNBD
    spend: GammaGamma
    level: float
    terms: Terms
    unit: Unit
    as_of: str
    customers: int
    repeat_buyers: int

    def predict(self, first: pd.DataFrame, level: float = LEVEL) -> pd.DataFrame:
        """What customers are worth by their first orders alone.

        Parameters
        ----------
        first
            From ``first_orders``, with the covariates of the model.
        level
            Chance that ``clv`` turns out between ``clv_low`` and ``clv_high``.

        Returns
        -------
        pandas.DataFrame
            customer_id, first_order, first_amount; expected_purchases after it within the horizon,
            probability_of_purchase, expected_spend (revenue per purchase), clv of these purchases
            with clv_low and clv_high, new_customer_clv with the first order's margin; the terms,
            interval. Money in the terms' currency and margin.
        """
        check_level(level)
        told = ["customer_id", "first_order", "first_amount"]
        require_columns(as_frame(first, "the table"), told, "the table of first orders")
        u, log_scale = self.effects(self.coding.z(first))
        curves, scale = self.curves(u, level), self.mean_spend * np.exp(log_scale)
        clv = self.terms.margin_rate * scale * curves.read("discounted", u)
        low, high = self._interval(curves, u, log_scale, level)
        return first[told].assign(
            expected_purchases=curves.read("expected", u),
            probability_of_purchase=curves.read("buys", u),
            expected_spend=scale,
            clv=clv,
            clv_low=low,
            clv_high=high,
            new_customer_clv=self.terms.margin_rate * first["first_amount"] + clv,
            **stated(self.terms),
            interval=level,
        )

    @property
    def mean_spend(self) -> float:
        """Revenue per purchase at z = 0."""
        return self.level * float(self._ordinary_spend().expected_spend())

    def effects(self, z: Floats) -> tuple[Floats, Floats]:
        """The logs of what multiplies rate and amount of each z, shape (n,) each."""
        moved = []
        for model in (self.purchases, self.spend):
            _, multipliers = model._split()
            moved.append(z @ model._coding().effects(multipliers)[0])
        return moved[0], moved[1]

    def curves(self, u: Floats, level: float | None = LEVEL) -> NewcomerCurves:
        """What follows a first order, at rates that span those of u; means alone without level."""
        ends = np.linspace(u.min() - 1e-9, u.max() + 1e-9, NODES)
        base, _ = self.purchases._split()
        models = [
            BetaGeoNBD.from_params({**base, "alpha": base["alpha"] * np.exp(-node)}, unit=self.unit)
            for node in ends
        ]
        length, delta = self.terms.horizon.to(self.unit), self.terms.delta(self.unit)
        det = np.array([m.discounted_expected_purchases(length, [delta, 0.0]) for m in models]).T
        quantiles, buys = np.empty((0, NODES)), np.empty(0)
        if level is not None:
            buys = np.array([1 - float(m.probability_of_purchases(0, length)) for m in models])
            zero, spend = np.zeros(1), self._ordinary_spend()
            newcomer, levels = History(zero, zero, zero), ((1 - level) / 2, (1 + level) / 2, level)
            arguments = (newcomer, zero, self.terms, self.unit, levels)
            quantiles = np.array([value_quantiles(m, spend, *arguments)[0] for m in models]).T
        return NewcomerCurves(ends, det[0], det[1], buys, quantiles)

    def _interval(
        self, curves: NewcomerCurves, u: Floats, log_scale: Floats, level: float
    ) -> tuple[Floats, Floats]:
        """The ends that hold ``level``: from 0 where coming to nothing is likely enough."""
        low, high, upper = (np.interp(u, curves.u, row) for row in curves.quantiles)
        scale, none = self.level * np.exp(log_scale), 1 - curves.read("buys", u) >= (1 - level) / 2
        return scale * np.where(none, 0.0, low), scale * np.where(none, upper, high)

    def _ordinary_spend(self) -> GammaGamma:
        return GammaGamma.from_params(self.spend._split()[0])

    def to_dict(self) -> dict[str, Any]:
        """As JSON values: a few numbers, no customer."""
        return {
            "as_of": self.as_of,
            "customers": self.customers,
            "repeat_buyers": self.repeat_buyers,
            "terms": self.terms.to_dict(),
            "coding": self.coding.to_dict(),
            "purchases": self.purchases.to_dict(),
            "spend": self.spend.to_dict(),
            "level": self.level,
        }

    def __str__(self) -> str:
        lines = [
            f"first orders of {counted(self.customers, 'customer')}, {count(self.repeat_buyers)} "
            f"of whom bought again by {self.as_of}: {self.terms}",
            f"  an average first order is followed by "
            f"{money(self.mean_spend, self.terms.currency)} a purchase",
        ]
        pairs = zip(self.coding.words, np.eye(len(self.coding.names)), strict=True)
        for words, z in pairs:
            rate, amount = (float(np.expm1(moved[0])) for moved in self.effects(z[None, :]))
            lines.append(f"  {words}: purchases {change(rate)}, amount {change(amount)}")
        return "\n".join(lines)


def fit_first_orders(
    log: IntoFrame,
    terms: Terms | None = None,
    covariates: Sequence[str] = (AMOUNT,),
    *,
    as_of: Day | None = None,
    unit: Unit = "week",
) -> FirstOrderModel:
    """Learn from a log what a first order says of what follows it.

    It takes no customer whose future is already over: a few months of log are enough, as the
    models know that the others are still young.

    Parameters
    ----------
    log
        As ``first_orders`` takes it.
    terms
        Horizon, discount rate, margin and currency; None is revenue over three years.
    covariates
        As in ``first_orders``.
    as_of
        The last day to learn from; the last of the log if not given.
    unit
        The time unit of the models.

    Returns
    -------
    FirstOrderModel
        Its ``predict`` values customers, those of the log and others.

    Raises
    ------
    InputError
        A covariate tells who bought again better than a first order can, or is the same for all.
    FitError
        Nobody bought twice.

    Examples
    --------
    >>> from clv.data.cdnow import cdnow_log
    >>> log = cdnow_log(sample=True)
    >>> model = fit_first_orders(log, Terms(0.3), ["amount", "quantity"], as_of="1997-09-30")
    >>> print(model)
    first orders of 2,357 customers, 946 of whom bought again by 1997-09-30: money of \
contribution margin (30%, assumed) over 3 years, discounted at 10% a year
      an average first order is followed by 34.93 a purchase
      a higher amount (by one standard deviation): purchases +9.0%, amount +16%
      a higher quantity (by one standard deviation): purchases +31%, amount +13%
    """
    terms = Terms() if terms is None else terms
    end = read_log(log)[2] if as_of is None else as_day(as_of, "as_of")
    first = first_orders(log, covariates, end)
    summary: Any = summarize(_pandas(log), end, unit).set_index("customer_id")
    summary = summary.loc[first["customer_id"]].reset_index()
    require_no_leak(first, covariates, (summary["frequency"] > 0).to_numpy(dtype=np.float64))
    coding = FirstOrderCoding.from_table(first, covariates)
    rounded = coding.rounded(first)
    X: Any = pd.concat([summary.drop(columns=[*coding.names], errors="ignore"), rounded], axis=1)
    moved = {"purchases": coding.names}
    purchases = BetaGeoNBD(unit, covariates=moved, effect_sd=EFFECT_SD).fit(X)
    spend = GammaGamma(covariates=coding.names, effect_sd=EFFECT_SD).fit(X)
    x, zbar = (summary[name].to_numpy(dtype=np.float64) for name in ("frequency", "monetary_value"))
    newcomers = X.assign(frequency=0, monetary_value=0.0)
    level = float(x @ zbar / (x @ spend.expected_spend(newcomers)))
    return FirstOrderModel(
        coding, purchases.with_covariance(X), spend.with_covariance(X), level, terms,
        known_unit(purchases), str(end), len(first), int((x > 0).sum()),
    )  # fmt: skip


def _pandas(log: IntoFrame) -> Any:
    """The three columns of a log in the frame that small tables are in."""
    from clv.data.log import COLUMNS
    from clv.schema import collect

    rows = collect(log, COLUMNS, "the log").to_pandas()
    return rows.assign(date=pd.to_datetime(rows["date"]).dt.normalize())
