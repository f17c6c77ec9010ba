"""Templates: many embeddings of one person pooled into one.

    mean                normalize(sum of the unit embeddings)           every photo counts alike
    norm-weighted       normalize(sum of the embeddings as they came)   a photo counts by its norm

The norm of an embedding falls for blurred, small and turned faces with most networks, so
the second lets poor photographs count less. Which is better is a question to the data.

Letters: N embeddings of one person, D numbers in each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray
from tronie.geometry.hypersphere import normalize

Floats = NDArray[np.floating[Any]]


def mean_template(unit: Floats) -> NDArray[np.float32]:
    """The direction of the mean of unit embeddings: shape (D,), length 1.

    Rows are normalized first, so raw embeddings give the same answer.

    Args:
        unit: Shape (N, D), N of at least 1.

    Raises:
        BadArray: another shape, no rows, a row of zeros, or rows that cancel out.
    """
    _expect_some(unit)
    return _direction(normalize(unit)[0])


def norm_weighted_template(raw: Floats) -> NDArray[np.float32]:
    """The direction of the mean of embeddings as the network gave them: shape (D,), length 1.

    Args:
        raw: Shape (N, D), N of at least 1, not normalized.

    Raises:
        BadArray: another shape, no rows, a value that is not finite, or rows that cancel out.
    """
    _expect_some(raw)
    return _direction(raw)


def _direction(rows: Floats) -> NDArray[np.float32]:
    total = rows.astype(np.float64).sum(axis=0, keepdims=True)
    longest = np.abs(rows).max()
    if np.sqrt((total**2).sum()) <= 1e-6 * longest:
        raise BadArray(f"the {len(rows)} embeddings cancel out, so their mean has no direction")
    unit, _ = normalize(total)
    return unit.reshape(-1)


def _expect_some(rows: Floats) -> None:
    if rows.ndim != 2 or len(rows) == 0:
        raise BadArray(
            f"a template is made of at least one embedding, shape (N, D); got shape {rows.shape}"
        )
    if not np.isfinite(rows).all():
        raise BadArray("embeddings must be finite to be pooled; got NaN or infinity")
