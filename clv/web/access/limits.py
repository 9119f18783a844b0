"""Rate limits: a bucket of tokens per key or address, in bounded memory or in a shared file."""

from __future__ import annotations

import hashlib
import ipaddress
import math
import os
import struct
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

MOST = 10_000  # buckets held; the one unused for longest goes first
SLOTS = 2**16  # buckets of a file: whose names fall together share one
SLOT = struct.Struct("dd")  # tokens, and since when


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
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    inner = parsed.ipv4_mapped
    return str(inner or ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))


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
        self._held[name], seconds = _taken(self.rate, tokens, since, now)
        if len(self._held) > self.most:
            self._held.popitem(last=False)
        return seconds


@dataclass
class SharedBuckets:
    """The same for all processes that name one file, which is made if it is not there.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     one, other = (SharedBuckets(Rate(2, 1), Path(folder, "keys")) for _ in range(2))
    ...     one.wait("ann", now=9.0), other.wait("ann", now=9.0), other.wait("ann", now=9.5)
    (0, 1, 0)
    """

    rate: Rate
    file: Path

    def __post_init__(self) -> None:
        self._descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o600)  # as long as it serves

    def wait(self, name: str, now: float) -> int:
        """As that of ``Buckets``; ``now`` is of a clock that all of them read."""
        import fcntl  # of Linux and macOS, as are several processes on one socket

        digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
        place = int.from_bytes(digest, "big") % SLOTS * SLOT.size
        descriptor = self._descriptor
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            held = os.pread(descriptor, SLOT.size, place).ljust(SLOT.size, b"\0")
            tokens, since = SLOT.unpack(held)
            if since == 0:
                tokens, since = self.rate.burst, now
            left, seconds = _taken(self.rate, tokens, since, now)
            os.pwrite(descriptor, SLOT.pack(*left), place)
            return seconds
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let the file go."""
        os.close(self._descriptor)


def _taken(rate: Rate, tokens: float, since: float, now: float) -> tuple[tuple[float, float], int]:
    """A bucket after a request, and the seconds that the request has to wait."""
    tokens = min(rate.burst, tokens + (now - since) * rate.per_second)
    if tokens >= 1:
        return (tokens - 1, now), 0
    return (tokens, now), max(1, math.ceil((1 - tokens) / rate.per_second))
