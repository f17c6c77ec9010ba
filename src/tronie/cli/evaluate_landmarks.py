"""evaluate, over landmarks: AFLW, 300W and WFLW, and the five points of a detector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from tronie.cli import options
from tronie.cli.answers import ReportFile, answer, check_report
from tronie.cli.models_in_use import Chosen, open_detector
from tronie.cli.terminal import progress_of
from tronie.errors import BadInput, BadModel
from tronie.evaluation.report import Report
from tronie.evaluation.run_landmarks import (
    evaluate_detected_points,
    evaluate_landmarks_300w,
    evaluate_landmarks_aflw,
    evaluate_landmarks_wflw,
)
from tronie.images.io import decode_image

Truth = Annotated[
    Path,
    typer.Option(
        "--truth",
        metavar="FILE",
        help="The true points: .csv, .json, or as published; see `tronie show PROTOCOL`.",
    ),
]
Predictions = Annotated[
    Path,
    typer.Option(
        "--predictions",
        metavar="FILE",
        help="The points found, in the same forms; a face that is not in it was not found.",
    ),
]
FIRST = ("nme",)


def landmarks_aflw(
    *,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", metavar="FILE", help="The true points and boxes: .csv or .json."),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            "--predictions",
            metavar="FILE",
            help="The points found; a face that is not in it was not found.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="In place of both: photographs and labels.txt, for a detector's five points.",
        ),
    ] = None,
    report: ReportFile = None,
    detector: options.Detector = options.DEFAULT_DETECTOR,
    canvas: options.Canvas = None,
    det_threshold: options.DetectorThreshold = None,
    engine: options.Engine = "onnxruntime",
    device: options.Device = "cpu",
    threads: options.Threads = None,
    precision: options.Precision = "float32",
    json: options.Json = False,
) -> None:
    """AFLW: landmark error over the size of the face's box, of any number of points.

    With --data the detector's five points are judged on photographs with labelv2 labels, as
    RetinaFace's were on AFLW and WIDER FACE.
    """
    check_report(report)
    if data is not None and truth is None and predictions is None:
        chosen = Chosen(
            detector=detector, engine=engine, device=device, threads=threads, precision=precision,
            canvas=canvas, det_threshold=det_threshold,
        )  # fmt: skip
        result, ran = _detected(data, chosen)
    elif data is None and truth is not None and predictions is not None:
        result, ran = evaluate_landmarks_aflw(truth, predictions), {}
    else:
        raise BadInput(
            "give --truth and --predictions, two files of points, or --data DIR alone, where a "
            "detector is to find them"
        )
    answer(result, first=FIRST, ran=ran, report=report, json=json)


def landmarks_300w(
    *, truth: Truth, predictions: Predictions, report: ReportFile = None, json: options.Json = False
) -> None:
    """300W: error of 68 points over the distance of the outer eye corners.

    The truth is the folder of the .pts files, whose faces below `ibug` are challenging, or a
    table that says so.
    """
    check_report(report)
    result = evaluate_landmarks_300w(truth, predictions)
    answer(result, first=FIRST, report=report, json=json)


def landmarks_wflw(
    *, truth: Truth, predictions: Predictions, report: ReportFile = None, json: options.Json = False
) -> None:
    """WFLW: error of 98 points over the distance of the outer eye corners, and by attribute.

    The truth is the list as it is published, with points, box and attributes, or a table.
    """
    check_report(report)
    result = evaluate_landmarks_wflw(truth, predictions)
    answer(result, first=FIRST, report=report, json=json)


def _detected(data: Path, chosen: Chosen) -> tuple[Report, dict[str, object]]:
    """The Report of a detector's points, and what ran."""
    opened, sha256 = open_detector(chosen)
    name = opened.session.name

    def find(photo: bytes) -> tuple[np.ndarray, np.ndarray]:
        faces = opened.detect(decode_image(photo))
        if faces.landmarks is None:
            raise BadModel(f"detector {name} gives boxes without points; take one that gives five")
        return faces.boxes, faces.landmarks

    with progress_of("detecting") as show:
        result = evaluate_detected_points(
            data, find, inputs={f"detector {name}": sha256}, progress=show
        )
    return result, {"detector": name, "engine": chosen.engine, "precision": chosen.precision}


COMMANDS: Mapping[str, Callable[..., None]] = {
    "landmarks-aflw": landmarks_aflw,
    "landmarks-300w": landmarks_300w,
    "landmarks-wflw": landmarks_wflw,
}
