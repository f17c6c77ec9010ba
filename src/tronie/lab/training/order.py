"""Which sample comes at which place of a run: a shuffle that is computed and not stored.

    position p of a run of N samples      epoch e = p // N, place q = p % N
    sample                                shuffle of q that belongs to (seed, e)
    step s of batches of B                positions s * B to (s + 1) * B - 1

So every epoch holds each sample exactly once, whoever computes it, in whatever pieces, and from
whatever step on; a run that goes on elsewhere needs to know its step and nothing else. Batches
run on over the end of an epoch, and no sample is left out.

The shuffle is a Feistel network of 8 rounds on numbers of 2h bits, the least that hold N. Each
round changes one half by a hash of the other, which can be undone whatever the hash; so different
places lead to different numbers. A number of N or more is put through again until it is below.

Source: the network is Feistel's, its use on a set of any size Black and Rogaway's, "Ciphers with
Arbitrary Finite Domains", CT-RSA 2002; the hash is the end of SplitMix64. As random as a shuffle
needs to be, and no cipher.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.errors import NotEnoughData

Whole = NDArray[np.int64]
_ROUNDS = 8
_ODD = np.uint64(0x9E3779B97F4A7C15)


class Places(NamedTuple):
    """Where a run is at some positions, each (n,)."""

    epochs: Whole
    samples: Whole


class Order:
    """The order of a run over samples 0 to `samples` - 1.

    Raises:
        NotEnoughData: there are no samples.
    """

    def __init__(self, samples: int, *, seed: int) -> None:
        if samples < 1:
            raise NotEnoughData("a run needs at least one image; got none")
        self.samples = samples
        self._seed = seed
        half = max(1, ((samples - 1).bit_length() + 1) // 2)
        self._half, self._mask = np.uint64(half), np.uint64((1 << half) - 1)

    def at(self, positions: Whole) -> Places:
        """Epoch and sample at each position, (n,), from 0 to any number.

        Example:
            >>> sorted(Order(5, seed=0).at(np.arange(5)).samples.tolist())
            [0, 1, 2, 3, 4]
        """
        epochs, places = np.divmod(np.asarray(positions, np.int64), self.samples)
        found = np.empty_like(places)
        for epoch in np.unique(epochs).tolist():
            here = epochs == epoch
            found[here] = self._shuffled(places[here].astype(np.uint64), epoch)
        return Places(epochs, found)

    def _shuffled(self, places: NDArray[np.uint64], epoch: int) -> Whole:
        drawn = np.random.SeedSequence([self._seed, epoch]).generate_state(_ROUNDS, np.uint64)
        keys = drawn.astype(np.uint64)
        numbers = self._pass(places, keys)
        while (outside := numbers >= self.samples).any():
            numbers[outside] = self._pass(numbers[outside], keys)
        return numbers.astype(np.int64)

    def _pass(self, numbers: NDArray[np.uint64], keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left, right = numbers >> self._half, numbers & self._mask
        for key in keys:
            left, right = right, left ^ (_hashed(right ^ key) & self._mask)
        return (left << self._half) | right


class GroupedOrder:
    """The same, but images of one identity stand side by side in groups, which are shuffled.

    In each epoch the images of an identity are shuffled, and cut into groups of `together`, the
    last of them smaller. It is one list of all samples, made anew for each epoch.

    Args:
        labels: Whose each sample is, (N,).
        together: Samples in a group.
        seed: Of both shuffles.

    Raises:
        NotEnoughData: there are no samples.
    """

    def __init__(self, labels: Whole, *, together: int, seed: int) -> None:
        if len(labels) < 1:
            raise NotEnoughData("a run needs at least one image; got none")
        self.samples = len(labels)
        self._labels, self._together, self._seed = labels, together, seed
        self._made: dict[int, Whole] = {}

    def at(self, positions: Whole) -> Places:
        """Epoch and sample at each position, (n,), from 0 to any number."""
        epochs, places = np.divmod(np.asarray(positions, np.int64), self.samples)
        found = np.empty_like(places)
        for epoch in np.unique(epochs).tolist():
            here = epochs == epoch
            found[here] = self._epoch(epoch)[places[here]]
        return Places(epochs, found)

    def _epoch(self, epoch: int) -> Whole:
        if epoch not in self._made:
            while len(self._made) > 1:  # a batch runs over the end of an epoch, not of two
                del self._made[min(self._made)]
            self._made[epoch] = self._list(np.random.default_rng([self._seed, epoch]))
        return self._made[epoch]

    def _list(self, drawn: np.random.Generator) -> Whole:
        shuffled = drawn.permutation(self.samples)
        by_identity = shuffled[np.argsort(self._labels[shuffled], kind="stable")]
        _, first, counts = np.unique(
            self._labels[by_identity], return_index=True, return_counts=True
        )
        place = np.arange(self.samples) - np.repeat(first, counts)
        group = np.cumsum(place % self._together == 0) - 1
        rank = drawn.permutation(group[-1] + 1)
        out: Whole = by_identity[np.argsort(rank[group], kind="stable")]
        return out


def share(total: int, *, rank: int, ranks: int) -> tuple[int, int]:
    """First of `total` things that rank `rank` of `ranks` takes, and one past its last.

    Together the ranks take each thing once, and none takes two more than another.

    Example:
        >>> [share(8, rank=r, ranks=3) for r in range(3)]
        [(0, 2), (2, 5), (5, 8)]
    """
    return total * rank // ranks, total * (rank + 1) // ranks


def _hashed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = numbers * _ODD  # wraps around at 64 bits, as it is meant to
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    out: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return out
