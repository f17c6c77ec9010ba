"""One picture looked at in several sizes and in a mirror, and one answer made of it.

    canvas           fitted into the detector's canvas, as `tronie detect` does, but one look only
    original         as many pixels as the picture has
    short x long     the shorter side short pixels, or the longer one long, whichever is smaller
    mirror           every size a second time, flipped; boxes and points are turned back

Sizes other than the canvas are filled up to multiples of 32. What all looks found, from the score
threshold on, is put together, and then suppressed by the detector's NMS; or voted on, see
`tronie.geometry.box_voting`. Every look counts for faces of every size: nothing is left out
because it was found small in a small picture or large in a large one.

Published: SCRFD is told at canvas 640, at 1100x1650 and at original; RetinaFace at short sides
of 500, 800, 1100, 1400 and 1700, each with a longer side of at most one and a half times as much,
with mirror images and voting (arXiv:1905.00641, section 4.1; sizes as in its code).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from tronie.errors import BadInput
from tronie.geometry import boxes as box
from tronie.geometry import landmarks
from tronie.geometry.box_voting import vote_boxes
from tronie.geometry.faces import Faces, joined
from tronie.images.pixels import Pixels, expect_image
from tronie.runtime.canvas import suppressed
from tronie.runtime.contract import LARGEST
from tronie.runtime.detector import Detector

LONG_BY_SHORT = 1.5
"""The longer side that RetinaFace's test allows, as a multiple of the shorter one."""


class Within(NamedTuple):
    """Room for a picture, in pixels: it is shrunk or enlarged until one side touches."""

    short: int
    """Of the shorter side."""
    long: int
    """Of the longer side."""


CANVAS, ORIGINAL = "canvas", "original"
Size = Within | str
"""Room, or CANVAS or ORIGINAL."""


@dataclass(frozen=True, kw_only=True)
class Looks:
    """How a picture is looked at. The default is one look at the canvas.

    Raises:
        BadInput: no size, a size twice, or one that no detector takes.
    """

    sizes: tuple[Size, ...] = (CANVAS,)
    flip: bool = False
    """Look at the mirror image of every size too."""
    voting: bool = False
    """Average the boxes that show one face, instead of keeping the surest."""

    def __post_init__(self) -> None:
        if not self.sizes or len(set(self.sizes)) < len(self.sizes):
            raise BadInput(f"looks need sizes, each once; got {self}")
        for size in self.sizes:
            if isinstance(size, str):
                if size not in (CANVAS, ORIGINAL):
                    raise BadInput(
                        f"no size {size!r} to look at; there is {CANVAS}, {ORIGINAL}, or room for "
                        "the shorter and the longer side"
                    )
            elif not 1 <= size.short <= size.long <= LARGEST:
                raise BadInput(
                    f"room for a picture is SHORTxLONG, from 1 to {LARGEST} pixels; got "
                    f"{size.short}x{size.long}"
                )

    def __str__(self) -> str:
        told = [
            size if isinstance(size, str) else f"{size.short}x{size.long}" for size in self.sizes
        ]
        words = [", ".join(told) or "no size"]
        return "; ".join(words + ["mirrored too"] * self.flip + ["box voting"] * self.voting)


def scales(*short: int) -> tuple[Within, ...]:
    """Room for a shorter side of each of these, the longer one at most half as much again."""
    return tuple(Within(side, int(side * LONG_BY_SHORT)) for side in short)


def check_looks(detector: Detector, looks: Looks) -> None:
    """Refuse sizes that a detector's file does not take, before pictures are read.

    Raises:
        BadModel: the file fixes its canvas, and another size is asked for.
    """
    if looks.sizes != (CANVAS,):
        detector.expect_free()


def look(detector: Detector, image: Pixels, looks: Looks) -> Faces:
    """The faces of a picture, by falling score, of all looks together.

    Args:
        detector: Its thresholds hold for every look; NMS's is not used where boxes vote.
        image: Shape (H, W, 3), uint8 RGB.
        looks: Sizes, mirror and voting.

    Raises:
        BadArray: an array that is no picture, or one too large to be looked at.
        BadModel: as `Detector.detect`; or the file fixes its canvas.
    """
    expect_image(image)
    found = [_candidates(detector, image, size) for size in looks.sizes]
    if looks.flip:
        turned = np.ascontiguousarray(image[:, ::-1])
        width = image.shape[1]
        found += [_mirrored(_candidates(detector, turned, s), width) for s in looks.sizes]
    together = joined(found)
    offset = detector.contract.nms_pixel_offset
    if not looks.voting:
        threshold = detector.contract.nms_threshold
        return suppressed(together, iou_threshold=threshold, pixel_offset=offset)
    boxes, rows = vote_boxes(together.boxes, together.scores, pixel_offset=offset)
    return replace(together.take(rows), boxes=boxes.astype(np.float32))


def size_of(image: Pixels, size: Within) -> tuple[int, int]:
    """Width and height in which a picture is looked at, at least 1.

    Example:
        >>> size_of(np.zeros((768, 1024, 3), np.uint8), Within(1100, 1650))
        (1467, 1100)
        >>> size_of(np.zeros((100, 400, 3), np.uint8), Within(50, 75))
        (75, 19)
    """
    height, width = image.shape[:2]
    factor = min(size.short / min(height, width), size.long / max(height, width))
    return max(1, int(width * factor + 0.5)), max(1, int(height * factor + 0.5))


def _candidates(detector: Detector, image: Pixels, size: Size) -> Faces:
    if isinstance(size, Within):
        return detector.candidates(image, size=size_of(image, size))
    if size == ORIGINAL:
        return detector.candidates(image, size=(image.shape[1], image.shape[0]))
    return detector.candidates(image)


def _mirrored(faces: Faces, width: int) -> Faces:
    """Faces of the mirror image, where they are in a picture `width` pixels wide."""
    points = faces.landmarks
    return replace(
        faces,
        boxes=box.mirror(faces.boxes, width=width),
        landmarks=None if points is None else landmarks.mirror(points, width=width),
    )
