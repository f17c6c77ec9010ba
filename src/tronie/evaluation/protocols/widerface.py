"""WIDER FACE validation: average precision on its easy, medium and hard faces.

    easy, medium, hard    average precision, fractions; hard holds medium, which holds easy
    photographs           that were judged, of all there are in the ground truth
    detections            in them

Scores are normalized to [0, 1] over all detections that are judged, and the detections of a
photograph go by falling score; of equal scores the earlier one comes first. A photograph
without detections still has its faces in the recall. Count and total of an AP are the faces
found at the lowest threshold, and the faces that count.

On a part of the photographs the numbers are another protocol's: the normalization and the
mixture of faces change. A Report on a part says so.

Source: Yang et al., "WIDER FACE", CVPR 2016; the rules are those of its evaluation toolkit,
see `tronie.evaluation.metrics.detection_ap`. Differs from the toolkit: it takes 0 and 1 for
the range where all scores lie on one side of them; here the range is that of the scores.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from tronie.catalog import not_found
from tronie.data.readers.widerface import Detected, WiderPhoto
from tronie.errors import BadArray, NotEnoughData
from tronie.evaluation.metrics.detection_ap import (
    THRESHOLDS,
    average_precision,
    best_faces,
    normalized,
    sweep,
)
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report, Value
from tronie.provenance import Provenance

NOTHING = Detected(np.zeros((0, 4)), np.zeros(0))


def score(
    truth: Mapping[str, WiderPhoto],
    detections: Mapping[str, Detected],
    *,
    names: Collection[str] | None = None,
    provenance: Provenance | None = None,
) -> Report:
    """Judge detections by the official rules.

    Args:
        truth: As `read_truth` gives it; or one of other subsets, each of which gets its value.
        detections: Photograph to its boxes (N, 4) and scores (N,), in any order; one that
            is not there has no detection.
        names: Judge these photographs only; default: all of `truth`.

    Returns:
        A Report with a value for each subset, "easy", "medium" and "hard"; a subset without a
        single face in the photographs judged is left out, with a note.

    Raises:
        NotFound: detections for, or `names` of, a photograph that `truth` does not have.
        BadArray: boxes and scores do not fit, or are not finite.
        NotEnoughData: no face of any subset lies in the photographs.
    """
    for asked in (detections, names or ()):
        _expect_known(asked, truth)
    wanted = truth.keys() if names is None else set(names)
    judged = [name for name in truth if name in wanted]
    sorted_ones = [_falling(name, detections.get(name, NOTHING)) for name in judged]
    scores = normalized(np.concatenate([NOTHING.scores, *(d.scores for d in sorted_ones)]))
    starts = np.cumsum([0, *(len(found.scores) for found in sorted_ones)])

    subsets = tuple(dict.fromkeys(subset for name in judged for subset in truth[name].counted))
    counts = {subset: np.zeros((len(THRESHOLDS), 2), np.int64) for subset in subsets}
    faces = dict.fromkeys(subsets, 0)
    for name, found, start in zip(judged, sorted_ones, starts[:-1], strict=True):
        best = best_faces(found.boxes, truth[name].boxes)
        for subset, counted in truth[name].counted.items():
            faces[subset] += int(counted.sum())
            own_scores = scores[start : start + len(best)]
            counts[subset] += sweep(best, own_scores, counted=counted)
    return _report(counts, faces, len(judged), len(truth), scores, provenance)


def _report(
    counts: Mapping[str, NDArray[np.int64]],
    faces: Mapping[str, int],
    judged: int,
    photographs: int,
    scores: NDArray[np.float64],
    provenance: Provenance | None,
) -> Report:
    notes = []
    if judged < photographs:
        notes.append(
            f"judged on {judged} of {photographs} photographs: not to be compared with numbers"
            " of the whole set"
        )
    if len(scores) and not np.isfinite(scores).all():
        notes.append(
            f"all {len(scores)} detections have one score; the official normalization divides"
            " by zero there, and nothing counts as found"
        )
    values = {}
    for subset in counts:
        if faces[subset] == 0:
            notes.append(f"no {subset} value: the photographs hold no face that counts there")
            continue
        values[subset] = Value(
            value=average_precision(counts[subset], faces=faces[subset]),
            unit="fraction",
            count=int(counts[subset][-1, 1]),
            total=faces[subset],
        )
    if not values:
        raise NotEnoughData(f"the {judged} photographs judged hold no face that counts")
    values["photographs"] = Value(value=judged, unit="photographs", count=judged, total=photographs)
    values["detections"] = Value(value=len(scores), unit="boxes")
    return Report(
        name=PROTOCOL.name,
        version=PROTOCOL.version,
        values=values,
        notes=tuple(notes),
        provenance=provenance,
    )


def _expect_known(names: Collection[str], truth: Mapping[str, WiderPhoto]) -> None:
    unknown = [name for name in names if name not in truth]
    if unknown:
        known = [name for name in truth if name.split("/")[0] == unknown[0].split("/")[0]]
        raise not_found(unknown[0], known[:5], where="the ground truth of WIDER FACE")


def _falling(name: str, found: Detected) -> Detected:
    boxes = np.asarray(found.boxes, np.float64)
    scores = np.asarray(found.scores, np.float64)
    if boxes.shape != (len(scores), 4) or scores.ndim != 1:
        raise BadArray(
            f"{name}: boxes must have shape (N, 4) and scores (N,);"
            f" got {boxes.shape} and {scores.shape}"
        )
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise BadArray(f"{name}: boxes and scores must be finite")
    order = np.argsort(-scores, kind="stable")
    return Detected(boxes[order], scores[order])


PROTOCOL = Protocol(
    name="widerface",
    version="1",
    source="Yang et al., WIDER FACE: A Face Detection Benchmark, CVPR 2016, and its toolkit",
    needs=(
        "wider_face_val.mat: the faces of every photograph",
        "wider_easy_val.mat, wider_medium_val.mat, wider_hard_val.mat: which of them count",
        "for a detector: the photographs as EVENT/PHOTO.jpg, unpacked or in a *.zip or *.tar",
    ),
    score=score,
)
