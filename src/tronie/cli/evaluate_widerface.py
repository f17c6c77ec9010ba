"""evaluate widerface: predictions, or a detector in any of the ways that numbers are told for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from tronie.cli import options
from tronie.cli.answers import ReportFile, answer, check_report
from tronie.cli.models_in_use import Chosen, open_detector
from tronie.cli.terminal import progress_of
from tronie.errors import BadInput
from tronie.evaluation.report import Report
from tronie.evaluation.run_widerface import (
    NMS_THRESHOLD,
    SCORE_THRESHOLD,
    evaluate_widerface,
    score_predictions,
)
from tronie.geometry.box_voting import MOST, VOTING_IOU
from tronie.images.io import decode_image
from tronie.runtime.multi_scale import ORIGINAL, Looks, Within, check_looks, look, scales

LOOKS = "How a photograph is looked at"

SizeAsked = Annotated[
    str | None,
    typer.Option(
        "--size",
        metavar="SHORTxLONG|original",
        rich_help_panel=LOOKS,
        help="Shrink or enlarge into this room, as 1100x1650; or take every pixel as it is. "
        "Default: fitted into the canvas, 640 of most detectors.",
    ),
]
ScalesAsked = Annotated[
    str | None,
    typer.Option(
        "--scales",
        metavar="SIDE,SIDE,...",
        rich_help_panel=LOOKS,
        help="Look once in each of these sizes of the shorter side, as 500,800,1100; the longer "
        "side is half as much again at most. What all looks find is put together.",
    ),
]
Mirror = Annotated[
    bool,
    typer.Option(
        "--flip", rich_help_panel=LOOKS, help="Look at the mirror image of every size too."
    ),
]
Voting = Annotated[
    bool,
    typer.Option(
        "--voting",
        rich_help_panel=LOOKS,
        help="Average the boxes that show one face, weighted by score, instead of keeping the "
        f"surest: from an IoU of {VOTING_IOU} on, at most {MOST} a photograph.",
    ),
]


def widerface(
    *,
    data: Annotated[
        Path,
        typer.Option("--data", metavar="DIR", help="The four .mat files; photographs, or packed."),
    ],
    predictions: Annotated[
        Path | None,
        typer.Option("--predictions", metavar="P.npz|DIR", help="Judge these; detect nothing."),
    ] = None,
    report: ReportFile = None,
    detector: options.Detector = options.DEFAULT_DETECTOR,
    canvas: options.Canvas = None,
    size: SizeAsked = None,
    scales: ScalesAsked = None,
    flip: Mirror = False,
    voting: Voting = False,
    engine: options.Engine = "onnxruntime",
    device: options.Device = "cpu",
    threads: options.Threads = None,
    precision: options.Precision = "float32",
    json: options.Json = False,
) -> None:
    """Average precision on WIDER FACE's easy, medium and hard faces, by the official rules.

    With --predictions those are judged; otherwise the detector works through the photographs
    that lie in DIR at their original size, keeping every face from a score of 0.02 on. It looks
    once at each, fitted into the canvas, and takes no close-up of large faces. SCRFD's numbers
    are told for that, for --size 1100x1650 and for --size original; RetinaFace's for
    --scales 500,800,1100,1400,1700 --flip --voting.
    """
    check_report(report)
    ran: dict[str, object] = {}
    looks = _looks(canvas=canvas, size=size, scales_asked=scales, flip=flip, voting=voting)
    if predictions is not None:
        if looks != Looks() or canvas is not None:
            raise BadInput(
                "--predictions are judged as they are; leave out --canvas, --size, --scales, "
                "--flip and --voting, or the predictions"
            )
        result = score_predictions(data, predictions)
    else:
        chosen = Chosen(
            detector=detector, engine=engine, device=device, threads=threads, precision=precision,
            canvas=canvas, det_threshold=SCORE_THRESHOLD,
        )  # fmt: skip
        result, ran = _detected(data, chosen, looks)
    answer(result, first=("easy", "medium", "hard"), ran=ran, report=report, json=json)


def _detected(data: Path, chosen: Chosen, looks: Looks) -> tuple[Report, dict[str, object]]:
    """The Report, and what ran."""
    opened, sha256 = open_detector(chosen, nms_threshold=NMS_THRESHOLD)
    check_looks(opened, looks)

    def detect(photo: bytes) -> tuple[np.ndarray, np.ndarray]:
        faces = look(opened, decode_image(photo), looks)
        return faces.boxes, faces.scores

    name = opened.session.name
    with progress_of("detecting") as show:
        result = evaluate_widerface(
            data, detect, inputs={f"detector {name}": sha256}, progress=show
        )
    seen = str(looks).replace("canvas", f"canvas of {opened.width}x{opened.height}")
    kept = (
        f"voted on from an IoU of {VOTING_IOU} on, at most {MOST} a photograph"
        if looks.voting
        else f"suppressed above an IoU of {NMS_THRESHOLD}"
    )
    note = f"looked at: {seen}; scores from {SCORE_THRESHOLD}, {kept}"
    ran: dict[str, object] = {
        "detector": name,
        "engine": chosen.engine,
        "precision": chosen.precision,
        "looks": seen,
    }
    return replace(result, notes=(*result.notes, note)), ran


def _looks(
    *, canvas: int | None, size: str | None, scales_asked: str | None, flip: bool, voting: bool
) -> Looks:
    given = [
        option
        for option, value in (("--canvas", canvas), ("--size", size), ("--scales", scales_asked))
        if value is not None
    ]
    if len(given) > 1:
        raise BadInput(f"{' and '.join(given)} contradict each other; give one of them")
    if size is not None:
        return Looks(sizes=(_size(size),), flip=flip, voting=voting)
    if scales_asked is not None:
        return Looks(sizes=scales(*_sides(scales_asked)), flip=flip, voting=voting)
    return Looks(flip=flip, voting=voting)


def _size(asked: str) -> Within | str:
    if asked == ORIGINAL:
        return ORIGINAL
    sides = re.fullmatch(r"(\d{1,5})x(\d{1,5})", asked, re.ASCII)
    if sides is None:
        raise BadInput(
            f"--size takes SHORTxLONG in pixels, as 1100x1650, or {ORIGINAL}; got {asked!r}. A "
            "square that photographs are fitted into is --canvas PIXELS"
        )
    return Within(int(sides[1]), int(sides[2]))


def _sides(asked: str) -> list[int]:
    sides = asked.split(",")
    if not all(re.fullmatch(r"\d{1,5}", side, re.ASCII) for side in sides):
        raise BadInput(f"--scales takes pixels with commas between, as 500,800,1100; got {asked!r}")
    return [int(side) for side in sides]


COMMANDS: Mapping[str, Callable[..., None]] = {"widerface": widerface}
