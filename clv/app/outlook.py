"""One channel at a plan: what its customers cost, are worth, and when they pay back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clv.decide.acquisition.payback import PaybackInterval, payback_interval
from clv.decide.budget.allocation import Allocation
from clv.decide.budget.channel import Channel
from clv.decide.budget.draws import MeanOfDraws
from clv.format import kind_of_customers, number
from clv.schema import Floats
from clv.value.by_channel import ChannelModels
from clv.value.value import Terms, known_unit

LEVELS = (0.05, 0.95)
AGES = 40  # at which what a customer has earned is worked out; straight lines join them

Interval = tuple[float, float]


@dataclass(frozen=True)
class Outlook:
    """One channel at a plan; intervals hold 90% of the draws and are None without any.

    Parameters
    ----------
    today, proposed, change
        Spend, and the change as a share of today's; None where today's is not known or 0.
    average_cac, marginal_cac
        Media spend per new customer, and what the next one costs; None without customers.
    value, ltv_to_cac
        Of a new customer over ``horizon``, and over the average CAC.
    payback, marginal_payback
        When a customer has earned back the average CAC, and the next one the marginal CAC; None
        unless an order log and a model tell what customers earn over time.
    new_customers_are
        "attributed, not incremental" or "incremental".
    value_from
        What the value rests on, in words.
    """

    channel: str
    today: float | None
    proposed: float
    change: float | None
    new_customers: float
    average_cac: float | None
    average_cac_interval: Interval | None
    marginal_cac: float | None
    marginal_cac_interval: Interval | None
    value: float
    value_interval: Interval | None
    ltv_to_cac: float | None
    ltv_to_cac_interval: Interval | None
    horizon: str | None
    payback: PaybackInterval | None
    marginal_payback: PaybackInterval | None
    new_customers_are: str
    value_from: str

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON values."""
        back = {name: getattr(self, name) for name in ("payback", "marginal_payback")}
        return vars(self) | {n: None if b is None else _as_dict(b) for n, b in back.items()}


def outlook(
    channel: Channel,
    plan: Allocation,
    periods: float,
    values: Mapping[str, Floats],
    models: Mapping[str, ChannelModels],
    terms: Terms | None,
) -> Outlook:
    """One channel of a plan, from the draws of its curve and of its value.

    Parameters
    ----------
    values, models
        Draws of values and the models behind them, by channel name, as far as known.
    terms
        What the values are stated under; needed for payback only.
    """
    name = channel.name
    spend, today = plan.spend[name], None if plan.current is None else plan.current[name]
    average, marginal = _costs(channel, spend, periods)
    value_draws = values.get(name)
    model = models.get(name)
    back, back_of_next = _paybacks((average, marginal), model, terms)
    ratio = _ratio(channel.value if value_draws is None else value_draws, average)
    return Outlook(
        channel=name,
        today=today,
        proposed=spend,
        change=spend / today - 1 if today else None,
        new_customers=plan.customers[name],
        average_cac=plan.average_cac[name],
        average_cac_interval=_interval(average),
        marginal_cac=plan.marginal_cac[name],
        marginal_cac_interval=_interval(marginal),
        value=channel.value,
        value_interval=_interval(value_draws),
        ltv_to_cac=plan.ltv_to_cac[name],
        ltv_to_cac_interval=_interval(ratio),
        horizon=plan.horizon,
        payback=back,
        marginal_payback=back_of_next,
        new_customers_are=kind_of_customers([channel.incrementality]),
        value_from="stated in the plan" if model is None else model.basis,
    )


def _costs(channel: Channel, spend: float, periods: float) -> tuple[Floats | None, Floats | None]:
    """Draws of the average and the marginal CAC at a spend; None without draws or spend."""
    if not isinstance(channel.response, MeanOfDraws) or not spend > 0:
        return None, None
    curve, each = channel.response.draws, np.asarray(spend / periods)
    share = channel.incrementality
    with np.errstate(divide="ignore"):
        average = each / (share * curve.customers(each))
        marginal = 1 / (share * curve.marginal(each))
    return np.asarray(average), np.asarray(marginal)


def _ratio(value: Floats | float, cac: Floats | None) -> Floats | None:
    """Draws of value over cost, two that are independent; None without draws of either."""
    return None if cac is None else np.asarray(value / cac)


def _interval(draws: Floats | None) -> Interval | None:
    if draws is None or not np.isfinite(draws).all():
        return None
    low, high = np.quantile(draws, LEVELS).tolist()
    return low, high


def _paybacks(
    cacs: Sequence[Floats | None], model: ChannelModels | None, terms: Terms | None
) -> list[PaybackInterval | None]:
    """When each of several CACs is earned back, over their draws and those of the same customer."""
    drawn = [cac for cac in cacs if cac is not None and np.isfinite(cac).all()]
    if model is None or terms is None or len(drawn) < len(cacs) or not has_draws(model):
        return [None] * len(cacs)
    unit = known_unit(model.purchases)
    age = terms.horizon.to(unit) * np.linspace(0.0, 1.0, AGES) ** 2
    earned = model.earned_draws(terms, age, len(drawn[0]))
    return [payback_interval(cac, age, earned, within=terms.horizon, unit=unit) for cac in drawn]


def has_draws(model: ChannelModels) -> bool:
    """Whether the parameters of a channel's models have a covariance to draw them with."""
    return model.purchases.covariance_ is not None and model.spend.covariance_ is not None


def _as_dict(payback: PaybackInterval) -> dict[str, Any]:
    return vars(payback) | {"within": str(payback.within)}


def ranged(value: float | None, interval: Interval | None) -> str:
    """A figure with its interval, as tables show both.

    >>> ranged(16.57, (15.624, 17.58)), ranged(16.57, None), ranged(None, None)
    ('16.57 (15.6–17.6)', '16.57', '–')
    """
    text = number(value)
    return text if interval is None else f"{text} ({between(interval)})"


def between(interval: Interval) -> str:
    """An interval as text, to three digits at least.

    >>> between((9.344, 17.58)), between((46.06, 1103.88))
    ('9.34–17.6', '46.1–1,104')
    """
    return "–".join(short(end) for end in interval)


def short(value: float) -> str:
    """A number to three digits at least, whole from 100 on."""
    return number(value, 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2)


def time_and_range(payback: PaybackInterval | None) -> tuple[str, str]:
    """The median of a payback and its interval in units; what is not reached as > horizon.

    >>> from clv.periods import Duration
    >>> time_and_range(PaybackInterval(34.4, 63.4, None, 0.95, "week", Duration(3, "year")))
    ('63', '34–>157')
    >>> time_and_range(PaybackInterval(0, 0, 0, 1, "week", Duration(3, "year")))
    ('at once', '')
    """
    if payback is None:
        return "–", ""
    if payback.high == 0:
        return "at once", ""  # the first purchase pays for it
    end = f">{number(payback.within.to(payback.unit), 0)}"
    low, median, high = (
        end if t is None else number(t, 0) for t in (payback.low, payback.median, payback.high)
    )
    return median, low if low == high else f"{low}–{high}"
