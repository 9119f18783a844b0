"""Logs with a known season, trend, growth and closures: BG/NBD customers on a known clock."""

import datetime as dt

import numpy as np

from clv.forecast.calendar_total import BaseDays

CUTOFF = dt.date(2024, 1, 1)
YEAR = 365.25


def multipliers(day, season=0.0, trend=0.0, phase=0.0, closed=()):
    """How many times as much is bought on each day, a peak of three weeks in the year among it."""
    angle = 2 * np.pi * day / YEAR + phase
    peak = np.exp(-0.5 * (((day + 200) % YEAR - 300) / 12) ** 2)
    m = np.exp(season * (np.sin(angle) + 1.5 * peak) + trend * day / YEAR)
    for first, last in closed:
        m = np.where((day >= first) & (day <= last), 0.02, m)
    return m


def purchases(rng, years, ahead, m, growth=0.0, customers=4_000):
    """First days (n,) of BG/NBD customers on a clock, and who bought again when, shape (2, k).

    ``m`` gives the multiplier of days; r = .6, alpha = 8 weeks, a = .8, b = 4.
    """
    begin = -round(years * YEAR)
    day = np.arange(begin + 1, ahead + 1)
    clock = np.concatenate([[0.0], np.cumsum(m(day)) / 7])
    knots = np.concatenate([[begin], day])
    share = rng.uniform(size=customers)
    if growth:
        share = np.log1p(share * np.expm1(growth * years)) / (growth * years)
    birth = np.minimum(np.floor(begin * (1 - share)), -1.0)
    rate, p = rng.gamma(0.6, 1 / 8.0, customers), rng.beta(0.8, 4.0, customers)
    time, alive = np.interp(birth, knots, clock), np.arange(customers)
    bought = []
    while len(alive):
        time = time + rng.exponential(size=len(alive)) / rate[alive]
        within = time < clock[-1]
        alive, time = alive[within], time[within]
        bought.append(np.stack([alive, np.ceil(np.interp(time, clock, knots))]))
        stays = rng.uniform(size=len(alive)) >= p[alive]
        alive, time = alive[stays], time[stays]
    who, when = np.unique(np.concatenate(bought, axis=1), axis=1)
    later = when > birth[who.astype(int)]  # two purchases on one day are one
    return birth, np.array([who, when])[:, later]


def base_and_total(rng, years, ahead, m, growth=0.0, customers=4_000):
    """What is known at the end of day 0 of a base, and what it bought in the days after."""
    birth, (who, when) = purchases(rng, years, ahead, m, growth, customers)
    who, past = who.astype(int), when <= 0
    last = birth.copy()
    np.maximum.at(last, who[past], when[past])
    x = np.bincount(who[past], minlength=customers).astype(float)
    days, repeats = np.unique(when[past], return_counts=True)
    base = BaseDays(CUTOFF, birth, last, x, np.ones(customers), days, repeats.astype(float))
    return base, int((when > 0).sum())
