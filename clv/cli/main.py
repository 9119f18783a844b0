"""The command line: parse, call, print. Every command imports what it needs when it runs.

Exit codes: 0 done, 2 wrong usage, and those of ``clv.errors``: 3 input, 4 fit, 5 plan, 6 model,
8 monitor.
Results go to stdout; warnings, errors and progress to stderr.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from clv import __version__
from clv.cli import terminal
from clv.cli.options import (
    ESTIMATED_PLAN,
    OFFERS,
    PLAN,
    AsJson,
    AsOf,
    BoughtWithin,
    Budget,
    CampaignDay,
    CampaignLog,
    CampaignScores,
    Columns,
    Confirmed,
    Consent,
    ContactLimit,
    Contacts,
    ContactsFile,
    DateFormat,
    Destination,
    Eligibility,
    EligibilityFile,
    Exclude,
    GainColumn,
    Log,
    Model,
    MonitorFile,
    NamedDocument,
    NamedTable,
    OffersFile,
    Output,
    PlanFile,
    Propensity,
    ReasonsFile,
    Register,
    SaveUplift,
    Scenarios,
    SilentFor,
    SpendFile,
    Stratify,
    TargetsFile,
    Tiers,
    TimeZone,
    mapping,
    named,
)
from clv.cli.screen import Screen
from clv.errors import ClvError, InputError

if TYPE_CHECKING:
    from fastapi import FastAPI

if TYPE_CHECKING:
    from clv.app.plans import Planned

CHAMPION = "models:/clv@champion"
ANYWHERE = ("--quiet", "--debug")  # may stand before or after the command
GRACE = 25  # seconds that a server takes to finish what it has begun when it is told to stop
DATA, DECISIONS, DOORS = "Data", "Decisions", "Serving"


def _examples(*commands: str) -> str:
    return "[bold]Examples[/bold]\n\n" + "\n".join(commands)


def _verbatim(text: str) -> str:
    return re.sub(r"\[(?=[a-z\[])", r"\\[", text)  # or rich would take [retention] for a style


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"clv {__version__}")
        raise typer.Exit


app = typer.Typer(
    help="What is each customer worth, whom to keep, and where to spend.",
    epilog=_examples(
        "clv simulate --output brand          a brand to try everything on",
        "clv check brand/orders.csv           what an order log holds",
        "clv COMMAND --help                   more examples",
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def common(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print only warnings, errors and JSON.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Options of every command."""
    ctx.obj = Screen(quiet)


@app.command(
    rich_help_panel=DATA,
    epilog=_examples(
        "clv check orders.csv",
        "clv check orders.csv -c customer_id=Kunde -c date=Datum --date-format %d.%m.%Y",
        'clv check "orders/*.parquet" --as-of 2024-03-31 --json',
    ),
)
def check(
    ctx: typer.Context,
    log: Log,
    column: Columns = None,
    as_of: AsOf = None,
    date_format: DateFormat = None,
    time_zone: TimeZone = None,
    as_json: AsJson = False,
) -> None:
    """Say what an order log holds, and what cleaning does to it.

    Every row is accounted for: kept, merged, netted against a refund, or
    left out, with the reason, the count and examples. Nothing is written.
    """
    screen: Screen = ctx.obj
    from clv.data.transactions import clean
    from clv.io.files import read_log

    with screen.progress("reading and cleaning"):
        _, report = clean(
            read_log(log),
            columns=mapping(column),
            as_of=as_of,
            date_format=date_format,
            time_zone=time_zone,
        )
    terminal.warn_of_future(screen, report)
    if as_json:
        screen.json(report.to_dict())
    else:
        terminal.show_cleaning(screen, report)
        said = {"--as-of": as_of, "--date-format": date_format, "--time-zone": time_zone}
        same = [word for name, value in said.items() if value for word in (name, value)]
        same += [word for text in column or () for word in ("-c", text)]
        screen.next(shlex.join(["clv", "score", log, *same, "--output", "scores.parquet"]))


