"""What response curves are estimated from: spend as channels x periods, and lift tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any

import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import NDArray

from clv.decide.acquisition.cohorts import count_new_customers
from clv.decide.acquisition.spend import Periods, as_day, read_spend
from clv.decide.response.shapes import LARGEST_LOG
from clv.errors import InputError
from clv.findings import Finding, finding
from clv.format import listed
from clv.periods import Duration
from clv.schema import Floats, numbers, reject_rows

HALF = 0.5
BLENDED = ("acquisition.unpaid", "acquisition.none_unpaid")  # which no curve shows


@dataclass(frozen=True)
class LiftTest:
    """What a lift or geo test found, all per period of the spend table.

    Parameters
    ----------
    channel
        Its name.
    spend, extra_spend
        Spend without the test, and what the test added; negative where it took money away.
    extra_customers, standard_error
        Customers that came because of it, and how precisely that is known.

    Examples
    --------
    >>> test = LiftTest("search", 5_000, 1_000, extra_customers=40, standard_error=12)
    >>> test.extra_customers / test.extra_spend
    0.04
    """

    channel: str
    spend: float
    extra_spend: float
    extra_customers: float
    standard_error: float

    def __post_init__(self) -> None:
        wrong = [
            not (np.isfinite(self.spend) and self.spend >= 0),
            not (np.isfinite(self.extra_spend) and self.extra_spend != 0),
            not self.spend + self.extra_spend >= 0,
            not np.isfinite(self.extra_customers),
            not (np.isfinite(self.standard_error) and self.standard_error > 0),
        ]
        if any(wrong):
            raise InputError(
                f"the lift test of {self.channel!r} is impossible: {self}.",
                hint="it needs spend of 0 or more with and without the test, which differ, and a "
                "positive standard error.",
            )


@dataclass(frozen=True)
class Lifts:
    """Lift tests as arrays of shape (lifts,): the spend of a channel went from before to after.

    ``channel`` is its index; ``log_before`` and ``log_after`` are logs of spend over s0; ``gain``
    and ``error`` are extra attributed customers a period and their standard error.
    """

    channel: NDArray[np.intp]
    log_before: Floats
    log_after: Floats
    gain: Floats
    error: Floats


@dataclass(frozen=True)
class Panel:
    """Spend and new customers: arrays of shape (channels, periods), gaps not ``observed``.

    Parameters
    ----------
    customers, log_u
        n, and the log of spend over ``usual``; 0 in the gaps.
    observed
        Whether the channel spent money in the period, and the period is known.
    usual
        s0: geometric mean of each channel's spend, of shape (channels,).
    base
        Customers a period who come without any spend, of shape (channels,).
    lifts
        Lift tests.
    time, time_sd
        X of shape (periods, effects) and the prior standard deviations of beta.
    """

    customers: Floats
    log_u: Floats
    observed: NDArray[np.bool_]
    usual: Floats
    base: Floats
    lifts: Lifts
    time: Floats
    time_sd: Floats

    @property
    def extra(self) -> Floats:
        """Customers added to each channel's: half of one where its money won nobody."""
        won = np.where(self.observed, self.customers - self.base[:, None], 0.0).sum(axis=1)
        return np.where(won > 0, 0.0, HALF)

    def before(self, period: int) -> Panel:
        """The same panel, blind from ``period`` on."""
        return replace(self, observed=self.observed & (np.arange(self.observed.shape[1]) < period))

    def only(self, mask: NDArray[np.bool_]) -> Panel:
        """The same panel with the channels of the mask."""
        tested = mask[self.lifts.channel]
        lifts = {f.name: getattr(self.lifts, f.name)[tested] for f in fields(Lifts)}
        lifts["channel"] = (np.cumsum(mask) - 1)[lifts["channel"]]  # renumbered
        rows = ("customers", "log_u", "observed", "usual", "base")
        return replace(self, lifts=Lifts(**lifts), **{n: getattr(self, n)[mask] for n in rows})


@dataclass(frozen=True)
class Observed:
    """The spend table as arrays of shape (channels, periods), NaN where it has no row.

    Only channels that ever spent money are in it; ``notes`` says what else was left out.
    """

    names: tuple[str, ...]
    periods: Periods
    spend: Floats
    customers: Floats
    fixed_cost: Floats
    notes: tuple[Finding, ...]

    @property
    def paid(self) -> NDArray[np.bool_]:
        """Where money was spent."""
        return self.spend > 0

    @property
    def base(self) -> Floats:
        """Customers a period in the periods without spend; 0 where there are none such."""
        unpaid = self.spend == 0
        total = np.where(unpaid, self.customers, 0.0).sum(axis=1)
        return np.asarray(total / np.maximum(unpaid.sum(axis=1), 1))

    def mean_when_paid(self, values: Floats, within: NDArray[np.bool_] | None = None) -> Floats:
        """Mean per channel over the periods in which it spent money.

        ``within`` some of the periods, where the channel spent any in them.
        """
        counted = np.asarray(self.paid if within is None else self.paid & within)
        counted = np.where(counted.any(axis=1, keepdims=True), counted, self.paid)
        total = np.where(counted, values, 0.0).sum(axis=1)
        return np.asarray(total / counted.sum(axis=1))

    def before_plan(self, channel: int, ran: NDArray[np.bool_] | None) -> Floats:
        """What a channel spent in the periods with spend, before a plan ran where there are any."""
        paid = np.asarray(self.paid)[channel]
        early = paid if ran is None or not (paid & ~ran).any() else paid & ~ran
        return np.asarray(self.spend[channel, early])

    def panel(
        self, tests: Sequence[LiftTest], factors: Mapping[str, float], time: Floats, sd: Floats
    ) -> Panel:
        """What the estimation takes, with time effects ``time`` of prior deviation ``sd``."""
        logs = np.log(np.where(self.paid, self.spend, 1.0))
        center = self.mean_when_paid(logs)
        usual = np.exp(center)
        return Panel(
            customers=np.where(self.paid, self.customers, 0.0),
            log_u=np.where(self.paid, logs - center[:, None], 0.0),
            observed=self.paid,
            usual=usual,
            base=self.base,
            lifts=_lifts(tests, self.names, usual, factors),
            time=time,
            time_sd=sd,
        )


