r"""Random numbers keyed by what they are for, so that no rank has to tell another.

    initial_rows     normal numbers from (seed, class id)
    drawn_classes    whether a class is drawn in a step, from (seed, step, class id)

Neither depends on how many ranks there are, which classes this one holds, how many classes there
are in all, or what was drawn before: a run that resumes on other ranks draws the same.

A class is drawn in a step when a hash of 32 bits is below rate 2^32. Each class is drawn on its
own, so that the number drawn varies about rate C, by sqrt(C rate (1 - rate)): of a million at 0.1
by 300. The hash is the finalizer that C. Wellons found by search ("lowbias32"), applied twice,
with a key of (seed, step) before each:

    h = f(f(id xor k1) xor k2)      f(x): x ^= x >> 16; x *= 0x7feb352d; x ^= x >> 15;
                                          x *= 0x846ca68b; x ^= x >> 16

Keys are made by splitmix64 (Steele et al., OOPSLA 2014).

Differs from Partial FC as released: there each rank draws exactly int(rate n) of its n classes,
positives among them, so that what is drawn depends on the ranks. Here the same set is drawn on
any number of them; the positives of the batch come on top of it.
"""

from __future__ import annotations

import torch
from torch import Tensor

DEVIATION = 0.01  # as the released code of ArcFace and Partial FC begins

_INIT_BLOCK = 1024  # class ids that share a generator: a part of what a seed means
_HASH_BLOCK = {"cpu": 1 << 15}  # ids hashed at once, so that they stay in the cache
_64 = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def initial_rows(first: int, count: int, *, width: int, seed: int) -> Tensor:
    """Centres of the classes first ... first + count - 1: (count, width) float32.

    Normal numbers of mean 0 and deviation 0.01.
    """
    rows = torch.empty(count, width)
    for block in range(first // _INIT_BLOCK, -(-(first + count) // _INIT_BLOCK)):
        generator = torch.Generator().manual_seed(key(seed, block))
        normal = torch.randn(_INIT_BLOCK, width, generator=generator).mul_(DEVIATION)
        top = block * _INIT_BLOCK
        low, high = max(first, top), min(first + count, top + _INIT_BLOCK)
        rows[low - first : high - first] = normal[low - top : high - top]
    return rows


def drawn_classes(
    first: int, count: int, *, rate: float, seed: int, step: int, device: torch.device
) -> Tensor:
    """Which of the classes first ... first + count - 1 are drawn: (count,) bool.

    Args:
        first: Below 2^31, as first + count is.
        count: How many.
        rate: Probability of each, in [0, 1]; 0 draws none and 1 all.
        seed: Of the run.
        step: Any other number gives another draw.
        device: Where the answer is made; it is the same everywhere.
    """
    if rate in (0, 1):
        return torch.full((count,), bool(rate), device=device)
    limit = round(rate * 2**32) - 2**31
    words = key(seed, step)
    before, between = _signed(words >> 32), _signed(words)
    size = _HASH_BLOCK.get(device.type, max(count, 1))
    drawn = torch.empty(count, dtype=torch.bool, device=device)
    for top in range(0, count, size):
        stop = min(count, top + size)
        ids = torch.arange(first + top, first + stop, dtype=torch.int32, device=device)
        hashed = _mixed(_mixed(ids.bitwise_xor_(before)).bitwise_xor_(between))
        # Of 32 bits without a sign the highest one turned: the order is that of signed numbers.
        torch.lt(hashed.bitwise_xor_(-(2**31)), limit, out=drawn[top:stop])
    return drawn


def key(*words: int) -> int:
    """One number of 64 bits from several, each step of splitmix64."""
    state = 0
    for word in words:
        state = (state ^ (word & _64)) + _GOLDEN & _64
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _64
        state = (state ^ state >> 27) * 0x94D049BB133111EB & _64
        state ^= state >> 31
    return state


def _mixed(x: Tensor) -> Tensor:
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x.bitwise_xor_(_shifted(x, shift)).mul_(_signed(factor))
    return x.bitwise_xor_(_shifted(x, 16))


def _shifted(x: Tensor, places: int) -> Tensor:
    """x >> places of numbers without a sign: torch's shift repeats the sign."""
    return x.bitwise_right_shift(places).bitwise_and_((1 << 32 - places) - 1)


def _signed(word: int) -> int:
    word &= 0xFFFFFFFF
    return word - (1 << 32) if word >= 1 << 31 else word
