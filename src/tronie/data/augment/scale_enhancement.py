"""Selective scale enhancement: how many faces each level of a pyramid gets to learn from is set.

    with p = 0.20                 T from 106.2 to 212.4      the level that is enhanced, p5
    with p = 0.16 = 0.8 * 0.2     T from 212.4 to 420.8      the next, p6
    with p = 0.64                 T from  16   to 106.2      the finer ones, p2 to p4

One face is enlarged to the size T, drawn evenly, and a square cut around it; see `face_windows`.
More faces on a level are not always better for it, so their shares are set and not left to
the data.

Source: Liu et al., "MogFace", CVPR 2022, arXiv:2103.11139, as released.
Differs from the source: the padding is one grey level, where it takes the mean color of ImageNet.
"""

from __future__ import annotations

import numpy as np

from tronie.data.augment.chance import between
from tronie.data.augment.face_photo import FaceLabels, FacePhoto
from tronie.data.augment.face_windows import LEAST_SIZE, face_crop, face_window
from tronie.data.augment.windows import GREY, Window

RANGES = ((0.20, (106.2, 212.4)), (0.16, (212.4, 420.8)), (0.64, (16.0, 106.2)))
"""Share of the faces, and the sizes in pixels they are given."""
_UP_TO = np.cumsum([share for share, _ in RANGES])[:-1]


def scale_enhanced_crop(
    photo: FacePhoto,
    rng: np.random.Generator,
    *,
    size: int,
    least_size: float = LEAST_SIZE,
    pad_value: int = GREY,
) -> FacePhoto:
    """A square with one face of a size drawn by the shares above, as a picture of `size` x `size`.

    Args:
        photo: Of any size, with any number of faces.
        rng: Gives six numbers, and two more for each further square that is tried.
        size: Side of the picture in pixels.
        least_size: Faces with a smaller square root of their area are dropped, unless all are.
        pad_value: What lies outside the photograph, 0 to 255.

    Raises:
        BadInput: `size` or `pad_value` out of its range.
    """
    return face_crop(
        photo, rng, size=size, target=enhanced_size, least_size=least_size, pad_value=pad_value
    )


def scale_enhanced_window(
    labels: FaceLabels, rng: np.random.Generator, *, width: int, height: int, size: int
) -> Window:
    """Which square `scale_enhanced_crop` takes of a photograph of `width` x `height`."""
    return face_window(labels, rng, width=width, height=height, size=size, target=enhanced_size)


def enhanced_size(rng: np.random.Generator, face: float) -> float:
    """The size in pixels that a face is given, whatever it has; takes two numbers from `rng`."""
    drawn = int(np.searchsorted(_UP_TO, rng.random(), side="right"))
    return between(rng, RANGES[drawn][1], "size")
