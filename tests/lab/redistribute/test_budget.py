"""Costs from numbers alone are those that are counted while the network runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.detector import VGA  # noqa: E402 - only where torch is
from tronie.lab.nn.detector_cost import layer_flops  # noqa: E402
from tronie.lab.nn.detectors.scrfd import LAYOUTS, VARIANTS, Scrfd  # noqa: E402
from tronie.lab.nn.scrfd_layout import BLOCKS, Layout, layout_fault  # noqa: E402
from tronie.lab.training.redistribute.budget import (  # noqa: E402
    PARTS,
    SIZE,
    Layouts,
    flops_by_part,
    part_flops,
    shares_by_part,
)

pytestmark = pytest.mark.lab
torch.set_num_threads(1)

STAGES = {f"backbone.stages.{n}": part for n, part in enumerate(PARTS[1:5])}


def counted(layout):
    """FLOPs by part, from the network on torch's meta device."""
    with torch.device("meta"):
        network = Scrfd(layout)
    sums = dict.fromkeys(PARTS, 0)
    for layer in layer_flops(network):
        words = layer.name.split(".")
        part = words[0] if words[0] != "backbone" else STAGES.get(".".join(words[:3]), "stem")
        sums[part] += layer.flops
    return sums


def drawn(seed):
    """A layout of any kind, small."""
    rng = np.random.default_rng(seed)
    block = BLOCKS[seed % 3]
    layout = Layout(
        block=block,
        blocks=tuple(rng.integers(1, 4, 4).tolist()),
        widths=tuple(rng.integers(2, 40, 6 if block == "depthwise" else 4).tolist()),
        neck=8 * int(rng.integers(1, 5)),
        head=8 * int(rng.integers(1, 5)),
        depth=int(rng.integers(1, 4)),
        groups=None if rng.random() < 0.5 else 8,
        points=bool(rng.random() < 0.5),
    )
    assert not layout_fault(layout)
    return layout


def test_the_picture_is_the_one_that_published_columns_are_of():
    assert SIZE == VGA


@pytest.mark.parametrize("variant", LAYOUTS)
def test_released_networks_cost_what_they_declare(variant):
    assert sum(flops_by_part(LAYOUTS[variant]).values()) == VARIANTS[variant].flops


@pytest.mark.parametrize("seed", range(12))
def test_each_part_costs_what_is_counted(seed):
    layout = drawn(seed)
    assert flops_by_part(layout) == counted(layout)


def test_a_unit_whose_width_changes_has_its_shortcut_and_one_whose_does_not_has_none():
    layout = replace(drawn(0), block="basic", widths=(8, 8, 16, 16), blocks=(1, 1, 1, 2))
    assert flops_by_part(layout) == counted(layout)


def test_shares_are_parts_of_all():
    shares = shares_by_part(LAYOUTS["2.5g"])
    assert tuple(shares) == PARTS
    assert sum(shares.values()) == pytest.approx(1)
    flops = flops_by_part(LAYOUTS["2.5g"])
    assert shares["C3"] == flops["C3"] / VARIANTS["2.5g"].flops


def test_many_at_once_cost_what_each_does():
    some = [LAYOUTS["0.5g"], LAYOUTS["1g"]]
    together = Layouts(
        like=some[0],
        blocks=np.array([one.blocks for one in some]).T,
        widths=np.array([one.widths for one in some]).T,
        neck=np.array([one.neck for one in some]),
        head=np.array([one.head for one in some]),
        depth=np.array([one.depth for one in some]),
    )
    flops = part_flops(together)
    assert flops.shape == (7, 2)
    for n, one in enumerate(some):
        assert flops[:, n].tolist() == list(flops_by_part(one).values())
        assert together.layout(n) == one  # 24 and 96 channels share 8 groups of the 16


def test_a_norm_has_as_many_groups_of_those_asked_for_as_its_channels_allow():
    wide = Layouts(
        like=replace(LAYOUTS["2.5g"], groups=32),
        blocks=np.array([[1]] * 4),
        widths=np.array([[8]] * 4),
        neck=np.array([8]),
        head=np.array([48]),
        depth=np.array([1]),
    )
    assert wide.layout(0).groups == 16
    assert replace(wide, like=LAYOUTS["2.5g-kps"]).layout(0).groups is None
