"""Groups and tables of a run over all pairs, against counting every pair by hand."""

from __future__ import annotations

import numpy as np
import pytest

import pairs_oracle
from tronie.errors import BadArray, BadInput
from tronie.evaluation.pairs.all_pairs import measure_pairs
from tronie.evaluation.pairs.details import by_label, details_of, groups_of, most_errors
from tronie.evaluation.pairs.pairing import counts_within, pairing
from tronie.evaluation.pairs.plan import make_plan
from tronie.evaluation.pairs.scores import NumpyScreen
from tronie.geometry.hypersphere import normalize

RNG = np.random.default_rng(5)
PEOPLE = np.append(np.repeat(np.arange(24), 4), [-1, -1, -1])
UNIT = normalize(RNG.normal(size=(25, 16))[PEOPLE] + 1.1 * RNG.normal(size=(99, 16)))[0]
GROUPS = np.where(PEOPLE < 8, "a", np.where(PEOPLE < 20, "b", ""))
LABELS = np.array([f"p{who}" for who in PEOPLE])


def measured(**sides):
    chosen = pairing(PEOPLE, **sides)
    plan = make_plan(UNIT, chosen, fars=(0.05, 0.01), screens=[NumpyScreen()], worst=5)
    return measure_pairs(UNIT, chosen, plan, worst=5, missed=4), chosen


@pytest.mark.parametrize("cross", [False, True])
def test_group_counts_are_those_of_a_loop(cross):
    half = np.arange(99) % 2 == 0
    sides = {"group": half, "against": ~half} if cross else {}
    result, chosen = measured(**sides)
    genuine, impostor = pairs_oracle.every_pair(UNIT, PEOPLE, **sides)
    for point, told in zip(result.points, groups_of(result, chosen, GROUPS), strict=True):
        assert (told.far, told.threshold) == (point.far, point.threshold)
        assert [rate.group for rate in told.rates] == ["a", "b"]
        for rate in told.rates:
            inside = [
                [s for s, i, j in pairs if GROUPS[i] == GROUPS[j] == rate.group]
                for pairs in (impostor, genuine)
            ]
            assert (rate.impostor_pairs, rate.genuine_pairs) == tuple(len(s) for s in inside)
            assert rate.false_matches == sum(s >= point.threshold for s in inside[0])
            assert rate.misses == sum(s < point.threshold for s in inside[1])


def test_pairs_within_some_rows_are_counted():
    chosen = pairing(PEOPLE, left_out=[(0, 1), (0, 30), (2, 96)])
    rows = PEOPLE < 10
    genuine, impostor = pairs_oracle.every_pair(
        UNIT, PEOPLE, group=rows, left_out=[(0, 1), (0, 30), (2, 96)]
    )
    assert counts_within(chosen, rows) == (len(impostor), len(genuine))
    assert counts_within(chosen, PEOPLE == -1) == (0, 0)


def test_details_hold_every_part_by_its_set():
    result, chosen = measured()
    told = details_of(result, chosen, LABELS, of="mask", groups=GROUPS)
    parts = (*told.points, *told.curves, *told.histograms, *told.groups, *told.pairs)
    assert {part.of for part in parts} == {"mask"}
    assert [pair.kind for pair in told.pairs] == ["impostor"] * 5 + ["genuine"] * 4
    first = result.worst[0]
    assert told.pairs[0].labels == (LABELS[first.first], LABELS[first.second])
    assert set(told.most_errors) <= {
        f"mask: {kind} at FAR {far}" for kind in ("false matches", "misses") for far in (0.05, 0.01)
    }


def test_labels_with_most_errors_come_first_and_none_without():
    labels = np.array(["x", "y", "x", "z"])
    assert by_label(labels, np.array([1, 5, 1, 0])) == [
        {"label": "y", "in_pairs": 5},
        {"label": "x", "in_pairs": 2},
    ]
    result, _ = measured()
    table = most_errors(result, LABELS)["false matches at FAR 0.05"]
    assert sum(row["in_pairs"] for row in table) <= 2 * result.points[0].false_matches


def test_groups_of_another_length_and_a_person_in_two_are_refused():
    result, chosen = measured()
    with pytest.raises(BadArray, match=r"got 99 rows and groups of shape \(98,\)"):
        groups_of(result, chosen, GROUPS[:-1])
    torn = GROUPS.copy()
    torn[2] = "b"
    with pytest.raises(BadInput, match=r"row 2 is in 'b' while another row .* is in 'a'"):
        groups_of(result, chosen, torn)
