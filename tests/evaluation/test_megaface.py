"""MegaFace on a handful of distractors, against loops over every pair."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from pairs_oracle import score as cosine
from tronie.errors import BadArray, BadInput, NotEnoughData
from tronie.evaluation.protocols.megaface import PROTOCOL
from tronie.geometry.hypersphere import normalize


def toy(noise=0.9):
    rng = np.random.default_rng(0)
    people = np.concatenate([np.repeat(np.arange(5), 4), np.full(60, -1)])
    centers = rng.normal(size=(5, 8))
    rows = centers[np.maximum(people, 0)] + noise * rng.normal(size=(80, 8))
    rows[people < 0] = rng.normal(size=(60, 8))
    mixed = rng.permutation(80)
    return normalize(rows)[0][mixed], people[mixed]


def loops(unit, people, far, stays):
    probes = [n for n in np.flatnonzero(people >= 0) if stays[n]]
    away = [n for n in np.flatnonzero(people < 0) if stays[n]]
    ranks, genuine = [], []
    for probe, mate in permutations(probes, 2):
        if people[probe] == people[mate]:
            own = cosine(unit[probe], unit[mate])
            ranks.append(1 + sum(cosine(unit[probe], unit[d]) >= own for d in away))
            genuine.append(own)
    impostor = sorted((cosine(unit[p], unit[d]) for p in probes for d in away), reverse=True)
    limit = impostor[int(far * len(impostor))]
    return ranks, sum(own > limit for own in genuine) // 2, len(impostor)


@pytest.mark.parametrize("form", ["plain", "cleaned"])
def test_every_rate_is_that_of_the_loops(form):
    unit, people = toy()
    listed = np.random.default_rng(1).random(80) < 0.2
    stays = np.ones(80, bool) if form == "plain" else ~listed
    report = PROTOCOL.score(
        unit,
        people,
        form=form,
        listed=None if form == "plain" else listed,
        fars=[0.01, 0.001],
        ranks=[1, 5],
    )
    for far in (0.01, 0.001):
        ranks, accepted, pairs = loops(unit, people, far, stays)
        value = report.values[f"tar_at_far_{far:g}"] if far * pairs >= 1 else None
        assert value is None or (value.count, value.total) == (accepted, len(ranks) // 2)
    for k in (1, 5):
        value = report.values[f"rank_{k}"]
        assert (value.count, value.total) == (sum(r <= k for r in ranks), len(ranks))
    assert 0 < report.values["rank_1"].value < 1
    assert report.values["impostor_pairs"].value == pairs
    assert any("noise lists" in note for note in report.notes) == (form == "cleaned")


def test_perfect_embeddings_find_every_mate():
    unit, people = toy(noise=1e-4)
    report = PROTOCOL.score(unit, people, fars=[0.01])
    assert report.values["rank_1"].value == report.values["tar_at_far_0.01"].value == 1
    assert report.values["people"].value == 5


def test_a_distractor_that_is_the_mate_s_equal_wins():
    unit = np.array([[1, 0], [0.6, 0.8], [0.6, -0.8], [-1, 0]], np.float32)
    report = PROTOCOL.score(unit, np.array([0, 0, -1, -1]), fars=[0.25])
    assert (report.values["rank_1"].count, report.values["rank_1"].total) == (1, 2)


def test_no_distractor_is_refused():
    unit, people = toy()
    with pytest.raises(NotEnoughData, match=r"got 30 pairs of one person and 0 distractors$"):
        PROTOCOL.score(unit[people >= 0], people[people >= 0])


def test_no_probe_is_refused():
    unit, people = toy()
    with pytest.raises(NotEnoughData, match=r"got 0 pairs of one person and 60 distractors$"):
        PROTOCOL.score(unit[people < 0], people[people < 0])


def test_forms_ask_for_what_they_need():
    unit, people = toy()
    with pytest.raises(BadInput, match=r"^the cleaned form needs the noise lists"):
        PROTOCOL.score(unit, people, form="cleaned")
    with pytest.raises(BadInput, match=r"^the plain form has no use for the noise lists"):
        PROTOCOL.score(unit, people, listed=people < 0)
    with pytest.raises(BadInput, match=r"^there is no form 'R' of MegaFace; choose from plain, c"):
        PROTOCOL.score(unit, people, form="R")
    with pytest.raises(BadArray, match=r"^listed must be true or false for each of the 80 rows"):
        PROTOCOL.score(unit, people, form="cleaned", listed=np.zeros(3, bool))
