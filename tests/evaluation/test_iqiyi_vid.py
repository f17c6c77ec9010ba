"""MAP of retrieved videos, by hand and against a sort."""

from __future__ import annotations

import numpy as np
import pytest

from pairs_oracle import score as cosine
from tronie.errors import BadInput, NotEnoughData
from tronie.evaluation.protocols.iqiyi_vid import PROTOCOL
from tronie.geometry.hypersphere import normalize


def plane(*degrees):
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_two_people_and_their_videos():
    """Person 0 asks at 0 degrees: videos of 0, of 1, of 0. Person 1 at 90: of 1, of nobody, of 1"""
    unit = plane(0, 90, 10, 20, 30, 80, 65)
    people = np.array([0, 1, 0, 1, 0, 1, -1])
    report = PROTOCOL.score(unit, people, queries=np.array([0, 1]), videos=np.arange(2, 7))
    first = (1 / 1 + 2 / 3) / 2
    second = (1 / 1 + 2 / 4) / 2  # at 80, then nobody at 65, then 0 at 30, then 1 at 20
    assert report.values["map_at_100"].value == pytest.approx((first + second) / 2, abs=1e-15)
    assert (report.values["queries"].value, report.values["videos"].value) == (2, 5)


def test_equal_scores_are_ranked_against_the_person():
    unit = plane(0, 20, -20)  # both videos score the same, to the bit
    people = np.array([0, 0, 1])
    report = PROTOCOL.score(unit, people, queries=np.array([0]), videos=np.array([1, 2]))
    assert report.values["map_at_100"].value == 0.5


@pytest.mark.parametrize("denominator", ["capped", "all", "found"])
def test_many_videos_cut_at_five(denominator):
    rng = np.random.default_rng(0)
    people = np.concatenate([np.arange(6), rng.integers(-1, 6, 80)])
    unit = normalize(rng.normal(size=(6, 8))[np.maximum(people, 0)] + rng.normal(size=(86, 8)))[0]
    report = PROTOCOL.score(
        unit,
        people,
        queries=np.arange(6),
        videos=np.arange(6, 86),
        limit=5,
        denominator=denominator,
    )
    total = 0.0
    for query in range(6):
        ranked = sorted(range(6, 86), key=lambda v: -cosine(unit[query], unit[v]))[:5]
        right = [people[v] == query for v in ranked]
        m = int((people[6:] == query).sum())
        over = {"capped": min(m, 5), "all": m, "found": sum(right)}[denominator]
        total += sum(sum(right[: j + 1]) / (j + 1) for j in range(5) if right[j]) / max(over, 1)
    assert report.values["map_at_5"].value == pytest.approx(total / 6, abs=1e-12)
    assert report.notes == (f"the denominator of the average precision is {denominator!r}",)


def test_perfect_features_score_one_and_people_without_a_video_are_left_out():
    unit, people = np.eye(4, dtype=np.float32)[[0, 1, 2, 0, 1, 0, 3]], [0, 1, 2, 0, 1, 0, -1]
    report = PROTOCOL.score(unit, np.array(people), queries=np.arange(3), videos=np.arange(3, 7))
    assert report.values["map_at_100"].value == 1
    assert report.notes[1] == "left out: 1 people without a video"


def test_a_person_asked_for_twice_is_refused():
    with pytest.raises(BadInput, match=r"^a query asks for one known person, once; got 2 queries"):
        PROTOCOL.score(plane(0, 1, 2), np.zeros(3, int), queries=np.arange(2), videos=np.array([2]))


def test_no_video_of_anybody_is_refused():
    with pytest.raises(NotEnoughData, match=r"^MAP needs a person with a query and a video"):
        PROTOCOL.score(plane(0, 1), np.array([0, 1]), queries=np.array([0]), videos=np.array([1]))
