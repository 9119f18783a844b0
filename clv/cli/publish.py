"""``clv publish``: a scoring run, to be served."""

from __future__ import annotations

import getpass
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from clv.cli.application import command
from clv.cli.options import Anyway, LogFormat, named
from clv.cli.screen import Screen
from clv.format import count


@dataclass(frozen=True, kw_only=True)
class Files:
    """What goes with the scores."""

    HEADING: ClassVar[str] = "Files that fill more of the pages"
    log: Annotated[
        str | None,
        typer.Option(
            metavar="LOG",
            help="The orders that were scored: time lines, cohorts, revenue, a report on the data.",
        ),
    ] = None
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The model that scored, a folder or an MLflow URI: its card, its tests and, "
            "with --log, the total with its interval and why customers leave.",
        ),
    ] = None
    spend: Annotated[
        str | None,
        typer.Option(
            metavar="SPEND",
            help="Spend by channel, as clv channels takes it: CAC, payback, curves and, with "
            "--log and --model, a budget to start from.",
        ),
    ] = None
    plan: Annotated[
        str | None,
        typer.Option(
            metavar="PLAN",
            help="The budget to start from, as clv allocate takes it: .toml, or its fields as "
            ".json.",
        ),
    ] = None
    targets: Annotated[
        str | None,
        typer.Option(metavar="TARGETS", help="What clv targets wrote: what is proposed to whom."),
    ] = None
    eligibility: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="What clv targets --eligibility wrote: who may be contacted, and why not.",
        ),
    ] = None
    monitor: Annotated[
        str | None,
        typer.Option(metavar="REPORT", help="What clv monitor -o wrote: how it went since."),
    ] = None
    contracts: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What clv contracts --document wrote: subscriptions."),
    ] = None
    offers: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What clv offers wrote: what to offer whom next."),
    ] = None
    offer_report: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What clv offers --json said: how good such were."),
    ] = None
    funnel: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What clv funnel --json said: from lead to customer."),
    ] = None
    referrals: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What clv referrals --json said: who brings customers."),
    ] = None
    contacts: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="customer_id with name, email or phone: shown on Retention, and in its download, "
            "to whoever may plan campaigns.",
        ),
    ] = None
    take_on: Annotated[
        bool,
        typer.Option(
            "--take-on",
            help="What the last publish had of these files stays, where none is given in its "
            "place: as it is, with its day; who was not to be contacted still is not.",
        ),
    ] = False
    campaign_log: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]LIST",
            help="A campaign that was run: the list of clv targets, kept until its orders have "
            "come, or a log with outcome_margin. Several times for several.",
        ),
    ] = None
    campaign_scores: Annotated[
        str | None,
        typer.Option(
            metavar="SCORES",
            help="The scores of the day before the last of these campaigns: whom a contact "
            "changes is learned, and Retention plans by that.",
        ),
    ] = None
    campaign_weeks: Annotated[
        float, typer.Option(min=1 / 7, max=260, help="Weeks after a campaign that orders count in.")
    ] = 13.0
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who publishes; by default your account.")
    ] = None
    table: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="Another table, .parquet or .csv; may be given several times.",
        ),
    ] = None
    document: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Another document, .json; also several times."),
    ] = None

    def inputs(self) -> Any:
        """As ``clv.app.publishing`` takes them."""
        from clv.app.contents.campaign_results import CampaignFiles
        from clv.app.publishing import RunFiles

        logs = [
            text if "=" in text else f"{Path(text).stem}={text}" for text in self.campaign_log or ()
        ]
        campaigns = CampaignFiles(
            named(logs), self.campaign_scores, self.campaign_weeks, self.by or _account()
        )
        return RunFiles(
            log=self.log,
            spend=self.spend,
            plan=self.plan,
            targets=self.targets,
            eligibility=self.eligibility,
            monitor=self.monitor,
            contracts=self.contracts,
            offers=self.offers,
            offer_report=self.offer_report,
            funnel=self.funnel,
            referrals=self.referrals,
            contacts=self.contacts,
            campaigns=campaigns,
            tables=named(self.table),
            documents=named(self.document),
            take_on=self.take_on,
        )


@command(
    "clv publish                     what clv.toml names, by the model in use",
    "clv publish --config shop.toml --spend spend.csv --to store",
    "clv publish scores.parquet --log orders.parquet --model models/demo",
    "clv serve --store store",
)
def publish(
    ctx: typer.Context,
    files: Files,
    reading: LogFormat,
    scores: Annotated[
        str | None, typer.Argument(metavar="[SCORES]", help="What clv score wrote.")
    ] = None,
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Where the store is.")] = Path(
        "store"
    ),
    config: Annotated[
        Path,
        typer.Option(metavar="FILE", help="What clv init wrote: scored first, if no SCORES are."),
    ] = Path("clv.toml"),
    anyway: Anyway = False,
) -> None:
    """Publish a scoring run, to be served by clv serve --store.

    Without scores, the files of the configuration are scored first. Give all
    else that there is: each file fills more of the pages. One read-only file
    is built, checked and only then put in place. The file before is kept:
    clv rollback goes back to it.
    """
    screen: Screen = ctx.obj
    from clv.app.data_file import champion_of
    from clv.app.publishing import publish_run, score_configured
    from clv.app.registry import load_scorer

    inputs, model = files.inputs(), files.model or (None if scores else champion_of(config))
    if config.exists():
        inputs = replace(inputs, config=config)
    scored, rules = scores is None, {k: v for k, v in reading.rules().items() if v}
    with screen.progress("publishing"):
        scorer = load_scorer(model) if model else None
        if scores is None:
            assert scorer is not None  # the model in use, if no other was named
            done = score_configured(config, scorer, anyway=anyway)
            scores, rules = done.scores, {**done.rules, **rules}
            inputs = replace(inputs, log=done.log)
        run = publish_run(scores, to, inputs, scorer=scorer, anyway=anyway, **rules)
    screen.title(f"{count(run.customers)} customers as of {run.as_of}, model {run.model_version}")
    screen.points(run.notes)
    screen.written(Path(scores) if scored else None)
    screen.written(run.path)
    screen.next(f"clv serve --store {to}" + (f" --model {model}" if model else ""))


def _account() -> str:
    """Who runs this, where the system says so."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
