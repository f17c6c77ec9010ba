"""Every entry of lab/nn/detectors keeps the same promises; SCRFD's numbers are the published ones.

Counts and shapes are told without weights (torch's meta device), of every variant. What needs
weights is seen in the tests of each entry.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie import catalog  # noqa: E402 - only where torch is
from tronie.lab.nn.cost import parameters  # noqa: E402
from tronie.lab.nn.detector import (  # noqa: E402
    CATALOGUE,
    Variant,
    build_detector,
    names,
    variant_of,
)
from tronie.lab.nn.detector_cost import flops, macs_by_part  # noqa: E402
from tronie.lab.nn.detectors.scrfd import LAYOUTS, VARIANTS  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)

KEYS = catalog.entries(CATALOGUE)
NAMES = names()


@functools.cache
def meta(name):
    """The network without contents; no test changes it."""
    with torch.device("meta"):
        return build_detector(name).eval()


@pytest.mark.parametrize("key", KEYS)
def test_an_entry_lists_its_variants_where_they_can_be_read_without_torch(key):
    written = catalog.load(CATALOGUE, key, "VARIANTS")
    assert catalog.variants(CATALOGUE, key) == tuple(written)
    assert all(isinstance(variant, Variant) for variant in written.values())


@pytest.mark.parametrize("key", KEYS)
def test_an_entry_says_where_it_comes_from_and_how_it_differs(key):
    text = catalog.docstring(CATALOGUE, key)
    assert "Source: " in text
    assert "Differs from" in text
    for variant in catalog.variants(CATALOGUE, key):
        assert len(variant_of(f"{key}-{variant}").source) > 20


@pytest.mark.parametrize("name", NAMES)
def test_declared_counts_are_those_of_the_code(name):
    network, declared = meta(name), variant_of(name)
    assert parameters(network) == declared.parameters
    assert flops(network) == declared.flops


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(640, 640), (33, 47)])
def test_there_is_an_answer_for_each_anchor(name, size):
    network, declared = meta(name), variant_of(name)
    outputs = network(torch.empty(2, 3, *size, device="meta"))
    places = [rows * columns for _, rows, columns in outputs.levels]
    sizes = [(math.ceil(size[0] / s), math.ceil(size[1] / s)) for s, _, _ in outputs.levels]
    assert [(rows, columns) for _, rows, columns in outputs.levels] == sizes
    count = outputs.scores.shape[1]
    assert count % sum(places) == 0
    if size == (640, 640):
        assert count == declared.anchors
    assert outputs.scores.shape == (2, count)
    boxes, scores, points = network.decode(outputs)
    assert boxes.shape == (2, count, 4)
    assert scores.shape == (2, count)
    assert (points is not None) == declared.points
    assert points is None or points.shape == (2, count, 5, 2)


# --- SCRFD's published columns ------------------------------------------------------------

PUBLISHED = {
    "0.5g": ("0.57", "0.508"),
    "1g": ("0.64", None),
    "2.5g": ("0.67", "2.53"),
    "10g": ("3.86", "9.98"),
    "34g": ("9.80", "34.13"),
    "2.5g-kps": ("0.82", None),
    "10g-kps": ("4.23", None),
    "resnet-2.5g": ("1.62", "2.57"),
    "resnet-10g": ("6.85", "10.18"),
    "mobilenet-0.5g": ("0.37", "0.507"),
    "resnet-34g": ("24.81", None),
}
"""Left out: FLOPs of resnet-34g (34.16 printed, 37.07 as configured); 0.5g-kps, whose row repeats
the 0.57 of 0.5g; and "1G" and the like, which are names."""
EXACT = {
    "0.5g": (0.573, 0.5087),
    "1g": (0.636, 0.9823),
    "2.5g": (0.672, 2.5306),
    "10g": (3.860, 9.9821),
    "34g": (9.803, 34.1359),
    "0.5g-kps": (0.63141, None),
    "2.5g-kps": (0.820, 2.6049),
    "10g-kps": (4.230, 10.0760),
    "resnet-2.5g": (1.625, 2.5743),
    "resnet-10g": (6.851, 10.1828),
    "mobilenet-0.5g": (0.379, 0.5070),
    "resnet-34g": (24.814, 37.07),
}
"""Millions of parameters and GFLOPs as another count of the released configurations has them."""


def last_digit(printed):
    return 10.0 ** -len(printed.partition(".")[2])


@pytest.mark.parametrize("variant", PUBLISHED)
def test_columns_are_the_published_ones_to_one_unit_of_the_last_digit(variant):
    declared = VARIANTS[variant]
    for value, printed in zip(
        (declared.parameters / 1e6, declared.flops / 1e9), PUBLISHED[variant], strict=True
    ):
        if printed is not None:
            assert abs(value - float(printed)) < last_digit(printed)


@pytest.mark.parametrize("variant", EXACT)
def test_columns_are_those_of_the_independent_count(variant):
    declared = VARIANTS[variant]
    for value, counted in zip(
        (declared.parameters / 1e6, declared.flops / 1e9), EXACT[variant], strict=True
    ):
        digits = len(str(counted).partition(".")[2])
        assert counted is None or round(value, digits) == counted


def shares(variant):
    parts = macs_by_part(meta(f"scrfd-{variant}"))
    return {part: 100 * macs / sum(parts.values()) for part, macs in parts.items()}


def test_the_search_moved_computation_to_where_small_faces_are_seen():
    """Shares of the multiply-adds, in percent, as computed from the released configurations."""
    before, after = shares("resnet-2.5g"), shares("2.5g")
    wanted = {
        "backbone.stem": (5.8, 12.9),
        "backbone.stages.0": (10.4, 23.9),
        "backbone.stages.1": (13.1, 38.1),
        "backbone.stages.2": (20.0, 6.1),
        "backbone.stages.3": (9.6, 2.5),
        "neck": (8.1, 2.2),
        "head": (32.9, 14.2),
    }
    assert before.keys() == after.keys() == wanted.keys()
    for part, pair in wanted.items():
        np.testing.assert_allclose((before[part], after[part]), pair, atol=0.1)
    for part in ("backbone.stem", "backbone.stages.0", "backbone.stages.1"):
        assert after[part] > before[part]


def test_a_vga_picture_has_as_many_anchors_as_published():
    outputs = meta("scrfd-0.5g")(torch.empty(1, 3, 480, 640, device="meta"))
    assert outputs.scores.shape == (1, 12_600)


def test_forms_with_points_are_the_others_with_a_head_for_each_level():
    for name, layout in LAYOUTS.items():
        if name.endswith("-kps"):
            plain = LAYOUTS[name.removesuffix("-kps")]
            assert (layout.blocks, layout.widths, layout.head) == (
                plain.blocks,
                plain.widths,
                plain.head,
            )
            assert layout.groups is None
        assert layout.points == name.endswith("-kps")
