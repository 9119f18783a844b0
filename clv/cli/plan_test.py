"""``clv plan-test``: how many customers a test takes, and what it would change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from clv.cli.application import command
from clv.cli.options import AsJson, refuse
from clv.cli.screen import Screen
from clv.defaults import TEST_LEVEL, TEST_POWER

if TYPE_CHECKING:
    from clv.experiments.rollout import Rollout


@dataclass(frozen=True, kw_only=True)
class LiftToSee:
    """The outcome that is measured."""

    HEADING: ClassVar[str] = "The outcome, and the lift to be seen"
    baseline_mean: Annotated[
        float, typer.Option(metavar="MEAN", help="Of a customer without the test: spend, margin.")
    ]
    baseline_sd: Annotated[
        float, typer.Option(metavar="SD", help="Its standard deviation between customers.")
    ]
    lift: Annotated[float, typer.Option(metavar="SHARE", help="0.1 is 10% more than that mean.")]
    r2: Annotated[
        float,
        typer.Option(metavar="SHARE", help="Of its variance, what is known before, as by CLV."),
    ] = 0.0
    weeks: Annotated[
        float, typer.Option(metavar="WEEKS", help="How long it is counted per customer.")
    ] = 13.0


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Who is in the test."""

    HEADING: ClassVar[str] = "The groups"
    control_share: Annotated[
        float, typer.Option(metavar="SHARE", help="Of those in the test, who is held out.")
    ] = 0.5
    power: Annotated[
        float, typer.Option(metavar="SHARE", help="Chance to see the lift if it is there.")
    ] = TEST_POWER
    level: Annotated[
        float, typer.Option(metavar="SHARE", help="Chance to see one that is not there.")
    ] = TEST_LEVEL
    arrivals: Annotated[
        float | None,
        typer.Option(metavar="N", help="Customers a week who become eligible; else all are there."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The decision that the test is for."""

    HEADING: ClassVar[str] = "The decision that it is for: do it for all, or leave it"
    customers: Annotated[
        int | None, typer.Option(metavar="N", help="Whom it is decided about.")
    ] = None
    value: Annotated[
        float | None,
        typer.Option(metavar="MONEY", help="What one of them is worth that is lifted, as CLV."),
    ] = None
    contact_cost: Annotated[
        float, typer.Option(metavar="MONEY", help="What doing it costs per customer.")
    ] = 0.0
    lift_range: Annotated[
        str | None,
        typer.Option(
            metavar="LOW:HIGH",
            help="Where the lift lies, by what is known today, with 90%. "
            "Without it 0 to twice the lift, assumed.",
        ),
    ] = None

    def rollout(self) -> Rollout | None:
        """As ``plan_test`` takes it."""
        from clv.experiments.rollout import Rollout

        if self.customers is None or self.value is None:
            of_it = {"--contact-cost": self.contact_cost, "--lift-range": self.lift_range}
            of_it |= {"--customers": self.customers, "--value": self.value}
            refuse(of_it, "a decision takes both --customers and --value.")
            return None
        return Rollout(self.customers, self.value, self.contact_cost, _range(self.lift_range))


@command(
    "clv plan-test --baseline-mean 9.08 --baseline-sd 44.6 --lift 0.1 --r2 0.518",
    "clv plan-test --baseline-mean 12 --baseline-sd 50 --lift 0.05 --arrivals 400",
    "clv plan-test --baseline-mean 9 --baseline-sd 45 --lift 0.1 --customers 90000 "
    "--value 60 --contact-cost 2",
)
def plan_test(
    ctx: typer.Context,
    outcome: LiftToSee,
    groups: Groups,
    decision: Decision,
    currency: Annotated[str, typer.Option(metavar="CODE", help="Of all money, as EUR.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say how many customers a test takes, and what it would change.

    Customers are treated or held out by chance, and what they do afterwards
    is compared. What is known of them before makes the test smaller. With the
    decision that it is for, it says what the test costs and is worth.
    """
    screen: Screen = ctx.obj
    from clv.experiments.planned_test import plan_test as plan

    planned = plan(
        outcome.baseline_mean,
        outcome.baseline_sd,
        outcome.lift,
        r2=outcome.r2,
        weeks=outcome.weeks,
        control_share=groups.control_share,
        power=groups.power,
        level=groups.level,
        arrivals=groups.arrivals,
        rollout=decision.rollout(),
        currency=currency,
    )
    if as_json:
        screen.json(planned.to_dict())
        return
    screen.title(str(planned).splitlines()[0])
    screen.points(planned.findings)


def _range(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no range, such as -0.02:0.1.", param_hint="--lift-range"
        ) from error
    return low, high
