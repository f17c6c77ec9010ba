"""FNMR is what TAR leaves."""

from __future__ import annotations

import pytest

from tronie.evaluation.metrics.intervals import Interval, wilson
from tronie.evaluation.pairs.fnmr import fnmr_value
from tronie.evaluation.report_parts import OperatingPoint


def point(accepted, interval=None):
    return OperatingPoint(
        far=1e-3,
        threshold=0.5,
        achieved_far=1e-3,
        false_matches=1,
        impostor_pairs=1000,
        tar=accepted / 40,
        accepted=accepted,
        genuine_pairs=40,
        tar_interval=interval,
    )


def test_the_interval_of_tar_is_turned_round():
    told = fnmr_value(point(30, Interval(low=0.7, high=0.85, method="people")))
    assert (told.value, told.count, told.total) == (0.25, 10, 40)
    assert told.interval.low == pytest.approx(0.15)
    assert told.interval.high == pytest.approx(0.3)
    assert told.interval.method == "people"


def test_without_a_miss_the_interval_is_that_of_wilson():
    told = fnmr_value(point(40))
    assert told.value == 0
    assert told.interval == wilson(0, 40)
