"""identify: who of a gallery is in a photograph?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from tronie.cli import options
from tronie.cli.gallery_in_use import candidates, open_gallery, stranger_rate
from tronie.cli.models_in_use import Chosen, open_analyzer
from tronie.cli.photos import Photo, photographs, tell_fault
from tronie.cli.terminal import number_of, print_json, print_table, progress, say, tell
from tronie.cli.verify import rate_words
from tronie.errors import TronieError
from tronie.geometry.faces import Faces
from tronie.runtime.calibration import Threshold
from tronie.runtime.pipeline import FaceAnalyzer
from tronie.runtime.verification import calibration_warnings, threshold_for


def identify(
    photos: options.Photos,
    *,
    gallery: options.GalleryFile,
    top: Annotated[
        int, typer.Option("--top", metavar="N", min=1, help="Likest people told for a face.")
    ] = 2,
    fmr: options.Fmr = options.DEFAULT_FMR,
    threshold: options.StatedThreshold = None,
    policy: options.Policy = "all",
    min_size: options.MinSize = 0.0,
    max_yaw: options.MaxYaw = 180.0,
    min_norm: options.MinNorm = 0.0,
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
    """Who of the gallery is in a photograph? Every face is compared with every photograph in it.

    A person's score is that of their likest photograph. The chance that a stranger is taken
    for somebody grows with the gallery, and is told: the false positive identification rate,
    FPIR, at most 1 - (1 - FMR)^N for N photographs.

    Exit code 0 where somebody was recognized, 1 where nobody was, 3 where there is no face,
    2 where a photograph could not be read.
    """
    found = photographs(photos)
    chosen = Chosen(
        detector=detector,
        model=model,
        policy=policy,
        min_size=min_size,
        max_yaw=max_yaw,
        min_norm=min_norm,
        canvas=canvas,
        det_threshold=det_threshold,
        flip=flip,
        engine=engine,
        device=device,
        threads=threads,
        precision=precision,
    )
    analyzer = open_analyzer(chosen)
    limit = threshold_for(analyzer, fmr=fmr, threshold=threshold)
    known = _known(gallery, analyzer, limit)
    _identify(analyzer, found, known, top=top, json=json)


@dataclass(frozen=True, eq=False, kw_only=True)
class Known:
    """Whom faces are compared with, and how it is decided."""

    names: tuple[str, ...]
    """Whose each photograph is, (N,)."""
    rows: NDArray[np.float32]
    """Their unit embeddings, (N, D)."""
    limit: Threshold
    expected_fpir: float | None
    warnings: list[str]

    def to_dict(self) -> dict[str, Any]:
        """What is the same for every photograph, as JSON has it."""
        return {
            "gallery_size": len(self.names),
            "people": len(set(self.names)),
            **self.limit.to_dict(),
            "expected_fpir": self.expected_fpir,
            "warnings": self.warnings,
        }


def _known(path: Path, analyzer: FaceAnalyzer, limit: Threshold) -> Known:
    with open_gallery(path, analyzer, create=False) as store:
        names, _, rows = store.embeddings()
        expired = store.expired()
    warnings = calibration_warnings(analyzer) + [
        f"{name} is not matched: the retention date has passed; run tronie gallery purge {path}"
        for name in expired
    ]
    return Known(
        names=names,
        rows=rows,
        limit=limit,
        expected_fpir=stranger_rate(limit, len(names)),
        warnings=warnings,
    )


def _identify(
    analyzer: FaceAnalyzer, photos: Sequence[Photo], known: Known, *, top: int, json: bool
) -> None:
    rows: list[tuple[object, ...]] = []
    recognized = faces = failed = 0
    with progress(len(photos), "identifying", answering=json) as advance:
        outcomes = analyzer.stream(photo.source for photo in photos)
        for photo, outcome in zip(photos, outcomes, strict=True):
            advance(1)
            if isinstance(outcome, TronieError):
                failed += 1
                tell_fault(photo, outcome, json=json)
                continue
            answers = _answers(outcome, known, top=top)
            faces += len(answers)
            recognized += sum(answer["match"] is not None for answer in answers)
            if json:
                told = {"file": photo.label, "faces": answers, **known.to_dict()}
                print_json({**told, "notes": list(outcome.notes)})
            else:
                rows += _rows(photo.name, answers)
    if not json:
        _tell(rows, known)
    if failed:
        raise typer.Exit(2)
    if faces == 0:
        say(f"no face found in {'the photograph' if len(photos) == 1 else 'any photograph'}")
        raise typer.Exit(3)
    if recognized == 0:
        raise typer.Exit(1)


def _answers(faces: Faces, known: Known, *, top: int) -> list[dict[str, Any]]:
    """One dictionary a face: where it is, whom it matches, and the candidates."""
    told = []
    found = candidates(faces, known.names, known.rows, top=top)
    for place, likest in zip(faces.to_dicts(), found, strict=True):
        best = likest[0] if likest else None
        answer = {
            "box": place["box"],
            "detector_score": place["score"],
            "match": best.person if best and best.score >= known.limit.value else None,
            "score": round(best.score, 5) if best else None,
            "candidates": [{"person": c.person, "score": round(c.score, 5)} for c in likest],
        }
        told.append(answer)
    return told


def _rows(name: str, answers: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    if not answers:
        return [(name, "no face", "", "")]
    rows: list[tuple[object, ...]] = []
    for n, answer in enumerate(answers):
        matched = answer["match"] is not None
        others = answer["candidates"][1 if matched else 0 :]
        row = (
            name if n == 0 else "",
            answer["match"] if matched else "nobody known",
            f"{answer['score']:.3f}" if answer["score"] is not None else "",
            ", ".join(f"{c['person']} {c['score']:.3f}" for c in others),
        )
        rows.append(row)
    return rows


def _tell(rows: list[tuple[object, ...]], known: Known) -> None:
    if rows:
        print_table(("file", "person", "score", "next likest"), rows)
        print()
    tell(f"Threshold {known.limit.value:.3f}. {rate_words(known.limit)}")
    if known.expected_fpir is not None:
        tell(
            f"{number_of(len(known.names), 'photograph', 'photographs')} of "
            f"{number_of(len(set(known.names)), 'person', 'people')} in the gallery: a stranger is "
            f"taken for one of them with probability at most {known.expected_fpir:.2g}."
        )
    for warning in known.warnings:
        tell(f"Warning: {warning}")
