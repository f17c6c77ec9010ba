"""Many photographs of one person to one template, and which of them look like somebody else.

The template is the mean of the unit embeddings, made a unit vector again. A photograph
whose score against the template of the person's other photographs is below the threshold
is kept, and named in a warning: a wrong photograph spoils a template more than none.

Letters: N photographs, G people, D numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray
from tronie.geometry.hypersphere import normalize
from tronie.geometry.templates import mean_template


class Templates(NamedTuple):
    """One unit row a person."""

    names: tuple[str, ...]
    """(G,), in the order of their first photograph."""
    matrix: NDArray[np.float32]
    """(G, D), unit rows."""
    warnings: tuple[str, ...]
    """One sentence for each photograph that does not look like its person's others."""


def person_templates(
    names: Sequence[str],
    embeddings: NDArray[np.floating],
    *,
    sources: Sequence[str],
    threshold: float,
) -> Templates:
    """One template a person from all their photographs.

    Args:
        names: Whose each photograph is, length N.
        embeddings: Shape (N, D), of any length but zero.
        sources: What each photograph is called in a warning, length N.
        threshold: Cosine below which a photograph does not look like the others.

    Raises:
        BadArray: the lengths differ, or an embedding is zero or not finite, or a person's
            embeddings cancel to zero.
    """
    if not len(names) == len(embeddings) == len(sources):
        raise BadArray(
            "names, embeddings and sources must be of one length; "
            f"got {len(names)}, {len(embeddings)} and {len(sources)}"
        )
    unit = normalize(embeddings)[0]
    warnings: list[str] = []
    matrix: list[NDArray[np.float32]] = []
    rows_of = group_rows(names)
    for name, rows in rows_of.items():
        matrix.append(mean_template(unit[rows]))
        for row, score in zip(rows, _scores_against_others(unit[rows]), strict=True):
            if score < threshold:
                warnings.append(
                    f"{sources[row]} does not look like the others of {name}: it scores "
                    f"{score:.3f} against them, below {threshold:.3f}. Is it the same person?"
                )
    stacked = np.stack(matrix) if matrix else np.zeros((0, unit.shape[1]), np.float32)
    return Templates(tuple(rows_of), stacked, tuple(warnings))


def group_rows(names: Sequence[str]) -> dict[str, list[int]]:
    """The rows of each name, names in the order they first occur."""
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    return rows


def _scores_against_others(unit: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosine of each row with the sum of the others: 1 where there are none, 0 if they cancel."""
    if len(unit) < 2:
        return np.ones(len(unit))
    rows = unit.astype(np.float64)
    others = rows.sum(axis=0) - rows
    lengths = np.linalg.norm(others, axis=1)
    scores = (rows * others).sum(axis=1) / np.maximum(lengths, 1e-12)
    return np.where(lengths > 1e-6, scores, 0.0)
