"""Models of real tables of contracts: one per billing period, chosen, and pooled by plan or year.

Plans of one billing period share a model as acquisition channels do: a plan with many customers
goes by its own history, one with few by that of all. Ages are compared within a billing period
alone, since monthly and annual renewals are different decisions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import pandas as pd

from clv.contracts.billing_tables import Interval
from clv.contracts.contract_tables import ContractTable
from clv.errors import FitError, ModelError
from clv.findings import Finding, finding, saved
from clv.notebook import InNotebook
from clv.probability.beta_discrete_weibull import BetaDiscreteWeibull
from clv.probability.contract_choice import ContractChoice, choose_contract_model
from clv.probability.contract_model import ContractModel
from clv.probability.shifted_beta_geometric import ShiftedBetaGeometric
from clv.schema import Floats
from clv.value.pooling import pooled_models

Group = Literal["plan", "cohort"]
MOST = 40  # groups of a billing period that get a model of their own; smaller ones share the base
KINDS = {kind.__name__: kind for kind in (ShiftedBetaGeometric, BetaDiscreteWeibull)}


@dataclass(frozen=True)
class PriceGrowth:
    """How the prices of customers who stay move, a month, from plan moves of one billing period.

    Attributes
    ----------
    by_plan
        Shrunk towards all plans; a fraction of the price a month.
    overall
        Of all plans together; plans that are not in ``by_plan`` have it.
    moves
        How many changes of price it rests on.
    """

    by_plan: Mapping[str, float]
    overall: float
    moves: int

    def of(self, plan: str) -> float:
        """The growth of a plan's price a month."""
        return self.by_plan.get(plan, self.overall)


NO_MOVES = PriceGrowth({}, 0.0, 0)


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
    """

    base: ContractModel
    groups: Mapping[str, ContractModel]
    own_share: Mapping[str, float]
    customers: Mapping[str, int]
    reason: Finding
    growth: PriceGrowth = NO_MOVES

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
        What ``groups`` are: "plan" or "cohort".
    as_of
        The last day of the table they were fitted on; "" for counts of cohorts.
    notes
        Billing periods without a model, and why.

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

    @cached_property
    def version(self) -> str:
        """The as-of day and a digest of everything learned: equal versions score equally."""
        learned = json.dumps(self.to_dict(), sort_keys=True)
        digest = hashlib.sha256(learned.encode()).hexdigest()[:8]
        return f"{self.as_of}-{digest}" if self.as_of else digest

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; no customer is in it."""
        return {
            "format": 1,
            "by": self.by,
            "as_of": self.as_of,
            "notes": saved(self.notes),
            "periods": [
                {
                    "interval": list(interval),
                    "base": models.base.to_dict(),
                    "groups": {name: model.to_dict() for name, model in models.groups.items()},
                    "own_share": dict(models.own_share),
                    "customers": dict(models.customers),
                    "reason": saved([models.reason])[0],
                    "growth": vars(models.growth) | {"by_plan": dict(models.growth.by_plan)},
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
            periods = {
                Interval(*part["interval"]): PeriodModels(
                    _model(part["base"]),
                    {name: _model(model) for name, model in part["groups"].items()},
                    part["own_share"],
                    part["customers"],
                    Finding.from_dict(part["reason"]),
                    PriceGrowth(**part["growth"]),
                )
                for part in document["periods"]
            }
            return cls(
                periods,
                document["by"],
                document["as_of"],
                tuple(map(Finding.from_dict, document["notes"])),
            )
        except (KeyError, TypeError) as error:
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


def fit_contracts(table: ContractTable, *, by: Group = "plan") -> ContractModels:
    """Fit the models of a table of contracts: chosen per billing period, pooled by group.

    Parameters
    ----------
    table
        From ``read_contract_table``.
    by
        What shares a model in part: "plan", or "cohort" for the year of start.

    Returns
    -------
    ContractModels
        Billing periods that settle no model are named in ``notes``.

    Raises
    ------
    FitError
        No billing period settles a model.

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
    for interval, cells in table.cells.items():
        try:
            choice = choose_contract_model(cells)
        except FitError as error:
            why = {"period": str(interval), "why": error.message}
            notes.append(finding("contracts.no_model", **why))
            continue
        periods[interval] = _pooled(choice, cells, by, price_growth(table, interval))
    if not periods:
        raise FitError(
            " ".join(map(str, notes)), hint="give a longer history, with those who left."
        )
    as_of = "" if table.as_of is None else str(table.as_of)
    return ContractModels(periods, by, as_of, tuple(notes))


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


def price_growth(table: ContractTable, interval: Interval) -> PriceGrowth:
    """How prices of customers who stay move from one row of theirs to the next.

    Each plan's rate is revenue gained less lost over revenue-months; rates are shrunk to all plans'
    by how much they vary beyond their own noise (DerSimonian and Laird's moments).
    """
    if table.contracts is None or not table.contracts.several:
        return NO_MOVES
    db = table.source.connection
    rows = db.execute(
        "WITH s AS (SELECT *, mrr * datediff('day', start, least(coalesce(until, $1::DATE), "
        "$1::DATE)) / 30.4375 AS exposed FROM spells WHERE unit = $2 AND length = $3), "
        "moves AS (SELECT s.plan, f.mrr - s.mrr AS moved FROM s JOIN s f ON "
        "s.customer = f.customer AND s.currency = f.currency AND f.start = s.until "
        "AND f._row <> s._row) "
        "SELECT e.plan, e.exposed, coalesce(m.moved, 0), coalesce(m.squared, 0), coalesce(m.n, 0) "
        "FROM (SELECT plan, sum(exposed) AS exposed FROM s GROUP BY plan) e LEFT JOIN (SELECT "
        "plan, sum(moved) AS moved, sum(moved * moved) AS squared, count(*) AS n FROM moves "
        "GROUP BY plan) m USING (plan) WHERE e.exposed > 0 ORDER BY e.plan",
        [table.as_of, interval.unit, interval.length],
    ).fetchall()
    plans = [row[0] for row in rows]
    exposed, moved, squared, n = np.array([row[1:] for row in rows], dtype=np.float64).T
    if not n.sum():
        return NO_MOVES
    overall = float(moved.sum() / exposed.sum())
    rates = _shrunk(moved / exposed, np.maximum(squared, squared.sum() / n.sum()) / exposed**2)
    return PriceGrowth(dict(zip(plans, map(float, rates), strict=True)), overall, int(n.sum()))


def _shrunk(rate: Floats, variance: Floats) -> Floats:
    """Rates moved towards their mean by how much of their spread is noise."""
    weight = 1 / variance
    mean = float(weight @ rate / weight.sum())
    excess = float(weight @ (rate - mean) ** 2) - (len(rate) - 1)
    scale = weight.sum() - (weight**2).sum() / weight.sum()
    between = max(excess / scale, 0.0) if scale > 0 else 0.0
    share = between / (between + variance)
    center = float(np.sum(rate / (between + variance)) / np.sum(1 / (between + variance)))
    return np.asarray(share * rate + (1 - share) * center)
