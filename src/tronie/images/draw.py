"""Drawing: boxes, points and labels on a copy of a picture, and sheets of many pictures.

Widths and letters grow with the picture, so that they can be read at any size. A label
stands on a plate of its box's color, in black or white, whichever is further from it.
The font is the one inside OpenCV 5, the same on every machine; it knows names in Latin,
Greek, Cyrillic, Arabic and Chinese letters, and shows a question mark for others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadInput
from tronie.geometry.faces import Faces
from tronie.images.pixels import Pixels, expect_image
from tronie.images.resize import resize

Color: TypeAlias = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

GREEN: Color = (64, 220, 110)
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


def draw_faces(
    image: Pixels,
    faces: Faces,
    *,
    labels: Sequence[str] | None = None,
    color: Color | Sequence[Color] = GREEN,
) -> Pixels:
    """A copy of the image with the box, the five points and the label of each face.

    Args:
        image: Shape (H, W, 3), uint8 RGB.
        faces: What to draw, in pixels of `image`.
        labels: One text a face, "" for none; more than one line is fine.
        color: One for all, or one a face.

    Returns:
        Shape (H, W, 3), uint8 RGB.

    Raises:
        BadArray: `image` has another shape or dtype.
        BadInput: as many labels or colors as faces are needed, and there are others.
    """
    expect_image(image)
    texts = [""] * len(faces) if labels is None else list(labels)
    colors = _one_each(color, len(faces))
    if len(texts) != len(faces) or len(colors) != len(faces):
        raise BadInput(
            f"{len(faces)} faces need as many labels and colors;"
            f" got {len(texts)} labels and {len(colors)} colors"
        )
    height, width = image.shape[:2]
    line = max(1, round((height * width) ** 0.5 / 250))
    picture = np.array(image, order="C")
    boxes = _near(faces.boxes, width, height)
    for n, box in enumerate(boxes):
        _draw_box(picture, box, colors[n], line)
        if faces.landmarks is not None:
            for point in _near(faces.landmarks[n], width, height):
                cv2.circle(picture, point, 2 * line, _contrast(colors[n]), cv2.FILLED, cv2.LINE_AA)
                cv2.circle(picture, point, line, colors[n], cv2.FILLED, cv2.LINE_AA)
    for n, box in enumerate(boxes):  # texts on top of all boxes
        if texts[n]:
            _draw_label(picture, texts[n], box, colors[n], line)
    return picture


def contact_sheet(
    images: Sequence[Pixels], *, columns: int, cell: int = 224, gap: int = 8
) -> Pixels:
    """Many pictures as one, row by row, each fitted into a square and centred on white.

    Two pictures with `columns=2` stand side by side.

    Args:
        images: Each of shape (H, W, 3), uint8 RGB, at least one.
        columns: Pictures in a row.
        cell: Side of the square each is fitted into, in pixels.
        gap: White between and around them, in pixels.

    Raises:
        BadArray: an image has another shape or dtype.
        BadInput: no images, or a number that makes no sheet.
    """
    if not images or columns < 1 or cell < 1 or gap < 0:
        raise BadInput(
            "a sheet needs at least one image, column and pixel;"
            f" got {len(images)} images, columns={columns}, cell={cell}, gap={gap}"
        )
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    step = cell + gap
    sheet = np.full((rows * step + gap, columns * step + gap, 3), 255, np.uint8)
    for n, image in enumerate(images):
        expect_image(image)
        height, width = image.shape[:2]
        factor = cell / max(height, width)
        new_width, new_height = max(1, round(width * factor)), max(1, round(height * factor))
        small = resize(image, width=new_width, height=new_height, method="area")
        top = gap + n // columns * step + (cell - new_height) // 2
        left = gap + n % columns * step + (cell - new_width) // 2
        sheet[top : top + new_height, left : left + new_width] = small
    return sheet


def _draw_box(picture: Pixels, box: list[int], color: Color, line: int) -> None:
    """A line of `color` with a thin one beside it, so that one of them shows on any ground."""
    x1, y1, x2, y2 = box
    cv2.rectangle(picture, (x1, y1), (x2, y2), _contrast(color), line + 2)
    cv2.rectangle(picture, (x1, y1), (x2, y2), color, line)


def _draw_label(picture: Pixels, text: str, box: list[int], color: Color, line: int) -> None:
    """Above the box where there is room, else inside it; never beyond the picture's edge."""
    height, width = picture.shape[:2]
    font, size, margin = cv2.FontFace("uni"), max(11, 6 * line), 2 * line
    lines = text.split("\n")
    wide = 2 * margin + max(_text_width(part, font, size) for part in lines)
    high = 2 * margin + len(lines) * (size + size // 4)
    x = max(0, min(box[0], width - wide))
    y = box[1] - high - line
    if y < 0:
        y = max(0, min(box[1], height - high))
    cv2.rectangle(picture, (x, y), (x + wide, y + high), color, cv2.FILLED)
    for n, part in enumerate(lines):
        baseline = y + margin + size + n * (size + size // 4)
        cv2.putText(picture, part, (x + margin, baseline), _contrast(color), font, size)


def _text_width(text: str, font: Any, size: int) -> int:
    x, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), font, size)
    return int(x + width)


def _one_each(color: Color | Sequence[Color], count: int) -> list[Color]:
    single = len(color) == 3 and not isinstance(color[0], Sequence)
    return [color] * count if single else list(color)  # type: ignore[list-item,arg-type]


def _contrast(color: Color) -> Color:
    """Black or white, whichever is further from `color` in brightness (ITU-R BT.601)."""
    brightness = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
    return _BLACK if brightness >= 128 else _WHITE


def _near(points: NDArray[np.float32], width: int, height: int) -> list[list[int]]:
    """Whole pixels (..., x y ...), none further away than three pictures, NaN as 0."""
    reach = 3 * np.tile([width, height], points.shape[-1] // 2)
    nearby = np.clip(np.nan_to_num(points.astype(np.float64)), -reach, reach)
    whole: list[list[int]] = np.round(nearby).astype(int).tolist()
    return whole
