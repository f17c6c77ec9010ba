"""A row of FARs: probes against a gallery, and the headline of the Report."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import BadInput
from tronie.evaluation.pairs.far_row import probe_gallery_set, row_report
from tronie.evaluation.pairs.plan import make_plan
from tronie.evaluation.pairs.scores import NumpyScreen
from tronie.evaluation.pairs.sets import measure_sets, plan_sets
from tronie.geometry.hypersphere import normalize

RNG = np.random.default_rng(1)
PEOPLE = np.repeat(np.arange(30), 4)
UNIT = normalize(RNG.normal(size=(30, 12))[PEOPLE] + RNG.normal(size=(120, 12)))[0]


def test_without_sides_everybody_meets_everybody():
    asked = probe_gallery_set(None, fars=(1e-2, 1e-9, 1e-1, 1e-2))
    assert asked.fars == (1e-2, 1e-9, 1e-1)
    assert asked.group is None
    assert asked.against is None


def test_probes_meet_the_gallery():
    asked = probe_gallery_set(["probe", "gallery", "gallery"], fars=(0.1,))
    assert asked.group.tolist() == [True, False, False]
    assert asked.against.tolist() == [False, True, True]


@pytest.mark.parametrize("headline", [0.01, None])
def test_the_row_rises_and_the_headline_stands_first(headline, monkeypatch):
    asked = probe_gallery_set(None, fars=(0.01, 1e-9, 0.1, 0.5))
    monkeypatch.setattr(
        make_plan, "__kwdefaults__", {**make_plan.__kwdefaults__, "sample_pairs": 5000}
    )
    planned = plan_sets(UNIT, PEOPLE, [asked], screens=[NumpyScreen()], sampled_from=0.3)
    measured = measure_sets(UNIT, planned, labels=PEOPLE)
    told = row_report("row", "1", measured, headline=headline, provenance=None)
    names = ["tar_at_far_0.01", "tar_at_far_0.1", "tar_at_far_0.5"]
    assert list(told.values) == (["score"] if headline else []) + names
    if headline:
        assert told.values["score"] == told.values["tar_at_far_0.01"]
    assert any("left out, below one in 6960 impostor pairs: 1e-09" in n for n in told.notes)
    assert any("FAR 0.5: estimated from 5000 impostor pairs" in n for n in told.notes)


def test_strange_sides_are_refused_by_line():
    with pytest.raises(BadInput, match="line 3 of META has the side 'prob'; it is probe or gall"):
        probe_gallery_set(["probe", "prob"], fars=(0.1,))
    with pytest.raises(BadInput, match="META has 2 probes and 0 gallery rows; it needs both"):
        probe_gallery_set(["probe", "probe"], fars=(0.1,))
