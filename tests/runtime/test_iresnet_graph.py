"""The graph that machines are timed with is an IResNet: its cost is the published network's."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import NotFound
from tronie.runtime.flops import graph_cost
from tronie.runtime.graph_survey import survey
from tronie.runtime.iresnet_graph import UNITS, iresnet_graph
from tronie.runtime.session import EngineOptions, session_of

TOY = (4, 4, 8, 8)


@pytest.mark.slow
def test_iresnet_18_costs_what_the_network_does():
    """FLOPs and multiply-adds are those that `tronie list backbones` states for it."""
    model = iresnet_graph("iresnet-18")
    cost = graph_cost(model)
    assert cost.flops_lfr == 5_216_096_256
    assert cost.macs == 2_609_954_816
    convolutions = 3 * 64 * 9 + 64 * 64 * 9 * 4 + 64 * 64
    for inner, outer in ((64, 128), (128, 256), (256, 512)):
        convolutions += inner * outer * 9 + outer * outer * 9 * 3 + inner * outer
    assert sum(a.numbers for a in survey(model).stored if len(a.shape) == 4) == convolutions


@pytest.mark.parametrize("network", UNITS)
def test_each_has_its_convolutions(network):
    """One in the stem, two a unit, one where a stage begins, one layer at the end."""
    found = survey(iresnet_graph(network, channels=TOY, dimension=4))
    assert found.operators["", "Conv"] == 1 + 2 * sum(UNITS[network]) + 4
    assert found.operators["", "Gemm"] == 1


def test_a_toy_runs_and_answers_are_the_same_each_time():
    model = iresnet_graph("iresnet-18", channels=TOY, dimension=4)
    assert model == iresnet_graph("iresnet-18", channels=TOY, dimension=4)
    assert model != iresnet_graph("iresnet-18", channels=TOY, dimension=4, seed=1)
    session = session_of(model, EngineOptions(threads=1), name="toy")
    pixels = np.random.default_rng(0).uniform(-1, 1, (3, 3, 112, 112)).astype(np.float32)
    (rows,) = session.run(pixels)
    assert rows.shape == (3, 4)
    assert np.isfinite(rows).all()
    assert 0.01 < np.abs(rows).mean() < 100  # the scale of what comes in is kept


def test_another_network_is_not_there():
    with pytest.raises(NotFound, match="no graph of 'vit-b' can be made here; there is iresnet-18"):
        iresnet_graph("vit-b")
