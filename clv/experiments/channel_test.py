"""The test of a channel that a plan calls for: how long, at what cost, and what it is worth.

In half of the regions, drawn by chance, the channel's spend rises by a share; the others stay. By
the draws of its curve so and so many more customers come of it, nobody knows how many; noise as in
the spend table lies on top::

    variance of the difference a period     4 (v + v'),  v = m/2 + (m/2)^2 / phi of either half
    after n periods                         the draws weighed by how well they fit what was seen

What a test is worth (EVSI) is what the plan made on the weighed draws earns beyond today's best
plan, on those draws, averaged over what may be seen: it is paid by every later plan of that length.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from clv.decide.budget.allocate import allocate
from clv.decide.budget.channel import Channel
from clv.decide.budget.draws import MeanOfDraws
from clv.decide.budget.uncertainty import after_samples
from clv.defaults import SEED
from clv.errors import InputError
from clv.findings import Finding, finding, within
from clv.format import counted
from clv.notebook import InNotebook
from clv.schema import Floats

LENGTHS = (2, 4, 8, 13, 26)  # periods that are looked at
RESULTS = 30  # that may be seen, of each length


@dataclass(frozen=True)
class LengthOfTest:
    """A test of so many periods; money and customers over all of them.

    ``extra_spend`` goes to the treated regions, ``extra_customers`` are expected of it there, and
    ``cost`` is what the money does not bring back. ``standard_error`` is that of the customers a
    period which the same rise would bring everywhere; ``resolved`` the share of today's doubt
    about them that it takes away; ``worth`` what it adds to each later plan.
    """

    periods: int
    extra_spend: float
    extra_customers: float
    cost: float
    standard_error: float
    resolved: float
    worth: float


@dataclass(frozen=True)
class ChannelTest(InNotebook):
    """A test of one channel, as long as it pays best.

    Attributes
    ----------
    channel, spend
        Its name, and what it spends a period today.
    rise
        By which share of that it spends more in the treated regions.
    lengths
        What tests of several lengths cost and are worth.
    plan_periods
        Of the plan whose later editions it serves.
    currency
        Of all money; empty if that is not stated.
    """

    channel: str
    spend: float
    rise: float
    lengths: tuple[LengthOfTest, ...]
    plan_periods: float
    currency: str = ""

    @property
    def best(self) -> LengthOfTest:
        """Of the lengths, the one whose worth exceeds its cost by most."""
        return max(self.lengths, key=lambda length: length.worth - length.cost)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What it takes and gives, in words."""
        return within(_findings(self), self.currency)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "channel": self.channel,
            "spend": self.spend,
            "rise": self.rise,
            "best": asdict(self.best),
            "lengths": [asdict(length) for length in self.lengths],
            "plan_periods": self.plan_periods,
            "currency": self.currency or None,
            "findings": [each.to_dict() for each in self.findings],
        }

    def __str__(self) -> str:
        heading = f"a test of {self.channel} for {counted(self.best.periods, 'period')}"
        return "\n".join([heading, *(f"  {each}" for each in self.findings)])


def plan_channel_test(
    channels: Sequence[Channel],
    budget: float | None,
    channel: str,
    *,
    phi: float,
    rise: float = 1.0,
    retention: object = None,
    periods: float = 1.0,
    seed: int = SEED,
    currency: str = "",
) -> ChannelTest:
    """How to test a channel by region, how long, and what that is worth to the plan.

    Parameters
    ----------
    channels, budget, retention, periods
        As ``clv.allocate`` takes them; curves of ``response_curves`` bring draws.
    channel
        Name of the one to test, such as ``plan_uncertainty(...).test_next``.
    phi
        Dispersion of a period's new customers, as ``response_curves`` has it.
    rise
        Share by which its spend rises in the treated half of the regions.
    seed
        Of what may be seen.
    currency
        Of all money, such as "EUR".

    Returns
    -------
    ChannelTest
        The lengths looked at with cost, precision and worth, and the best of them.

    Raises
    ------
    InputError
        There is no such channel, it spends nothing today, or its curve has no draws.
    PlanError
        No plan satisfies the limits.

    Examples
    --------
    >>> from clv import Channel, Power, plan_channel_test
    >>> from clv.decide.budget.draws import MeanOfDraws
    >>> b = np.random.default_rng(0).uniform(0.2, 0.8, 200)
    >>> unsure = MeanOfDraws(Power(40 * 1000 ** -b, b))
    >>> channels = [Channel("search", unsure, 60, current=1000.0),
    ...             Channel("social", Power(1.2, 0.5), 60, current=1000.0)]
    >>> test = plan_channel_test(channels, 2000.0, "search", phi=40.0)
    >>> test.spend, test.lengths[0].worth <= test.lengths[-1].worth
    (1000.0, True)
    """
    tested = _tested(channels, channel)
    if not (0 < rise <= 10 and 0 < phi < math.inf):
        raise InputError(
            f"rise = {rise} and phi = {phi} make no test.",
            hint="rise is a share such as 1 for twice the spend; both are above 0.",
        )
    if not 0 < periods < math.inf:
        raise InputError(f"periods = {periods} is no number of periods.", hint="send 1 or more.")
    each = (tested.current or 0.0) / periods
    draws = tested.response.draws  # type: ignore[attr-defined] # _tested looked for them
    after, before = (
        tested.incrementality * np.asarray(draws.customers(spend), dtype=np.float64)
        for spend in ((1 + rise) * each, each)
    )
    outcome = _Outcome(np.atleast_1d(after - before), _noise(before, after, phi))
    best = allocate(channels, budget, retention, periods=periods)
    rng = np.random.default_rng(seed)
    samples = [
        _spread(outcome.weights(seen, n)) for n in LENGTHS for seen in _seen(outcome, n, rng)
    ]
    gains = after_samples(channels, best, channel, samples, retention, periods)
    worth = np.reshape(gains, (len(LENGTHS), RESULTS)).mean(axis=1).tolist()
    extra, won = rise * each / 2, float(outcome.gain.mean()) / 2
    lengths = [
        LengthOfTest(
            periods=n,
            extra_spend=n * extra,
            extra_customers=n * won,
            cost=n * (extra - tested.value * won),
            standard_error=outcome.error(n),
            resolved=outcome.resolved(n),
            worth=gain,
        )
        for n, gain in zip(LENGTHS, worth, strict=True)
    ]
    return ChannelTest(channel, each, rise, tuple(lengths), periods, currency)


