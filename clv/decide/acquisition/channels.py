"""What a new customer costs: CAC per channel and period, paid and blended apart.

CAC is fully loaded: media spend plus fixed cost, over the new customers of the period. Paid CAC
divides by the customers of channels with spend; blended CAC by all new customers, those who came
unpaid included, and so it flatters.

**Intervals.** Counts vary more between periods than a Poisson count would. Their dispersion phi is
Pearson's, over the periods of all channels, around counts that rise with the root of spend (an
elasticity of 1/2). The 90% interval of a count is the Poisson one [1]_ scaled by phi, and that of
a CAC follows from it; a period without a customer still has a lower end.

References
----------
.. [1] Garwood (1936), Fiducial limits for the Poisson distribution, Biometrika 28(3/4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import NDArray
from scipy.stats import chi2

from clv.decide.acquisition.cohorts import NewCustomerCounts, count_new_customers
from clv.decide.acquisition.spend import Periods, read_spend, require_day
from clv.errors import InputError
from clv.findings import Finding, finding
from clv.format import kind_of_customers, listed
from clv.periods import Duration
from clv.schema import Floats, column, numbers, same_kind
from clv.shares import check_share

NO_CUSTOMERS = "no new customers"
NO_SPEND = "no spend"
LEVEL = 0.90  # of the intervals of CAC


@dataclass(frozen=True)
class ChannelCosts:
    """CAC tables, the same kind of frame as the spend table; money in its currency.

    Parameters
    ----------
    by_channel
        One row per channel and period: spend, fixed_cost, loaded_spend (their sum),
        new_customers (attributed), cac, cac_low and cac_high (90% interval), incrementality,
        incremental_cac (cac / incrementality), new_customers_are ("attributed, not incremental"
        or "incremental"), cac_missing_because; and ``maturing`` when an as-of date was given.
    by_period
        One row per period: loaded_spend, paid_customers, all_customers, paid_cac, blended_cac;
        and ``maturing``.
    notes
        What the figures rest on.
    dispersion
        phi: variance of a count over its mean, at least 1; None where no channel has two periods.
    """

    by_channel: Any
    by_period: Any
    notes: tuple[Finding, ...]
    dispersion: float | None = None


def channel_costs(
    spend: IntoFrame,
    customers: IntoFrame | None = None,
    *,
    as_of: date | str | None = None,
    matures_after: str | Duration = "13 weeks",
    period_length: str | Duration | None = None,
    incrementality: float | Mapping[str, float] = 1.0,
) -> ChannelCosts:
    """CAC per channel and period, and paid and blended CAC per period.

    Parameters
    ----------
    spend
        channel, period (its first day, or a label), spend [, fixed_cost] [, new_customers].
        Rows of one channel and period are added up.
    customers
        Where new customers are counted when the spend table does not: a summary (with channel,
        T, unit, as_of), a clean log (customer_id, date, channel), or counts (channel, period,
        new_customers). Customers of channels without spend count as unpaid.
    as_of
        End of observation. A cohort is marked as maturing until ``matures_after`` has passed
        since its period ended: its customers may not all be counted, nor its value judged.
    matures_after
        How long a cohort takes to mature.
    period_length
        Length of a period, inferred from the gaps between their first days by default.
    incrementality
        Share of the attributed customers that would not have come anyway, in (0, 1], one for
        all or by channel. Default 1, with a warning in the notes.

    Returns
    -------
    ChannelCosts
        ``by_channel`` (a row per channel and period: loaded spend, new customers, CAC and its 90%
        interval, in currency per customer) and ``by_period`` (paid and blended CAC), the same kind
        of frame as ``spend``; ``notes`` say what is assumed.

    Raises
    ------
    ColumnError, RowError
        A column is missing; a spend or a count is missing or negative.
    InputError
        New customers are counted nowhere or twice, or an incrementality is not in (0, 1].

    Examples
    --------
    >>> import pandas as pd
    >>> spend = pd.DataFrame({
    ...     "channel": ["organic", "search", "social"],
    ...     "period": ["2024-01"] * 3,
    ...     "spend": [0.0, 900.0, 400.0],
    ...     "fixed_cost": [0.0, 100.0, 0.0],
    ...     "new_customers": [30, 50, 0],
    ... })
    >>> costs = channel_costs(spend)
    >>> costs.by_channel[["channel", "loaded_spend", "cac", "cac_missing_because"]]
       channel  loaded_spend   cac cac_missing_because
    0  organic           0.0   NaN            no spend
    1   search        1000.0  20.0                 NaN
    2   social         400.0   NaN    no new customers
    >>> costs.by_period[["paid_cac", "blended_cac"]]
       paid_cac  blended_cac
    0      28.0         17.5
    """
    rows = read_spend(spend)
    length = None if period_length is None else Duration.parse(period_length)
    periods = Periods.from_values(rows["period"].to_list(), length)
    counts = count_new_customers(rows, customers, periods)
    factors = _factors(incrementality, rows["channel"].unique().to_list())
    maturing = None
    if as_of is not None:
        maturing = periods.maturing(require_day(as_of), Duration.parse(matures_after))
    phi = dispersion(rows["channel"].to_list(), numbers(rows, "loaded_spend"), counts.by_row)
    return ChannelCosts(
        same_kind(_by_channel(rows, counts, factors, phi, periods, maturing), spend),
        same_kind(_by_period(rows, counts, periods, maturing), spend),
        (*counts.notes, *_factor_note(factors, rows), _interval_note(phi)),
        phi,
    )


def _by_channel(
    rows: nw.DataFrame[Any],
    counts: NewCustomerCounts,
    factors: Mapping[str, float],
    phi: float | None,
    periods: Periods,
    maturing: NDArray[np.bool_] | None,
) -> nw.DataFrame[Any]:
    loaded = numbers(rows, "loaded_spend")
    factor = np.array([factors[name] for name in rows["channel"].to_list()])
    cac = cost_per_customer(loaded, counts.by_row)
    low, high = cac_interval(loaded, counts.by_row, phi)
    are = [kind_of_customers([share]) for share in factor.tolist()]
    why = np.select([loaded == 0, counts.by_row == 0], [NO_SPEND, NO_CUSTOMERS], "").tolist()
    out = rows.select("channel", "period", "spend", "fixed_cost", "loaded_spend").with_columns(
        column(rows, "new_customers", counts.by_row, nw.Float64),
        column(rows, "cac", cac, nw.Float64),
        column(rows, "cac_low", low, nw.Float64),
        column(rows, "cac_high", high, nw.Float64),
        column(rows, "incrementality", factor, nw.Float64),
        column(rows, "incremental_cac", cac / factor, nw.Float64),
        column(rows, "new_customers_are", are, nw.String),
        column(rows, "cac_missing_because", [reason or None for reason in why], nw.String),
    )
    return _mark(out, None if maturing is None else maturing[periods.codes])


def _by_period(
    rows: nw.DataFrame[Any],
    counts: NewCustomerCounts,
    periods: Periods,
    maturing: NDArray[np.bool_] | None,
) -> nw.DataFrame[Any]:
    total = np.zeros(len(periods.labels))
    np.add.at(total, periods.codes, numbers(rows, "loaded_spend"))
    _, first = np.unique(periods.codes, return_index=True)
    out = rows[first].select("period")
    out = nw.maybe_reset_index(out).with_columns(
        column(out, "loaded_spend", total, nw.Float64),
        column(out, "paid_customers", counts.paid, nw.Float64),
        column(out, "all_customers", counts.everybody, nw.Float64),
        column(out, "paid_cac", cost_per_customer(total, counts.paid), nw.Float64),
        column(out, "blended_cac", cost_per_customer(total, counts.everybody), nw.Float64),
    )
    return _mark(out, maturing).sort("period")


def _mark(rows: nw.DataFrame[Any], maturing: NDArray[np.bool_] | None) -> nw.DataFrame[Any]:
    if maturing is None:
        return rows
    return rows.with_columns(column(rows, "maturing", maturing, nw.Boolean))


def cost_per_customer(spend: Floats, customers: Floats) -> Floats:
    """Spend over customers; NaN where there is no spend or there are no customers.

    >>> cost_per_customer(np.array([900.0, 400.0]), np.array([50.0, 0.0])).tolist()
    [18.0, nan]
    """
    defined = (spend > 0) & (customers > 0)
    return np.divide(spend, customers, out=np.full_like(spend, np.nan), where=defined)


def dispersion(channel: Sequence[str], spend: Floats, customers: Floats) -> float | None:
    """phi: variance of a count between periods over its mean, at least 1; None if unknown.

    >>> dispersion(["a"] * 4, np.full(4, 100.0), np.array([10.0, 30.0, 20.0, 20.0]))
    3.3333333333333335
    """
    excess, free = 0.0, 0
    names = np.array(channel)
    for name in set(channel):
        here = (names == name) & (spend > 0)
        total, size = float(customers[here].sum()), np.sqrt(spend[here])
        if here.sum() > 1 and total > 0:
            expected = total * size / size.sum()
            excess += float(((customers[here] - expected) ** 2 / expected).sum())
            free += int(here.sum()) - 1
    return max(excess / free, 1.0) if free else None


def cac_interval(spend: Floats, customers: Floats, phi: float | None) -> tuple[Floats, Floats]:
    """90% interval of spend over customers; NaN without spend, and no upper end without customers.

    >>> low, high = cac_interval(np.array([900.0]), np.array([50.0]), phi=2.0)
    >>> low.round(2), high.round(2)
    (array([12.89]), array([25.89]))
    """
    scale = (phi or 1.0) / 2
    paid = np.where(spend > 0, spend, np.nan)
    most = scale * chi2.ppf(0.95, customers / scale + 2)
    least = scale * chi2.ppf(0.05, np.maximum(customers / scale, 1e-300))
    with np.errstate(divide="ignore"):
        high = np.where(customers > 0, paid / least, np.nan)
    return np.asarray(paid / most), high


def _interval_note(phi: float | None) -> Finding:
    if phi is None:
        return finding("acquisition.poisson")
    return finding("acquisition.dispersion", level=LEVEL, dispersion=phi)


def _factors(incrementality: float | Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    if isinstance(incrementality, Mapping):
        factors = {name: float(incrementality.get(name, 1.0)) for name in names}
        if unknown := sorted(set(incrementality) - set(names)):
            raise InputError(f"incrementality names {listed(unknown)}, which have no spend.")
    else:
        factors = dict.fromkeys(names, float(incrementality))
    hint = "it is the share of attributed customers who would not have come anyway."
    for name, factor in factors.items():
        check_share(f"the incrementality of {name}", factor, "(0, 1]", hint)
    return factors


def _factor_note(factors: Mapping[str, float], rows: nw.DataFrame[Any]) -> Iterator[Finding]:
    paid = set(rows.filter(nw.col("loaded_spend") > 0)["channel"].to_list())
    if attributed := sorted(name for name in paid if factors[name] == 1):
        yield finding("acquisition.attributed", channels=attributed)
