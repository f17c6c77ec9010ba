"""LFW and the sets built like it: pairs in ten folds, same person or not.

A pair's score is the cosine of its two embeddings. A photograph in which no face was found
has no embedding: its pairs score -1, the least there is. Giving all such photographs one
and the same vector instead would make every two of them "the same person".

    accuracy          mean over folds, threshold from InsightFace's grid: the field's number
    accuracy_exact    mean over folds, threshold exact: the same without the grid's rounding
    std, std_exact    population standard deviation over the folds
    threshold         mean over folds of the grid's thresholds, as a cosine
    tar_at_far_0.001  TAR where at most 0.1 % of the impostor pairs are accepted, one
                      threshold for all folds

Source: Huang et al., UMass TR 07-49, 2007. See `tronie.evaluation.metrics.folds`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.lfw import Fold, Pair, Photo
from tronie.errors import BadArray, NotFound
from tronie.evaluation.metrics.fold_values import fold_values, tar_values
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report, Value
from tronie.geometry.hypersphere import normalize
from tronie.provenance import Provenance

NO_FACE_SCORE = -1.0


def score(
    folds: Sequence[Fold],
    embeddings: Mapping[Photo, NDArray[np.floating]],
    *,
    provenance: Provenance | None = None,
) -> Report:
    """Judge embeddings by LFW's ten-fold rule.

    Args:
        folds: The pairs, as `read_pairs` gives them; two folds or more.
        embeddings: Photograph to its embedding, shape (D,), of any length but zero; a row
            of NaN where no face was found.

    Returns:
        A Report whose "accuracy", "std" and "pairs" are the field's three numbers.

    Raises:
        NotFound: a photograph of a pair has no entry.
        BadArray: shapes differ, or a row is zero, infinite or NaN only in part.
        NotEnoughData: one fold only.
    """
    pairs = [pair for fold in folds for pair in fold]
    fold_of = np.repeat(np.arange(len(folds)), [len(fold) for fold in folds])
    same = np.array([pair.same for pair in pairs], dtype=np.bool_)
    photos = sorted({photo for pair in pairs for photo in pair[:2]})
    unit, found = _unit_rows(photos, embeddings)
    scores = _pair_scores(pairs, photos, unit, found)

    faceless = int((~found).sum())
    tar, tar_notes = tar_values(scores, same)
    values = {
        **fold_values(scores, same, folds=fold_of),
        "photos": Value(value=len(photos), unit="photographs"),
        "photos_without_face": Value(value=faceless, unit="photographs"),
        **tar,
    }
    notes = []
    if faceless:
        some = ", ".join(str(photos[n]) for n in np.flatnonzero(~found)[:3])
        notes.append(f"{faceless} photographs without a face, their pairs score -1: {some} ...")
    return Report(
        name=PROTOCOL.name,
        version=PROTOCOL.version,
        values=values,
        notes=(*notes, *tar_notes),
        provenance=provenance,
    )


def _unit_rows(
    photos: Sequence[Photo], embeddings: Mapping[Photo, NDArray[np.floating]]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    missing = [str(photo) for photo in photos if photo not in embeddings]
    if missing:
        raise NotFound(f"{len(missing)} photographs have no embedding, the first is {missing[0]}")
    shapes = {np.shape(embeddings[photo]) for photo in photos}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise BadArray(f"embeddings must share one shape (D,); got {sorted(shapes)}")
    rows = np.stack([np.asarray(embeddings[photo], dtype=np.float64) for photo in photos])
    found = np.logical_not(np.isnan(rows).all(axis=1)).astype(np.bool_)
    broken = found & ~np.isfinite(rows).all(axis=1)
    if broken.any():
        photo = photos[int(np.argmax(broken))]
        raise BadArray(f"the embedding of {photo} must be finite, or all NaN for no face")
    if found.any():
        rows[found] = normalize(rows[found])[0]
    return rows, found


def _pair_scores(
    pairs: Sequence[Pair],
    photos: Sequence[Photo],
    unit: NDArray[np.float64],
    found: NDArray[np.bool_],
) -> NDArray[np.float64]:
    row = {photo: n for n, photo in enumerate(photos)}
    first = np.array([row[pair.first] for pair in pairs])
    second = np.array([row[pair.second] for pair in pairs])
    scores = (unit[first] * unit[second]).sum(axis=1)
    return np.where(found[first] & found[second], scores, NO_FACE_SCORE)


PROTOCOL = Protocol(
    name="lfw",
    version="1",
    source="Huang et al., Labeled Faces in the Wild, UMass Amherst TR 07-49, 2007",
    needs=(
        "pairs.txt: the 6,000 pairs of View 2",
        "the photographs as NAME/NAME_0001.jpg, unpacked or in a *.zip",
    ),
    score=score,
)
