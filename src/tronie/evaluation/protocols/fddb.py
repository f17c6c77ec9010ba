"""FDDB: true positive rates at 1000 false positives, discrete and continuous.

    discrete, continuous    the rate at 1000 false positives over all photographs, fractions
    discrete_most, ...      the same with every detection accepted
    false_positives         at that end

A photograph without detections has its faces in the rates. Where a detector gives fewer
than 1000 false positives, the rate at 1000 is that of its best point, and a note says so.
Rectangles lose on the continuous rate, as they cannot fill an ellipse: a perfect one that
touches it has an IoU of 0.785.

Source: Jain and Learned-Miller, "FDDB: A Benchmark for Face Detection in Unconstrained
Settings", UMass Amherst UM-CS-2010-009, section 6; all ten folds at once, as its FAQ asks.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tronie.catalog import not_found
from tronie.data.readers.fddb import Regions
from tronie.evaluation.metrics.ellipse_overlap import region_iou
from tronie.evaluation.metrics.roc import detection_roc, matched_steps, rate_at
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report, Value
from tronie.provenance import Provenance

FALSE_POSITIVES = 1000


def score(
    ellipses: Mapping[str, NDArray[np.float64]],
    detections: Mapping[str, Regions],
    *,
    sizes: Mapping[str, tuple[float, float]] | None = None,
    provenance: Provenance | None = None,
) -> Report:
    """Judge detections by FDDB's rules.

    Args:
        ellipses: As `read_ellipses` gives them: photograph to its faces, (M, 5).
        detections: As `read_detections` gives them; a photograph that is not there has none.
        sizes: Photograph to its width and height. With them, regions are cut at the border
            as the published program does; without, they are not, and a note says so.

    Raises:
        NotFound: detections for a photograph that `ellipses` does not have, or a
            photograph with detections that `sizes` does not have.
        BadArray: shapes that do not fit, or values that are not finite.
        NotEnoughData: not a single face.
    """
    for name in detections:
        if name not in ellipses:
            raise not_found(name, list(ellipses)[:5], where="the faces of FDDB")
        if sizes is not None and name not in sizes:
            raise not_found(name, list(sizes)[:5], where="the sizes of the photographs")
    steps = [
        matched_steps(
            region_iou(
                found.shapes,
                ellipses[name].reshape(-1, 5),
                size=None if sizes is None else sizes[name],
            ),
            found.scores,
        )
        for name, found in detections.items()
    ]
    faces = sum(len(rows) for rows in ellipses.values())
    roc = detection_roc(steps, faces=faces)
    most = int(roc.false_positives[-1]) if len(roc.thresholds) else 0
    notes = []
    if most < FALSE_POSITIVES:
        notes.append(f"there are {most} false positives in all: the rates are those of the end")
    if sizes is None:
        notes.append("regions were not cut at the borders of the photographs")
    values = {}
    for name, rates in (("discrete", roc.discrete), ("continuous", roc.continuous)):
        at = rate_at(rates, roc.false_positives, most=FALSE_POSITIVES)
        last = float(rates[-1]) if len(rates) else 0.0
        for key, rate in ((name, at), (f"{name}_most", last)):
            found = round(rate * faces) if name == "discrete" else None
            values[key] = Value(
                value=rate, unit="fraction", count=found, total=None if found is None else faces
            )
    values |= {
        "false_positives": Value(value=most, unit="boxes"),
        "faces": Value(value=faces, unit="faces"),
        "photographs": Value(value=len(ellipses), unit="photographs"),
    }
    return Report(
        name=PROTOCOL.name,
        version=PROTOCOL.version,
        values=values,
        notes=tuple(notes),
        provenance=provenance,
    )


PROTOCOL = Protocol(
    name="fddb",
    version="1",
    source="Jain and Learned-Miller, FDDB, UMass Amherst UM-CS-2010-009, section 6",
    needs=(
        "FDDB-fold-01-ellipseList.txt to FDDB-fold-10-ellipseList.txt: the faces",
        "a detection file: photograph, count, then 'left top width height score' a line",
    ),
    score=score,
)
