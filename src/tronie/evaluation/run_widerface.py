"""Run WIDER FACE: score predictions on disk, or a callable that detects.

The callable is all that is known of a detector: `detect(photo) -> (boxes, scores)` takes one
encoded photograph and returns (N, 4) x1 y1 x2 y2 in its pixels, and (N,).

A detector is to keep every face from a score of 0.02 on, and to suppress above an IoU of
0.45, as the published SCRFD numbers do: average precision needs the doubtful ones too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.widerface import (
    FACES_FILE,
    SUBSET_FILES,
    Detected,
    read_predictions,
    read_truth,
)
from tronie.data.readers.widerface_photos import ORIGINAL_WIDTH, WiderPhotos, is_original
from tronie.errors import BadInput, NotFound
from tronie.evaluation.protocols import widerface
from tronie.evaluation.report import Report
from tronie.provenance import Provenance, provenance

Detect = Callable[[bytes], tuple[NDArray[np.floating], NDArray[np.floating]]]
"""One encoded photograph to boxes (N, 4), x1 y1 x2 y2 in pixels, and scores (N,)."""

Progress = Callable[[int, int], None]
"""Called with (done, total) photographs."""

SCORE_THRESHOLD = 0.02
NMS_THRESHOLD = 0.45


def score_predictions(
    data_dir: str | Path, predictions: str | Path, *, names: Collection[str] | None = None
) -> Report:
    """The three numbers of predictions on disk.

    Args:
        data_dir: A folder with the four .mat files of the ground truth.
        predictions: An .npz file, or a folder of EVENT/PHOTO.txt; see `read_predictions`.
        names: Judge these photographs only, "EVENT/PHOTO" each; predictions for others are
            left out. Default: all photographs, those without predictions included.

    Raises:
        NotFound: a file is not there, or a photograph is not in the ground truth.
        BadFile: a file is damaged or breaks its format.
        NotEnoughData: no face counts in the photographs.
    """
    truth = read_truth(data_dir)
    detections = read_predictions(predictions)
    if names is not None:
        wanted = set(names)
        detections = {name: found for name, found in detections.items() if name in wanted}
    source = Path(predictions)
    made_with = _provenance(data_dir, {"predictions": source} if source.is_file() else {})
    return widerface.PROTOCOL.score(truth, detections, names=names, provenance=made_with)


def evaluate_widerface(
    data_dir: str | Path,
    detect: Detect,
    *,
    names: Collection[str] | None = None,
    inputs: Mapping[str, str | Path] | None = None,
    progress: Progress | None = None,
) -> Report:
    """The three numbers of whatever `detect` does.

    Args:
        data_dir: A folder with the four .mat files, and photographs unpacked or packed.
        detect: Called with one encoded photograph at a time, in the order of their names.
        names: Judge these photographs only; each must be there. Default: all that are
            there at their original size. The Report says how many of the whole set that is,
            and how many were left out because they had been resized.
        inputs: What else the number depends on, name to file or SHA-256 (the detector), for
            the provenance. The ground truth is added.
        progress: Called before the first and after every photograph.

    Raises:
        NotFound: a file or a photograph asked for is not there.
        BadFile: a file is damaged.
        BadInput: a photograph of `names` was resized.
        BadArray: `detect` returned anything but (N, 4) and (N,), finite.
        NotEnoughData: no face counts in the photographs.
    """
    truth = read_truth(data_dir)
    made_with = _provenance(data_dir, inputs or {})
    detections: dict[str, Detected] = {}
    resized = 0
    with WiderPhotos(data_dir, truth.keys()) as photos:
        judged = photos.names() if names is None else tuple(dict.fromkeys(names))
        if absent := set(judged) - set(photos.names()):
            raise NotFound(
                f"{len(absent)} of the {len(judged)} photographs asked for are not in {data_dir};"
                f" the first is {min(absent)}"
            )
        for done, name in enumerate(judged):
            if progress is not None:
                progress(done, len(judged))
            photo = photos.read(name)
            if not is_original(photo):
                if names is not None:
                    raise BadInput(
                        f"{name} was resized: originals are {ORIGINAL_WIDTH} pixels wide"
                    )
                resized += 1
                continue
            boxes, scores = detect(photo)
            detections[name] = Detected(
                np.asarray(boxes, np.float64), np.asarray(scores, np.float64)
            )
        if progress is not None:
            progress(len(judged), len(judged))
    report = widerface.PROTOCOL.score(
        truth, detections, names=detections.keys(), provenance=made_with
    )
    if resized == 0:
        return report
    note = (
        f"{resized} photographs were left out: they had been resized, and the ground truth is in"
        f" pixels of the originals, which are {ORIGINAL_WIDTH} wide"
    )
    return replace(report, notes=(*report.notes, note))


def _provenance(data_dir: str | Path, inputs: Mapping[str, str | Path]) -> Provenance:
    files = {name: Path(data_dir) / name for name in (FACES_FILE, *SUBSET_FILES.values())}
    return provenance({**files, **inputs})