@app.command(
    rich_help_panel=DATA,
    epilog=_examples(
        "clv score orders.parquet --output scores.parquet",
        "clv score orders.csv --model models/demo --as-of 2024-03-31 -o scores.csv",
    ),
)
def score(
    ctx: typer.Context,
    log: Log,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write .parquet, or .csv safe to open."
        ),
    ],
    model: Model = CHAMPION,
    column: Columns = None,
    as_of: AsOf = None,
    date_format: DateFormat = None,
    time_zone: TimeZone = None,
) -> None:
    """Score every customer of an order log.

    For each: CLV, expected purchases, churn, value at stake. The log is
    cleaned as clv check shows. Every row of the file carries its terms, the
    as-of date and the model version. In CSV, an id that a spreadsheet would
    run gets an apostrophe before it: keep Parquet to join by ids.
    """
    screen: Screen = ctx.obj
    from clv.app.batch import score_log
    from clv.app.registry import load_scorer
    from clv.io.files import check_output

    check_output(output, log)
    with screen.progress("loading the model"):
        scorer = load_scorer(model)
    with screen.progress("scoring") as step:
        report = score_log(
            log,
            scorer,
            output,
            as_of=as_of,
            columns=mapping(column),
            progress=step,
            date_format=date_format,
            time_zone=time_zone,
        )
    terminal.warn_of_future(screen, report)
    terminal.show_scores(screen, output, str(scorer.terms))
    left_out = report.rows_in - report.rows_out
    screen.say(f"{report.rows_in:,} rows read, {left_out:,} joined or left out: see clv check.")
    screen.written(output)
    screen.next(f"clv targets {output} --budget 5000 --contact-cost 1 --output targets.csv")


@app.command(
    rich_help_panel=DATA,
    epilog=_examples(
        "clv simulate --output brand",
        "clv simulate --output big --customers 200000 --seed 7",
    ),
)
def simulate(
    ctx: typer.Context,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write.")
    ],
    customers: Annotated[
        int, typer.Option(metavar="N", min=1, max=5_000_000, help="Customers to expect.")
    ] = 20_000,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="The same seed gives the same brand.")
    ] = 0,
) -> None:
    """Write a SIMULATED brand, to try everything on.

    Orders, spend per channel and a campaign as an analyst would have them,
    and the truth behind them, to judge forecasts and decisions by. No real
    person or shop is in it.
    """
    screen: Screen = ctx.obj
    from clv.app.simulated_brand import write_brand
    from clv.simulate import simulate_brand

    with screen.progress("simulating"):
        brand = simulate_brand(seed, customers=customers)
        written = write_brand(brand, output, seed=seed)
    orders, people = len(brand.orders), brand.orders["customer_id"].nunique()
    screen.title(f"A simulated brand: {orders:,} orders of {people:,} customers")
    screen.say()
    screen.pairs({str(path): what for path, what in written.items()})
    screen.say()
    screen.next(f"clv check {output / 'orders.csv'}")


