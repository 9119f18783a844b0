"""The house stands: imports point down, the wings do not know each other, doors stay doors."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import clv

ROOT = Path(clv.__file__).parent
FLOORS = {
    **dict.fromkeys(("errors", "periods", "schema"), 0),
    **dict.fromkeys(("data", "probability"), 1),
    **dict.fromkeys(("value", "predictive", "totals", "pooling"), 3),  # worth
    **dict.fromkeys(("churn", "examples", "contracts", "classifier", "attribution", "reasons"), 3),
    **dict.fromkeys(("evaluate", "plots", "backtest", "uplift", "drift", "trees"), 3),
    **dict.fromkeys(("scorer", "monitor"), 4),
    "decide": 5,
    **dict.fromkeys(("cli", "serve", "simulate"), 6),
}
MODULES = sorted(ROOT.rglob("*.py"))


def imported(file: Path) -> Iterator[str]:
    """The full names that a module imports anywhere, also inside functions."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: write the full name in imports"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_down(file):
    names = list(imported(file))
    assert not [name for name in names if name.split(".")[0] in ("training", "tests")]
    if file != ROOT / "serve" / "registry.py":
        assert not [name for name in names if name.split(".")[0] == "mlflow"]
    room = file.relative_to(ROOT).parts[0].removesuffix(".py")
    if room == "__init__":
        return  # the front door names what every room offers, and opens late
    for other in (name.split(".")[1] for name in names if name.startswith("clv.")):
        if other in FLOORS:
            assert FLOORS[other] <= FLOORS[room], f"{room} imports {other}, which is above it"
            assert {room, other} != {"data", "probability"}, "the wings do not know each other"


def test_every_room_is_on_a_floor():
    rooms = {file.relative_to(ROOT).parts[0].removesuffix(".py") for file in MODULES}
    assert rooms - {"__init__", "__main__"} <= set(FLOORS)
