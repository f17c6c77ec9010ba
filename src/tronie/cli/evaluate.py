"""evaluate: run a protocol and print its Report."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from tronie.cli import options
from tronie.cli.files import whole, writable_file
from tronie.cli.models_in_use import (
    Chosen,
    checksums,
    embed_one_each,
    open_analyzer,
    open_detector,
    settings,
)
from tronie.cli.terminal import print_json, print_table, progress_of, say, tell
from tronie.evaluation.report import Report, Value
from tronie.evaluation.run import evaluate_lfw
from tronie.evaluation.run_pairs import prepare_pairs
from tronie.evaluation.run_widerface import (
    NMS_THRESHOLD,
    SCORE_THRESHOLD,
    evaluate_widerface,
    score_predictions,
)
from tronie.images.io import decode_image
from tronie.runtime.score_scan import open_screens

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Measure by a published protocol, or over all pairs of a feature matrix.",
)

ReportFile = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="Write everything measured here, as JSON."),
]


@app.command("lfw")
def lfw(
    *,
    data: Annotated[
        Path,
        typer.Option("--data", metavar="DIR", help="pairs.txt and the photographs, or their zip."),
    ],
    report: ReportFile = None,
    model: options.Model = options.DEFAULT_MODEL,
    detector: options.Detector = options.DEFAULT_DETECTOR,
    canvas: options.Canvas = None,
    det_threshold: options.DetectorThreshold = None,
    flip: options.Flip = False,
    engine: options.Engine = "onnxruntime",
    device: options.Device = "cpu",
    threads: options.Threads = None,
    precision: options.Precision = "float32",
    json: options.Json = False,
) -> None:
    """Ten-fold accuracy on the 6000 pairs of LFW, with our own detection and alignment.

    The threshold of each fold is chosen on the other nine. The face nearest the center of a
    photograph is taken. Pairs of a photograph without a face score -1: two photographs of one
    person are then decided wrongly, those of two people rightly.
    """
    _check_report(report)
    chosen = Chosen(
        detector=detector,
        model=model,
        policy="center",
        canvas=canvas,
        det_threshold=det_threshold,
        flip=flip,
        engine=engine,
        device=device,
        threads=threads,
        precision=precision,
    )
    analyzer = open_analyzer(chosen)
    with progress_of("embedding") as show:
        result = evaluate_lfw(
            data,
            lambda photos: embed_one_each(analyzer, photos),
            inputs=checksums(analyzer),
            progress=show,
        )
    _answer(
        result,
        first=("accuracy", "std", "pairs"),
        ran=settings(analyzer),
        report=report,
        json=json,
    )


@app.command("widerface")
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
    engine: options.Engine = "onnxruntime",
    device: options.Device = "cpu",
    threads: options.Threads = None,
    precision: options.Precision = "float32",
    json: options.Json = False,
) -> None:
    """Average precision on WIDER FACE's easy, medium and hard faces, by the official rules.

    With --predictions those are judged; otherwise the detector works through the photographs
    that lie in DIR at their original size, keeping every face from a score of 0.02 on.
    """
    _check_report(report)
    ran: dict[str, object] = {}
    if predictions is not None:
        result = score_predictions(data, predictions)
    else:
        chosen = Chosen(
            detector=detector, engine=engine, device=device, threads=threads, precision=precision,
            canvas=canvas, det_threshold=SCORE_THRESHOLD,
        )  # fmt: skip
        opened, sha256 = open_detector(chosen, nms_threshold=NMS_THRESHOLD)

        def detect(photo: bytes) -> tuple[np.ndarray, np.ndarray]:
            faces = opened.detect(decode_image(photo))
            return faces.boxes, faces.scores

        name = opened.session.name
        ran = {"detector": name, "engine": engine, "precision": precision}
        with progress_of("detecting") as show:
            result = evaluate_widerface(
                data, detect, inputs={f"detector {name}": sha256}, progress=show
            )
    _answer(result, first=("easy", "medium", "hard"), ran=ran, report=report, json=json)


@app.command("pairs")
def pairs(
    *,
    features: Annotated[
        Path, typer.Option("--features", metavar="M.npy", help="float32, one row a photograph.")
    ],
    labels: Annotated[
        Path,
        typer.Option("--labels", metavar="L.npy|L.txt", help="Whose each row is; -1: distractor."),
    ],
    far: Annotated[
        list[float], typer.Option("--far", help="A false accept rate; may be given often.")
    ],
    normalize: Annotated[
        bool, typer.Option("--normalize", help="The rows do not have length 1: give them it.")
    ] = False,
    group: Annotated[
        Path | None,
        typer.Option("--group", metavar="G.npy", help="True for the rows that take part."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="G.npy", help="The rows of the other side."),
    ] = None,
    leave_out: Annotated[
        Path | None,
        typer.Option("--leave-out", metavar="X.npy", help="Pairs of rows that count nowhere."),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", metavar="FILE", help="Go on from here after a stop."),
    ] = None,
    report: ReportFile = None,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Exact TAR at fixed FARs over all pairs of a feature matrix, in bounded memory.

    The result is a function of the data alone: the threshold is the lowest at which the FAR
    is not exceeded, and does not depend on engine, blocks or threads.
    """
    _check_report(report)
    prepared = prepare_pairs(
        features,
        labels,
        fars=far,
        screens=lambda dimension, error: open_screens(
            dimension, float32_error=error, threads=threads
        ),
        lengths="any" if normalize else "unit",
        group=group,
        against=against,
        left_out=leave_out,
    )
    for line in prepared.plan.describe():
        say(line)
    with progress_of("comparing") as show:
        told = prepared.run(checkpoint=checkpoint, progress=show).to_dict()
    _answer_pairs(told, report=report, json=json)