@app.command(
    rich_help_panel=DECISIONS,
    epilog=_examples(
        "clv targets scores.parquet --budget 5000 --contact-cost 1 -o targets.csv",
        "clv targets scores.csv --contact-cost 1 --incentive 10 --save-rate 0.1:0.4",
        "clv targets scores.csv --offers offers.toml --exclude optout.csv",
        "clv targets scores.csv --campaign-log done.csv --campaign-scores before.csv",
    )
    + "\n\n[bold]Offers[/bold]\n\n"
    + _verbatim(OFFERS),
)
def targets(
    ctx: typer.Context,
    scores: Annotated[str, typer.Argument(metavar="SCORES", help="What clv score wrote.")],
    contact_cost: Annotated[
        float | None, typer.Option(metavar="MONEY", help="Spent on each customer contacted.")
    ] = None,
    budget: Budget = None,
    incentive: Annotated[
        float, typer.Option(metavar="MONEY", help="Spent on each customer who redeems.")
    ] = 0.0,
    save_rate: Annotated[
        str | None,
        typer.Option(
            metavar="RATE",
            help="Share of leavers the offer saves: 0.3, or a range 0.1:0.4. "
            "Without it Beta(6, 14), mean 0.30.",
        ),
    ] = None,
    measured: Annotated[
        bool, typer.Option("--measured", help="The save rate comes from a randomised campaign.")
    ] = False,
    offers: OffersFile = None,
    campaign_log: CampaignLog = None,
    campaign_scores: CampaignScores = None,
    propensity: Propensity = None,
    gain: GainColumn = None,
    save_uplift: SaveUplift = None,
    register: Register = False,
    exclude: Exclude = None,
    bought_within: BoughtWithin = None,
    silent_for: SilentFor = None,
    consent: Consent = None,
    contacts: Contacts = None,
    contact_limit: ContactLimit = None,
    control_share: Annotated[
        float, typer.Option(metavar="SHARE", help="Share held out as control.")
    ] = 0.1,
    stratify: Stratify = None,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Another seed, another control group.")
    ] = 0,
    date: CampaignDay = None,
    reasons: ReasonsFile = None,
    eligibility: Eligibility = None,
    top: Annotated[int, typer.Option(metavar="N", min=0, help="Rows to print.")] = 10,
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
    from clv.app.requests import parse_save_rate
    from clv.data.days import as_day
    from clv.decide.retention.eligibility import Rules
    from clv.decide.retention.offer import Offer
    from clv.decide.retention.plan import plan_campaign
    from clv.io.files import check_output, read_table, write_table

    read = [file for file in (scores, campaign_log, campaign_scores, exclude, contacts) if file]
    for written in filter(None, (output, eligibility)):
        check_output(written, *read)
    if contact_cost is None and offers is None and campaign_log is None:
        raise typer.BadParameter(
            "say what a contact costs, or give --offers or --campaign-log.",
            param_hint="--contact-cost",
        )
    one_offer = {"--incentive": incentive, "--save-rate": save_rate, "--measured": measured}
    if contact_cost is None:
        _refuse(one_offer, "it goes with --contact-cost; the other offers have their own.")
    elif offers or campaign_log:
        costs = {"--contact-cost": True}
        _refuse(costs, "the costs are in the offers, or learned from the campaign log.")
    if campaign_log is None:
        of_log: dict[str, object] = {"--campaign-scores": campaign_scores, "--gain": gain}
        of_log |= {"--propensity": propensity, "--save-uplift": save_uplift}
        of_log |= {"--register": register}
        _refuse(of_log, "it goes with --campaign-log.")
    try:
        rate = parse_save_rate(save_rate)
        limit = campaigns.contact_limit(contact_limit, contacts)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    with screen.progress("learning from the campaign"):
        learned = campaigns.learn(
            campaign_log, campaign_scores, propensity=propensity, value=gain, seed=seed
        )
    with screen.progress("ranking"):
        table = read_table(scores)
        one = None
        if contact_cost is not None:
            one = Offer(contact_cost, incentive, rate, "measured" if measured else "assumed")
        plan = plan_campaign(
            table,
            campaigns.offers_of(table, one, offers, learned),
            budget,
            rules=Rules(
                exclude=read_table(exclude) if exclude else None,
                bought_within=bought_within,
                silent_for=silent_for,
                consent=consent,
                contacts=read_table(contacts) if contacts else None,
                **limit,
            ),
            control_share=control_share,
            stratify=stratify,
            seed=seed,
            date=as_day(date, "date") if date else None,
            reasons=read_table(reasons) if reasons else None,
        )
    for name, model in learned.items():
        if said := campaigns.beyond(name, model, table):
            screen.warn(said)
    saved = campaigns.save_uplift(learned, save_uplift) if save_uplift else []
    versions = campaigns.register_uplift(learned, campaign_log) if register else {}
    if output:
        write_table(plan.table, output)
    if eligibility:
        write_table(plan.eligibility, eligibility)
    if as_json:
        screen.json(campaigns.told(plan, learned, versions, top))
    else:
        terminal.show_uplifts(screen, learned, versions)
        terminal.show_campaign(screen, plan, top)
        for file in (*saved, output, eligibility):
            screen.written(file)


