"""The options of commands that compare all pairs of a matrix; see `tronie.cli.options`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tronie.cli import options
from tronie.evaluation.run_sets import LOOSE

PAIRS, IMAGES = "Which pairs", "Or photographs instead of a matrix"

Features = Annotated[
    Path | None,
    typer.Option(
        "--features",
        metavar="M.npy",
        help="float32, one row an image: an .npy, or four int32 and the rows.",
    ),
]
Meta = Annotated[
    Path,
    typer.Option("--meta", metavar="META.csv", help="One line a row; see `tronie show PROTOCOL`."),
]
Normalize = Annotated[
    bool, typer.Option("--normalize", help="The rows do not have length 1: give them it.")
]
Checkpoint = Annotated[
    Path | None,
    typer.Option("--checkpoint", metavar="FILE", help="Go on from here after a stop."),
]
LeaveOut = Annotated[
    Path | None,
    typer.Option(
        "--leave-out",
        metavar="X.npy",
        rich_help_panel=PAIRS,
        help="Pairs of rows that count nowhere.",
    ),
]
Images = Annotated[
    list[str] | None,
    typer.Option(
        "--images",
        metavar="DIR|LIST.txt",
        rich_help_panel=IMAGES,
        help="Embed these: a folder a person, or a list of one path a row. May be given often.",
    ),
]
Aligned = Annotated[
    bool,
    typer.Option(
        "--aligned",
        rich_help_panel=IMAGES,
        help="The images are aligned crops already: nothing is detected.",
    ),
]
FeaturesOut = Annotated[
    Path,
    typer.Option(
        "--features-out",
        metavar="M.npy",
        rich_help_panel=IMAGES,
        help="Where their matrix goes; a run that was stopped goes on there.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        rich_help_panel=options.ENGINE,
        help="Spread the pairs over this Ray cluster, such as auto or 10.0.0.1:6379.",
    ),
]
SearchDevice = Annotated[
    str,
    typer.Option(
        "--search-device",
        metavar="NAME",
        rich_help_panel=options.ENGINE,
        help="cpu, or cuda: int8 tensor cores, with torch installed.",
    ),
]
DEFAULT_MATRIX = Path("features.npy")


Labels = Annotated[
    Path | None,
    typer.Option("--labels", metavar="L.npy|L.txt", help="Whose each row is; -1: distractor."),
]
Fars = Annotated[
    list[float], typer.Option("--far", help="A false accept rate; may be given often.")
]
Group = Annotated[
    Path | None,
    typer.Option(
        "--group",
        metavar="G.npy",
        rich_help_panel=PAIRS,
        help="True for the rows that take part.",
    ),
]
Against = Annotated[
    Path | None,
    typer.Option(
        "--against", metavar="G.npy", rich_help_panel=PAIRS, help="The rows of the other side."
    ),
]
Groups = Annotated[
    Path | None,
    typer.Option(
        "--groups",
        metavar="G.npy|G.txt",
        rich_help_panel=PAIRS,
        help="The group of each row by name: FMR and FNMR are compared between groups.",
    ),
]
SampleFrom = Annotated[
    float | None,
    typer.Option(
        "--sample-from",
        metavar="FAR",
        help="Estimate FARs from this one on from a sample, with its interval.",
    ),
]
SamplePairs = Annotated[
    int | None,
    typer.Option(
        "--sample-pairs",
        metavar="N",
        min=1000,
        help="Impostor pairs in a sample: for --sample-from, and for the curve of a --report.",
    ),
]
Exact = Annotated[
    bool,
    typer.Option("--exact", help=f"Count all pairs at FARs from {LOOSE:g} on too."),
]
