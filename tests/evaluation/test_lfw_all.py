"""LFW, all pairs: the row of FARs."""

from __future__ import annotations

import numpy as np

from tronie.evaluation.pairs.scores import NumpyScreen
from tronie.evaluation.pairs.sets import measure_sets, plan_sets
from tronie.evaluation.protocols import lfw_all
from tronie.geometry.hypersphere import normalize


def test_the_report_has_a_tar_for_each_far_that_is_possible():
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(40), 4)
    unit = normalize(rng.normal(size=(40, 8))[people] + rng.normal(size=(160, 8)))[0]
    planned = plan_sets(unit, people, lfw_all.pair_sets(), screens=[NumpyScreen()])
    told = lfw_all.PROTOCOL.score(measure_sets(unit, planned, labels=people))
    assert list(told.values) == ["tar_at_far_0.0001", "tar_at_far_0.001"]
    assert "left out, below one in 12480 impostor pairs: 1e-05, 1e-06" in told.notes
