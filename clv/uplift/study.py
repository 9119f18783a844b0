"""What the candidates for an uplift model are made of, and how each does out of fold.

::

    gain(x) = lift(x) * value(x)        cost(x) = E[cost | x] if contacted
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np

from clv.errors import InputError
from clv.evaluate.policy import Experiment
from clv.schema import Floats, numbers, require_columns
from clv.uplift.campaign_log import CampaignLog
from clv.uplift.effects import CrossFitEffects, Ints, effects, fit_mean, split, x_learner
from clv.uplift.lift import EVERYBODY, Lift, fit_lift, out_of_fold

POOLED, RETENTION, MARGIN = "pooled lift", "DR-learner on retention", "DR-learner on margin"
T_LEARNER, X_LEARNER = "T-learner", "X-learner"
RISKS: tuple[str, ...] = ("churn_probability", "probability_alive")
FEW_BUYERS = 30  # below which every buyer counts as worth the same


@dataclass(frozen=True)
class Line:
    """A number that depends on the features z: link(level + theta' z), no less than ``least``.

    ``scale`` 0 is a straight line; else scale * exp(level + theta' z).
    """

    coefficients: tuple[float, ...]
    scale: float = 0.0
    least: float = 0.0

    def values_at(self, Z: Floats) -> Floats:
        """Its value at each row of Z."""
        theta = np.array(self.coefficients)
        straight: Floats = theta[0] + Z @ theta[1:]
        return np.maximum(self.scale * np.exp(straight) if self.scale else straight, self.least)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Line:
        """The line whose fields were saved."""
        return cls(tuple(saved["coefficients"]), saved["scale"], saved["least"])


@dataclass(frozen=True)
class Study:
    """What the candidates are made of: the campaign, its folds, and effects on three outcomes."""

    campaign: CampaignLog
    fold: Ints
    bases: dict[str, Floats]
    value: str | Line
    unit_value: Floats  # the value at each row
    cost: Line
    bought: CrossFitEffects
    margin: CrossFitEffects  # in units of the value of a lift
    profit: Experiment

    @classmethod
    def from_campaign(cls, campaign: CampaignLog, value: str | None, seed: int) -> Study:
        """The pieces, with ``value`` a column of the features or None."""
        Z, W, e = campaign.Z, campaign.W, campaign.e
        fold = split(W, seed)
        line = _buyers_value(campaign) if value is None else value
        unit_value = (
            line.values_at(Z) if isinstance(line, Line) else stated_value(campaign.rows, line)
        )
        cost = _contact_cost(campaign)
        margin = effects(campaign.margin / unit_value, Z, W, e, fold)
        # the cost is not cross-fitted: a line through all contacts, it hardly sees a single one
        mu1 = margin.mu1 * unit_value - cost.values_at(Z)
        profit = Experiment(campaign.margin - campaign.cost, W, e, margin.mu0 * unit_value, mu1)
        return cls(
            campaign=campaign,
            fold=fold,
            bases=all_bases(campaign.rows),
            value=line,
            unit_value=unit_value,
            cost=cost,
            bought=effects(campaign.bought, Z, W, e, fold),
            margin=margin,
            profit=profit,
        )

    def outcome(self, method: str) -> CrossFitEffects:
        """The effects that a method regresses."""
        return self.margin if method == MARGIN else self.bought

    def bases_of(self, method: str) -> dict[str, Floats]:
        """What the lift may be proportional to; a basket grows whether or not risk is high."""
        return {EVERYBODY: np.ones(len(self.fold))} if method == MARGIN else self.bases

    def learned(self, method: str) -> Lift:
        """The lift from the whole log."""
        outcome, bases = self.outcome(method), self.bases_of(method)
        return fit_lift(outcome.psi, bases, self.campaign.Z, self.fold, settled=outcome.settled)

    def gain(self, method: str, *, settled: bool = True) -> Floats:
        """Lift times value at each row, learned on the other folds."""
        outcome, bases, Z = self.outcome(method), self.bases_of(method), self.campaign.Z
        settled = settled and outcome.settled
        return self.unit_value * out_of_fold(outcome.psi, bases, Z, self.fold, settled=settled)

    def gains(self) -> dict[str, Floats]:
        """Every candidate's and comparison's gain, out of fold."""
        c = self.campaign
        margin = self.margin
        return {
            RETENTION: self.gain(RETENTION),
            MARGIN: self.gain(MARGIN),
            POOLED: self.gain(RETENTION, settled=False),
            T_LEARNER: (margin.mu1 - margin.mu0) * self.unit_value,
            X_LEARNER: x_learner(c.margin / self.unit_value, c.Z, c.W, c.e, self.fold, margin)
            * self.unit_value,
        }

    def policy(self, gain: Floats) -> Floats:
        """1 for whoever is expected to pay for the contact."""
        return (gain > self.cost.values_at(self.campaign.Z)).astype(np.float64)


def all_bases(rows: nw.DataFrame[Any]) -> dict[str, Floats]:
    """Everything the lift may be proportional to, as far as the table says it."""
    present = [name for name in RISKS if name in rows.columns]
    bases = {name: _base(rows, name) for name in present}
    bases = {name: base for name, base in bases.items() if base.max() > base.min()}
    # a save rate that differs by customer can follow any lift, as long as everybody may churn
    return bases if "churn_probability" in bases else {EVERYBODY: np.ones(len(rows)), **bases}


def bases_of_lift(rows: nw.DataFrame[Any], lift: Lift) -> dict[str, Floats]:
    """Those of them that a fitted lift uses."""
    names = [part.base for part in lift.parts]
    require_columns(rows.lazy(), [name for name in names if name != EVERYBODY])
    return {n: np.ones(len(rows)) if n == EVERYBODY else _base(rows, n) for n in names}


def _base(rows: nw.DataFrame[Any], name: str) -> Floats:
    """Churn probability as it is, the probability of being alive as that of having left."""
    values = numbers(rows, name)
    return 1 - values if name == "probability_alive" else values


def stated_value(rows: nw.DataFrame[Any], value: str) -> Floats:
    """A column of values, above 0."""
    require_columns(rows.lazy(), [value])
    values = numbers(rows, value)
    if not (np.isfinite(values) & (values >= 0)).all():
        raise InputError(
            f"{value} is missing or negative for some customers, so it is no value of a lift.",
            hint="give a column such as value_at_stake, or none, to learn it from the log.",
        )
    return np.maximum(values, 1e-9 * max(float(values.max()), 1.0))


def _buyers_value(campaign: CampaignLog) -> Line:
    """E[margin | bought, z]: ridge on its logarithm, scaled to the buyers' total.

    On the logarithm, as a few buyers spend a hundred times what most do.
    """
    rows = campaign.margin > 0
    margin, Z = campaign.margin[rows], campaign.Z[rows]
    if len(margin) < FEW_BUYERS:
        mean = float(margin.mean()) if len(margin) else 1.0
        return Line((0.0,) * (1 + Z.shape[1]), mean)
    fitted = fit_mean(np.log(margin), Z)
    line = Line((float(fitted.intercept_), *map(float, fitted.coef_)), 1.0)
    return replace(line, scale=float(margin.sum() / line.values_at(Z).sum()))


def _contact_cost(campaign: CampaignLog) -> Line:
    """E[cost | contacted, z] less what the others cost, never below the cheapest contact."""
    rows = campaign.W == 1
    idle = float(campaign.cost[~rows].mean())
    cost, Z = campaign.cost[rows] - idle, campaign.Z[rows]
    if np.ptp(cost) == 0:
        return Line((float(cost[0]), *([0.0] * Z.shape[1])))
    fitted = fit_mean(cost, Z)
    least = max(float(cost.min()), 0.0)
    return Line((float(fitted.intercept_), *map(float, fitted.coef_)), least=least)


def calibration(study: Study, gain: Floats) -> tuple[float, float]:
    """Slope of the margin's pseudo-outcome on the expected gain, both per unit of value."""
    x, y = gain / study.unit_value, study.margin.psi
    if not (x**2).sum() > 0:
        return float("nan"), float("nan")
    slope = float(x @ y / (x @ x))
    return slope, float(np.sqrt((x**2 * (y - slope * x) ** 2).sum()) / (x @ x))


def save_rate(study: Study) -> tuple[float, float] | None:
    """The average lift per unit of churn probability."""
    rows = study.campaign.rows
    if "churn_probability" not in rows.columns:
        return None
    risk = float(numbers(rows, "churn_probability").mean())
    lift, error = study.bought.ate
    return (lift / risk, error / risk) if risk > 0 else None
