"""Exact top-k and threshold search over the stored embeddings.

Every probe is compared with every row. A float64 matrix product finds the candidates and
each of them is then scored again by a sum of fixed order, so that neither the block size
nor the matrix library decides between two equal rows: the lower row comes first.

Letters: P probes, G rows of the gallery, D numbers, k matches of a probe.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput
from tronie.geometry.hypersphere import cosine_scores

BLOCK_ROWS = 16384

# A float64 sum of D products of unit rows is off by less than D * 2^-53: 1e-9 covers any D
# below eight million.
_SCREEN_ERROR = 1e-9


class Matches(NamedTuple):
    """What one probe found: falling scores, equal ones by rising row."""

    rows: NDArray[np.int64]
    """(k,), rows of the gallery."""
    scores: NDArray[np.float64]
    """(k,), cosines."""


def search(
    probes: NDArray[np.float32],
    gallery: NDArray[np.float32],
    *,
    top: int,
    threshold: float = -math.inf,
    block_rows: int = BLOCK_ROWS,
) -> list[Matches]:
    """The `top` rows most like each probe among those with `score >= threshold`.

    Args:
        probes: Unit rows, shape (P, D).
        gallery: Unit rows, shape (G, D); G may be 0.
        top: At most so many matches a probe, 1 or more.
        threshold: A cosine, compared in float64.
        block_rows: Rows of the gallery compared at once; changes memory, never a result.

    Returns:
        One Matches a probe, in the order of the probes; empty where nothing reaches the
        threshold.

    Raises:
        BadArray: shapes do not fit, or a number is not finite.
        BadInput: `top` is below 1, or `threshold` is NaN.
    """
    if probes.ndim != 2 or gallery.ndim != 2 or probes.shape[1] != gallery.shape[1]:
        raise BadArray(
            f"probes and gallery must be (P, D) and (G, D); got {probes.shape} and {gallery.shape}"
        )
    if not (np.isfinite(probes).all() and np.isfinite(gallery).all()):
        raise BadArray("probes and gallery must be finite; got NaN or infinity")
    if top < 1 or math.isnan(threshold):
        raise BadInput(f"search needs top >= 1 and a threshold; got {top} and {threshold}")

    candidates: list[list[NDArray[np.int64]]] = [[] for _ in probes]
    best = np.full((len(probes), top), -np.inf)
    for start in range(0, len(gallery), block_rows):
        scores = cosine_scores(probes, gallery[start : start + block_rows])
        best = _largest(np.concatenate([best, scores], axis=1), top)
        floors = np.maximum(best[:, 0], threshold) - 2 * _SCREEN_ERROR
        for found, row, floor in zip(candidates, scores, floors, strict=True):
            found.append(np.flatnonzero(row >= floor) + start)
    return [
        _decide(probe, gallery, np.concatenate([np.empty(0, np.int64), *found]), top, threshold)
        for probe, found in zip(probes, candidates, strict=True)
    ]


def search_people(
    probes: NDArray[np.float32],
    gallery: NDArray[np.float32],
    owners: Sequence[str],
    *,
    top: int,
    threshold: float = -math.inf,
) -> list[Matches]:
    """As `search`, but each person once: a person's score is the best of their photographs'.

    Args:
        probes: Unit rows, shape (P, D).
        gallery: Unit rows, one a photograph, shape (G, D).
        owners: Whose each photograph is, length G.
        top: At most so many people a probe, 1 or more.

    Returns:
        One Matches a probe; each row is the best photograph of its person (of equal ones
        the lower row).

    Raises:
        BadArray, BadInput: as `search`; or there are not as many owners as rows.
    """
    if len(owners) != len(gallery):
        raise BadArray(f"one owner a row is needed; got {len(owners)} for {len(gallery)} rows")
    most = max(Counter(owners).values(), default=1)
    # `top` people are among the first (top - 1) * most + 1 photographs, whoever they are of.
    photos = max(min((top - 1) * most + 1, len(gallery)), min(top, 1))
    found = search(probes, gallery, top=photos, threshold=threshold)
    return [_one_a_person(matches, owners, top) for matches in found]


def expected_fpir(fmr: float, gallery_size: int) -> float:
    """Chance that a stranger is taken for somebody in a gallery: 1 - (1 - fmr)^N.

    As if the N comparisons were independent: an upper bound where they rise and fall together,
    as those with photographs of one person do. Accurate for the smallest rates, where the
    formula as written would round to 0.

    Args:
        fmr: False match rate of one photograph with another at the threshold in use, in [0, 1].
        gallery_size: N, photographs compared with.

    Raises:
        BadInput: `fmr` is outside [0, 1], or the size is negative.

    Example:
        >>> round(expected_fpir(1e-6, 1_000_000), 3)
        0.632
    """
    if not 0 <= fmr <= 1 or gallery_size < 0:
        raise BadInput(
            f"need an FMR in [0, 1] and a gallery size of 0 or more; got {fmr} and {gallery_size}"
        )
    if gallery_size == 0:
        return 0.0
    return 1.0 if fmr == 1 else -math.expm1(gallery_size * math.log1p(-fmr))


def _largest(scores: NDArray[np.float64], top: int) -> NDArray[np.float64]:
    """The `top` largest of each row, the smallest of them first, the others in any order."""
    return np.partition(scores, scores.shape[1] - top, axis=1)[:, scores.shape[1] - top :]


def _one_a_person(found: Matches, owners: Sequence[str], top: int) -> Matches:
    first: dict[str, int] = {}
    for place, row in enumerate(found.rows):
        first.setdefault(owners[row], place)
    places = list(first.values())[:top]
    return Matches(found.rows[places], found.scores[places])


def _decide(
    probe: NDArray[np.float32],
    gallery: NDArray[np.float32],
    rows: NDArray[np.int64],
    top: int,
    threshold: float,
) -> Matches:
    scores = (gallery[rows].astype(np.float64) * probe).sum(axis=1)
    order = np.lexsort((rows, -scores))[:top]
    order = order[scores[order] >= threshold]
    return Matches(rows[order], scores[order])
