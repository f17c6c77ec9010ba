"""What a margin is to a head: cosines and labels in, logits out, and what it needs besides.

Every entry of `lab/nn/margins/` exports a `Margin`, one level above this class, with

    forward(cosine, labels, *, target=None, norms=None) -> logits

    cosine   (N, C) float32 or float64: N embeddings against the C class centres of this shard
    labels   (N,) int64: the column of each row's own class, -1 where another shard holds it
    target   (N,) the cosine of each row to its own class, whichever shard holds it; rules that
             compare with it leave rows of label -1 unchanged where it is missing
    norms    (N,) lengths of the raw embeddings, with their gradient, where `needs_norms`
    logits   (N, C) times the scale; a new tensor, the input is not written to

Cosines of 16 bits are widened to float32 first. What a margin keeps from step to step lies in
buffers and moves in training mode only, by `target` and `norms`: a head that gathers these over
all ranks before it calls makes the same update on every rank.

A head of several shards asks two things of a margin:

    softmax        False: there is no softmax. `loss(cosine, labels)` gives (N,) numbers that add
                   up over the shards to the loss of each row
    needs_others   True: before each training forward, sum `others(cosine, labels)` (N,) over
                   the shards, then call `update(target, sum)` on every rank. Where C is all the
                   classes there are, forward does this itself
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tronie.errors import BadArray, BadInput
from tronie.lab.nn.angles import widened


class MarginRule(nn.Module):
    """What all margins have in common; see the top of this file."""

    needs_norms: bool = False
    needs_others: bool = False
    softmax: bool = True

    def penalty(self, norms: Tensor) -> Tensor:
        """What the paper adds to the loss for the lengths (N,) of raw embeddings; mostly 0."""
        return norms.new_zeros(())


def accepted(cosine: Tensor, labels: Tensor) -> Tensor:
    """The cosines (N, C) in at least float32, once the shapes agree.

    Raises:
        BadArray: `cosine` is not (N, C) of floats, or `labels` not (N,) of int64.
    """
    if cosine.ndim != 2 or not cosine.is_floating_point():
        raise BadArray(
            f"cosines must have shape (N, C) and a floating type; got shape {tuple(cosine.shape)} "
            f"of {cosine.dtype}"
        )
    if labels.shape != cosine.shape[:1] or labels.dtype != torch.int64:
        raise BadArray(
            f"labels must have shape ({len(cosine)},) and type int64, one column a row of the "
            f"cosines; got shape {tuple(labels.shape)} of {labels.dtype}"
        )
    return widened(cosine)


def accepted_norms(norms: Tensor | None, cosine: Tensor) -> Tensor:
    """The lengths (N,) in the type of the cosines.

    Raises:
        BadInput: there are none.
        BadArray: they are not one for each row of the cosines.
    """
    if norms is None:
        raise BadInput(
            "this margin depends on the lengths of the raw embeddings; hand them in as norms, "
            f"shape ({len(cosine)},)"
        )
    if norms.shape != cosine.shape[:1]:
        raise BadArray(
            f"norms must have shape ({len(cosine)},), one length a row of the cosines; "
            f"got shape {tuple(norms.shape)}"
        )
    return norms.to(cosine.dtype)


def bounded(name: str, value: float, low: float, high: float, *, unit: str = "") -> float:
    """`value` if it lies in [low, high].

    Raises:
        BadInput: it does not, or is NaN.
    """
    if not low <= value <= high:
        of_unit = f" {unit}" if unit else ""
        raise BadInput(f"{name} must lie in [{low:.4g}, {high:.4g}]{of_unit}; got {value:g}")
    return value


def positive(name: str, value: float) -> float:
    """`value` if it is above 0 and finite.

    Raises:
        BadInput: it is not.
    """
    if not 0 < value < math.inf:
        raise BadInput(f"{name} must be above 0 and finite; got {value:g}")
    return value


def one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    """`value` if it is one of `choices`.

    Raises:
        BadInput: it is not; the message names them all.
    """
    if value not in choices:
        quoted = " or ".join(repr(choice) for choice in choices)
        raise BadInput(f"{name} must be {quoted}; got {value!r}")
    return value


def is_straight_through(gradient: str) -> bool:
    """Whether the derivative by the cosine is 1 instead of the formula's.

    Raises:
        BadInput: `gradient` is neither "exact" nor "straight_through".
    """
    return one_of("gradient", gradient, ("exact", "straight_through")) == "straight_through"
