"""The front door: typed, light, its names in one list, its version in one place."""

import importlib
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import clv

ROOT = Path(clv.__file__).parent.parent


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
