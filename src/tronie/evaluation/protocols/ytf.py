"""YouTube Faces: 5,000 pairs of videos in ten folds, same person or not.

All frames of a video are pooled to one template, and a pair's score is the cosine of its two
templates. A video in whose frames no face was found has none: its pairs score -1, the least
there is, and are not left out.

    accuracy, std     mean and population standard deviation over folds, by the field's grid
    accuracy_exact    the same with exact thresholds
    tar_at_far_0.001  one threshold for all folds

Source: Wolf, Hassner and Maoz, CVPR 2011 (the pairs and folds). Differs from it: templates,
where it compares sets of frames; how frames are pooled is named in the Report, since papers
differ in it. See `tronie.evaluation.metrics.fold_values`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.ytf import VideoPairs
from tronie.errors import BadArray, NotFound
from tronie.evaluation.metrics.fold_values import fold_values, tar_values, val_step_values
from tronie.evaluation.pairs.scores import exact_scores
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report, Value
from tronie.geometry.hypersphere import normalize
from tronie.provenance import Provenance

NO_FACE_SCORE = -1.0


def score(
    pairs: VideoPairs,
    templates: Mapping[str, NDArray[np.floating]],
    *,
    pooling: str,
    provenance: Provenance | None = None,
) -> Report:
    """Judge templates of videos by the ten-fold rule.

    Args:
        pairs: As `read_splits` gives them; two folds or more.
        templates: Video to its template, shape (D,), of any length but zero; NaN all through
            where no frame shows a face.
        pooling: How frames were pooled, for the notes.

    Raises:
        NotFound: a video of a pair has no entry.
        BadArray: shapes differ, or a template is zero, infinite or NaN only in part.
        NotEnoughData: one fold only.
    """
    videos = sorted({*pairs.first, *pairs.second})
    if missing := [video for video in videos if video not in templates]:
        raise NotFound(f"{len(missing)} videos have no template, the first is {missing[0]}")
    shapes = {np.shape(templates[video]) for video in videos}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise BadArray(f"templates must share one shape (D,); got {sorted(shapes)}")
    rows = np.stack([np.asarray(templates[video], np.float64) for video in videos])
    faceless = np.asarray(np.isnan(rows).all(axis=1))
    if (broken := ~faceless & ~np.isfinite(rows).all(axis=1)).any():
        video = videos[int(np.argmax(broken))]
        raise BadArray(f"the template of {video} must be finite, or all NaN for no face")
    scores = _scores(pairs, videos, rows, faceless)
    tar, tar_notes = tar_values(scores, pairs.same)
    val, val_notes = val_step_values(scores, pairs.same, folds=pairs.folds)
    notes = [f"frames were pooled by {pooling}"]
    if faceless.any():
        some = ", ".join(videos[n] for n in np.flatnonzero(faceless)[:3])
        notes.append(f"{int(faceless.sum())} videos without a face, their pairs score -1: {some}")
    return Report(
        name=PROTOCOL.name,
        version=PROTOCOL.version,
        values={
            **fold_values(scores, pairs.same, folds=pairs.folds),
            **val,
            "videos": Value(value=len(videos), unit="videos"),
            "videos_without_face": Value(value=int(faceless.sum()), unit="videos"),
            **tar,
        },
        notes=(*notes, *val_notes, *tar_notes),
        provenance=provenance,
    )


def _scores(
    pairs: VideoPairs,
    videos: list[str],
    rows: NDArray[np.float64],
    faceless: NDArray[np.bool_],
) -> NDArray[np.float64]:
    unit = np.zeros(rows.shape, np.float32)
    if not faceless.all():
        unit[~faceless] = normalize(rows[~faceless])[0]
    place = {video: n for n, video in enumerate(videos)}
    first, second = (
        np.array([place[video] for video in side]) for side in (pairs.first, pairs.second)
    )
    scores = exact_scores(unit, first, second)
    return np.where(faceless[first] | faceless[second], NO_FACE_SCORE, scores)


PROTOCOL = Protocol(
    name="ytf",
    version="1",
    source="Wolf, Hassner and Maoz, Face Recognition in Unconstrained Videos, CVPR 2011",
    needs=(
        "splits.txt or splits_corrected.txt: the 5,000 pairs of videos",
        "a feature matrix (N, D) float32, one row a frame, NaN where no face was found",
        "META, a CSV of one line a row: video, as splits.txt calls it",
    ),
    score=score,
)
