"""``clv targets``: whom to keep, with which offer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import typer

from clv.cli import terminal
from clv.cli.application import command
from clv.cli.options import Anyway, AsJson, Output, Scores, refuse
from clv.cli.screen import Screen
from clv.defaults import CONTROL_SHARE, SAVE_RATE_TEXT, SEED

if TYPE_CHECKING:
    from clv.decide.retention.eligibility import Rules
    from clv.decide.retention.offer import Offer
    from clv.experiments.campaign_roi import CampaignROI
    from clv.uplift import UpliftModel

OFFERS = """\
[[offers]]
name = "letter"
contact_cost = 1
incentive = 5
save_rate = [0.1, 0.4]
[[offers]]
name = "call"
contact_cost = 6
capacity = 500
leavers = "gone"       # of 1 - P(alive), not of churn"""


@dataclass(frozen=True, kw_only=True)
class OfferOptions:
    """The offer, or the offers."""

    HEADING: ClassVar[str] = "The offer"
    contact_cost: Annotated[
        float | None, typer.Option(metavar="MONEY", help="Spent on each customer contacted.")
    ] = None
    incentive: Annotated[
        float, typer.Option(metavar="MONEY", help="Spent on each customer who redeems.")
    ] = 0.0
    save_rate: Annotated[
        str | None,
        typer.Option(
            metavar="RATE",
            help="Share of leavers the offer saves: 0.3, or a range 0.1:0.4. "
            f"Without it {SAVE_RATE_TEXT}.",
        ),
    ] = None
    measured: Annotated[
        bool, typer.Option("--measured", help="The save rate comes from a randomised campaign.")
    ] = False
    test: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Take the save rate that clv measure-test --output wrote."
        ),
    ] = None
    leavers: Annotated[
        Literal["silent", "gone"],
        typer.Option(
            help="Whom the save rate is a share of: silent, who would not buy within the churn "
            "horizon, or gone, who have left for good: a save is worth what they are once back."
        ),
    ] = "silent"
    offers: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Several offers, as .toml or .json: see below."),
    ] = None

    next_offers: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Beside it what clv offers --output wrote: one plan."),
    ] = None
    incremental_share: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Assumed: of its purchases, those due to the offer."),
    ] = None

    def offers_for(self, scores: Any, learned: dict[str, UpliftModel]) -> Any:
        """Every offer of the campaign: these, what was learned, and the next offers."""
        from clv.app import campaigns

        share, single = self.incremental_share, self.single()
        if self.next_offers is None:
            refuse({"--incremental-share": share}, "it goes with --next-offers.")
            return campaigns.offers_of(scores, single, self.offers, learned)
        files = self.offers, self.next_offers
        return campaigns.with_next_offers(scores, single, files, share, learned)

    def require_costs(self, campaign_log: str | None) -> None:
        """Raise a usage error unless the costs are stated, once."""
        if self.contact_cost is None and self.offers is None and campaign_log is None:
            raise typer.BadParameter(
                "say what a contact costs, or give --offers or --campaign-log.",
                param_hint="--contact-cost",
            )
        terms: dict[str, object] = {"--incentive": self.incentive, "--save-rate": self.save_rate}
        terms["--test"] = self.test
        terms["--leavers"] = self.leavers != "silent"
        if self.contact_cost is None:
            terms["--measured"] = self.measured
            refuse(terms, "it goes with --contact-cost; the other offers have their own.")
        elif self.offers or campaign_log:
            why = "the costs are in the offers, or learned from the campaign log."
            refuse({"--contact-cost": True}, why)

    def single(self) -> Offer | None:
        """The offer of these options, if they name its cost."""
        from clv.app.plan_files.measured_results import save_rate_of
        from clv.app.plan_files.offer_terms import parse_save_rate
        from clv.decide.retention.offer import Offer

        try:
            rate = parse_save_rate(self.save_rate)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        if self.contact_cost is None:
            return None
        if self.test is not None:
            stated: dict[str, object] = {"--save-rate": self.save_rate, "--measured": self.measured}
            stated["--leavers"] = self.leavers != "silent"
            refuse(stated, "the save rate is that of --test, of who was silent.")
            rate, measured = save_rate_of(self.test), True
        else:
            measured = self.measured
        source: Literal["measured", "assumed"] = "measured" if measured else "assumed"
        terms = (self.contact_cost, self.incentive, rate, source)
        return Offer(*terms, leavers=self.leavers)


