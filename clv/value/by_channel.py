"""What a new customer of each acquisition channel is worth, channels pooled towards the base."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import ArrayLike

from clv.format import percent
from clv.history import HISTORY, History
from clv.intake.channel_names import spellings
from clv.probability.covariance import draws
from clv.probability.estimator import PurchaseModel
from clv.probability.gamma_gamma import GammaGamma
from clv.schema import Floats, collect, numbers
from clv.value.pooling import FARTHEST, between, pooled_models
from clv.value.value import Terms, earned_by_age, known_unit, new_customer_value, stated

if TYPE_CHECKING:
    import pandas as pd

MANY_AGES = 8
OWN_SHARE = 0.9  # share of own history from which on a channel's models are called its own


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
        each = np.repeat(thetas, len(age), axis=0)
        ages = np.zeros(len(each))
        given_alive = model._given_alive(model._theta(*each.T), ages, ages)
        # of many ages a table of each draw's rates is sooner made than all of them
        tabled = len(age) >= MANY_AGES
        det = model._discounted(given_alive, np.tile(age, len(thetas)), delta, tabled=tabled)
        return np.array(stays)[:, None] * det.reshape(len(thetas), len(age))


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
        models, spread as much as channels differ; one that differs in case alone is the same.
    """
    needed = (*HISTORY, "monetary_value", "channel", "first_amount")
    rows = collect(summary, needed, "the summary", ["unit"])
    table: Any = rows.to_native()
    known_unit(purchases, table)
    channel = np.array(rows["channel"].to_list(), dtype=object)
    channel[rows["channel"].is_null().to_numpy()] = None
    theirs = spellings({*channel[channel != None]}, channels)  # noqa: E711 # element by element
    channel = np.array([theirs.get(name) for name in channel], dtype=object)
    names = sorted({*theirs.values(), *channels})
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

    Parameters
    ----------
    models
        What :func:`models_by_channel` gave.
    terms
        Horizon, discount rate, margin and currency.

    Returns
    -------
    pandas.DataFrame
        channel, customers, repeat_buyers, first_amount, expected_purchases, new_customer_clv,
        new_customer_clv_low and _high (5% and 95% points of what is known of the parameters; a
        single customer varies far more), own_share, basis, then the terms.

    Raises
    ------
    UnitError
        A purchase model does not say its time unit.

    Examples
    --------
    >>> from clv.data.cdnow import cdnow_log
    >>> from clv.data.summary import summarize
    >>> from clv.probability.bg_nbd import BetaGeoNBD
    >>> from clv.value.value import Terms
    >>> log = cdnow_log(sample=True)
    >>> log["channel"] = log["customer_id"].mod(2).map({0: "search", 1: "social"})
    >>> summary = summarize(log, as_of="1997-09-30", unit="week")
    >>> purchases, spend = BetaGeoNBD().fit(summary), GammaGamma().fit(summary)
    >>> models = models_by_channel(summary, purchases, spend)
    >>> value_by_channel(models, Terms(0.3))["channel"].tolist()
    ['social', 'search']
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

    How far groups lie apart is learned as for models, see ``pooling``.
    """
    finite = np.isfinite(amount)
    whole, within = float(amount[finite].mean()), float(amount[finite].var())
    amounts = {name: amount[mask & finite] for name, mask in groups.items()}
    sizes = np.array([len(values) for values in amounts.values()], dtype=np.float64)
    means = np.array([values.mean() if len(values) else whole for values in amounts.values()])
    members = sizes > 0
    chance = within / sizes[members] * (1 - sizes[members] / finite.sum()) + 1e-12 * within
    if members.sum() == 1 and sizes.sum() == finite.sum():
        error = float(np.sqrt(within / sizes.sum()))
        return dict.fromkeys(groups, (whole, error))
    m = within / between(means[members] - whole, chance, FARTHEST * whole)
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
    return f"own history by {percent(own_share)}, all customers by the rest"
