"""Cards with hand-made numbers: no threshold without its rate, no rate lower than measured."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import pytest

from tronie.errors import BadFile, NotEnoughData
from tronie.evaluation.calibration import calibrate
from tronie.geometry.hypersphere import normalize
from tronie.runtime.calibration import DEFAULT_FMR, Threshold, read_calibration

# 1000 impostor pairs. The card knows two points by name, and six steps.
CARD = {
    "model": "toy",
    "model_sha256": "a" * 64,
    "detector": "toy-detector",
    "contract": "tronie-1-abc",
    "dataset": "hand-made set",
    "provenance": {"date": "2026-01-01"},
    "result": {
        "points": [
            {"far": 0.01, "threshold": 0.52, "fmr": 0.009, "false_matches": 9, "tar": 0.9},
            {"far": 0.1, "threshold": 0.31, "fmr": 0.1, "false_matches": 100, "tar": 0.95},
        ],
        "curve": [
            {"threshold": 0.0, "fmr": 0.7, "false_matches": 700, "exact": False},
            {"threshold": 0.1, "fmr": 0.5, "false_matches": 500, "exact": True},
            {"threshold": 0.3, "fmr": 0.1, "false_matches": 100, "exact": True},
            {"threshold": 0.5, "fmr": 0.01, "false_matches": 10, "exact": True},
            {"threshold": 0.7, "fmr": 0.001, "false_matches": 1, "exact": True},
            {"threshold": 0.8, "fmr": 0.0, "false_matches": 0, "exact": True},
        ],
        "photos": 50,
        "people": 20,
        "impostor_pairs": 1000,
        "genuine_pairs": 30,
    },
}


def written(tmp_path, told):
    file = tmp_path / "toy.calibration.json"
    file.write_text(told if isinstance(told, str) else json.dumps(told))
    return file


@pytest.fixture
def card(tmp_path):
    return read_calibration(written(tmp_path, CARD))


def test_a_rate_the_card_has_a_point_for_takes_that_point(card):
    found = card.at_fmr(0.01)
    assert (found.value, found.fmr, found.false_matches, found.tar) == (0.52, 0.009, 9, 0.9)
    assert found.impostor_pairs == 1000


def test_the_rate_is_read_as_the_number_it_prints_as(card):
    assert card.at_fmr(0.1 * (1 + 1e-15)).value == 0.31


@pytest.mark.parametrize(
    ("fmr", "value"),
    [(1.0, 0.1), (0.5, 0.1), (0.49, 0.3), (0.11, 0.3), (0.05, 0.5), (0.0011, 0.7), (0.001, 0.7)],
)
def test_between_points_the_lowest_threshold_that_keeps_the_rate_is_taken(card, fmr, value):
    """A bound that is not exact (threshold 0) is no measured threshold."""
    found = card.at_fmr(fmr)
    assert found.value == value
    assert found.fmr <= fmr


def test_no_rate_asked_for_is_ever_exceeded(card):
    for n in range(1, 1001):
        assert card.at_fmr(n / 1000).fmr <= n / 1000


@pytest.mark.parametrize("fmr", [0.0009, 0.0, -0.1, 1.1, math.nan])
def test_a_rate_that_so_few_pairs_cannot_show_is_refused(card, fmr):
    words = r"cannot be told from 1000 impostor pairs; ask for one between 1\.0e-03 and 1, or state"
    with pytest.raises(NotEnoughData, match=words):
        card.at_fmr(fmr)


def test_a_card_that_holds_no_step_so_low_says_so(tmp_path):
    told = copy.deepcopy(CARD)
    told["result"]["curve"] = told["result"]["curve"][:2]
    with pytest.raises(NotEnoughData, match=r"calibration of toy holds no threshold for FMR 0.05"):
        read_calibration(written(tmp_path, told)).at_fmr(0.05)


@pytest.mark.parametrize(
    ("score", "fmr"),
    [(-1.0, 1.0), (-0.01, 1.0), (0.0, 0.7), (0.09, 0.7), (0.1, 0.5), (0.29, 0.5), (0.3, 0.1),
     (0.69, 0.01), (0.7, 0.001), (0.79, 0.001), (0.8, 0.0), (1.0, 0.0)],
)  # fmt: skip
def test_the_rate_of_a_score_is_that_of_the_last_step_it_reaches(card, score, fmr):
    assert card.fmr_of(score) == fmr


def test_the_rate_of_a_score_never_rises_with_it(card):
    rates = [card.fmr_of(n / 100) for n in range(-100, 101)]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize(
    ("value", "fmr", "errors"), [(0.6, 0.01, 10), (-0.5, 1.0, 1000), (0.9, 0.0, 0)]
)
def test_a_threshold_that_the_user_states_keeps_its_value_and_gets_its_rate(
    card, value, fmr, errors
):
    found = card.stated(value)
    assert (found.value, found.fmr, found.false_matches) == (value, fmr, errors)
    assert found.source == card.source


@pytest.mark.parametrize(
    ("value", "bound"),
    [(-0.5, True), (0.0, True), (0.1, False), (0.2, True), (0.5, False), (0.9, False)],
)
def test_a_rate_that_was_not_counted_at_that_threshold_is_called_a_bound(card, value, bound):
    """Not at 0.0, whose step is not exact, nor between steps; none above the last is none."""
    found = card.stated(value)
    assert found.is_bound is bound
    assert found.to_dict().get("fmr_is_bound", False) is bound
    assert ("fmr_is_bound" in found.to_dict()) is bound


def test_a_card_tells_how_it_was_measured_where_it_says_so(card, tmp_path):
    assert card.settings == {}
    told = {**CARD, "settings": {"precision": "bfloat16"}}
    assert read_calibration(written(tmp_path, told)).settings == {"precision": "bfloat16"}


def test_a_threshold_says_where_it_was_measured(card):
    told = card.at_fmr(0.01).to_dict()
    assert told == {
        "threshold": 0.52,
        "fmr": 0.009,
        "false_matches": 9,
        "impostor_pairs": 1000,
        "threshold_source": "hand-made set: 1000 impostor and 30 genuine pairs, detector "
        "toy-detector",
    }


def test_an_unmeasured_rate_is_null_in_json():
    bare = Threshold(
        value=0.5, fmr=math.nan, false_matches=None, impostor_pairs=None, source="the user"
    )
    assert json.loads(json.dumps(bare.to_dict()))["fmr"] is None


def test_a_card_of_our_own_calibration_is_read_and_keeps_its_promise(tmp_path):
    """Against a count over all pairs: the writer lives in evaluation, the reader here."""
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(20), 5)
    rows = rng.normal(size=(20, 16))[people] + rng.normal(size=(100, 16))
    rows = normalize(rows)[0].astype(np.float64)  # as stored: float32 rows, float64 sums
    result = calibrate(rows, people, fars=[0.1, 0.01], seed=0)
    card = read_calibration(written(tmp_path, {**CARD, "result": result.to_dict()}))
    impostor = [
        float(rows[i] @ rows[j])
        for i in range(100)
        for j in range(i + 1, 100)
        if people[i] != people[j]
    ]
    assert card.impostor_pairs == len(impostor)
    for fmr in (0.2, 0.1, 0.05, 0.01, 0.003):
        value = card.at_fmr(fmr).value
        assert sum(score >= value for score in impostor) <= fmr * len(impostor)
    for score in (-0.2, 0.1, 0.3, 0.5):
        measured = sum(other >= score for other in impostor) / len(impostor)
        assert card.fmr_of(score) >= measured


def test_the_default_rate_is_one_in_ten_thousand():
    assert DEFAULT_FMR == 1e-4


# --- cards that are none --------------------------------------------------------------------


def changed(**result):
    told = copy.deepcopy(CARD)
    told["result"] |= result
    return told


STEP = CARD["result"]["curve"][1]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("", "is no calibration card: JSONDecodeError"),
        ("[]", "is no calibration card: TypeError"),
        ({k: v for k, v in CARD.items() if k != "dataset"}, "KeyError 'dataset'"),
        ({**CARD, "result": 3}, "is no calibration card: TypeError"),
        (changed(impostor_pairs=0), "it holds no impostor pairs"),
        (changed(impostor_pairs=None), "is no calibration card: TypeError"),
        (changed(curve=[]), "it holds no impostor pairs"),
        (changed(curve=[{"threshold": 0.1}]), "KeyError 'fmr'"),
        (changed(curve=[{**STEP, "fmr": math.nan}]), "fmr is nan"),
        (changed(curve=[{**STEP, "threshold": "0.1"}]), "is no calibration card: TypeError"),
        (changed(curve=CARD["result"]["curve"][::-1]), "thresholds of its curve must rise and its"),
        (changed(curve=[STEP, {**STEP, "threshold": 0.2, "fmr": 0.6}]), "must rise and its rates"),
        (changed(points=[{"far": 0.1}]), "KeyError 'threshold'"),
    ],
)
def test_a_damaged_card_is_refused_by_its_fault(told, words, tmp_path):
    with pytest.raises(BadFile, match=rf"toy\.calibration\.json .*{words}"):
        read_calibration(written(tmp_path, told))


def test_a_missing_card_is_refused(tmp_path):
    with pytest.raises(BadFile, match=r"absent.json is no calibration card: FileNotFoundError"):
        read_calibration(tmp_path / "absent.json")
