"""An annual plan over what nobody has measured yet: who accepts it, and how many renew it.

Two things are unknown until an offer to customers drawn at random has measured them: how much
longer those stay who accept (selection), and what share of them renews each year. The surface shows
the gain over both; the test says how many customers settle them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm

from clv.errors import InputError
from clv.findings import Finding, finding, saved
from clv.notebook import InNotebook
from clv.probability.contract_formulas import log_survival
from clv.probability.contract_model import ContractModel
from clv.schema import Floats
from clv.shares import check_share, outside

SELECTIONS = (0.0, 1.0, 2.0, 5.0, 10.0)
RENEWALS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
POWER, LEVEL = 0.8, 0.05
MARGIN_OF_RENEWAL = 0.05  # to which a test settles the share that renews
SMALLEST = 0.02  # of a customer's revenue in the year: a gain below it decides nothing


@dataclass(frozen=True)
class AnnualSurface(InNotebook):
    """What an annual plan brings, over selection and annual renewal rate.

    Attributes
    ----------
    table
        A row per pair: selection, renewal_rate, gain_per_acceptor (value over ``years``,
        discounted), first_year (revenue of year one, undiscounted) and break_even_discount (at
        which the gain over ``years`` is none).
    cash_now
        Received at once for each customer who accepts, beyond the payment of the first period.
    years
        That count.
    findings
        What this says, and that both unknowns are assumed.
    """

    table: pd.DataFrame
    cash_now: float
    years: int
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        grid = self.table.pivot(
            index="selection", columns="renewal_rate", values="gain_per_acceptor"
        )
        heading = f"gain per acceptor over {self.years} years, by selection and annual renewal rate"
        return "\n".join([heading, grid.round(2).to_string(), *(f"  {f}" for f in self.findings)])


def annual_plan_surface(
    model: ContractModel,
    *,
    price: float,
    discount: float,
    selections: Sequence[float] = SELECTIONS,
    renewal_rates: Sequence[float] = RENEWALS,
    years: int = 3,
    annual_discount_rate: float = 0.10,
    margin_rate: float = 1.0,
    periods: int = 12,
) -> AnnualSurface:
    """What an annual plan brings per customer who accepts, over both things that are unknown.

    Parameters
    ----------
    model
        A fitted model of today's plan, its time in billing periods.
    price
        Of a billing period today, in any currency.
    discount
        Share by which a year paid at once is cheaper.
    selections
        Acceptors leave as under beta + selection, had they gone on as today; 0 as all others.
    renewal_rates
        Shares of those on the annual plan who renew it, each year the same, in [0, 1].
    years
        That count, 1 or more.
    annual_discount_rate
        A year, a fraction.
    margin_rate
        Contribution margin over revenue; 1 states revenue.
    periods
        Billing periods in a year.

    Returns
    -------
    AnnualSurface
        Value in the currency of ``price``.

    Raises
    ------
    InputError
        A price, a share or a number of years makes no sense.

    Examples
    --------
    >>> from clv import ShiftedBetaGeometric, annual_plan_surface
    >>> monthly = ShiftedBetaGeometric.from_params(alpha=0.7, beta=3.796996)
    >>> surface = annual_plan_surface(monthly, price=100, discount=0.25, selections=[0, 5],
    ...                               renewal_rates=[0.3, 0.8])
    >>> surface.table[["selection", "renewal_rate", "first_year"]].round(2).values.tolist()
    [[0.0, 0.3, 200.0], [0.0, 0.8, 200.0], [5.0, 0.3, 16.59], [5.0, 0.8, 16.59]]
    """
    _check(price, discount, selections, renewal_rates, years, annual_discount_rate, periods)
    check_share("margin_rate", margin_rate, "(0, 1]")
    v = 1 / (1 + annual_discount_rate)
    rows = []
    for selection in selections:
        stays = survival_of(model, selection, years * periods)
        today = margin_rate * price * float(stays @ v ** (np.arange(len(stays)) / periods))
        first = price * (periods * (1 - discount) - float(stays[:periods].sum()))
        for renewal in renewal_rates:
            # all paid at the beginning of each year
            full = margin_rate * price * periods * float(((renewal * v) ** np.arange(years)).sum())
            gain = full * (1 - discount) - today
            rows.append((selection, renewal, gain, first, 1 - today / full))
    columns = [
        *("selection", "renewal_rate", "gain_per_acceptor", "first_year", "break_even_discount"),
    ]
    table = pd.DataFrame(rows, columns=columns)
    cash = price * (periods * (1 - discount) - 1)
    return AnnualSurface(table, cash, years, _findings(table, cash, years))


def _findings(table: pd.DataFrame, cash: float, years: int) -> tuple[Finding, ...]:
    gains = table["gain_per_acceptor"]
    won = float((gains > 0).mean())
    code = "annual_plan.everywhere" if won == 1 else "annual_plan.nowhere"
    code = code if won in (0.0, 1.0) else "annual_plan.somewhere"
    return (
        finding(code, low=float(gains.min()), high=float(gains.max()), share=won, years=years),
        finding("annual_plan.cash", cash=cash),
        finding("annual_plan.unknowns"),
    )


def survival_of(model: ContractModel, selection: float, periods: int, paid: int = 0) -> Floats:
    """The chance of each of the next payments by customers who accept, shape (periods,).

    ``paid`` payments were made before; the first of these is certain where none was.
    """
    alpha, beta, *rest = model._shape()
    theta = type(model._shape())(alpha, beta + selection, *rest)
    log_s = log_survival(theta, np.arange(max(paid - 1, 0), paid + periods))
    return np.asarray(np.exp(log_s[1:] - log_s[0]) if paid else np.exp(log_s))


def annual_offer_by_age(
    model: ContractModel,
    ages: ArrayLike,
    *,
    price: float,
    discount: float,
    selection: float = 0.0,
    periods: int = 12,
) -> pd.DataFrame:
    """Whom to offer an annual plan: what it brings in its year, by payments made so far.

    Parameters
    ----------
    model
        A fitted model of today's plan.
    ages
        Payments made so far, shape (n,); 0 for a new customer.
    price, discount, selection, periods
        As ``annual_plan`` has them.

    Returns
    -------
    A row per age: paid, expected_payments (of the next ``periods``) and gain_per_acceptor
    (revenue of that year, undiscounted). Who has stayed long would have paid in full anyway.

    Raises
    ------
    InputError
        A price or a share makes no sense.

    Examples
    --------
    >>> from clv import ShiftedBetaGeometric, annual_offer_by_age
    >>> monthly = ShiftedBetaGeometric.from_params(alpha=0.7, beta=3.796996)
    >>> rows = annual_offer_by_age(monthly, [0, 6, 24], price=100, discount=0.25)
    >>> rows["gain_per_acceptor"].round(0).tolist()
    [200.0, 62.0, -137.0]
    """
    _check(price, discount, [selection], [1.0], 1, 0.0, periods)
    rows = []
    months = np.ravel(np.asarray(ages, dtype=np.float64))
    if not np.isfinite(months).all():
        raise InputError("an age is missing or infinite.", hint="give numbers of charges paid.")
    for paid in months.astype(np.int64):
        expected = float(survival_of(model, selection, periods, int(paid)).sum())
        gain = price * (periods * (1 - discount) - expected)
        rows.append((int(paid), expected, gain))
    return pd.DataFrame(rows, columns=["paid", "expected_payments", "gain_per_acceptor"])


@dataclass(frozen=True)
class AnnualTest(InNotebook):
    """The randomised offer that would measure what an annual plan brings.

    Attributes
    ----------
    per_arm
        New customers who get the offer, and as many who do not: enough to tell ``effect`` from
        nothing by revenue of the first year.
    acceptors
        Customers on the annual plan whose renewal settles its rate to 5 points either way.
    effect
        The gain per customer offered that is to be seen, in currency: the one assumed, or, where
        that is too small to decide anything, 2% of what a customer pays in that year.
    deviation
        Standard deviation of a customer's revenue in that year, in currency.
    assumed
        The gain per customer offered that the assumptions give, in currency.
    """

    per_arm: int
    acceptors: int
    effect: float
    deviation: float
    assumed: float

    def __str__(self) -> str:
        return self.finding().text

    @property
    def tested(self) -> int:
        """Customers in both groups."""
        return 2 * self.per_arm

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What it says, as other planned tests have it."""
        return (self.finding(),)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"findings": saved(self.findings)}

    def finding(self) -> Finding:
        """The same as a record."""
        size = {"offered": self.per_arm, "acceptors": self.acceptors}
        figures = size | {"effect": abs(self.effect), "margin": MARGIN_OF_RENEWAL}
        if self.effect == self.assumed:
            return finding("annual_plan.test", **figures)
        small = {"assumed": abs(self.assumed), "least": SMALLEST}
        return finding("annual_plan.test_of_little", **figures, **small)


