"""The front door: typed, light, its names in one list, its version in one place."""

import importlib
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import clv

ROOT = Path(clv.__file__).parent.parent
USER = """
import pandas as pd

import clv

log, report = clv.clean(pd.DataFrame())
summary = clv.summarize(log, unit="week")
model = clv.BetaGeoNBD(unit="week").fit(summary)
reveal_type(report)
reveal_type(summary)
reveal_type(model)
reveal_type(clv.GammaGamma().fit(summary).expected_spend())
reveal_type(clv.Terms(0.3).horizon)
reveal_type(clv.customer_value(summary, model, clv.GammaGamma(), clv.Terms(0.3)))
reveal_type(clv.CustomerScorer.load("model").terms)
reveal_type(clv.allocate([clv.Channel("search", clv.Power(k=12, b=0.6), value=60)], 100.0))
reveal_type(clv.Duration.parse("13 weeks").to("day"))
reveal_type(clv.total_value(summary, model, clv.GammaGamma(), clv.Terms(0.3)))
clv.BetaGeoNBD(untt="week")
model.ffit(3)
clv.alocate
"""
# as if clv were installed: its types count, its own imports are not the user's concern
INSTALLED = "[mypy]\n[mypy-clv.*]\nfollow_imports = silent\n"
REVEALED = [
    "clv.data.cleaning_report.CleaningReport",
    "pandas.core.frame.DataFrame",
    "clv.probability.bg_nbd.BetaGeoNBD",
    "float",
    "clv.periods.Duration",
    "pandas.core.frame.DataFrame",
    "clv.value.value.Terms",
    "clv.decide.budget.allocation.Allocation",
    "float",
    "clv.value.totals.Total",
]
REFUSED = [
    'Unexpected keyword argument "untt" for "BetaGeoNBD"',
    '"BetaGeoNBD" has no attribute "ffit"',
    'Module has no attribute "alocate"; maybe "allocate"?',
]


@pytest.mark.slow
def test_a_users_file_is_typed(tmp_path):
    (tmp_path / "user.py").write_text(USER, encoding="utf-8")
    (tmp_path / "mypy.ini").write_text(INSTALLED, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "user.py"]
    result = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = result.stdout.splitlines()
    notes = [line.split('"')[1] for line in lines if "Revealed type is" in line]
    errors = [line.split("error: ")[1].split("  [")[0] for line in lines if "error: " in line]
    assert (notes, errors) == (REVEALED, REFUSED), result.stdout


def test_every_name_of_the_list_can_be_had():
    assert "__version__" not in clv.__all__
    assert dir(clv) == clv.__all__ == sorted(set(clv.__all__))
    assert all(callable(getattr(clv, name)) for name in clv.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        clv.no_such_name  # noqa: B018


def test_no_room_hides_a_function_by_its_name():
    """An imported module is an attribute of ``clv``, and would stand in the function's place."""
    rooms = {path.stem for path in Path(clv.__file__).parent.iterdir()}
    assert rooms >= {"monitoring", "scorer"}
    assert not rooms & set(clv.__all__)
    importlib.import_module("clv.monitoring")
    assert clv.monitor.__name__ == "monitor"
    assert callable(clv.monitor)


def test_the_version_stands_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "clv/__init__.py"
    assert metadata.version("clv") == clv.__version__
