"""TAR at a fixed FAR, from genuine and impostor scores.

    FAR(t)   impostor pairs with score >= t, over all impostor pairs     (ISO: FMR)
    TAR(t)   genuine pairs with score >= t, over all genuine pairs       (ISO: 1 - FNMR)

A larger score means more alike. Scores are compared in float64, always: NumPy would round
a threshold to float32 beside float32 scores, and then accept the very pairs it must refuse.

Source: ISO/IEC 19795-1:2021 for the rates.
Differs from the field: scikit-learn's ROC, as the IJB scripts read it, takes the point whose
FAR is nearest to the one asked for, which may be above it; here it is never above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput, NotEnoughData


@dataclass(frozen=True)
class Rate:
    """A rate that keeps its counts: `count` of `total` pairs."""

    count: int
    total: int

    @property
    def value(self) -> float:
        """The fraction, in [0, 1]."""
        return self.count / self.total


def threshold_at_far(impostor: NDArray[np.floating], far: float | Fraction) -> float:
    """Lowest threshold that accepts at most `far` of the impostor pairs.

    Exact: no histogram and no interpolation. Where several pairs tie at the boundary, all
    of them are refused, so the measured FAR never exceeds the one asked for.

    Args:
        impostor: Scores of different-identity pairs, shape (N,), any order, finite.
        far: False accept rate, in (0, 1]. A float is read as the decimal it prints as, so
            that 0.29 of 100 pairs is 29 pairs and not 28; pass a Fraction for one third.

    Returns:
        The threshold, to be used as `score >= threshold` in float64; -inf when far is 1.

    Raises:
        BadArray: `impostor` is not one-dimensional, or holds NaN or infinity.
        BadInput: `far` is outside (0, 1].
        NotEnoughData: fewer than 1 / far pairs, so that no single pair may be accepted.

    Example:
        >>> threshold_at_far(np.array([0.1, 0.2, 0.3, 0.4]), far=0.25) <= 0.4
        True
    """
    scores = _checked("impostor", impostor)
    allowed = accepts_allowed(far, len(scores))
    if allowed == 0:
        raise too_few_pairs(far, len(scores))
    if allowed == len(scores):
        return -math.inf
    rank = len(scores) - allowed - 1
    return just_above(float(np.partition(scores, rank)[rank]))


def just_above(refused: float) -> float:
    """The lowest threshold that refuses a score of `refused`: the next float64 above it."""
    return math.nextafter(refused, math.inf)


def accepts_allowed(far: float | Fraction, pairs: int) -> int:
    """How many of `pairs` impostor pairs may be accepted at `far`: floor(far * pairs), exactly.

    Raises:
        BadInput: `far` is outside (0, 1].
    """
    return math.floor(exact_rate(far) * pairs)


def too_few_pairs(far: float | Fraction, pairs: int) -> NotEnoughData:
    """The refusal of a FAR below one in all `pairs`; it names the smallest that can be asked."""
    return NotEnoughData(
        f"FAR {_print(far)} needs at least {math.ceil(1 / exact_rate(far))} impostor pairs; "
        f"got {pairs}. Add pairs" + _or_ask_for(pairs)
    )


def exact_rate(far: float | Fraction) -> Fraction:
    """A false accept rate as a rational number; a float is read as the decimal it prints as.

    Raises:
        BadInput: it is outside (0, 1].
    """
    if isinstance(far, Fraction):
        rate = far
    elif math.isfinite(far):
        rate = Fraction(str(far))
    else:
        rate = Fraction(0)
    if not 0 < rate <= 1:
        raise BadInput(f"a FAR must lie in (0, 1]; got {far}")
    return rate


def tar_at_threshold(genuine: NDArray[np.floating], threshold: float) -> Rate:
    """Genuine pairs accepted at `score >= threshold`, of all genuine pairs.

    Args:
        genuine: Scores of same-identity pairs, shape (N,), finite.

    Raises:
        BadArray: `genuine` is not one-dimensional, or holds NaN or infinity.
        NotEnoughData: there are no pairs.
    """
    return _accepted("genuine", genuine, threshold)


def _accepted(name: str, values: NDArray[np.floating], threshold: float) -> Rate:
    scores = _checked(name, values)
    if len(scores) == 0:
        raise NotEnoughData(f"a rate needs at least one {name} pair; got none")
    return Rate(int(np.count_nonzero(scores >= threshold)), len(scores))


def _checked(name: str, values: NDArray[np.floating]) -> NDArray[np.float64]:
    scores = np.asarray(values, dtype=np.float64)
    unusable = int(np.count_nonzero(~np.isfinite(scores)))
    if scores.ndim != 1 or unusable:
        raise BadArray(
            f"{name} scores must have shape (N,) and hold no NaN and no infinity; "
            f"got shape {scores.shape} with {unusable} of them"
        )
    return scores


def _print(far: float | Fraction) -> str:
    return str(far) if isinstance(far, Fraction) else f"{far:.3g}"


def _or_ask_for(pairs: int) -> str:
    if pairs == 0:
        return "."
    # Two digits, rounded up: rounded down, the FAR that is advised would be refused again.
    digits = 1 - math.floor(math.log10(1 / pairs))
    possible = math.ceil(Fraction(10**digits, pairs)) / 10**digits
    return f", or ask for FAR >= {possible:.1e}."
