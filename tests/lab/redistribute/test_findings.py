"""What a search has found, from planted scores."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from toy_redistribution import PLANTED, planted_score, toy_search
from tronie.lab.nn.scrfd_layout import spelled_out
from tronie.lab.training.redistribute.findings import best_of, findings
from tronie.lab.training.redistribute.recipe import template_layout
from tronie.lab.training.redistribute.search_folder import Candidate, Result
from tronie.lab.training.redistribute.space import backbones, candidates, networks

pytestmark = pytest.mark.lab


def judged(count, *, step=1, score=planted_score):
    recipe = toy_search()
    template = template_layout(recipe)
    draw = backbones(template, recipe.blocks) if step == 1 else networks(template)
    drawn = candidates(draw, recipe.budget, seed=0, step=step, numbers=range(count))
    found = []
    for number, layout in enumerate(drawn):
        detector = f"scrfd-{spelled_out(layout)}"
        candidate = Candidate(step=step, number=number, detector=detector)
        result = Result(
            detector=detector,
            score=score(detector),
            validation={},
            parameters=1,
            steps=1,
            seconds=1.0,
        )
        found.append((candidate, result))
    return found


def test_the_planted_share_is_found_and_no_other_is_narrower():
    found = findings(judged(40), draws=2000, seed=0)
    assert [(one.step, one.part) for one in found] == [
        (1, part) for part in ("stem", "C2", "C3", "C4", "C5")
    ]
    best = {one.part: one.best for one in found}
    assert best["C2"].low - 0.02 <= PLANTED <= best["C2"].high + 0.02
    assert best["C2"].high - best["C2"].low < best["C5"].high - best["C5"].low


def test_step_2_is_looked_at_by_backbone_neck_and_head_which_are_all_there_is():
    found = findings(judged(9, step=2), draws=200, seed=0)
    assert [one.part for one in found] == ["backbone", "neck", "head"]
    assert sum(one.shares for one in found) == pytest.approx(1)


def test_few_networks_have_no_range_and_none_have_no_finding():
    assert findings([], draws=200, seed=0) == ()
    assert {one.best for one in findings(judged(7), draws=200, seed=0)} == {None}


def test_the_best_is_the_first_of_those_with_the_highest_score():
    assert best_of([]) is None
    equal = judged(3, score=lambda detector: 0.5)
    assert best_of(equal) is equal[0]
