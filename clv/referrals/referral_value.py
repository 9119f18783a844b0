"""What referrals are worth, to whom that is credited, and how many customers a customer brings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from clv.defaults import LEVEL
from clv.errors import InputError
from clv.findings import Finding, finding, saved
from clv.format import counted, money
from clv.notebook import InNotebook
from clv.referrals.referral_table import Referrals
from clv.shares import check_share


@dataclass(frozen=True)
class KFactor:
    """How many customers a customer brings.

    Attributes
    ----------
    mean, low, high
        In the mean, with its interval; below 1 referrals alone do not keep a base growing.
    customers
        Of whom it is the mean.
    days
        Within so many days of the first purchase; None where that is not known: so far.

    Examples
    --------
    >>> KFactor(0.12, 0.1, 0.14, 5000, 90).mean
    0.12
    """

    mean: float
    low: float
    high: float
    customers: int
    days: float | None


@dataclass(frozen=True)
class ReferralValue(InNotebook):
    """Referrals as a channel, and what each referrer is credited with.

    Attributes
    ----------
    referrers
        customer_id, referred, value (of those whom he brought), credit, rewards, net: one
        generation; by net credit, the highest first.
    referred, cac, value
        Customers referred; rewards by them, also those paid for nothing; their mean value, None
        where it is not known of any.
    credit
        Of all: share x value + (1 - share) x saved CAC.
    worth, saved, rewards
        Of all: their value, what winning them otherwise would have cost, what was paid.
    break_even
        The share who must not have come otherwise for credit to cover the rewards; None where no
        share does.
    k
        Customers that a customer brings.
    findings
        What is measured, what is assumed.

    Examples
    --------
    >>> import clv
    >>> rows = pd.DataFrame({"referrer_id": ["a"], "referred_id": ["b"], "date": ["2024-01-05"],
    ...                      "reward": [10.0]})
    >>> made: ReferralValue = clv.value_referrals(clv.read_referrals(rows), {"a": 90, "b": 50})
    >>> made.cac, made.value
    (10.0, 50.0)
    """

    referrers: pd.DataFrame
    referred: int
    cac: float
    value: float | None
    credit: float
    worth: float
    saved: float
    rewards: float
    break_even: float | None
    k: KFactor | None
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; of the referrers only how many brought how many."""
        by_count = self.referrers.groupby("referred")["net"].agg(["size", "sum"])
        return {
            "referred": self.referred,
            "cac": self.cac,
            "value": self.value,
            "credit": self.credit,
            "worth": self.worth,
            "saved": self.saved,
            "rewards": self.rewards,
            "brought": [
                {"brought": int(count), "referrers": int(size), "net": float(net)}
                for count, size, net in by_count.itertuples()
            ],
            "break_even": self.break_even,
            "k_factor": None if self.k is None else asdict(self.k),
            "findings": saved(self.findings),
        }

    def __str__(self) -> str:
        head = f"{counted(self.referred, 'customer')} referred, {money(self.cac)} each"
        return "\n".join([head, *map(str, self.findings)])


