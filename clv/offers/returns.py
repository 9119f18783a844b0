"""What came back, taken off the purchases that it undoes: the customer's latest of the item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clv.offers.order_lines import Flags, Lines
from clv.schema import Floats

DUST = 1e-9


@dataclass(frozen=True)
class NetLines:
    """Purchases after returns.

    Attributes
    ----------
    lines
        What was kept: units, amount and margin shrunk by the share that came back.
    returned
        Lines of purchases that came back whole.
    unmatched, unmatched_amount
        Returns, or parts of them, whose purchase is not in the lines, and their money.
    """

    lines: Lines
    returned: int
    unmatched: int
    unmatched_amount: float


def net_returns(lines: Lines) -> NetLines:
    """Take returns off the latest earlier purchases of the same item by the same customer.

    Parameters
    ----------
    lines
        In order of customer, item, day and order. Returns have negative amounts. They are counted
        in units where every line has them, else in money.

    Examples
    --------
    >>> whole = np.zeros(3, dtype=np.int32)
    >>> units = np.array([2.0, 3.0, -4.0])
    >>> day = np.arange(3, dtype=np.int32)
    >>> bought = Lines(whole, whole, day, day, units, 5 * units, np.full(3, np.nan))
    >>> net_returns(bought).lines.amount
    array([5.])
    """
    back = lines.amount < 0
    if not back.any():
        return NetLines(lines, 0, 0, 0.0)
    by_units = bool(np.all(np.isfinite(lines.units) & (lines.units != 0)))
    size = np.abs(lines.units if by_units else lines.amount)
    remaining, unmet = _matched(lines, back, size)
    share = np.where(back, 0.0, remaining / size)
    kept = ~back & (share > DUST)
    lost = np.abs(lines.amount[back]) * unmet[back] / size[back]
    net = lines._replace(
        units=lines.units * share, amount=lines.amount * share, margin=lines.margin * share
    )
    return NetLines(
        net.where(kept),
        int(np.sum(~back & ~kept)),
        int(np.sum(unmet > DUST)),
        float(lost.sum()),
    )


def _matched(lines: Lines, back: Flags, size: Floats) -> tuple[Floats, Floats]:
    """Of each purchase what was kept, of each return what found no purchase, both as ``size``."""
    pair = np.cumsum(lines.first_of("customer", "item"))
    concerned = np.zeros(int(pair[-1]) + 1, dtype=bool)
    concerned[pair[back]] = True
    rows = np.flatnonzero(concerned[pair])
    remaining, unmet = size.copy(), np.zeros(len(size))
    earlier: list[int] = []
    current = -1
    for row, its_pair, returned in zip(
        rows.tolist(), pair[rows].tolist(), back[rows].tolist(), strict=True
    ):
        if its_pair != current:
            current, earlier = its_pair, []
        if not returned:
            earlier.append(row)
            continue
        rest = size[row]
        while rest > DUST and earlier:
            taken = min(rest, remaining[earlier[-1]])
            remaining[earlier[-1]] -= taken
            rest -= taken
            if remaining[earlier[-1]] <= DUST:
                earlier.pop()
        unmet[row] = rest
    return remaining, unmet
