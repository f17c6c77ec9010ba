"""enroll: named people into a gallery."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from tronie.cli import options
from tronie.cli.files import writable_file
from tronie.cli.gallery_in_use import open_gallery, photograph
from tronie.cli.models_in_use import Chosen, open_analyzer
from tronie.cli.photos import MAX_BYTES, Photo, check_words, fault_sentence, photographs
from tronie.cli.terminal import number_of, print_json, progress, say, tell
from tronie.data.readers.image_folder import identities
from tronie.errors import BadInput, NoFace, TronieError
from tronie.gallery.enroll import unlike_the_others
from tronie.gallery.records import Photograph, clean_name
from tronie.gallery.store import Gallery
from tronie.provenance import file_sha256
from tronie.runtime.calibration import DEFAULT_FMR
from tronie.runtime.pipeline import FaceAnalyzer
from tronie.runtime.verification import one_face, threshold_for


def enroll(
    people: Annotated[
        list[str],
        typer.Argument(metavar="DIR|FILE", help="One folder a person, or NAME_0001.jpg files."),
    ],
    *,
    gallery: options.GalleryFile,
    person: Annotated[
        str | None,
        typer.Option("--person", metavar="NAME", help="All the photographs show this one."),
    ] = None,
    consent: options.Consent = None,
    retain_until: options.RetainUntil = None,
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
    """Put named people into a gallery. The largest face of each photograph is taken.

    The gallery is made if it is not there. Each person is written whole or not at all, so an
    interrupted run can be repeated: only what is new is added.

    Exit code 3 where somebody has no photograph that can be used, 2 where one could not be
    read; everybody else is enrolled all the same.
    """
    until = as_day(retain_until)
    if until is not None and until < datetime.now(UTC).date():
        raise BadInput(f"--retain-until {until} has passed, and nobody would ever be matched")
    named = _named(people, person)
    if not gallery.is_file():
        writable_file(gallery, option="--gallery")
    chosen = Chosen(
        detector=detector,
        model=model,
        policy="largest",
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
    terms = Terms(consent=consent, until=until)
    _tell(_enroll(analyzer, named, gallery, terms=terms), gallery, json=json)


def as_day(text: str | None) -> date | None:
    """The day that --retain-until names; None stays None.

    Raises:
        BadInput: it is no day as YYYY-MM-DD.
    """
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError as fault:
        raise BadInput(f"--retain-until takes a day as YYYY-MM-DD; got {text!r}") from fault


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On whose word somebody is remembered, and until when; None changes nothing."""

    consent: str | None
    until: date | None


@dataclass(kw_only=True)
class Outcome:
    """What became of a run of enroll, filled while it goes on."""

    enrolled: dict[str, list[Photograph]] = field(default_factory=dict)
    without: list[str] = field(default_factory=list)
    new_photos: int = 0
    unusable: int = 0
    """Photographs that could not be read, or belong to somebody else."""
    gallery_size: int = 0
    warnings: list[str] = field(default_factory=list)


def _named(words: Sequence[str], person: str | None) -> list[tuple[str, Photo]]:
    """Who is on which photograph; all of one person's follow each other."""
    if person is not None:
        name = clean_name(person)
        return [(name, photo) for photo in photographs(words)]
    check_words(words)
    if "-" in words:
        raise BadInput("standard input does not say who is on it; name them with --person")
    found = [(clean_name(name), Photo(str(path), path)) for name, path in identities(words)]
    return sorted(found, key=lambda pair: pair[0])


