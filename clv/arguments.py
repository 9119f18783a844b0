"""Arguments of public calls: where one of a wrong kind made a call fail, the error names it.

What a call checks by itself it says in its own words. This is for the rest: a list in the place of
a number, a generator in the place of a list; a cell that a table's engine cannot read. Only
generators, which may have no end, are looked for before a call; all else once it has failed, so
that it costs nothing; and a misspelt choice, which a call may not have minded, once it has not. A
record's fields are looked at when it is made, since what is wrong in one shows much later.
Where every argument is of its kind, the fault is ours and stays as it is.
"""

from __future__ import annotations

import builtins
import dataclasses
import datetime as dt
import inspect
import reprlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, wraps
from itertools import chain
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import narwhals as nw
import numpy as np
from narwhals.exceptions import DuplicateError

from clv.errors import ClvError, InputError

T = TypeVar("T")
MARK = "_clv_named"
LIST = "make a list of it first: list(...)."
ENGINES = {"pandas", "polars", "pyarrow", "duckdb", "pyspark", "narwhals"}
LARGEST = 1e30  # a number beyond it, in size, counts nothing that a company has


class _Table:
    """What annotations call ``IntoFrame``, whether or not their module has imported it."""


class _Numbers:
    """Likewise ``ArrayLike``."""


NAMES: dict[str, type] = {"IntoFrame": _Table, "IntoFrameT": _Table, "Histories": _Table}
NAMES |= {"ArrayLike": _Numbers, "Floats": _Numbers, "Parameter": _Numbers}
SHOWN: dict[Any, str] = {NoneType: "None", bool: "True or False", dt.date: "a date"}
SHOWN |= {int: "a whole number", float: "a number", str: "text"}
SHOWN |= {_Table: "a table", _Numbers: "numbers", dict: "a mapping", list: "a list"}


def named(thing: T) -> T:
    """A function or a class whose errors about arguments of a wrong kind name them.

    A class is changed in its place: what makes it, and its public methods.

    >>> def half(number: float) -> float:
    ...     return number / 2
    >>> named(half)("one")
    Traceback (most recent call last):
    ...
    clv.errors.InputError: number = 'one' is not a number.
    Hint: help(half) says what it takes.
    """
    if not inspect.isclass(thing):
        return _named(thing) if inspect.isfunction(thing) else thing  # type: ignore[return-value]
    if not issubclass(thing, Exception):
        for name, method in list(_methods(thing)):
            setattr(thing, name, method)
    return thing


def _methods(owner: type) -> Iterator[tuple[str, Any]]:
    """The constructor and the public methods of a class of ours, its bases' among them."""
    for name in dir(owner):
        attribute = inspect.getattr_static(owner, name)
        inner = getattr(attribute, "__func__", attribute)
        ours = inspect.isfunction(inner) and (name == "__init__" or name[0] != "_")
        if ours and (inner.__module__.startswith("clv.") or name == "__init__"):
            if isinstance(attribute, classmethod | staticmethod):
                yield name, type(attribute)(_named(inner, owner))
            else:
                yield name, _named(inner, owner)


def _named(function: Callable[..., Any], owner: type | None = None) -> Callable[..., Any]:
    if hasattr(function, MARK):
        return function

    @wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        name = function.__name__ if owner is None else owner.__name__
        given = tuple(map(_in_engine, given))
        named = {word: _in_engine(value) for word, value in named.items()}
        for value in (*given, *named.values()):
            if hasattr(type(value), "__next__"):  # it may have no end
                raise InputError(f"{name}() was given a {type(value).__name__}.", hint=LIST)
        try:
            result = function(*given, **named)
        except ClvError:
            raise
        except Exception as error:
            wrong = _wrong(function, given, named) or _beyond(error, name, given, named)
            if wrong is None:
                raise
            raise InputError(wrong, hint=f"help({name}) says what it takes.") from error
        # estimators look at their settings when they are fitted
        made = function.__name__ == "__init__"
        if made and dataclasses.is_dataclass(owner) and (wrong := _wrong_field(given[0])):
            raise InputError(wrong, hint=f"help({name}) says what it takes.")
        estimator = made and hasattr(owner, "get_params")
        if not estimator and (misspelt := _misspelt(function, given, named)):
            raise InputError(misspelt, hint=f"help({name}) says what it takes.")
        return result

    setattr(call, MARK, True)
    return call


