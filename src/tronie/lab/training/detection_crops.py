"""What a recipe has cut out of a photograph: a crop with its faces, mirrored or not, recolored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from tronie.data.augment.chance import happens
from tronie.data.augment.data_anchors import data_anchor_crop
from tronie.data.augment.face_photo import FacePhoto, ignored_below, mirrored
from tronie.data.augment.photometric import distort
from tronie.data.augment.scale_enhancement import scale_enhanced_crop
from tronie.data.augment.square_crops import square_crop
from tronie.lab.training.detection_recipe import DetectionData

Crop = Callable[[FacePhoto, np.random.Generator, int], FacePhoto]
"""A photograph, a generator that is its own in this epoch, and the side in pixels, to a crop."""


def crops(data: DetectionData) -> Crop:
    """What is done to each photograph."""
    cut = _CROPS[data.crop]

    def crop(photo: FacePhoto, drawn: np.random.Generator, size: int) -> FacePhoto:
        made = cut(photo, drawn, size, data)
        if happens(drawn, data.flip):
            made = mirrored(made)
        return replace(made, image=distort(made.image, drawn, p=data.photometric))

    return crop


def _square(
    photo: FacePhoto, drawn: np.random.Generator, size: int, data: DetectionData
) -> FacePhoto:
    return square_crop(
        photo,
        drawn,
        size=size,
        scales=data.scales,
        least_side=data.least_side,
        pad_value=data.pad_value,
    )


def _scale_enhanced(
    photo: FacePhoto, drawn: np.random.Generator, size: int, data: DetectionData
) -> FacePhoto:
    made = scale_enhanced_crop(photo, drawn, size=size, pad_value=data.pad_value)
    return ignored_below(made, data.least_side)


def _data_anchor(
    photo: FacePhoto, drawn: np.random.Generator, size: int, data: DetectionData
) -> FacePhoto:
    made = data_anchor_crop(photo, drawn, size=size, pad_value=data.pad_value)
    return ignored_below(made, data.least_side)


_CROPS: Mapping[str, Callable[[FacePhoto, np.random.Generator, int, DetectionData], FacePhoto]] = {
    "square": _square,
    "scale-enhanced": _scale_enhanced,
    "data-anchor": _data_anchor,
}
