"""An annual plan in place of a monthly one: what each customer who accepts it brings, or costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clv.errors import InputError
from clv.findings import Finding, finding
from clv.format import difference, fine_percent, percent
from clv.notebook import InNotebook
from clv.probability.contract_model import ContractModel
from clv.shares import check_share


@dataclass(frozen=True)
class AnnualPlan(InNotebook):
    """What an annual plan does in its first year, in revenue before discounting.

    Attributes
    ----------
    price
        Of a billing period today.
    discount
        Share by which a year paid at once is cheaper.
    selection
        How much longer those stay who accept: they leave as under beta + selection.
    periods
        Billing periods in the year that is paid at once.
    expected_payments
        Payments in that year by those who accept, had they gone on as today.
    gain_per_acceptor
        Revenue of the year paid at once, less that of those payments.
    break_even_discount
        The share at which nothing is gained or lost.
    findings
        What this says, and what it rests on that nobody has measured.
    """

    price: float
    discount: float
    selection: float
    periods: int
    expected_payments: float
    gain_per_acceptor: float
    break_even_discount: float
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        gain, even = difference(self.gain_per_acceptor), fine_percent(self.break_even_discount)
        heading = (
            f"annual plan at {percent(self.discount)} off: {gain} in year one "
            f"for each customer who accepts; break-even at {even} off"
        )
        return "\n".join([heading, *(f"  {each}" for each in self.findings)])


def annual_plan(
    model: ContractModel,
    *,
    price: float,
    discount: float,
    selection: float = 0.0,
    periods: int = 12,
) -> AnnualPlan:
    """What a customer who takes a year at once, for less, brings in that year beside today's plan.

    Who accepts is not average: those who mean to stay accept. They are taken to leave with a
    chance spread as Beta(alpha, beta + selection), so the greater the selection, the more of the
    discount goes to customers who would have paid in full. Nothing is said of later years, which
    rest on how many renew the annual plan.

    Parameters
    ----------
    model
        A fitted model of today's plan, its time in billing periods.
    price
        Of a billing period today, in any currency.
    discount
        Share by which a year paid at once is cheaper: 0.25 for a quarter.
    selection
        0 if those who accept leave as fast as the others; assumed, until an offer to customers
        drawn at random measured it.
    periods
        Billing periods in a year: 12 of a monthly plan.

    Returns
    -------
    The record: gain per customer who accepts (revenue of year one, undiscounted, in the currency
    of ``price``) and the break-even discount (a share).

    Raises
    ------
    InputError
        The price is not positive, the discount is not between 0 and 1, the selection is negative,
        or the periods are no whole number of 1 or more.

    Examples
    --------
    >>> from clv import ShiftedBetaGeometric, annual_plan
    >>> monthly = ShiftedBetaGeometric.from_params(alpha=0.7, beta=3.796996)
    >>> round(annual_plan(monthly, price=100, discount=0.25).gain_per_acceptor, 2)
    200.0
    >>> plan = annual_plan(monthly, price=100, discount=0.25, selection=5)
    >>> round(plan.gain_per_acceptor, 2), round(plan.break_even_discount, 3)
    (16.59, 0.264)
    """
    _check(price, discount, selection, periods)
    params = model.params_ | {"beta": model.params_["beta"] + selection}
    expected = type(model).from_params(params).expected_lifetime(periods)
    gain = price * (periods * (1 - discount) - expected)
    code = "annual_plan.gains" if gain >= 0 else "annual_plan.loses"
    findings = (
        finding(code, gain=abs(gain), payments=expected, periods=periods),
        finding("annual_plan.selection" if selection else "annual_plan.no_selection"),
        finding("annual_plan.renewal"),
    )
    break_even = 1 - expected / periods
    return AnnualPlan(price, discount, selection, periods, expected, gain, break_even, findings)


def _check(price: float, discount: float, selection: float, periods: int) -> None:
    check_share("discount", discount, "[0, 1)", "give a share: 0.25 for a quarter off.")
    for bad, what, hint in (
        (not 0 < price < np.inf, f"price = {price}", "give the price of a billing period."),
        (
            not 0 <= selection < np.inf,
            f"selection = {selection}",
            "0 if those who accept leave as fast as the others, more if they stay longer.",
        ),
        (
            periods != int(periods) or periods < 1,
            f"periods = {periods}",
            "give the billing periods in a year: 12 of a monthly plan.",
        ),
    ):
        if bad:
            raise InputError(f"{what} makes no annual plan.", hint=hint)
