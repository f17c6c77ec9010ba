"""Rules of a file's form and operators at their edges; each broken one is in `hostile_models`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from onnx import defs, helper

from tiny_models import NETWORKS, honest
from tronie.runtime.batch_axis import OPERATORS
from tronie.runtime.graph_survey import survey
from tronie.server.challenge import rules_graph as rules
from tronie.server.challenge.rules_graph import static_checks
from tronie.server.challenge.track import Column, Limits, Track

TRACK = Track(
    title="T",
    summary="S",
    rules=(),
    protocol="lfw-all",
    takes="model",
    limits=Limits(upload_bytes=2**30, model_bytes=2**20),
    columns=(Column(key="score", title="Score"),),
)


def checks(found, track=TRACK, size_bytes=1000):
    return {c.rule: c for c in static_checks(found, track, size_bytes=size_bytes)}


def broken(found, **options):
    return {rule for rule, check in checks(found, **options).items() if not check.passed}


def changed(**values):
    return replace(survey(honest()), **values)


@pytest.mark.parametrize("kind", NETWORKS)
def test_honest_networks_break_nothing(kind):
    assert broken(survey(NETWORKS[kind]())) == set()


def test_every_check_has_its_own_name_and_a_sentence():
    made = static_checks(survey(honest()), TRACK, size_bytes=1000)
    assert len({c.rule for c in made}) == len(made) > 30
    assert all(c.reason and "." in c.rule for c in made)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"nodes": rules.LEAST_NODES}, None),
        ({"nodes": rules.LEAST_NODES - 1}, "graph.least_nodes"),
        ({"nodes": rules.MOST_NODES}, None),
        ({"nodes": rules.MOST_NODES + 1}, "graph.most_nodes"),
        ({"longest_path": rules.LONGEST_PATH}, None),
        ({"longest_path": rules.LONGEST_PATH + 1}, "graph.depth"),
        ({"opsets": (("", rules.LEAST_OPSET),)}, None),
        ({"opsets": (("", rules.LEAST_OPSET - 1),)}, "graph.opset"),
        ({"opsets": (("", rules.MOST_OPSET),)}, None),
        ({"opsets": (("", rules.MOST_OPSET + 1),)}, "graph.opset"),
        ({"ir_version": rules.MOST_IR + 1}, "graph.ir_version"),
        ({"ir_version": rules.LEAST_IR - 1}, "graph.ir_version"),
        ({"note_bytes": rules.MOST_NOTE_BYTES}, None),
        ({"note_bytes": rules.MOST_NOTE_BYTES + 1}, "graph.notes"),
        ({"notes": rules.MOST_NOTES + 1}, "graph.notes"),
        ({"has_training": True}, "graph.training_info"),
        ({"faults": ("a reads 'b'",)}, "graph.structure"),
        ({"strange_names": ("'\\n'",)}, "graph.names"),
        ({"training": ("Dropout",)}, "graph.training_mode"),
        ({"functions": ("a.b",)}, "graph.functions"),
        ({"subgraph_owners": ("Conv",)}, "graph.control_flow"),
        ({"unknown": ("Gelu",)}, "graph.opset_operators"),
    ],
)
def test_a_bound_is_kept_at_it_and_broken_beyond(values, rule):
    assert broken(changed(**values)) == ({rule} if rule else set())


SETS = {
    "graph.control_flow": rules.CONTROL_FLOW,
    "graph.random": rules.RANDOM,
    "graph.sequences": rules.SEQUENCES,
    "weights.quantized": rules.QUANTIZED,
    "graph.resampling": rules.RESAMPLERS,
    "graph.uncounted": rules.UNCOUNTED,
}


@pytest.mark.parametrize(
    ("rule", "kind"), [(r, k) for r, kinds in SETS.items() for k in sorted(kinds)]
)
def test_a_banned_operator_is_refused_by_the_rule_that_says_why(rule, kind):
    found = changed(operators={("", "Conv"): 1, ("", kind): 2})
    assert broken(found) == {rule}
    assert kind in checks(found)[rule].reason


def test_no_banned_operator_is_on_the_list():
    assert not any(OPERATORS.keys() & kinds for kinds in SETS.values())


def test_onnx_has_every_operator_of_the_lists():
    known = {schema.name for schema in defs.get_all_schemas_with_history()}
    newer = {"Swish", "RMSNormalization", "Attention", "CenterCropPad", "Col2Im"}
    assert OPERATORS.keys() | set().union(*SETS.values()) <= known | newer


def test_a_track_may_allow_branches():
    found = changed(operators={("", "If"): 1}, subgraph_owners=("If",))
    assert broken(found) == {"graph.control_flow"}
    assert broken(found, track=replace(TRACK, subgraphs=True)) == set()


def test_other_domains_and_other_spellings():
    assert broken(changed(operators={("com.microsoft", "Gelu"): 1})) == {"graph.domains"}
    model = honest()
    model.opset_import[0].domain = "ai.onnx"
    assert broken(survey(model)) == set()


def test_names_of_a_stranger_are_escaped_in_every_sentence():
    model = honest()
    model.graph.node.append(helper.make_node("\x1b[2J", ["no\nwhere"], ["z"], domain="\u202e"))
    model.functions.add(name="\x00", domain="d")
    told = [c.reason for c in static_checks(survey(model), TRACK, size_bytes=1)]
    assert all(reason.isascii() and reason.isprintable() for reason in told)
