"""evaluate, over templates, searches and lists of pairs: IJB, MegaFace, open-set and the like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from tronie.cli import options
from tronie.cli.answers import ReportFile, answer, check_report
from tronie.cli.terminal import progress_of
from tronie.evaluation.protocols.open_set import FPIRS
from tronie.evaluation.run_identification import (
    evaluate_iqiyi_vid,
    evaluate_megaface,
    evaluate_open_set,
)
from tronie.evaluation.run_ijb import evaluate_ijb, evaluate_ijb_identification
from tronie.evaluation.run_set_to_set import evaluate_set_to_set

Features = Annotated[
    Path,
    typer.Option("--features", metavar="M.npy", help="float32, one row an image, any length."),
]
IjbMeta = Annotated[
    Path, typer.Option("--meta", metavar="DIR", help="The folder meta of IJB-B or IJB-C.")
]
Table = Annotated[
    Path,
    typer.Option("--meta", metavar="META.csv", help="One line a row; see `tronie show PROTOCOL`."),
]
Pooling = Annotated[
    Literal["media_then_sum", "mean_of_unit", "mean_of_raw", "norm_cubed"],
    typer.Option("--pooling", metavar="NAME", help="How the faces of a template become one row."),
]
Weighting = Annotated[
    Literal["none", "detector"],
    typer.Option(
        "--weighting", metavar="NAME", help="none, or detector: rows times the detector's scores."
    ),
]
Rule = Annotated[
    Literal["conservative", "published"],
    typer.Option(
        "--rule",
        metavar="NAME",
        help="conservative: the FPIR asked for is never exceeded; published: as IJB's scripts.",
    ),
]


def ijb_verification(
    *,
    features: Features,
    meta: IjbMeta,
    pooling: Pooling = "media_then_sum",
    weighting: Weighting = "none",
    nearest: Annotated[
        bool,
        typer.Option("--nearest", help="Give the published values too, whose FAR may be exceeded."),
    ] = False,
    report: ReportFile = None,
    json: options.Json = False,
) -> None:
    """IJB-B or IJB-C, 1:1: TAR at FAR 1e-6 to 1e-1 over the listed pairs of templates."""
    check_report(report)
    with progress_of("comparing") as show:
        result = evaluate_ijb(
            meta,
            features,
            pooling=pooling,
            weighting=weighting,
            beside="nearest" if nearest else "nothing",
            progress=show,
        )
    answer(result, report=report, json=json)


def ijb_identification(
    *,
    features: Features,
    meta: IjbMeta,
    pooling: Pooling = "media_then_sum",
    weighting: Weighting = "none",
    rule: Rule = "conservative",
    report: ReportFile = None,
    json: options.Json = False,
) -> None:
    """IJB-B or IJB-C, 1:N: TPIR at FPIR 0.1 and 0.01, and rank rates, in both galleries."""
    check_report(report)
    with progress_of("searching") as show:
        result = evaluate_ijb_identification(
            meta, features, pooling=pooling, weighting=weighting, rule=rule, progress=show
        )
    answer(result, report=report, json=json)


def megaface(
    *,
    features: Features,
    meta: Table,
    form: Annotated[
        Literal["plain", "cleaned"],
        typer.Option(
            "--form", metavar="NAME", help="plain, or cleaned: rows that META lists are left out."
        ),
    ] = "plain",
    report: ReportFile = None,
    json: options.Json = False,
) -> None:
    """MegaFace: rank 1 among a million distractors, and TAR at FAR 1e-6.

    META is a CSV with the column subject (-1: distractor), and listed (0 or 1) for the cleaned
    form, one line a row.
    """
    check_report(report)
    with progress_of("searching") as show:
        result = evaluate_megaface(features, meta, form=form, progress=show)
    answer(result, report=report, json=json)


def open_set(
    *,
    features: Features,
    meta: Table,
    fpir: Annotated[
        list[float] | None,
        typer.Option("--fpir", help="A false positive identification rate; may be given often."),
    ] = None,
    within: Annotated[
        int, typer.Option("--within", metavar="N", min=1, help="The mate must be in the top N.")
    ] = 1,
    rule: Rule = "conservative",
    report: ReportFile = None,
    json: options.Json = False,
) -> None:
    """Open-set identification: who is found at a fixed rate of false alarms.

    META is a CSV with the columns subject and role (gallery or probe), one line a row; a probe
    whose subject is not in the gallery is a stranger.
    """
    check_report(report)
    with progress_of("searching") as show:
        result = evaluate_open_set(
            features, meta, fpirs=fpir or FPIRS, within=within, rule=rule, progress=show
        )
    answer(result, report=report, json=json)


def set_to_set(
    *,
    features: Features,
    images: Annotated[
        Path, typer.Option("--images", metavar="LIST", help="The image of each row of the matrix.")
    ],
    templates: Annotated[
        Path, typer.Option("--templates", metavar="LIST", help="A line: a template and an image.")
    ],
    pairs: Annotated[
        Path, typer.Option("--pairs", metavar="LIST", help="A line: two templates, and 0 or 1.")
    ],
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="LIST", help="Templates of the other side."),
    ] = None,
    pooling: Annotated[
        Literal["mean_of_unit", "mean_of_raw", "norm_cubed"],
        typer.Option(
            "--pooling", metavar="NAME", help="How the faces of a template become one row."
        ),
    ] = "mean_of_unit",
    report: ReportFile = None,
    json: options.Json = False,
) -> None:
    """Templates of several images against each other, by lists: TAR at fixed FARs."""
    check_report(report)
    result = evaluate_set_to_set(
        features, images, templates=templates, pairs=pairs, against=against, pooling=pooling
    )
    answer(result, report=report, json=json)


def iqiyi_vid(
    *,
    features: Features,
    meta: Table,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="Videos retrieved for each person.")
    ] = 100,
    denominator: Annotated[
        Literal["capped", "all", "found"],
        typer.Option(
            "--denominator",
            metavar="NAME",
            help="Of the average precision: editions of the challenge differ.",
        ),
    ] = "capped",
    report: ReportFile = None,
    json: options.Json = False,
) -> None:
    """IQIYI-VID: mean average precision of the videos that each person retrieves.

    META is a CSV with the columns subject and role (query or video), one line a row.
    """
    check_report(report)
    with progress_of("searching") as show:
        result = evaluate_iqiyi_vid(
            features, meta, limit=limit, denominator=denominator, progress=show
        )
    answer(result, report=report, json=json)


COMMANDS: Mapping[str, Callable[..., None]] = {
    "ijb-verification": ijb_verification,
    "ijb-identification": ijb_identification,
    "megaface": megaface,
    "open-set": open_set,
    "set-to-set": set_to_set,
    "iqiyi-vid": iqiyi_vid,
}
