"""``clv allocate``: where to spend one budget."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clv.cli import terminal
from clv.cli.application import command
from clv.cli.options import AsJson, Output, Track, named
from clv.cli.screen import Screen

if TYPE_CHECKING:
    import pyarrow as pa

    from clv.app.plans import Planned

PLAN = """\
budget = 30000
currency = "EUR"
horizon = "3 years"
[[channels]]
name = "search"
value = 60       # CLV of one NEW customer
current = 12000  # optional: today's spend; bounds are lo and hi
response = { curve = "power", k = 12, b = 0.6 }
[[channels]]
name = "social"
value = 80
response = { curve = "point", spend = 8000, customers = 1700 }
[retention]      # optional: competes for the same budget
scores = "scores.parquet"
contact_cost = 1"""
ESTIMATED_PLAN = """\
budget = 30000
periods = 13     # of the spend table
[curves]
spend = "spend.csv"
log = "orders.csv"     # optional: what customers of each channel are worth
model = "models/demo"
[[channels]]     # optional: bounds, a value or a response of its own
name = "search"
hi = 20000"""


@command(
    "clv allocate plan.toml --report plan.html",
    "clv allocate plan.toml more.toml           side by side",
    "clv allocate plan.toml --scenario lean=plans/a.toml",
    "clv allocate plan.toml --track plans       an MLflow run",
    A_plan=PLAN,
    A_plan_whose_curves_and_values_are_estimated=ESTIMATED_PLAN,
)
def allocate(
    ctx: typer.Context,
    plan: Annotated[
        list[Path], typer.Argument(metavar="PLAN", help="A plan as TOML; several are compared.")
    ],
    scenario: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Another plan beside it, under its own name."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page that stands alone, as .html."),
    ] = None,
    track: Track = None,
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
    from clv.io.files import check_output

    files = [(file.stem, file) for file in plan]
    files += [(name, Path(file)) for name, file in named(scenario).items()]
    plan_files = [file for _, file in files]
    if report:
        check_output(report, *plan_files, kind="page")
    if output:
        check_output(output, *plan_files)
    with screen.progress("allocating"):
        plans = [read_plan(file, name) for name, file in files]
    beside = side_by_side(plans)
    _write(plans, beside, report, output)
    runs = _tracked(track, plans, plan_files) if track else []
    if as_json:
        screen.json(_as_json(plans, beside))
        return
    if len(plans) == 1:
        terminal.show_plan(screen, plans[0])
    else:
        terminal.show_comparison(screen, plans, beside)
    screen.written(output)
    screen.written(report)
    for run in runs:
        screen.say(f"Logged: MLflow run {run} of experiment {track}")


def _write(
    plans: Sequence[Planned], beside: pa.Table, report: Path | None, output: Path | None
) -> None:
    """The files that were asked for."""
    from clv.io.files import write_table
    from clv.report.plan_report import plan_page

    if output:
        single = len(plans) == 1
        write_table(plans[0].allocation.to_frame("pyarrow") if single else beside, output)
    if report:
        plan_page(plans[0], plans[1:]).write(report)


def _as_json(plans: Sequence[Planned], beside: pa.Table) -> dict[str, object]:
    """One plan as it is, several by name with their comparison."""
    if len(plans) == 1:
        return plans[0].to_dict()
    return {"plans": {p.name: p.to_dict() for p in plans}, "side_by_side": beside.to_pylist()}


def _tracked(experiment: str, plans: Sequence[Planned], files: Sequence[Path]) -> list[str]:
    """The ids of the runs that the plans were logged in."""
    from clv.app.plan_run import track_plan

    return [track_plan(experiment, p, file) for p, file in zip(plans, files, strict=True)]
