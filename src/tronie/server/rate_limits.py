"""How often somebody may do something: a sliding window, in memory, bounded.

    limits = RateLimits({"sign-in": Rate(most=20, per=timedelta(minutes=10))})
    limits.take("sign-in", "192.0.2.7", now)    None, or the moment from which it is possible

At most `most_keys` visitors are remembered; beyond, those unseen for longest are forgotten. A
restart forgets all, and several processes count each for itself: what must be exact, such as
submissions of a day, is counted by the database.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

MOST_KEYS = 20_000
_IPV6_NETWORK_BITS = 64


@dataclass(frozen=True, kw_only=True)
class Rate:
    """So many times in so long."""

    most: int
    per: timedelta


class RateLimits:
    """Who did what when, for a few rules. May be used from several threads."""

    def __init__(self, rates: Mapping[str, Rate], *, most_keys: int = MOST_KEYS) -> None:
        self._rates = dict(rates)
        self._most_keys = most_keys
        self._seen: OrderedDict[tuple[str, str], deque[datetime]] = OrderedDict()
        self._lock = Lock()

    def take(self, what: str, who: str, now: datetime) -> datetime | None:
        """Count one more; None where it is allowed, else the moment when the next one is.

        What is not allowed is not counted.
        """
        with self._lock:
            moments = self._moments(what, who, now)
            if len(moments) >= self._rates[what].most:
                return moments[0] + self._rates[what].per
            moments.append(now)
            return None

    def next_at(self, what: str, who: str, now: datetime) -> datetime | None:
        """As `take`, without counting."""
        with self._lock:
            moments = self._moments(what, who, now)
            full = len(moments) >= self._rates[what].most
            return moments[0] + self._rates[what].per if full else None

    def _moments(self, what: str, who: str, now: datetime) -> deque[datetime]:
        moments = self._seen.setdefault((what, who), deque())
        self._seen.move_to_end((what, who))
        while len(self._seen) > self._most_keys:
            self._seen.popitem(last=False)
        begin = now - self._rates[what].per
        while moments and moments[0] <= begin:
            moments.popleft()
        return moments

    def __len__(self) -> int:
        return len(self._seen)


def address_key(address: str) -> str:
    """Who an address counts as: itself, or its network of 64 bits where it is IPv6.

    Example:
        >>> address_key("2001:db8::1") == address_key("2001:db8::2")
        True
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if found.version == 4:
        return str(found)
    mapped = found.ipv4_mapped
    if mapped is not None:
        return str(mapped)
    return str(ipaddress.ip_network((found, _IPV6_NETWORK_BITS), strict=False))
