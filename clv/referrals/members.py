"""Members of a programme against others: a difference, and why it is no effect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

from clv.defaults import LEVEL
from clv.errors import InputError
from clv.findings import Finding, finding
from clv.notebook import InNotebook
from clv.shares import check_share

FEWEST = 2  # on either side, for a spread


@dataclass(frozen=True)
class MemberComparison(InNotebook):
    """Members of a programme beside all others.

    Attributes
    ----------
    members, others
        How many.
    member_value, other_value
        Mean value of each, in currency.
    difference, low, high
        Of the means, with Welch's interval: selection and effect in one.
    finding
        What it says, and that it is selection.

    Examples
    --------
    >>> compare_members({"a": 1.0, "b": 3.0, "c": 1.0, "d": 1.0}, ["a", "b"]).difference
    1.0
    """

    members: int
    others: int
    member_value: float
    other_value: float
    difference: float
    low: float
    high: float
    finding: Finding

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**vars(self), "finding": self.finding.to_dict()}

    def __str__(self) -> str:
        return str(self.finding)


def compare_members(
    values: Mapping[str, float], members: Iterable[str], *, level: float = LEVEL
) -> MemberComparison:
    """Compare members with others.

    Parameters
    ----------
    values
        What customers are worth, by id, in currency.
    members
        Ids of members; others than in ``values`` are not used.
    level
        Of the interval.

    Returns
    -------
    MemberComparison
        Who joins buys more anyway: only a programme offered by lot would show its effect.

    Raises
    ------
    InputError
        There are fewer than two members or others among the values.

    References
    ----------
    Leenheer, van Heerde, Bijmolt & Smidts (2007), Int. J. of Research in Marketing 24(1): most of
    the difference is that good customers join.

    Examples
    --------
    >>> print(compare_members({"a": 5.0, "b": 3.0, "c": 1.0, "d": 2.0}, ["a", "b"]).finding.code)
    referral.members
    """
    check_share("level", level, "(0, 1)")
    joined = {str(name) for name in members}
    inside, outside = (
        np.array([float(v) for k, v in values.items() if (str(k) in joined) is side])
        for side in (True, False)
    )
    if min(len(inside), len(outside)) < FEWEST:
        raise InputError(
            f"{len(inside)} members and {len(outside)} others have a value.",
            hint="give the ids of members as they stand in the scores.",
        )
    parts = [group.var(ddof=1) / len(group) for group in (inside, outside)]
    error = float(np.sqrt(sum(parts)))
    sizes = (len(inside), len(outside))
    freedom = sum(parts) ** 2 / sum(p**2 / (n - 1) for p, n in zip(parts, sizes, strict=True)) \
        if error else 1.0  # fmt: skip
    gap = float(inside.mean() - outside.mean())
    half = float(student.ppf(0.5 + level / 2, freedom)) * error
    note = finding("referral.members", members=len(inside), others=len(outside),
                   value=float(inside.mean()), other=float(outside.mean()), gap=gap,
                   low=gap - half, high=gap + half)  # fmt: skip
    return MemberComparison(
        len(inside), len(outside), float(inside.mean()), float(outside.mean()), gap, gap - half,
        gap + half, note,
    )  # fmt: skip
