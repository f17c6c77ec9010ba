"""Face scales: how large the faces of a data set are, and those of the crops made of it.

    size in a photograph    longer side * long_side / longer side of the photograph
    size in a crop          sqrt(width * height) of the whole box, over the edges of the crop too

The second is what levels of a pyramid are matched by: level p3 answers for faces from 26.7 to 54
pixels, and so on. It tells of a crop strategy which levels it feeds, from labels alone.

Source: the levels are those of the release of Liu et al., "MogFace", CVPR 2022, arXiv:2103.11139.
Of the faces that count as hard in WIDER FACE's validation set 78.93, 51.85 and 13.36 % are smaller
than 32, 16 and 8 pixels at a long side of 640, as Guo et al. count them (arXiv:2105.04714).

Letters: F faces, L levels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.data.augment.face_photo import FaceLabels, sizes
from tronie.data.augment.windows import Window, shown_labels
from tronie.errors import BadInput, NotEnoughData
from tronie.geometry.boxes import area

LEVELS = ("finer", "p2", "p3", "p4", "p5", "p6", "p7")
EDGES = (0.0, 8.4, 26.7, 54.0, 106.2, 212.4, 420.8, np.inf)
"""Sizes in pixels where a level begins and ends."""
SMALL = 32.0
"""Pixels; faces below are called small."""

WindowOf = Callable[[FaceLabels, np.random.Generator, int, int], Window]
"""The faces of a photograph, a generator, and its width and height, to the window that is cut."""


class LabeledSize(NamedTuple):
    """The faces of one photograph, and its size in pixels."""

    labels: FaceLabels
    width: int
    height: int


class CropScales(NamedTuple):
    """The faces of many crops."""

    crops: int
    faces: int
    levels: tuple[float, ...]
    """Share of the faces on each of LEVELS, (L,)."""
    small: float
    """Share of the faces below SMALL pixels."""

    @property
    def faces_per_crop(self) -> float:
        return self.faces / self.crops


def sizes_at(
    boxes: NDArray[np.floating], *, width: int, height: int, long_side: float = 640.0
) -> NDArray[np.float64]:
    """The sizes of faces (F, 4) in pixels, (F,), were their photograph `long_side` pixels long.

    Example:
        >>> sizes_at(np.array([[0.0, 0.0, 20.0, 40.0]]), width=1280, height=900)
        array([20.])
    """
    if min(width, height) < 1:
        raise BadInput(f"a photograph has at least 1 x 1 pixels; got {width} x {height}")
    return sizes(boxes) * (long_side / max(width, height))


def shares_below(found: NDArray[np.floating], limits: Sequence[float]) -> tuple[float, ...]:
    """The share of sizes (F,) that are below each limit.

    Raises:
        NotEnoughData: there are no sizes.
    """
    if not len(found):
        raise NotEnoughData("shares need one face or more; got none")
    return tuple(float((found < limit).mean()) for limit in limits)


def crop_scales(
    photos: Sequence[LabeledSize],
    window_of: WindowOf,
    *,
    crops: int,
    size: int = 640,
    seed: int = 0,
) -> CropScales:
    """How large the faces of crops are, from labels alone.

    Args:
        photos: Taken in turn, each as often as the next.
        window_of: The crop strategy.
        crops: How many are made.
        size: Side of a crop in pixels.
        seed: Of what is drawn.

    Raises:
        BadInput: no crops are asked for.
        NotEnoughData: no photographs, or no face in any crop.
    """
    sides = crop_sizes(photos, window_of, crops=crops, size=size, seed=seed)
    small = shares_below(sides, [SMALL])[0]
    counts = np.histogram(sides, EDGES)[0]
    return CropScales(crops, len(sides), tuple((counts / len(sides)).tolist()), small)


def crop_sizes(
    photos: Sequence[LabeledSize],
    window_of: WindowOf,
    *,
    crops: int,
    size: int = 640,
    seed: int = 0,
) -> NDArray[np.float64]:
    """The sizes of all faces of crops, sqrt(width * height) in pixels; see `crop_scales`.

    Raises:
        BadInput: no crops are asked for.
        NotEnoughData: no photographs.
    """
    if crops < 1:
        raise BadInput(f"statistics need one crop or more; asked for {crops}")
    if not photos:
        raise NotEnoughData("statistics of crops need one photograph or more; got none")
    rng = np.random.default_rng(seed)
    found = []
    for n in range(crops):
        labels, width, height = photos[n % len(photos)]
        window = window_of(labels, rng, width, height)
        shown = shown_labels(labels, window, width=width, height=height, size=size)
        found.append(np.sqrt(area(shown.boxes[~shown.ignore].astype(np.float64))))
    return np.concatenate(found)
