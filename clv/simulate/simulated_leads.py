"""SIMULATED leads with known truth: channels of different speed and quality, and who never buys.

A lead goes on from each stage with the chance of its channel, after a Weibull time; else it stays
there, or is lost after an exponential one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from clv.errors import InputError
from clv.schema import Floats

STAGES = ("qualified", "proposal", "won")
LOST = 0.5  # of those who never go on, the share that is noted as lost
DAYS_TO_LOSS = 20.0
AGES = (30, 90, 180, 365)  # days, at which the truth says what share is won


@dataclass(frozen=True)
class SimulatedLeadChannel:
    """A channel of leads.

    Attributes
    ----------
    name
        What it is called.
    share
        Of all leads.
    chances
        To go on to qualified, proposal and won.
    days
        Scale of the Weibull times until then.
    shape
        Of the same.
    cost
        Of a lead, in the mean.

    Examples
    --------
    >>> round(SimulatedLeadChannel("fair", 0.1, (0.5, 0.5, 0.4), (5, 10, 20), 1.0, 80.0).wins, 3)
    0.1
    """

    name: str
    share: float
    chances: tuple[float, float, float]
    days: tuple[float, float, float]
    shape: float
    cost: float

    @property
    def wins(self) -> float:
        """The share of leads won in the end."""
        return float(np.prod(self.chances))


LEAD_CHANNELS = (
    SimulatedLeadChannel("search", 0.35, (0.45, 0.55, 0.50), (4.0, 9.0, 15.0), 1.0, 32.0),
    SimulatedLeadChannel("social", 0.30, (0.25, 0.45, 0.35), (6.0, 14.0, 25.0), 0.9, 14.0),
    SimulatedLeadChannel("fair", 0.15, (0.60, 0.55, 0.45), (12.0, 30.0, 60.0), 1.2, 95.0),
    SimulatedLeadChannel("partner", 0.12, (0.70, 0.65, 0.55), (5.0, 12.0, 20.0), 1.0, 60.0),
    SimulatedLeadChannel("email", 0.08, (0.30, 0.40, 0.40), (3.0, 6.0, 9.0), 0.9, 3.0),
)


@dataclass(frozen=True)
class SimulatedLeads:
    """Leads as a CRM exports them, and what is behind them.

    Attributes
    ----------
    leads
        A row each: lead_id, created, channel, cost, qualified_at, proposal_at, won_at, lost_at,
        value, customer_id.
    changes
        The same as a row for each change: lead_id, created, channel, cost, stage, at.
    truth
        By channel the chances, the share won in the end, and the share of new leads won within 30,
        90, 180 and 365 days.
    """

    leads: pd.DataFrame
    changes: pd.DataFrame = field(repr=False)
    truth: dict[str, Any]


def simulate_leads(
    seed: int = 0,
    *,
    leads: int = 8_000,
    days: int = 540,
    last_day: str = "2024-06-30",
    channels: Sequence[SimulatedLeadChannel] = LEAD_CHANNELS,
    value: float = 900.0,
) -> SimulatedLeads:
    """Simulate leads that came evenly over so many days, as known on the last.

    Parameters
    ----------
    seed
        The same seed gives the same leads.
    leads
        How many came.
    days, last_day
        How long they came, and until when; what happens later is not in the tables.
    channels
        Where they came from.
    value
        Of a won deal in the mean, in currency.

    Returns
    -------
    SimulatedLeads

    Raises
    ------
    InputError
        There are no leads, days or channels, or the last day is no date.

    Examples
    --------
    >>> made = simulate_leads(seed=1, leads=100)
    >>> len(made.leads), round(made.truth["channels"]["partner"]["wins"], 3)
    (100, 0.25)
    """
    try:
        last = np.datetime64(last_day, "D")
    except ValueError as error:
        raise InputError(f"last_day = {last_day!r} is no date.", hint="2024-06-30") from error
    if leads < 1 or days < 1 or not channels or value <= 0:
        raise InputError("this makes no leads.", hint="give 1 lead, day and channel or more.")
    rng = np.random.default_rng(seed)
    share = np.array([channel.share for channel in channels])
    which = rng.choice(len(channels), leads, p=share / share.sum())
    created = last - np.sort(rng.integers(0, days, leads))[::-1]
    waits = _waits(rng, channels, which)
    moment = np.cumsum(waits, axis=1) + rng.random(leads)[:, None]  # the hour when it came
    entered = np.floor(np.where(np.isfinite(moment), moment, np.nan))
    table = _table(rng, channels, which, created, entered, last, value)
    truth = {"simulated": "no real person or firm is in this data", "seed": seed,
             "as_of": str(last), "leads": leads, "channels": _truth(channels)}  # fmt: skip
    return SimulatedLeads(table, _changes(table), truth)


def _waits(rng: np.random.Generator, channels: Sequence[Any], which: Any) -> Floats:
    """Days from stage to stage, infinite for who never goes on; shape (leads, stages)."""
    chances = np.array([channel.chances for channel in channels])[which]
    scale = np.array([channel.days for channel in channels])[which]
    shape = np.array([channel.shape for channel in channels])[which]
    waits = scale * rng.weibull(shape[:, None], chances.shape)
    return np.where(rng.random(chances.shape) < chances, waits, np.inf)


def _table(
    rng: np.random.Generator,
    channels: Sequence[Any],
    which: Any,
    created: Any,
    entered: Floats,
    last: np.datetime64,
    value: float,
) -> pd.DataFrame:
    size = len(which)
    reached = np.where(np.isnan(entered), -np.inf, entered).max(axis=1, initial=0.0)
    stops = np.isnan(entered[:, -1]) & (rng.random(size) < LOST)
    lost = np.where(stops, np.floor(reached + rng.exponential(DAYS_TO_LOSS, size)), np.nan)
    cost = np.array([channel.cost for channel in channels])[which] * rng.gamma(4.0, 0.25, size)
    dates = {f"{stage}_at": _date(created, entered[:, k], last) for k, stage in enumerate(STAGES)}
    won = pd.notna(dates["won_at"])
    deal = np.round(value * rng.gamma(2.0, 0.5, size), 2)
    ids = np.array([f"L{k:06d}" for k in range(size)], dtype=object)
    return pd.DataFrame(
        {
            "lead_id": ids,
            "created": created.astype("datetime64[s]"),
            "channel": np.array([channel.name for channel in channels], dtype=object)[which],
            "cost": cost.round(2),
            **dates,
            "lost_at": _date(created, lost, last),
            "value": np.where(won, deal, np.nan),
            "customer_id": [f"C{k:06d}" if bought else None for k, bought in enumerate(won)],
        }
    )


def _date(created: Any, days: Floats, last: np.datetime64) -> Any:
    """The day so many days on; missing if it is after the last one."""
    day = created + np.where(np.isnan(days), 0, np.minimum(days, 1e5)).astype(np.int64)
    never = np.isnan(days) | (day > last)
    return np.where(never, np.datetime64("NaT"), day).astype("datetime64[s]")


def _changes(table: pd.DataFrame) -> pd.DataFrame:
    names = {"created": "lead"} | {f"{stage}_at": stage for stage in (*STAGES, "lost")}
    columns = ["lead_id", "created", "channel", "cost"]
    parts = [
        table[columns].assign(stage=stage, at=table[name]).dropna(subset=["at"])
        for name, stage in names.items()
    ]
    changes = pd.concat(parts).sort_values(["lead_id", "at"], kind="stable")
    return changes.reset_index(drop=True)


def _truth(channels: Sequence[SimulatedLeadChannel]) -> dict[str, Any]:
    """The share of each channel won in the end and by ages, the latter from many leads."""
    return {
        channel.name: asdict(channel) | {"wins": channel.wins, "within": dict(_within(channel))}
        for channel in channels
    }


@cache
def _within(channel: SimulatedLeadChannel, size: int = 200_000) -> tuple[tuple[str, float], ...]:
    rng = np.random.default_rng(0)
    total = _waits(rng, [channel], np.zeros(size, dtype=np.int64)).sum(axis=1)
    shares = (float((np.floor(total + 0.5) <= age).mean()) for age in AGES)
    return tuple(zip(map(str, AGES), shares, strict=True))
