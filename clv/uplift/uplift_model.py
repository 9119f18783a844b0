"""fit_uplift(): from a randomised campaign log to what a contact earns, customer by customer.

    gain(x) = lift(x) * value(x)        cost(x) = E[cost | x] if contacted

Four learners compete for it, in money out of fold:

- *DR-learner on retention*: the lift is on the chance to buy within the window, the value what a
  buyer is worth. Whether somebody bought is far less noisy than how much: this one settles first.
- *DR-learner*, *T-learner* and *X-learner on margin*: the lift is on the margin itself in units of
  value, so that larger baskets count.

Where the average lift is 2 standard errors or more from nothing, it is retention unless another
earns surely more. Where it is not, the lift is pooled, unless contacting those who pay by a learner
earns surely more than nobody, everybody and the pooled lift: lifts may differ although their
average is nothing. *Surely* is 2 standard errors, and more for having tried several learners.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame, IntoFrameT
from threadpoolctl import threadpool_limits

from clv.errors import DAMAGE, ModelError
from clv.evaluate.policy import contact_best, policy_table
from clv.findings import Finding, finding, saved
from clv.io.changes import written_beside
from clv.io.files import read_json
from clv.schema import Floats, as_frame, numbers, same_kind, with_arrays
from clv.uplift.campaign_log import CampaignLog, read_campaign
from clv.uplift.effects import CrossFitEffects
from clv.uplift.feature_columns import FeatureColumns
from clv.uplift.lift import ASSUMED, EVERYBODY, Lift
from clv.uplift.study import (
    POOLED,
    RISKS,
    Line,
    Study,
    bases_of_lift,
    calibration,
    choose,
    save_rate,
    stated_value,
)

if TYPE_CHECKING:
    import pandas as pd

RANDOM = "random"
NINETY = 1.6448536269514722  # standard errors to either side of a 90% interval
MEASURED = "margin within the window"
FORMAT = 1
RANKINGS = {"by risk": "churn_probability", "by CLV": "clv"}


@dataclass(frozen=True)
class UpliftModel:
    """What a contact is expected to earn from any customer with the features of training.

    Attributes
    ----------
    method
        "DR-learner on retention" or "on margin", "T-learner", "X-learner", or "pooled lift".
    reason
        Why it is that one, in words.
    columns, lift, cost
        The fitted pieces: features as numbers, the lift, the expected cost of a contact.
    lift_source
        "measured", or "assumed and measured" where the log alone does not settle the lift and the
        save rate's prior is mixed in.
    value
        What the lift is multiplied with: a column of the table, or a fitted line.
    ate
        Average profit of a contact in the log with its standard error, in money per customer.
    retention_lift
        Average gain in the chance to buy within the window, and its standard error.
    save_rate
        That lift per unit of churn probability, and its standard error; None without the column.
    figures
        One row per policy, out of fold, in money per customer; see ``table``.
    findings
        What the checks and the fit have to say.
    training
        Customers, contacted, and their outcome, as plain numbers.
    """

    method: str
    reason: Finding
    columns: FeatureColumns
    lift: Lift
    lift_source: str
    value: str | Line
    cost: Line
    ate: tuple[float, float]
    retention_lift: tuple[float, float]
    save_rate: tuple[float, float] | None
    figures: tuple[Mapping[str, Any], ...]
    findings: tuple[Finding, ...]
    training: Mapping[str, float]

    @property
    def version(self) -> str:
        """A digest of everything learned: equal versions predict equally."""
        learned = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(learned.encode()).hexdigest()[:8]

    @property
    def value_source(self) -> str:
        """What the value of a lift is: the column, or the margin within the campaign's window."""
        return self.value if isinstance(self.value, str) else MEASURED

    def predict(self, table: IntoFrameT) -> IntoFrameT:
        """What a contact is expected to change: one row a customer, the same kind of frame.

        Columns, after customer_id (or, without one, all of the table): lift (see ``method``) with
        lift_low and lift_high (90%, of the lift alone), value, expected_gain = lift * value with
        gain_low and gain_high, cost, expected_profit = expected_gain - cost; then uplift_method,
        lift_source, value_source and uplift_version, the same in every row. The interval takes
        the value as given.

        Raises
        ------
        ColumnError, RowError
            A column that the model learned from is missing, or holds no finite numbers.
        """
        rows = as_frame(table, "the table").collect()
        lift, error, value, cost = self._expected(rows)
        low, high = lift - NINETY * error, lift + NINETY * error
        ids = rows.select(name for name in ("customer_id",) if name in rows.columns)
        arrays = {
            "lift": lift,
            "lift_low": low,
            "lift_high": high,
            "value": value,
            "expected_gain": lift * value,
            "gain_low": low * value,
            "gain_high": high * value,
            "cost": cost,
            "expected_profit": lift * value - cost,
        }
        columns = ids if ids.columns else rows
        added = with_arrays(
            columns,
            arrays,
            uplift_method=self.method,
            lift_source=self.lift_source,
            value_source=self.value_source,
            uplift_version=self.version,
        )
        return same_kind(added, table)

    def _expected(self, rows: nw.DataFrame[Any]) -> tuple[Floats, Floats, Floats, Floats]:
        """Lift with its standard error, value and cost at each row."""
        bases = bases_of_lift(rows, self.lift)
        lift, error, value, cost = np.empty((4, len(rows)))
        if isinstance(self.value, str):
            value = stated_value(rows, self.value)
        with threadpool_limits(1):  # the blocks are small
            for part, Z in self.columns.blocks(rows):
                lift[part], error[part] = self.lift.predict(
                    {k: b[part] for k, b in bases.items()}, Z
                )
                cost[part] = self.cost.values_at(Z)
                if isinstance(self.value, Line):
                    value[part] = self.value.values_at(Z)
        return lift, error, value, cost

    def table(self) -> pd.DataFrame:
        """Policies judged out of fold on the log: see ``clv.evaluate.policy.policy_table``."""
        import pandas as pd

        return pd.DataFrame(list(self.figures))

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON values; no customer is in it."""
        value = self.value if isinstance(self.value, str) else vars(self.value)
        return vars(self) | {
            "columns": self.columns.to_dict(),
            "lift": self.lift.to_dict(),
            "value": value,
            "cost": vars(self.cost),
            "figures": [dict(row) for row in self.figures],
            "reason": saved([self.reason])[0],
            "findings": saved(self.findings),
            "training": dict(self.training),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """The model that ``to_dict`` wrote, also after a trip through JSON."""
        value, rate = saved["value"], saved["save_rate"]
        return cls(
            **{
                **saved,
                "columns": FeatureColumns.from_dict(saved["columns"]),
                "lift": Lift.from_dict(saved["lift"]),
                "value": value if isinstance(value, str) else Line.from_dict(value),
                "cost": Line.from_dict(saved["cost"]),
                "ate": tuple(saved["ate"]),
                "retention_lift": tuple(saved["retention_lift"]),
                "save_rate": tuple(rate) if rate else None,
                "figures": tuple(saved["figures"]),
                "reason": Finding.from_dict(saved["reason"]),
                "findings": tuple(map(Finding.from_dict, saved["findings"])),
            }
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write one JSON file, readable and without any customer."""
        saved = {"format": FORMAT, "version": self.version, "uplift": self.to_dict()}
        with written_beside(path) as beside:
            beside.write_text(json.dumps(saved, indent=2) + "\n", encoding="utf-8")
        return Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what ``save`` wrote; ``ModelError`` if it is missing, newer, changed or absurd."""
        if not Path(path).exists():
            raise ModelError(f"{path} does not exist.", hint="fit_uplift(...).save(path)")
        try:
            saved = read_json(path)
            if saved["format"] != FORMAT:
                raise ModelError(f"{path} is not of format {FORMAT}, which this version reads.")
            model = cls.from_dict(saved["uplift"])
            if model.version != saved["version"]:
                raise ModelError(f"{path} was changed after it was written.", hint="train again.")
            model._require_sound()
        except DAMAGE as error:
            raise ModelError(f"{path} holds no uplift model: {error!r}.") from error
        return model

    def _require_sound(self) -> None:
        """Raise unless made-up customers, at either end of each feature, get finite gains."""
        knots, levels = self.columns.knots, self.columns.levels
        ends: dict[str, Any] = {name: [0.5, 0.5] for name in RISKS}
        ends |= {name: [points[0], points[-1]] for name, points in knots.items()}
        ends |= {name: [texts[0], texts[-1]] for name, texts in levels.items()}
        ends = {str(self.value): [1.0, 1.0]} | ends
        rising = all(np.all(np.diff(points) > 0) for points in knots.values())
        with np.errstate(all="ignore"):
            figures = self._expected(nw.from_dict(ends, backend="pyarrow"))
            about = np.concatenate([self.ate, self.retention_lift, self.save_rate or (0.0,)])
        rising &= all(isinstance(text, str) for text in (self.method, self.lift_source))
        if not (rising and all(np.isfinite(each).all() for each in (*figures, about))):
            raise ValueError("a customer would get a gain that is no number")

    def __str__(self) -> str:
        return "\n".join(map(str, (self.reason, *self.findings)))


def fit_uplift(
    log: IntoFrame,
    features: IntoFrame | None = None,
    *,
    propensity: float | None = None,
    columns: Sequence[str] | None = None,
    value: str | None = None,
    seed: int = 0,
) -> UpliftModel:
    """Learn from a randomised campaign whom a contact pays for.

    Parameters
    ----------
    log, features, propensity, columns
        The campaign log and what was known before it, see
        :func:`clv.uplift.campaign_log.read_campaign`. With ``churn_probability`` and
        ``probability_alive`` among the features the lift may be proportional to them.
    value
        Column of the features that says what one more retained customer is worth, such as
        "value_at_stake" (then a gain is over that column's horizon, and its size modelled). None:
        the margin of a buyer within the window, learned from the log (then a gain is measured).
    seed
        Of the folds, which the customer ids draw, however the rows are ordered.

    Returns
    -------
    UpliftModel
        ``predict`` gives each customer's lift (a difference of probabilities) and expected gain, in
        currency; its figures say how well that was measured.

    Raises
    ------
    InputError, FitError
        As ``read_campaign`` does.

    Examples
    --------
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> log = pd.DataFrame({"customer_id": range(4000), "treated": rng.integers(0, 2, 4000),
    ...                     "cost": 0.0, "loyal": rng.integers(0, 2, 4000)})
    >>> buys = rng.random(4000) < 0.2 + 0.4 * log["treated"] * log["loyal"]
    >>> model = fit_uplift(log.assign(outcome_margin=10.0 * buys), propensity=0.5)
    >>> model.predict(pd.DataFrame({"loyal": [0, 1]}))["expected_gain"].abs().round(0).tolist()
    [0.0, 4.0]
    """
    campaign = read_campaign(log, features, propensity=propensity, columns=columns)
    with threadpool_limits(1):
        # folds are dealt row by row: in this order a shuffled log gives the same to the last bit
        return _fit(campaign.reordered(seed), value)


def _fit(campaign: CampaignLog, value: str | None) -> UpliftModel:
    study = Study.from_campaign(campaign, value)
    gains = study.gains()
    chosen, reason = choose(study, gains)
    lift = study.learned(chosen)
    method = POOLED if lift.pooled else chosen
    leans = chosen == POOLED and set(study.bases) != {EVERYBODY}
    ate = study.profit.gain(1.0)
    return UpliftModel(
        method=method,
        reason=_why(method, reason, study.outcome(chosen), leans),
        columns=campaign.columns,
        lift=lift,
        lift_source="assumed and measured" if leans else "measured",
        value=study.value,
        cost=study.cost,
        ate=(ate.mean, ate.standard_error),
        retention_lift=study.bought.ate,
        save_rate=save_rate(study),
        figures=tuple(_figures(study, gains, chosen)),
        findings=(*campaign.findings(), *_findings(study, gains[chosen])),
        training={
            "customers": len(campaign),
            "contacted": int(campaign.W.sum()),
            "bought": float(campaign.bought.mean()),
            "mean_margin": float(campaign.margin.mean()),
            "mean_cost_of_contact": float(campaign.cost[campaign.W == 1].mean()),
        },
    )


def _why(method: str, reason: Finding, outcome: CrossFitEffects, leans: bool) -> Finding:
    mean, error = outcome.ate
    if method != POOLED:
        return finding("uplift.chosen", method=method, why=reason)
    if outcome.settled:
        return finding("uplift.no_differences", method=POOLED)
    mixed = finding("uplift.mixed", rate=ASSUMED[0]) if leans else None
    return finding("uplift.unsettled", method=POOLED, lift=mean, error=error, mixed=mixed)


def _figures(study: Study, gains: Mapping[str, Floats], chosen: str) -> Iterator[Mapping[str, Any]]:
    """The chosen learner first, then the others, rankings and chance, as many contacts each."""
    policies = {chosen: study.policy(gains[chosen])}
    policies |= {name: study.policy(gain) for name, gain in gains.items() if name != chosen}
    share = float(policies[chosen].mean())
    rows = study.campaign.rows
    for name, column in RANKINGS.items():
        if column in rows.columns:
            policies[name] = contact_best(numbers(rows, column), share)
    policies[RANDOM] = np.full(len(rows), share)
    for row in policy_table(study.profit, policies).to_dict("records"):
        yield {str(key): figure for key, figure in row.items()}


def _findings(study: Study, gain: Floats) -> Iterator[Finding]:
    profit = study.profit.gain(1.0)
    lift, error = study.bought.ate
    yield finding(
        "uplift.earned",
        profit=profit.mean,
        profit_error=profit.standard_error,
        lift=lift,
        lift_error=error,
        unseen=2.8 * profit.standard_error,
    )
    if isinstance(study.value, str):
        yield finding("uplift.value_modelled", value=study.value)
    else:
        slope, spread = calibration(study, gain)
        if np.isfinite(slope):
            yield finding("uplift.calibrated", slope=slope, error=spread)
    if not study.policy(gain).any():
        yield finding("uplift.nobody")
