"""A test after it was run: the effect, adjusted for what was known before, with its interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from narwhals.typing import IntoFrame

from clv.decide.retention.offer import BetaRate
from clv.defaults import LEVEL
from clv.experiments.adjusted_effect import AdjustedEffect, adjusted_effect
from clv.findings import Finding, finding, within
from clv.format import money, percent
from clv.notebook import InNotebook
from clv.schema import Floats, numbers
from clv.shares import check_share
from clv.uplift.campaign_log import CampaignLog, read_campaign

KNOWN_BEFORE = ("clv", "churn_probability")  # of the scores, where nobody names columns
RISK = "churn_probability"


@dataclass(frozen=True)
class MeasuredTest(InNotebook):
    """What a test by chance found; money as in the log, within the window of its outcomes.

    Attributes
    ----------
    effect, unadjusted
        On the margin per customer, with and without what was known before.
    bought
        On the chance to bring any margin.
    treated, control
        Customers of either group.
    brought, cost
        Margin of all who were treated, and what treating them cost, in total.
    risk
        Mean churn probability before the test; None where it is not known.
    covariates
        What was known before, by column.
    level
        Of the intervals.
    checks
        Whether the groups are alike, as by chance.
    currency
        Of all money; empty if that is not stated.
    """

    effect: AdjustedEffect
    unadjusted: AdjustedEffect
    bought: AdjustedEffect
    treated: int
    control: int
    brought: float
    cost: float
    risk: float | None
    covariates: tuple[str, ...]
    level: float
    checks: tuple[Finding, ...]
    currency: str = ""

    @property
    def interval(self) -> tuple[float, float]:
        """Of the effect per customer."""
        return self.effect.interval(self.level)

    @property
    def r2(self) -> float:
        """By how much of itself the variance of the effect fell by what was known before."""
        return max(1 - (self.effect.standard_error / self.unadjusted.standard_error) ** 2, 0.0)

    @property
    def lift(self) -> float | None:
        """The effect by what a customer brings without treatment; None if that is nothing."""
        return self.effect.mean / self.effect.baseline if self.effect.baseline > 0 else None

    @property
    def saved(self) -> tuple[float, float] | None:
        """Share of would-be leavers kept, and its standard error; None where risk is not known."""
        if not self.risk:
            return None
        return self.bought.mean / self.risk, self.bought.standard_error / self.risk

    @cached_property
    def save_rate(self) -> BetaRate | None:
        """The save rate as offers take it, of that mean and spread; None where none was kept."""
        if self.saved is None:
            return None
        mean, error = self.saved
        if not 0 < mean < 1:
            return None
        strength = max(mean * (1 - mean) / error**2 - 1, 1.0) if error > 0 else 1e6
        return BetaRate(mean * strength, (1 - mean) * strength)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What was found, in words."""
        return within([*_findings(self), *self.checks], self.currency)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        low, high = self.interval
        rate = self.save_rate
        return {
            "effect": self.effect.mean,
            "standard_error": self.effect.standard_error,
            "low": low,
            "high": high,
            "level": self.level,
            "unadjusted": self.unadjusted.mean,
            "unadjusted_error": self.unadjusted.standard_error,
            "r2": self.r2,
            "baseline": self.effect.baseline,
            "lift": self.lift,
            "bought": self.bought.mean,
            "bought_error": self.bought.standard_error,
            "treated": self.treated,
            "control": self.control,
            "brought": self.brought,
            "cost": self.cost,
            "covariates": list(self.covariates),
            "save_rate": None if rate is None else {"a": rate.a, "b": rate.b},
            "currency": self.currency or None,
            "findings": [each.to_dict() for each in self.findings],
        }

    def __str__(self) -> str:
        low, high = (money(end, self.currency) for end in self.interval)
        mean = money(self.effect.mean, self.currency)
        heading = f"effect per customer: {mean}, {percent(self.level)} between {low} and {high}"
        return "\n".join([heading, *(f"  {each}" for each in self.findings)])


