"""Times against a clock that the test holds: median, p95, factor, and what depends on content."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.server.challenge.probe_crops import drawn_crops
from tronie.server.challenge.timing import (
    CONTENT_ROUNDS,
    ROUNDS,
    TURNS,
    WARM_UP,
    Timing,
    time_model,
    timing_checks,
)
from tronie.server.challenge.track import Column, Limits, Reference, Track

CROPS = drawn_crops(8)


def track(limit=10.0, *, reference=True):
    machine = Reference(machine="GPU", network="iresnet-18", latency_ms=2.0)
    return Track(
        title="T",
        summary="S",
        rules=(),
        protocol="lfw-all",
        takes="model",
        limits=Limits(upload_bytes=1, latency_ms=limit),
        reference=machine if reference else None,
        columns=(Column(key="score", title="Score"),),
    )


class Clocked:
    """A model whose times are a function of the picture and the round."""

    def __init__(self, time):
        self.time = time
        self.asked = []

    def latencies_ms(self, pixels, *, batch=1, rounds, warmup):
        self.asked.append((len(pixels), batch, rounds, warmup))
        return np.array([self.time(pixels[n % len(pixels)], n) for n in range(rounds)], float)


def test_median_and_p95_are_of_all_rounds_on_single_crops():
    timing = time_model(Clocked(lambda picture, n: float(n + 1)), CROPS)
    assert ROUNDS == 60
    assert timing.median_ms == 30.5
    assert timing.p95_ms == 57.0  # the least that 57 of 60 do not exceed


def test_each_call_is_warm_and_of_one_crop():
    model = Clocked(lambda picture, n: 1.0)
    time_model(model, CROPS)
    assert model.asked[0] == (8, 1, ROUNDS, WARM_UP)
    assert model.asked[1:] == [(n, 1, CONTENT_ROUNDS, 1) for _ in range(TURNS) for n in (8, 1, 1)]


def test_crops_come_in_another_order_than_they_lie():
    seen = []
    model = Clocked(lambda picture, n: seen.append(picture) or 1.0)
    time_model(model, CROPS)
    given = [p.sum() for p in seen[:8]]
    first = [((c / 127.5) - 1).sum() for c in CROPS]
    assert sorted(given) == pytest.approx(sorted(first), abs=1)
    assert given != pytest.approx(first, abs=1)


def test_the_sixth_fastest_call_is_not_what_counts():
    """The loophole: five fast calls, and the limit was kept."""
    timing = time_model(Clocked(lambda picture, n: 1.0 if n < 6 else 30.0), CROPS)
    assert [c.rule for c in timing_checks(timing, track(), factor=1.0) if not c.passed] == [
        "limits.latency_ms",
        "limits.latency_p95_ms",
    ]


@pytest.mark.parametrize("kind", ["black", "noise", "crops"])
def test_time_that_depends_on_the_picture_is_refused(kind):
    def time(picture, n):
        flat, rough = picture.std() == 0, np.abs(np.diff(picture, axis=2)).mean() > 0.5
        found = "black" if flat else "noise" if rough else "crops"
        return 6.0 if found == kind else 1.0

    (check,) = [
        c
        for c in timing_checks(time_model(Clocked(time), CROPS), track(), factor=1.0)
        if not c.passed
    ]
    assert check.rule == "behavior.latency"
    assert "some pictures take 6.00 times as long as others, where 4 is the most" in check.reason


def test_a_machine_that_stumbles_is_not_taken_for_it():
    def time(picture, n):
        return 50.0 if picture.std() == 0 and n % 4 else 1.0

    assert time_model(Clocked(time), CROPS).content_ratio == 1.0


def test_a_limit_is_kept_at_it_and_broken_beyond_by_the_factor():
    timing = Timing(median_ms=40.0, p95_ms=80.0, content_ratio=1.0)
    assert all(c.passed for c in timing_checks(timing, track(10.0), factor=4.0))
    slower = Timing(median_ms=40.1, p95_ms=80.1, content_ratio=1.0)
    median, p95, content = timing_checks(slower, track(10.0), factor=4.0)
    assert (median.passed, p95.passed, content.passed) == (False, False, True)
    assert (median.measured, median.limit, median.unit) == (10.025, 10.0, "ms")
    assert median.reason == (
        "half of the calls take at most 40.10 ms a crop here, which stands for 10.025 ms on GPU: "
        "the factor of this machine is 4.000, by iresnet-18; at most 10 ms are allowed. Send a "
        "faster network"
    )
    assert p95.limit == 20.0
    assert p95.reason.startswith("19 of 20 calls take at most 80.10 ms a crop here")


def test_without_a_reference_the_time_here_counts():
    timing = Timing(median_ms=4.0, p95_ms=5.0, content_ratio=1.0)
    median, *_ = timing_checks(timing, track(10.0, reference=False), factor=1.0)
    assert median.reason == (
        "half of the calls take at most 4.00 ms a crop here; at most 10 ms are allowed"
    )


def test_without_a_limit_times_are_told():
    timing = Timing(median_ms=4e9, p95_ms=5e9, content_ratio=1.0)
    checks = timing_checks(timing, track(None, reference=False), factor=1.0)
    assert all(c.passed for c in checks)
    assert [c.limit for c in checks][:2] == [None, None]


def test_facts_are_plain_json():
    timing = Timing(median_ms=4.0, p95_ms=5.0, content_ratio=1.5)
    assert timing.facts(2.0) == {
        "latency_here_median_ms": 4.0,
        "latency_here_p95_ms": 5.0,
        "latency_content_ratio": 1.5,
        "calibration_factor": 2.0,
    }
