"""The house stands: imports point down, rooms beside each other do not know each other, no circles.

A room may import the rooms on the floors below its own. Rooms on one floor do not know each other
unless ``BESIDE`` says so. The rooms inside decide/, web/, app/, value/ and evaluate/ are rooms of
their own; the files of the parent that stand beside them are a room, too.
"""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import clv

ROOT = Path(clv.__file__).parent

# From the ground up: a floor a line.
FLOORS = (
    ("errors",),
    (
        "arguments",
        "periods",
        "format",
        "locales",
        "findings",
        "glossary",
        "extras",
        "notebook",
        "defaults",
        "score_columns",
        "threads",
        "shares",
        "spans",
    ),
    ("schema", "io"),
    ("history",),
    ("data", "probability", "simulate"),
    ("intake",),
    ("evaluate", "value"),
    ("forecast",),
    ("value.predictive", "evaluate.backtest", "churn", "uplift"),
    ("scorer", "contracts", "offers", "funnel", "referrals", "prospects"),
    ("monitoring", "report.charts", "spark"),
    ("decide",),  # what its rooms share: the record of scores
    ("decide.budget", "decide.retention", "decide.acquisition", "decide.response"),
    ("experiments",),
    ("report.plots", "exports", "store", "warehouse"),
    ("app.plan_files",),
    ("app.contents", "app.nightly"),
    ("app",),
    ("app.training",),
    ("app.jobs",),
    ("report",),
    ("web.access",),
    ("web", "web.v1"),
    ("web.page",),
    ("cli",),
)
# Who may import whom on the same floor, or above for a reason.
BESIDE = {
    ("arguments", "io"): "a stream that is handed in goes to the engine",
    ("periods", "shares"): "a discount rate is a share",
    ("findings", "format"): "a finding is written out as figures are",
    ("findings", "locales"): "what is kept is written the same way by everybody",
    ("findings", "spans"): "a horizon in it is said as one",
    ("spans", "format"): "a length of time has figures",
    ("spans", "periods"): "whole years are told by what a year is",
    ("format", "locales"): "figures follow the locale",
    ("decide.retention", "decide.budget"): "retention is one more curve of the budget",
    ("decide.acquisition", "decide.budget"): "a channel's table holds its curve",
    ("decide.response", "decide.budget"): "estimated curves are the budget's curves",
    ("decide.response", "decide.acquisition"): "curves are estimated from the spend table",
    ("app.contents", "app"): "what a store holds is worked out by the use cases",
    ("app", "report"): "the run of a plan keeps its page (plan_run.py)",
    ("web.access", "web"): "a refusal is a problem, as every other error",
    ("web.v1", "web"): "routes answer with what the web room holds",
    ("web", "web.v1"): "api.py collects the routes",
}
COMPOSES = ROOT / "web" / "application.py"  # puts API and page together
KNOW_MLFLOW = {ROOT / "app" / f"{name}.py" for name in ("mlflow_store", "run_logging", "pyfunc")}
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted(ROOT.rglob("*.py"))
FRONT_DOOR = {ROOT / "__init__.py", ROOT / "__main__.py"}  # name what every room offers, open late


def imported(file: Path) -> Iterator[str]:
    """The full names that a module imports anywhere, also inside functions."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: write the full name in imports"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(name: str) -> str | None:
    """The module, without ``clv.``, in which an imported name lives; none if it is not ours."""
    parts = name.split(".")
    if parts[0] != "clv":
        return None
    for end in range(len(parts), 1, -1):
        place = ROOT.joinpath(*parts[1:end])
        if place.with_suffix(".py").exists():
            return ".".join(parts[1:end])
        if (place / "__init__.py").exists():
            return ".".join([*parts[1:end], "__init__"])
    return "__init__"


def room_of(module: str) -> str:
    """The room that a module stands in."""
    parts = module.split(".")
    inner = ".".join(parts[:2])
    return inner if inner in FLOOR and len(parts) > 2 else parts[0]


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def outside(file: Path) -> Iterator[str]:
    """What a file imports and must not, each in words."""
    names, room = list(imported(file)), room_of(name_of(file))
    barred = {"training", "tests"} | (set() if file in KNOW_MLFLOW else {"mlflow"})
    yield from (name for name in names if name.split(".")[0] in barred)
    if file in FRONT_DOOR or file == COMPOSES:
        return
    for other in {room_of(module) for name in names if (module := module_of(name))}:
        if other in ("__init__", room) or (room, other) in BESIDE:
            continue
        if FLOOR[other] >= FLOOR[room]:
            yield f"{other}, which is not below {room}"


def test_imports_point_down():
    faults = [f"{name_of(file)} imports {what}" for file in MODULES for what in outside(file)]
    assert not faults


def test_every_room_is_on_a_floor():
    files = [file for file in MODULES if file not in FRONT_DOOR]
    assert {room_of(name_of(file)) for file in files} == set(FLOOR)


def test_no_circles():
    graph = {
        name_of(file): {module for name in imported(file) if (module := module_of(name))}
        - {name_of(file)}
        for file in MODULES
        if file not in FRONT_DOOR
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(f"modules import each other: {' -> '.join(circle.args[1])}")


def test_the_api_knows_nothing_of_the_page():
    for file in [*(ROOT / "web" / "v1").rglob("*.py"), *(ROOT / "web").glob("*.py")]:
        if file != COMPOSES:
            assert not [name for name in imported(file) if name.startswith("clv.web.page")], file
