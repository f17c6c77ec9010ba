"""Convolution, batch norm and activation: plain, depthwise, and with a variable group number.

    conv_norm       k x k convolution without bias -> batch norm -> activation, or none (linear)
    DepthwiseUnit   1x1 widen -> 3x3 on each channel alone -> 1x1 narrow, linear
    variable_group  3x3 with a fixed number of channels in each group, so that the groups grow
                    with the width, -> 1x1

A convolution here never has a bias: the batch norm behind it has one, and takes it over when
the two become one at export. Padding keeps the size at stride 1 unless it is stated.

Letters: N images, C channels, H and W pixels.

Source: MobileNetV2 (Sandler et al., CVPR 2018, arXiv:1801.04381) for the linear narrow end;
VarGNet (Zhang et al., arXiv:1907.05653) for the fixed number of channels a group. PReLU with one
slope a channel in place of ReLU6, as the face networks have it.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

Activation = Callable[[int], nn.Module]
"""Makes the activation for a number of channels, as nn.PReLU does."""


def conv_norm(
    inner: int,
    outer: int,
    *,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    padding: int | None = None,
    activation: Activation | None = nn.PReLU,
) -> nn.Sequential:
    """(N, inner, H, W) to (N, outer, H / stride, W / stride), rounded up.

    Args:
        inner: Channels that come in.
        outer: Channels that go out.
        padding: Zeros on each side; None: (kernel - 1) / 2, which keeps the size.
        activation: None ends with the batch norm.
    """
    sides = (kernel - 1) // 2 if padding is None else padding
    layers: list[nn.Module] = [
        nn.Conv2d(inner, outer, kernel, stride, sides, groups=groups, bias=False),
        nn.BatchNorm2d(outer),
    ]
    if activation is not None:
        layers.append(activation(outer))
    return nn.Sequential(*layers)


def variable_group(
    inner: int,
    outer: int,
    *,
    factor: int,
    group_width: int,
    kernel: int = 3,
    stride: int = 1,
    padding: int | None = None,
    activation: Activation | None = nn.PReLU,
) -> nn.Sequential:
    """A k x k convolution in groups of `group_width` channels, then 1x1 to `outer` channels.

    Args:
        inner: Channels that come in, a multiple of `group_width`.
        outer: Channels that go out.
        factor: How many times `inner` lie between the two.
        activation: Behind the 1x1; the first convolution always has a PReLU.
    """
    between = inner * factor
    grouped = conv_norm(
        inner,
        between,
        kernel=kernel,
        stride=stride,
        groups=inner // group_width,
        padding=padding,
    )
    return nn.Sequential(*grouped, *conv_norm(between, outer, activation=activation))


class DepthwiseUnit(nn.Module):
    """Widen, filter each channel alone, narrow without an activation; added to its input if asked.

    (N, inner, H, W) to (N, outer, H / stride, W / stride). `between` is the width of the
    depthwise convolution. The sum needs the same shape on both sides.
    """

    def __init__(
        self, inner: int, outer: int, *, between: int, stride: int = 1, residual: bool = False
    ) -> None:
        super().__init__()
        assert not residual or (stride == 1 and inner == outer), "the two shapes differ"
        self.residual = residual
        self.body = nn.Sequential(
            conv_norm(inner, between),
            conv_norm(between, between, kernel=3, stride=stride, groups=between),
            conv_norm(between, outer, activation=None),
        )

    def forward(self, images: Tensor) -> Tensor:
        """The unit's answer."""
        answer: Tensor = self.body(images)
        return images + answer if self.residual else answer
