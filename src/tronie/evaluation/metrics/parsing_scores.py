"""Scores of label maps from one table of counts: F1 and IoU of classes and merged classes.

    confusion[t, p]    pixels whose true label is t and whose found label is p
    F1 of a class      2 |P and G| / (|P| + |G|)         P found, G true, as sets of pixels
    IoU                |P and G| / |P or G|
    mean F1            over the classes but the background
    mIoU               over the classes, the background included

The counts are exact integers, so the scores of a set do not depend on its order: add the
tables of all photographs, then score. A merged class is the union of its labels: a left
brow found as a right one is right where both are "brows".

A class that is neither in the truth nor found has no score: NaN, and not in the means.

Letters: C classes.

Source: the pixel counts of Smith et al., "Exemplar-Based Face Parsing", CVPR 2013. Differs
from published code: a class that is nowhere has IoU 0 there and lowers the mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, NotEnoughData
from tronie.evaluation.report import Value

IGNORED = 255


def confusion(
    truth: NDArray[np.integer], found: NDArray[np.integer], *, classes: int
) -> NDArray[np.int64]:
    """Pixels by true and by found label, shape (C, C).

    Args:
        truth: Labels in [0, C), or 255 where the pixel is not judged; any shape.
        found: Labels in [0, C), of the same shape.

    Raises:
        BadArray: shapes or types that do not fit, or a label out of range.

    Example:
        >>> confusion(np.array([0, 1, 1, 255]), np.array([0, 0, 1, 1]), classes=2).tolist()
        [[1, 0], [1, 1]]
    """
    kinds = {truth.dtype.kind, found.dtype.kind}
    if truth.shape != found.shape or not kinds <= set("iu"):
        raise BadArray(
            "truth and found must be whole numbers of one shape;"
            f" got {truth.dtype} {truth.shape} and {found.dtype} {found.shape}"
        )
    judged = truth != IGNORED
    true, seen = truth[judged].astype(np.int64), found[judged].astype(np.int64)
    for name, labels in (("true", true), ("found", seen)):
        if labels.size and not (labels.min() >= 0 and labels.max() < classes):
            stray = labels[(labels < 0) | (labels >= classes)][0]
            raise BadArray(f"{name} labels must lie in [0, {classes}); got {stray}")
    counted = np.bincount(true * classes + seen, minlength=classes * classes)
    return counted.reshape(classes, classes).astype(np.int64)


def f1(counts: NDArray[np.int64], labels: Iterable[int]) -> float:
    """F1 of the union of some labels; NaN where it is neither true nor found."""
    both, true, found = _sizes(counts, labels)
    return 2 * both / (true + found) if true + found else float("nan")


def iou(counts: NDArray[np.int64], labels: Iterable[int]) -> float:
    """Intersection over union of some labels; NaN where it is neither true nor found."""
    both, true, found = _sizes(counts, labels)
    return both / (true + found - both) if true + found else float("nan")


def summarized(
    counts: NDArray[np.int64],
    *,
    names: Sequence[str],
    merges: Mapping[str, Sequence[str]],
) -> dict[str, Value]:
    """The values of a Report: means first, then F1 by class and by merged class.

    Args:
        counts: Sum of the tables of all photographs, shape (C, C).
        names: Of the C classes; the first is the background.
        merges: A new name to the classes it takes together.

    Returns:
        `mean_f1`, `miou`, `pixel_accuracy`, then `f1_NAME`. A class that is nowhere is
        left out. Count and total of the accuracy are pixels.

    Raises:
        BadArray: a table of another size, or of negative counts.
        NotEnoughData: no pixel, or nothing but background.
    """
    classes = len(names)
    if counts.shape != (classes, classes) or (counts < 0).any():
        raise BadArray(f"counts must have shape ({classes}, {classes}), >= 0; got {counts.shape}")
    total, right = int(counts.sum()), int(np.trace(counts))
    scores = {name: f1(counts, [n]) for n, name in enumerate(names)}
    overlaps = [iou(counts, [n]) for n in range(classes)]
    parts = [scores[name] for name in names[1:] if not np.isnan(scores[name])]
    if total == 0 or not parts:
        raise NotEnoughData(f"{total} pixels hold no class but the background")
    for name, members in merges.items():
        scores[name] = f1(counts, [names.index(member) for member in members])
    values = {
        "mean_f1": Value(value=float(np.mean(parts)), unit="fraction"),
        "miou": Value(value=float(np.nanmean(overlaps)), unit="fraction"),
        "pixel_accuracy": Value(value=right / total, unit="fraction", count=right, total=total),
    }
    by_class = {
        f"f1_{name}": Value(value=score, unit="fraction")
        for name, score in scores.items()
        if not np.isnan(score)
    }
    return {**values, **by_class}


def _sizes(counts: NDArray[np.int64], labels: Iterable[int]) -> tuple[int, int, int]:
    rows = list(labels)
    both = int(counts[np.ix_(rows, rows)].sum())
    return both, int(counts[rows].sum()), int(counts[:, rows].sum())
