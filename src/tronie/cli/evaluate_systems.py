"""evaluate, of models that run here (.bin sets, FRUITS), and FRVT-like sets and YTF."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from numpy.typing import NDArray

from tronie.cli import options
from tronie.cli.answers import ReportFile, answer, check_report
from tronie.cli.evaluate_pairs import screens_of
from tronie.cli.evaluate_tables import Features, Table
from tronie.cli.models_in_use import (
    Chosen,
    checksums,
    embed_one_each,
    open_analyzer,
    open_embedder,
    settings,
)
from tronie.cli.pair_options import Checkpoint, Normalize
from tronie.cli.terminal import progress_of, say
from tronie.errors import BadInput
from tronie.evaluation.pairs.sets import HowToRun
from tronie.evaluation.protocols import fruits as fruits_protocol
from tronie.evaluation.run_fruits import evaluate_fruits
from tronie.evaluation.run_frvt import prepare_frvt, score_frvt_pairs
from tronie.evaluation.run_lfw_bin import evaluate_lfw_bin
from tronie.evaluation.run_ytf import evaluate_ytf

UnitFeatures = Annotated[
    Path,
    typer.Option(
        "--features",
        metavar="M.npy",
        help="float32, one row a photograph, of length 1; others with --normalize.",
    ),
]


def lfw_bin(
    *,
    data: Annotated[
        Path, typer.Option("--data", metavar="X.bin", help="A set as InsightFace writes it.")
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="Of the set; that of the file otherwise.")
    ] = None,
    no_flip: Annotated[
        bool, typer.Option("--no-flip", help="Leave the mirror image out; the field adds it.")
    ] = False,
    report: ReportFile = None,
    model: options.Model = options.DEFAULT_MODEL,
    engine: options.Engine = "onnxruntime",
    device: options.Device = "cpu",
    threads: options.Threads = None,
    precision: options.Precision = "float32",
    json: options.Json = False,
) -> None:
    """Ten-fold accuracy on a .bin of aligned pairs: LFW, CFP-FP, AgeDB-30, CALFW, CPLFW.

    Embeddings of a crop and of its mirror image are added, as the field's numbers do.
    """
    check_report(report)
    chosen = Chosen(
        detector="", model=model, engine=engine, device=device, threads=threads,
        precision=precision,
    )  # fmt: skip
    embedder, sha256 = open_embedder(chosen)
    with progress_of("embedding") as show:
        result = evaluate_lfw_bin(
            data,
            embedder.embed,
            name=name,
            flip=not no_flip,
            inputs={f"model {embedder.session.name}": sha256},
            progress=show,
        )
    ran: dict[str, object] = {"model": embedder.session.name, "engine": engine}
    answer(
        result,
        first=("accuracy", "std"),
        ran={**ran, "precision": precision, "flip": not no_flip},
        report=report,
        json=json,
    )


def fruits(
    *,
    meta: Annotated[
        Path,
        typer.Option(
            "--meta", metavar="META.csv", help="photo,subject,masked and attributes, one a line."
        ),
    ],
    images: Annotated[
        Path, typer.Option("--images", metavar="DIR", help="Where the photographs lie.")
    ],
    track: Annotated[
        Literal["fruits-100", "fruits-500", "fruits-1000"],
        typer.Option("--track", metavar="NAME", help="fruits-100, fruits-500 or fruits-1000."),
    ],
    fmr: Annotated[
        float | None,
        typer.Option("--fmr", metavar="RATE", help="Where there are too few pairs for 1e-5."),
    ] = None,
    over_budget: Annotated[
        Literal["refuse", "mark"],
        typer.Option("--over-budget", metavar="WHAT", help="refuse, or mark and score it."),
    ] = "refuse",
    report: ReportFile = None,
    model: options.Model = options.DEFAULT_MODEL,
    detector: options.Detector = options.DEFAULT_DETECTOR,
    canvas: options.Canvas = None,
    det_threshold: options.DetectorThreshold = None,
    engine: options.Engine = "onnxruntime",
    precision: options.Precision = "float32",
    json: options.Json = False,
) -> None:
    """WebFace260M's FRUITS: FNMR at FMR 1e-5 of a system with 100, 500 or 1000 ms a photograph.

    Reading, detection, alignment, embedding and comparison are timed together on one core.
    """
    check_report(report)
    chosen = Chosen(
        detector=detector, model=model, policy="largest", canvas=canvas, engine=engine,
        det_threshold=det_threshold, precision=precision, threads=1,
    )  # fmt: skip
    analyzer = open_analyzer(chosen)

    def analyze(photo: bytes) -> NDArray[np.floating] | None:
        row: NDArray[np.float32] = embed_one_each(analyzer, [photo])[0]
        return None if np.isnan(row).all() else row

    with progress_of("analyzing") as show:
        result = evaluate_fruits(
            meta,
            images,
            analyze,
            track=track,
            fmr=fruits_protocol.FMR if fmr is None else fmr,
            over_budget=over_budget,
            screens=screens_of("cpu", None),
            inputs=checksums(analyzer),
            progress=show,
            how=HowToRun(announce=say),
        )
    answer(result, ran=settings(analyzer), report=report, json=json)


def frvt(
    *,
    features: UnitFeatures,
    meta: Table,
    form: Annotated[
        Literal["visa", "mugshot", "wild"],
        typer.Option("--form", metavar="NAME", help="visa, mugshot or wild."),
    ],
    fmr: Annotated[
        list[float] | None,
        typer.Option("--fmr", metavar="RATE", help="Instead of the form's; may be given often."),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            "--pairs",
            metavar="LIST",
            help="Only these: a line has two photographs and 0 or 1. --checkpoint and --threads "
            "have no part then.",
        ),
    ] = None,
    normalize: Normalize = False,
    checkpoint: Checkpoint = None,
    report: ReportFile = None,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """FRVT-like 1:1: FNMR at the FMRs of visa, mugshot or wild photographs, all pairs.

    META is a CSV with the column subject, and where they are known photo, failed (1: no template),
    year and seconds, one line a row; a row of NaN is a failed template too. Subject -1 is nobody
    known: an impostor to everybody known, never compared with another -1.
    """
    check_report(report)
    if pairs is not None and checkpoint is not None:
        raise BadInput(
            f"--checkpoint {checkpoint} is for all pairs; a list is compared at once, so leave it "
            "away with --pairs"
        )
    lengths = "any" if normalize else "unit"
    if pairs is not None:
        result = score_frvt_pairs(
            features, meta, pairs, form=form, fmrs=fmr or None, lengths=lengths
        )
    else:
        prepared = prepare_frvt(
            features,
            meta,
            form=form,
            fmrs=fmr or None,
            screens=screens_of("cpu", threads),
            lengths=lengths,
        )
        with progress_of("comparing") as show:
            result = prepared.run(HowToRun(checkpoint=checkpoint, progress=show, announce=say))
    answer(result, report=report, json=json)


def ytf(
    *,
    splits: Annotated[
        Path, typer.Option("--splits", metavar="splits.txt", help="The ten folds of videos.")
    ],
    features: Features,
    meta: Table,
    pooling: Annotated[
        Literal["mean_of_unit", "mean_of_raw", "norm_cubed"],
        typer.Option("--pooling", metavar="NAME", help="How the frames of a video become one row."),
    ] = "mean_of_unit",
    report: ReportFile = None,
    json: options.Json = False,
) -> None:
    """YouTube Faces: ten-fold accuracy over 5,000 pairs of videos.

    META is a CSV that says the video of each row; see `tronie show ytf`.
    """
    check_report(report)
    result = evaluate_ytf(splits, features, meta, pooling=pooling)
    answer(result, first=("accuracy", "std"), report=report, json=json)


COMMANDS: Mapping[str, Callable[..., None]] = {
    "lfw-bin": lfw_bin,
    "ytf": ytf,
    "frvt": frvt,
    "fruits": fruits,
}
