"""Which model of contracts: the one that forecasts the later renewals better from the earlier ones.

Fitted on what was observed up to an age, and judged by the likelihood of what came after it, given
who was still there: the cells of the second half are those of customers who entered at that age.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import ArrayLike

from clv.errors import FitError
from clv.findings import Finding, finding
from clv.format import number
from clv.notebook import InNotebook
from clv.probability.beta_discrete_weibull import FEW_RENEWALS, BetaDiscreteWeibull
from clv.probability.contract_cells import ContractCells, read_contracts
from clv.probability.contract_model import ContractModel
from clv.probability.shifted_beta_geometric import ShiftedBetaGeometric

LATER = 0.25  # share of those who left that is held out, the latest
FEWEST = 3  # renewals to fit on: as many as the larger model has parameters
CONSTANT = "constant churn"
TITLES = {
    ShiftedBetaGeometric.__name__: "shifted beta-geometric",
    BetaDiscreteWeibull.__name__: "beta-discrete-Weibull",
}


@dataclass(frozen=True)
class ContractChoice(InNotebook):
    """The model that was chosen, and why.

    Attributes
    ----------
    model
        Fitted on everything, with its covariance.
    cut
        The age up to which the candidates were fitted; None if none was held out.
    held_out
        Mean log-likelihood of a later renewal by candidate, greater is better; the naive constant
        churn is among them.
    reason
        Why this one.
    """

    model: ContractModel
    cut: int | None
    held_out: Mapping[str, float]
    reason: Finding

    def __str__(self) -> str:
        return self.reason.text


def choose_contract_model(
    table: IntoFrame, sample_weight: ArrayLike | None = None
) -> ContractChoice:
    """Choose between the shifted-beta-geometric and the beta-discrete-Weibull model.

    Parameters
    ----------
    table
        Columns entered, periods, churned, customers, as ``ShiftedBetaGeometric.fit`` has them.
    sample_weight
        Shape (n,); weight 2 is the row twice.

    Returns
    -------
    ContractChoice
        ``ShiftedBetaGeometric`` where fewer than five renewals were observed.

    Raises
    ------
    ColumnError, RowError
        A column is missing, or rows break a rule.
    FitError
        Nobody left, or everybody left at the first renewal that was observed.

    Examples
    --------
    >>> import pandas as pd
    >>> active = [1000, 869, 743, 653, 593, 551]  # of 1,000 subscribers, year by year
    >>> lost = [before - after for before, after in zip(active, active[1:])]
    >>> rows = pd.DataFrame({"entered": 0, "periods": [1, 2, 3, 4, 5], "churned": lost,
    ...                      "customers": [*lost[:4], lost[4] + active[5]]})
    >>> choice = choose_contract_model(rows)
    >>> type(choice.model).__name__, choice.cut
    ('BetaDiscreteWeibull', 3)
    """
    cells = read_contracts(table, sample_weight)
    if cells.renewals < FEW_RENEWALS or not cells.churned.any():  # where nobody left, fit says so
        simple = ShiftedBetaGeometric().fit(table, sample_weight=sample_weight)
        kind = ShiftedBetaGeometric.__name__
        reason = finding("contracts.few_renewals", model=TITLES[kind], renewals=cells.renewals)
        return ContractChoice(simple.with_covariance(table, sample_weight), None, {}, reason)
    cut = _cut(cells)
    held_out = _judge(cells, cut)
    kinds: dict[str, type[ContractModel]] = {
        kind.__name__: kind for kind in (ShiftedBetaGeometric, BetaDiscreteWeibull)
    }
    best = max(kinds, key=lambda name: held_out.get(name, -np.inf))
    model = kinds[best]().fit(table, sample_weight=sample_weight)
    reason = _reason(best, held_out, cut)
    return ContractChoice(model.with_covariance(table, sample_weight), cut, held_out, reason)


def _reason(best: str, held_out: Mapping[str, float], cut: int) -> Finding:
    if not held_out:
        return finding("contracts.unjudged", model=TITLES[best], cut=cut)
    scores = [f"{TITLES.get(name, name)} {number(value, 4)}" for name, value in held_out.items()]
    alike = held_out.get(CONSTANT, -np.inf) > held_out.get(best, -np.inf)
    clause = finding("contracts.alike") if alike else None
    return finding("contracts.judged", model=TITLES[best], cut=cut, scores=scores, alike=clause)


def _cut(cells: ContractCells) -> int:
    """The age after which a quarter of those who left did so, at least three renewals in."""
    ages, count = cells.periods[cells.churned], cells.count[cells.churned]
    order = np.argsort(ages, kind="stable")
    share = np.cumsum(count[order]) / count.sum()
    age = int(ages[order][np.searchsorted(share, 1 - LATER)])
    first = int(cells.entered.min())
    return min(max(age, first + FEWEST), int(cells.periods.max()) - 1)


def _judge(cells: ContractCells, cut: int) -> dict[str, float]:
    """Mean log-likelihood of the renewals after ``cut`` by what was observed up to it."""
    earlier, later = up_to(cells, cut), beyond(cells, cut)
    decisions = _decisions(later)
    scores = {}
    for kind in (ShiftedBetaGeometric, BetaDiscreteWeibull):
        model = kind()
        try:
            model._require_both(earlier)
        except FitError:  # all of one kind up to there: nothing to judge by
            return {}
        theta = kind._theta(*model._maximize(earlier).theta)
        scores[kind.__name__] = float(kind._contributions(theta, later).total()[0]) / decisions
    rate = earlier.count[earlier.churned].sum() / _decisions(earlier)
    lost = later.count[later.churned].sum()
    constant = lost * np.log(rate) + (decisions - lost) * np.log1p(-rate)
    return scores | {CONSTANT: float(constant) / decisions}


def _decisions(cells: ContractCells) -> float:
    """How many renewals were made or not, over all customers."""
    return float(((cells.periods - cells.entered) * cells.count).sum())


def up_to(cells: ContractCells, age: int) -> ContractCells:
    """What was observed up to an age: who left later was still there then."""
    rows = cells.entered < age
    event = cells.churned & (cells.periods <= age)
    ends = np.minimum(cells.periods, age)
    return ContractCells(cells.entered[rows], ends[rows], event[rows], cells.count[rows])


def beyond(cells: ContractCells, age: int) -> ContractCells:
    """What was observed after an age, of those who were there then or came later."""
    rows = cells.periods > age
    begins = np.maximum(cells.entered, age)
    return ContractCells(begins[rows], cells.periods[rows], cells.churned[rows], cells.count[rows])