@app.command(
    rich_help_panel=DECISIONS,
    epilog=_examples(
        "clv allocate plan.toml --report plan.html",
        "clv allocate plan.toml more.toml           side by side",
        "clv allocate plan.toml --scenario lean=plans/a.toml",
        "clv allocate plan.toml --track plans       an MLflow run",
    )
    + "\n\n[bold]A plan[/bold]\n\n"
    + _verbatim(PLAN)
    + "\n\n[bold]A plan whose curves and values are estimated[/bold]\n\n"
    + _verbatim(ESTIMATED_PLAN),
)
def allocate(
    ctx: typer.Context,
    plan: Annotated[
        list[Path], typer.Argument(metavar="PLAN", help="A plan as TOML; several are compared.")
    ],
    scenario: Scenarios = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page that stands alone, as .html."),
    ] = None,
    track: Annotated[
        str | None, typer.Option(metavar="EXPERIMENT", help="Log each plan as an MLflow run.")
    ] = None,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Say where to spend one budget, on channels and on retention.

    Money goes where its next unit buys most value. Curves are stated, or
    estimated from a spend table, and then the plan says how sure it is. A
    plan that no allocation can satisfy ends with exit code 5.
    """
    screen: Screen = ctx.obj
    from clv.app.plans import read_plan, side_by_side
    from clv.io.files import check_output, write_table

    files = [(file.stem, file) for file in plan]
    files += [(name, Path(file)) for name, file in named(scenario).items()]
    for place in (report, output):
        if place:
            read = [file for _, file in files]
            check_output(place, *read, kind="page" if place is report else "table")
    with screen.progress("allocating"):
        plans = [read_plan(file, name) for name, file in files]
    first, beside = plans[0], side_by_side(plans)
    if output:
        alone = len(plans) == 1
        write_table(first.allocation.to_frame("pyarrow") if alone else beside, output)
    if report:
        from clv.report.plan_report import plan_page

        plan_page(first, plans[1:]).write(report)
    runs = _tracked(track, plans, [file for _, file in files]) if track else []
    if as_json:
        several = {p.name: p.to_dict() for p in plans}
        both = {"plans": several, "side_by_side": beside.to_pylist()}
        screen.json(first.to_dict() if len(plans) == 1 else both)
        return
    if len(plans) == 1:
        terminal.show_plan(screen, first)
    else:
        terminal.show_comparison(screen, plans, beside)
    screen.written(output)
    screen.written(report)
    for run in runs:
        screen.say(f"Logged: MLflow run {run} of experiment {track}")


def _tracked(experiment: str, plans: Sequence[Planned], files: Sequence[Path]) -> list[str]:
    """The ids of the runs that the plans were logged in."""
    from clv.app.plan_run import track_plan

    return [track_plan(experiment, p, file) for p, file in zip(plans, files, strict=True)]


@app.command(
    rich_help_panel=DECISIONS,
    epilog=_examples(
        "clv channels spend.csv --log orders.csv --model models/demo",
        "clv channels spend.csv --log orders.csv --segment country",
        "clv channels spend.csv --output channels.csv",
    ),
)
def channels(
    ctx: typer.Context,
    spend: Annotated[
        str, typer.Argument(metavar="SPEND", help="channel, period, spend [, new_customers].")
    ],
    log: Annotated[
        str | None, typer.Option(metavar="LOG", help="Orders with a channel: adds LTV:CAC.")
    ] = None,
    model: Model = CHAMPION,
    column: Columns = None,
    as_of: AsOf = None,
    segment: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Of the log, such as country: adds CAC by segment."),
    ] = None,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Say what a new customer costs per channel, and is worth.

    CAC is fully loaded, paid and blended apart, and that of the next
    customer from response curves. With --log, LTV is the value of a NEW
    customer of the channel, at the horizon of the model. Intervals hold 90%.
    """
    screen: Screen = ctx.obj
    from clv.app.channels import channel_figures
    from clv.app.registry import load_scorer
    from clv.io.files import check_output, write_table

    if output:
        check_output(output, spend, *([log] if log else []))
    with screen.progress("working out channels"):
        scorer = load_scorer(model) if log else None
        found = channel_figures(
            spend, log, scorer, columns=mapping(column), as_of=as_of, segment=segment
        )
        if output:
            write_table(found.table, output)
    if as_json:
        screen.json(found.to_dict())
    else:
        terminal.show_channels(screen, found)
        screen.written(output)


