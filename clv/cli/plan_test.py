"""``clv plan-test``: how many customers a test takes, and what it would change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from clv.cli.application import command
from clv.cli.options import AsJson, LogReading, Output, Track, refuse
from clv.cli.screen import Screen
from clv.defaults import SEED, TEST_CONTROL_SHARE, TEST_LEVEL, TEST_POWER
from clv.shares import parse_share

if TYPE_CHECKING:
    from clv.experiments.channel_test import ChannelTest
    from clv.experiments.offer_test import OfferTest
    from clv.experiments.planned_test import PlannedTest
    from clv.experiments.rollout import Rollout
    from clv.value.annual_surface import AnnualTest


@dataclass(frozen=True, kw_only=True)
class LiftToSee:
    """The outcome that is measured."""

    HEADING: ClassVar[str] = "The outcome, and the lift to be seen"
    lift: Annotated[
        float | None, typer.Option(metavar="SHARE", help="0.1 is 10% more than the mean.")
    ] = None
    baseline_mean: Annotated[
        float | None,
        typer.Option(metavar="MEAN", help="Of a customer without the test: spend, margin."),
    ] = None
    baseline_sd: Annotated[
        float | None, typer.Option(metavar="SD", help="Its standard deviation between customers.")
    ] = None
    r2: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Of its variance, what is known before, as by CLV."),
    ] = None
    weeks: Annotated[
        float, typer.Option(metavar="WEEKS", help="How long it is counted per customer.")
    ] = 13.0


@dataclass(frozen=True, kw_only=True)
class OwnCustomers:
    """A baseline from scores of an earlier day and what came after; and who is in the test."""

    HEADING: ClassVar[str] = "From your own customers"
    scores: Annotated[
        str | None,
        typer.Option(metavar="SCORES", help="What clv score wrote: whom the test is drawn from."),
    ] = None
    orders: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LOG",
            help="Orders of the weeks after them, for mean, deviation and r2.",
        ),
    ] = None
    stratify: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Of the scores: hold out the same share of each level."
        ),
    ] = None
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed, another draw.")] = SEED

    def figures(self, lift: LiftToSee, reading: LogReading) -> tuple[float, float, float]:
        """Mean, standard deviation and R^2, as stated or as the orders have them."""
        from clv.app.experiments import baseline

        if not self.orders:
            if lift.baseline_mean is None or lift.baseline_sd is None:
                raise typer.BadParameter(
                    "give it and --baseline-sd, or --scores with the --orders after them.",
                    param_hint="--baseline-mean",
                )
            return lift.baseline_mean, lift.baseline_sd, lift.r2 or 0.0
        if self.scores is None:
            raise typer.BadParameter("it takes --scores of the day before.", param_hint="--orders")
        both = {"--baseline-mean": lift.baseline_mean, "--baseline-sd": lift.baseline_sd}
        refuse(both, "it is taken of the --orders.")
        customers = baseline(self.scores, self.orders, lift.weeks, **reading.stated())
        return customers.mean, customers.sd, customers.r2 if lift.r2 is None else lift.r2

    def assignment(self, customers: int, control_share: float) -> Any:
        """Who gets it, drawn from the scores."""
        from clv.experiments.assignment import assign_test
        from clv.io.files import read_table

        if self.scores is None:
            raise typer.BadParameter("it is drawn from --scores.", param_hint="--output")
        table = read_table(self.scores)
        return assign_test(
            table,
            control_share=control_share,
            stratify=self.stratify,
            customers_in_test=min(customers, table.num_rows),
            seed=self.seed,
        )


@dataclass(frozen=True, kw_only=True)
class UntriedOffer:
    """A retention offer whose save rate nobody has measured."""

    HEADING: ClassVar[str] = "A retention offer to the customers of --scores, at --contact-cost"
    save_rate: Annotated[
        str | None,
        typer.Option(metavar="LOW:HIGH", help="Share of leavers kept, as far as is known today."),
    ] = None
    incentive: Annotated[
        float, typer.Option(metavar="MONEY", help="Spent on each customer who redeems.")
    ] = 0.0

    def planned(self, own: OwnCustomers, groups: Groups, decision: Decision, weeks: float) -> Any:
        """The test of the offer."""
        from clv.app.plan_files.offer_terms import parse_save_rate
        from clv.decide.retention.offer import Offer
        from clv.experiments.offer_test import plan_offer_test
        from clv.io.files import read_table

        if own.scores is None:
            raise typer.BadParameter("it takes --scores.", param_hint="--save-rate")
        try:
            rate = parse_save_rate(self.save_rate)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--save-rate") from error
        sizes = {"control_share": groups.control_share, "power": groups.power}
        sizes |= {"level": groups.level, "weeks": weeks}
        priced = Offer(decision.contact_cost, self.incentive, rate)
        return plan_offer_test(read_table(own.scores), priced, **sizes)


@dataclass(frozen=True, kw_only=True)
class AnnualPlanOffer:
    """A year paid at once in place of twelve months."""

    HEADING: ClassVar[str] = "An annual plan, offered to some of the monthly subscribers"
    contracts: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What clv contracts --document wrote of them."),
    ] = None
    annual_discount: Annotated[
        float, typer.Option(metavar="SHARE", help="By which a year at once is cheaper.")
    ] = 0.2
    acceptance: Annotated[
        float, typer.Option(metavar="SHARE", help="Assumed: of those offered it, who accept.")
    ] = 0.2
    renewal_rate: Annotated[
        float, typer.Option(metavar="SHARE", help="Assumed: of those, who renew each year.")
    ] = 0.6

    def planned(self) -> AnnualTest:
        """The test of the plan."""
        from clv.app.annual import annual_test_of

        shares = (self.annual_discount, self.acceptance, self.renewal_rate)
        return annual_test_of(str(self.contracts), None, *shares)


@dataclass(frozen=True, kw_only=True)
class ChannelOfPlan:
    """A channel of a budget plan, tested by region."""

    HEADING: ClassVar[str] = "A channel that a budget plan would have tested, by region"
    plan: Annotated[
        Path | None, typer.Option(metavar="PLAN", help="As clv allocate takes it, with [curves].")
    ] = None
    channel: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which one; else the one most worth testing."),
    ] = None
    rise: Annotated[
        float, typer.Option(metavar="SHARE", help="Of its spend, more in half of the regions.")
    ] = 1.0
    regions: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Before: region, period, outcome; --output writes the pairs."
        ),
    ] = None

    def planned(self) -> Any:
        """The test of the channel."""
        from clv.app.channel_trials import channel_trial

        return channel_trial(self.plan, self.channel, self.rise) if self.plan else None

    def pairs(self, seed: int) -> Any:
        """Regions in pairs, one of each drawn."""
        from clv.experiments.geo_pairs import pair_regions
        from clv.io.files import read_table

        if self.regions is None:
            raise typer.BadParameter("pairs are drawn from --regions.", param_hint="--output")
        return pair_regions(read_table(self.regions), seed=seed)

    def check(self, lift: float | None, offer: UntriedOffer, annual: AnnualPlanOffer) -> None:
        """Raise a usage error unless one kind of test is asked for."""
        if not annual.contracts:
            changed = annual != AnnualPlanOffer()
            refuse({"--annual-discount": changed}, "it and its shares go with --contracts.")
        if not offer.save_rate:
            refuse({"--incentive": offer.incentive}, "it goes with --save-rate.")
        kinds = (self.plan, lift, offer.save_rate, annual.contracts)
        if sum(kind is not None for kind in kinds) != 1:
            why = "give one of --lift, --save-rate, --contracts and --plan: what is to be tested."
            raise typer.BadParameter(why, param_hint="--lift")
        if self.plan is None:
            more = {"--channel": self.channel, "--regions": self.regions}
            refuse(more | {"--rise": self.rise != 1.0}, "it goes with --plan.")


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Who is in the test."""

    HEADING: ClassVar[str] = "The groups"
    control_share: Annotated[
        float, typer.Option(metavar="SHARE", help="Of those in the test, who is held out.")
    ] = TEST_CONTROL_SHARE
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
    "clv plan-test --lift 0.1 --scores before.parquet --orders orders.csv",
    "clv plan-test --lift 0.1 --scores now.parquet --baseline-mean 9 --baseline-sd 45 "
    "--stratify clv -o test.csv",
    "clv plan-test --scores now.parquet --contact-cost 1 --save-rate 0.05:0.3",
    "clv plan-test --contracts contracts.json --annual-discount 0.2",
    "clv plan-test --plan plan.toml --regions before.csv -o pairs.csv",
)
def plan_test(
    ctx: typer.Context,
    outcome: LiftToSee,
    own: OwnCustomers,
    reading: LogReading,
    groups: Groups,
    decision: Decision,
    offer: UntriedOffer,
    annual: AnnualPlanOffer,
    tested: ChannelOfPlan,
    currency: Annotated[str, typer.Option(metavar="CODE", help="Of all money, as EUR.")] = "",
    output: Output = None,
    track: Track = None,
    as_json: AsJson = False,
) -> None:
    """Say how many customers a test takes, and what it would change.

    Customers are treated or held out by chance, and what they do afterwards
    is compared. What is known of them before makes the test smaller. With the
    decision that it is for, it says what the test costs and is worth.
    --output writes who is treated; when it has run, see clv measure-test.
    """
    screen: Screen = ctx.obj
    from clv.app.experiments import track_test
    from clv.io.files import check_output, write_table

    tested.check(outcome.lift, offer, annual)
    if tested.plan or annual.contracts:
        refuse({"--currency": currency}, "it is that of the plan, or of the contracts.")
    if output:
        read = (own.scores, *(own.orders or ()), tested.plan, tested.regions, annual.contracts)
        check_output(output, *filter(None, read))
    planned: PlannedTest | ChannelTest | OfferTest | AnnualTest
    with screen.progress("planning the test"):
        if tested.plan:
            planned = tested.planned()
            drawn = tested.pairs(own.seed) if output or tested.regions else None
        else:
            kinds = (groups, decision, offer, annual)
            of_customers = _of_customers(outcome, own, reading, *kinds, currency)
            share = groups.control_share
            drawn = own.assignment(of_customers.tested, share) if output else None
            planned = of_customers
    if output:
        write_table(drawn, output)
    run = track_test(track, "planned test", planned.to_dict()) if track else None
    if as_json:
        screen.json(planned.to_dict() | ({"run": run} if run else {}))
        return
    heading = "An annual plan, offered by chance" if annual.contracts else str(planned)
    screen.title(heading.splitlines()[0])
    screen.points(planned.findings)
    screen.written(output)
    screen.logged(run, track)


