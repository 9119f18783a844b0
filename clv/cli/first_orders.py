"""``clv first-orders``: what customers are worth by their first order alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clv.cli.application import command
from clv.cli.options import CHAMPION, Anyway, AsJson, Log, LogReading, Model, Output, Track
from clv.cli.screen import Screen, table

if TYPE_CHECKING:
    import pandas as pd

    from clv.app.first_orders_of_files import FirstOrderValues
    from clv.prospects.first_order_backtest import FirstOrderBacktest

Covariates = Annotated[
    str,
    typer.Option(metavar="NAME,...", help="amount, weekday, month, and columns of the log."),
]
By = Annotated[
    str | None, typer.Option(metavar="NAME,...", help="Also by these, as in channel or country.")
]
EarlierExport = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="The log exported earlier: what was filled in since leaks."),
]
SegmentFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write what --by found, for clv allocate and clv funnel."),
]


@command(
    "clv first-orders orders.csv --covariates amount,channel -o first.parquet",
    "clv first-orders orders.csv --by channel --values channels.csv",
    "clv first-orders orders.csv --covariates amount,quantity,country --track first",
)
def first_orders(
    ctx: typer.Context,
    log: Log,
    reading: LogReading,
    covariates: Covariates = "amount",
    by: By = None,
    values: SegmentFile = None,
    earlier_export: EarlierExport = None,
    model: Model = CHAMPION,
    anyway: Anyway = False,
    output: Output = None,
    track: Track = None,
    as_json: AsJson = False,
) -> None:
    """Value customers by their first order, before they have a history.

    From what the first order says: its amount, its day, columns such as
    channel, country, quantity or discount. A column that tells who came back
    as no first order can is refused, and with --earlier-export one that
    stood otherwise then. How well such values did at an earlier day stands
    beside ZILN, boosted trees and one value for all.
    """
    screen: Screen = ctx.obj
    from clv.app.first_orders_of_files import track_first_orders, value_first_orders
    from clv.app.registry import load_scorer
    from clv.io.files import check_output, write_table
    from clv.schema import as_frame

    if values and not by:
        raise typer.BadParameter("--values writes what --by gives: name a column there.")
    outputs = [file for file in (output, values) if file]
    for file in outputs:
        check_output(file, *filter(None, (log, earlier_export)))
    with screen.progress("loading the model"):
        scorer = load_scorer(model)
    with screen.progress("valuing first orders"):
        result = value_first_orders(
            log,
            scorer,
            names_in(covariates),
            names_in(by),
            earlier=earlier_export,
            anyway=anyway,
            **reading.stated(),
        )
    run = track_first_orders(track, result, log) if track else None
    for target, rows in ((output, result.table), (values, result.segments)):
        if target:
            write_table(as_frame(rows).collect().to_arrow(), target)
    if as_json:
        screen.json(result.to_dict() | ({"run": run} if run else {}))
        return
    _show(screen, result, names_in(by))
    for file in outputs:
        screen.written(file)
    screen.logged(run, track)


def names_in(text: str | None) -> list[str]:
    """The names of a list with commas.

    >>> names_in("amount, channel")
    ['amount', 'channel']
    """
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _show(screen: Screen, result: FirstOrderValues, by: list[str]) -> None:
    """What first orders say, how well, and what each segment brings."""
    screen.title(str(result.model).splitlines()[0])
    screen.points([line.strip() for line in str(result.model).splitlines()[1:]])
    if result.backtest:
        _show_backtest(screen, result.backtest)
    else:
        screen.points([f"Not judged at an earlier day: {result.why_not}"])
    if result.segments is not None:
        _show_segments(screen, result.segments, by, result.model.terms.currency)


def _show_backtest(screen: Screen, backtest: FirstOrderBacktest) -> None:
    from clv.format import NONE, change, number, percent

    screen.title(str(backtest).splitlines()[0])
    rows = [
        {
            "method": hit.method,
            "gini": f"{number(hit.gini, 3)} ±{number(hit.gini_se, 3)}",
            "total": change(hit.total - 1),
            "within": NONE if hit.coverage is None else percent(hit.coverage),
        }
        for hit in backtest.hits
    ]
    headings = {"method": "valued by", "gini": "Gini", "total": "total"}
    screen.show(table(rows, headings | {"within": "within 90% interval"}, left=("method",)))
    screen.points([backtest.verdict])


def _show_segments(screen: Screen, rows: pd.DataFrame, by: list[str], currency: str) -> None:
    from clv.format import count, money

    screen.title("What a new customer is worth, with the interval that holds 90%")
    written = [
        {**{name: str(row[name]) for name in by}, "customers": count(row["customers"])}
        | {
            "value": f"{money(row['new_customer_value'], currency)} "
            f"({money(row['new_customer_value_low'], currency)} to "
            f"{money(row['new_customer_value_high'], currency)})"
        }
        for row in rows.to_dict("records")
    ]
    headings = {name: name for name in by} | {"customers": "customers", "value": "worth"}
    screen.show(table(written, headings, left=tuple(by)))
