"""A part that is not installed is one sentence with the line for pip, wherever it is met."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import clv
from clv.errors import MissingExtraError
from clv.io.files import read_log

ROOT = Path(clv.__file__).parent
PROJECT = tomllib.loads((ROOT.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
MODULE = {
    "scikit-learn": "sklearn",
    "uvicorn[standard]": "uvicorn",
    "google-auth[requests]": "google",
}
NOT_IN_ALL = {"spark", "spark-connect", "snowflake", "bigquery", "dev", "docs"}
COMES_WITH = {  # imported by us, brought by another
    "markupsafe": "jinja2",
    "starlette": "fastapi",
    "anyio": "fastapi",
    "pydantic_core": "pydantic",
    "sqlalchemy": "mlflow",
    "httpx2": "mcp",
    "mcp_types": "mcp",
    "adbc_driver_duckdb": "duckdb",
    "requests": "google",
}
# MLflow itself imports the one, beside a model; the other works on what mlflow_store.connect opened
WITH_MLFLOW = {ROOT / "app" / "pyfunc.py", ROOT / "app" / "run_logging.py"}
FILES = sorted({*ROOT.rglob("*.py")} - WITH_MLFLOW)


def modules(requirements: list[str]) -> set[str]:
    """The modules that a list of requirements installs, other extras included."""
    brought = set()
    for line in requirements:
        if own := re.fullmatch(r"clv\[([a-z,]+)\]", line):
            brought |= set().union(*(modules(EXTRAS[name]) for name in own[1].split(",")))
        else:
            name = re.split(r"[><=]", line)[0]
            brought.add(MODULE.get(name, name.replace("-", "_")))
    return brought


LOG = pa.table({"customer_id": ["a"], "date": ["2024-01-01"], "amount": [9.0]})
BASE = modules(PROJECT["dependencies"])


def imports(tree: ast.AST) -> Iterator[str]:
    """The packages that are imported when the code runs, not only for type checkers."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]
        yield from imports(node)


@cache
def required(file: Path) -> list[tuple[str, str]]:
    """The pairs of extra and module that a file makes sure of."""
    pairs: list[tuple[str, str]] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "require_extra":
            extra, *names = [ast.literal_eval(argument) for argument in node.args]
            pairs += [(extra, name) for name in names]
    return pairs


def unsure(file: Path) -> set[str]:
    """The modules of extras that a file imports though nothing makes sure that they are there."""
    own = set(imports(ast.parse(file.read_text(encoding="utf-8"))))
    optional = {COMES_WITH.get(name, name) for name in own}
    optional -= BASE | {"clv"} | set(sys.stdlib_module_names)
    rooms = [parent / "__init__.py" for parent in file.parents if parent.is_relative_to(ROOT)]
    sure = {name for at in (file, *rooms) if at.exists() for _, name in required(at)}
    return optional - sure


def test_what_an_extra_brings_is_required_before_it_is_imported():
    assert {str(file.relative_to(ROOT)): unsure(file) for file in FILES if unsure(file)} == {}


def test_what_is_required_is_what_the_extra_brings():
    pairs = {pair for file in FILES for pair in required(file)}
    extras = {"cli", "serve", "report", "mlflow", "warehouse", "delta", "iceberg", "mcp", "spark"}
    extras |= {"snowflake", "bigquery"}
    assert {extra for extra, _ in pairs} == extras
    assert not [pair for pair in pairs if pair[1] not in modules(EXTRAS[pair[0]])]


def test_all_brings_every_extra_but_large_ones_and_those_for_developers():
    others = set().union(*(modules(EXTRAS[name]) for name in EXTRAS if name not in NOT_IN_ALL))
    assert modules(EXTRAS["all"]) == others


@pytest.mark.parametrize(
    ("call", "module", "extra"),
    [
        (lambda: clv.clean(LOG), "duckdb", "warehouse"),
        (lambda: read_log("orders.csv"), "duckdb", "cli"),
    ],
)
def test_a_missing_extra_is_one_sentence(monkeypatch, call, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as caught:
        call()
    assert str(caught.value) == f'this needs {module}: pip install "clv[{extra}]"'
    assert isinstance(caught.value, ImportError)


@pytest.mark.parametrize(
    ("module", "room", "extra"),
    [
        ("typer", "clv.cli", "cli"),
        ("fastapi", "clv.web", "serve"),
        ("jinja2", "clv.report", "report"),
        ("phonenumbers", "clv.exports", "cli"),
    ],
)
def test_a_room_says_what_it_needs(module, room, extra):
    code = f"import sys; sys.modules[{module!r}] = None\nimport {room}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert last == f'clv.errors.MissingExtraError: this needs {module}: pip install "clv[{extra}]"'


def test_the_command_line_without_its_extra_shows_no_traceback():
    code = "import sys; sys.modules['rich'] = None\nfrom clv.__main__ import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (9, "")
    assert done.stderr == 'clv: this needs rich: pip install "clv[cli]"\n'


def test_a_frame_in_pandas_needs_no_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    log = pd.DataFrame({"customer_id": ["a"], "date": ["2024-01-01"], "amount": [9.0]})
    assert clv.clean(log)[1].purchases == 1
