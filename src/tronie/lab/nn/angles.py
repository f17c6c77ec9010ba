r"""Angles from cosines: what several margins share, stable where an angle is 0 or pi.

    sin(theta) = sqrt((1 - c) (1 + c))      no bits are lost in 1 - c^2 as c nears 1
    theta      = atan2(sin(theta), c)       exact at both ends, where arccos(c) is not

The value of a margin is finite everywhere; its derivative by c is not, because
d theta / d c = -1 / sin(theta). A cosine c of type T is known to one rounding step, so no angle
below sqrt(2 eps(T)) can be told from 0 (4.9e-4 rad in float32). `inner_angle` keeps an angle
that far from 0 and pi, and every derivative here is taken there: its largest value in float32
is about 2048. What reaches the embedding is multiplied by sin(theta) again and stays small.

Letters: N rows of a batch, C columns, one a class centre of this shard.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Arc(NamedTuple):
    """cos(theta + m) with its continuation, and its derivatives; shapes as the cosine's."""

    value: Tensor
    slope: Tensor
    """By the cosine."""
    margin_slope: Tensor
    """By the margin."""


def widened(cosine: Tensor) -> Tensor:
    """The same in float32 if it came in 16 bits, as autocast hands it over; else untouched."""
    return cosine.float() if cosine.dtype in (torch.float16, torch.bfloat16) else cosine


def sine(cosine: Tensor) -> Tensor:
    """sin(theta) >= 0; 0 where rounding carried the cosine past 1. Not to be differentiated."""
    return ((1 - cosine) * (1 + cosine)).clamp(min=0).sqrt()


def angle(cosine: Tensor) -> Tensor:
    """theta in [0, pi] radians. Not to be differentiated."""
    return torch.atan2(sine(cosine), cosine)


def inner_angle(cosine: Tensor) -> Tensor:
    """theta kept sqrt(2 eps) away from 0 and pi; derivatives are taken there."""
    floor = math.sqrt(2 * torch.finfo(cosine.dtype).eps)
    return angle(cosine).clamp(floor, math.pi - floor)


@torch.no_grad()
def arc(cosine: Tensor, margin: float | Tensor) -> Arc:
    """cos(theta + m) that goes on falling past pi, with its derivatives in closed form.

        cos(theta + m)              where theta < pi - m
        cos(theta) - m sin(m)       beyond, where it starts cos(m) + m sin(m) - 1 lower
                                    (0.117 at m = 0.5) and goes on falling

    Args:
        cosine: Any shape, float32 or float64.
        margin: m in [0, pi / 2] radians: a number, or a tensor of the cosine's shape.
    """
    m = margin.to(cosine.dtype) if isinstance(margin, Tensor) else torch.full_like(cosine, margin)
    cos_m, sin_m, theta = torch.cos(m), torch.sin(m), inner_angle(cosine)
    within = cosine > -cos_m
    return Arc(
        torch.where(within, cosine * cos_m - sine(cosine) * sin_m, cosine - m * sin_m),
        torch.where(within, torch.sin(theta + m) / torch.sin(theta), 1.0),
        -torch.where(within, sine(cosine) * cos_m + cosine * sin_m, sin_m + m * cos_m),
    )


def curve(value: Tensor, *inputs: tuple[Tensor, Tensor]) -> Tensor:
    """`value`, with the derivatives that are handed in.

    Args:
        value: Computed without a gradient.
        inputs: Pairs of a tensor that `value` was computed from and the derivative of `value` by
            it, each of the shape of `value`.

    Returns:
        The numbers of `value`. A second derivative is refused by torch, not silently zero.

    Example:
        >>> c = torch.tensor([0.5], requires_grad=True)
        >>> curve(torch.tensor([0.25]), (c, torch.tensor([1.0]))).backward()
        >>> c.grad
        tensor([1.])
    """
    sources = [source for source, _ in inputs]
    slopes = [slope.detach() for _, slope in inputs]
    shaped: Tensor = _Curve.apply(value.detach(), *sources, *slopes)  # type: ignore[no-untyped-call]
    return shaped


class _Curve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, *sources_and_slopes: Tensor) -> Tensor:
        ctx.save_for_backward(*sources_and_slopes[len(sources_and_slopes) // 2 :])
        return value.view_as(value)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        slopes = ctx.saved_tensors
        return (None, *(upstream[0] * slope for slope in slopes), *(None for _ in slopes))


def own_cosine(cosine: Tensor, labels: Tensor) -> Tensor:
    """Each row's number (N,) in the column that `labels` names; any number where it is -1."""
    if cosine.shape[1] == 0:
        return cosine.new_zeros(len(cosine))
    return cosine.gather(1, labels.clamp(min=0)[:, None])[:, 0]


def compared(cosine: Tensor, labels: Tensor, target: Tensor | None) -> tuple[Tensor, Tensor]:
    """The cosine to the own class (N,) for rules that only compare, and where it is known.

    Detached. It is `target` if that is given, else what `cosine` holds; unknown are then rows
    with label -1, whose number means nothing.
    """
    if target is None:
        return own_cosine(cosine.detach(), labels), labels >= 0
    return target.detach().to(cosine.dtype), torch.ones_like(labels, dtype=torch.bool)


def scaled(cosine: Tensor, labels: Tensor, own: Tensor, *, scale: float | Tensor) -> Tensor:
    """`scale` times `cosine`, and `scale` times `own` in the column of each row's class.

    Args:
        cosine: (N, C); not written to.
        labels: (N,) int64, -1 where no column is replaced.
        own: (N,), what takes the place of the own cosine.
        scale: A number, or a tensor (), or (N, 1).

    Returns:
        (N, C), the only new tensor of that size.
    """
    logits = cosine * scale
    if cosine.shape[1] == 0:
        return logits
    replaced = torch.where(labels >= 0, own, own_cosine(cosine, labels))[:, None] * scale
    return logits.scatter_(1, labels.clamp(min=0)[:, None], replaced)
