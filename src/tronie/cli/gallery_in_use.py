"""A gallery and an analyzer together: opened for each other, filled, and asked."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadInput
from tronie.gallery.exact import expected_fpir, search_people
from tronie.gallery.records import Photograph
from tronie.gallery.store import Gallery
from tronie.geometry.faces import Faces
from tronie.geometry.hypersphere import normalize
from tronie.runtime.calibration import Threshold
from tronie.runtime.pipeline import FaceAnalyzer


class Candidate(NamedTuple):
    """Somebody in the gallery, and how much a face is like theirs."""

    person: str
    score: float


def open_gallery(path: Path, analyzer: FaceAnalyzer, *, create: bool) -> Gallery:
    """The gallery at `path`, refused if another model than the analyzer's made it.

    Raises:
        BadInput: the model does not state its dimension.
        GalleryError, NotFound: as `Gallery.open`.
    """
    dimension = analyzer.embedder.dimension
    if dimension is None:
        raise BadInput(f"model {analyzer.model_name} does not state its dimension")
    return Gallery.open(
        path,
        contract=analyzer.contract_id,
        model=analyzer.model_name,
        detector=analyzer.detector_name,
        dimension=dimension,
        create=create,
    )


def photograph(face: Faces, *, name: str, sha256: str) -> Photograph:
    """What a gallery remembers of one embedded face, from a photograph called `name`."""
    assert face.embeddings is not None
    assert len(face) == 1
    x1, y1, x2, y2 = (float(side) for side in face.boxes[0])
    return Photograph(
        source=name.encode("utf-8", "backslashreplace").decode("utf-8"),  # SQL holds text only
        sha256=sha256,
        box=(x1, y1, x2, y2),
        detector_score=float(face.scores[0]),
        embedding=face.embeddings[0],
    )


def candidates(
    faces: Faces, names: tuple[str, ...], rows: NDArray[np.float32], *, top: int
) -> list[list[Candidate]]:
    """For each face the `top` people it is most like, by falling score.

    A person's score is that of their likest photograph; `names` says whose each of `rows` is.
    """
    if len(faces) == 0:
        return []
    assert faces.embeddings is not None
    probes = normalize(faces.embeddings)[0]
    return [
        [Candidate(names[row], float(s)) for row, s in zip(found.rows, found.scores, strict=True)]
        for found in search_people(probes, rows, names, top=top)
    ]


def stranger_rate(limit: Threshold, photographs: int) -> float | None:
    """At most so likely is a stranger taken for somebody: 1 - (1 - FMR)^N; None if unknown.

    N photographs are compared with, as the FMR counts photograph against photograph. Where not
    one impostor pair reached the threshold, one is counted all the same: better than a rate of
    zero that nobody measured.
    """
    if limit.impostor_pairs is None:
        return None
    return expected_fpir(max(limit.fmr, 1 / limit.impostor_pairs), photographs)
