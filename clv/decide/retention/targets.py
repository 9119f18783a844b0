"""Whom to keep: customers ranked by expected gain per unit of cost, with a control group.

Ranking by churn risk wastes most of a budget: it finds customers who are lost anyway or worth
little. What counts is lift x stake against cost (Lemmens & Gupta 2020; Ascarza 2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import NDArray

from clv.decide.budget.gain_curve import GainCurve
from clv.decide.retention.campaign import CampaignSummary, Funding
from clv.decide.retention.checks import CONSTANTS as CONSTANTS
from clv.decide.retention.checks import check_customers, check_one_value, limit
from clv.decide.retention.holdout import check_share, draw_by_id
from clv.decide.retention.offer import Offer, Treatment, treat
from clv.schema import Floats, collect, column, numbers, reject_rows, same_kind

SCORES = ("customer_id", "churn_probability", "value_at_stake")


@dataclass(frozen=True)
class RetentionTargets:
    """A campaign: the list, its summary, and what a budget of any size would gain.

    Parameters
    ----------
    table
        One row per customer of the audience, best first, the same kind of frame as the scores:
        rank, customer_id, group ("treat" or "control"), churn_probability, value_at_stake, cost,
        expected_gain, expected_profit, gain_per_cost, break_even_save_rate, save_rate,
        save_rate_source, then the constants that the scores carry (horizon, as_of, ...).
        The control group is not contacted: its cost, expected gain and profit are 0.
    summary
        Totals with their range over the save rate.
    gain_curve
        Everybody worth treating, funded here or not, as an option for ``allocate``.
    """

    table: Any
    summary: CampaignSummary
    gain_curve: GainCurve


def retention_targets(
    scores: IntoFrame,
    offer: Offer,
    budget: float | None = None,
    *,
    control_share: float = 0.1,
    seed: int = 0,
) -> RetentionTargets:
    """The customers whom an offer should go to, within a budget.

    Customers with an expected gain above their cost are ranked by gain per unit of cost. A
    random share of them is held out as control, so that the campaign becomes an experiment. Going
    down the list, everybody else is funded until the next customer no longer fits.

    Parameters
    ----------
    scores
        Any dataframe with customer_id, churn_probability and value_at_stake (currency).
    offer
        Contact cost, incentive and save rate.
    budget
        Money for the campaign, in currency. None: everybody who pays.
    control_share
        Share of customers held out. Who is in it depends on the customer's id and ``seed`` only,
        not on the order of rows, the budget or the other customers.
    seed
        Another seed draws another control group.

    Raises
    ------
    ColumnError
        A column is missing or holds no numbers.
    RowError
        An id is missing or repeated, a probability is outside [0, 1], a stake is not finite.
    InputError
        The budget or control share makes no sense, or horizons or currencies are mixed.

    Examples
    --------
    >>> import pandas as pd
    >>> scores = pd.DataFrame({
    ...     "customer_id": ["ann", "bob", "cem", "dia"],
    ...     "churn_probability": [0.9, 0.5, 0.4, 0.6],
    ...     "value_at_stake": [20.0, 200.0, 10.0, 100.0],
    ... })
    >>> campaign = retention_targets(scores, Offer(contact_cost=2), budget=5, control_share=0)
    >>> campaign.table[["rank", "customer_id", "group", "expected_profit"]]
       rank customer_id  group  expected_profit
    0     1         bob  treat             28.0
    1     2         dia  treat             16.0
    >>> campaign.summary.unspent
    1.0
    """
    ranking = _rank(scores, offer, control_share, seed)
    funding = Funding.of(ranking.treatment, ranking.order, ranking.control, limit(budget))
    shown = ranking.order[: funding.stop]
    return RetentionTargets(
        same_kind(_table(ranking, shown, offer), scores),
        CampaignSummary.of(ranking.treatment, ranking.q, offer, funding, ranking.constants),
        ranking.gain_curve(offer),
    )


def gain_curve(
    scores: IntoFrame, offer: Offer, *, control_share: float = 0.1, seed: int = 0
) -> GainCurve:
    """What a retention budget of any size would gain, as an option for ``allocate``.

    The control group of ``retention_targets`` with the same share and seed is left out, so the
    spend that ``allocate`` decides on can be handed to it as a budget.

    Examples
    --------
    >>> import pandas as pd
    >>> scores = pd.DataFrame({
    ...     "customer_id": [1, 2], "churn_probability": [0.5, 0.4], "value_at_stake": [90.0, 50.0]
    ... })
    >>> gain_curve(scores, Offer(contact_cost=2), control_share=0).gain_at(4)
    19.5
    """
    return _rank(scores, offer, control_share, seed).gain_curve(offer)


@dataclass(frozen=True)
class _Ranking:
    """The scores with who is worth treating, best first, and who of them is held out."""

    rows: nw.DataFrame[Any]
    q: Floats
    treatment: Treatment
    order: NDArray[np.intp]
    control: NDArray[np.bool_]

    @property
    def constants(self) -> dict[str, Any]:
        """Horizon, currency and the like, from the first row."""
        return {name: self.rows[name][0] for name in self.rows.columns if name in CONSTANTS}

    def gain_curve(self, offer: Offer) -> GainCurve:
        rows = self.order[~self.control]
        source = (
            f"The save rate of the retention offer ({offer.mean_save_rate:.2g}) is "
            f"{offer.save_rate_source}."
        )
        return GainCurve.of(
            self.treatment.cost[rows],
            self.treatment.gain[rows],
            horizon=self.constants.get("horizon"),
            currency=self.constants.get("currency"),
            notes=(source,),
        )


def _rank(scores: IntoFrame, offer: Offer, control_share: float, seed: int) -> _Ranking:
    check_share(control_share)
    rows = collect(scores, SCORES, "the scores", CONSTANTS)
    q, stake = numbers(rows, SCORES[1], "the scores"), numbers(rows, SCORES[2], "the scores")
    _check(rows, q, stake)
    treatment = treat(q, stake, offer)
    worth = np.flatnonzero(treatment.gain > treatment.cost)
    draw = draw_by_id(rows["customer_id"][worth].to_list(), seed)
    # ties are broken by the draw, so that the list does not depend on the order of the rows
    best = np.lexsort((draw, -treatment.gain_per_cost[worth]))
    return _Ranking(rows, q, treatment, worth[best], draw[best] < control_share)


def _table(ranking: _Ranking, shown: NDArray[np.intp], offer: Offer) -> nw.DataFrame[Any]:
    rows, treatment = ranking.rows[shown], ranking.treatment
    control = ranking.control[: len(shown)]
    cost, gain = (np.where(control, 0.0, a[shown]) for a in (treatment.cost, treatment.gain))
    group = np.where(control, "control", "treat").tolist()
    constants = [name for name in rows.columns if name in CONSTANTS]
    return rows.select(
        column(rows, "rank", np.arange(1, len(shown) + 1), nw.Int64),
        nw.col("customer_id"),
        column(rows, "group", group, nw.String),
        nw.col("churn_probability", "value_at_stake"),
        column(rows, "cost", cost, nw.Float64),
        column(rows, "expected_gain", gain, nw.Float64),
        column(rows, "expected_profit", gain - cost, nw.Float64),
        column(rows, "gain_per_cost", treatment.gain_per_cost[shown], nw.Float64),
        column(rows, "break_even_save_rate", treatment.break_even[shown], nw.Float64),
        nw.lit(offer.mean_save_rate).alias("save_rate"),
        nw.lit(offer.save_rate_source).alias("save_rate_source"),
        *(nw.col(name) for name in constants),
    )


def _check(rows: nw.DataFrame[Any], q: Floats, stake: Floats) -> None:
    check_customers(rows)
    ids = rows["customer_id"]
    shown: dict[str, Any] = {"customer_id": ids.to_numpy(), SCORES[1]: q, SCORES[2]: stake}
    reject_rows(~((q >= 0) & (q <= 1)), "churn_probability is not in [0, 1]", shown)
    reject_rows(~np.isfinite(stake), "value_at_stake is missing or infinite", shown)
    check_one_value(rows)
