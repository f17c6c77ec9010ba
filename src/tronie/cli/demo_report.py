"""The demo's report and its overview: who was enrolled, who was asked about, who was right.

The report is one file that needs nothing else: pictures lie inside it, and no script runs.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from tronie.cli.demo_photos import PHOTOS, DemoPhoto
from tronie.cli.files import whole
from tronie.cli.models_in_use import checksums
from tronie.cli.verify import rate_words
from tronie.geometry.boxes import scale
from tronie.geometry.faces import Faces
from tronie.geometry.hypersphere import cosine_scores, normalize
from tronie.images.draw import contact_sheet, draw_faces
from tronie.images.io import encode_image
from tronie.images.resize import resize
from tronie.provenance import provenance
from tronie.runtime.calibration import Threshold
from tronie.runtime.pipeline import FaceAnalyzer

GREEN, AMBER, BLUE = (64, 200, 110), (240, 170, 60), (80, 140, 230)
CARD, CELL = 480, 320
"""Sides of the pictures in the report and in the overview, pixels."""
AROUND = 2.2
"""A picture shows this many times the height of the face."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Seen:
    """One photograph of the demo, analyzed; `answer` and `score` where it was asked about."""

    photo: DemoPhoto
    image: NDArray[np.uint8]
    face: Faces
    crop: NDArray[np.uint8]
    sha256: str
    answer: str | None = None
    score: float = 1.0

    @property
    def right(self) -> bool:
        """Whether the gallery said what is true."""
        known = {photo.person for photo in PHOTOS if photo.enrolled}
        return self.answer == (self.photo.person if self.photo.person in known else None)


@dataclass(frozen=True, eq=False, kw_only=True)
class Demo:
    """What one run of the demo came to."""

    known: list[Seen]
    asked: list[Seen]
    limit: Threshold
    fpir: float | None
    """The most likely a stranger is taken for somebody of the gallery; None if unknown."""


def write_overview(file: Path, found: Demo) -> None:
    """The photographs that were asked about side by side, with what the gallery said."""
    pictures = []
    for seen in found.asked:
        label = f"{seen.answer or 'nobody known'}\n{seen.score:.3f}"
        color = GREEN if seen.answer else AMBER
        pictures.append(_marked(seen, CELL, color=color, label=label))
    sheet = contact_sheet(pictures, columns=len(pictures), cell=CELL)
    with whole(file) as (out,):
        out.write(encode_image(sheet, ".jpg", quality=90))


def write_report(file: Path, found: Demo, analyzer: FaceAnalyzer) -> None:
    """report.html, whole or not at all."""
    everyone = [*found.known, *found.asked]
    units = np.concatenate([_unit(seen.face) for seen in everyone])
    environment = Environment(
        loader=PackageLoader("tronie.cli"), undefined=StrictUndefined, autoescape=True
    )
    environment.filters["spaced"] = lambda count: f"{count:,}".replace(",", "\u202f")
    page = environment.get_template("demo_report.html").render(
        known=[_for_page(seen, BLUE) for seen in found.known],
        asked=[_for_page(seen, GREEN if seen.answer else AMBER) for seen in found.asked],
        right=sum(seen.right for seen in found.asked),
        names=[f"{seen.photo.person}, {seen.photo.year}" for seen in everyone],
        scores=cosine_scores(units, units).tolist(),
        limit=found.limit,
        rate=rate_words(found.limit),
        fpir=found.fpir,
        model=analyzer.model_name,
        detector=analyzer.detector_name,
        contract=analyzer.contract_id,
        made=provenance(checksums(analyzer)).to_dict(),
    )
    with whole(file) as (out,):
        out.write(page.encode("utf-8"))


def _for_page(seen: Seen, color: tuple[int, int, int]) -> dict[str, Any]:
    return {
        "photo": seen.photo,
        "answer": seen.answer,
        "score": seen.score,
        "right": seen.right,
        "picture": _data_uri(_marked(seen, CARD, color=color)),
        "crop": _data_uri(seen.crop),
    }


def _marked(
    seen: Seen, side: int, *, color: tuple[int, int, int], label: str = ""
) -> NDArray[np.uint8]:
    """A square around the face, `side` pixels wide, with its box, points and label."""
    height, width = seen.image.shape[:2]
    x1, y1, x2, y2 = (float(v) for v in seen.face.boxes[0])
    square = int(min(height, width, AROUND * (y2 - y1)))
    left = int(np.clip((x1 + x2) / 2 - square / 2, 0, width - square))
    top = int(np.clip((y1 + y2) / 2 - square / 2, 0, height - square))
    piece = np.ascontiguousarray(seen.image[top : top + square, left : left + square])
    picture = resize(piece, width=side, height=side, method="area" if square > side else "bilinear")
    face = _moved(seen.face, left, top, side / square)
    # Lines and letters grow with the area that is drawn on, and these pictures are shown small:
    # three empty ones below make both twice as large.
    tall = np.concatenate([picture, np.zeros((3 * side, side, 3), np.uint8)])
    return draw_faces(tall, face, labels=[label], color=color)[:side]


def _moved(face: Faces, left: int, top: int, factor: float) -> Faces:
    corner = np.array([left, top], np.float32)
    boxes = scale(face.boxes - np.tile(corner, 2), x=factor, y=factor)
    assert face.landmarks is not None
    return replace(face, boxes=boxes, landmarks=(face.landmarks - corner) * np.float32(factor))


def _unit(face: Faces) -> NDArray[np.float32]:
    assert face.embeddings is not None
    return normalize(face.embeddings)[0]


def _data_uri(image: NDArray[np.uint8]) -> str:
    data = base64.b64encode(encode_image(image, ".jpg", quality=88)).decode("ascii")
    return f"data:image/jpeg;base64,{data}"
