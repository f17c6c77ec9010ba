"""The plan of a head's memory, against the example of the field's slides and by hand."""

from __future__ import annotations

import pytest

from tronie.lab.nn.head_memory import memory_plan

pytestmark = pytest.mark.lab


def test_a_million_classes_on_eight_ranks_are_the_slides_256_megabytes_each():
    """512 x 10^6 x 4 bytes of centers and of scores at 8 x 64 rows, an eighth on each rank."""
    plan = memory_plan(
        classes=125_000, width=512, taken=None, columns=125_000, rows=512, dimension=512
    )
    assert plan["centers"] * 8 == 2_048_000_000
    assert plan["logits"] // 4 * 8 == 2_048_000_000
    assert plan["sampled"] == plan["centers"]  # their gradient


def test_a_sample_needs_its_rows_and_their_gradient():
    plan = memory_plan(classes=100, width=6, taken=10, columns=10, rows=4, dimension=6)
    assert plan == {
        "centers": 100 * 6 * 4,
        "state": 100 * 6 * 4 + 100 * 8,
        "sampled": 2 * 10 * 6 * 4,
        "logits": 4 * 4 * 10 * 4,
        "gathered": 4 * (6 * 6 * 4 + 8),
    }
