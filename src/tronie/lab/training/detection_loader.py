"""Batches of a detector's run: photographs decoded, cut by whoever asks, and their faces stacked.

    images     (b, S, S, 3) uint8 RGB       S is one of `sizes`, drawn from (seed, step) alone
    targets    `tronie.lab.nn.detector.Targets` of b pictures, on the CPU

Steps, their order and what is drawn for a photograph are those of `loaders`.

A JPEG of 800 pixels takes longer to decode than a crop of it to make, and each photograph comes
again in every epoch. So decoded photographs are kept in memory up to `keep_bytes`: those that came
first, as all come equally often.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tronie.data.augment.face_photo import FaceLabels, FacePhoto, photographed
from tronie.errors import BadArray, BadInput
from tronie.images.pixels import Pixels
from tronie.lab.nn.detector import Targets
from tronie.lab.training.detection_source import FaceSource
from tronie.lab.training.loaders import Draw, Making, StepLoader
from tronie.lab.training.order import Order

KEEP_BYTES = 1 << 30
"""Decoded photographs that are kept unless a caller says otherwise: some 700 of 800 x 600."""
_OF_SIZES = 1
"""Which numbers are drawn from a seed and a step: those of the size."""


Augment = Callable[[FacePhoto, np.random.Generator, int], FacePhoto]
"""A decoded photograph, a generator that is its own in this epoch, and the side of a picture in
pixels, to the picture that is trained on."""


class FaceBatch(NamedTuple):
    """What one process takes of one part of a step."""

    images: NDArray[np.uint8]
    targets: Targets
    samples: NDArray[np.int64]


class FaceLoader(StepLoader[FacePhoto, tuple[FacePhoto, int], FaceBatch]):
    """The batches of one process. Use as a context manager, or call `close`.

    Args:
        source: The photographs.
        augment: What is done to a photograph after it is decoded.
        sizes: Sides of the pictures in pixels; each step draws one, the same in all processes.
        batch_size: Pictures a step, over all processes and parts.
        parts: Into how many parts a step is cut.
        seed: Of the order and of what is drawn.
        rank: Which process this is.
        ranks: Of how many.
        skip_unreadable: A photograph that cannot be read gives way to the next of the source.
        threads: Threads that decode and cut.
        keep_bytes: Decoded photographs that are kept in memory, in bytes.

    Raises:
        BadInput: a part holds fewer pictures than there are processes; no sizes.
    """

    def __init__(
        self,
        source: FaceSource,
        *,
        augment: Augment,
        batch_size: int,
        seed: int,
        sizes: Sequence[int] = (640,),
        parts: int = 1,
        rank: int = 0,
        ranks: int = 1,
        skip_unreadable: bool = False,
        threads: int = 4,
        keep_bytes: int = KEEP_BYTES,
    ) -> None:
        if not sizes or min(sizes) < 1:
            raise BadInput(f"a step needs one size or more, each above 0; got {list(sizes)}")
        self._source, self._augment, self._sizes = source, augment, tuple(sizes)
        self._size_seed = seed
        self._kept: dict[int, Pixels] = {}
        self._room = keep_bytes
        self._keeping = threading.Lock()
        super().__init__(
            Making(read=self._photo, make=self._cut, together=stacked),
            Order(len(source), seed=seed),
            batch_size=batch_size,
            seed=seed,
            parts=parts,
            rank=rank,
            ranks=ranks,
            skip_unreadable=skip_unreadable,
            threads=threads,
        )

    @property
    def source(self) -> FaceSource:
        """The photographs."""
        return self._source

    def size_at(self, step: int) -> int:
        """The side of the pictures of a step, in pixels."""
        rng = np.random.default_rng([self._size_seed, step, 0, _OF_SIZES])
        return self._sizes[int(rng.integers(len(self._sizes)))]

    def _photo(self, sample: int) -> FacePhoto:
        image = self._kept.get(sample)
        if image is None:
            image = self._source.decoded(sample)
            with self._keeping:
                if sample not in self._kept and image.nbytes <= self._room:
                    self._kept[sample] = image
                    self._room -= image.nbytes
        return photographed(image, self._source.faces(sample))

    def _cut(self, photo: FacePhoto, draw: Draw) -> tuple[FacePhoto, int]:
        size = self.size_at(draw.step)
        cut = self._augment(photo, draw.rng, size)
        if cut.image.shape != (size, size, 3):
            raise BadArray(
                f"augment must make pictures of {size} x {size}; got shape {cut.image.shape}"
            )
        return cut, draw.sample


def stacked(made: Sequence[tuple[FacePhoto, int]]) -> FaceBatch:
    """Pictures of one size and their numbers as a batch."""
    photos = [photo for photo, _ in made]
    return FaceBatch(
        np.stack([photo.image for photo in photos]),
        targets_of(photos),
        np.array([sample for _, sample in made], np.int64),
    )


def targets_of(pictures: Sequence[FaceLabels]) -> Targets:
    """The faces of some pictures, filled up with rows that hold none.

    Example:
        >>> from tronie.data.augment.face_photo import boxes_only
        >>> targets_of([boxes_only([[1, 2, 3, 4]]), boxes_only([])]).valid.tolist()
        [[True], [False]]
    """
    shape = (len(pictures), max(map(len, pictures), default=0))
    boxes = np.zeros((*shape, 4), np.float32)
    valid, ignore = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    points, has_points = np.zeros((*shape, 5, 2), np.float32), np.zeros((*shape, 5), np.bool_)
    for n, labels in enumerate(pictures):
        faces = len(labels)
        boxes[n, :faces] = labels.boxes
        valid[n, :faces] = True
        ignore[n, :faces] = labels.ignore
        points[n, :faces] = labels.points
        has_points[n, :faces] = labels.has_points
    return Targets(
        boxes=torch.from_numpy(boxes),
        valid=torch.from_numpy(valid),
        ignore=torch.from_numpy(ignore),
        points=torch.from_numpy(points),
        has_points=torch.from_numpy(has_points),
    )
