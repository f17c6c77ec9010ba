"""lfr19-image: the FARs asked for, and the headline on a small world."""

from __future__ import annotations

import numpy as np

from tronie.evaluation.pairs.scores import NumpyScreen
from tronie.evaluation.pairs.sets import measure_sets, plan_sets
from tronie.evaluation.protocols import lfr19_image
from tronie.geometry.hypersphere import normalize


def test_the_row_runs_from_1e11_to_a_tenth_with_the_headline_first():
    sides = ["probe", "gallery"]
    (asked,) = lfr19_image.pair_sets(sides)
    assert asked.fars[0] == lfr19_image.HEADLINE == 1e-8
    assert sorted(asked.fars) == [float(f"1e-{n}") for n in range(11, 0, -1)]


def test_the_score_is_the_headline(monkeypatch):
    monkeypatch.setattr(lfr19_image, "HEADLINE", 0.01)
    monkeypatch.setattr(lfr19_image, "ROW", (1e-4, 1e-3, 1e-2, 1e-1))
    rng = np.random.default_rng(0)
    people = np.append(np.repeat(np.arange(20), 4), [-1] * 10)
    unit = normalize(rng.normal(size=(21, 8))[people] + rng.normal(size=(90, 8)))[0]
    sides = ["probe" if n % 2 else "gallery" for n in range(90)]
    planned = plan_sets(unit, people, lfr19_image.pair_sets(sides), screens=[NumpyScreen()])
    told = lfr19_image.PROTOCOL.score(measure_sets(unit, planned, labels=people))
    assert told.name == "lfr19-image"
    assert told.values["score"] == told.values["tar_at_far_0.01"]
    assert "tar_at_far_0.0001" not in told.values  # 1,940 pairs
