"""Mistakes in a settings file, in words: which field, what is wrong, what to send instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from clv.errors import InputError

MOST_PROBLEMS = 5


def explain(
    error: ValidationError,
    data: Mapping[str, Any],
    name: str,
    keys: Sequence[str],
    hint: str,
) -> InputError:
    """``error`` as an ``InputError`` that names each wrong field of ``data``.

    Parameters
    ----------
    error
        What pydantic raised.
    data
        What was being read, to name the entries of a list.
    name
        What to call it.
    keys
        Keys that a misspelt one may have meant.
    hint
        Where to find a right one.
    """
    problems = list(dict.fromkeys(_problems(error, data, keys)))
    more = f"; and {len(problems) - MOST_PROBLEMS} more" if len(problems) > MOST_PROBLEMS else ""
    return InputError(f"{name}: {'; '.join(problems[:MOST_PROBLEMS])}{more}.", hint=hint)


def _problems(
    error: ValidationError, data: Mapping[str, Any], keys: Sequence[str]
) -> Iterator[str]:
    for detail in error.errors(include_url=False):
        field, got = _path(detail["loc"], data), detail["input"]
        message = detail["msg"].removeprefix("Value error, ").replace("Input should", "should")
        value_text = "" if isinstance(got, dict | BaseModel) else f", not {got!r}"
        match detail["type"]:
            case "missing" | "union_tag_not_found":
                yield f"{field} is missing"
            case "extra_forbidden":
                yield f"{field} is not a known key{_meant(str(detail['loc'][-1]), keys)}"
            case "union_tag_invalid":
                tag, choices = detail["ctx"]["tag"], detail["ctx"]["expected_tags"]
                yield f"{field} {tag!r} is none of {choices}"
            case _:
                yield f"{field} {message}{value_text}"


def _path(loc: tuple[int | str, ...], data: Any) -> str:
    """Where the field is, entries of a list by their name: channels.search.response.b.

    A location also holds the kind of curve; the file does not spell that as a key, so what
    cannot be found in the data is left out, unless it is the missing field itself.
    """
    words: list[str] = []
    for depth, key in enumerate(loc):
        if isinstance(key, int) and isinstance(data, list):
            data = data[key]
            words.append(str(data.get("name", key) if isinstance(data, dict) else key))
        elif isinstance(data, dict) and (key in data or depth == len(loc) - 1):
            data = data.get(str(key))
            words.append(str(key))
    return ".".join(words) or "it"


def _meant(key: str, keys: Sequence[str]) -> str:
    """The key that may have been meant; the same one, elsewhere in the file, is no help.

    >>> _meant("channel", ["channel", "channels"])
    " (did you mean 'channels'?)"
    """
    close = difflib.get_close_matches(key, [other for other in keys if other != key], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
