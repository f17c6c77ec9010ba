"""Run the ten-fold rule over a .bin of aligned pairs, with any callable that embeds crops.

Crops are decoded as RGB. Of one that is not 112 x 112 the square in the middle is cut out and
resized; official sets hold none such, and the Report counts them. One of more than a million
pixels is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.lfw_bin import read_lfw_bin
from tronie.evaluation.embedding import one_row_each
from tronie.evaluation.protocols import lfw_bin
from tronie.evaluation.report import Report
from tronie.images.io import decode_image
from tronie.images.resize import resize
from tronie.provenance import provenance

EmbedCrops = Callable[[NDArray[np.uint8]], NDArray[np.floating]]
"""(n, 112, 112, 3) uint8 RGB to (n, D), not normalized; it does not mirror them itself."""

Progress = Callable[[int, int], None]
"""Called with (done, total) crops."""

SIDE = 112
MAX_PIXELS = 1024 * 1024
"""Of a crop; a few bytes can ask for a hundred million. Official sets hold 112 x 112."""
CHUNK = 64


def evaluate_lfw_bin(
    path: str | Path,
    embed_crops: EmbedCrops,
    *,
    name: str | None = None,
    flip: bool = True,
    inputs: Mapping[str, str | Path] | None = None,
    chunk: int = CHUNK,
    progress: Progress | None = None,
) -> Report:
    """Ten-fold accuracy of whatever `embed_crops` does on the pairs of a .bin.

    Args:
        path: A .bin as InsightFace writes them.
        embed_crops: Called with at most `chunk` crops, and again with their mirror images.
        name: Of the set; by default that of the file.
        flip: Add the embedding of the mirror image, as the field's numbers do.
        inputs: What else the number depends on, name to file or SHA-256 (the model), for the
            provenance. The .bin is added.
        progress: Called before the first and after every chunk.

    Raises:
        NotFound: there is no such file.
        BadFile: it is no such .bin, or is damaged.
        BadImage: a crop cannot be decoded, or has more than MAX_PIXELS.
        BadArray: `embed_crops` returned anything but one finite row a crop.
        NotEnoughData: fewer than ten pairs.
    """
    file = Path(path)
    called = name or file.stem
    found = read_lfw_bin(file)
    made_with = provenance({f"{called}.bin": file, **(inputs or {})})
    total, odd = len(found.images), 0
    plain: list[NDArray[np.float32]] = []
    mirrored: list[NDArray[np.float32]] = []
    if progress is not None:
        progress(0, total)
    for start in range(0, total, chunk):
        names = [f"crop {n} of {called}" for n in range(start, min(start + chunk, total))]
        crops, resized = _crops(found.images[start : start + chunk], names)
        odd += resized
        for rows, pixels in ((plain, crops), (mirrored, crops[:, :, ::-1])):
            if rows is plain or flip:
                width = plain[0].shape[1] if plain else None
                made = embed_crops(np.ascontiguousarray(pixels))
                rows.append(one_row_each(made, names, dimension=width))
        if progress is not None:
            progress(start + len(crops), total)
    report = lfw_bin.PROTOCOL.score(
        np.concatenate(plain),
        found.same,
        name=called,
        mirrored=np.concatenate(mirrored) if flip else None,
        provenance=made_with,
    )
    if odd == 0:
        return report
    note = f"{odd} of {total} crops were not {SIDE} x {SIDE} pixels, and were resized"
    return replace(report, notes=(*report.notes, note))


def _crops(images: Sequence[bytes], names: Sequence[str]) -> tuple[NDArray[np.uint8], int]:
    """Crops (n, 112, 112, 3), and how many had another size; one is decoded at a time."""
    crops = np.empty((len(images), SIDE, SIDE, 3), np.uint8)
    odd = 0
    for n, (data, name) in enumerate(zip(images, names, strict=True)):
        image = decode_image(data, name=name, max_pixels=MAX_PIXELS)
        odd += image.shape[:2] != (SIDE, SIDE)
        crops[n] = _squared(image)
    return crops, odd


def _squared(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The square in the middle of the image, its side at 112 pixels."""
    height, width = image.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    square = np.ascontiguousarray(image[top : top + short, left : left + short])
    return resize(square, width=SIDE, height=SIDE)
