"""What a campaign earned by its cost, from its control group, beside what is usually reported.

With Y the revenue of those contacted, m the margin, C the cost, and G the margin that the contact
added, from the experiment::

    as usually reported     (Y - C) / C          all that they bought counts, as revenue
    by margin               (m Y - C) / C        what is left of it
    what the campaign did   (G - C) / C          less what they would have brought anyway
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from clv.errors import InputError
from clv.experiments.measured_test import MeasuredTest
from clv.findings import Finding, finding, within
from clv.format import change, percent
from clv.notebook import InNotebook
from clv.shares import check_share


@dataclass(frozen=True)
class CampaignROI(InNotebook):
    """Return on what a campaign cost, a share: 2.93 is 293%; money in ``currency``.

    Attributes
    ----------
    cost
        Of the whole campaign.
    revenue, margin
        Of those contacted, within the window.
    earned, earned_low, earned_high
        Margin that the contact added, in total, with its interval.
    level
        Of the intervals.
    margin_rate
        Of the revenue.
    currency
        Of all money; empty if that is not stated.
    """

    cost: float
    revenue: float
    margin: float
    earned: float
    earned_low: float
    earned_high: float
    level: float
    margin_rate: float
    currency: str = ""

    @property
    def reported(self) -> float:
        """As usually reported: all revenue of those contacted counts."""
        return self.revenue / self.cost - 1

    @property
    def by_margin(self) -> float:
        """The same by margin."""
        return self.margin / self.cost - 1

    @property
    def roi(self) -> float:
        """What the campaign did."""
        return self.earned / self.cost - 1

    @property
    def interval(self) -> tuple[float, float]:
        """In which it lies, with ``level``."""
        return self.earned_low / self.cost - 1, self.earned_high / self.cost - 1

    @property
    def anyway(self) -> float:
        """Margin that those contacted would have brought without the campaign."""
        return self.margin - self.earned

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The figures, and why they differ."""
        return within(_findings(self), self.currency)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        low, high = self.interval
        stated = ("cost", "revenue", "margin", "earned", "earned_low", "earned_high", "level")
        shares = ("margin_rate", "reported", "by_margin", "roi", "anyway")
        return {
            **{name: getattr(self, name) for name in (*stated, *shares)},
            "roi_low": low,
            "roi_high": high,
            "currency": self.currency or None,
            "findings": [each.to_dict() for each in self.findings],
        }

    def __str__(self) -> str:
        low, high = map(change, self.interval)
        heading = f"ROI {change(self.roi)}, {percent(self.level)} between {low} and {high}"
        return "\n".join([heading, *(f"  {each}" for each in self.findings)])


def campaign_roi(
    test: MeasuredTest, *, cost: float | None = None, margin_rate: float = 1.0
) -> CampaignROI:
    """The ROI of a campaign from its control group, beside the figure that is usually reported.

    Parameters
    ----------
    test
        From ``measure_test``; its outcomes are margins.
    cost
        Of the whole campaign, where the log does not say it or leaves out what is fixed.
    margin_rate
        Of the revenue, to find the revenue that is usually reported; 1 if outcomes are revenue.

    Returns
    -------
    CampaignROI
        ``roi`` with ``interval``, ``reported``, and ``findings`` on why they differ.

    Raises
    ------
    InputError
        The campaign has no cost, or a share makes no sense.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from clv import campaign_roi, measure_test
    >>> log = pd.DataFrame({"customer_id": range(2000), "treated": np.arange(2000) % 2})
    >>> log["outcome_margin"] = np.repeat([2.0, 4.0], 1000) + 1.5 * log["treated"]
    >>> test = measure_test(log, propensity=0.5)
    >>> roi = campaign_roi(test, cost=1000.0, margin_rate=0.4)
    >>> round(roi.reported, 2), round(roi.by_margin, 2), round(roi.roi, 2)
    (10.25, 3.5, 0.5)
    """
    check_share("margin_rate", margin_rate, "(0, 1]")
    spent = test.cost if cost is None else cost
    if not 0 < spent < float("inf"):
        raise InputError(
            f"a campaign that cost {spent:g} has no return on its cost.",
            hint="give cost=, of the whole campaign, or a column cost in its log.",
        )
    low, high = test.effect.earned_interval(test.level)
    return CampaignROI(
        cost=float(spent),
        revenue=test.brought / margin_rate,
        margin=test.brought,
        earned=test.effect.earned,
        earned_low=low,
        earned_high=high,
        level=test.level,
        margin_rate=margin_rate,
        currency=test.currency,
    )


def _findings(roi: CampaignROI) -> Iterator[Finding]:
    low, high = roi.interval
    yield finding("experiment.roi", roi=roi.roi, low=low, high=high, level=roi.level)
    reported = {"roi": roi.reported, "cost": roi.cost}
    if roi.margin_rate == 1:
        yield finding("experiment.roi_reported_margin", margin=roi.margin, **reported)
    else:
        yield finding("experiment.roi_reported", revenue=roi.revenue, **reported)
        taken = roi.revenue - roi.margin
        yield finding("experiment.roi_margin", taken=taken, roi=roi.by_margin)
    if roi.earned < 0:
        yield finding("experiment.roi_lost", anyway=roi.anyway, lost=-roi.earned)
    else:
        yield finding("experiment.roi_anyway", anyway=roi.anyway, earned=roi.earned)
    if low <= 0 <= high:
        yield finding("experiment.roi_unsure")
