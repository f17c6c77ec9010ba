"""Times read from a clock that the test winds."""

from __future__ import annotations

import statistics

import pytest

from toys import toy_embedder
from tronie.errors import BadModel
from tronie.runtime import latency as timing
from tronie.runtime.latency import latency, nearest_rank
from tronie.runtime.session import EngineOptions, open_session


@pytest.fixture
def session(tmp_path):
    return open_session(toy_embedder(tmp_path / "toy.onnx"), EngineOptions(threads=1))


def clock_of(durations):
    """Read twice a call: at its start, and a duration later; the last one goes on for ever."""
    ticks = [0.0]
    left = list(durations)

    def clock():
        now = ticks[-1]
        if len(ticks) % 2:
            ticks.append(now + (left.pop(0) if len(left) > 1 else left[0]))
        else:
            ticks.append(now)
        return now

    return clock


def test_slow_calls_are_warmed_up_once_and_timed_three_times(session):
    told = latency(session, batch=2, clock=clock_of([9.0, 2.0, 4.0, 3.0]))
    assert (told.batch, told.runs, told.threads) == (2, 3, 1)
    assert told.median_ms == pytest.approx(3000.0)
    assert told.p99_ms == pytest.approx(4000.0)


def test_fast_calls_go_on_until_the_budget_is_spent(session):
    told = latency(session, batch=1, clock=clock_of([0.1]))
    assert told.runs == pytest.approx(timing.BUDGET_S / 0.1, abs=1)
    assert told.median_ms == pytest.approx(100.0)


def test_the_number_of_calls_is_bounded(session, monkeypatch):
    monkeypatch.setattr(timing, "MOST_RUNS", 7)
    assert latency(session, batch=1, clock=clock_of([1e-6])).runs == 7


def test_a_real_clock_gives_a_time(session, monkeypatch):
    monkeypatch.setattr(timing, "BUDGET_S", 0.01)
    told = latency(session, batch=3)
    assert 0 < told.median_ms <= told.p99_ms
    assert told.runs >= timing.LEAST_RUNS


@pytest.mark.parametrize("n", [1, 2, 3, 99, 100, 101, 200])
def test_the_nearest_rank_is_the_least_value_that_covers_the_share(n):
    values = [float((7 * k) % n) for k in range(n)]
    covering = [v for v in values if sum(w <= v for w in values) >= 0.99 * n]
    assert nearest_rank(values, 0.99) == min(covering)


def test_half_of_an_odd_number_is_the_median():
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert nearest_rank(values, 0.5) == statistics.median(values)


def test_a_file_with_another_batch_is_refused(tmp_path):
    fixed = open_session(
        toy_embedder(tmp_path / "one.onnx", batch=1), EngineOptions(threads=1), name="one"
    )
    words = "model one takes batches of 1 only, and cannot be timed on 32; ask for --batch 1"
    with pytest.raises(BadModel, match=words):
        latency(fixed, batch=32)