def measure_test(
    log: IntoFrame,
    features: IntoFrame | None = None,
    *,
    covariates: Sequence[str] | None = None,
    propensity: float | None = None,
    level: float = LEVEL,
    currency: str = "",
) -> MeasuredTest:
    """What a test by chance found: the effect on the margin, with its interval.

    Parameters
    ----------
    log
        The assignment with what came of it: customer_id, treated, outcome_margin (0 for whoever
        bought nothing), propensity, best with cost; a campaign log, see ``clv.fit_uplift``.
    features
        What was known of each customer BEFORE, best the scores as of the day before.
    covariates
        Their columns to adjust for; by default clv and churn_probability where they are there.
    propensity
        Chance of being treated, where the log has no such column.
    level
        Of the intervals.
    currency
        Of the margins, such as "EUR".

    Returns
    -------
    MeasuredTest
        ``effect`` per customer and ``interval``; ``save_rate`` as ``clv.Offer`` takes it.

    Raises
    ------
    InputError, ColumnError, RowError
        A column is missing, a value makes no sense, or the features saw the effect.
    FitError
        Fewer than 50 customers were treated, or held out.

    Examples
    --------
    >>> import pandas as pd
    >>> from clv import measure_test
    >>> rng = np.random.default_rng(0)
    >>> known = rng.gamma(1, 20, 4000)
    >>> log = pd.DataFrame({"customer_id": range(4000), "treated": rng.integers(0, 2, 4000)})
    >>> log["outcome_margin"] = known + 3 * log["treated"] + rng.normal(0, 5, 4000)
    >>> test = measure_test(log.assign(known=known), covariates=["known"], propensity=0.5)
    >>> test.interval[0] < 3 < test.interval[1]
    True
    """
    check_share("level", level, "(0, 1)")
    names = tuple(covariates) if covariates is not None else _known(log, features)
    campaign = read_campaign(log, features, propensity=propensity, columns=names)
    return measured(campaign, names, level, currency)


def measured(
    campaign: CampaignLog, names: Sequence[str], level: float, currency: str
) -> MeasuredTest:
    """The test that a checked log holds."""
    W, e, y, bought = campaign.W, campaign.e, campaign.margin, campaign.bought
    x = _columns(campaign, names)
    risk = RISK in campaign.rows.columns
    return MeasuredTest(
        effect=adjusted_effect(y, W, e, x),
        unadjusted=adjusted_effect(y, W, e),
        bought=adjusted_effect(bought, W, e, x),
        treated=int(W.sum()),
        control=int((1 - W).sum()),
        brought=float(y[W == 1].sum()),
        cost=float(campaign.cost[W == 1].sum()),
        risk=float(numbers(campaign.rows, RISK).mean()) if risk else None,
        covariates=tuple(names),
        level=level,
        checks=tuple(campaign.findings()),
        currency=currency,
    )


def _known(log: IntoFrame, features: IntoFrame | None) -> tuple[str, ...]:
    """The columns to adjust for where nobody names them."""
    from clv.schema import as_frame

    table = as_frame(log if features is None else features, "the table")
    present = table.collect_schema().names()
    return tuple(name for name in KNOWN_BEFORE if name in present)


def _columns(campaign: CampaignLog, names: Sequence[str]) -> Floats | None:
    if not names:
        return None
    return np.column_stack([numbers(campaign.rows, name, "the features") for name in names])


def _findings(test: MeasuredTest) -> Iterator[Finding]:
    low, high = test.interval
    sure = "raised" if low > 0 else "lowered" if high < 0 else "unsure"
    yield finding(
        f"experiment.{sure}", effect=test.effect.mean, low=low, high=high, level=test.level
    )
    if test.covariates:
        yield finding("experiment.adjusted", columns=test.covariates, r2=test.r2)
    else:
        yield finding("experiment.not_adjusted")
    if test.save_rate is not None:
        ends = (1 - test.level) / 2
        rates = [test.save_rate.quantile(u) for u in (ends, 1 - ends)]
        yield finding("experiment.save_rate", rate=test.save_rate.mean, low=rates[0], high=rates[1])
    elif test.saved is not None:
        yield finding("experiment.nobody_saved")
