"""``clv measure-test``: what a test by chance found, and what a campaign returned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from clv.cli.application import command
from clv.cli.options import AsJson, LogReading, Track, refuse
from clv.cli.screen import Screen
from clv.defaults import LEVEL

if TYPE_CHECKING:
    from clv.experiments.campaign_roi import CampaignROI


@dataclass(frozen=True, kw_only=True)
class OutcomeOptions:
    """What came of it."""

    HEADING: ClassVar[str] = "What came of it, where the log has no outcome_margin"
    orders: Annotated[
        list[str] | None, typer.Option(metavar="LOG", help="Orders from the test's day on.")
    ] = None
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="First day that counts; else the log's date.")
    ] = None
    weeks: Annotated[float, typer.Option(metavar="WEEKS", help="How long orders count.")] = 13.0
    campaign_log: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the log with outcomes, for clv targets."),
    ] = None

    def add(self, log: Any, margin_rate: float, reading: LogReading) -> Any:
        """The log with outcomes from the orders, if any were given."""
        from clv.app.experiments import with_outcomes

        if self.orders is None:
            of_orders = {"--since": self.since, "--campaign-log": self.campaign_log}
            refuse(of_orders, "it goes with --orders.")
            return log
        stated = reading.stated() | {"margin_rate": margin_rate}
        return with_outcomes(log, self.orders, self.since, self.weeks, **stated)


@dataclass(frozen=True, kw_only=True)
class RegionOutcomes:
    """What came of a test by region."""

    HEADING: ClassVar[str] = "A test by region; LOG is then region, pair, treated"
    after: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="While it ran: region, period, outcome (new customers)."),
    ] = None
    before: Annotated[
        str | None, typer.Option(metavar="FILE", help="The same before it: narrower intervals.")
    ] = None
    channel: Annotated[
        str | None, typer.Option(metavar="NAME", help="The channel whose spend was raised.")
    ] = None
    spend: Annotated[
        float | None, typer.Option(metavar="MONEY", help="Its spend a period without the test.")
    ] = None
    extra_spend: Annotated[
        float | None,
        typer.Option(metavar="MONEY", help="More a period, in all treated regions together."),
    ] = None

    def document(self, log: str, level: float) -> tuple[Any, dict[str, dict[str, Any]]]:
        """What was found, and the same for plans, by the channel's name."""
        from clv.app.channel_trials import measured_trial

        of_channel = (self.channel, self.spend, self.extra_spend)
        return measured_trial(log, str(self.after), self.before, *of_channel, level=level)

    def check(self, came: OutcomeOptions, scores: str | None) -> None:
        """Raise a usage error where options of both kinds of tests meet."""
        if self.after is None:
            of_regions: dict[str, object] = {"--before": self.before, "--channel": self.channel}
            of_regions |= {"--spend": self.spend, "--extra-spend": self.extra_spend}
            refuse(of_regions, "it goes with --after, of a test by region.")
        else:
            of_customers = {"--orders": came.orders, "--scores": scores}
            refuse(of_customers, "a test by region takes --after and --before.")


@dataclass(frozen=True, kw_only=True)
class MoneyTerms:
    """Margin, cost and currency."""

    HEADING: ClassVar[str] = "Money"
    margin_rate: Annotated[
        float, typer.Option(metavar="SHARE", help="Margin of the revenue; 1 counts revenue.")
    ] = 1.0
    cost: Annotated[
        float | None,
        typer.Option(metavar="MONEY", help="Of the whole campaign; else the log's column cost."),
    ] = None
    currency: Annotated[str, typer.Option(metavar="CODE", help="Of all money, as EUR.")] = ""


@command(
    "clv measure-test campaign.csv --scores before.parquet --margin-rate 0.35",
    "clv measure-test test.csv --orders orders.csv --since 2024-04-01 --weeks 13",
    "clv measure-test test.csv --orders orders.csv --scores before.parquet -o result.json",
    "clv targets scores.parquet --contact-cost 1 --test result.json",
    "clv measure-test pairs.csv --after after.csv --before before.csv --channel search "
    "--spend 1000 --extra-spend 500 -o result.json",
)
def measure_test(
    ctx: typer.Context,
    log: Annotated[
        str,
        typer.Argument(
            metavar="LOG",
            help="Who was treated, as clv plan-test or clv targets wrote it: customer_id, treated, "
            "propensity, cost, outcome_margin.",
        ),
    ],
    came: OutcomeOptions,
    reading: LogReading,
    money: MoneyTerms,
    by_region: RegionOutcomes,
    scores: Annotated[
        str | None,
        typer.Option(
            metavar="SCORES", help="Everybody's, as of the day before: narrower intervals."
        ),
    ] = None,
    propensity: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Chance of treatment, if the log has no such column."),
    ] = None,
    level: Annotated[float, typer.Option(metavar="SHARE", help="Of the intervals.")] = LEVEL,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write the result as .json, for plans and offers.",
        ),
    ] = None,
    track: Track = None,
    as_json: AsJson = False,
) -> None:
    """Say what a test by chance found, and what a campaign returned.

    The effect is adjusted for what the scores knew before, with its interval.
    The return on the cost stands beside the one that is usually reported,
    which counts what the customers would have bought anyway.
    """
    screen: Screen = ctx.obj
    from clv.app import experiments
    from clv.app.plan_files.measured_results import write_results
    from clv.io.files import check_output, read_table, write_table

    by_region.check(came, scores)
    files = (log, scores, by_region.after, by_region.before, *(came.orders or ()))
    read = [file for file in files if file]
    if output:
        check_output(output, *read, kind="json")
    if came.campaign_log:
        check_output(came.campaign_log, *read)
    tests: dict[str, Any] = {}
    roi: dict[str, CampaignROI] = {}
    with screen.progress("reading"):
        if by_region.after:
            tests, document = by_region.document(log, level)
        else:
            table = came.add(read_table(log), money.margin_rate, reading)
            tests = dict(
                experiments.measure(
                    table, scores, propensity=propensity, level=level, currency=money.currency
                )
            )
            roi = experiments.returns(tests, money.cost, money.margin_rate)
            document = experiments.document_of(tests, roi)
    if came.campaign_log:
        write_table(table, came.campaign_log)
    if output:
        write_results(document, output)
    named = document.items() if track else ()
    runs = [experiments.track_test(str(track), n, d, log, roi.get(n)) for n, d in named]
    if as_json:
        screen.json({"tests": document} | ({"runs": runs} if runs else {}))
        return
    _show(screen, tests, roi)
    screen.written(came.campaign_log)
    screen.written(output)
    for run in runs:
        screen.logged(run, track)


def _show(screen: Screen, tests: Mapping[str, Any], roi: Mapping[str, CampaignROI]) -> None:
    for name, test in tests.items():
        several = f"{name}: " if len(tests) > 1 else ""
        screen.title(several + str(test).splitlines()[0])
        screen.points(test.findings)
        if name in roi:
            screen.title(several + str(roi[name]).splitlines()[0])
            screen.points(roi[name].findings)
