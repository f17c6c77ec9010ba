"""Alignment: where the five points of a face belong in the crop a network looks at.

The template below is the field's common form: a similarity carries the five points of a
face as near to it as it can, and the pixels follow. Networks trained on it know faces in
this place and at this size only, so it exists once, here.

    size S                  template
    112, 224, 336, ...      the 112 template times S / 112
    128, 256, 384, ...      the 112 template times S / 128, and 8 * S / 128 added to x
    (96, 112)               the 112 template, 8 taken from x: the older, narrow crop

A size that is a multiple of both, 896, follows the first rule. The second shows a smaller
face with more around it than plain scaling would: at 256 its eyes are 70.5 pixels apart
and not 80.5. That is what the released networks of that size were trained with.

Points are x y in pixels, ordered as in `landmarks`.
Source: the five-point template published with InsightFace (facts, not code), in use since
SphereFace, arXiv:1704.08063, where it was 96 wide.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput
from tronie.geometry.similarity import fit_similarity

CropSize: TypeAlias = int | tuple[int, int]
"""The side of a square crop in pixels, or (width, height)."""

_TEMPLATE_112 = (
    (38.2946, 51.6963),  # left eye
    (73.5318, 51.5014),  # right eye
    (56.0252, 71.7366),  # nose tip
    (41.5493, 92.3655),  # left mouth corner
    (70.7299, 92.2041),  # right mouth corner
)
_MARGIN = np.array([8.0, 0.0])  # pixels left and right that the 96 wide crop has not


def five_point_template(size: CropSize = 112) -> NDArray[np.float64]:
    """Where the five points belong in a crop of this size: shape (5, 2), x y in pixels.

    Raises:
        BadInput: a size without a rule.

    Example:
        >>> float(five_point_template(224)[2, 1] / five_point_template(112)[2, 1])
        2.0
    """
    width, height = crop_width_height(size)
    template: NDArray[np.float64] = np.array(_TEMPLATE_112)
    if width != height:
        template -= _MARGIN
    elif width % 112 == 0:
        template *= width / 112
    else:
        template = (template + _MARGIN) * (width / 128)
    return template


def alignment_matrices(
    landmarks: NDArray[np.floating[Any]], *, size: CropSize = 112
) -> NDArray[np.float64]:
    """Matrices (N, 2, 3) that carry pixels of the photograph to pixels of the crops.

    The least-squares similarity of each face's five points to the template.

    Args:
        landmarks: Shape (N, 5, 2), x y in pixels of the photograph.
        size: As for `five_point_template`.

    Raises:
        BadArray: another shape, a point that is not finite, or five points in one place.
        BadInput: a size without a rule.
    """
    if landmarks.ndim != 3 or landmarks.shape[1:] != (5, 2):
        raise BadArray(
            f"alignment needs five points a face, shape (N, 5, 2); got shape {landmarks.shape}"
        )
    return fit_similarity(landmarks, five_point_template(size))


def crop_width_height(size: CropSize) -> tuple[int, int]:
    """Width and height of an aligned crop in pixels, for a size that has a template.

    Raises:
        BadInput: a size without a rule.
    """
    width, height = size if isinstance(size, tuple) else (size, size)
    square = width == height and width > 0 and (width % 112 == 0 or width % 128 == 0)
    if not square and (width, height) != (96, 112):
        raise BadInput(
            "aligned crops are squares of a multiple of 112 or of 128 pixels, or (96, 112);"
            f" got {size}"
        )
    return width, height
