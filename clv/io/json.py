"""Any value as plain JSON has it: numbers without NaN or infinity, dates and enums as text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it: dates as text, infinite and missing numbers as None.

    >>> plain({"a": (1, float("nan")), "day": __import__("datetime").date(2024, 3, 1)})
    {'a': [1, None], 'day': '2024-03-01'}
    """
    match value:
        case float():
            return value if math.isfinite(value) else None
        case None | bool() | int() | str():
            return value
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return str(value)
