"""Rate limits: a bucket of tokens per key or address, in bounded memory."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from dataclasses import dataclass, field

MOST = 10_000  # buckets held; the one unused for longest goes first


@dataclass(frozen=True)
class Rate:
    """So many requests per second in the long run, and ``burst`` at once."""

    per_second: float
    burst: float


def neighbourhood(address: str) -> str:
    """Whom an address counts as: itself; of IPv6 the network that one subscriber has.

    >>> neighbourhood("192.0.2.7"), neighbourhood("::ffff:192.0.2.7"), neighbourhood("2001:db8::7")
    ('192.0.2.7', '192.0.2.7', '2001:db8::/64')
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    inner = found.ipv4_mapped
    return str(inner or ipaddress.ip_network((int(found) >> 64 << 64, 64)))


@dataclass
class Buckets:
    """One bucket of tokens per name; each request takes one, time fills them up again.

    >>> buckets = Buckets(Rate(per_second=2, burst=1))
    >>> buckets.wait("ann", now=0.0), buckets.wait("ann", now=0.0), buckets.wait("ann", now=0.5)
    (0, 1, 0)
    """

    rate: Rate
    most: int = MOST
    _held: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict, init=False)

    def wait(self, name: str, now: float) -> int:
        """0 if a request may go on, which takes a token; else whole seconds until it may."""
        tokens, since = self._held.pop(name, (self.rate.burst, now))
        tokens = min(self.rate.burst, tokens + (now - since) * self.rate.per_second)
        allowed = tokens >= 1
        self._held[name] = (tokens - 1 if allowed else tokens, now)
        if len(self._held) > self.most:
            self._held.popitem(last=False)
        return 0 if allowed else max(1, math.ceil((1 - tokens) / self.rate.per_second))
