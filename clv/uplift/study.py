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
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from clv.errors import InputError
from clv.evaluate.policy import Experiment, PolicyValue
from clv.findings import Finding, finding
from clv.schema import Floats, numbers, require_columns
from clv.uplift.campaign_log import CampaignLog
from clv.uplift.effects import (
    FOLDS,
    T_LEARNER,
    X_LEARNER,
    CrossFitEffects,
    Ints,
    effects,
    fit_mean,
    learners,
    split,
)
from clv.uplift.lift import EVERYBODY, Lift, Part, fit_lift, out_of_fold

POOLED, RETENTION, MARGIN = "pooled lift", "DR-learner on retention", "DR-learner on margin"
LEARNERS = (RETENTION, MARGIN, T_LEARNER, X_LEARNER)
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
    def from_campaign(cls, campaign: CampaignLog, value: str | None) -> Study:
        """The pieces, with ``value`` a column of the features or None."""
        Z, W, e = campaign.Z, campaign.W, campaign.e
        fold = split(W)
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
        """The effects that a method regresses, or whose margin it takes apart."""
        return self.bought if method in (RETENTION, POOLED) else self.margin

    def bases_of(self, method: str) -> dict[str, Floats]:
        """What the lift may be proportional to; a basket grows whether or not risk is high."""
        everybody = {EVERYBODY: np.ones(len(self.fold))}
        return everybody if method == MARGIN else self.bases

    def learned(self, method: str) -> Lift:
        """The lift from the whole log."""
        if method in (T_LEARNER, X_LEARNER):
            lines = self._learners(np.ones(len(self.fold), dtype=bool))
            return Lift((Part(EVERYBODY, 1.0, *lines[method]),))
        psi, bases, apart = self.outcome(method).psi, self.bases_of(method), method != POOLED
        return fit_lift(psi, bases, self.campaign.Z, self.fold, settled=apart)

    def gain(self, method: str) -> Floats:
        """Lift times value at each row, learned on the other folds."""
        psi, bases, apart = self.outcome(method).psi, self.bases_of(method), method != POOLED
        lift = out_of_fold(psi, bases, self.campaign.Z, self.fold, settled=apart)
        return self.unit_value * lift

    def gains(self) -> dict[str, Floats]:
        """Every candidate's gain, out of fold."""
        gains = {method: self.gain(method) for method in (RETENTION, MARGIN, POOLED)}
        gains |= {method: np.empty(len(self.fold)) for method in (T_LEARNER, X_LEARNER)}
        for held in range(FOLDS):
            out = self.fold == held
            for method, (theta, _) in self._learners(~out).items():
                lift = theta[0] + self.campaign.Z[out] @ theta[1:]
                gains[method][out] = self.unit_value[out] * lift
        return gains

    def _learners(self, rows: NDArray[np.bool_]) -> dict[str, tuple[Floats, Floats]]:
        """T- and X-learner of the margin, in units of value, from some rows."""
        c = self.campaign
        y = c.margin[rows] / self.unit_value[rows]
        return learners(y, c.Z[rows], c.W[rows], c.e[rows])

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


def choose(study: Study, gains: Mapping[str, Floats]) -> tuple[str, Finding]:
    """The learner that earns surely more out of fold than what serves otherwise, if one does."""
    settled = study.bought.settled
    usual = RETENTION if settled else POOLED
    if isinstance(study.value, str):
        return usual, finding("uplift.value_beyond", value=study.value)
    others = [method for method in LEARNERS if method != usual]
    rivals = [study.policy(gains[usual]), *(() if settled else (0.0, 1.0))]
    more = {}
    for method in others:
        policy = study.policy(gains[method])
        more[method] = min((study.profit.gain(policy, rival) for rival in rivals), key=_errors)
    best = max(more, key=lambda method: _errors(more[method]))
    # Trying several must not make 2 standard errors likelier to be passed by chance. To beat
    # nobody, everybody and the pooled lift at once pays for that: of 40 campaigns without any
    # effect the best came to 1.5.
    enough = float(ndtri(1 - (1 - ndtr(2.0)) / len(others))) if settled else 2.0
    sure = _errors(more[best]) > enough
    code = ("uplift.earns" if settled else "uplift.differ_by_customer") if sure else "uplift.would"
    figures = {"more": more[best].mean, "error": more[best].standard_error}
    return best if sure else usual, finding(code, method=best, usual=usual, **figures)


def _errors(gain: PolicyValue) -> float:
    """A gain in standard errors; 0 where nothing varies, as where two policies are one."""
    return gain.mean / gain.standard_error if gain.standard_error > 0 else 0.0