@app.command(
    rich_help_panel=DOORS,
    epilog=_examples(
        "clv serve --store store",
        "clv serve --scores scores.parquet --model models/demo --port 9000",
        "clv serve --store store --host 0.0.0.0 --keys clv-keys.json",
        "curl localhost:8000/v1/model",
    ),
)
def serve(
    ctx: typer.Context,
    model: Model = CHAMPION,
    store: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="What clv publish writes to.")
    ] = None,
    scores: Annotated[
        str | None, typer.Option(metavar="SCORES", help="Or a file that clv score wrote.")
    ] = None,
    host: Annotated[str, typer.Option(metavar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="0 takes one that is free.")
    ] = 8000,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", envvar="CLV_KEYS", help="Who may come in: clv keys add."),
    ] = None,
    audit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where logins and plans are noted.")
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name that requests may be for, as of a proxy."),
    ] = None,
) -> None:
    """Serve scores and decisions over HTTP.

    /v1/openapi.json describes the requests. Without keys it listens on this
    machine only.
    """
    screen: Screen = ctx.obj
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before scikit-learn loads: 1 ms a row, not 200
    import logging

    import uvicorn

    from clv.app.registry import load_scorer
    from clv.web.access.who import Access
    from clv.web.application import create_app
    from clv.web.page import error_page, login_page

    if store and scores:
        raise typer.BadParameter("give --store or --scores, not both.")
    access = Access.on(host, keys=keys, audit=audit, hosts=allow_host or ())
    access.login_page, access.error_page = login_page, error_page
    with screen.progress("loading the model"):
        scorer = load_scorer(model)
        served = create_app(scorer, scores, store=store, access=access)
    _warn_of_versions(screen, served, scorer.version)
    listening = _listen(host, port)
    address = f"http://{host if ':' not in host else f'[{host}]'}:{listening.getsockname()[1]}"
    screen.say(f"Model {scorer.version} on {address} (stop with Ctrl-C)")
    screen.next(f"curl {address}/v1/model")
    if store or scores:
        screen.say(f"The page for marketing: {address}/")
    logging.basicConfig(format="%(asctime)s %(message)s", level="WARNING")
    logging.getLogger("clv").setLevel("WARNING" if screen.quiet else "INFO")
    # the server's own access log would name customers; the API logs routes instead
    config = uvicorn.Config(
        served,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    uvicorn.Server(config).run(sockets=[listening])


def _warn_of_versions(screen: Screen, served: FastAPI, version: str) -> None:
    """Scores that are looked up and new histories should be of one model."""
    if served.state.stores is None:
        return
    with served.state.stores.borrow() as store:
        published = store.stated["model_version"]
    if published != version:
        screen.warn(f"the scores are of model {published}, new histories are scored by {version}.")


keys_app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Who may come in.")
app.add_typer(keys_app, name="keys", rich_help_panel=DOORS)
KeyFile = Annotated[
    Path, typer.Option("--keys", metavar="FILE", envvar="CLV_KEYS", help="The key file.")
]
KEYS = Path("clv-keys.json")


@keys_app.command("add", epilog=_examples("clv keys add anna --role planner"))
def keys_add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is.")],
    role: Annotated[str, typer.Option(metavar="ROLE", help="viewer, planner or admin.")] = "viewer",
    keys: KeyFile = KEYS,
) -> None:
    """Make a key and print it, once: the file keeps only its digest."""
    from clv.web.access.keys import add_key
    from clv.web.access.roles import Role

    typer.echo(add_key(keys, name, Role.parse(role)))
    if not ctx.obj.quiet:
        typer.echo(f"For {name}, {role}, in {keys}. Sent as Authorization: Bearer KEY.", err=True)


