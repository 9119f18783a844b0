"""Every public name says what goes in, what comes out, what can go wrong, and shows it.

Sections are numpydoc's; that the examples run is the doctests' affair.
"""

import inspect
import re

import pytest

import clv

SECTION = re.compile(r"^(\w[\w ]+)\n-{3,}$", re.MULTILINE)
NAMES = re.compile(r"^(\S.*)$", re.MULTILINE)
FUNCTIONS = [name for name in clv.__all__ if inspect.isfunction(getattr(clv, name))]
CLASSES = [name for name in clv.__all__ if inspect.isclass(getattr(clv, name))]


def sections(thing: object) -> dict[str, str]:
    """The sections of a docstring by their titles."""
    parts = SECTION.split(inspect.cleandoc(thing.__doc__ or ""))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def described(section: str) -> list[str]:
    """The names that a section describes, several of them in a line if they share their words."""
    return [name for line in NAMES.findall(section) for name in line.split(", ")]


def parameters(thing: object) -> list[str]:
    return sorted(inspect.signature(thing).parameters)


def test_the_public_names_are_functions_and_classes():
    assert sorted(FUNCTIONS + CLASSES) == clv.__all__


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_describes_its_parameters_result_and_errors(name):
    text = sections(getattr(clv, name))
    assert sorted(described(text["Parameters"])) == parameters(getattr(clv, name))
    assert text["Returns"].strip()
    assert described(text["Raises"])
    assert ">>> " in text["Examples"]
    assert name in text["Examples"]


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_describes_its_parameters_and_shows_its_use(name):
    text = sections(getattr(clv, name))
    names = described(text.get("Parameters", "") + text.get("Attributes", ""))
    assert set(parameters(getattr(clv, name))) <= set(names)
    assert len(names) == len(set(names))
    assert name in text["Examples"]


@pytest.mark.parametrize("name", clv.__all__)
def test_errors_that_are_named_exist(name):
    named = described(sections(getattr(clv, name)).get("Raises", ""))
    known = {kind for kind in vars(clv.errors) if kind.endswith("Error")}
    assert set(named) <= known
