"""The DET curve of all pairs: exact where the best impostor pairs are kept, sampled beyond.

A run keeps the K + 1 best impostor pairs, so every threshold above the lowest of them has an
exact FMR. The rest of the curve comes from a sample of impostor pairs, where there is one; its
points say so. FNMR is exact all along: all genuine pairs are scored.

Letters: K pairs kept, S pairs sampled, M impostor pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tronie.evaluation.metrics.verification import just_above
from tronie.evaluation.pairs.genuine import BINS
from tronie.evaluation.report_parts import Curve, CurvePoint, Histogram

PER_DECADE = 10
HIGHEST = 0.5
"""Beyond an FMR of one half nobody sets a threshold."""


@dataclass(frozen=True, kw_only=True)
class CurveThreshold:
    """A place of the curve whose genuine pairs are not counted yet."""

    threshold: float
    false_matches: int
    pairs: int
    """Impostor pairs of which `false_matches` are: M, or S."""
    sampled: bool


def curve_thresholds(
    best: NDArray[np.float64], sample: NDArray[np.float64], *, impostor_pairs: int
) -> list[CurveThreshold]:
    """Thresholds at rising FMR, ten a decade, each as low as its FMR allows.

    Args:
        best: The highest impostor scores, falling, none left out.
        sample: Scores of a sample of impostor pairs, ascending; may be empty.
    """
    found: list[CurveThreshold] = []
    falling = sample[::-1]
    steps = math.ceil(math.log10(impostor_pairs) * PER_DECADE) if impostor_pairs > 1 else 0
    for step in range(-steps, 1):
        far = 10 ** (step / PER_DECADE)
        if far > HIGHEST:
            break
        for scores, pairs, sampled in (
            (best, impostor_pairs, False),
            (falling, len(falling), True),
        ):
            allowed = int(far * pairs)
            if not 1 <= allowed < len(scores):
                continue
            threshold = just_above(float(scores[allowed]))
            accepted = int(np.searchsorted(-scores, -threshold, side="right"))
            if accepted and (not found or threshold < found[-1].threshold):
                found.append(
                    CurveThreshold(
                        threshold=threshold, false_matches=accepted, pairs=pairs, sampled=sampled
                    )
                )
            break
    return found


def curve_of(
    thresholds: list[CurveThreshold], misses: NDArray[np.int64], *, genuine_pairs: int
) -> Curve:
    """The curve, once the misses at each threshold are counted."""
    return Curve(
        points=tuple(
            CurvePoint(
                threshold=place.threshold,
                fmr=place.false_matches / place.pairs,
                fnmr=missed / genuine_pairs,
                false_matches=place.false_matches,
                misses=missed,
                sampled=place.sampled,
            )
            for place, missed in zip(thresholds, misses.tolist(), strict=True)
        )
    )


def histogram(kind: str, counts: NDArray[np.int64], *, sampled: bool) -> Histogram:
    """A histogram of the Report from counts over scores from -1 to 1."""
    assert len(counts) == BINS
    return Histogram(kind=kind, low=-1.0, high=1.0, counts=tuple(counts.tolist()), sampled=sampled)
