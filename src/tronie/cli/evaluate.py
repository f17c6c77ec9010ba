"""evaluate: run a protocol and print its Report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from numpy.typing import NDArray

from tronie.cli import options
from tronie.cli.files import whole, writable_file
from tronie.cli.models_in_use import Chosen, open_analyzer
from tronie.cli.terminal import print_json, print_table, progress_of, tell
from tronie.errors import TronieError
from tronie.evaluation.report import Report, Value
from tronie.evaluation.run import evaluate_lfw
from tronie.runtime.pipeline import FaceAnalyzer


def evaluate(
    protocol: Annotated[
        Literal["lfw"],
        typer.Argument(metavar="PROTOCOL", help="lfw: 6000 pairs in ten folds."),
    ],
    *,
    data: Annotated[
        Path,
        typer.Option("--data", metavar="DIR", help="pairs.txt and the photographs, or their zip."),
    ],
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Write everything measured here, as JSON."),
    ] = None,
    model: options.Model = options.DEFAULT_MODEL,
    detector: options.Detector = options.DEFAULT_DETECTOR,
    flip: options.Flip = False,
    engine: options.Engine = "onnxruntime",
    device: options.Device = "cpu",
    threads: options.Threads = None,
    precision: options.Precision = "float32",
    json: options.Json = False,
) -> None:
    """Measure a model by a published protocol, with our own detection and alignment.

    lfw: the accuracy of ten folds, the threshold of each chosen on the other nine. The face
    nearest the center of a photograph is taken. A photograph without a face counts as a
    wrong decision wherever a pair needs it.
    """
    if report is not None:
        writable_file(report, option="--report")
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
    with progress_of("embedding") as show:
        result = evaluate_lfw(
            data,
            lambda photos: embed_one_each(analyzer, photos),
            inputs=checksums(analyzer),
            progress=show,
        )
    if report is not None:
        with whole(report) as (file,):
            file.write(result.to_json().encode("utf-8"))
    if json:
        told = result.to_dict()
        first = {key: told.pop(key) for key in ("accuracy", "std", "pairs")}
        print_json({**first, **told, **settings(analyzer)})
    else:
        _tell(result)


def embed_one_each(
    analyzer: FaceAnalyzer, photos: Sequence[bytes] | Sequence[Path]
) -> NDArray[np.float32]:
    """One row a photograph, NaN where no face was found: what protocols ask for.

    Raises:
        TronieError: a photograph cannot be read.
    """
    rows: NDArray[np.float32] | None = None
    for n, outcome in enumerate(analyzer.stream(photos)):
        if isinstance(outcome, TronieError):
            raise outcome
        assert outcome.embeddings is not None
        if rows is None:
            rows = np.full((len(photos), outcome.embeddings.shape[1]), np.nan, np.float32)
        if len(outcome):
            rows[n] = outcome.embeddings[0]
    assert rows is not None
    return rows


def settings(analyzer: FaceAnalyzer) -> dict[str, object]:
    """What ran, for a Report."""
    run = analyzer.embedder.session.options
    return {
        "model": analyzer.model_name,
        "detector": analyzer.detector_name,
        "contract": analyzer.contract_id,
        "engine": run.engine,
        "precision": run.precision,
        "flip": analyzer.embedder.flip,
    }


def checksums(analyzer: FaceAnalyzer) -> dict[str, str]:
    """The SHA-256 of both models, for the provenance of a number."""
    return {
        f"model {analyzer.model_name}": analyzer.model_sha256,
        f"detector {analyzer.detector_name}": analyzer.detector_sha256,
    }


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
