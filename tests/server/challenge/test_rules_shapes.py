"""Cost, memory and output by shapes, at their limits; tricks are in `hostile_models`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hostile_models import HOSTILE
from tiny_models import NETWORKS, honest
from tronie.runtime.flops import graph_cost
from tronie.server.challenge import rules_shapes
from tronie.server.challenge.rules_shapes import shape_checks
from tronie.server.challenge.track import Column, Limits, Track

LIMITS = Limits(upload_bytes=2**30, dimension=16)
TRACK = Track(
    title="T",
    summary="S",
    rules=(),
    protocol="lfw-all",
    takes="model",
    limits=LIMITS,
    columns=(Column(key="score", title="Score"),),
)


def limited(**limits):
    return replace(TRACK, limits=replace(LIMITS, **limits))


def broken(model, track=TRACK):
    return {c.rule: c.reason for c in shape_checks(model, track).checks if not c.passed}


@pytest.mark.parametrize("kind", NETWORKS)
def test_honest_networks_break_nothing_and_their_cost_is_told(kind):
    model = NETWORKS[kind]()
    found = shape_checks(model, TRACK)
    cost = graph_cost(model)
    assert all(c.passed for c in found.checks)
    assert found.dimension == found.facts["dimension"] == 16
    assert found.facts["flops_lfr"] == cost.flops_lfr
    assert found.facts["parameters"] == cost.parameters
    assert sum(o["flops_lfr"] for o in found.facts["operators"]) == cost.flops_lfr
    assert [type(o["count"]) for o in found.facts["operators"]][:1] == [int]


def test_flops_are_allowed_up_to_the_limit():
    flops = graph_cost(honest()).flops_lfr
    assert broken(honest(), limited(flops_lfr=flops)) == {}
    found = broken(honest(), limited(flops_lfr=flops - 1))
    assert list(found) == ["limits.flops"]
    assert "the dearest is Conv 'Conv_0'" in found["limits.flops"]


def test_norms_and_slopes_are_free_up_to_a_tenth_of_the_limit(monkeypatch):
    """2,352 numbers pass a norm or a slope; with a tenth free, 23,520 FLOPs carry them."""
    model = honest()
    flops = graph_cost(model).flops_lfr
    assert broken(model, limited(flops_lfr=flops)) == {}
    monkeypatch.setattr(rules_shapes, "FREE_SHARE", 0.0)
    found = broken(model, limited(flops_lfr=flops + 2351))
    assert list(found) == ["limits.unseen_flops"]
    assert broken(model, limited(flops_lfr=flops + 2352)) == {}


def test_without_a_limit_nothing_is_unseen():
    rules = {c.rule for c in shape_checks(HOSTILE["layer by einsum"].make(), TRACK).checks}
    assert "limits.unseen_flops" not in rules
    assert "limits.flops" in rules


def test_memory_is_allowed_up_to_the_limit(monkeypatch):
    memory = shape_checks(honest(), TRACK).facts["activation_bytes"]
    monkeypatch.setattr(rules_shapes, "MOST_MEMORY", memory)
    assert broken(honest()) == {}
    monkeypatch.setattr(rules_shapes, "MOST_MEMORY", memory - 1)
    assert list(broken(honest())) == ["limits.activations"]


def test_dimensions_are_allowed_up_to_the_limit():
    assert broken(honest(dimension=16)) == {}
    assert list(broken(honest(dimension=17))) == ["limits.dimension"]


def test_a_graph_whose_shapes_are_not_told_is_judged_no_further():
    found = shape_checks(HOSTILE["shapes that do not fit"].make(), TRACK)
    assert [c.rule for c in found.checks] == ["graph.shapes"]
    assert (found.dimension, dict(found.facts)) == (None, {})


def test_hostile_names_are_escaped():
    model = HOSTILE["mirror by a slice"].make()
    model.graph.node[0].name = "\x1b[2J\n" + "x" * 5000
    (reason,) = broken(model).values()
    assert reason.isascii()
    assert reason.isprintable()
    assert len(reason) < 500