def _enroll(
    analyzer: FaceAnalyzer, named: Sequence[tuple[str, Photo]], path: Path, *, terms: Terms
) -> Outcome:
    """Person by person. A new gallery is made when somebody is there to be put into it."""
    result = Outcome()
    store = open_gallery(path, analyzer, create=False) if path.exists() else None
    try:
        with progress(len(named), "enrolling") as advance:
            seen = _photographs(analyzer, [photo for _, photo in named], result)
            pairs = zip((name for name, _ in named), seen, strict=True)
            for name, group in groupby(pairs, key=lambda pair: pair[0]):
                found = []
                for _, one in group:
                    advance(1)
                    found += [] if one is None else [one]
                if not found:
                    result.without.append(name)
                    result.warnings.append(f"{name} was not enrolled: no photograph can be used")
                    continue
                store = store or open_gallery(path, analyzer, create=True)
                _add(store, name, found, terms=terms, result=result)
        if store is not None:
            result.warnings += _outliers(analyzer, store, result.enrolled)
            result.gallery_size = len(store.people())
    finally:
        if store is not None:
            store.close()
    return result


def _add(
    store: Gallery, name: str, found: list[Photograph], *, terms: Terms, result: Outcome
) -> None:
    try:
        result.new_photos += store.add(
            name, found, consent=terms.consent, retention_until=terms.until
        )
        result.enrolled[name] = found
    except BadInput as fault:  # this one's photographs; the next person's may be fine
        result.unusable += 1
        result.warnings.append(str(fault))


def _photographs(
    analyzer: FaceAnalyzer, photos: Sequence[Photo], result: Outcome
) -> Iterator[Photograph | None]:
    """One a photograph, in order; None where it cannot be used, with a warning."""
    digests: list[str] = []

    def sources() -> Iterator[bytes | Path]:
        for photo in photos:
            source, digest = _with_checksum(photo)
            digests.append(digest)
            yield source

    for n, (photo, outcome) in enumerate(zip(photos, analyzer.stream(sources()), strict=True)):
        try:
            if isinstance(outcome, TronieError):
                raise outcome
            face, notes = one_face(outcome, what=photo.label)
        except TronieError as fault:
            result.unusable += not isinstance(fault, NoFace)
            result.warnings.append(fault_sentence(photo, fault))
            yield None
        else:
            result.warnings += [f"{photo.label}: {note}" for note in notes]
            yield photograph(face, name=photo.name, sha256=digests[n])


def _with_checksum(photo: Photo) -> tuple[bytes | Path, str]:
    """What to analyze, and its SHA-256: of the very bytes, unless they are very many.

    A file that cannot be read stays a path, which the analyzer refuses with a sentence.
    """
    source = photo.source
    if isinstance(source, Path):
        try:
            if not source.is_file():  # reading a pipe would wait for its writer
                return source, ""
            with source.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                return source, file_sha256(source)
            source = data
        except OSError:
            return source, ""
    return source, hashlib.sha256(source).hexdigest()


def _outliers(analyzer: FaceAnalyzer, store: Gallery, enrolled: Iterable[str]) -> list[str]:
    """Photographs that do not look like the person's others, at the model's threshold.

    All in the gallery are looked at, those of earlier runs too.
    """
    try:
        limit = threshold_for(analyzer, fmr=DEFAULT_FMR, threshold=None).value
    except TronieError:
        return []  # no calibration, or too small a one: then there is no threshold to use
    warnings: list[str] = []
    for name in enrolled:
        _, sources, unit = store.embeddings_of(name)
        warnings += unlike_the_others(name, unit, sources=sources, threshold=limit)
    return warnings


def _tell(result: Outcome, gallery: Path, *, json: bool) -> None:
    for warning in result.warnings:
        say(warning)
    photos = sum(map(len, result.enrolled.values()))
    if json:
        told = {
            "people": len(result.enrolled),
            "photos": photos,
            "new_photos": result.new_photos,
            "without": sorted(result.without),
            "gallery": gallery,
            "gallery_size": result.gallery_size,
            "warnings": result.warnings,
        }
        print_json(told)
    else:
        tell(
            f"{number_of(len(result.enrolled), 'person', 'people')} enrolled from "
            f"{number_of(photos, 'photograph', 'photographs')}, {result.new_photos} of them new; "
            f"{gallery} holds {number_of(result.gallery_size, 'person', 'people')}."
        )
    if result.unusable:
        raise typer.Exit(2)
    if result.without:
        raise typer.Exit(3)