def value_referrals(
    referrals: Referrals,
    values: Mapping[str, float],
    *,
    incremental_share: float = 1.0,
    saved_cac: float = 0.0,
    joined: Mapping[str, Any] | None = None,
    days: float = 90.0,
    level: float = LEVEL,
) -> ReferralValue:
    """Credit referrers with the customers whom they brought, once each.

    Parameters
    ----------
    referrals
        From ``read_referrals``.
    values
        What customers are worth, by id, in currency; everybody who may refer is in it.
    incremental_share
        Of the customers referred, those who would not have come otherwise (type one), where the
        table does not say it of each; assumed, a fraction.
    saved_cac
        What it would have cost to win one who would have come anyway (type two), in currency.
    joined
        The day of each customer's first purchase: with it the K-factor is that of the first
        ``days``, of customers who are that old by the last referral.
    days
        For the K-factor.
    level
        Of its interval.

    Returns
    -------
    ReferralValue
        No value is credited twice: each customer has one referrer, and one generation counts.

    Raises
    ------
    InputError
        A share or an amount is out of range.

    References
    ----------
    Kumar, Petersen & Leone (2010), J. of Marketing 74(5): type-one and type-two referrals.
    Schmitt, Skiera & Van den Bulte (2011), J. of Marketing 75(1): referred customers stay longer.

    Examples
    --------
    >>> import clv
    >>> rows = pd.DataFrame({"referrer_id": ["a", "a"], "referred_id": ["b", "c"],
    ...                      "date": "2024-01-05", "reward": 10.0})
    >>> made = value_referrals(clv.read_referrals(rows), {"a": 90, "b": 50, "c": 70},
    ...                        incremental_share=0.5, saved_cac=20.0)
    >>> made.credit, made.break_even
    (80.0, 0.0)
    """
    check_share("incremental_share", incremental_share)
    check_share("level", level, "(0, 1)")
    for name, amount in (("saved_cac", saved_cac), ("days", days)):
        if not np.isfinite(amount) or amount < 0:
            raise InputError(f"{name} = {amount} is no number of 0 or more.")
    rows = referrals.rows
    by_customer = pd.Series({str(k): float(v) for k, v in values.items()}, dtype=float)
    value = by_customer.reindex(rows["referred_id"]).to_numpy()
    share = rows["type"].map({1.0: 1.0, 2.0: 0.0}).fillna(incremental_share).to_numpy()
    worth = np.nan_to_num(value)
    credit = share * worth + (1 - share) * saved_cac
    paid = float(rows["reward"].sum()) + sum(part.amount for part in referrals.left_out)
    k = _k_factor(rows, list(by_customer.index), joined, days, level)
    return ReferralValue(
        _referrers(rows, worth, credit),
        len(rows),
        paid / len(rows),
        None if np.isnan(value).all() else float(np.nanmean(value)),
        float(credit.sum()),
        float(worth.sum()),
        saved_cac * len(rows),
        paid,
        _break_even(worth.sum(), saved_cac * len(rows), paid),
        k,
        (*_findings(referrals, value, incremental_share, saved_cac, k),),
    )


def _referrers(rows: pd.DataFrame, value: np.ndarray, credit: np.ndarray) -> pd.DataFrame:
    each = rows.assign(value=value, credit=credit).groupby("referrer_id")
    table = each.agg(
        referred=("referred_id", "size"),
        value=("value", "sum"),
        credit=("credit", "sum"),
        rewards=("reward", "sum"),
    )
    table = table.assign(net=table["credit"] - table["rewards"]).rename_axis("customer_id")
    return table.reset_index().sort_values(
        ["net", "customer_id"], ascending=[False, True], ignore_index=True
    )


def _break_even(value: float, saved: float, paid: float) -> float | None:
    """The share s with s x value + (1 - s) x saved = paid; None if not within 0 and 1."""
    if saved >= paid:
        return 0.0
    if value <= saved or value < paid:
        return None
    return float((paid - saved) / (value - saved))


def _k_factor(
    rows: pd.DataFrame,
    customers: list[str],
    joined: Mapping[str, Any] | None,
    days: float,
    level: float,
) -> KFactor | None:
    """Referrals per customer; who brought many counts in the spread, not as a Poisson count."""
    made, within = rows, None
    if joined is not None:
        within, last = days, rows["date"].max()
        first = pd.to_datetime(pd.Series({str(k): v for k, v in joined.items()}))
        old = first[first <= last - pd.Timedelta(days=days)]
        customers = [name for name in customers if name in old.index]
        since = rows["date"] - pd.to_datetime(old.reindex(rows["referrer_id"])).to_numpy()
        made = rows[(since >= pd.Timedelta(0)) & (since <= pd.Timedelta(days=days))]
    if len(customers) < 2:
        return None
    counts = made["referrer_id"].value_counts().reindex(customers, fill_value=0).to_numpy()
    mean, error = float(counts.mean()), float(counts.std(ddof=1) / np.sqrt(len(counts)))
    z = float(norm.ppf(0.5 + level / 2))
    spread = np.exp(z * error / mean) if mean else 1.0  # on the scale of logs: it is positive
    return KFactor(mean, mean / float(spread), mean * float(spread), len(counts), within)


def _findings(
    referrals: Referrals, value: np.ndarray, share: float, saved: float, k: KFactor | None
) -> list[Finding]:
    notes = [
        finding("referral.left_out", rows=part.rows, reason=part.reason, rewards=part.amount)
        for part in referrals.left_out
    ]
    if unknown := int(np.isnan(value).sum()):
        notes.append(finding("referral.no_value", customers=unknown))
    if referrals.rows["type"].isna().any():
        notes.append(finding("referral.assumed", share=share, saved=saved))
    if k is not None:
        code = "referral.k" if k.days is None else "referral.k_within"
        within = {} if k.days is None else {"days": float(k.days)}
        notes.append(
            finding(code, mean=k.mean, low=k.low, high=k.high, customers=k.customers, **within)
        )
    return notes