@dataclass(frozen=True, kw_only=True)
class PastCampaign:
    """A finished campaign to learn from."""

    HEADING: ClassVar[str] = "Learning from a finished campaign"
    campaign_log: Annotated[
        str | None,
        typer.Option(
            metavar="LOG",
            help="A finished campaign: customer_id, treated, propensity, cost, outcome_margin.",
        ),
    ] = None
    campaign_scores: Annotated[
        str | None,
        typer.Option(
            metavar="SCORES", help="Everybody's scores as of the day before that campaign."
        ),
    ] = None
    propensity: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Chance of a contact, if that log has no such column."),
    ] = None
    gain: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="What a kept customer is worth, as value_at_stake; without it the margin within "
            "that campaign's window counts.",
        ),
    ] = None
    save_uplift: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep what was learned, as JSON.")
    ] = None
    register: Annotated[
        bool, typer.Option("--register", help="Make what was learned a new version in MLflow.")
    ] = False

    def learn(self, screen: Screen, seed: int) -> dict[str, UpliftModel]:
        """What the campaign taught, by offer; nothing without a log."""
        from clv.app import campaigns

        if self.campaign_log is None:
            of_log: dict[str, object] = {"--campaign-scores": self.campaign_scores}
            of_log |= {"--gain": self.gain, "--propensity": self.propensity}
            of_log |= {"--save-uplift": self.save_uplift, "--register": self.register}
            refuse(of_log, "it goes with --campaign-log.")
        log, scores = self.campaign_log, self.campaign_scores
        with screen.progress("learning from the campaign"):
            return campaigns.learn(
                log, scores, propensity=self.propensity, value=self.gain, seed=seed
            )

    def returned(self) -> dict[str, CampaignROI]:
        """What the campaign earned by its cost, by offer."""
        from clv.app.experiments import returned_by

        return returned_by(self.campaign_log, self.campaign_scores, self.propensity)

    def keep(self, learned: dict[str, UpliftModel]) -> tuple[list[Path], dict[str, str]]:
        """Save and register what was learned, as far as asked: the files, the versions."""
        from clv.app import campaigns

        files = campaigns.save_uplift(learned, self.save_uplift) if self.save_uplift else []
        registered = self.register and self.campaign_log
        return files, campaigns.register_uplift(learned, registered) if registered else {}


@dataclass(frozen=True, kw_only=True)
class ContactRules:
    """Who may be contacted, by what any list of customers knows."""

    HEADING: ClassVar[str] = "Who may be contacted"
    exclude: Annotated[
        str | None, typer.Option(metavar="FILE", help="Whom not to contact: customer_id.")
    ] = None
    bought_within: Annotated[
        float | None, typer.Option(metavar="DAYS", help="Leave out who bought within so many days.")
    ] = None
    silent_for: Annotated[
        float | None, typer.Option(metavar="DAYS", help="Leave out who was silent for longer.")
    ] = None
    contacts: Annotated[
        str | None, typer.Option(metavar="FILE", help="Contacts already made: customer_id, date.")
    ] = None
    contact_limit: Annotated[
        str | None,
        typer.Option(
            metavar="N:DAYS", help="Leave out who had N in so many days; 1:30 if not said."
        ),
    ] = None

    def rules(self, customers: Any, *, anyway: bool) -> Rules:
        """As decisions take them, of the customers who are concerned."""
        from clv.app import campaigns
        from clv.decide.retention.eligibility import Rules
        from clv.intake.people import read_people

        def people(file: str | None) -> Any:
            what = f"the list {file}"
            return read_people(file, customers, what=what, anyway=anyway) if file else None

        try:
            limit: dict[str, Any] = campaigns.contact_limit(self.contact_limit, self.contacts)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        return Rules(
            exclude=people(self.exclude),
            bought_within=self.bought_within,
            silent_for=self.silent_for,
            contacts=people(self.contacts),
            **limit,
        )


@dataclass(frozen=True, kw_only=True)
class EligibilityOptions(ContactRules):
    """Who may be contacted, by the scores too."""

    consent: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Of the scores: who may be contacted.")
    ] = None
    eligibility: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write everybody, with why they are not contacted."),
    ] = None

    def rules(self, customers: Any, *, anyway: bool) -> Rules:
        """As decisions take them, of the customers who were scored."""
        return replace(super().rules(customers, anyway=anyway), consent=self.consent)


