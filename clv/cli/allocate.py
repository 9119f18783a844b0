"""``clv allocate``: where to spend one budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

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


@dataclass(frozen=True, kw_only=True)
class ResultOptions:
    """What becomes of the plans."""

    HEADING: ClassVar[str] = "What is written"
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page that stands alone, as .html."),
    ] = None
    output: Output = None
    track: Track = None
    as_json: AsJson = False

    def check(self, plan_files: Sequence[Path]) -> None:
        """Raise if a result cannot be written, or would replace a plan."""
        from clv.io.files import check_output

        if self.report:
            check_output(self.report, *plan_files, kind="page")
        if self.output:
            check_output(self.output, *plan_files)

    def write(
        self, plans: Sequence[Planned], beside: pa.Table, plan_files: Sequence[Path]
    ) -> list[str]:
        """Write what was asked for; the ids of the MLflow runs, if any."""
        from clv.app.plan_run import track_plan
        from clv.io.files import write_table
        from clv.report.plan_report import plan_page

        if self.output:
            single = len(plans) == 1
            write_table(plans[0].allocation.to_frame("pyarrow") if single else beside, self.output)
        if self.report:
            plan_page(plans[0], plans[1:]).write(self.report)
        if self.track is None:
            return []
        pairs = zip(plans, plan_files, strict=True)
        return [track_plan(self.track, planned, file) for planned, file in pairs]


Plans = Annotated[
    list[Path], typer.Argument(metavar="PLAN", help="A plan as TOML; several are compared.")
]
Scenarios = Annotated[
    list[str] | None,
    typer.Option(
        "--scenario", metavar="NAME=FILE", help="Another plan beside it, under its own name."
    ),
]


Learn = Annotated[
    str | None,
    typer.Option(
        metavar="DATE",
        help="First day on which the plan ran: its own weeks teach the curves, step caps stay.",
    ),
]


@command(
    "clv allocate plan.toml --report plan.html",
    "clv allocate plan.toml --learn 2024-07-01   again, from the plan's own weeks",
    "clv allocate plan.toml more.toml           side by side",
    "clv allocate plan.toml --scenario lean=plans/a.toml",
    "clv allocate plan.toml --track plans       an MLflow run",
    A_plan=PLAN,
    A_plan_whose_curves_and_values_are_estimated=ESTIMATED_PLAN,
)
def allocate(
    ctx: typer.Context,
    plan: Plans,
    results: ResultOptions,
    scenario: Scenarios = None,
    learn: Learn = None,
) -> None:
    """Say where to spend one budget, on channels and on retention.

    Money goes where its next unit buys most value. Curves are stated, or
    estimated from a spend table, and then the plan says how sure it is. A
    plan that no allocation can satisfy ends with exit code 5.
    """
    screen: Screen = ctx.obj
    from clv.app.plans import read_plan, side_by_side
    from clv.cli.plan_tables import show_comparison, show_plan

    files = [(file.stem, file) for file in plan]
    files += [(name, Path(file)) for name, file in named(scenario).items()]
    plan_files = [file for _, file in files]
    results.check(plan_files)
    with screen.progress("allocating"):
        plans = [read_plan(file, name, learn) for name, file in files]
    beside = side_by_side(plans)
    runs = results.write(plans, beside, plan_files)
    if results.as_json:
        screen.json(_as_json(plans, beside))
        return
    if len(plans) == 1:
        show_plan(screen, plans[0])
        if plans[0].uncertainty and plans[0].uncertainty.test_next:
            screen.next(f"clv plan-test --plan {plan_files[0]}")
    else:
        show_comparison(screen, plans, beside)
    screen.written(results.output)
    screen.written(results.report)
    for run in runs:
        screen.logged(run, results.track)


def _as_json(plans: Sequence[Planned], beside: pa.Table) -> dict[str, object]:
    """One plan as it is, several by name with their comparison."""
    if len(plans) == 1:
        return plans[0].to_dict()
    return {"plans": {p.name: p.to_dict() for p in plans}, "side_by_side": beside.to_pylist()}
