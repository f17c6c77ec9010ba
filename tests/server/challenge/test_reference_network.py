"""The factor of a machine is the measured time by the published one."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import NotFound
from tronie.runtime.iresnet_graph import iresnet_graph
from tronie.server.challenge.probe_crops import drawn_crops
from tronie.server.challenge.reference_network import calibration_factor
from tronie.server.challenge.sandbox import Sandbox
from tronie.server.challenge.track import Reference

CROPS = drawn_crops(8)
REFERENCE = Reference(machine="GPU", network="iresnet-18", latency_ms=2.0)


def toy(network):
    graph = iresnet_graph(network, channels=(2, 2, 2, 2), dimension=2)
    return graph.SerializeToString()


def test_the_factor_is_the_median_by_the_published_time():
    opened = []

    class Clocked:
        def __init__(self, model, *, name):
            opened.append((model, name))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            opened.append("closed")

        def latencies_ms(self, pixels, *, batch=1, rounds, warmup):
            assert pixels.shape == (8, 3, 112, 112)
            return np.linspace(3.0, 9.0, rounds)

    factor = calibration_factor(REFERENCE, CROPS, open_sandbox=Clocked, build=toy)
    assert factor == 3.0
    assert opened == [(toy("iresnet-18"), "iresnet-18"), "closed"]


def test_it_is_measured_in_a_sandbox():
    factor = calibration_factor(REFERENCE, CROPS, open_sandbox=Sandbox, build=toy)
    assert 0.001 < factor < 1000


def test_a_network_that_cannot_be_made_is_our_fault():
    other = Reference(machine="GPU", network="vit-b", latency_ms=2.0)
    with pytest.raises(NotFound, match="no graph of 'vit-b' can be made here"):
        calibration_factor(other, CROPS, open_sandbox=Sandbox)
