"""Data-anchor sampling: a face is reshaped to the size of a random anchor, mostly a smaller one.

    anchors   16, 32, 64, 128, 256, 512              i: the one nearest to the face's size s
    T         one of anchors 0 to min(i + 1, 5), each as likely, times 2 ** u, u from -1 to 1

The face is enlarged or shrunk to T, and a square cut around it; see `face_windows`. Large faces
become small ones far more often than the other way round, which floods the set with small faces.

Source: Tang et al., "PyramidBox", ECCV 2018, arXiv:1803.07737, section 3.3, as MogFace releases it.
"""

from __future__ import annotations

import numpy as np

from tronie.data.augment.face_photo import FaceLabels, FacePhoto
from tronie.data.augment.face_windows import LEAST_SIZE, face_crop, face_window
from tronie.data.augment.windows import GREY, Window

ANCHORS = (16, 32, 64, 128, 256, 512)
"""Sizes in pixels."""


def data_anchor_crop(
    photo: FacePhoto,
    rng: np.random.Generator,
    *,
    size: int,
    least_size: float = LEAST_SIZE,
    pad_value: int = GREY,
) -> FacePhoto:
    """A square with one face near the size of an anchor, as a picture of `size` x `size`.

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
        photo, rng, size=size, target=anchor_size, least_size=least_size, pad_value=pad_value
    )


def data_anchor_window(
    labels: FaceLabels, rng: np.random.Generator, *, width: int, height: int, size: int
) -> Window:
    """Which square `data_anchor_crop` takes of a photograph of `width` x `height`."""
    return face_window(labels, rng, width=width, height=height, size=size, target=anchor_size)


def anchor_size(rng: np.random.Generator, face: float) -> float:
    """The size in pixels that a face of that size is given; takes two numbers from `rng`."""
    nearest = int(np.argmin([abs(anchor - face) for anchor in ANCHORS]))
    upper = min(nearest + 1, len(ANCHORS) - 1)
    anchor = ANCHORS[int(rng.integers(upper + 1))]
    return float(anchor * 2 ** (2 * rng.random() - 1))
