"""IJB 1:N on two small galleries, against double loops."""

from __future__ import annotations

import numpy as np
import pytest

from pairs_oracle import score as cosine
from tronie.errors import NotEnoughData
from tronie.evaluation.protocols.ijb_identification import PROTOCOL
from tronie.geometry.hypersphere import normalize


def toy(seed=0, noise=0.8):
    """20 people, ten enrolled in each gallery; three probes each, and ten of nobody enrolled."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(30, 16))
    subjects = np.concatenate([np.arange(20), np.repeat(np.arange(30), [3] * 20 + [1] * 10)])
    unit = normalize(centers[subjects] + noise * rng.normal(size=(len(subjects), 16)))[0]
    galleries = {"G1": np.arange(10), "G2": np.arange(10, 20)}
    return unit, subjects + 100, np.arange(20, 90), galleries


def loops(unit, subjects, probes, gallery, fpir):
    """(ranks, TPIR): every score, sorted."""
    ranks, mates, strangers = [], [], []
    for probe in probes:
        scores = [(cosine(unit[probe], unit[g]), subjects[g]) for g in gallery]
        own = [s for s, who in scores if who == subjects[probe]]
        if own:
            ranks.append(1 + sum(s >= own[0] for s, who in scores if who != subjects[probe]))
            mates.append(own[0])
        else:
            strangers.append(max(s for s, _ in scores))
    limit = sorted(strangers, reverse=True)[int(fpir * len(strangers))]
    hits = [rank == 1 and mate > limit for rank, mate in zip(ranks, mates, strict=True)]
    return ranks, sum(hits), len(hits)


def test_rates_are_those_of_double_loops_and_the_mean_is_over_galleries():
    unit, subjects, probes, galleries = toy()
    report = PROTOCOL.score(unit, subjects, probes=probes, galleries=galleries, fpirs=[0.1])
    ranks, rates = [], []
    for name, rows in galleries.items():
        found, hits, mated = loops(unit, subjects, probes, rows, 0.1)
        value = report.values[f"{name}_tpir_at_fpir_0.1"]
        assert (value.count, value.total) == (hits, mated) == (hits, 30)
        assert report.values[f"{name}_rank_1"].count == sum(rank == 1 for rank in found)
        assert report.values[f"{name}_nonmated_probes"].value == 40
        ranks += found
        rates.append(hits / mated)
    assert 0 < rates[0] < 1
    assert report.values["tpir_at_fpir_0.1"].value == pytest.approx(sum(rates) / 2, abs=1e-15)
    for k in (1, 5, 10):
        value = report.values[f"rank_{k}"]
        assert (value.count, value.total) == (sum(rank <= k for rank in ranks), 60)
    assert [point.of for point in report.details.points] == ["G1", "G2"]


def test_the_published_rule_takes_the_score_before():
    unit, subjects, probes, galleries = toy()
    told = [
        PROTOCOL.score(unit, subjects, probes=probes, galleries=galleries, fpirs=[0.1], rule=rule)
        for rule in ("conservative", "published")
    ]
    exact, published = (report.details.points[0] for report in told)
    assert (exact.false_matches, published.false_matches) == (4, 3)  # 0.1 of 40, and one less
    assert published.tar <= exact.tar


def test_perfect_templates_are_all_found_and_their_order_does_not_matter():
    unit, subjects, probes, galleries = toy(noise=1e-3)
    mixed = np.random.default_rng(1).permutation(len(probes))
    one, other = (
        PROTOCOL.score(unit, subjects, probes=p, galleries=galleries, fpirs=[0.1, 0.05])
        for p in (probes, probes[mixed])
    )
    assert one.values["rank_1"].value == one.values["tpir_at_fpir_0.05"].value == 1
    assert one.values == other.values


def test_an_fpir_that_cannot_be_measured_has_no_mean():
    unit, subjects, probes, galleries = toy()
    report = PROTOCOL.score(unit, subjects, probes=probes, galleries=galleries, fpirs=[0.01])
    assert not any("tpir" in name for name in report.values)
    assert report.notes[0] == "left out: FPIR 0.01; there are 40 non-mated probes of G1"


def test_no_gallery_is_refused():
    unit, subjects, probes, _ = toy()
    with pytest.raises(NotEnoughData, match=r"^a search needs a gallery; got none"):
        PROTOCOL.score(unit, subjects, probes=probes, galleries={})
