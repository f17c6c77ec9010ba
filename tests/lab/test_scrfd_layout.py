"""Names that spell a layout out: reading and writing are inverses, and faults are sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tronie.errors import BadInput
from tronie.lab.nn.scrfd_layout import (
    MOST_WIDTH,
    Layout,
    layout_fault,
    read_layout,
    spelled_out,
    stem_widths,
)

SMALL = Layout(
    block="basic", blocks=(3, 5, 3, 2), widths=(24, 48, 48, 80), neck=24, head=64, groups=16
)
DEPTHWISE = replace(
    SMALL, block="depthwise", blocks=(2, 3, 2, 6), widths=(16, 16, 40, 72, 152, 288), neck=16
)


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        (SMALL, "basic-3.5.3.2-24.48.48.80-n24-h64x2-gn16"),
        (DEPTHWISE, "depthwise-2.3.2.6-16.16.40.72.152.288-n16-h64x2-gn16"),
        (
            replace(SMALL, block="bottleneck", groups=None, points=True, depth=1),
            "bottleneck-3.5.3.2-24.48.48.80-n24-h64x1-bn-kps",
        ),
        (
            replace(SMALL, points=True, scaled=False),
            "basic-3.5.3.2-24.48.48.80-n24-h64x2-gn16-kps-unscaled",
        ),
        (replace(SMALL, scaled=False), "basic-3.5.3.2-24.48.48.80-n24-h64x2-gn16-unscaled"),
    ],
)
def test_a_layout_has_one_name_and_the_name_one_layout(layout, name):
    assert spelled_out(layout) == name
    assert read_layout(name) == layout


@pytest.mark.parametrize(
    "name",
    [
        "",
        "basic",
        "basic-3.5.3.2-24.48.48.80-n24-h64x2",
        "basic-3.5.3.2-24.48.48.80-n24-h64x2-gn16-kps-kps",
        "basic-3.5.3.2-24.48.48.80-n24-h64x2-gn16-unscaled-kps",
        "basic-03.5.3.2-24.48.48.80-n24-h64x2-gn16",
        "basic-3.5.3.-24.48.48.80-n24-h64x2-gn16",
        "basic-3.5.3.2-24.48.48.80-n24-h64x2-gn16 ",
        "Basic-3.5.3.2-24.48.48.80-n24-h64x2-gn16",
        "basic-3.5.3.2-24.48.48.-80-n24-h64x2-gn16",
        "mystic-3.5.3.2-24.48.48.80-n24-h64x2-gn16",
        "basic-3.5.3.2-24.48.48.9999999999-n24-h64x2-gn16",
    ],
)
def test_another_form_is_refused_with_the_form(name):
    with pytest.raises(BadInput, match=r"spells out no SCRFD; the form is BLOCK-BLOCKS-WIDTHS-nN"):
        read_layout(name)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("basic-3.5.3-24.48.48.80-n24-h64x2-gn16", "there are 4 stages, and it has blocks for 3"),
        ("basic-3.5.3.2-24.48.48-n24-h64x2-gn16", "basic takes 4 widths, and it has 3 in all"),
        (
            "depthwise-3.5.3.2-24.48.48.80-n24-h64x2-gn8",
            "depthwise takes 4 widths and two before them for the stem, and it has 4 in all",
        ),
        ("basic-3.0.3.2-24.48.48.80-n24-h64x2-gn16", "blocks of a stage are 1 to 64, and it has 0"),
        ("basic-3.99.3.2-24.48.48.80-n24-h64x2-gn16", "1 to 64, and it has 99"),
        ("basic-3.5.3.2-24.48.48.80-n0-h64x2-gn16", "channels of a map are 1 to 4096, and it has"),
        ("basic-3.5.3.2-24.48.48.5000-n8-h64x2-gn16", "1 to 4096, and it has 5000"),
        ("basic-3.5.3.2-1.48.48.80-n8-h64x2-gn16", "channels of a stem are 2 to 4096, and it has"),
        ("basic-3.5.3.2-24.48.48.80-n24-h64x0-gn16", "convolutions of the tower are 1 to 16"),
        (
            "basic-3.5.3.2-24.48.48.80-n24-h64x2-gn0",
            "64 channels of the tower cannot be cut into 0",
        ),
        ("basic-3.5.3.2-24.48.48.80-n24-h60x2-gn16", "60 channels of the tower cannot be cut into"),
        (
            "depthwise-2.3.2.6-16.16.40.72.152.288-n24-h64x2-gn16",
            "24 channels of the tower cannot be cut into 16 equal groups",
        ),
    ],
)
def test_a_layout_that_cannot_be_built_says_why(name, fault):
    with pytest.raises(BadInput, match=f"'{name}' cannot be built: .*{fault}"):
        read_layout(name)


def test_the_widest_has_no_fault():
    assert layout_fault(replace(SMALL, widths=(2, 2, 2, MOST_WIDTH))) == ""
    assert (stem_widths("basic"), stem_widths("depthwise")) == (0, 2)
