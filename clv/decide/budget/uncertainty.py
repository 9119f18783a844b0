"""How sure a plan is, from draws of the response curves and of the channel values.

The plan maximises the mean over the draws (``draws.MeanOfDraws`` is that mean curve). Here the
same plan is paid out in every draw, beside today's plan, and beside the plan that one would choose
if one knew the draw to be the truth. What that knowledge adds on average is the expected value of
perfect information, EVPI; knowing one channel alone adds its EVPPI, an upper bound on what a test
of that channel is worth.

References
----------
.. [1] Raiffa & Schlaifer (1961), Applied Statistical Decision Theory, chapter 4.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clv.decide.budget.allocation import Allocation
from clv.decide.budget.information import (
    channel_information,
    greatest_profit_of_each,
    sample_information,
)
from clv.decide.budget.plan_gain import PlanGain, drawn_market, profit_draws
from clv.decide.budget.problem import AllocationProblem
from clv.decide.budget.sweep import Sweep
from clv.errors import PlanError
from clv.findings import Finding, finding, within
from clv.format import kind_of_customers
from clv.schema import Floats

if TYPE_CHECKING:
    from clv.decide.budget.channel import Channel

LEVELS = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class PlanUncertainty:
    """How sure a plan is; money in currency, for the period of the budget.

    Parameters
    ----------
    draws
        How many draws of the curves and values there are.
    profit
        Profit of the plan: its mean, and its 5, 50 and 95% points.
    gain
        Profit above today's plan, both in the same draw: mean, 5, 50 and 95%; None without one.
    probability_better
        Share of the draws in which the plan beats today's.
    evpi
        Expected value of perfect information: what knowing all curves and values would add.
    evppi
        By channel, largest first: what knowing this channel alone would add.
    findings
        What that says; ``str`` writes each out.
    """

    draws: int
    profit: dict[str, float]
    gain: dict[str, float] | None
    probability_better: float | None
    evpi: float
    evppi: dict[str, float]
    findings: tuple[Finding, ...]

    @property
    def test_next(self) -> str | None:
        """The channel that is most worth testing; None if no test could change the plan."""
        best = next(iter(self.evppi), None)
        return best if best is not None and self.evppi[best] > 0 else None

    @property
    def over_today(self) -> PlanGain | None:
        """The gain over today's plan; None without one."""
        if self.gain is None or self.probability_better is None:
            return None
        mean, low, high = (self.gain[name] for name in ("mean", "p05", "p95"))
        return PlanGain(mean, low, high, self.probability_better)

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON values."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        says = [each.to_dict() for each in self.findings]
        return values | {"findings": says, "test_next": self.test_next}


def plan_uncertainty(
    channels: Sequence[Channel],
    plan: Allocation,
    retention: object = None,
    *,
    values: Mapping[str, ArrayLike] | None = None,
    periods: float = 1.0,
) -> PlanUncertainty:
    """What a plan earns in every draw, and what it would be worth to know more.

    Parameters
    ----------
    channels, retention, periods
        As they were given to ``allocate``. Channels whose curve is a ``MeanOfDraws`` bring its
        draws; other curves are taken as certain, and so is retention.
    plan
        What ``allocate`` returned for them.
    values
        Draws of the value of a new customer by channel, as many as of the curves; a channel's own
        value otherwise, as certain. They are taken to be independent of the curves.

    Returns
    -------
    PlanUncertainty
        Profit of the plan and its gain over today's, both with intervals over the draws; the chance
        to be better than today's; and what perfect knowledge of all curves (EVPI) or of one channel
        (EVPPI) would be worth, in currency.

    Raises
    ------
    InputError
        Draws differ in number, or there are none.
    PlanError
        Without a budget the best plan of some draw is beyond all numbers.

    Examples
    --------
    >>> from clv.decide.budget.allocate import allocate
    >>> from clv.decide.budget.channel import Channel
    >>> from clv.decide.budget.draws import MeanOfDraws
    >>> from clv.decide.budget.response import Power
    >>> rng = np.random.default_rng(0)
    >>> def drawn(k, b):
    ...     elasticity = 1 / (1 + np.exp(-rng.normal(np.log(b / (1 - b)), 0.3, 400)))
    ...     return MeanOfDraws(Power(k * 5_000 ** (b - elasticity), elasticity))
    >>> channels = [
    ...     Channel("search", drawn(12, 0.6), 60, current=15_000),
    ...     Channel("social", drawn(30, 0.45), 80, current=15_000),
    ... ]
    >>> found = plan_uncertainty(channels, allocate(channels, 30_000))
    >>> found.probability_better > 0.5, found.evpi > max(found.evppi.values()) > 0
    (True, True)
    """
    problem, sweep = drawn_market(channels, plan.budget, retention, values or {}, periods)
    ours, today = profit_draws(problem, sweep, plan)
    limit = np.full(len(ours), _limit(problem, sweep))
    known = greatest_profit_of_each(sweep, limit)
    evpi = max(float((known - ours).mean()), 0.0)
    unsorted = channel_information(sweep, problem.names, float(limit[0]))
    evppi = dict(sorted(unsorted.items(), key=lambda item: -item[1]))
    gain = None if today is None else ours - today
    better = None if gain is None else float((gain > 0).mean())
    result = PlanUncertainty(
        len(ours), _summary(ours), None if gain is None else _summary(gain), better, evpi, evppi, ()
    )
    basis = finding("uncertainty.kind", kind=kind_of_customers(problem.share.tolist()))
    return replace(result, findings=within((*_findings(result), basis), plan.currency))


def after_samples(
    channels: Sequence[Channel],
    plan: Allocation,
    channel: str,
    samples: Sequence[NDArray[np.intp]],
    retention: object = None,
    periods: float = 1.0,
) -> list[float]:
    """What plans earn beyond ``plan`` once samples of one channel were seen: see ``information``.

    Each sample says which draws of the channel's curve are left, as many as there are draws.
    """
    problem, sweep = drawn_market(channels, plan.budget, retention, {}, periods)
    index, spend = problem.names.index(channel), plan.spend[channel]
    return sample_information(sweep, index, _limit(problem, sweep), spend, samples)


def _limit(problem: AllocationProblem, sweep: Sweep) -> float:
    """The budget, or without one more than any draw's best plan spends."""
    if math.isfinite(problem.budget):
        return problem.budget
    rows = sweep.value.shape[0]
    spent = sweep.total(np.ones(rows), np.full(rows, np.inf))
    if not np.isfinite(spent).all():
        raise PlanError(
            "without a budget the best plan of some draws is too large for a number.",
            hint="give a budget, or upper bounds hi within what has been observed.",
        )
    return 2 * float(spent.max())


def _summary(draws: Floats) -> dict[str, float]:
    low, median, high = np.quantile(draws, LEVELS).tolist()
    return {"mean": float(draws.mean()), "p05": low, "p50": median, "p95": high}


def _findings(sure: PlanUncertainty) -> Iterator[Finding]:
    if sure.gain is not None and sure.probability_better is not None:
        yield finding(
            "uncertainty.beats_today",
            share=sure.probability_better,
            draws=sure.draws,
            mean=sure.gain["mean"],
            low=sure.gain["p05"],
            high=sure.gain["p95"],
            level=LEVELS[-1] - LEVELS[0],
        )
    best = sure.test_next
    if best is None:
        yield finding("uncertainty.no_test")
    else:
        alone = sure.evppi[best]
        yield finding("uncertainty.test_next", everything=sure.evpi, channel=best, alone=alone)
