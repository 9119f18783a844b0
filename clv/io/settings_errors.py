"""Settings from a file as a model, and mistakes in them in words: which field, and what to send."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from clv.errors import InputError

MOST_PROBLEMS = 5
LONGEST, LONGEST_MESSAGE = 80, 400  # characters of a wrong value, and of what is said
OURS_FIRST = 'write columns as ours = theirs, such as date = "Day".'
Model = TypeVar("Model", bound=BaseModel)


def settings_of(kind: type[Model], data: Any, name: str, hint: str, section: str = "") -> Model:
    """Plain values as a model.

    Parameters
    ----------
    kind
        The model.
    data
        The values.
    name
        What to call the file, or whatever they come from.
    hint
        Where to find a right one.
    section
        The part of the file that the values are.

    Raises
    ------
    InputError
        Fields are missing, unknown or out of range; the first few of them are named.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        keys = [key for each in (kind, *kind.__subclasses__()) for key in _keys(each)]
        each = _problems(error, data, keys, section)
        problems = list(dict.fromkeys(_shortened(problem, LONGEST_MESSAGE) for problem in each))
        more = f"; and {len(problems) - MOST_PROBLEMS} more" if problems[MOST_PROBLEMS:] else ""
        listed = "; ".join(problems[:MOST_PROBLEMS])
        raise InputError(f"{name}: {listed}{more}.", hint=hint) from error


def _problems(error: ValidationError, data: Any, keys: list[str], section: str) -> Iterator[str]:
    for detail in error.errors(include_url=False):
        field, got = _path(detail["loc"], data, section), detail["input"]
        words = detail["msg"].removeprefix("Value error, ").replace("Input should", "should")
        message, _, hint = words.partition("\nHint: ")
        message = re.sub(" valid dictionary( or instance of .*)?$", " section of fields", message)
        message = message.replace("a valid tuple", "a list")
        match detail["type"]:
            case "missing" | "union_tag_not_found":
                yield f"{field} is missing"
            case "extra_forbidden":
                yield f"{field} is not a known key{meant(str(detail['loc'][-1]), keys)}"
            case "union_tag_invalid":
                tag, choices = detail["ctx"]["tag"], detail["ctx"]["expected_tags"]
                yield f"{field} {tag!r} is none of {choices}"
            case _ if message.startswith("should"):
                value = "" if isinstance(got, dict | BaseModel) else f", not {_shown(got)}"
                yield f"{field} {message}{value}"
            case _:
                yield "; ".join(filter(None, (f"{field}: {message.rstrip('.')}", hint.rstrip("."))))


def _shown(value: Any) -> str:
    """A wrong value as it was written."""
    return _shortened(repr(value) if isinstance(value, str) else str(value), LONGEST)


def _shortened(text: str, longest: int) -> str:
    """A text, its middle left out where it is long."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]}...{text[-half:]}"


def _path(loc: tuple[int | str, ...], data: Any, section: str) -> str:
    """Where the field is, entries of a list by their name: channels.search.response.b.

    A location also holds the kind of curve; the file does not spell that as a key, so what
    cannot be found in the data is left out, unless it is the missing field itself.
    """
    words = [section] if section else []
    for depth, key in enumerate(loc):
        if isinstance(key, int) and isinstance(data, list):
            data = data[key]
            words.append(str(data.get("name", key) if isinstance(data, dict) else key))
        elif isinstance(data, dict) and (key in data or depth == len(loc) - 1):
            data = data.get(str(key))
            words.append(str(key))
    return ".".join(words) or "it"


def _keys(kind: Any) -> list[str]:
    """All keys of a model and of those within it, each of which a misspelt one may have meant."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        within = (_keys(field.annotation) for field in kind.model_fields.values())
        return sorted({*kind.model_fields, *(key for keys in within for key in keys)})
    return [key for part in get_args(kind) for key in _keys(part)]


def unknown_columns(stated: Iterable[str], roles: Iterable[str], where: str) -> str:
    """What is wrong with the names under ``columns``; empty if nothing is.

    A misspelt name would hide the column that it stands for: contracts without a price.

    >>> unknown_columns(["amuont"], ["date", "amount"], "a log")
    "columns has 'amuont' (did you mean 'amount'?), which is none; in a log they are date, amount"
    """
    known = list(roles)
    unknown = [name for name in stated if name not in known]
    if not unknown:
        return ""
    names = ", ".join(map(repr, unknown))
    return (
        f"columns has {names}{meant(unknown[0], known)}, which is none; in {where} they are "
        f"{', '.join(known)}"
    )


def meant(key: str, keys: Iterable[str]) -> str:
    """The key that may have been meant; the same one, elsewhere in the file, is no help.

    >>> meant("channel", ["channel", "channels"])
    " (did you mean 'channels'?)"
    """
    close = difflib.get_close_matches(
        key, [other for other in keys if other != key], n=1, cutoff=0.7
    )
    return f" (did you mean {close[0]!r}?)" if close else ""
