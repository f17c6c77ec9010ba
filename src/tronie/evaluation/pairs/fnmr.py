"""FNMR of an operating point, as a number of a Report: the misses, and their interval."""

from __future__ import annotations

from tronie.evaluation.metrics.intervals import Interval, wilson
from tronie.evaluation.report import Value
from tronie.evaluation.report_parts import OperatingPoint


def fnmr_value(point: OperatingPoint) -> Value:
    """Misses over genuine pairs, with the interval of its TAR turned round.

    Where resampling says nothing, since there is no miss or nothing else, it is Wilson's.
    """
    tar = point.tar_interval
    if tar is None:
        interval = wilson(point.misses, point.genuine_pairs)
    else:
        interval = Interval(
            low=1 - tar.high, high=1 - tar.low, method=tar.method, confidence=tar.confidence
        )
    return Value(
        value=point.misses / point.genuine_pairs,
        unit="fraction",
        count=point.misses,
        total=point.genuine_pairs,
        interval=interval,
    )