@keys_app.command("list")
def keys_list(ctx: typer.Context, keys: KeyFile = KEYS) -> None:
    """Say who has a key."""
    from clv.web.access.keys import read_keys

    found = read_keys(keys)
    ctx.obj.pairs({one.name: f"{one.role.name.lower()}, since {one.created}" for one in found})


@keys_app.command("revoke", epilog=_examples("clv keys revoke anna"))
def keys_revoke(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key ends.")],
    keys: KeyFile = KEYS,
) -> None:
    """Take a key back; a running server refuses it within a second."""
    from clv.web.access.keys import revoke_key

    revoke_key(keys, name)
    ctx.obj.say(f"{name} has no key any more.")


@app.command(
    rich_help_panel=DOORS,
    epilog=_examples(
        "clv publish scores.parquet --log orders.parquet --model models/demo --to store",
        "clv publish scores.parquet --log orders.csv --model models/demo --to store \\",
        "  --spend spend.csv --plan plan.toml --targets targets.csv --monitor monitor.json",
        "clv serve --store store",
    ),
)
def publish(
    ctx: typer.Context,
    scores: Annotated[str, typer.Argument(metavar="SCORES", help="What clv score wrote.")],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Where the store is.")],
    log: Annotated[
        str | None,
        typer.Option(
            metavar="LOG",
            help="The orders that were scored: time lines, cohorts, revenue, a report on the data.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The model that scored, a folder or an MLflow URI: its card, its tests and, "
            "with --log, the total with its interval and why customers leave.",
        ),
    ] = None,
    spend: SpendFile = None,
    plan: PlanFile = None,
    targets: TargetsFile = None,
    eligibility: EligibilityFile = None,
    monitor: MonitorFile = None,
    table: NamedTable = None,
    document: NamedDocument = None,
    column: Columns = None,
    date_format: DateFormat = None,
    time_zone: TimeZone = None,
) -> None:
    """Publish a scoring run, to be served by clv serve --store.

    Give all that there is: each file fills more of the pages. One read-only
    file is built, checked and only then put in place. The file before is
    kept: clv rollback goes back to it.
    """
    screen: Screen = ctx.obj
    from clv.app.publishing import Given, publish_run
    from clv.app.registry import load_scorer

    given = Given(
        log=log,
        spend=spend,
        plan=plan,
        targets=targets,
        eligibility=eligibility,
        monitor=monitor,
        tables=named(table),
        documents=named(document),
    )
    with screen.progress("publishing"):
        done = publish_run(
            scores,
            to,
            given,
            scorer=load_scorer(model) if model else None,
            columns=mapping(column),
            date_format=date_format,
            time_zone=time_zone,
        )
    screen.title(f"{done.customers:,} customers as of {done.as_of}, model {done.model_version}")
    screen.points(done.notes)
    screen.written(done.path)
    screen.next(f"clv serve --store {to}" + (f" --model {model}" if model else ""))


@app.command(rich_help_panel=DOORS, epilog=_examples("clv rollback store"))
def rollback(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the store is.")],
) -> None:
    """Serve the run that was published before; once more goes forth again."""
    screen: Screen = ctx.obj
    from clv.store import rollback

    now = rollback(folder)
    screen.say(
        f"Now served: model {now.model_version}, published {now.published:%Y-%m-%d %H:%M:%S} UTC"
    )


