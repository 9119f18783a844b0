"""The command line: parse, call, print. Every command imports what it needs when it runs.

Exit codes: 0 done, 2 wrong usage, and those of ``clv.errors``: 3 input, 4 fit, 5 plan, 6 model.
Results go to stdout; warnings, errors and progress to stderr.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from clv import __version__
from clv.errors import ClvError, InputError
from clv.serve import terminal
from clv.serve.options import (
    PLAN,
    AsJson,
    AsOf,
    Columns,
    DateFormat,
    Log,
    Model,
    Output,
    TimeZone,
    mapping,
)
from clv.serve.screen import Screen

CHAMPION = "models:/clv@champion"
ANYWHERE = ("--quiet", "--debug")  # may stand before or after the command
LOOPBACK = ("127.0.0.1", "localhost", "::1")
DATA, DECISIONS, DOORS = "Data", "Decisions", "Serving"


def _examples(*commands: str) -> str:
    return "[bold]Examples[/bold]\n\n" + "\n".join(commands)


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
    from clv.serve.files import read_log

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
        Path, typer.Option("--output", "-o", metavar="FILE", help="Write .parquet or .csv.")
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
    as-of date and the model version.
    """
    screen: Screen = ctx.obj
    from clv.serve.batch import score_log
    from clv.serve.files import check_output
    from clv.serve.registry import load_scorer

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
    from clv.serve.brand import write_brand
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
        "clv targets scores.parquet --budget 5000 --contact-cost 1 --output targets.csv",
        "clv targets scores.csv --contact-cost 1 --incentive 10 --save-rate 0.1:0.4",
    ),
)
def targets(
    ctx: typer.Context,
    scores: Annotated[str, typer.Argument(metavar="SCORES", help="What clv score wrote.")],
    contact_cost: Annotated[
        float, typer.Option(metavar="MONEY", help="Spent on each customer contacted.")
    ],
    budget: Annotated[
        float | None,
        typer.Option(metavar="MONEY", help="For the campaign; without it, everybody who pays."),
    ] = None,
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
    control_share: Annotated[
        float, typer.Option(metavar="SHARE", help="Share held out as control.")
    ] = 0.1,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Another seed, another control group.")
    ] = 0,
    top: Annotated[int, typer.Option(metavar="N", min=0, help="Rows to print.")] = 10,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Say whom to keep, ranked by expected gain per unit of cost.

    A random part of them is held out, so that the campaign shows what it
    earned. The save rate of an offer that was never tested is an assumption,
    and is called one.
    """
    screen: Screen = ctx.obj
    from clv.decide.offer import Offer
    from clv.decide.retention import retention_targets
    from clv.serve.bodies import parse_save_rate
    from clv.serve.files import check_output, read_table, write_table

    if output:
        check_output(output, scores)
    try:
        rate = parse_save_rate(save_rate)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    offer = Offer(contact_cost, incentive, rate, "measured" if measured else "assumed")
    with screen.progress("ranking"):
        campaign = retention_targets(
            read_table(scores), offer, budget, control_share=control_share, seed=seed
        )
        if output:
            write_table(campaign.table, output)
    if as_json:
        first = campaign.table.slice(0, top).to_pylist()
        screen.json({"summary": campaign.summary.to_dict(), "targets": first})
    else:
        terminal.show_campaign(screen, campaign, top)
        screen.written(output)


@app.command(
    rich_help_panel=DECISIONS,
    epilog=_examples("clv allocate plan.toml", "clv allocate plan.toml -o allocation.csv")
    + "\n\n[bold]A plan[/bold]\n\n"
    + re.sub(r"\[(?=[a-z])", r"\\[", PLAN),  # or rich would take [retention] for a style
)
def allocate(
    ctx: typer.Context,
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan as TOML.")],
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Say where to spend one budget, on channels and on retention.

    Money goes where its next unit buys most value. Curves are "power",
    "michaelis-menten" and "point" (one observed spend and its customers).
    A plan that no allocation can satisfy ends with exit code 5.
    """
    screen: Screen = ctx.obj
    from clv.decide.plan import Plan
    from clv.serve.files import check_output, write_table

    if output:
        check_output(output, plan)
    read = Plan.read(plan)
    best = read.allocate()
    if output:
        write_table(best.to_frame("pyarrow"), output)
    if as_json:
        stated = {"currency": read.currency, "horizon": read.horizon}
        screen.json(stated | best.to_dict())
    else:
        terminal.show_allocation(screen, best, read.currency or "")
        screen.written(output)


@app.command(
    rich_help_panel=DECISIONS,
    epilog=_examples(
        "clv channels spend.csv --log orders.csv --model models/demo",
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
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Say what a new customer costs per channel, and is worth.

    CAC is fully loaded, paid and blended apart. With --log, LTV is the value
    of a NEW customer of the channel, at the horizon of the model.
    """
    screen: Screen = ctx.obj
    from clv.serve.channels import channel_figures
    from clv.serve.files import check_output, write_table
    from clv.serve.registry import load_scorer

    if output:
        check_output(output, spend, *([log] if log else []))
    with screen.progress("working out channels"):
        scorer = load_scorer(model) if log else None
        found = channel_figures(spend, log, scorer, columns=mapping(column), as_of=as_of)
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
        "clv serve --scores scores.parquet",
        "clv serve --model models/demo --port 9000",
        "curl localhost:8000/v1/model",
    ),
)
def serve(
    ctx: typer.Context,
    model: Model = CHAMPION,
    scores: Annotated[
        str | None, typer.Option(metavar="SCORES", help="What clv score wrote, to look up.")
    ] = None,
    host: Annotated[str, typer.Option(metavar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="0 takes one that is free.")
    ] = 8000,
) -> None:
    """Serve scores and decisions over HTTP.

    /v1/openapi.json describes the requests. Nobody is asked for a key, so it
    listens on this machine only unless told otherwise.
    """
    screen: Screen = ctx.obj
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before scikit-learn loads: 1 ms a row, not 200
    import logging

    import uvicorn

    from clv.serve.api import create_app
    from clv.serve.registry import load_scorer

    with screen.progress("loading the model"):
        scorer = load_scorer(model)
        served = create_app(scorer, scores)
    if (looked_up := served.state.book) and looked_up.stated["model_version"] != scorer.version:
        screen.warn(
            f"the scores are of model {looked_up.stated['model_version']}, "
            f"new histories are scored by {scorer.version}."
        )
    if host not in LOOPBACK:
        screen.warn(f"{host} can be reached from outside, and nobody is asked for a key.")
    listening = _listen(host, port)
    address = f"http://{host if ':' not in host else f'[{host}]'}:{listening.getsockname()[1]}"
    screen.say(f"Model {scorer.version} on {address} (stop with Ctrl-C)")
    screen.next(f"curl {address}/v1/model")
    logging.basicConfig(format="%(asctime)s %(message)s", level="WARNING")
    logging.getLogger("clv").setLevel("WARNING" if screen.quiet else "INFO")
    # the server's own access log would name customers; the API logs routes instead
    config = uvicorn.Config(served, access_log=False, log_level="warning", server_header=False)
    uvicorn.Server(config).run(sockets=[listening])


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
    return re.sub(r"\b(date|time)_(format|zone)=", r"--\1-\2 ", hint)


if __name__ == "__main__":
    main()
