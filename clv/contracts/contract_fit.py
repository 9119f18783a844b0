"""Models of real tables of contracts: one per billing period, chosen, and pooled by plan or year.

Plans of one billing period share a model as acquisition channels do: a plan with many customers
goes by its own history, one with few by that of all. Ages are compared within a billing period
alone, since monthly and annual renewals are different decisions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Self

import pandas as pd

from clv.contracts.billing_tables import Interval
from clv.contracts.contract_covariates import covariate_cells, fit_covariates
from clv.contracts.contract_tables import ContractTable
from clv.contracts.price_growth import NO_MOVES, PriceGrowth, price_growth
from clv.data.days import as_day
from clv.errors import DAMAGE, FitError, ModelError
from clv.findings import Finding, finding, saved
from clv.notebook import InNotebook
from clv.probability.beta_discrete_weibull import BetaDiscreteWeibull
from clv.probability.contract_choice import ContractChoice, choose_contract_model
from clv.probability.contract_model import ContractModel
from clv.probability.shifted_beta_geometric import ShiftedBetaGeometric
from clv.value.pooling import pooled_models

Group = Literal["plan", "cohort", "covariates"]
PARTS = {  # SQL for what a model is of, of the contracts' columns
    "plan": "{}plan",
    "cohort": "year({}start)::VARCHAR",
    "covariates": "array_to_string({}kind, ', ')",
}
FORMAT = 3  # of what is saved
MOST = 40  # groups of a billing period that get a model of their own; smaller ones share the base
KINDS = {kind.__name__: kind for kind in (ShiftedBetaGeometric, BetaDiscreteWeibull)}


@dataclass(frozen=True)
class PeriodModels:
    """The models of one billing period.

    Attributes
    ----------
    base
        Of all its customers, with its covariance.
    groups
        By plan or year of start, pooled towards the base; each carries its covariance.
    own_share
        How much of a group's model is its own history.
    customers
        By group.
    reason
        Why this kind of model.
    growth
        Of prices.
    effects
        What covariates do, by name, such as "leaving[country=DE]": a factor and its interval of
        90%. A factor of 2 on leaving is as if twice as many leave at first, one on staying as if
        customers had stayed for longer already.
    """

    base: ContractModel
    groups: Mapping[str, ContractModel]
    own_share: Mapping[str, float]
    customers: Mapping[str, int]
    reason: Finding
    growth: PriceGrowth = NO_MOVES
    effects: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)

    def model_of(self, group: str) -> ContractModel:
        """A group's model; the base's where it has none of its own."""
        return self.groups.get(group, self.base)


@dataclass(frozen=True)
class ContractModels(InNotebook):
    """Models of all billing periods of a firm.

    Attributes
    ----------
    periods
        By billing period.
    by
        What ``groups`` are: "plan" or "cohort"; or "covariates", then by the values of these,
        joined by ", ".
    as_of
        The last day of the table they were fitted on; "" for counts of cohorts.
    notes
        Billing periods without a model, and why.
    covariates
        Columns of the table by which customers differ; none if ``by`` is another.

    Examples
    --------
    >>> base = ShiftedBetaGeometric.from_params(alpha=0.7, beta=3.8)
    >>> stated = finding("basis.text", text="stated")
    >>> monthly = PeriodModels(base, {}, {}, {"basic": 100}, stated)
    >>> models = ContractModels({Interval("month", 1): monthly}, "plan", "2024-06-30", ())
    >>> ContractModels.from_dict(models.to_dict()).version == models.version
    True
    """

    periods: Mapping[Interval, PeriodModels]
    by: Group
    as_of: str
    notes: tuple[Finding, ...]
    covariates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.as_of:
            as_day(self.as_of, "as_of")

    @cached_property
    def version(self) -> str:
        """The as-of day and a digest of everything learned: equal versions score equally."""
        learned = json.dumps(self.to_dict(), sort_keys=True)
        digest = hashlib.sha256(learned.encode()).hexdigest()[:8]
        return f"{self.as_of}-{digest}" if self.as_of else digest

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; no customer is in it."""
        return {
            "format": FORMAT,
            "by": self.by,
            "as_of": self.as_of,
            "covariates": list(self.covariates),
            "notes": saved(self.notes),
            "periods": [
                {
                    "interval": list(interval),
                    "base": models.base.to_dict(),
                    "groups": {name: model.to_dict() for name, model in models.groups.items()},
                    "own_share": dict(models.own_share),
                    "customers": dict(models.customers),
                    "reason": saved([models.reason])[0],
                    "growth": models.growth.to_dict(),
                    "effects": {name: list(three) for name, three in models.effects.items()},
                }
                for interval, models in self.periods.items()
            ],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The models that ``to_dict`` wrote.

        Raises
        ------
        ModelError
            They are none.
        """
        try:
            if document.get("periods") and document.get("format") != FORMAT:
                raise ModelError(
                    "these models of contracts are of another version.", hint="fit them again."
                )
            periods = {
                Interval(*part["interval"]): PeriodModels(
                    _model(part["base"]),
                    {name: _model(model) for name, model in part["groups"].items()},
                    part["own_share"],
                    part["customers"],
                    Finding.from_dict(part["reason"]),
                    PriceGrowth(**part["growth"]),
                    {name: tuple(three) for name, three in part.get("effects", {}).items()},
                )
                for part in document["periods"]
            }
            return cls(
                periods,
                document["by"],
                document["as_of"],
                tuple(map(Finding.from_dict, document["notes"])),
                tuple(document.get("covariates", ())),
            )
        except DAMAGE as error:
            raise ModelError("the file holds no models of contracts.") from error

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings()))

    def findings(self) -> list[Finding]:
        """Why these models, by billing period, and what has none."""
        reasons = [
            finding("contracts.by_period", period=str(interval), reason=models.reason)
            for interval, models in self.periods.items()
        ]
        return [*reasons, *self.notes]


def _model(saved: Mapping[str, Any]) -> ContractModel:
    return KINDS[saved["model"]].from_dict(saved)


def fit_contracts(
    table: ContractTable, *, by: Group = "plan", covariates: Sequence[str] = ()
) -> ContractModels:
    """Fit the models of a table of contracts: chosen per billing period, pooled by group.

    Parameters
    ----------
    table
        From ``read_contract_table``.
    by
        What shares a model in part: "plan", or "cohort" for the year of start.
    covariates
        Instead: columns of the table, such as plan and country, by which customers may differ in
        how long they stay; those of the table's recipe if none are named here. A column of many
        different numbers acts as a number, others by their values; "plan" is the first plan.

    Returns
    -------
    ContractModels
        Billing periods that settle no model are named in ``notes``.

    Raises
    ------
    FitError
        No billing period settles a model.
    InputError, ColumnError
        A covariate is no column of the table, is the same for everybody, or has too many values.

    Examples
    --------
    >>> from clv.contracts.contract_tables import read_contract_table
    >>> counts = pd.DataFrame({"cohort": "2020", "period": range(6),
    ...                        "active": [1000, 869, 743, 653, 593, 551]})
    >>> models = fit_contracts(read_contract_table(counts, interval="year"))
    >>> models.periods[Interval("month", 12)].base.survival([5, 12]).round(2)
    array([0.55, 0.4 ])
    """
    periods, notes = dict[Interval, PeriodModels](), list[Finding]()
    names = tuple(covariates) or table.recipe.covariates
    by = "covariates" if names else by
    parts = covariate_cells(table, names) if names else table.cells
    for interval, cells in parts.items():
        try:
            choice = choose_contract_model(cells)
        except FitError as error:
            why = {"period": str(interval), "why": error.message}
            notes.append(finding("contracts.no_model", **why))
            continue
        growth = price_growth(table, interval)
        periods[interval] = (
            _differing(choice, cells, names, growth)
            if names
            else _pooled(choice, cells, by, growth)
        )
    if not periods:
        raise FitError(
            " ".join(map(str, notes)), hint="give a longer history, with those who left."
        )
    as_of = "" if table.as_of is None else str(table.as_of)
    return ContractModels(periods, by, as_of, tuple(notes), names)


def _differing(
    choice: ContractChoice, cells: pd.DataFrame, names: Sequence[str], growth: PriceGrowth
) -> PeriodModels:
    """Models by covariates."""
    fitted = fit_covariates(choice.model, cells, names)
    reason = finding("contracts.both", first=choice.reason, second=fitted.reason)
    return PeriodModels(
        choice.model, fitted.groups, {}, fitted.customers, reason, growth, fitted.effects
    )


def _pooled(
    choice: ContractChoice, cells: pd.DataFrame, by: Group, growth: PriceGrowth
) -> PeriodModels:
    names = cells[by].astype(str)
    customers = cells.groupby(names)["customers"].sum().sort_values(ascending=False)
    masks = {name: (names == name).to_numpy() for name in customers.index[:MOST]}
    sizes = {str(name): int(n) for name, n in customers.items()}
    if len(masks) < 2:
        return PeriodModels(choice.model, {}, {}, sizes, choice.reason, growth)
    pooled = pooled_models(choice.model, cells, masks)
    return PeriodModels(
        choice.model,
        {name: part.model for name, part in pooled.items()},
        {name: part.own_share for name, part in pooled.items()},
        sizes,
        choice.reason,
        growth,
    )