def _check_report(report: Path | None) -> None:
    if report is not None:
        writable_file(report, option="--report")


def _answer(
    result: Report, *, first: tuple[str, ...], ran: dict[str, object], report: Path | None,
    json: bool,
) -> None:  # fmt: skip
    """Write the full Report if asked, and print it for people or as one JSON object."""
    if report is not None:
        with whole(report) as (file,):
            file.write(result.to_json().encode("utf-8"))
    if json:
        told = result.to_dict()
        leading = {key: told.pop(key) for key in first if key in told}
        print_json({**leading, **told, **ran})
    else:
        _tell(result)


def _answer_pairs(told: dict[str, Any], *, report: Path | None, json: bool) -> None:
    """One JSON object for each FAR, or a table."""
    if report is not None:
        with whole(report) as (file,):
            file.write((jsonlib.dumps(told, indent=1) + "\n").encode("utf-8"))
    points = told["points"]
    if json:
        shared = {key: value for key, value in told.items() if key != "points"}
        for point in points:
            print_json({**point, **shared})
        return
    print_table(
        ("FAR asked", "threshold", "TAR", "achieved FAR", "false matches", "genuine pairs"),
        [
            (
                f"{point['far']:g}",
                f"{point['threshold']:.6f}",
                f"{point['tar']:.6f}",
                f"{point['achieved_far']:.3g}",
                point["false_matches"],
                point["genuine_pairs"],
            )
            for point in points
        ],
    )
    for note in [point["note"] for point in points if "note" in point] + told["notes"]:
        tell(note)


def _tell(result: Report) -> None:
    print_table(
        ("measured", "value", "unit", "counts"),
        [(name, _number(v), v.unit, _counts(v)) for name, v in result.values.items()],
    )
    for note in result.notes:
        tell(note)


def _number(value: Value) -> str:
    return f"{value.value:.5f}" if value.unit == "fraction" else f"{value.value:g}"


def _counts(value: Value) -> str:
    return "" if value.count is None else f"{value.count} of {value.total}"
