"""Open-set identification on a gallery with several photographs a person."""

from __future__ import annotations

import numpy as np
import pytest

from pairs_oracle import score as cosine
from tronie.errors import BadArray
from tronie.evaluation.protocols.open_set import PROTOCOL
from tronie.geometry.hypersphere import normalize


def toy():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(14, 8))
    people = np.concatenate([np.repeat(np.arange(8), 3), np.arange(14), np.full(6, -1)])
    rows = centers[np.maximum(people, 0)] + 0.7 * rng.normal(size=(len(people), 8))
    rows[people < 0] = rng.normal(size=(6, 8))
    return normalize(rows)[0], people, np.arange(24), np.arange(24, 44)


def test_a_person_scores_as_the_best_photograph_and_ranks_count_people():
    unit, people, gallery, probes = toy()
    report = PROTOCOL.score(unit, people, gallery=gallery, probes=probes, fpirs=[0.25], within=2)
    ranks, mates, strangers = [], [], []
    for probe in probes:
        best = {
            who: max(cosine(unit[probe], unit[g]) for g in gallery if people[g] == who)
            for who in range(8)
        }
        if people[probe] in best:
            own = best.pop(people[probe])
            ranks.append(1 + sum(value >= own for value in best.values()))
            mates.append(own)
        else:
            strangers.append(max(best.values()))
    limit = sorted(strangers)[-1 - len(strangers) // 4]
    hits = sum(rank <= 2 and mate > limit for rank, mate in zip(ranks, mates, strict=True))
    value = report.values["tpir_at_fpir_0.25"]
    assert (value.count, value.total) == (hits, 8)
    for k in (1, 5, 10):
        assert report.values[f"rank_{k}"].count == sum(rank <= k for rank in ranks)
    assert report.values["nonmated_probes"].value == len(strangers) == 12
    assert report.details.points[0].achieved_far <= 0.25
    assert report.notes[-1].endswith("the person within rank 2, conservative threshold")


def test_perfect_embeddings_are_all_found():
    rows = np.eye(6, dtype=np.float32)
    unit, people = np.concatenate([rows[:4], rows]), np.array([0, 1, 2, 3, 0, 1, 2, 3, 9, -1])
    report = PROTOCOL.score(
        unit, people, gallery=np.arange(4), probes=np.arange(4, 10), fpirs=[0.5], ranks=[1]
    )
    assert report.values["rank_1"].value == report.values["tpir_at_fpir_0.5"].value == 1


def test_rows_of_another_length_are_refused():
    unit, people, gallery, probes = toy()
    with pytest.raises(BadArray, match=r"^row 0 of 44 features has length 2, "):
        PROTOCOL.score(unit * np.float32(2), people, gallery=gallery, probes=probes)
