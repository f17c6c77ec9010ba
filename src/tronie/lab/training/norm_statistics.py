r"""Batch normalization over the images of all processes, and a last scale that stays at 1.

Over the images of all R processes, n of them (times places in a map):

    mean = sum x / n        var = sum (x - mean)^2 / n        y = (x - mean) / sqrt(var + eps)

Both sums are exchanged, and so are their gradients, which are exact. A run with these statistics
is the same on any number of processes; with those of each process it is not, since a smaller
batch has other means. The usual choice is each process by itself: it needs no exchange.

Source: Ioffe and Szegedy, "Batch Normalization", 2015, arXiv:1502.03167. Differs from torch's
SyncBatchNorm: it works on a CPU too, and processes may bring different numbers of images.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tronie.errors import BadInput
from tronie.lab.nn.collectives import Group, all_sum, world_size


def with_global_statistics(module: nn.Module, *, group: Group = None) -> nn.Module:
    """Let every batch norm inside `module` use the images of all processes, in place.

    Names and tensors of its state stay as they are. With one process nothing changes.
    """
    if world_size(group) == 1:
        return module
    for name, part in list(module.named_children()):
        if isinstance(part, _BatchNorm):
            setattr(module, name, _GlobalNorm(part, group=group))
        else:
            with_global_statistics(part, group=group)
    return module


def fix_last_scale(module: nn.Module) -> None:
    """Hold the weight of the last batch norm at 1: embeddings then have comparable lengths.

    Raises:
        BadInput: the network has none with a weight.
    """
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm) and part.affine]
    if not norms:
        raise BadInput("fixed_last_scale asks for a batch norm with a weight; the network has none")
    nn.init.ones_(norms[-1].weight)
    norms[-1].weight.requires_grad_(False)


class _GlobalNorm(_BatchNorm):
    """Takes over the parameters and statistics of a batch norm."""

    def __init__(self, like: _BatchNorm, *, group: Group) -> None:
        super().__init__(
            like.num_features, like.eps, like.momentum, like.affine, like.track_running_stats
        )
        self.weight, self.bias = like.weight, like.bias
        for name, buffer in like.named_buffers():
            self.register_buffer(name, buffer)
        self.train(like.training)
        self._group = group

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of places behind the channels."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        places = [0, *range(2, input.ndim)]
        shape = [1, -1, *(1 for _ in places[1:])]
        x = input if input.dtype == torch.float64 else input.float()
        total = all_sum(x.new_tensor([x.numel() / x.shape[1]]), group=self._group)
        mean = self._summed(x.sum(dim=places)) / total
        centered = x - mean.view(shape)
        variance = self._summed(centered.square().sum(dim=places)) / total
        self._remember(mean.detach(), variance.detach() * total / (total - 1).clamp(min=1))
        out = centered * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            out = out * self.weight.view(shape) + self.bias.view(shape)
        return out.to(input.dtype)

    def _summed(self, own: Tensor) -> Tensor:
        summed: Tensor = _Sum.apply(own, self._group)  # type: ignore[no-untyped-call]
        return summed

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:
            share = 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


class _Sum(torch.autograd.Function):
    """The sum over the processes; backward, the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, group: Group) -> Tensor:
        ctx.group = group
        return all_sum(own, group=group)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return all_sum(gradients[0], group=ctx.group), None


def average_statistics(module: nn.Module, *, group: Group = None) -> None:
    """Give every process the mean of all processes' running means and variances, in place.

    Training does not read them. Batches of each process by itself leave each with others.
    """
    if world_size(group) == 1:
        return
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm)]
    running = [b for n in norms for b in (n.running_mean, n.running_var) if b is not None]
    if running:
        mean = all_sum(torch.cat([b.flatten() for b in running]), group=group) / world_size(group)
        for buffer, part in zip(
            running, torch.split(mean, [b.numel() for b in running]), strict=True
        ):
            buffer.copy_(part.view_as(buffer))
