"""What a backbone declares of itself, and how it is built by name.

A backbone is one file of `tronie.lab.nn.backbones`. It holds a table of variants and makes any
of them; `iresnet-100` is the variant "100" of `iresnet.py`. To add one is to add its file.

    VARIANTS = {"100": Variant(...), ...}       written out, so that it can be listed without torch
    build(variant, *, embedding_size=None) -> nn.Module
        (N, 3, 112, 112) float32, RGB, (pixel - 127.5) / 127.5  ->  (N, D) float32, any length

Declared numbers are for the published embedding size, one 112 x 112 picture:

    parameters        numbers that a gradient can reach, those held fixed included
    flops_lfr         FLOPs as the Lightweight Face Recognition challenge counts them
    macs              multiply-adds of convolutions, fully connected layers and matrix products
    size_bytes        of the exported ONNX file, batch norms folded where they can be
    checkpoint_bytes  of all float32 numbers of training, with the statistics of batch norms

`tronie.lab.nn.cost` counts the first three, and states both rules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from tronie import catalog

CATALOGUE = "tronie.lab.nn.backbones"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Declared numbers of one network, held to the code by tests/contracts/test_backbones.py."""

    parameters: int
    flops_lfr: int
    macs: int
    size_bytes: int
    checkpoint_bytes: int
    source: str
    """Where this network is described, and the numbers published of it."""
    embedding_size: int = 512
    """The published one, for which the numbers hold."""


def names() -> tuple[str, ...]:
    """Every backbone that can be built, as in "iresnet-100"; imports none of them."""
    return catalog.variant_names(CATALOGUE)


def variant_of(name: str) -> Variant:
    """What the backbone of that name declares.

    Raises:
        NotFound: no such backbone; the message holds the nearest name.
    """
    key, variant = catalog.variant_parts(CATALOGUE, name)
    declared: Variant = catalog.load(CATALOGUE, key, "VARIANTS")[variant]
    return declared


def build_backbone(name: str, *, embedding_size: int | None = None) -> nn.Module:
    """The network of that name with fresh weights, drawn from torch's generator.

    Args:
        name: As in "iresnet-100".
        embedding_size: Numbers in an embedding; None: as published.

    Raises:
        NotFound: no such backbone; the message holds the nearest name.
    """
    key, variant = catalog.variant_parts(CATALOGUE, name)
    build: Callable[..., nn.Module] = catalog.load(CATALOGUE, key, "build")
    return build(variant, embedding_size=embedding_size)
