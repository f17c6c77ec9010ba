"""Faces: what was found in one image, as arrays that share their first axis.

Letters: N faces, K = 5 points, D numbers in an embedding.

    boxes       (N, 4)      float32, x1 y1 x2 y2, pixels of the image, not clipped to it
    scores      (N,)        float32, in [0, 1], the detector's confidence
    landmarks   (N, 5, 2)   float32, x y in pixels: left eye, right eye, nose, left mouth
                            corner, right mouth corner; "left" as seen in the image; or None
    embeddings  (N, D)      float32, as the network gives them, not normalized; or None

Rows are sorted by falling score unless a policy chose otherwise. `notes` holds one
sentence for each face that was found and left out, and why: nothing vanishes silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tronie.errors import BadArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Faces:
    """The faces of one image. Frozen: methods return new Faces, and arrays are not copied.

    Raises:
        BadArray: an array whose shape does not fit the number of boxes.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks: NDArray[np.float32] | None = None
    embeddings: NDArray[np.float32] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.boxes)
        _expect("boxes", self.boxes.shape, (n, 4))
        _expect("scores", self.scores.shape, (n,))
        if self.landmarks is not None:
            _expect("landmarks", self.landmarks.shape, (n, 5, 2))
        if self.embeddings is not None:
            _expect("embeddings", self.embeddings.shape, (n, self.embeddings.shape[-1]))

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, rows: ArrayLike, *, notes: tuple[str, ...] = ()) -> Faces:
        """The faces at `rows` (integer indices or a boolean mask), in that order.

        `notes` are added to those that are already there.
        """
        index = np.asarray(rows)
        if index.dtype != np.bool_:
            index = index.astype(np.int64)
        return Faces(
            boxes=self.boxes[index],
            scores=self.scores[index],
            landmarks=None if self.landmarks is None else self.landmarks[index],
            embeddings=None if self.embeddings is None else self.embeddings[index],
            notes=self.notes + notes,
        )

    def with_embeddings(self, embeddings: NDArray[np.float32]) -> Faces:
        """The same faces with their embeddings, shape (N, D)."""
        return replace(self, embeddings=embeddings)

    def to_dicts(self) -> list[dict[str, Any]]:
        """One plain dictionary a face, ready for JSON: box, score, landmarks.

        Embeddings are left out: they are biometric data, and belong in a matrix.
        """
        rows: list[dict[str, Any]] = []
        for n in range(len(self)):
            row: dict[str, Any] = {
                "box": [round(float(v), 2) for v in self.boxes[n]],
                "score": round(float(self.scores[n]), 5),
            }
            if self.landmarks is not None:
                row["landmarks"] = [[round(float(v), 2) for v in p] for p in self.landmarks[n]]
            rows.append(row)
        return rows

    @staticmethod
    def none(*, notes: tuple[str, ...] = ()) -> Faces:
        """An image without faces."""
        return Faces(
            boxes=np.zeros((0, 4), np.float32),
            scores=np.zeros((0,), np.float32),
            landmarks=np.zeros((0, 5, 2), np.float32),
            notes=notes,
        )


def joined(found: Sequence[Faces]) -> Faces:
    """The faces of several looks at one image, look after look; embeddings and notes are left out.

    Landmarks are there if every look has them. Of no look at all, there is no face.
    """
    if not found:
        return Faces.none()
    points = [faces.landmarks for faces in found if faces.landmarks is not None]
    return Faces(
        boxes=np.concatenate([faces.boxes for faces in found]),
        scores=np.concatenate([faces.scores for faces in found]),
        landmarks=np.concatenate(points) if len(points) == len(found) else None,
    )


def _expect(name: str, found: tuple[int, ...], asked: tuple[int, ...]) -> None:
    if found != asked:
        raise BadArray(f"{name} must have shape {asked} to fit the boxes; got {found}")
