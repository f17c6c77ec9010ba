"""The backbones of the SCRFD family: how deep and how wide each stage is comes as data.

    residual    stem 3x3/2 to half of the first width, 3x3, 3x3 to the first width; 2x2 max pool;
                four stages of units. A unit that changes stride or width has a shortcut of 2x2
                average pool (with stride 2), then 1x1
                basic        3x3 (stride) -> 3x3                    width w to w
                bottleneck   1x1 -> 3x3 (stride) -> 1x1             width 4w outside, w inside
    depthwise   stem 3x3/2, then a unit; four stages whose first unit has stride 2
                unit         3x3 on each channel alone -> 1x1

Every convolution has no bias and is followed by batch norm; ReLU behind each, in a residual unit
the last one behind the sum. Maps at strides 4, 8, 16 and 32 come out, the last three of which
detectors use. Sizes are rounded up at each halving, so that any picture from 1 x 1 on has maps.

Source: Guo et al., SCRFD, ICLR 2022, arXiv:2105.04714, and its released configurations; the stem
and the shortcut are those of "Bag of Tricks", arXiv:1812.01187 (ResNet-D), depthwise units those
of MobileNetV1, arXiv:1704.04861.
Differs from the release: the max pool rounds up too, which changes nothing on multiples of 32.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from tronie.lab.nn.layers.conv import Activation, conv_norm

EXPANSION = 4
"""Of a bottleneck: how much wider it is outside than inside."""


def relu(_: int) -> nn.Module:
    """The activation of all of them, as `conv_norm` asks for it."""
    return nn.ReLU(inplace=True)


class ResidualUnit(nn.Module):
    """(N, inner, H, W) to (N, width or 4 width, H / stride, W / stride), rounded up."""

    def __init__(self, inner: int, width: int, *, stride: int, bottleneck: bool) -> None:
        super().__init__()
        outer = width * (EXPANSION if bottleneck else 1)
        if bottleneck:
            self.body = nn.Sequential(
                conv_norm(inner, width, activation=relu),
                conv_norm(width, width, kernel=3, stride=stride, activation=relu),
                conv_norm(width, outer, activation=None),
            )
        else:
            self.body = nn.Sequential(
                conv_norm(inner, width, kernel=3, stride=stride, activation=relu),
                conv_norm(width, outer, kernel=3, activation=None),
            )
        self.shortcut = nn.Sequential()
        if stride != 1:
            pool = nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)
            self.shortcut.append(pool)
        if stride != 1 or inner != outer:
            self.shortcut.extend(conv_norm(inner, outer, activation=None))
        self.activation = nn.ReLU(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        """The unit's answer."""
        answer: Tensor = self.activation(self.body(maps) + self.shortcut(maps))
        return answer


class Stages(nn.Module):
    """A stem and four stages; (N, 3, H, W) to the maps at strides 4, 8, 16 and 32."""

    def __init__(
        self, stem: nn.Module, stages: Sequence[nn.Module], *, widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.stem = stem
        self.stages = nn.ModuleList(stages)
        self.widths = tuple(widths)
        """Channels of the four maps."""

    def forward(self, images: Tensor) -> list[Tensor]:
        """The four maps, the finest first."""
        maps = self.stem(images)
        found = []
        for stage in self.stages:
            maps = stage(maps)
            found.append(maps)
        return found


def residual_stages(blocks: Sequence[int], widths: Sequence[int], *, bottleneck: bool) -> Stages:
    """Four stages of `blocks` units of `widths` channels; fresh weights.

    Convolutions are drawn as He et al. 2015 for ReLU, by what goes out; the last norm of each unit
    starts at 0, so that the network starts out as its shortcuts.
    """
    first = widths[0]
    stem = nn.Sequential(
        conv_norm(3, first // 2, kernel=3, stride=2, activation=relu),
        conv_norm(first // 2, first // 2, kernel=3, activation=relu),
        conv_norm(first // 2, first, kernel=3, activation=relu),
        nn.MaxPool2d(2, 2, ceil_mode=True),
    )
    inner, stages, outer = first, [], []
    for n, (count, width) in enumerate(zip(blocks, widths, strict=True)):
        stage = nn.Sequential()
        for unit in range(count):
            stride = 2 if n > 0 and unit == 0 else 1
            stage.append(ResidualUnit(inner, width, stride=stride, bottleneck=bottleneck))
            inner = width * (EXPANSION if bottleneck else 1)
        stages.append(stage)
        outer.append(inner)
    backbone = Stages(stem, stages, widths=outer)
    draw_weights(backbone)
    return backbone


def depthwise_stages(
    blocks: Sequence[int], widths: Sequence[int], *, activation: Activation = relu
) -> Stages:
    """Two widths of the stem and four of the stages, of `blocks` units each; fresh weights."""
    before, *rest = widths
    stem = nn.Sequential(
        conv_norm(3, before, kernel=3, stride=2, activation=activation),
        depthwise_unit(before, rest[0], activation=activation),
    )
    stages = []
    for count, (inner, outer) in zip(blocks, pairwise(rest), strict=True):
        units = [depthwise_unit(inner, outer, stride=2, activation=activation)]
        units += [depthwise_unit(outer, outer, activation=activation) for _ in range(count - 1)]
        stages.append(nn.Sequential(*units))
    backbone = Stages(stem, stages, widths=rest[1:])
    draw_weights(backbone)
    return backbone


def depthwise_unit(
    inner: int, outer: int, *, stride: int = 1, activation: Activation = relu
) -> nn.Sequential:
    """(N, inner, H, W) to (N, outer, H / stride, W / stride), rounded up."""
    each = conv_norm(inner, inner, kernel=3, stride=stride, groups=inner, activation=activation)
    return nn.Sequential(*each, *conv_norm(inner, outer, activation=activation))


def draw_weights(backbone: nn.Module) -> None:
    """Convolutions as He et al. 2015 have them, by what goes out; residual units as shortcuts."""
    for part in backbone.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(part, ResidualUnit):
            nn.init.zeros_(part.body[-1][-1].weight)  # type: ignore[index]
