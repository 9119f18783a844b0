"""``clv channels``: what a new customer costs per channel, and what they bring."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clv.cli.application import command
from clv.cli.options import CHAMPION, Anyway, AsJson, AsOf, Columns, Model, Output, mapping
from clv.cli.screen import Screen

Spend = Annotated[
    str, typer.Argument(metavar="SPEND", help="channel, period, spend [, new_customers].")
]
ChannelLog = Annotated[
    str | None, typer.Option("--log", metavar="LOG", help="Orders with a channel: adds LTV:CAC.")
]
Segment = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Of the log, such as country: adds CAC by segment."),
]


SpendConfig = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.toml",
        help="Its [spend] says how the spend table is read; clv.toml if there is one.",
    ),
]
SPEND = """\
[spend]                           # what the table cannot say
decimal = ","                     # or date_order, currency, separator, ...
columns = { channel = "Quelle" }  # or period, spend, fixed_cost, ...
names = { "Paid Social" = "social" }  # the table's = the orders'
without_spend = ["referral"]      # these bring customers and cost nothing
without_customers = ["tv"]        # these cost money and bring nobody
duplicates = "drop"               # rows that repeat others were sent twice"""


@command(
    "clv channels spend.csv --log orders.csv --model models/demo",
    "clv channels spend.csv --log orders.csv --segment country",
    "clv channels spend.csv --output channels.csv",
    What_a_TOML_may_say_of_spend=SPEND,
)
def channels(
    ctx: typer.Context,
    spend: Spend,
    log: ChannelLog = None,
    model: Model = CHAMPION,
    column: Columns = None,
    as_of: AsOf = None,
    segment: Segment = None,
    config: SpendConfig = None,
    anyway: Anyway = False,
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
    from clv.cli.channel_tables import show_channels
    from clv.io.files import check_output, write_table

    if output:
        check_output(output, spend, *([log] if log else []))
    with screen.progress("working out channels"):
        scorer = load_scorer(model) if log else None
        figures = channel_figures(
            spend,
            log,
            scorer,
            columns=mapping(column),
            as_of=as_of,
            segment=segment,
            config=config,
            anyway=anyway,
        )
        if output:
            write_table(figures.table, output)
    if as_json:
        screen.json(figures.to_dict())
    else:
        show_channels(screen, figures)
        screen.written(output)
