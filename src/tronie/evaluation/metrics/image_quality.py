"""How near one picture comes to another: PSNR, SSIM, and whether the person is kept.

    PSNR        10 log10(255^2 / mean squared difference), in decibels; infinite where equal
    SSIM        mean over the picture of
                    (2 ma mb + c1) (2 cov + c2) / ((ma^2 + mb^2 + c1) (va + vb + c2))
                c1 = (0.01 * 255)^2, c2 = (0.03 * 255)^2; means, variances and covariance
                under a Gaussian window of 11 x 11, sigma 1.5, weights of sum 1, only where
                the window lies inside the picture
    identity    cosine of the embeddings before and after

    color "rgb"    PSNR from all three channels at once; SSIM is the mean of the channels'
    color "y"      luma 16 + (65.481 R + 128.553 G + 24.966 B) / 255 of BT.601, not rounded
    border         pixels cut from each side first: by custom the scale of the enlargement

Values are those of 8-bit pictures, 0 to 255, in float64.

Source: Wang et al., "Image Quality Assessment: From Error Visibility to Structural
Similarity", TIP 2004, whose program's window and borders these are; ITU-R BT.601.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput
from tronie.geometry.hypersphere import normalize

Pixels = NDArray[np.uint8]
Color = Literal["rgb", "y"]

WINDOW = 11
SIGMA = 1.5
_PEAK = 255.0
_LUMA = np.array([65.481, 128.553, 24.966]) / _PEAK


def psnr(a: Pixels, b: Pixels, *, color: Color, border: int) -> float:
    """Peak signal to noise ratio of two pictures in decibels; inf where they are equal.

    Args:
        a: Shape (H, W, 3), uint8 RGB.
        b: Of the same shape.
        color: "rgb" or "y"; see the top of this file.
        border: Pixels to cut from each side, 0 or more.

    Raises:
        BadArray: pictures that are none, differ in shape, or have nothing within the border.
        BadInput: another color, or a negative border.
    """
    first, second = _planes(a, b, color=color, border=border)
    error = float(((first - second) ** 2).mean())
    return float("inf") if error == 0 else float(10 * np.log10(_PEAK**2 / error))


def ssim(a: Pixels, b: Pixels, *, color: Color, border: int) -> float:
    """Structural similarity of two pictures, at most 1; 1 where they are equal.

    Takes and raises what `psnr` does; within the border at least 11 x 11 pixels are needed.
    """
    first, second = _planes(a, b, color=color, border=border)
    if min(first.shape[1:]) < WINDOW:
        raise BadArray(
            f"SSIM needs {WINDOW} x {WINDOW} pixels within the border; got {first.shape[1:]}"
        )
    c1, c2 = (0.01 * _PEAK) ** 2, (0.03 * _PEAK) ** 2
    mean_a, mean_b = _blurred(first), _blurred(second)
    variance_a = _blurred(first * first) - mean_a * mean_a
    variance_b = _blurred(second * second) - mean_b * mean_b
    covariance = _blurred(first * second) - mean_a * mean_b
    light = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return float((light * structure).mean())


def identity_kept(before: NDArray[np.floating], after: NDArray[np.floating]) -> NDArray[np.float64]:
    """Cosine of each face's embedding with that of its restored picture, shape (N,).

    Args:
        before: Of the true pictures, shape (N, D), of any length but zero.
        after: Of the restored ones, shape (N, D), in the same order.

    Raises:
        BadArray: shapes that differ, zeros, or values that are not finite.
    """
    if before.shape != after.shape:
        raise BadArray(
            f"need one embedding each, before and after; got {before.shape}, {after.shape}"
        )
    first, second = normalize(before)[0], normalize(after)[0]
    return np.asarray((first.astype(np.float64) * second).sum(axis=1))


def _planes(
    a: Pixels, b: Pixels, *, color: Color, border: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both pictures as (channels, height, width), cut and in the color asked for."""
    if (
        a.shape != b.shape
        or a.ndim != 3
        or a.shape[2] != 3
        or {a.dtype, b.dtype} != {np.dtype(np.uint8)}
    ):
        raise BadArray(
            "both pictures must be uint8 RGB of one shape (H, W, 3);"
            f" got {a.dtype} {a.shape} and {b.dtype} {b.shape}"
        )
    if color not in ("rgb", "y") or border < 0:
        raise BadInput(f"need color 'rgb' or 'y' and a border >= 0; got {color!r} and {border}")
    height, width = a.shape[:2]
    if min(height, width) <= 2 * border:
        raise BadArray(f"a picture of {width} x {height} has nothing within a border of {border}")
    inner = np.s_[border : height - border, border : width - border]
    first, second = (picture[inner].astype(np.float64) for picture in (a, b))
    if color == "y":
        return (16.0 + first @ _LUMA)[None], (16.0 + second @ _LUMA)[None]
    return np.moveaxis(first, 2, 0), np.moveaxis(second, 2, 0)


def _blurred(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian means of every whole window: the window is a product of two lines."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * SIGMA**2))
    weights /= weights.sum()
    height, width = planes.shape[1] - WINDOW + 1, planes.shape[2] - WINDOW + 1
    rows = np.zeros((planes.shape[0], height, planes.shape[2]))
    for n, weight in enumerate(weights):
        rows += weight * planes[:, n : n + height]
    result = np.zeros((planes.shape[0], height, width))
    for n, weight in enumerate(weights):
        result += weight * rows[:, :, n : n + width]
    return result
