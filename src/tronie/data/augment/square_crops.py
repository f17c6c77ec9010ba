"""Square crops of photographs at chosen scales: sample redistribution.

    side of the square = s * shorter side of the photograph,  s from a list, each as likely
    s <= 1   somewhere in the photograph, and along a longer side anywhere
    s > 1    the photograph somewhere on a larger canvas, which shrinks its faces

A square counts where the middle of one face or more lies strictly inside. It is drawn anew up to
250 times; then another s is. So a list that goes to 2.0 makes twice as many faces a crop as one
that stops at 1.0, and most of them small: that is the redistribution.

Source: Guo et al., "Sample and Computation Redistribution for Efficient Face Detection", ICLR
2022, arXiv:2105.04714, section 3.1, and the settings of its release. Scales up to 1.0 are the
crops of RetinaFace, arXiv:1905.00641.
Differs from the source: a photograph without faces gives any square, and so does one whose faces
no scale of the list can hold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tronie.data.augment.face_photo import FaceLabels, FacePhoto, ignored_below, learnable
from tronie.data.augment.windows import GREY, Filled, Window, centers, shown
from tronie.errors import BadInput

SCALES = (0.3, 0.45, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)
"""Sample redistribution as released."""
PLAIN_SCALES = (0.3, 0.45, 0.6, 0.8, 1.0)
"""Without it."""
TRIES = 250
_AT_ONCE = 10
"""Squares that are drawn together; the first that counts is taken."""
_ROUNDS = 20
"""Scales that are tried before a photograph's faces are taken to be out of reach."""


def square_crop(
    photo: FacePhoto,
    rng: np.random.Generator,
    *,
    size: int,
    scales: Sequence[float] = SCALES,
    tries: int = TRIES,
    least_side: float = 0.0,
    pad_value: int = GREY,
) -> FacePhoto:
    """A square of the photograph with a face in it, as a picture of `size` x `size`.

    Args:
        photo: Of any size, with any number of faces.
        rng: Gives as many numbers as squares are tried, and a few more.
        size: Side of the picture in pixels.
        scales: Sides of a square as shares of the shorter side of the photograph, above 0.
        tries: Squares of one scale that are tried.
        least_side: Faces whose longer side is below, in pixels of the picture, are ignored.
        pad_value: What lies outside the photograph, 0 to 255.

    Returns:
        The picture, and the faces whose middle lies strictly inside, in its pixels and not
        clipped. Of those to be ignored all that can be seen. Faces without area and those outside
        the photograph are left out.

    Raises:
        BadInput: a scale, `size` or `pad_value` out of its range.
    """
    filled = Filled(size=size, pad_value=pad_value)
    height, width = photo.image.shape[:2]
    window = square_window(photo, rng, width=width, height=height, scales=scales, tries=tries)
    return ignored_below(shown(photo, window, filled), least_side)


def square_window(
    labels: FaceLabels,
    rng: np.random.Generator,
    *,
    width: int,
    height: int,
    scales: Sequence[float] = SCALES,
    tries: int = TRIES,
) -> Window:
    """Which square `square_crop` takes of a photograph of `width` x `height`.

    Raises:
        BadInput: no scales, or one that is not above 0.
    """
    if not scales or not all(0 < scale < np.inf for scale in scales) or tries < 1:
        raise BadInput(
            "a crop needs one scale or more, each above 0, and one try or more; got "
            f"{list(scales)} and {tries}"
        )
    middles = centers(labels.boxes)[learnable(labels, width=width, height=height)]
    middles = middles[np.all((middles > 0) & (middles < (width, height)), axis=1)]
    for _ in range(_ROUNDS if len(middles) else 1):
        side = max(1, int(scales[int(rng.integers(len(scales)))] * min(width, height)))
        room = np.array([width - side, height - side])  # below 0 it is the photograph that has room
        for done in range(0, tries, _AT_ONCE):
            count = min(_AT_ONCE, tries - done)
            begins = rng.integers(np.minimum(room, 0), np.maximum(room, 0) + 1, (count, 2))
            away = middles - begins[:, None]
            holds = np.any(np.all((away > 0) & (away < side), axis=2), axis=1)
            left, top = begins[int(holds.argmax())].tolist()
            if holds.any() or not len(middles):
                return Window(left, top, side)
    return Window(left, top, side)
