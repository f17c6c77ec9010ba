"""IJB 1:1 on scores that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import BadArray, BadInput
from tronie.evaluation.protocols.ijb_verification import PROTOCOL

IMPOSTOR = np.arange(100) / 100  # 0.00 to 0.99
GENUINE = np.array([0.995, 0.985, 0.965, 0.5])
SCORES = np.concatenate([GENUINE, IMPOSTOR])
SAME = np.arange(104) < 4


def test_values_rest_on_the_conservative_threshold():
    report = PROTOCOL.score(SCORES, SAME, fars=[0.1, 0.01, 0.001], of="IJB-C")
    assert report.name == "ijb-verification"
    # One impostor pair in a hundred: 0.99. Above 0.98 are two genuine pairs.
    value = report.values["tar_at_far_0.01"]
    assert (value.value, value.count, value.total) == (0.5, 2, 4)
    assert report.values["tar_at_far_0.1"].count == 3
    assert "optimistic" in value.interval.method
    assert (report.values["genuine_pairs"].value, report.values["impostor_pairs"].value) == (4, 100)
    assert report.notes[0] == (
        "left out: FAR 0.001; 100 impostor pairs of IJB-C measure none below 0.01"
    )
    assert {p.of for p in report.details.points} == {"IJB-C"}
    assert all(p.few_errors for p in report.details.points)


def test_the_nearest_rule_stands_beside_with_its_own_far():
    """FAR 0.024 accepts two pairs; the ROC has corners at one and at three of them."""
    report = PROTOCOL.score(SCORES, SAME, fars=[0.024], beside="nearest")
    assert report.values["tar_at_far_0.024"].count == 2
    assert (report.details.points[0].false_matches, report.details.points[0].far) == (2, 0.024)
    assert report.values["far_nearest_0.024"].value == 0.03
    assert report.values["tar_nearest_0.024"].count == 3
    assert any("may be above" in note for note in report.notes)
    assert not any("nearest" in name for name in PROTOCOL.score(SCORES, SAME, fars=[0.1]).values)


def test_perfect_scores_are_all_accepted_and_the_order_of_pairs_does_not_matter():
    scores = np.where(SAME, SCORES + 1, SCORES)
    mixed = np.random.default_rng(0).permutation(104)
    one = PROTOCOL.score(scores, SAME, fars=[0.1])
    assert one.values["tar_at_far_0.1"].value == 1
    assert PROTOCOL.score(scores[mixed], SAME[mixed], fars=[0.1]) == one


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(BadArray, match=r"^each pair needs a score and true or false; got scores"):
        PROTOCOL.score(SCORES, SAME.astype(int))


def test_an_unknown_rule_is_refused():
    with pytest.raises(BadInput, match=r"^there is no rule 'sklearn' to report beside"):
        PROTOCOL.score(SCORES, SAME, beside="sklearn")
