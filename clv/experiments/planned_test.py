"""A test before it is run: how many customers, how long, what it costs and what it would change."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from clv.defaults import TEST_CONTROL_SHARE, TEST_LEVEL, TEST_POWER
from clv.errors import InputError
from clv.experiments.rollout import Rollout
from clv.experiments.sample_size import SampleSize
from clv.findings import Finding, finding, within
from clv.format import counted, percent
from clv.notebook import InNotebook
from clv.shares import check_share

STATED = (
    *("baseline_mean", "baseline_sd", "lift", "effect", "n_per_arm", "n_per_arm_unadjusted"),
    *("n_per_arm_proportional", "customers", "treated", "control", "tested", "weeks"),
    *("weeks_until_read", "detectable_lift", "cost", "evpi", "evsi", "chance_of_change"),
)
OF_GROUPS = ("r2", "control_share", "power", "level")
CURVE = 41  # points of the power curve
WIDEST = 2.0  # times the customers needed, up to where it is drawn


@dataclass(frozen=True)
class PlannedTest(InNotebook):
    """A test by chance as it is planned; money in the unit of ``baseline_mean``.

    Attributes
    ----------
    baseline_mean, baseline_sd
        Outcome of a customer without the test, and its standard deviation between customers.
    lift
        Relative change of the mean that the test is to show.
    size
        Share held out, power, level, and R^2 of the outcome on what is known before.
    weeks
        How long an outcome is counted.
    arrivals
        Customers a week who become eligible; None where all are there from the beginning.
    rollout
        The decision that the test is for, or None.
    currency
        Of all money; empty if that is not stated.
    """

    baseline_mean: float
    baseline_sd: float
    lift: float
    size: SampleSize
    weeks: float
    arrivals: float | None = None
    rollout: Rollout | None = None
    currency: str = ""

    @cached_property
    def decision(self) -> Rollout | None:
        """The decision, with a range of the lift where none is stated: up to twice the lift."""
        stated = self.rollout
        if stated is None or stated.lift_range is not None:
            return stated
        return replace(stated, lift_range=(0.0, 2 * self.lift))

    @property
    def effect(self) -> float:
        """What the lift is per customer."""
        return self.lift * self.baseline_mean

    @cached_property
    def n_per_arm(self) -> int:
        """Customers in each of two equal groups."""
        return _half(replace(self.size, control_share=0.5), self.effect)

    @property
    def n_per_arm_unadjusted(self) -> int:
        """The same where nothing known before is used."""
        return _half(replace(self.size, control_share=0.5, r2=0.0), self.effect)

    @property
    def n_per_arm_proportional(self) -> int:
        """The same if the effect is proportional to what a customer would have spent anyway.

        The outcome of those treated then varies more, by 1 + lift.
        """
        wider = self.size.sd * math.sqrt((1 + (1 + self.lift) ** 2) / 2)
        return _half(replace(self.size, control_share=0.5, sd=wider), self.effect)

    @cached_property
    def customers(self) -> int:
        """Customers in both groups, with the share that is held out."""
        control = self.size.control_share * (needed := self.size.customers(self.effect))
        return math.ceil(control) + math.ceil(needed - control)

    @property
    def treated(self) -> int:
        """Of these, those who get it."""
        return self.size.split(self.customers)[0]

    @property
    def control(self) -> int:
        """Of these, those held out."""
        return self.size.split(self.customers)[1]

    @property
    def tested(self) -> int:
        """How many there can be: all that it takes, as far as the decision has as many."""
        return self.customers if self.decision is None else min(self.customers, self._there)

    @property
    def weeks_until_read(self) -> float:
        """From the first customer who enters to the last outcome."""
        enters = 0.0 if self.arrivals is None else self.tested / self.arrivals
        return enters + self.weeks

    @property
    def detectable_lift(self) -> float:
        """The smallest lift that those whom there are would show."""
        return self.size.detectable(self.tested) / self.baseline_mean

    @property
    def lift_error(self) -> float:
        """Standard error of the lift, with those whom there are."""
        return self.size.standard_error(self.tested) / self.baseline_mean

    @property
    def cost(self) -> float:
        """What the test costs: holding out where doing it is expected to pay, else doing it.

        Without a decision, what those held out forgo of the outcome itself.
        """
        treated, control = self.size.split(self.tested)
        if self.decision is None:
            return control * self.effect
        each = self.decision.per_customer
        return control * each if each > 0 else -treated * each

    @property
    def evpi(self) -> float | None:
        """What it would be worth to know the lift for certain."""
        return None if self.decision is None else self.decision.worth_knowing()

    @property
    def evsi(self) -> float | None:
        """What this test is worth for those who are not in it; its cost is not taken off."""
        if self.decision is None:
            return None
        rest = self.decision.customers - self.tested
        return self.decision.worth_knowing(self.lift_error, rest)

    @property
    def chance_of_change(self) -> float | None:
        """The chance that the test turns today's decision round."""
        return None if self.decision is None else self.decision.chance_of_change(self.lift_error)

    def power_curve(self) -> list[dict[str, float]]:
        """Power by customers in both groups, with what is known before and without it."""
        plain = replace(self.size, r2=0.0)
        most = max(WIDEST * self.customers, 2.0 * self.n_per_arm_unadjusted)
        points = [most * (k + 1) / CURVE for k in range(CURVE)]
        return [
            {
                "customers": n,
                "power": float(self.size.power_at(self.effect, n)),
                "power_unadjusted": float(plain.power_at(self.effect, n)),
            }
            for n in points
        ]

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What the plan says, in the currency stated."""
        return within(_findings(self), self.currency)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            **{name: getattr(self, name) for name in STATED},
            **{name: getattr(self.size, name) for name in OF_GROUPS},
            "currency": self.currency or None,
            "decision": None if self.decision is None else asdict(self.decision),
            "power_curve": self.power_curve(),
            "findings": [each.to_dict() for each in self.findings],
        }

    def __str__(self) -> str:
        heading = (
            f"a test of {counted(self.tested, 'customer')}, to show a lift of {percent(self.lift)}"
        )
        return "\n".join([heading, *(f"  {each}" for each in self.findings)])

    @property
    def _there(self) -> int:
        return self.customers if self.decision is None else self.decision.customers


def plan_test(
    baseline_mean: float,
    baseline_sd: float,
    lift: float,
    *,
    r2: float = 0.0,
    control_share: float = TEST_CONTROL_SHARE,
    power: float = TEST_POWER,
    level: float = TEST_LEVEL,
    weeks: float = 13.0,
    arrivals: float | None = None,
    rollout: Rollout | None = None,
    currency: str = "",
) -> PlannedTest:
    """How many customers a test takes, how long, what it costs, and what it would change.

    In each group 2 (z_{1 - level/2} + z_power)^2 sd^2 (1 - R^2) / (lift * mean)^2.

    Parameters
    ----------
    baseline_mean, baseline_sd
        Outcome of a customer without the test (spend or margin within ``weeks``, or a chance),
        and its standard deviation between customers.
    lift
        Relative change of the mean that is to be seen, in (0, 1].
    r2
        Share of the outcome's variance that is known before, best by CLV ("CUPED").
    control_share
        Share of the customers of the test who are held out.
    power, level
        Chance to see a lift that is there, and one that is not (two-sided).
    weeks
        How long an outcome is counted.
    arrivals
        Customers a week who become eligible; None where all are there from the beginning.
    rollout
        The decision that the test is for.
    currency
        Of all money, such as "EUR".

    Returns
    -------
    PlannedTest
        Customers in both groups, weeks, cost, EVPI and EVSI (expected value of perfect and of
        sample information), with ``findings`` in words.

    Raises
    ------
    InputError
        A figure makes no sense, or no number of customers would show the lift.

    Examples
    --------
    The spend of CDNOW's customers within 13 weeks, without and with CLV as covariate:

    >>> from clv import plan_test
    >>> plan_test(9.08, 44.6, lift=0.1).n_per_arm
    37874
    >>> plan_test(9.08, 44.6, lift=0.1, r2=0.518).n_per_arm
    18256
    """
    check_share("lift", lift, "(0, 1]", "it is relative: 0.05 is 5% more than without the test.")
    if not 0 < baseline_mean < math.inf:
        raise InputError(
            f"baseline_mean = {baseline_mean} has no lift.",
            hint="it is the mean outcome of a customer without the test, above 0.",
        )
    for name, figure in (("weeks", weeks), ("arrivals", arrivals)):
        if figure is not None and not 0 < figure < math.inf:
            raise InputError(f"{name} = {figure} is not above 0.")
    size = SampleSize(baseline_sd, r2, control_share, power, level)
    planned = PlannedTest(
        float(baseline_mean), float(baseline_sd), lift, size, weeks, arrivals, rollout, currency
    )
    size.customers(planned.effect)  # raises where no number of them would do
    return planned


def _half(size: SampleSize, effect: float) -> int:
    """Customers of one of two equal groups."""
    return math.ceil(size.customers(effect) / 2)


def _findings(plan: PlannedTest) -> Iterator[Finding]:
    yield finding(
        "experiment.size",
        treated=plan.treated,
        control=plan.control,
        lift=plan.lift,
        power=plan.size.power,
        level=plan.size.level,
    )
    if plan.size.r2:
        without = 2 * plan.n_per_arm_unadjusted
        yield finding("experiment.covariate", r2=plan.size.r2, customers=without)
    else:
        yield finding("experiment.no_covariate")
    yield finding("experiment.proportional", customers=plan.n_per_arm_proportional)
    if plan.arrivals is None:
        yield finding("experiment.weeks", weeks=plan.weeks)
    else:
        entering, weeks = plan.tested / plan.arrivals, plan.weeks
        yield finding("experiment.weeks_entering", entering=entering, weeks=weeks)
    if plan.tested < plan.customers:
        yield finding("experiment.too_few", customers=plan.tested, detectable=plan.detectable_lift)
    yield from _on_the_decision(plan) if plan.decision else _holding_out(plan)


def _holding_out(plan: PlannedTest) -> Iterator[Finding]:
    yield finding("experiment.holding_out", customers=plan.control, cost=plan.cost)
    yield finding("experiment.no_decision")


def _on_the_decision(plan: PlannedTest) -> Iterator[Finding]:
    decision = plan.decision
    if decision is None:
        return
    does = decision.per_customer > 0
    low, high = decision.lift_range or (0.0, 0.0)
    stated = "stated" if plan.rollout and plan.rollout.lift_range else "assumed"
    yield finding(f"experiment.lift_{stated}", low=low, high=high)
    yield finding(
        f"experiment.today_{'do' if does else 'leave'}",
        customers=decision.customers,
        earns=abs(decision.customers * decision.per_customer),
        even=decision.break_even,
    )
    chance = plan.chance_of_change or 0.0
    yield finding("experiment.change", chance=chance, evpi=plan.evpi, evsi=plan.evsi)
    yield finding(f"experiment.cost_{'control' if does else 'treated'}", cost=plan.cost)
    if plan.tested == decision.customers:
        yield finding("experiment.everybody")
    elif (plan.evsi or 0.0) < plan.cost:
        yield finding("experiment.not_worth")
