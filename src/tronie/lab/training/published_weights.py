"""The weights of a published SCRFD file in a network of ours, to compare both, or to go on from.

    convolutions   of the file to those of the network that have the same shape, in their order;
                   exporters differ in which end of a head comes first
    norms          published files hold them folded into the convolution before: the norm then
                   keeps what it is given, and adds the file's bias
    numbers        that distances of a level are multiplied with, where the network has them

Only files with five points: their norms are batch norms. A file says under what licence its
weights may be used; that of the authors' files is for research, not for products.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tronie.errors import BadInput, BadModel
from tronie.lab.nn.detectors.scrfd import Scrfd
from tronie.runtime.graph import load_graph, stored_weights

_Conv = list[NDArray[np.generic]]


def take_published_weights(network: Scrfd, path: str | Path) -> Scrfd:
    """Fill `network` with the weights of the file, and leave it in evaluation.

    Raises:
        NotFound, BadModel: no file, or one whose convolutions are not those of the network; it
            is then left as it was.
        BadInput: a network with group norm, which its files do not fold.
    """
    if network.layout.groups is not None:
        raise BadInput(
            "weights are taken from published files of SCRFD with five points only, whose norms "
            "are folded; this network has group norm"
        )
    graph = load_graph(path).graph
    weights = stored_weights(graph)
    for node in graph.node:  # exporters store arrays that are equal once
        if node.op_type == "Identity" and node.input[0] in weights:
            weights[node.output[0]] = weights[node.input[0]]
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    convs = [[weights[name] for name in node.input[1:] if name in weights] for node in nodes]
    scales = [
        float(weights[name].item())
        for node in graph.node
        if node.op_type == "Mul"
        for name in node.input
        if name in weights and weights[name].ndim == 0 and weights[name].dtype.kind == "f"
    ]
    name = Path(path).name
    convs_by_part = _matched(network, convs, name=name)
    levels = 0 if network.head.scales is None else len(network.head.scales)
    if len(scales) != levels:
        raise BadModel(f"{name} multiplies {len(scales)} levels; the network {levels}")
    with torch.no_grad():
        _fill(network, convs_by_part)
        if network.head.scales is not None:
            network.head.scales.copy_(torch.tensor(scales))
    return network.eval()


def _matched(network: Scrfd, convs: list[_Conv], *, name: str) -> list[_Conv]:
    """The convolutions of the file, in the order of the network's."""
    parts = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    if len(convs) != len(parts):
        raise BadModel(
            f"{name} has {len(convs)} convolutions and the network {len(parts)}; they are not "
            "the same architecture"
        )
    left = list(convs)
    found = []
    for n, part in enumerate(parts, start=1):
        shape = tuple(part.weight.shape)
        wanted = [shape, shape[:1]]
        at = next((i for i, c in enumerate(left) if [a.shape for a in c] == wanted), None)
        if at is None:
            raise BadModel(
                f"convolution {n} of the network needs weights of shapes {wanted}; {name} has "
                "none left"
            )
        found.append(left.pop(at))
    return found


def _fill(network: Scrfd, convs: list[_Conv]) -> None:
    left = iter(convs)
    bias: Any = None
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            weight, bias = (torch.tensor(array) for array in next(left))
            part.weight.copy_(weight)
            if part.bias is not None:
                part.bias.copy_(bias)
        elif isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.zero_()
            part.running_var.fill_(1 - part.eps)
            part.weight.fill_(1)
            part.bias.copy_(bias)