def _of_customers(
    outcome: LiftToSee,
    own: OwnCustomers,
    reading: LogReading,
    groups: Groups,
    decision: Decision,
    offer: UntriedOffer,
    annual: AnnualPlanOffer,
    currency: str,
) -> Any:
    """The test of the kind that is asked for, of customers who are drawn."""
    if annual.contracts:
        return annual.planned()
    if offer.save_rate:
        planned = offer.planned(own, groups, decision, outcome.weeks)
        return replace(planned, currency=currency or planned.currency)
    return _of_lift(outcome, own.figures(outcome, reading), groups, decision, currency)


def _of_lift(
    outcome: LiftToSee,
    figures: tuple[float, float, float],
    groups: Groups,
    decision: Decision,
    currency: str,
) -> PlannedTest:
    """The test of a lift."""
    from clv.experiments.planned_test import plan_test as plan

    mean, sd, r2 = figures
    return plan(
        mean,
        sd,
        outcome.lift or 0.0,
        r2=r2,
        weeks=outcome.weeks,
        control_share=groups.control_share,
        power=groups.power,
        level=groups.level,
        arrivals=groups.arrivals,
        rollout=decision.rollout(),
        currency=currency,
    )


def _range(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = map(parse_share, text.split(":"))
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no range, such as -0.02:0.1.", param_hint="--lift-range"
        ) from error
    return low, high
