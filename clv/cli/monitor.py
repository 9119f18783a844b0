"""``clv monitor``: is the model still right?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from clv.cli import terminal
from clv.cli.application import command
from clv.cli.options import CHAMPION, Anyway, AsJson, Log, LogReading, Model, Track
from clv.cli.screen import Screen
from clv.defaults import LEVEL

JsonFile = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write .json.")
]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What is compared with what."""

    HEADING: ClassVar[str] = "What is compared"
    scores: Annotated[
        str | None, typer.Option(metavar="THEN", help="What clv score wrote then: adds drift.")
    ] = None
    scores_now: Annotated[
        str | None, typer.Option(metavar="FILE", help="Scores of today; made here without it.")
    ] = None
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Last day known then; that of THEN or of the model."),
    ] = None
    level: Annotated[float, typer.Option(metavar="SHARE", help="Of the totals' intervals.")] = LEVEL

    def of_orders(self) -> list[str]:
        """Options in use that compare orders alone."""
        names = ("scores", "scores_now", "since")
        return [f"--{name.replace('_', '-')}" for name in names if getattr(self, name)]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The thresholds."""

    HEADING: ClassVar[str] = "When it is an alarm"
    tolerance: Annotated[
        float, typer.Option(metavar="SHARE", help="A total off by more is an alarm.")
    ] = 0.15
    psi_watch: Annotated[
        float, typer.Option(metavar="PSI", help="Drift beyond it deserves a look.")
    ] = 0.1
    psi_alarm: Annotated[
        float, typer.Option(metavar="PSI", help="Drift beyond it is an alarm.")
    ] = 0.25
    history: Annotated[
        float, typer.Option(metavar="SHARE", help="More customers with another past: an alarm.")
    ] = 0.01

    def thresholds(self) -> Any:
        """As ``clv.monitoring`` takes them."""
        from clv.monitoring import Thresholds

        return Thresholds(self.tolerance, self.psi_watch, self.psi_alarm, self.history)


@command(
    "clv monitor orders.parquet --scores scores.parquet",
    "clv monitor orders.csv --model models/demo --since 2024-03-31 -o monitor.json",
    "clv monitor orders.parquet --track monitoring       an MLflow run",
    "clv monitor subscriptions.csv --model models:/clv-contracts/1",
)
def monitor(
    ctx: typer.Context,
    log: Log,
    comparison: Comparison,
    limits: Limits,
    reading: LogReading,
    model: Model = CHAMPION,
    output: JsonFile = None,
    track: Track = None,
    anyway: Anyway = False,
    as_json: AsJson = False,
) -> None:
    """Say whether the model is still right, by what came since.

    Purchases and revenue against what was expected of the customers known
    then; drift of what the model learned from, and of the scores. Exit code 8
    if a check is past its threshold, 0 if it is only to be watched.
    """
    screen: Screen = ctx.obj
    from clv.app.contract_files import is_contracts
    from clv.app.monitoring import track_monitor, watch_contracts, watch_log
    from clv.app.registry import load_scorer
    from clv.io.files import check_output

    if output:
        read = filter(None, (log, comparison.scores, comparison.scores_now))
        check_output(output, *read, kind="json")
    thresholds = limits.thresholds()
    if is_contracts(log):
        given, options = None if model == CHAMPION else model, comparison.of_orders()
        with screen.progress("comparing"):
            report = watch_contracts(log, given, thresholds, level=comparison.level, unused=options)
        logged = track_monitor(track, report) if track else None
        _show(screen, report, "", output, as_json)
        if logged and not as_json:
            screen.logged(logged, track)
        report.require_no_alarm()
        return
    with screen.progress("loading the model"):
        scorer = load_scorer(model)
    with screen.progress("comparing"):
        compared = asdict(comparison) | reading.rules()
        report, cleaning = watch_log(log, scorer, thresholds=thresholds, **compared)
    terminal.warn_of_log(screen, cleaning)
    run = track_monitor(track, report) if track else None
    _show(screen, report, scorer.terms.currency, output, as_json)
    if run and not as_json:
        screen.logged(run, track)
    report.require_no_alarm()


def _show(screen: Screen, report: Any, currency: str, output: Path | None, as_json: bool) -> None:
    from clv.cli.monitor_tables import show_monitor
    from clv.io.files import write_json

    if output:
        write_json(report.to_dict(), output)
    if as_json:
        screen.json(report.to_dict())
    else:
        show_monitor(screen, report, currency)
        screen.written(output)
