"""Numbers and names as the sentences of a decision write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

ATTRIBUTED = "attributed, not incremental"
SHOWN = 3  # names in one sentence


def kind_of_customers(incrementality: Iterable[float]) -> str:
    """What new customers are counted as: incremental only where every factor is below 1.

    >>> kind_of_customers([0.8, 1.0]), kind_of_customers([0.8])
    ('attributed, not incremental', 'incremental')
    """
    return ATTRIBUTED if any(factor == 1 for factor in incrementality) else "incremental"


def money(amount: float) -> str:
    """An amount as people write it.

    >>> money(8515.4), money(12.3), money(40.0), money(0.000012)
    ('8,515', '12.30', '40', '1.2e-05')
    """
    if abs(amount) >= 1000 or float(amount).is_integer():
        return f"{amount:,.0f}"
    return f"{amount:.2f}" if abs(amount) >= 0.1 else f"{amount:.4g}"


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are.

    >>> some(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
