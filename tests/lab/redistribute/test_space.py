"""What is drawn: within its ranges and its budget, the same each time, and nothing twice."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import NotEnoughData  # noqa: E402 - only where torch is
from tronie.lab.nn.detector_cost import flops  # noqa: E402
from tronie.lab.nn.detectors.scrfd import LAYOUTS, Scrfd  # noqa: E402
from tronie.lab.nn.scrfd_layout import layout_fault, stem_widths  # noqa: E402
from tronie.lab.training.redistribute.budget import BACKBONE, flops_by_part  # noqa: E402
from tronie.lab.training.redistribute.space import (  # noqa: E402
    Budget,
    backbones,
    candidate,
    candidates,
    networks,
)

pytestmark = pytest.mark.lab
torch.set_num_threads(1)

SMALL = Budget(flops=0.5e9, tolerance=0.02, ratio_tolerance=0.1)
LARGE = replace(SMALL, flops=2.5e9)


def first_step(count=8, *, seed=0, budget=SMALL, template="mobilenet-0.5g", blocks=("depthwise",)):
    draw = backbones(LAYOUTS[template], blocks)
    return list(candidates(draw, budget, seed=seed, step=1, numbers=range(count)))


def second_step(template, count=8, *, seed=0, budget=SMALL, known=()):
    draw = networks(template)
    return list(
        candidates(
            draw,
            budget,
            seed=seed,
            step=2,
            numbers=range(count),
            known=known,
            template=template,
        )
    )


@pytest.mark.parametrize(
    ("budget", "template", "blocks"),
    [
        (SMALL, "mobilenet-0.5g", ("depthwise",)),
        (LARGE, "resnet-2.5g", ("basic", "bottleneck")),
    ],
)
def test_backbones_meet_the_budget_and_keep_to_their_ranges(budget, template, blocks):
    start = LAYOUTS[template]
    found = first_step(12, budget=budget, template=template, blocks=blocks)
    assert {layout.block for layout in found} == set(blocks)
    for layout in found:
        assert not layout_fault(layout)
        assert abs(sum(flops_by_part(layout).values()) / budget.flops - 1) <= 0.02
        assert all(1 <= count <= 10 for count in layout.blocks)
        assert len(layout.widths) == 4 + stem_widths(layout.block)
        assert 8 <= layout.widths[0] <= 64
        for before, after in zip(layout.widths, layout.widths[1:], strict=False):
            assert after % 8 == 0
            assert before <= after < 4 * (before + 8)
        assert (layout.neck, layout.head, layout.depth) == (start.neck, start.head, start.depth)


def test_the_budget_is_that_of_the_counter():
    with torch.device("meta"):
        costs = [flops(Scrfd(layout)) for layout in first_step(2)]
    assert all(abs(cost / 0.5e9 - 1) <= 0.02 for cost in costs)


@pytest.mark.parametrize(
    ("template", "budget"), [("0.5g", SMALL), ("2.5g", LARGE), ("mobilenet-0.5g", SMALL)]
)
def test_networks_keep_what_each_stage_costs_beside_the_stem(template, budget):
    start = LAYOUTS[template]
    wanted = flops_by_part(start)
    for layout in second_step(start, budget=budget):
        cost = flops_by_part(layout)
        assert not layout_fault(layout)
        assert abs(sum(cost.values()) / budget.flops - 1) <= 0.02
        for stage in BACKBONE[1:]:
            ratio = cost[stage] / cost["stem"] / (wanted[stage] / wanted["stem"])
            assert 0.9 <= ratio <= 1.1
        assert layout.block == start.block
        assert 8 <= layout.neck <= 128
        assert 8 <= layout.head <= 256
        assert 1 <= layout.depth <= 4


def test_the_same_seed_draws_the_same_and_another_others():
    assert first_step() == first_step()
    assert not set(first_step()) & set(first_step(seed=1))


def test_a_candidate_does_not_depend_on_how_many_are_drawn():
    assert first_step(8)[:3] == first_step(3)
    draw = backbones(LAYOUTS["mobilenet-0.5g"], ("depthwise",))
    again = candidates(draw, SMALL, seed=0, step=1, numbers=range(3, 8), known=first_step(3))
    assert list(again) == first_step(8)[3:]


def test_steps_and_numbers_have_draws_of_their_own():
    draw = backbones(LAYOUTS["mobilenet-0.5g"], ("depthwise",))
    found = {candidate(draw, SMALL, address=(0, step, n)) for step in (1, 2) for n in (0, 1)}
    assert len(found) == 4


def test_nothing_is_drawn_that_is_known():
    start = LAYOUTS["mobilenet-0.5g"]
    before = second_step(start)
    assert len(set(before)) == len(before)
    assert not set(second_step(start, known=before)) & set(before)


def test_a_budget_that_nothing_meets_is_refused_with_how_many_were_drawn():
    draw = backbones(LAYOUTS["mobilenet-0.5g"], ("basic",))
    with pytest.raises(
        NotEnoughData,
        match=r"of 16384 layouts that were drawn none new costs 0.5 GFLOPs within 2%. Change flops",
    ):
        candidate(draw, SMALL, address=(0, 1, 0), most=10_000)


def test_a_space_that_is_used_up_says_what_was_drawn_again():
    start = LAYOUTS["2.5g"]
    tight = replace(LARGE, tolerance=0.001, ratio_tolerance=0.01)

    def draw(rng):
        layouts = networks(start)(rng)
        narrow = {name: np.minimum(getattr(layouts, name), 8) for name in ("neck", "head")}
        return replace(layouts, **narrow, depth=layouts.depth * 0 + 1)

    one = replace(start, neck=8, head=8, depth=1, groups=8)
    tight = replace(tight, flops=float(sum(flops_by_part(one).values())))
    found = candidate(draw, tight, address=(0, 2, 0), template=start)
    assert found == one
    with pytest.raises(NotEnoughData, match=r"none new costs .*; \d+ of them were drawn before"):
        candidate(draw, tight, address=(0, 2, 0), template=start, known=[one], most=10_000)


def test_what_was_found_before_the_space_is_used_up_stands():
    draw = backbones(LAYOUTS["mobilenet-0.5g"], ("depthwise",))
    drawing = candidates(draw, SMALL, seed=0, step=1, numbers=range(4))
    assert len(list(islice(drawing, 2))) == 2


def test_nothing_is_drawn_that_is_too_wide_to_be_built():
    budget = replace(SMALL, flops=34e9)
    drawn = first_step(24, budget=budget)
    assert not any(layout_fault(layout) for layout in drawn)
