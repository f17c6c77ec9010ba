"""One to one: are these two photographs of the same person?

    score = cosine of the two embeddings, in float64;  same person where score >= threshold

The threshold is never a bare number. It comes from the model's calibration card at a false
match rate that the caller names, and the answer carries that rate, the number of pairs behind
it, and where it was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tronie.errors import NoFace, NotFound
from tronie.geometry.faces import Faces
from tronie.geometry.hypersphere import cosine_scores, normalize
from tronie.runtime.calibration import DEFAULT_FMR, Threshold
from tronie.runtime.pipeline import FaceAnalyzer, Source


@dataclass(frozen=True, kw_only=True)
class Verification:
    """The answer, and everything needed to judge it."""

    match: bool
    score: float
    """Cosine in [-1, 1]; not a probability and never shown as a percentage."""
    threshold: Threshold
    score_fmr: float | None
    """Share of the calibration's impostor pairs that score at least as high."""
    model: str
    detector: str
    contract: str
    faces: dict[str, dict[str, Any]]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `match` and `score` come first."""
        return {
            "match": self.match,
            "score": round(self.score, 5),
            **self.threshold.to_dict(),
            "score_fmr": self.score_fmr,
            "model": self.model,
            "detector": self.detector,
            "contract": self.contract,
            "faces": self.faces,
            "warnings": list(self.warnings),
        }


def verify(
    a: Source,
    b: Source,
    *,
    analyzer: FaceAnalyzer | None = None,
    fmr: float = DEFAULT_FMR,
    threshold: float | None = None,
) -> Verification:
    """Compare the largest face of two photographs.

    Args:
        a: A path, the bytes of a picture file, or an array (H, W, 3) uint8 RGB.
        b: The other one.
        analyzer: Models to use; default: YuNet and SFace, opened once.
        fmr: The false match rate to decide at, as measured by the model's calibration.
        threshold: Decide at this cosine instead; its measured rate is told all the same.

    Returns:
        A Verification; `match` is `score >= threshold.value`.

    Raises:
        NoFace: one of the two shows no face that can be used; says which.
        NotFound: the model has no calibration card and no `threshold` was given.
        NotEnoughData: the card cannot tell so low an `fmr`.
        BadImage: one of the two cannot be read.
        BadInput: `analyzer` was made with model=None.

    Example:
        >>> verify("me.jpg", "me too.jpg").match  # doctest: +SKIP
        True
    """
    chosen = analyzer or default_analyzer()
    _ = chosen.embedder  # refuses an analyzer that has none
    limit = threshold_for(chosen, fmr=fmr, threshold=threshold)
    warnings: list[str] = []
    units, told = [], {}
    for side, source in (("a", a), ("b", b)):
        faces, notes = one_face(chosen.analyze(source), what=side)
        assert faces.embeddings is not None
        units.append(normalize(faces.embeddings)[0])
        told[side] = faces.to_dicts()[0]
        warnings += [f"{side}: {note}" for note in notes]
    score = float(cosine_scores(units[0], units[1])[0, 0])
    card = chosen.calibration
    return Verification(
        match=score >= limit.value,
        score=score,
        threshold=limit,
        score_fmr=card.fmr_of(score) if card else None,
        model=chosen.model_name,
        detector=chosen.detector_name,
        contract=chosen.contract_id,
        faces=told,
        warnings=(*warnings, *calibration_warnings(chosen), *chosen.assumed),
    )


def threshold_for(analyzer: FaceAnalyzer, *, fmr: float, threshold: float | None) -> Threshold:
    """The threshold an analyzer decides at.

    Raises:
        NotFound: no calibration card for the model, and no threshold was stated.
        NotEnoughData: the card cannot tell so low an `fmr`.
    """
    card = analyzer.calibration
    if threshold is not None:
        if card is not None:
            return card.stated(threshold)
        return Threshold(
            value=threshold,
            fmr=float("nan"),
            false_matches=None,
            impostor_pairs=None,
            source="stated by the user, never measured",
        )
    if card is None:
        raise NotFound(
            f"model {analyzer.model_name} has no calibration, so no threshold has a known error "
            "rate; run `tronie models calibrate` on photographs of known people, or state "
            "--threshold"
        )
    return card.at_fmr(fmr)


def calibration_warnings(analyzer: FaceAnalyzer) -> list[str]:
    """What makes the card's rates doubtful here: whatever differs from what was measured.

    That is another embedding contract (detector, its canvas or pixels, mirrored crops), and
    another precision, or another engine where it rounds in its own way.
    """
    card = analyzer.calibration
    if card is None:
        return []
    warnings = []
    if card.contract != analyzer.contract_id:
        canvas = card.settings.get("canvas")
        size = f" on the canvas {canvas}" if canvas else ""
        flip = ", mirrored crops averaged in" if card.settings.get("flip") else ""
        warnings.append(
            f"the error rates were measured with detector {card.detector}{size}{flip}; this run "
            "differs (detector, its canvas, or --flip), so they may too"
        )
    now = analyzer.embedder.session.options
    engine = str(card.settings.get("engine", now.engine))
    precision = str(card.settings.get("precision", now.precision))
    other_rounding = engine != now.engine and precision != "float32"
    if precision != now.precision or other_rounding:
        warnings.append(
            f"the error rates were measured in precision {precision} on {engine}; this run is in "
            f"{now.precision} on {now.engine}, so they may differ"
        )
    return warnings


def one_face(faces: Faces, *, what: str) -> tuple[Faces, tuple[str, ...]]:
    """The largest of the faces, and the notes that belong to it.

    Raises:
        NoFace: there is none; `what` is what the message calls the photograph.
    """
    if len(faces) == 0:
        why = "; ".join(faces.notes)
        hint = f": {why}" if why else ". Is it upright, in focus, and larger than 20 pixels?"
        raise NoFace(f"no face found in {what}{hint}")
    if len(faces) == 1:
        return faces, faces.notes
    sides = faces.boxes[:, 2:] - faces.boxes[:, :2]
    largest = int((sides[:, 0] * sides[:, 1]).argmax())
    return faces.take([largest]), (*faces.notes, f"{len(faces)} faces found, the largest used")


@lru_cache(maxsize=1)
def default_analyzer() -> FaceAnalyzer:
    """YuNet and SFace with default options, opened once a process."""
    return FaceAnalyzer(policy="largest")