def annual_plan_test(
    model: ContractModel,
    *,
    price: float,
    discount: float,
    selection: float = 0.0,
    acceptance: float = 0.2,
    renewal_rate: float = 0.6,
    periods: int = 12,
) -> AnnualTest:
    """How many customers a randomised offer needs to measure an annual plan.

    Parameters
    ----------
    model
        A fitted model of today's plan.
    price, discount, selection, periods
        As ``annual_plan`` has them; the gain that they give is what is to be seen. A gain near
        nothing cannot be told from nothing by any test, and need not be: then the test is of the
        size that sees 2% of what a customer pays in that year.
    acceptance
        Share of those offered who accept, assumed.
    renewal_rate
        Share who renew, assumed.

    Returns
    -------
    AnnualTest
        At 5% (two-sided) and a power of 80%.

    Raises
    ------
    InputError
        A price or a share makes no sense.

    Examples
    --------
    >>> from clv import ShiftedBetaGeometric, annual_plan_test
    >>> monthly = ShiftedBetaGeometric.from_params(alpha=0.7, beta=3.796996)
    >>> test = annual_plan_test(monthly, price=100, discount=0.25)
    >>> test.per_arm, test.acceptors
    (2006, 369)
    """
    _check(price, discount, [selection, 0.0], [renewal_rate, acceptance], 1, 0.0, periods)
    stays = survival_of(model, 0.0, periods)
    mean = float(stays.sum())
    square = float((2 * np.arange(periods) + 1) @ stays)  # E[N^2] by the tails of N
    deviation = price * float(np.sqrt(max(square - mean**2, 0.0)))
    accepted = float(survival_of(model, selection, periods).sum())
    effect = acceptance * price * (periods * (1 - discount) - accepted)
    seen = effect if abs(effect) >= SMALLEST * price * mean else SMALLEST * price * mean
    z = float(norm.ppf(1 - LEVEL / 2) + norm.ppf(POWER))
    per_arm = int(np.ceil(2 * (z * deviation / seen) ** 2))
    z_level = float(norm.ppf(1 - LEVEL / 2))
    acceptors = z_level**2 * renewal_rate * (1 - renewal_rate) / MARGIN_OF_RENEWAL**2
    return AnnualTest(max(per_arm, 2), int(np.ceil(acceptors)), seen, deviation, effect)


def _check(
    price: float,
    discount: float,
    selections: Sequence[float],
    shares: Sequence[float],
    years: int,
    rate: float,
    periods: int,
) -> None:
    for bad, what in (
        (not 0 < price < np.inf, f"price = {price}"),
        (not 0 <= discount < 1, f"discount = {discount}"),
        (not all(0 <= k < np.inf for k in selections), f"selection = {list(selections)}"),
        (not all(0 <= r <= 1 for r in shares), f"a share of {list(shares)}"),
        (years != int(years) or not 1 <= years <= 100, f"years = {years}"),
        (outside(rate, "[0, 1)"), f"annual_discount_rate = {rate}"),
        (periods != int(periods) or periods < 1, f"periods = {periods}"),
    ):
        if bad:
            raise InputError(
                f"{what} makes no annual plan.",
                hint="prices are positive, shares are fractions from 0 to 1, years whole.",
            )