def read_observed(
    spend: IntoFrame, customers: IntoFrame | None, period_length: Duration | None
) -> Observed:
    """The checked spend table with its new customers.

    Raises
    ------
    RowError
        New customers are no whole numbers, or the table breaks a rule of ``read_spend``.
    InputError
        No channel ever spent money, or new customers are counted nowhere or twice.
    """
    rows = read_spend(spend)
    periods = Periods.from_values(rows["period"].to_list(), period_length)
    counts = count_new_customers(rows, customers, periods)
    columns = {name: rows[name].to_list() for name in ("channel", "period")}
    reject_rows(
        counts.by_row != np.round(counts.by_row),
        "new_customers is no whole number",
        columns | {"new_customers": counts.by_row},
        hint="a response curve is estimated from counts; give each customer to one channel.",
    )
    names, code = np.unique(rows["channel"].to_list(), return_inverse=True)

    def spread(values: Floats) -> Floats:
        table = np.full((len(names), len(periods.labels)), np.nan)
        table[code, periods.codes] = values
        return table

    money, won = spread(numbers(rows, "spend")), spread(counts.by_row)
    fixed = spread(numbers(rows, "fixed_cost"))
    paid = np.nansum(money, axis=1) > 0
    if not paid.any():
        raise InputError(
            "no channel of the spend table ever spent money.",
            hint="a response curve needs spend and the new customers it brought.",
        )
    counted = [note for note in counts.notes if note.code not in BLENDED]
    notes = (*counted, *_notes(names, paid, money, won))
    used = tuple(names[paid].tolist())
    return Observed(used, periods, money[paid], won[paid], fixed[paid], notes)


def planned_periods(observed: Observed, first: str | date) -> NDArray[np.bool_]:
    """Which periods begin on the first day of a plan or later.

    Raises
    ------
    InputError
        The periods have no days, or the plan has none of them, or all.
    """
    day = as_day(first)
    if day is None or not observed.periods.starts:
        raise InputError(
            f"plan_from = {str(first)!r} and the periods of the spend table do not meet.",
            hint="write it and the first day of each period as 2024-03-01.",
        )
    ran = np.array([start >= day for start in observed.periods.starts])
    if ran.all() or not ran.any():
        have = "only" if ran.all() else "no"
        raise InputError(
            f"the spend table has {have} periods from {day} on.",
            hint="give the periods before the plan and those in which it ran, and its first day.",
        )
    return ran


def _notes(
    names: NDArray[Any], paid: NDArray[np.bool_], spend: Floats, customers: Floats
) -> Iterator[Finding]:
    if not paid.all():
        yield finding("curves.never_paid", channels=names[~paid].tolist())
    names, spend, customers = names[paid], spend[paid], customers[paid]
    gaps = np.isnan(spend).sum(axis=1)
    if gaps.any():
        channels = names[gaps > 0].tolist()
        yield finding("curves.gaps", gaps=int(gaps.sum()), pairs=spend.size, channels=channels)
    for name, row, brought in zip(names.tolist(), spend, customers, strict=True):
        if (row == 0).any():
            yield _without_spend(name, int((row == 0).sum()), float(brought[row == 0].mean()))
        if not brought[row > 0].any():
            yield finding("curves.no_customers", channel=name)


def _without_spend(name: str, periods: int, mean: float) -> Finding:
    if mean == 0:
        return finding("curves.unpaid_none", periods=periods, channel=name)
    return finding("curves.unpaid_customers", periods=periods, channel=name, mean=mean)


def _lifts(
    tests: Sequence[LiftTest], names: Sequence[str], usual: Floats, factors: Mapping[str, float]
) -> Lifts:
    """Lift tests in units of attributed customers and of the usual spend."""
    if unknown := sorted({test.channel for test in tests} - set(names)):
        raise InputError(f"a lift test names {listed(unknown)}, which has no spend.")
    channel = np.array([names.index(test.channel) for test in tests], dtype=np.intp)
    factor = np.array([factors[test.channel] for test in tests], dtype=np.float64)

    def log_u(spend: Sequence[float]) -> Floats:
        with np.errstate(divide="ignore"):
            return np.maximum(
                np.log(np.array(spend, dtype=np.float64) / usual[channel]), -LARGEST_LOG
            )

    return Lifts(
        channel=channel,
        log_before=log_u([test.spend for test in tests]),
        log_after=log_u([test.spend + test.extra_spend for test in tests]),
        gain=np.array([test.extra_customers for test in tests], dtype=np.float64) / factor,
        error=np.array([test.standard_error for test in tests], dtype=np.float64) / factor,
    )
