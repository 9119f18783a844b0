"""The records of JSON lines, of a list, or of an API's answer, as cells of text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from clv.errors import InputError

WRAPPER = 6  # fields at most around the list of an API's answer; a record on its own has more


def records_of(file: str, text: bytes) -> Iterator[Mapping[str, Any]]:
    """The records in the bytes of a file; ``InputError`` where they are none."""
    try:
        records = _listed(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{file} is not JSON lines: {error}.", hint="give one JSON object a line, or a list."
        ) from error
    for place, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise InputError(f"record {place} of {file} is no object.", hint="give one a line.")
        yield record


def _listed(text: str) -> list[Any]:
    """The records of JSON lines, of one list, or of the one list that an API's answer holds."""
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    if isinstance(whole, dict):
        lists = [value for value in whole.values() if _of_objects(value)]
        return lists[0] if len(lists) == 1 and len(whole) <= WRAPPER else [whole]
    return whole if isinstance(whole, list) else [whole]


def _of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    """The fields of a record: those of nested objects by dotted names, lists as JSON."""
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from flat(value, f"{name}.")
        elif value is None or isinstance(value, str):
            yield name, value
        else:
            yield name, json.dumps(value, ensure_ascii=False)