@app.command(
    rich_help_panel=DOORS,
    epilog=_examples(
        'clv export scores.parquet -o top.csv --tier "top 1%" --tier "1 to 5%"',
        "clv export scores.parquet -o google.csv --to google --contacts crm.csv",
        "clv export scores.parquet -o meta.csv --to meta --contacts crm.csv \\",
        "  --last meta.csv --home-country DE --audit exports.jsonl",
    ),
)
def export(
    ctx: typer.Context,
    scores: Annotated[str, typer.Argument(metavar="SCORES", help="What clv score wrote.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Write .csv, or .parquet.")
    ],
    to: Destination = None,
    contacts: ContactsFile = None,
    tier: Tiers = None,
    columns: Annotated[
        str | None, typer.Option(metavar="A,B", help="Of a plain file; all without it.")
    ] = None,
    last: Annotated[
        str | None, typer.Option(metavar="FILE", help="The last export, to compare with.")
    ] = None,
    audience: Annotated[
        str | None, typer.Option(metavar="NAME", help="A neutral name of the list.")
    ] = None,
    home_country: Annotated[
        str | None, typer.Option(metavar="CC", help="Of contacts without one, such as DE.")
    ] = None,
    consent_confirmed_by: Confirmed = None,
    audit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Add a line to this log of exports.")
    ] = None,
    who: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who exports, for that log.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hand scores to other systems, or to an advertiser, hashed.

    Everybody is accounted for: in the file, or left out and why. Nobody goes
    to an advertiser without consent. In CSV, text that a spreadsheet would
    run gets an apostrophe before it, ids too; Parquet holds what is.
    """
    screen: Screen = ctx.obj
    from clv.exports.run import export_scores

    lists = {"audience": audience, "home_country": home_country}
    lists |= {"consent_confirmed_by": consent_confirmed_by}
    _require_all_used(to, columns, {"contacts": contacts, **lists}, who and not audit)
    with screen.progress("exporting"):
        done = export_scores(
            scores,
            output,
            to,
            contacts=contacts,
            tiers=tier or (),
            columns=[name.strip() for name in columns.split(",")] if columns else None,
            last=last,
            audit=audit,
            who=who,
            **lists,
        )
    if as_json:
        screen.json(done.to_dict())
    else:
        terminal.show_export(screen, done)
        screen.written(output)


def _require_all_used(
    to: str | None, columns: str | None, lists: Mapping[str, str | None], unheard: object
) -> None:
    """Raise a usage error for an option of ``clv export`` that would change nothing."""
    idle = [f"--{name.replace('_', '-')}" for name, value in lists.items() if value]
    if to is None and idle:
        raise typer.BadParameter(f"{idle[0]} is for an advertiser's list: say --to whom.")
    if to is not None and columns:
        raise typer.BadParameter(f"--columns is for a plain file: {to} says what it takes.")
    if unheard:
        raise typer.BadParameter("--who is for the log of exports: say --audit FILE.")


@app.command(
    rich_help_panel=DOORS,
    epilog=_examples(
        "clv monitor orders.parquet --scores scores.parquet",
        "clv monitor orders.csv --model models/demo --since 2024-03-31 -o monitor.json",
        "clv monitor orders.parquet --track monitoring       an MLflow run",
    ),
)
def monitor(
    ctx: typer.Context,
    log: Log,
    model: Model = CHAMPION,
    scores: Annotated[
        str | None, typer.Option(metavar="THEN", help="What clv score wrote then: adds drift.")
    ] = None,
    scores_now: Annotated[
        str | None, typer.Option(metavar="FILE", help="Scores of today; made here without it.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Last day known then; that of THEN or of the model."),
    ] = None,
    as_of: AsOf = None,
    level: Annotated[float, typer.Option(metavar="SHARE", help="Of the totals' intervals.")] = 0.9,
    tolerance: Annotated[
        float, typer.Option(metavar="SHARE", help="A total off by more is an alarm.")
    ] = 0.15,
    psi_watch: Annotated[
        float, typer.Option(metavar="PSI", help="Drift beyond it is worth a look.")
    ] = 0.1,
    psi_alarm: Annotated[
        float, typer.Option(metavar="PSI", help="Drift beyond it is an alarm.")
    ] = 0.25,
    history: Annotated[
        float, typer.Option(metavar="SHARE", help="More customers with another past: an alarm.")
    ] = 0.01,
    column: Columns = None,
    date_format: DateFormat = None,
    time_zone: TimeZone = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write .json.")
    ] = None,
    track: Annotated[
        str | None, typer.Option(metavar="EXPERIMENT", help="Log it as an MLflow run.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether the model is still right, by what came since.

    Purchases and revenue against what was expected of the customers known
    then; drift of what the model learned from, and of the scores. Exit code 8
    if a check is past its threshold, 0 if it is only to be watched.
    """
    screen: Screen = ctx.obj
    from clv.app.monitoring import track_monitor, watch_log
    from clv.app.registry import load_scorer
    from clv.io.files import check_output, write_json
    from clv.monitor import Thresholds

    if output:
        check_output(output, *filter(None, (log, scores, scores_now)), kind="json")
    limits = Thresholds(tolerance, psi_watch, psi_alarm, history)
    with screen.progress("loading the model"):
        scorer = load_scorer(model)
    with screen.progress("comparing"):
        report, cleaning = watch_log(
            log,
            scorer,
            scores=scores,
            scores_now=scores_now,
            since=since,
            as_of=as_of,
            level=level,
            thresholds=limits,
            columns=mapping(column),
            date_format=date_format,
            time_zone=time_zone,
        )
    terminal.warn_of_future(screen, cleaning)
    if output:
        write_json(report.to_dict(), output)
    run = track_monitor(track, report) if track else None
    if as_json:
        screen.json(report.to_dict())
    else:
        terminal.show_monitor(screen, report, scorer.terms.currency)
        screen.written(output)
        if run:
            screen.say(f"Logged: MLflow run {run} of experiment {track}")
    report.require_no_alarm()


