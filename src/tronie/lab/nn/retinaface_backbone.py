"""The residual network of He et al. as RetinaFace builds on it: ResNet-50, ResNet-152.

    stem      7x7 with stride 2 to 64 channels, batch norm, ReLU; 3x3 max pool with stride 2
    stages    bottleneck units of 64, 128, 256, 512 inside and four times as much outside; the
              first unit of a stage has stride 2 in its 3x3, and 1x1 with that stride beside it

Maps at strides 4, 8, 16 and 32 come out. Sizes are rounded up at each halving, so that any picture
from 1 x 1 on has maps.

Source: He et al., CVPR 2016, arXiv:1512.03385, table 1.
Differs from the paper: the stride stands in the 3x3, as in the weights that are used today; the
last norm of each unit starts at 0.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from tronie.lab.nn.layers.conv import conv_norm
from tronie.lab.nn.searched_backbone import EXPANSION, ResidualUnit, Stages, draw_weights, relu

WIDTHS = (64, 128, 256, 512)


def resnet_stages(blocks: Sequence[int], widths: Sequence[int] = WIDTHS) -> Stages:
    """Four stages of `blocks` units that are `widths` wide inside; fresh weights."""
    inner = widths[0]
    stem = nn.Sequential(
        conv_norm(3, inner, kernel=7, stride=2, activation=relu), nn.MaxPool2d(3, 2, padding=1)
    )
    stages, outer = [], []
    for n, (count, width) in enumerate(zip(blocks, widths, strict=True)):
        stage = nn.Sequential()
        for unit in range(count):
            stage.append(_unit(inner, width, stride=2 if n > 0 and unit == 0 else 1))
            inner = EXPANSION * width
        stages.append(stage)
        outer.append(inner)
    backbone = Stages(stem, stages, widths=outer)
    draw_weights(backbone)
    return backbone


def _unit(inner: int, width: int, *, stride: int) -> ResidualUnit:
    """A unit whose shortcut is one convolution, with the stride in it."""
    unit = ResidualUnit(inner, width, stride=stride, bottleneck=True)
    if len(unit.shortcut) > 0:
        unit.shortcut = conv_norm(inner, EXPANSION * width, stride=stride, activation=None)
    return unit