@dataclass(frozen=True, kw_only=True)
class ControlGroup:
    """Who is held out, and when."""

    HEADING: ClassVar[str] = "The control group"
    control_share: Annotated[
        float, typer.Option(metavar="SHARE", help="Share held out as control.")
    ] = CONTROL_SHARE
    stratify: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Hold out the same share of each level of it, or expected_profit.",
        ),
    ] = None
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed, another control group.")] = (
        SEED
    )
    date: Annotated[
        str | None, typer.Option(metavar="DATE", help="Of the campaign, as 2024-04-01.")
    ] = None

    def settings(self) -> dict[str, Any]:
        """The arguments of ``plan_campaign``."""
        from clv.data.days import as_day

        day = as_day(self.date, "date") if self.date else None
        stated = {"control_share": self.control_share, "stratify": self.stratify}
        return stated | {"seed": self.seed, "date": day}


Budget = Annotated[
    float | None,
    typer.Option(metavar="MONEY", help="For the campaign; without it, everybody who pays."),
]
ReasonsFile = Annotated[
    str | None,
    typer.Option("--reasons", metavar="FILE", help="To show: customer_id, reason_1, ..."),
]
Top = Annotated[int, typer.Option(metavar="N", min=0, help="Rows to print.")]


@command(
    "clv targets scores.parquet --budget 5000 --contact-cost 1 -o targets.csv",
    "clv targets scores.csv --contact-cost 1 --incentive 10 --save-rate 0.1:0.4",
    "clv targets scores.csv --offers offers.toml --exclude optout.csv",
    "clv targets scores.csv --contact-cost 1 --next-offers next.parquet \\\n"
    "      --incremental-share 0.1",
    "clv targets scores.csv --campaign-log done.csv --campaign-scores before.csv",
    Offers=OFFERS,
)
def targets(
    ctx: typer.Context,
    scores: Scores,
    offer: OfferOptions,
    past: PastCampaign,
    who: EligibilityOptions,
    control: ControlGroup,
    budget: Budget = None,
    reasons: ReasonsFile = None,
    top: Top = 10,
    anyway: Anyway = False,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Say whom to keep, with which offer, by expected gain per unit of cost.

    A random part of them is held out, so that the campaign shows what it
    earned: run it, add outcome_margin to the list, and give it back with
    --campaign-log. The save rate of an offer that was never tested is an
    assumption, and is called one.
    """
    screen: Screen = ctx.obj
    from clv.app import campaigns
    from clv.decide.retention.plan import plan_campaign
    from clv.io.files import read_table
    from clv.schema import as_frame, require_columns

    _check_outputs((output, who.eligibility), scores, past, who)
    offer.require_costs(past.campaign_log)
    offer.single()  # or say what is wrong with it, before anything is learned
    table = read_table(scores)
    require_columns(as_frame(table, "the scores"), ("customer_id",), "the scores")
    rules = who.rules(table["customer_id"], anyway=anyway)
    learned = past.learn(screen, control.seed)
    with screen.progress("ranking"):
        offers = offer.offers_for(table, learned)
        shown = read_table(reasons) if reasons else None
        settings = control.settings() | {"rules": rules, "reasons": shown}
        plan = plan_campaign(table, offers, budget, **settings)
    for name, model in learned.items():
        if warning := campaigns.beyond(name, model, table):
            screen.warn(warning)
    saved, versions, roi = *past.keep(learned), past.returned()
    listed = plan.table
    if offer.next_offers:
        listed = campaigns.with_items(listed, offer.next_offers)
    _write([(output, listed), (who.eligibility, plan.eligibility)])
    if as_json:
        screen.json(campaigns.campaign_json(plan, learned, versions, top, roi))
        return
    terminal.show_uplifts(screen, learned, versions)
    for name, each in roi.items():
        screen.title(f"What the campaign{'' if name == 'offer' else f' of {name}'} earned")
        screen.points(str(each).splitlines())
    terminal.show_campaign(screen, plan, top)
    for file in (*saved, output, who.eligibility):
        screen.written(file)


def _check_outputs(
    outputs: Sequence[Path | None], scores: str, past: PastCampaign, who: EligibilityOptions
) -> None:
    """Raise if a result cannot be written, or would replace what is read."""
    from clv.io.files import check_output

    read = (scores, past.campaign_log, past.campaign_scores, who.exclude, who.contacts)
    for output in filter(None, outputs):
        check_output(output, *filter(None, read))


def _write(tables: Sequence[tuple[Path | None, Any]]) -> None:
    """Write the tables that have a file."""
    from clv.io.files import write_table

    for file, table in tables:
        if file:
            write_table(table, file)