def _in_engine(value: Any) -> Any:
    """Streams, datasets and lake tables as tables of the engine (``clv.io.arrow_streams``)."""
    if not type(value).__module__.startswith(("pyarrow.", "deltalake.", "pyiceberg.")):
        return value
    from clv.io.arrow_streams import in_engine

    return in_engine(value)


def _beyond(error: Exception, name: str, *given: Any) -> str | None:
    """What an engine could not do with a table, or a computer with a number; None if ours."""
    text = " ".join(str(error).split())[:200]
    if isinstance(error, OverflowError):
        return f"{name}() met a number that is too large to count with: {text}."
    if isinstance(error, MemoryError) or "allowed dimension exceeded" in text:
        return f"{name}() takes more memory than there is: {text or 'no more is to be had'}."
    engine = type(error).__module__.split(".")[0]
    if engine in ENGINES and any(map(_holds_table, given)):
        return f"{name}() cannot use what is in its table; {engine} says: {text}."
    return None


def _holds_table(given: Any) -> bool:
    """Whether a table is among arguments, or in a record or a collection that is one of them."""
    values = given.values() if isinstance(given, Mapping) else given
    inside = (getattr(value, "__dict__", {}).values() for value in values)
    return any(map(_is_table, chain(values, *inside)))


def _misspelt(function: Callable[..., Any], given: Any, named: Mapping[str, Any]) -> str | None:
    """What a choice is that nobody offers, and that a call did not mind; None if there is none."""
    signature, choices = _choices(function)
    arguments = signature.bind(*given, **named).arguments if choices else {}
    for name, kind in choices.items():
        if name in arguments and not _fits(arguments[name], kind):
            return f"{name} = {_shown(arguments[name])} is not {_words(kind)}."
    return None


@cache
def _choices(function: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, Any]]:
    """The arguments of a function that are one of a few words, and which."""
    signature = inspect.signature(function)
    kinds = {n: _kind(one.annotation, function) for n, one in signature.parameters.items()}
    choices = {
        name: kind
        for name, kind in kinds.items()
        if any(get_origin(one) is Literal for one in (kind, *get_args(kind)))
    }
    return signature, choices


def _wrong_field(record: Any) -> str | None:
    """What is wrong with the first field of a record that is not of its kind; None if none is."""
    made: Any = type(record)
    for name, kind in _fields(made).items():
        if not _fits(value := getattr(record, name), kind):
            return f"{name} = {_shown(value)} is not {_words(kind)}."
    return None


@cache
def _fields(record: Any) -> dict[str, Any]:
    """The fields of a record, each with its kind, as the module that it is of means it."""
    modules = {
        name: sys.modules[one.__module__]
        for one in reversed(record.__mro__)
        for name in vars(one).get("__annotations__", ())
    }
    fields = dataclasses.fields(record)
    return {f.name: _kind_in(f.type, vars(modules[f.name])) for f in fields if f.init}


def _wrong(function: Callable[..., Any], given: Any, named: Mapping[str, Any]) -> str | None:
    """What is wrong with the first argument that is not of its kind; None if none is."""
    signature = inspect.signature(function)
    try:
        bound = signature.bind(*given, **named)
    except TypeError:
        return None  # Python says itself which argument is missing or unknown
    for name, value in bound.arguments.items():
        kind = _kind(signature.parameters[name].annotation, function)
        if not _fits(value, kind):
            return f"{name} = {_shown(value)} is not {_words(kind)}."
        if isinstance(value, int) and abs(value) >= 2**63:
            return f"{name} = {_shown(value)} is too large to count with."
        if name == "seed" and isinstance(value, int | np.integer) and value < 0:
            return f"seed = {_shown(value)} is below 0."
        if wrong := _wrong_in(value):
            return f"{name} {wrong}."
    return "what was saved is not what to_dict() gives." if "saved" in bound.arguments else None


class _Known(dict[str, Any]):
    """What an annotation's names mean; those that only a type checker knows mean anything."""

    def __missing__(self, name: str) -> Any:
        import clv

        return getattr(clv, name) if name in dir(clv) else Any


def _kind(annotation: Any, function: Callable[..., Any]) -> Any:
    if not isinstance(annotation, str):
        return Any if annotation is inspect.Parameter.empty else annotation
    return _kind_in(annotation, function.__globals__)