def _refuse(options: Mapping[str, object], why: str) -> None:
    """End with wrong usage if one of these options was given: none is ignored in silence."""
    for option, given in options.items():
        if given:
            raise typer.BadParameter(why, param_hint=option)


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens, taken before the server says that it does."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise InputError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}.",
            hint="choose another with --port or --host.",
        ) from error


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; ends the process with an exit code."""
    words = list(sys.argv[1:] if args is None else args)
    first = [word for word in ANYWHERE if word in words]
    rest = [word for word in words if word not in ANYWHERE]
    try:
        app([*first, *rest], prog_name="clv")
    except Exception as error:
        if "--debug" in first:
            traceback.print_exc()
        raise SystemExit(_report(error)) from None
    raise SystemExit(0)


def _report(error: Exception) -> int:
    """Say on stderr what went wrong, and which exit code that is."""
    screen = Screen()
    if isinstance(error, ClvError):
        screen.error(error.message, error.hint and _in_shell(error.hint))
        return error.exit_code
    said = str(error).splitlines()[0] if str(error) else "no message"
    screen.error(
        f"{type(error).__name__}: {said}", "this is a fault of clv; --debug shows the traceback."
    )
    return 1


def _in_shell(hint: str) -> str:
    """A hint that speaks of Python's arguments, in options.

    >>> _in_shell("say which: columns={'date': 'ts'}, or date_format=...")
    "say which: --column date='ts', or --date-format ..."
    """
    hint = re.sub(r"columns=\{'(\w+)': ([^}]*)\}", r"--column \1=\2", hint)
    hint = hint.replace("consent_confirmed_by=", "--consent-confirmed-by ")
    return re.sub(r"\b(date|time)_(format|zone)=", r"--\1-\2 ", hint)


if __name__ == "__main__":
    main()
