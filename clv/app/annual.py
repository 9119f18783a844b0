"""An annual plan in place of the monthly one, for page and API: one record of all that is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from clv.contracts.contract_fit import KINDS
from clv.errors import DAMAGE, InputError
from clv.findings import Finding, finding, within
from clv.io.files import read_json
from clv.value.annual_plan import AnnualPlan, annual_plan
from clv.value.annual_surface import (
    RENEWALS,
    SELECTIONS,
    AnnualSurface,
    AnnualTest,
    annual_offer_by_age,
    annual_plan_surface,
    annual_plan_test,
)

AGES = np.arange(37)  # payments made so far


@dataclass(frozen=True)
class AnnualOffer:
    """What an annual plan does.

    Attributes
    ----------
    plan, surface
        Its first year, and all years over what is unknown.
    gain
        Over the years, at the selection and renewal rate that were named.
    ages
        By payments made so far, the gain of its year.
    whom
        To offer it to.
    test
        That would measure both unknowns.
    findings
        What it rests on.
    """

    plan: AnnualPlan
    surface: AnnualSurface
    gain: float
    ages: pd.DataFrame
    whom: Finding
    test: Finding
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "gain_per_acceptor": self.plan.gain_per_acceptor,
            "gain_over_years": self.gain,
            "years": self.surface.years,
            "break_even_discount": self.plan.break_even_discount,
            "cash_now": self.surface.cash_now,
            "surface": self.surface.table.to_dict("records"),
            "by_payments_made": self.ages.to_dict("records"),
            "whom": self.whom.to_dict(),
            "test": self.test.to_dict(),
            "findings": [finding.to_dict() for finding in self.findings],
        }


def offer_of(
    document: Mapping[str, Any], monthly: Mapping[str, Any], values: Mapping[str, float]
) -> AnnualOffer:
    """An annual plan by the model of monthly contracts.

    Parameters
    ----------
    document
        From ``clv.app.contracts.contract_document``.
    monthly
        The one of its periods that is paid by the month.
    values
        price; discount and renewal in percent; selection; years.

    Raises
    ------
    InputError
        A value makes no sense.
    """
    model = KINDS[monthly["model"]["model"]].from_dict(monthly["model"])
    price, discount = values["price"], values["discount"] / 100
    selection, renewal = values["selection"], values["renewal"] / 100
    plan = annual_plan(model, price=price, discount=discount, selection=selection)
    surface = annual_plan_surface(
        model,
        price=price,
        discount=discount,
        selections=sorted({*SELECTIONS, selection}),
        renewal_rates=sorted({*RENEWALS, renewal}),
        years=int(values["years"]) if values["years"] == int(values["years"]) else 0,
        annual_discount_rate=document["annual_discount_rate"],
        margin_rate=document["margin_rate"],
    )
    rows = surface.table
    own = rows[(rows["selection"] == selection) & (rows["renewal_rate"] == renewal)]
    ages = annual_offer_by_age(model, AGES, price=price, discount=discount, selection=selection)
    planned = annual_plan_test(
        model, price=price, discount=discount, selection=selection, renewal_rate=renewal
    )
    said = (planned.finding(), *plan.findings[:1])
    test, *findings = within((*said, *surface.findings), document["currency"])
    gain = float(own["gain_per_acceptor"].iloc[0])
    return AnnualOffer(plan, surface, gain, ages, _whom(ages), test, tuple(findings))


def annual_test_of(
    file: str, price: float | None, discount: float, acceptance: float, renewal_rate: float
) -> AnnualTest:
    """The test of an annual plan for the monthly subscribers of a document of contracts.

    Parameters
    ----------
    file
        What ``clv contracts --document`` wrote.
    price
        Of a month; None takes that of the monthly plan.
    discount
        Share by which a year paid at once is cheaper.
    acceptance, renewal_rate
        Assumed, as ``clv.annual_plan_test`` takes them.

    Raises
    ------
    InputError
        It is no such file, no plan in it is paid by the month, or a value makes no sense.
    """
    document = read_json(file)
    try:
        periods = document["periods"]
        monthly = next((p for p in periods if p["months"] == 1 and p["price"]), None)
        model: Any = monthly and KINDS[monthly["model"]["model"]].from_dict(monthly["model"])
    except DAMAGE as error:
        hint = "give what clv contracts --document wrote."
        raise InputError(f"{file} is no document of contracts.", hint=hint) from error
    if monthly is None:
        raise InputError("no plan that runs is paid by the month.")
    own = monthly["price"] if price is None else price
    return annual_plan_test(
        model, price=own, discount=discount, acceptance=acceptance, renewal_rate=renewal_rate
    )


def _whom(ages: pd.DataFrame) -> Finding:
    won = ages[ages["gain_per_acceptor"] > 0]["paid"]
    if won.empty:
        return finding("annual_plan.to_nobody")
    if len(won) == len(ages):
        return finding("annual_plan.to_everybody")
    return finding("annual_plan.to_the_young", paid=int(won.max()))