def _kind_in(annotation: Any, module: Mapping[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    if annotation == "Self":
        return Any
    known = _Known(vars(builtins) | dict(module) | NAMES)
    return eval(annotation, {}, known)  # what our own source says, never an argument


def _fits(value: Any, kind: Any) -> bool:
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in get_args(kind))
    if origin is Literal:
        return isinstance(value, str | int) and value in get_args(kind)
    if inspect.isclass(origin):
        return _all_fit(value, origin, get_args(kind))
    if kind is None or kind is NoneType:
        return value is None
    if kind in TESTS:
        return TESTS[kind](value)
    if not inspect.isclass(kind) or kind is Any or getattr(kind, "_is_protocol", False):
        return True
    parse = getattr(kind, "parse", None)  # a duration may be given as text
    return isinstance(value, kind) or (parse is not None and isinstance(value, str))


def _all_fit(value: Any, origin: type, parts: tuple[Any, ...]) -> bool:
    """Whether a collection, and what is in it, is of a kind."""
    if origin is type or not issubclass(origin, Sequence | Mapping):
        return isinstance(value, origin)
    if issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            _fits(key, parts[0]) and _fits(one, parts[1]) for key, one in value.items()
        )
    if isinstance(value, str | bytes) or not isinstance(value, origin | list | np.ndarray):
        return False
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return False
    if origin is tuple and parts[-1] is not Ellipsis:
        return len(value) == len(parts) and all(map(_fits, value, parts))
    return all(_fits(one, parts[0]) for one in value) if parts else True


def _is_number(value: Any) -> bool:
    """A number that a computer holds, and no flag."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    size: Any = abs(value)
    return bool(size <= LARGEST or size == np.inf)


def _is_numbers(value: Any) -> bool:
    if value is None or isinstance(value, str | bytes | dict):
        return False
    try:
        return np.asarray(value, dtype=float).dtype.kind == "f"
    except Exception:  # whatever an object of another's does
        return False


def _wrong_in(table: Any) -> str | None:
    """What no table should have, and pandas' may: a name twice, a cell that is no value."""
    if type(table).__module__.split(".")[0] != "pandas" or not hasattr(table, "columns"):
        return None
    import pandas as pd

    names = [str(name) for name in table.columns]  # 4 and "4" are one to who reads it
    for name in table.columns:
        if names.count(str(name)) > 1:
            return f"has the column {_shown(name)} more than once"
        cells = table[name] if table[name].dtype == object else ()
        odd = [type(cell).__name__ for cell in cells if not pd.api.types.is_scalar(cell)]
        if odd:
            return f"has a {odd[0]} in the column {_shown(name)}"
    return None


def _is_table(value: Any) -> bool:
    try:
        return isinstance(nw.from_native(value, pass_through=True), nw.DataFrame | nw.LazyFrame)
    except DuplicateError:  # which ``_wrong_in`` names
        return True


TESTS: dict[Any, Callable[[Any], bool]] = {
    bool: lambda value: isinstance(value, bool | np.bool_),
    int: lambda value: _is_number(value) and isinstance(value, int | np.integer),
    float: _is_number,
    _Numbers: _is_numbers,
    _Table: _is_table,
    dt.date: lambda value: isinstance(value, dt.date) and not isinstance(value, dt.datetime),
    object: lambda value: True,
}


def _words(kind: Any) -> str:
    """What a kind is called, as in "a number or None"."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(map(_words, parts)))
    if origin is Literal:
        return " or ".join(map(repr, parts))
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return f"a mapping of {_words(parts[1])}"
    if inspect.isclass(origin) and issubclass(origin, Sequence):
        inside = (_words(part).removeprefix("a ") for part in parts if part is not Ellipsis)
        return f"a list of {', '.join(inside)}"
    if origin is not None:
        return "a function" if origin is Callable else f"a {origin.__name__}"
    return SHOWN.get(kind) or f"a {getattr(kind, '__name__', kind)}"


def _shown(value: Any) -> str:
    """A value in a few letters: a number or a text as it is, anything else by its type."""
    if value is None or isinstance(value, str | int | float | bytes | np.generic):
        return reprlib.repr(value)
    return f"a {type(value).__name__}"
