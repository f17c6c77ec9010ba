"""evaluate: run a protocol and print its Report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tronie.cli import (
    evaluate_landmarks,
    evaluate_pairs,
    evaluate_systems,
    evaluate_tables,
    evaluate_widerface,
    options,
)
from tronie.cli.answers import ReportFile, answer, check_report
from tronie.cli.models_in_use import (
    Chosen,
    checksums,
    embed_one_each,
    open_analyzer,
    settings,
)
from tronie.cli.terminal import progress_of, say
from tronie.evaluation.pairs.sets import HowToRun
from tronie.evaluation.run import evaluate_lfw
from tronie.evaluation.run_lfw_all import evaluate_lfw_all
from tronie.runtime.score_scan import open_screens

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Measure by a published protocol, or over all pairs of a feature matrix.",
)
for _verbs in (
    evaluate_pairs,
    evaluate_systems,
    evaluate_tables,
    evaluate_widerface,
    evaluate_landmarks,
):
    for _name, _verb in _verbs.COMMANDS.items():
        app.command(_name)(_verb)


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
    check_report(report)
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
    answer(
        result,
        first=("accuracy", "std", "pairs"),
        ran=settings(analyzer),
        report=report,
        json=json,
    )


@app.command("lfw-all")
def lfw_all(
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
    """TAR at FARs down to 1e-6 over all pairs of LFW's protocol photographs.

    The 7,701 photographs that pairs.txt names have 8,101 genuine and 29,640,749 impostor pairs;
    all of them are compared. The face nearest the center of a photograph is taken.
    """
    check_report(report)
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
        result = evaluate_lfw_all(
            data,
            lambda photos: embed_one_each(analyzer, photos),
            screens=lambda dimension, error: open_screens(
                dimension, float32_error=error, threads=threads
            ),
            inputs=checksums(analyzer),
            progress=show,
            how=HowToRun(announce=say),
        )
    answer(result, ran=settings(analyzer), report=report, json=json)
