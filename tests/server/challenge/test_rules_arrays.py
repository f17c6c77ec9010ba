"""Rules of what a model stores, takes and gives, at their edges."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tiny_models import honest
from tronie.runtime.graph_survey import Port, StoredArray, survey
from tronie.runtime.session import TensorSpec
from tronie.server.challenge.rules_arrays import (
    MOST_WHOLE_NUMBERS,
    port_checks,
    size_checks,
    weight_checks,
)
from tronie.server.challenge.track import Column, Limits, Track

GOOD = survey(honest())


def array(element="FLOAT", *, owner="initializer", shape=(4,), damaged=False):
    return StoredArray(
        name="a", owner=owner, element=element, shape=shape, size_bytes=16, damaged=damaged
    )


def broken(checks):
    return {c.rule: c.reason for c in checks if not c.passed}


@pytest.mark.parametrize("element", ["FLOAT", "INT64", "INT32", "BOOL"])
@pytest.mark.parametrize("owner", ["initializer", "Constant"])
def test_weights_and_places_may_be_stored(element, owner):
    assert broken(weight_checks(replace(GOOD, stored=(array(element, owner=owner),)))) == {}


@pytest.mark.parametrize(
    "element", ["FLOAT16", "BFLOAT16", "DOUBLE", "INT8", "UINT8", "STRING", "INT4", "type 99"]
)
@pytest.mark.parametrize(
    ("owner", "rule", "where"),
    [
        ("initializer", "weights.float32", ""),
        ("Constant", "weights.constants", " in Constant"),
        ("If", "weights.constants", " in If"),
    ],
)
def test_other_types_are_refused_wherever_they_are(element, owner, rule, where):
    found = broken(weight_checks(replace(GOOD, stored=(array(element, owner=owner),))))
    assert list(found) == [rule]
    assert f"'a' ({element}{where}) is not" in found[rule]


def test_the_first_is_named_and_the_others_are_counted():
    found = broken(weight_checks(replace(GOOD, stored=(array("INT8"),) * 3)))
    assert "'a' (INT8) and 2 more are not" in found["weights.float32"]


@pytest.mark.parametrize("kind", ["FLOAT16", "BFLOAT16", "DOUBLE", "INT8", "UINT8", "STRING"])
def test_casts_to_other_types_are_refused(kind):
    assert list(broken(weight_checks(replace(GOOD, casts=("FLOAT", kind))))) == ["weights.casts"]


def test_casts_to_places_are_not():
    assert broken(weight_checks(replace(GOOD, casts=("FLOAT", "INT64", "INT32", "BOOL")))) == {}


def test_whole_numbers_are_counted_together():
    half = array("INT64", shape=(MOST_WHOLE_NUMBERS // 2,))
    assert broken(weight_checks(replace(GOOD, stored=(half, half)))) == {}
    over = replace(GOOD, stored=(half, half, array("BOOL", shape=())))
    assert list(broken(weight_checks(over))) == ["weights.whole_numbers"]


def test_damage_is_told_of_types_that_are_read():
    found = broken(weight_checks(replace(GOOD, stored=(array(damaged=True),))))
    assert list(found) == ["weights.damaged"]


def test_sizes_of_file_and_weights_are_two_limits():
    track = Track(
        title="T",
        summary="S",
        rules=(),
        protocol="lfw-all",
        takes="model",
        limits=Limits(upload_bytes=2**30, model_bytes=GOOD.weight_bytes),
        columns=(Column(key="score", title="Score"),),
    )
    assert broken(size_checks(GOOD, track, GOOD.weight_bytes)) == {}
    assert list(broken(size_checks(GOOD, track, GOOD.weight_bytes + 1))) == ["limits.model_bytes"]
    heavier = replace(GOOD, list_bytes=GOOD.list_bytes + 1)
    assert list(broken(size_checks(heavier, track, 1))) == ["limits.weight_bytes"]
    free = replace(track, limits=Limits(upload_bytes=2**30))
    assert broken(size_checks(heavier, free, 2**40)) == {}


def port(axes, dtype="float32", *, is_tensor=True):
    shape = tuple(a if isinstance(a, int) else None for a in axes)
    return Port(spec=TensorSpec("x", dtype, shape), axes=axes, is_tensor=is_tensor)


def taking(*ports):
    return broken(port_checks(replace(GOOD, inputs=ports)))


@pytest.mark.parametrize("batch", ["N", None])
def test_a_free_batch_may_have_a_name(batch):
    assert taking(port((batch, 3, 112, 112))) == {}


@pytest.mark.parametrize(
    ("axes", "rules"),
    [
        ((1, 3, 112, 112), {"input.batch"}),
        ((0, 3, 112, 112), {"input.batch"}),
        (("N", 3, 112), {"input.rank"}),
        ((), {"input.rank"}),
        (("N", 112, 112, 3), {"input.shape"}),
        (("N", 1, 112, 112), {"input.shape"}),
        (("N", 3, None, "W"), {"input.shape"}),
        ((1, 3, 112, 96), {"input.batch", "input.shape"}),
    ],
)
def test_other_axes_are_refused_by_the_rule_they_break(axes, rules):
    assert taking(port(axes)).keys() == rules


@pytest.mark.parametrize("dtype", ["float16", "float64", "uint8", "none"])
def test_other_types_are_refused_at_both_ends(dtype):
    assert taking(port(("N", 3, 112, 112), dtype)).keys() == {"input.type"}
    given = replace(GOOD, outputs=(port(("N", 16), dtype),))
    assert broken(port_checks(given)).keys() == {"output.type"}


def test_lists_and_maps_are_no_arrays():
    assert taking(port(("N", 3, 112, 112), is_tensor=False)).keys() == {"input.type"}


@pytest.mark.parametrize("count", [0, 2])
def test_there_is_one_input_and_one_output(count):
    one = port(("N", 3, 112, 112))
    assert taking(*[one] * count)["input.count"].endswith(f"it has {count}")
    given = replace(GOOD, outputs=(one,) * count)
    assert broken(port_checks(given)).keys() == {"output.count"}


def test_hostile_axes_are_escaped():
    (reason,) = taking(port(("N", 3, "\x1b[2J", 112))).values()
    assert reason.isascii()
    assert reason.isprintable()
