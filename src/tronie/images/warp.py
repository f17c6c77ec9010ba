"""Warp: an image sampled under matrices, above all the aligned crops of its faces.

A matrix (2, 3) carries pixels of the image to pixels of the crop; each pixel of the crop
is mixed bilinearly from four of the image, and black where it falls outside. Nothing is
averaged when a large face is shrunk: that is how the networks were trained.

OpenCV samples four channels in half the time of three, with the same pixels (a test
compares every bit). So where the crops are many for the size of the image, it is padded
to four channels once; where a large image has few faces, that would cost more than it
gains. A crop of 112 pixels is too small for OpenCV to spread over threads.

Letters: N crops.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput
from tronie.geometry.alignment import CropSize, alignment_matrices, crop_width_height
from tronie.images.pixels import Pixels, expect_image

_PAD_WITHIN = 8  # pixels of the image for each of the crops, below which padding pays
_BLOCK_BYTES = 1 << 21  # of four-channel crops at a time: they stay in the cache


def warp_affine(
    image: Pixels, matrices: NDArray[np.floating[Any]], *, width: int, height: int
) -> Pixels:
    """One crop of `width` x `height` pixels for each matrix.

    Args:
        image: Shape (H, W, 3), uint8.
        matrices: Shape (N, 2, 3), image to crop, in pixels.
        width: Of a crop.
        height: Of a crop.

    Returns:
        Shape (N, height, width, 3), uint8, one contiguous array.

    Raises:
        BadArray: another shape or dtype, or a matrix that is not finite.
        BadInput: a size below 1.
    """
    expect_image(image)
    if matrices.ndim != 3 or matrices.shape[1:] != (2, 3) or not np.isfinite(matrices).all():
        raise BadArray(f"matrices must be finite, of shape (N, 2, 3); got {matrices.shape}")
    if min(width, height) < 1:
        raise BadInput(f"a crop needs at least 1 x 1 pixels; asked for {width} x {height}")

    exact = np.ascontiguousarray(matrices, np.float64)
    crops = np.empty((len(exact), height, width, 3), np.uint8)
    if image.size // 3 > _PAD_WITHIN * len(exact) * width * height:
        _sample(image, exact, crops)
        return crops
    padded = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), np.uint8)
    step = max(1, _BLOCK_BYTES // (4 * width * height))
    block = np.empty((min(step, len(exact)), height, width, 4), np.uint8)
    for start in range(0, len(exact), step):
        part = crops[start : start + step]
        four = block[: len(part)]
        _sample(padded, exact[start : start + step], four)
        cv2.cvtColor(four.reshape(-1, width, 4), cv2.COLOR_RGBA2RGB, dst=part.reshape(-1, width, 3))
    return crops


def aligned_crops(
    image: Pixels, landmarks: NDArray[np.floating[Any]], *, size: CropSize = 112
) -> Pixels:
    """The faces of an image as a recognition network wants them: upright, centred, one size.

    Args:
        image: Shape (H, W, 3), uint8 RGB.
        landmarks: Shape (N, 5, 2), x y in pixels of `image`, ordered as in
            `tronie.geometry.landmarks`.
        size: Side in pixels, or (96, 112); see `tronie.geometry.alignment`.

    Returns:
        Shape (N, size, size, 3), uint8 RGB; (N, 112, 96, 3) for (96, 112).

    Raises:
        BadArray: another shape or dtype, or five points that give no alignment.
        BadInput: a size without a template.
    """
    width, height = crop_width_height(size)
    matrices = alignment_matrices(landmarks, size=size)
    return warp_affine(image, matrices, width=width, height=height)


def _sample(image: Pixels, matrices: NDArray[np.float64], crops: Pixels) -> None:
    """Fill `crops` (N, h, w, C) from an image of as many channels; writes into `crops`."""
    size = (crops.shape[2], crops.shape[1])
    for matrix, crop in zip(matrices, crops, strict=True):
        cv2.warpAffine(
            image,
            matrix,
            size,
            dst=crop,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(0, 0, 0, 0),
        )
