"""verify: one to one, with the error rate of the decision."""

from __future__ import annotations

from typing import Annotated

import typer

from tronie.cli import options
from tronie.cli.models_in_use import Chosen, open_analyzer
from tronie.cli.photos import Photo, check_words, photographs
from tronie.cli.terminal import number_of, print_json, tell
from tronie.errors import BadInput, NoFace
from tronie.runtime.calibration import Threshold
from tronie.runtime.verification import Verification
from tronie.runtime.verification import verify as compare


def verify(
    a: Annotated[str, typer.Argument(metavar="A", help="A photograph; - reads standard input.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    *,
    fmr: options.Fmr = options.DEFAULT_FMR,
    threshold: options.StatedThreshold = None,
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
    """Are two photographs of one person? The largest face of each is compared.

    The score is the cosine of the two embeddings, from -1 to 1, and no percentage. The answer
    tells how often a score like it occurs between two different people.

    Exit code 0 for the same person, 1 for another, 3 where a photograph shows no face.
    """
    first, second = _pair(a, b)
    chosen = Chosen(
        detector=detector,
        model=model,
        policy="largest",
        canvas=canvas,
        det_threshold=det_threshold,
        flip=flip,
        engine=engine,
        device=device,
        threads=threads,
        precision=precision,
    )
    analyzer = open_analyzer(chosen)
    try:
        answer = compare(
            first.source, second.source, analyzer=analyzer, fmr=fmr, threshold=threshold
        )
    except NoFace as fault:
        raise NoFace(_named(str(fault), first, second)) from fault
    if json:
        print_json(answer.to_dict())
    else:
        _tell(answer)
    if not answer.match:
        raise typer.Exit(1)


def rate_words(limit: Threshold) -> str:
    """One sentence about the error rate of a threshold, with its counts and its source."""
    if limit.impostor_pairs is None:
        return "You stated the threshold; its error rate is not known."
    matches = number_of(limit.false_matches or 0, "false match", "false matches")
    rate = f"{limit.fmr:.2g}" if limit.false_matches else f"under {1 / limit.impostor_pairs:.1g}"
    most = "at most " if limit.is_bound else ""
    return f"False match rate {most}{rate} ({matches}), measured on {limit.source}."


def _pair(a: str, b: str) -> tuple[Photo, Photo]:
    check_words([a, b])
    found = [photographs([word]) for word in (a, b)]
    for word, photos in zip((a, b), found, strict=True):
        if len(photos) != 1:
            raise BadInput(f"verify compares two photographs; {word} names {len(photos)}")
    return found[0][0], found[1][0]


def _named(text: str, first: Photo, second: Photo) -> str:
    """The library calls the two photographs a and b; here they have names."""
    for side, photo in (("a", first), ("b", second)):
        prefix = f"no face found in {side}"
        if text.startswith(prefix):
            return f"no face found in {photo.label}{text.removeprefix(prefix)}"
    return text


def _tell(answer: Verification) -> None:
    limit = answer.threshold
    word = "The same person" if answer.match else "Different people"
    relation = "reaches" if answer.match else "is below"
    tell(f"{word}: the score {answer.score:.3f} {relation} the threshold {limit.value:.3f}.")
    tell(rate_words(limit))
    for warning in answer.warnings:
        tell(f"Warning: {warning}")
