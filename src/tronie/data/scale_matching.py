"""Scales of crops, so that faces in crops are as large as those that a detector will meet.

    target     sizes of the faces of photographs that are fitted into the detector's canvas
    crops      sizes of the faces of square crops, at each scale of a grid
    apart      octaves: mean distance of the logarithms (base 2) of both, quantile by quantile
    best       the run of neighboring scales, each as likely, whose faces are least far apart

A face of 20 pixels that is learned at 40 is an octave off. One scale alone often comes nearest,
and shows each face in one size only; so a run has a least length.

Source: that crops should be chosen by the sizes of the faces to be found is the observation of
Guo et al., "Sample and Computation Redistribution", arXiv:2105.04714, who extend the list of
scales by hand. Differs from it: the list is computed. The distance is the first Wasserstein one.

Letters: F faces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tronie.data.augment.face_photo import FaceLabels, boxes_only, learnable
from tronie.data.augment.square_crops import square_window
from tronie.data.augment.windows import Window
from tronie.data.face_scales import SMALL, LabeledSize, crop_sizes, shares_below
from tronie.errors import BadInput, NotEnoughData
from tronie.geometry.boxes import area


@dataclass(frozen=True, kw_only=True)
class ScaleFit:
    """A run of scales, and how near its crops are to the target."""

    scales: tuple[float, ...]
    octaves: float
    """How far apart the sizes are; 1 is as if all faces were twice as large."""
    larger: float
    """By how many octaves the median face of a crop is larger than the target's, or smaller."""
    faces_per_crop: float
    small: float
    """Share of the faces below `face_scales.SMALL` pixels."""
    percentiles: tuple[float, ...]
    """Sizes that 1, 2, ... 99 % of the faces do not exceed."""


def octaves_apart(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """How far apart two samples of sizes are, (F,) each, above 0; in octaves.

    Example:
        >>> octaves_apart(np.array([8.0, 16.0]), np.array([32.0, 16.0]))
        1.0
    """
    samples = [np.sort(np.log2(sizes)) for sizes in (one, other)]
    places = np.sort(np.concatenate(samples))
    below = [np.searchsorted(s, places[:-1], side="right") / len(s) for s in samples]
    return float(np.sum(np.abs(below[0] - below[1]) * np.diff(places)))


def faces_to_find(photos: Sequence[LabeledSize], *, least_height: float) -> list[LabeledSize]:
    """The photographs with those of their faces alone that are to be found.

    Take both the target and the crops of these: a face that does not count in the one must not
    count in the other.

    Args:
        photos: With all faces; ignored ones are left out.
        least_height: Faces that are less high, in the photograph, are left out. WIDER FACE counts
            from 10 pixels on.
    """
    found = []
    for labels, width, height in photos:
        kept = learnable(labels, width=width, height=height)
        kept &= labels.boxes[:, 3] - labels.boxes[:, 1] >= least_height
        found.append(LabeledSize(boxes_only(labels.boxes[kept]), width, height))
    return found


def target_sizes(photos: Sequence[LabeledSize], *, canvas: int = 640) -> NDArray[np.float64]:
    """Sizes of faces, sqrt(width * height) in pixels, in photographs fitted into a canvas, (F,).

    Args:
        photos: As `faces_to_find` gives them.
        canvas: What a longer side becomes, in pixels.

    Raises:
        NotEnoughData: there is no face.
    """
    found = [
        np.sqrt(area(labels.boxes.astype(np.float64))) * (canvas / max(width, height))
        for labels, width, height in photos
    ]
    sizes = np.concatenate(found) if found else np.empty(0)
    if not len(sizes):
        raise NotEnoughData(f"{len(photos)} photographs have no face that is to be found")
    return sizes


def sizes_by_scale(
    photos: Sequence[LabeledSize],
    scales: Iterable[float],
    *,
    size: int = 640,
    crops: int = 2000,
    seed: int = 0,
) -> dict[float, NDArray[np.float64]]:
    """Sizes of the faces of square crops, (F,) of each scale, in rising order of the scales.

    Args:
        photos: That crops are cut from, in turn, in an order that is drawn: of more photographs
            than crops, some.
        scales: As shares of a photograph's short side; those that come twice count once.
        size: Side of a crop in pixels.
        crops: Of each scale.
        seed: Of the squares.

    Raises:
        BadInput: a scale is not above 0.
        NotEnoughData: no photographs, or a scale whose crops hold no face.
    """
    order = np.random.default_rng(seed).permutation(len(photos))
    mixed, found = [photos[n] for n in order], {}
    for scale in sorted(set(scales)):
        window_of = partial(_square, scale)
        sizes = crop_sizes(mixed, window_of, crops=crops, size=size, seed=seed)
        found[scale] = sizes[sizes > 0]
        if not len(found[scale]):
            raise NotEnoughData(
                f"{crops} crops of {scale:g} of the short side hold no face; leave that scale out"
            )
    return found


def fit_of(
    scales: Sequence[float],
    sizes: Mapping[float, NDArray[np.float64]],
    target: NDArray[np.floating],
    *,
    crops: int,
) -> ScaleFit:
    """How near the crops of these scales, each as likely, are to a target (F,).

    Args:
        scales: Some of those that `sizes` holds.
        sizes: What `sizes_by_scale` gives.
        target: Sizes to come near to, in pixels of a crop.
        crops: How many of each scale `sizes` was made of.
    """
    run = np.concatenate([sizes[scale] for scale in scales])
    return ScaleFit(
        scales=tuple(scales),
        octaves=octaves_apart(run, target),
        larger=float(np.log2(np.median(run) / np.median(target))),
        faces_per_crop=len(run) / (crops * len(scales)),
        small=shares_below(run, [SMALL])[0],
        percentiles=percentiles(run),
    )


def fits_of_runs(
    grid: Sequence[float],
    sizes: Mapping[float, NDArray[np.float64]],
    target: NDArray[np.floating],
    *,
    least: int,
    crops: int,
) -> tuple[ScaleFit, ...]:
    """Every run of at least `least` neighbors in a rising grid, the nearest to the target first.

    The other arguments are those of `fit_of`.

    Raises:
        BadInput: the grid does not rise, or is shorter than `least`.
    """
    if not 1 <= least <= len(grid) or np.any(np.diff(grid) <= 0):
        raise BadInput(
            f"scales are chosen from a rising grid of {max(1, least)} or more; got "
            f"{', '.join(f'{scale:g}' for scale in grid) or 'none'}"
        )
    runs = [
        grid[first:behind]
        for first in range(len(grid) - least + 1)
        for behind in range(first + least, len(grid) + 1)
    ]
    fits = [fit_of(run, sizes, target, crops=crops) for run in runs]
    return tuple(sorted(fits, key=lambda fit: fit.octaves))


def percentiles(sizes: NDArray[np.floating]) -> tuple[float, ...]:
    """Of sizes (F,), the 1st to the 99th."""
    return tuple(np.percentile(sizes, range(1, 100)).tolist())


def _square(
    scale: float, labels: FaceLabels, rng: np.random.Generator, width: int, height: int
) -> Window:
    return square_window(labels, rng, width=width, height=height, scales=(scale,))
