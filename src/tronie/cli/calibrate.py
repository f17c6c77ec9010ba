"""models calibrate: thresholds with their error rates, from photographs of known people."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from tronie.cli import options
from tronie.cli.files import whole, writable_file
from tronie.cli.models_in_use import Chosen, checksums, embed_one_each, open_analyzer, settings
from tronie.cli.terminal import (
    number_of,
    print_json,
    print_table,
    progress,
    progress_of,
    say,
    tell,
)
from tronie.data.readers.image_folder import identities
from tronie.data.readers.lfw import LfwPhotos
from tronie.errors import NotEnoughData
from tronie.evaluation.calibration import calibrate as measure
from tronie.evaluation.run import CHUNK, embed_photos
from tronie.provenance import provenance
from tronie.runtime import zoo
from tronie.runtime.pipeline import FaceAnalyzer


def calibrate(
    model: Annotated[
        str, typer.Argument(metavar="NAME|FILE.onnx", help="The model to be measured.")
    ],
    *,
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="LFW's folder, or one folder a person.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE.calibration.json",
            help="The card to write; default: beside the model, where it is used from then on.",
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", metavar="TITLE", help="What the card calls the photographs."),
    ] = None,
    detector: options.Detector = options.DEFAULT_DETECTOR,
    flip: options.Flip = False,
    engine: options.Engine = "onnxruntime",
    device: options.Device = "cpu",
    threads: options.Threads = None,
    precision: options.Precision = "float32",
    json: options.Json = False,
) -> None:
    """Measure a model's thresholds: every pair of photographs of known people, counted.

    The card says which share of the pairs of two people reaches a score (FMR, false match
    rate), and which share of the pairs of one person does (TAR, true accept rate). As
    FILE.calibration.json beside FILE.onnx, or in the cache beside a model that has a name,
    it is used from then on and goes before the card that ships.
    """
    out = out or zoo.own_card(zoo.find(model, say=say))
    writable_file(out, option="--out")
    chosen = Chosen(
        detector=detector,
        model=model,
        policy="center",
        flip=flip,
        engine=engine,
        device=device,
        threads=threads,
        precision=precision,
    )
    analyzer = open_analyzer(chosen)
    card = _card(analyzer, data, title=dataset or data.resolve().name)
    with whole(out) as (file,):
        file.write((jsonlib.dumps(card, indent=1) + "\n").encode("utf-8"))
    result = card["result"]
    if json:
        told = {key: value for key, value in card.items() if key != "result"}
        print_json({**told, "points": result["points"], "out": out})
        return
    print_points(result["points"])
    print()
    tell(
        f"{out}: {result['impostor_pairs']} pairs of two people, {result['genuine_pairs']} of "
        f"one; {number_of(card['photos_without_face'], 'photograph', 'photographs')} without a "
        "face."
    )


def print_points(points: Sequence[Mapping[str, Any]]) -> None:
    """The thresholds of a card as a table."""
    print_table(
        ("FMR asked", "threshold", "false matches", "FMR", "TAR"),
        [
            (
                f"{point['far']:g}",
                f"{point['threshold']:.4f}",
                point["false_matches"],
                f"{point['fmr']:.3g}",
                f"{point['tar']:.4f}",
            )
            for point in points
        ],
    )


def _card(analyzer: FaceAnalyzer, data: Path, *, title: str) -> dict[str, Any]:
    labels, rows = _embed_people(analyzer, data)
    usable = np.isfinite(rows).all(axis=1)
    if not usable.any():
        raise NotEnoughData(f"no photograph of {data} shows a face; calibration needs people")
    result = measure(rows[usable], labels[usable])
    return {
        "model": analyzer.model_name,
        "model_sha256": analyzer.model_sha256,
        "detector": analyzer.detector_name,
        "contract": analyzer.contract_id,
        "settings": {
            **settings(analyzer),
            "canvas": [analyzer.detector.width, analyzer.detector.height],
        },
        "dataset": f"{title}, {result.photos} photographs of {result.people} people",
        "photos_without_face": int((~usable).sum()),
        "result": result.to_dict(),
        "provenance": provenance(checksums(analyzer)).to_dict(),
    }


def _embed_people(
    analyzer: FaceAnalyzer, data: Path
) -> tuple[NDArray[np.str_], NDArray[np.float32]]:
    """Labels (N,) and embeddings (N, D), NaN where no face was found, of a folder of people."""
    if (data / "pairs.txt").is_file():
        with LfwPhotos(data) as source, progress_of("embedding") as show:
            photos = source.all()
            rows = embed_photos(
                source, photos, embed=lambda some: embed_one_each(analyzer, some), progress=show
            )
        return np.array([name for name, _ in photos]), rows
    named = identities([data])
    parts = []
    with progress(len(named), "embedding") as advance:
        for first in range(0, len(named), CHUNK):
            piece = named[first : first + CHUNK]
            parts.append(embed_one_each(analyzer, [path for _, path in piece]))
            advance(len(piece))
    return np.array([name for name, _ in named]), np.concatenate(parts)
