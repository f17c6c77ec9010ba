"""Run a protocol over a folder, with any callable that embeds.

The callable is all that is known of a model: `embed(photos) -> (N, D)` takes N encoded
photographs and returns a row each, NaN where it found no face. An ONNX session, a torch
module and a matrix on disk are all one to this file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.lfw import LfwPhotos, Photo, read_pairs
from tronie.errors import BadArray
from tronie.evaluation.protocols import lfw_type
from tronie.evaluation.report import Report
from tronie.provenance import provenance

Embed = Callable[[Sequence[bytes]], NDArray[np.float32]]
"""N encoded photographs to (N, D) float32, a row of NaN where no face was found."""

Progress = Callable[[int, int], None]
"""Called with (done, total) photographs."""

CHUNK = 64


def evaluate_lfw(
    data_dir: str | Path,
    embed: Embed,
    *,
    inputs: Mapping[str, str | Path] | None = None,
    chunk: int = CHUNK,
    progress: Progress | None = None,
) -> Report:
    """LFW's ten-fold accuracy of whatever `embed` does.

    Args:
        data_dir: A folder with pairs.txt and the photographs, unpacked or in their zip.
        embed: From encoded photographs to embeddings; called with at most `chunk` at once.
        inputs: What else the number depends on, name to file or SHA-256 (the models), for
            the provenance. pairs.txt is added.
        progress: Called before the first and after every chunk.

    Raises:
        NotFound: the folder, pairs.txt or a photograph it names is not there.
        BadFile: pairs.txt or a zip file is damaged.
        BadArray: `embed` returned anything but (N, D).
    """
    pairs_file = Path(data_dir) / "pairs.txt"
    folds = read_pairs(pairs_file)
    photos = sorted({photo for fold in folds for pair in fold for photo in pair[:2]})
    made_with = provenance({"pairs.txt": pairs_file, **(inputs or {})})
    with LfwPhotos(data_dir) as source:
        rows = embed_photos(source, photos, embed=embed, chunk=chunk, progress=progress)
    embeddings = dict(zip(photos, rows, strict=True))
    return lfw_type.PROTOCOL.score(folds, embeddings, provenance=made_with)


def embed_photos(
    source: LfwPhotos,
    photos: Sequence[Photo],
    *,
    embed: Embed,
    chunk: int = CHUNK,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """The embedding of each photograph, shape (N, D), in the order of `photos`.

    Only `chunk` encoded photographs are in memory at once.

    Raises:
        NotFound: a photograph is not there.
        BadArray: `embed` returned anything but (N, D), or D changed.
    """
    parts: list[NDArray[np.float32]] = []
    if progress is not None:
        progress(0, len(photos))
    for start in range(0, len(photos), chunk):
        batch = photos[start : start + chunk]
        rows = np.asarray(embed([source.read(*photo) for photo in batch]), dtype=np.float32)
        width = parts[0].shape[1] if parts else rows.shape[-1] if rows.ndim else 0
        if rows.shape != (len(batch), width):
            raise BadArray(
                f"embed must return one row a photograph, all of one length; "
                f"asked for {len(batch)} rows, got shape {rows.shape}"
            )
        parts.append(rows)
        if progress is not None:
            progress(start + len(batch), len(photos))
    return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
