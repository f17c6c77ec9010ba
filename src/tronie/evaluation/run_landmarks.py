"""Run the landmark protocols: two files of points, or a callable that detects.

The truth and the points found are in the forms of `tronie.data.readers.landmark_tables`; a face
of the truth that the other file lacks was not found.

A detector is known by a callable alone: `find(photo) -> (boxes, points)` takes one encoded
photograph and returns (M, 4) x1 y1 x2 y2 and (M, 5, 2) in its pixels. Each labeled face gets the
points of the box that overlaps its own most, from an IoU of 0.5 on; a box serves one face, and
the pair that overlaps most comes first. A face without such a box was not found: it has failed,
and is not in the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.labeled_photos import open_labeled_photos
from tronie.data.readers.landmark_tables import (
    Landmarks,
    in_order_of,
    landmarks_sha256,
    read_landmarks,
)
from tronie.errors import BadArray, NotEnoughData
from tronie.evaluation.protocols import landmarks_300w, landmarks_aflw, landmarks_wflw
from tronie.evaluation.report import Report
from tronie.geometry.boxes import iou
from tronie.provenance import Provenance, provenance

FindPoints = Callable[[bytes], tuple[NDArray[np.floating], NDArray[np.floating]]]
"""One encoded photograph to boxes (M, 4) and five points (M, 5, 2), in its pixels."""
Progress = Callable[[int, int], None]
"""Called with (done, total) photographs."""

LEAST_IOU = 0.5


def evaluate_landmarks_aflw(truth: str | Path, predictions: str | Path) -> Report:
    """Error over the size of the box, of as many points as the truth has.

    Raises:
        NotFound, BadFile: a file is not there, or cannot be used.
        BadArray: a face without a known point or with a box without area, or points found only
            in part.
    """
    known = read_landmarks(truth, box=True)
    assert known.boxes is not None
    found = _found(known, predictions)
    visible = np.isfinite(known.points).all(axis=2)
    return landmarks_aflw.PROTOCOL.score(
        found,
        known.points,
        known.boxes,
        visible=visible,
        provenance=_made_with(truth, predictions),
    )


def evaluate_landmarks_300w(truth: str | Path, predictions: str | Path) -> Report:
    """Error over the distance of the outer eye corners, and in both parts of the test set.

    Raises:
        NotFound, BadFile, BadArray: as `evaluate_landmarks_aflw`.
    """
    known = read_landmarks(truth, points=landmarks_300w.POINTS, marks=("challenging",))
    found = _found(known, predictions)
    return landmarks_300w.PROTOCOL.score(
        found,
        known.points,
        known.marks["challenging"],
        provenance=_made_with(truth, predictions),
    )


def evaluate_landmarks_wflw(truth: str | Path, predictions: str | Path) -> Report:
    """Error over the distance of the outer eye corners, and for each attribute that is told.

    Raises:
        NotFound, BadFile, BadArray: as `evaluate_landmarks_aflw`.
    """
    known = read_landmarks(
        truth,
        points=landmarks_wflw.POINTS,
        marks=landmarks_wflw.ATTRIBUTES,
        marks_needed=False,
    )
    found = _found(known, predictions)
    return landmarks_wflw.PROTOCOL.score(
        found, known.points, known.marks, provenance=_made_with(truth, predictions)
    )


def evaluate_detected_points(
    data_dir: str | Path,
    find: FindPoints,
    *,
    inputs: Mapping[str, str | Path] | None = None,
    progress: Progress | None = None,
) -> Report:
    """The five points of a detector by AFLW's rule, on photographs with labeled faces.

    Args:
        data_dir: As `tronie.data.readers.labeled_photos` reads it.
        find: Called with one photograph at a time, in the order of the labels.
        inputs: What else the number depends on, name to file or SHA-256 (the detector).
        progress: Called before the first and after every photograph.

    Raises:
        NotFound, BadFile: the labels or a photograph are not there, or cannot be used.
        NotEnoughData: no labeled face has an area and a known point.
        BadArray: `find` returned something else.
    """
    boxes, truth, found = [], [], []
    with ExitStack() as closing:
        labeled = open_labeled_photos(data_dir, closing=closing)
        for done, photo in enumerate(labeled.photos):
            if progress is not None:
                progress(done, len(labeled.photos))
            sides = photo.boxes[:, 2:] - photo.boxes[:, :2]
            known = np.asarray(np.isfinite(photo.landmarks).all(axis=2), np.bool_).any(axis=1)
            judged = known & (sides > 0).all(axis=1) & ~photo.ignored
            if judged.any():
                given = find(labeled.files.read(photo.name))
                found.append(_matched(photo.boxes, *_expected(*given, name=photo.name))[judged])
                boxes.append(photo.boxes[judged])
                truth.append(photo.landmarks[judged])
        if progress is not None:
            progress(len(labeled.photos), len(labeled.photos))
    if not truth:
        raise NotEnoughData(f"{labeled.labels} has no face with a known point")
    points = np.concatenate(truth)
    report = landmarks_aflw.PROTOCOL.score(
        np.concatenate(found),
        points,
        np.concatenate(boxes),
        visible=np.isfinite(points).all(axis=2),
        provenance=provenance({"labels": labeled.labels, **(inputs or {})}),
    )
    note = (
        f"{len(points)} faces of {len(truth)} photographs have labeled points; each gets those "
        f"of the box found that overlaps its own most, from an IoU of {LEAST_IOU:g} on"
    )
    return replace(report, notes=(*report.notes, note))


def _expected(
    boxes: NDArray[np.floating], points: NDArray[np.floating], *, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if boxes.shape != (len(boxes), 4) or points.shape != (len(boxes), 5, 2):
        raise BadArray(
            f"a detector gives boxes (M, 4) and points (M, 5, 2); got {boxes.shape} and "
            f"{points.shape} for {name}"
        )
    return boxes.astype(np.float64), points.astype(np.float64)


def _matched(
    truth: NDArray[np.float64], boxes: NDArray[np.float64], points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The points (N, 5, 2) of the box that each true one is paired with; NaN without one.

    All labeled faces take part, so that a face without points keeps the box that shows it.
    """
    found = np.full((len(truth), 5, 2), np.nan)
    shared = iou(truth, boxes)
    while shared.size and shared.max() >= LEAST_IOU:
        face, box = np.unravel_index(int(shared.argmax()), shared.shape)
        found[face] = points[box]
        shared[face], shared[:, box] = -1.0, -1.0
    return found


def _found(known: Landmarks, predictions: str | Path) -> NDArray[np.float64]:
    given = read_landmarks(predictions, points=known.points.shape[1])
    return in_order_of(known, given, path=predictions)


def _made_with(truth: str | Path, predictions: str | Path) -> Provenance:
    return provenance(
        {"truth": landmarks_sha256(truth), "predictions": landmarks_sha256(predictions)}
    )