@dataclass(frozen=True)
class _Outcome:
    """What a rise everywhere would bring a period, by draw, and the noise of a period's test."""

    gain: Floats
    noise: float

    def error(self, periods: int) -> float:
        return self.noise / math.sqrt(periods)

    def resolved(self, periods: int) -> float:
        spread = float(self.gain.var())
        return spread / (spread + self.error(periods) ** 2)

    def weights(self, seen: float, periods: int) -> Floats:
        """How well each draw fits what was seen."""
        away = (self.gain - seen) / self.error(periods)
        fit = np.exp(-((away**2) - (away**2).min()) / 2)
        return np.asarray(fit / fit.sum())


def _seen(outcome: _Outcome, periods: int, rng: np.random.Generator) -> list[float]:
    """Results that may be seen: a draw's gain with noise, both evenly spread."""
    places = (np.arange(RESULTS) + 0.5) / RESULTS
    truth = np.sort(outcome.gain)[(places * len(outcome.gain)).astype(int)]
    noise = outcome.error(periods) * ndtri(rng.permutation(places))
    return list((truth + noise).tolist())


def _spread(weights: Floats) -> NDArray[np.intp]:
    """As many rows as there are weights, each as often as its weight says."""
    places = (np.arange(len(weights)) + 0.5) / len(weights)
    return np.minimum(np.searchsorted(np.cumsum(weights), places), len(weights) - 1)


def _noise(before: Floats, after: Floats, phi: float) -> float:
    """Standard deviation of a period's result, as that of a rise everywhere."""
    halves = (float(np.mean(x)) / 2 for x in (before, after))
    return math.sqrt(4 * sum(m + m**2 / phi for m in halves))


def _tested(channels: Sequence[Channel], name: str) -> Channel:
    tested = {channel.name: channel for channel in channels}.get(name)
    if tested is None:
        raise InputError(f"no channel of the plan is called {name}.")
    if not tested.current:
        raise InputError(
            f"{name} spends nothing today, so its spend cannot rise by a share of it.",
            hint="state current, what it spends now.",
        )
    if not isinstance(tested.response, MeanOfDraws):
        raise InputError(
            f"the curve of {name} is stated, so nothing says what a test would find.",
            hint="estimate the curves from a spend table: [curves] in the plan.",
        )
    return tested


def _findings(test: ChannelTest) -> Iterator[Finding]:
    best = test.best
    yield finding(
        "experiment.channel",
        channel=test.channel,
        rise=test.rise,
        periods=best.periods,
        spend=best.extra_spend,
    )
    yield finding(
        f"experiment.channel_{'costs' if best.cost > 0 else 'earns'}",
        customers=best.extra_customers,
        cost=abs(best.cost),
    )
    yield finding(
        "experiment.channel_worth",
        resolved=best.resolved,
        worth=best.worth,
        periods=test.plan_periods,
    )
    if best.worth <= 0:
        yield finding("experiment.channel_no_change")
    elif best.worth < best.cost:
        yield finding("experiment.channel_not_worth", plans=math.ceil(best.cost / best.worth))
    yield finding("experiment.channel_how")
