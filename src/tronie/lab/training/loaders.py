"""Batches of a run, the same whoever makes them: by step, cut over processes, decoded in threads.

Step s of a run holds the positions s * B to (s + 1) * B - 1 of its order (`order`). They are cut
into the parts of the step, and each part over the processes; so what a part holds depends on
neither, and a run that goes on with another number of processes sees each sample once.

What is drawn for a sample comes from (seed, epoch, sample) alone: not from the process, the
thread, or what was drawn before.

`StepLoader` does that for any kind of sample. `Loader` is the one for recognition:

    images     (b, 112, 112, 3) uint8 RGB        labels    (b,) int64        samples    (b,) int64
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadImage, BadInput
from tronie.images.io import decode_image
from tronie.images.pixels import Pixels
from tronie.lab.training.order import GroupedOrder, Order, share
from tronie.lab.training.sources import Source

SIDE = 112
AHEAD = 3
"""Steps that are being decoded while one is computed."""
MOST_SKIPPED = 100
"""Images that may stand behind one another and all be unreadable."""

Augment = Callable[[Pixels, int, np.random.Generator], Pixels]
"""A decoded image, its number in the source, and a generator that is its own in this epoch, to the
image that is trained on."""


Read = TypeVar("Read")
Made = TypeVar("Made")
Together = TypeVar("Together")


class Draw(NamedTuple):
    """Which place of a run a sample is made for."""

    step: int
    sample: int
    """The one that was read, where another gave way to it."""
    rng: np.random.Generator
    """Its own in this epoch."""


@dataclass(frozen=True, kw_only=True)
class Making(Generic[Read, Made, Together]):
    """How samples become batches; each function is called from many threads."""

    read: Callable[[int], Read]
    """A sample by number, decoded; raises BadInput where it cannot be."""
    make: Callable[[Read, Draw], Made]
    """What is trained on, of what was read."""
    together: Callable[[Sequence[Made]], Together]
    """A part of a step, of what was made for it; called by whoever iterates."""


class Batch(NamedTuple):
    """What one process takes of one part of a step."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    samples: NDArray[np.int64]


class StepLoader(Generic[Read, Made, Together]):
    """The batches of one process. Use as a context manager, or call `close`.

    Args:
        making: How samples become batches.
        order: Which sample comes at which place of the run.
        batch_size: Images a step, over all processes and parts.
        seed: Of what is drawn.
        parts: Into how many parts a step is cut.
        rank: Which process this is.
        ranks: Of how many.
        skip_unreadable: An image that cannot be read gives way to the next of the source, is
            counted, and named by `unreadable`. Else it ends the run.
        threads: Threads that decode.

    Raises:
        BadInput: a part holds fewer images than there are processes.
    """

    def __init__(
        self,
        making: Making[Read, Made, Together],
        order: Order | GroupedOrder,
        *,
        batch_size: int,
        seed: int,
        parts: int,
        rank: int,
        ranks: int,
        skip_unreadable: bool,
        threads: int,
    ) -> None:
        if batch_size // parts < ranks:
            raise BadInput(
                f"a part of {batch_size // parts} images cannot be cut over {ranks} processes; "
                "ask for a larger batch_size, fewer parts (accumulate) or fewer processes"
            )
        self._making, self._order = making, order
        self._batch, self._parts, self._seed = batch_size, parts, seed
        self._rank, self._ranks = rank, ranks
        self._skip = skip_unreadable
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._lock = threading.Lock()
        self._unreadable: dict[int, str] = {}

    @property
    def unreadable(self) -> dict[int, str]:
        """Images that this process has skipped, by number, and why each could not be read."""
        with self._lock:
            return dict(self._unreadable)

    def positions(self, step: int, part: int) -> NDArray[np.int64]:
        """The positions in the order of the run that this process takes, (b,)."""
        start, end = share(self._batch, rank=part, ranks=self._parts)
        first, last = share(end - start, rank=self._rank, ranks=self._ranks)
        begin = step * self._batch + start
        return np.arange(begin + first, begin + last)

    def steps(self, first: int, end: int) -> Iterator[tuple[Together, ...]]:
        """The parts of each step from `first` to `end` - 1, in order.

        Raises:
            BadImage: an image cannot be read, or has another size; it is named.
            BadFile: an archive is damaged where an image should be.
        """
        waiting: deque[list[list[Future[Made]]]] = deque()
        numbers = iter(range(first, end))
        try:
            for step in itertools.islice(numbers, AHEAD):
                waiting.append(self._started(step))
            while waiting:
                started = waiting.popleft()
                for step in itertools.islice(numbers, 1):
                    waiting.append(self._started(step))
                yield tuple(
                    self._making.together([one.result() for one in part]) for part in started
                )
        finally:
            for future in itertools.chain.from_iterable(itertools.chain.from_iterable(waiting)):
                future.cancel()

    def close(self) -> None:
        """Stop decoding."""
        self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _started(self, step: int) -> list[list[Future[Made]]]:
        parts = []
        for part in range(self._parts):
            epochs, samples = self._order.at(self.positions(step, part))
            pairs = zip(epochs.tolist(), samples.tolist(), strict=True)
            parts.append([self._pool.submit(self._made, step, *pair) for pair in pairs])
        return parts

    def _made(self, step: int, epoch: int, sample: int) -> Made:
        read, found = self._readable(sample)
        rng = np.random.default_rng([self._seed, epoch, sample])
        return self._making.make(read, Draw(step, found, rng))

    def _readable(self, sample: int) -> tuple[Read, int]:
        for n in itertools.count():
            found = (sample + n) % self._order.samples
            try:
                return self._making.read(found), found
            except BadInput as error:
                if not self._skip:
                    raise
                with self._lock:
                    self._unreadable.setdefault(found, str(error))
                if n + 1 >= min(MOST_SKIPPED, self._order.samples):
                    raise BadImage(
                        f"{n + 1} images in a row cannot be read, the last: {error}"
                    ) from error
        raise AssertionError("counting never ends")


