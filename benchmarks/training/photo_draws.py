"""Average precision of WIDER FACE on draws of its photographs, for intervals of differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SUBSETS = ("easy", "medium", "hard")


def expect_unseen(names: Sequence[str], data: Path, labels: str = "") -> None:
    """End with a sentence where one of these photographs is among those trained on."""
    from tronie.lab.training.detection_judging import short_name
    from tronie.lab.training.detection_source import open_faces

    with ExitStack() as closing:
        source = open_faces(data, labels=labels, closing=closing)
        seen = {short_name(source.name_of(n)) for n in range(len(source))}
    if both := seen & {short_name(name) for name in names}:
        raise SystemExit(
            f"{len(both)} of the {len(names)} photographs were trained on, such as {min(both)}"
        )


def drawn_photos(photos: int, draws: int, *, seed: int) -> NDArray[np.int64]:
    """How often each photograph is in each draw with replacement: (draws, photos)."""
    return np.random.default_rng(seed).multinomial(photos, np.full(photos, 1 / photos), draws)


def counts_of(
    found: Mapping[str, Any], truth: Mapping[str, Any], names: Sequence[str]
) -> dict[str, NDArray[np.int32]]:
    """What the sweep gives of each photograph, by subset: (photographs, T, 2)."""
    from tronie.evaluation.metrics.detection_ap import best_faces, normalized, sweep

    sorted_ones = []
    for name in names:
        order = np.argsort(-found[name].scores, kind="stable")
        sorted_ones.append((found[name].boxes[order], found[name].scores[order]))
    every = normalized(np.concatenate([scores for _, scores in sorted_ones]))
    counts: dict[str, list[NDArray[np.int64]]] = {subset: [] for subset in SUBSETS}
    start = 0
    for name, (boxes, scores) in zip(names, sorted_ones, strict=True):
        best, own = best_faces(boxes, truth[name].boxes), every[start : start + len(scores)]
        start += len(scores)
        for subset in SUBSETS:
            counts[subset].append(sweep(best, own, counted=truth[name].counted[subset]))
    return {subset: np.stack(one).astype(np.int32) for subset, one in counts.items()}


def precisions(
    counts: NDArray[np.int32], faces: NDArray[np.int64], drawn: NDArray[np.int64]
) -> list[float]:
    """The average precision on all photographs, then on each draw of them."""
    from tronie.evaluation.metrics.detection_ap import average_precision

    each = np.concatenate([np.ones((1, len(faces)), np.int64), drawn])
    sums = (each.astype(np.float64) @ counts.reshape(len(faces), -1)).astype(np.int64)
    return [
        average_precision(one.reshape(-1, 2), faces=max(1, int(weights @ faces)))
        for one, weights in zip(sums, each, strict=True)
    ]
