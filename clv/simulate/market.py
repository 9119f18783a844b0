"""SIMULATED channels: what is spent week by week, and who comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from clv.errors import InputError
from clv.periods import DAYS
from clv.simulate.process import CDNOW, Floats, Ints, Random

FIXED_COST = 0.1  # of a channel's usual weekly spend: tools and people
PEAK = 349  # the day of the year, in mid-December, on which a season stands highest


@dataclass(frozen=True)
class SimulatedChannel:
    """How a channel brings customers, and what customers it brings (time in weeks)."""

    name: str
    share: float  # of all new customers
    cac: float  # spend per new customer at the usual spend; 0 where nothing is spent
    response_b: float  # new customers a week = k spend^b; 0 where nothing is spent
    r: float
    alpha: float
    a: float
    b: float
    p: float
    q: float
    v: float
    save: float  # chance that an offer right after the last purchase brings back who has left


CHANNELS = (  # the lowest CAC is social's, the highest customer value that of influencers
    SimulatedChannel("organic", 0.28, 0, 0.00, 0.36, 5.2, 0.70, 2.9, 6.25, 3.74, 15.4, 0.70),
    SimulatedChannel("search", 0.25, 21, 0.62, 0.29, 4.8, 0.75, 2.5, 6.25, 3.74, 15.4, 0.50),
    SimulatedChannel("social", 0.30, 13, 0.50, 0.17, 4.6, 1.00, 2.0, 6.00, 3.60, 12.5, 0.10),
    SimulatedChannel("affiliates", 0.11, 16, 0.45, 0.22, 4.4, 0.95, 2.2, 6.25, 3.70, 14.0, 0.20),
    SimulatedChannel("influencers", 0.06, 30, 0.70, 0.46, 6.0, 0.58, 3.4, 6.50, 3.90, 20.0, 0.90),
)


def draw_channels(rng: Random, count: int) -> tuple[SimulatedChannel, ...]:
    """Paid channels of a brand that nobody has seen, for studies that need many different ones.

    Their customers buy like those of a channel of ``CHANNELS`` at other prices; CAC varies by 40%,
    elasticity is uniform from 0.2 to 0.8, and nothing is related to anything else.

    >>> [round(c.response_b, 2) for c in draw_channels(np.random.default_rng(0), 3)]
    [0.64, 0.31, 0.72]
    """
    paid = [channel for channel in CHANNELS if channel.cac > 0]
    share = rng.dirichlet(np.full(count, 3.0))
    cac, price = 20 * np.exp(0.4 * rng.normal(size=count)), np.exp(0.3 * rng.normal(size=count))
    like, b = rng.integers(len(paid), size=count), rng.uniform(0.2, 0.8, count)
    return tuple(
        replace(
            paid[like[i]],
            name=f"channel {i + 1}",
            share=float(share[i]),
            cac=float(cac[i]),
            response_b=float(b[i]),
            v=paid[like[i]].v * float(price[i]),
        )
        for i in range(count)
    )


@dataclass(frozen=True)
class LogWeeks:
    """The weeks of the log, the first one beginning on ``day_one``."""

    day_one: pd.Timestamp
    weeks: int

    @property
    def as_of(self) -> pd.Timestamp:
        """The last day of the log."""
        return self.day_one + pd.Timedelta(days=7 * self.weeks - 1)

    def dates(self, week: Floats) -> pd.Series[pd.Timestamp]:
        """The day on which each moment falls; missing moments stay missing."""
        days = pd.to_timedelta(np.floor(week * DAYS["week"]), unit="D")
        return pd.Series((self.day_one + days).astype("datetime64[us]"))


@dataclass(frozen=True)
class People:
    """Everybody acquired, in order of arrival; arrays of shape (n,), time in weeks."""

    code: Ints  # row of the channel table
    first: Floats  # first purchase
    rate: Floats
    dropout: Floats
    p: Floats
    nu: Floats


def channel_table(channels: Sequence[SimulatedChannel], a_week: float, phi: float) -> pd.DataFrame:
    """The true parameters by channel, for ``a_week`` new customers a week at the usual spend."""
    _check(channels)
    table = pd.DataFrame([asdict(channel) for channel in channels]).set_index("name")
    customers = table.pop("share") * a_week
    usual = customers * table.pop("cac")
    k = customers / usual.where(usual > 0, 1.0) ** table["response_b"]
    return table.rename_axis("channel").assign(response_k=k, phi=phi, weekly_spend=usual)


def spend_table(
    rng: Random, table: pd.DataFrame, calendar: LogWeeks, variation: float, season: float
) -> pd.DataFrame:
    """Spend and new customers (NB2 around k spend^b), week by week and channel by channel."""
    sigma = np.sqrt(np.log1p(variation**2))
    noise = rng.normal(-(sigma**2) / 2, sigma, (calendar.weeks, len(table)))  # of mean 1 in exp
    usual, phi = table["weekly_spend"].to_numpy(), table["phi"].to_numpy()
    spend = np.round(usual * np.exp(noise), 2)
    start = calendar.dates(np.arange(calendar.weeks, dtype=float))
    wave = np.cos(2 * np.pi * (start.dt.day_of_year.to_numpy() - PEAK) / DAYS["year"])
    mean = table["response_k"].to_numpy() * spend ** table["response_b"].to_numpy()
    mean = mean * (1 + season * wave)[:, None]
    return pd.DataFrame(
        {
            "channel": pd.concat([table.index.to_series()] * calendar.weeks, ignore_index=True),
            "period": start.repeat(len(table)).reset_index(drop=True),
            "spend": spend.ravel(),
            "fixed_cost": np.tile(np.round(FIXED_COST * usual, 2), calendar.weeks),
            "new_customers": rng.negative_binomial(phi, phi / (phi + mean)).ravel(),
        }
    )


def arrivals(rng: Random, table: pd.DataFrame, new_customers: Ints) -> People:
    """Everybody acquired, spread evenly over their week, with latent rate, dropout and spend.

    ``new_customers`` as in the spend table: week by week, and channel by channel within it.
    """
    week, code = np.divmod(np.repeat(np.arange(len(new_customers)), new_customers), len(table))
    first = week + rng.random(len(week))
    order = np.argsort(first)
    code = code[order]
    r, alpha, a, b, p, q, v = (table[name].to_numpy()[code] for name in CDNOW)
    return People(
        code=code,
        first=first[order],
        rate=rng.gamma(r, 1 / alpha),
        dropout=rng.beta(a, b),
        p=p,
        nu=rng.gamma(q, 1 / v),
    )


def _check(channels: Sequence[SimulatedChannel]) -> None:
    names = [channel.name for channel in channels]
    if len(set(names)) < len(names):
        raise InputError(f"two channels share a name: {', '.join(sorted(names))}.")
    shares = sum(channel.share for channel in channels)
    if not np.isclose(shares, 1.0):
        raise InputError(f"the channels' shares of new customers add up to {shares:g}, not 1.")
    free = [c.name for c in channels if (c.cac == 0) != (c.response_b == 0)]
    if free:
        raise InputError(
            f"channel {', '.join(free)} has a cost without a response, or a response without one.",
            hint="give both cac and response_b, or 0 for both.",
        )
