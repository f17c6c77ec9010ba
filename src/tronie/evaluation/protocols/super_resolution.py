"""Faces made larger or cleaner: PSNR and SSIM to the true picture, and identity kept.

    psnr         mean over the pictures, in decibels; equal pictures are left out and noted
    ssim         mean over the pictures
    identity     mean cosine of the embeddings, true and restored, where they are given
    pictures     how many

Inputs: pairs (restored, true) of uint8 RGB pictures of one size, one pair at a time; the
border to cut, by custom the factor of the enlargement; "y" or "rgb".

Source: Wang et al., "Image Quality Assessment", TIP 2004, for both sums; the form is that of
Wang et al., "EDFace-Celeb-1M", TPAMI 2022, arXiv:2110.05031.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, NotEnoughData
from tronie.evaluation.metrics.image_quality import identity_kept, psnr, ssim
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report, Value
from tronie.provenance import Provenance


def score(
    pictures: Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8]]],
    *,
    border: int,
    color: Literal["rgb", "y"] = "y",
    embeddings: tuple[NDArray[np.floating], NDArray[np.floating]] | None = None,
    provenance: Provenance | None = None,
) -> Report:
    """Judge restored pictures against the true ones.

    Args:
        pictures: (restored, true), each (H, W, 3) uint8 RGB; a pair at a time in memory.
        border: Pixels cut from each side.
        color: Where the two sums are taken.
        embeddings: Of the restored and of the true pictures, (N, D) each, in that order.

    Raises:
        BadArray: pictures or embeddings that do not fit each other.
        BadInput: another color, or a negative border.
        NotEnoughData: no picture.
    """
    ratios, similarities = [], []
    for restored, true in pictures:
        ratios.append(psnr(restored, true, color=color, border=border))
        similarities.append(ssim(restored, true, color=color, border=border))
    if not ratios:
        raise NotEnoughData("need at least one picture to judge; got none")
    finite = [ratio for ratio in ratios if np.isfinite(ratio)]
    notes = [f"on {'the luma of BT.601' if color == 'y' else 'RGB'}, a border of {border} cut"]
    if len(finite) < len(ratios):
        notes.append(f"{len(ratios) - len(finite)} pictures are equal and not in the mean PSNR")
    values = {
        "ssim": Value(value=float(np.mean(similarities)), unit="similarity"),
        "pictures": Value(value=len(ratios), unit="pictures"),
    }
    if finite:
        values["psnr"] = Value(
            value=float(np.mean(finite)), unit="dB", count=len(finite), total=len(ratios)
        )
    if embeddings is not None:
        kept = identity_kept(*embeddings)
        if len(kept) != len(ratios):
            raise BadArray(f"need an embedding a picture; got {len(kept)} for {len(ratios)}")
        values["identity"] = Value(value=float(kept.mean()), unit="cosine")
    return Report(
        name=PROTOCOL.name,
        version=PROTOCOL.version,
        values=values,
        notes=tuple(notes),
        provenance=provenance,
    )


PROTOCOL = Protocol(
    name="super-resolution",
    version="1",
    source="Wang et al., TIP 2004 (SSIM); Wang et al., EDFace-Celeb-1M, arXiv:2110.05031",
    needs=("pairs of restored and true pictures of one size",),
    score=score,
)
