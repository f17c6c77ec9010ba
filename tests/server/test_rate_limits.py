"""Rate limits: against a list of moments that is counted anew each time."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from tronie.server.rate_limits import Rate, RateLimits, address_key

NOW = datetime(2030, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_so_many_in_so_long_and_then_again_when_it_says():
    limits = RateLimits({"try": Rate(most=2, per=MINUTE)})
    assert limits.take("try", "a", NOW) is None
    assert limits.take("try", "a", NOW + MINUTE / 2) is None
    assert limits.take("try", "a", NOW + MINUTE / 2) == NOW + MINUTE
    assert limits.next_at("try", "a", NOW + MINUTE / 2) == NOW + MINUTE
    assert limits.take("try", "b", NOW + MINUTE / 2) is None
    assert limits.next_at("try", "a", NOW + MINUTE) is None
    assert limits.take("try", "a", NOW + MINUTE) is None


def test_any_window_holds_at_most_so_many():
    draw = random.Random(5)
    limits = RateLimits({"try": Rate(most=5, per=MINUTE)})
    now, allowed = NOW, []
    for _ in range(500):
        now += timedelta(seconds=draw.random() * 8)
        inside = [moment for moment in allowed if moment > now - MINUTE]
        taken = limits.take("try", "a", now) is None
        assert taken == (len(inside) < 5)
        if taken:
            allowed.append(now)


def test_what_is_remembered_is_bounded_and_the_longest_unseen_go_first():
    limits = RateLimits({"try": Rate(most=1, per=MINUTE)}, most_keys=3)
    for who in "abca":
        limits.take("try", who, NOW)
    limits.take("try", "d", NOW)
    assert len(limits) == 3
    assert limits.next_at("try", "a", NOW) is not None
    assert limits.next_at("try", "b", NOW) is None


def test_an_ipv6_network_counts_as_one():
    assert address_key("2001:db8:1:2::1") == address_key("2001:db8:1:2:ffff::9")
    assert address_key("2001:db8:1:2::1") != address_key("2001:db8:1:3::1")
    assert address_key("::ffff:192.0.2.7") == address_key("192.0.2.7") == "192.0.2.7"
    assert address_key("testclient" * 20) == ("testclient" * 20)[:64]