class Loader(StepLoader[Pixels, tuple[Pixels, int], Batch]):
    """The batches of one process, of aligned crops and whose they are.

    Args:
        source: The images.
        batch_size: Images a step, over all processes and parts.
        parts: Into how many parts a step is cut.
        seed: Of the order and of what is drawn.
        rank: Which process this is.
        ranks: Of how many.
        augment: What is done to an image after it is decoded.
        skip_unreadable: An image that cannot be read gives way to the next of the source.
        threads: Threads that decode.
        together: Images of one identity that stand side by side in the order.

    Raises:
        BadInput: a part holds fewer images than there are processes.
    """

    def __init__(
        self,
        source: Source,
        *,
        batch_size: int,
        seed: int,
        parts: int = 1,
        rank: int = 0,
        ranks: int = 1,
        augment: Augment | None = None,
        skip_unreadable: bool = False,
        threads: int = 4,
        together: int = 1,
    ) -> None:
        self._source, self._augment = source, augment
        order: Order | GroupedOrder = Order(len(source), seed=seed)
        if together > 1:
            order = GroupedOrder(source.labels, together=together, seed=seed)
        super().__init__(
            Making(read=self._decoded, make=self._augmented, together=self._stacked),
            order,
            batch_size=batch_size,
            seed=seed,
            parts=parts,
            rank=rank,
            ranks=ranks,
            skip_unreadable=skip_unreadable,
            threads=threads,
        )

    @property
    def source(self) -> Source:
        """The images."""
        return self._source

    def _decoded(self, sample: int) -> Pixels:
        name = self._source.name_of(sample)
        image = decode_image(self._source.read(sample), name=name)
        if image.shape != (SIDE, SIDE, 3):
            raise BadImage(
                f"{name} has {image.shape[1]} x {image.shape[0]} pixels; training takes aligned "
                f"crops of {SIDE} x {SIDE}, as tronie align cuts them"
            )
        return image

    def _augmented(self, image: Pixels, draw: Draw) -> tuple[Pixels, int]:
        if self._augment is not None:
            image = self._augment(image, draw.sample, draw.rng)
        return image, draw.sample

    def _stacked(self, made: Sequence[tuple[Pixels, int]]) -> Batch:
        samples = np.array([sample for _, sample in made], np.int64)
        images = np.stack([image for image, _ in made])
        return Batch(images, self._source.labels[samples], samples)
