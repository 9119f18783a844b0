"""SIMULATED subscribers with known truth: plans, who takes the annual one, and moves of price.

Each customer has a chance theta to leave at a monthly renewal, theta ~ Beta(alpha, beta) of the
plan, and stays for the t-th with (1 - theta)^(t^c). An annual plan is accepted with a chance that
falls with theta, as (1 - theta)^kappa: who accepts it would have left as under beta + kappa.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from clv.errors import InputError
from clv.schema import Floats

LAST = np.datetime64("2024-06-30")
DECADES = 600  # months that nobody outstays
MOVE_AFTER = 12  # renewals on average, by who moves to a dearer price


@dataclass(frozen=True)
class SimulatedPlan:
    """A monthly plan and the annual one beside it.

    Attributes
    ----------
    name
        Of the monthly plan.
    price
        A month.
    alpha, beta, c
        Of the chance to leave at a monthly renewal.
    share
        Of new customers.
    """

    name: str
    price: float
    alpha: float
    beta: float
    c: float = 1.0
    share: float = 0.5


PLANS = (
    SimulatedPlan("basic", 19.0, 0.70, 3.80, 1.0, 0.65),
    SimulatedPlan("pro", 49.0, 0.60, 6.00, 1.2, 0.35),
)


@dataclass(frozen=True)
class SimulatedSubscriptions:
    """A table as a billing system exports it, and what is behind it.

    Attributes
    ----------
    subscriptions
        customer_id, subscription_id, plan, interval, amount, currency, start, end: a row per
        period at one price.
    truth
        Plans, kappa, the annual plan's acceptance and renewal rates, moves of price, and the
        number of customers.
    """

    subscriptions: pd.DataFrame
    truth: dict[str, Any]


def simulate_subscriptions(
    seed: int = 0,
    *,
    customers: int = 20_000,
    months: int = 48,
    plans: Sequence[SimulatedPlan] = PLANS,
    annual_share: float = 0.2,
    annual_discount: float = 0.25,
    kappa: float = 5.0,
    annual_renewal: float = 0.65,
    upgrade: float = 0.15,
    upgrade_by: float = 1.5,
    currency: str = "EUR",
) -> SimulatedSubscriptions:
    """Simulate subscribers of a few plans, observed until 2024-06-30.

    Parameters
    ----------
    seed
        The same seed gives the same table.
    customers
        Who begin, evenly over ``months``.
    months
        Before the last day.
    plans
        Monthly plans, each with an annual one.
    annual_share
        Chance of accepting the annual plan by a customer who would never leave.
    annual_discount
        Share by which a year is cheaper than twelve months.
    kappa
        Selection of those who accept.
    annual_renewal
        Share of them who renew each year.
    upgrade
        Share of monthly customers who would move to a dearer price, once, at a renewal that does
        not depend on how long they stay: after 12 on average, if still there.
    upgrade_by
        Times the price.
    currency
        Of all amounts.

    Returns
    -------
    SimulatedSubscriptions

    Raises
    ------
    InputError
        A number of customers or a share makes no sense.

    Examples
    --------
    >>> made = simulate_subscriptions(seed=1, customers=100)
    >>> made.subscriptions["customer_id"].nunique(), made.truth["kappa"]
    (100, 5.0)
    """
    shares = (annual_share, annual_renewal, upgrade)
    if customers < 1 or months < 1 or not all(0 <= s <= 1 for s in shares) or not plans:
        raise InputError(
            "this makes no subscribers.", hint="give 1 customer or more, and shares from 0 to 1."
        )
    rng = np.random.default_rng(seed)
    weight = np.array([plan.share for plan in plans])
    of_plan = rng.choice(len(plans), customers, p=weight / weight.sum())
    alpha, beta, c, price = (
        np.array([getattr(plan, name) for plan in plans])[of_plan]
        for name in ("alpha", "beta", "c", "price")
    )
    theta = rng.beta(alpha, beta)
    annual = rng.random(customers) < annual_share * (1 - theta) ** kappa
    monthly = _payments(rng, theta, c)
    yearly = 12 * np.minimum(rng.geometric(1 - annual_renewal, customers), DECADES // 12)
    begun = LAST.astype("datetime64[M]") - rng.integers(0, months, customers)
    day = rng.integers(0, 28, customers)
    renewals = rng.geometric(1 / MOVE_AFTER, customers)  # whatever becomes of them later
    moves = ~annual & (rng.random(customers) < upgrade) & (renewals < monthly)
    moved = np.where(moves, renewals, 0)
    amount = np.where(annual, 12 * price * (1 - annual_discount), price).round(2)
    frame = _frame(np.array([plan.name for plan in plans])[of_plan], annual, amount, currency)
    last = np.where(annual, yearly, monthly)
    rows = _rows(frame, begun, day, moved, last, upgrade_by)
    truth = {
        "simulated": "no real person or firm is in this data",
        "seed": seed,
        "as_of": str(LAST),
        "customers": customers,
        "plans": [asdict(plan) for plan in plans],
        "annual": {"share": annual_share, "discount": annual_discount, "renewal": annual_renewal},
        "kappa": kappa,
        "upgrade": {"share": upgrade, "times": upgrade_by},
    }
    return SimulatedSubscriptions(rows, truth)


def _frame(plan: Any, annual: Any, amount: Floats, currency: str) -> pd.DataFrame:
    """A row per customer, without days."""
    interval = np.where(annual, "year", "month")
    ids = [f"c{k:07d}" for k in range(len(plan))]
    columns = {"customer_id": ids, "plan": plan, "interval": interval, "amount": amount}
    return pd.DataFrame(columns | {"currency": currency})


def _rows(
    frame: pd.DataFrame, begun: Any, day: Any, moved: Any, last: Any, upgrade_by: float
) -> pd.DataFrame:
    """A row per period at one price, up to the last day; ``moved`` is 0 for who did not move."""
    moves = moved > 0
    first = frame.assign(
        start=_day(begun, 0, day), end=_day(begun, np.where(moves, moved, last), day)
    )
    second = frame[moves].assign(
        plan=lambda rows: rows["plan"] + " plus",
        amount=lambda rows: (rows["amount"] * upgrade_by).round(2),
        start=_day(begun, moved, day)[moves],
        end=_day(begun, last, day)[moves],
    )
    rows: pd.DataFrame = pd.concat([first, second]).sort_values(
        ["customer_id", "start"], kind="stable"
    )
    rows = rows[rows["start"] <= LAST].reset_index(drop=True)
    rows["end"] = rows["end"].where(rows["end"] <= LAST)
    rows.insert(1, "subscription_id", [f"s{k:07d}" for k in range(len(rows))])
    return rows


def _payments(rng: np.random.Generator, theta: Floats, c: Floats) -> Any:
    """How many payments each customer makes: the last t with u < (1 - theta)^(t^c), and one."""
    with np.errstate(divide="ignore"):
        longest = (np.log(rng.random(len(theta))) / np.log1p(-theta)) ** (1 / c)
    return 1 + np.minimum(longest, DECADES).astype(np.int64)


def _day(begun: Any, months: Any, day: Any) -> Any:
    return ((begun + months).astype("datetime64[D]") + day).astype("datetime64[ns]")
