"""Which photograph of a person looks like somebody else?

A photograph whose score against the mean of the person's other photographs is below the
threshold is named in a warning: probes are compared with every photograph of the gallery, and
a wrong one lets the wrong person in.

Letters: N photographs of one person, D numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray


def unlike_the_others(
    name: str, unit: NDArray[np.float32], *, sources: Sequence[str], threshold: float
) -> tuple[str, ...]:
    """One sentence for each photograph that does not look like its person's others.

    Args:
        name: Whose the photographs are.
        unit: Their unit embeddings, shape (N, D).
        sources: What each photograph is called in a warning, length N.
        threshold: Cosine below which a photograph does not look like the others.

    Raises:
        BadArray: there are not as many sources as embeddings.
    """
    if len(unit) != len(sources):
        raise BadArray(f"one source an embedding is needed; got {len(sources)} for {len(unit)}")
    scores = _scores_against_others(unit)
    return tuple(
        f"{source} does not look like the others of {name}: it scores {score:.3f} against them, "
        f"below {threshold:.3f}. Is it the same person?"
        for source, score in zip(sources, scores, strict=True)
        if score < threshold
    )


def _scores_against_others(unit: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosine of each row with the sum of the others: 1 where there are none, 0 if they cancel."""
    if len(unit) < 2:
        return np.ones(len(unit))
    rows = unit.astype(np.float64)
    others = rows.sum(axis=0) - rows
    lengths = np.linalg.norm(others, axis=1)
    scores = (rows * others).sum(axis=1) / np.maximum(lengths, 1e-12)
    return np.where(lengths > 1e-6, scores, 0.0)
