"""The options that several verbs share: one name, one default and one meaning each.

A verb takes an option by annotating a parameter with the name here, and its default beside it:

    def detect(photos: Photos, detector: Detector = DEFAULT_DETECTOR, json: Json = False)

Only the command line reads these; the numbers they carry are checked where they are used.
A verb writes out the options it takes, so that its signature is the list of them.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

import typer

DEFAULT_MODEL = "sface-2021dec"
DEFAULT_DETECTOR = "yunet-2023mar"
DEFAULT_FMR = 1e-4

EngineName = Literal["onnxruntime", "openvino"]
PrecisionName = Literal["float32", "bfloat16", "stored"]
PolicyName = Literal["all", "largest", "center"]


def _finite(value: float | None) -> float | None:
    """NaN is neither below nor above a limit, so that ranges alone would let it pass."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no number to compare with.")
    return value


# The headings of a help page, below "Options".
DECISION, FACES, MODELS, ENGINE = "The decision", "Which faces", "Which models", "How they run"

Photos = Annotated[
    list[str],
    typer.Argument(metavar="PHOTO", help="Files, folders or patterns; - reads standard input."),
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, one object a line.")]

Fmr = Annotated[
    float,
    typer.Option(
        "--fmr",
        callback=_finite,
        metavar="RATE",
        rich_help_panel=DECISION,
        help="False match rate: how often two people may be taken for one. The model's "
        "calibration turns it into a threshold.",
    ),
]
StatedThreshold = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        callback=_finite,
        metavar="SCORE",
        min=-1.0,
        max=1.0,
        rich_help_panel=DECISION,
        help="Decide at this score instead, -1 to 1; its rate is told where it is known.",
    ),
]
GalleryFile = Annotated[
    Path, typer.Option("--gallery", metavar="G.db", help="The gallery, one SQLite file.")
]
Consent = Annotated[
    str | None, typer.Option("--consent", metavar="TEXT", help="Who agreed to what, and when.")
]
RetainUntil = Annotated[
    str | None,
    typer.Option(
        "--retain-until", metavar="YYYY-MM-DD", help="The last day of being matched (UTC)."
    ),
]

Policy = Annotated[
    PolicyName,
    typer.Option(
        "--policy",
        metavar="WHICH",
        rich_help_panel=FACES,
        help="all, the largest, or center: the one nearest the middle of the photograph.",
    ),
]
MinSize = Annotated[
    float,
    typer.Option(
        "--min-size",
        callback=_finite,
        metavar="PIXELS",
        min=0.0,
        rich_help_panel=FACES,
        help="Leave out faces whose shorter side is less.",
    ),
]
MaxYaw = Annotated[
    float,
    typer.Option(
        "--max-yaw",
        callback=_finite,
        metavar="DEGREES",
        min=0.0,
        max=180.0,
        rich_help_panel=FACES,
        help="Leave out faces turned further to a side; 0 is frontal.",
    ),
]
MinNorm = Annotated[
    float,
    typer.Option(
        "--min-norm",
        callback=_finite,
        metavar="LENGTH",
        min=0.0,
        rich_help_panel=FACES,
        help="Leave out faces whose embedding is shorter, often a poor picture; the scale is "
        "the model's.",
    ),
]
DetectorThreshold = Annotated[
    float | None,
    typer.Option(
        "--det-threshold",
        callback=_finite,
        metavar="SCORE",
        min=0.0,
        max=1.0,
        rich_help_panel=FACES,
        help="Least score of a face, 0 to 1; the detector has its own.",
    ),
]
Canvas = Annotated[
    int | None,
    typer.Option(
        "--canvas",
        metavar="PIXELS",
        min=32,
        max=8192,
        rich_help_panel=FACES,
        help="Photographs are fitted into a square of this side to find faces, mostly 640; "
        "larger finds smaller faces and takes longer.",
    ),
]

Model = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME|FILE.onnx",
        rich_help_panel=MODELS,
        help="Turns a face into numbers; see `tronie models list`.",
    ),
]
Detector = Annotated[
    str,
    typer.Option(
        "--detector", metavar="NAME|FILE.onnx", rich_help_panel=MODELS, help="Finds the faces."
    ),
]
Flip = Annotated[
    bool,
    typer.Option(
        "--flip",
        rich_help_panel=MODELS,
        help="Embed the mirror image of each face too, and average the two.",
    ),
]

Engine = Annotated[
    EngineName,
    typer.Option(
        "--engine", metavar="NAME", rich_help_panel=ENGINE, help="onnxruntime or openvino."
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="NAME",
        rich_help_panel=ENGINE,
        help="cpu, cuda, or what openvino offers; refused where it is missing.",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Change a setting of the recipe; may be repeated."
    ),
]

Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        min=1,
        max=1024,
        rich_help_panel=ENGINE,
        help="Cores to use; all of this process where it is not said.",
    ),
]
Precision = Annotated[
    PrecisionName,
    typer.Option(
        "--precision",
        metavar="KIND",
        rich_help_panel=ENGINE,
        help="float32, stored (the file's own), or bfloat16 (openvino).",
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        metavar="N",
        min=1,
        rich_help_panel=ENGINE,
        help="Faces embedded at a time by each thread.",
    ),
]
