"""A picture on a detector's canvas, and what was found there brought back to the picture.

    fitted     shrunk or enlarged to fit, in the upper left corner, the rest black
    resized    stretched to a size that is asked for, then black up to a multiple of 32
    back       each axis divided by the scale it was given

Black is laid before pixels become numbers, so that it is -mean / std on the canvas, as black
pixels are. Everything that detects goes through here: `tronie detect`, evaluation, and networks
that are judged while they learn; so the padding cannot differ between them.

Differs from the published SCRFD code: its trainer fills with zeros after the numbers are made,
which is grey, its runner with black before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadModel
from tronie.geometry import boxes as box
from tronie.geometry.faces import Faces
from tronie.geometry.nms import greedy_nms
from tronie.images.pixels import Pixels, expect_image
from tronie.images.resize import letterbox, resize
from tronie.runtime.contract import LARGEST, Contract
from tronie.runtime.pixels import network_input

STRIDE = 32
"""Free canvas sizes are multiples of the coarsest stride."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Laid:
    """A canvas ready for a network; a point (x, y) of the picture lies at (x * scale_x, ...)."""

    pixels: NDArray[np.float32]
    """(1, 3, H, W), as the contract says."""
    scale_x: float
    scale_y: float

    @property
    def width(self) -> int:
        """Of the canvas."""
        return int(self.pixels.shape[3])

    @property
    def height(self) -> int:
        """Of the canvas."""
        return int(self.pixels.shape[2])


def fitted(
    image: Pixels,
    contract: Contract,
    *,
    width: int,
    height: int,
    fixed: tuple[int | None, int | None] = (None, None),
) -> Laid:
    """The whole picture on `width` x `height`, its shape kept; see `tronie.images.resize`.

    Args:
        image: Shape (H, W, 3), uint8 RGB.
        contract: How pixels become numbers.
        width: Of the canvas, in pixels.
        height: Of the canvas, in pixels.
        fixed: Height and width that the model's file fixes: black up to there.

    Raises:
        BadArray: an array that is no picture.
    """
    boxed = letterbox(image, width=width, height=height)
    pixels = _filled_up(boxed.image, height=fixed[0] or height, width=fixed[1] or width)
    return Laid(
        pixels=network_input(pixels[None], contract),
        scale_x=boxed.scale_x,
        scale_y=boxed.scale_y,
    )


def resized(image: Pixels, contract: Contract, *, width: int, height: int) -> Laid:
    """The picture stretched to `width` x `height`, and black up to the next multiples of 32.

    Raises:
        BadArray: an array that is no picture, or a side above 8192 pixels.
        BadInput: a size below 1.
    """
    expect_image(image)
    sides = [-(-side // STRIDE) * STRIDE for side in (height, width)]
    if max(sides) > LARGEST:
        raise BadArray(
            f"a detector looks at no more than {LARGEST} pixels a side; a picture of "
            f"{image.shape[1]} x {image.shape[0]} would be laid out at {width} x {height}"
        )
    pixels = _filled_up(resize(image, width=width, height=height), height=sides[0], width=sides[1])
    return Laid(
        pixels=network_input(pixels[None], contract),
        scale_x=width / image.shape[1],
        scale_y=height / image.shape[0],
    )


def brought_back(faces: Faces, laid: Laid) -> Faces:
    """Pixels of the canvas to pixels of the picture."""
    x, y = 1 / laid.scale_x, 1 / laid.scale_y
    points = None
    if faces.landmarks is not None:
        points = (faces.landmarks * np.array([x, y])).astype(np.float32)
    return replace(faces, boxes=box.scale(faces.boxes, x=x, y=y), landmarks=points)


def suppressed(
    faces: Faces, *, iou_threshold: float, pixel_offset: float = 0.0, candidates: int | None = None
) -> Faces:
    """The best of those that overlap, by falling score.

    Args:
        faces: Of one picture, in any order.
        iou_threshold: See `tronie.geometry.nms`.
        pixel_offset: See `tronie.geometry.boxes`.
        candidates: Look at this many of the highest score only; None: at all.
    """
    if candidates is not None and len(faces) > candidates:
        faces = faces.take(np.argsort(-faces.scores, kind="stable")[:candidates])
    return faces.take(
        greedy_nms(
            faces.boxes, faces.scores, iou_threshold=iou_threshold, pixel_offset=pixel_offset
        )
    )


def expect_side(side: int) -> None:
    """Refuse a canvas that no detector takes.

    Raises:
        BadArray: no multiple of 32, or above 8192.
    """
    if side % STRIDE or not STRIDE <= side <= LARGEST:
        raise BadArray(
            f"the detector's canvas must be a multiple of {STRIDE} up to {LARGEST}; got {side}"
        )


def expect_finite(
    detector: str, arrays: Sequence[NDArray[Any] | None], *, why: str = "its file is damaged"
) -> None:
    """Refuse outputs that are no numbers; `detector` is what the error calls it.

    Raises:
        BadModel: NaN or infinity.
    """
    if not all(array is None or np.isfinite(array).all() for array in arrays):
        raise BadModel(f"{detector} gave NaN or infinity; {why}")


def _filled_up(image: Pixels, *, height: int, width: int) -> Pixels:
    """With black, to the right and below."""
    if image.shape[:2] == (height, width):
        return image
    result = np.zeros((height, width, 3), np.uint8)
    result[: image.shape[0], : image.shape[1]] = image
    return result
