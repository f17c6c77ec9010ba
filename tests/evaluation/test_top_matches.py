"""Searches against every score the slow way."""

from __future__ import annotations

import numpy as np
import pytest

from pairs_oracle import score
from tronie.errors import BadArray, BadInput
from tronie.evaluation.metrics import top_matches
from tronie.evaluation.metrics.top_matches import (
    NOBODY,
    best_of_cross,
    best_others,
    best_rows,
    mate_scores,
    part_of,
)
from tronie.geometry.hypersphere import normalize


def slow(unit, probe, rows):
    return [score(unit[probe], unit[row]) for row in rows]


def others_by_hand(unit, people, probes, gallery, top):
    found = []
    for probe in probes:
        best = {}
        for row, value in zip(gallery, slow(unit, probe, gallery), strict=True):
            if people[row] == NOBODY:
                best[("row", row)] = value
            elif people[row] != people[probe]:
                best[people[row]] = max(value, best.get(people[row], -2))
        known = sorted(best.values(), reverse=True)[:top]
        found.append(known + [-np.inf] * (top - len(known)))
    return np.array(found)


def tied_set(seed=0, n=90, d=12):
    """Few directions, so that many scores are equal to the bit; some one ulp apart."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(-1, 2, (12, d)).astype(np.float32)
    rows[:, 0] = 2
    rows = rows[rng.integers(0, 12, n)]
    rows[::7] *= np.float32(1 + 2**-22)
    unit = normalize(rows)[0]
    unit[::5, 1] = np.nextafter(unit[::5, 1], np.float32(2))
    people = rng.integers(NOBODY, 14, n)
    places = rng.permutation(n)
    return unit, people, places[:30], places[30:]


@pytest.fixture(params=[(4096, 1024), (7, 4), (1, 1)], ids=str)
def blocks(request, monkeypatch):
    monkeypatch.setattr(top_matches, "_BLOCK_ROWS", request.param[0])
    monkeypatch.setattr(top_matches, "_TILE_ROWS", request.param[1])


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("top", [1, 3, 40])
def test_the_best_others_are_those_of_every_score_sorted(top):
    unit, people, probes, gallery = tied_set()
    found = best_others(unit, people, probes=probes, gallery=gallery, top=top)
    assert (found == others_by_hand(unit, people, probes, gallery, top)).all()  # to the bit


@pytest.mark.usefixtures("blocks")
def test_the_mate_is_the_best_row_of_the_same_person():
    unit, people, probes, gallery = tied_set(seed=1)
    people[gallery[people[gallery] == 3]] = NOBODY
    found = mate_scores(unit, people, probes=probes, gallery=gallery)
    for probe, value in zip(probes, found, strict=True):
        own = [row for row in gallery if people[row] == people[probe] != NOBODY]
        assert value == max(slow(unit, probe, own), default=-np.inf)
    assert np.isneginf(found).any()
    assert np.isfinite(found).any()


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("top", [1, 5, 70])
def test_the_best_rows_put_the_judged_ones_last_where_scores_are_equal(top):
    unit, people, probes, gallery = tied_set(seed=2)
    found = best_rows(unit, people, probes=probes, gallery=gallery, top=top)
    for probe, scores, rows in zip(probes, found.scores, found.rows, strict=True):
        ranked = sorted(
            zip(slow(unit, probe, gallery), range(len(gallery)), gallery, strict=True),
            key=lambda x: (-x[0], people[x[2]] == people[probe] != NOBODY, x[1]),
        )[:top]
        assert rows.tolist()[: len(ranked)] == [row for _, _, row in ranked]
        assert scores.tolist()[: len(ranked)] == [value for value, _, _ in ranked]
        assert (rows[len(ranked) :] == -1).all()


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("top", [1, 25, 5000])
def test_the_best_of_all_pairs_are_those_of_every_pair_sorted(top):
    unit, _, probes, gallery = tied_set(seed=3)
    found = best_of_cross(unit, probes=probes, gallery=gallery, top=top)
    every = sorted((value for p in probes for value in slow(unit, p, gallery)), reverse=True)
    assert found.tolist() == every[:top]


def test_a_gallery_on_disk_is_searched_like_one_in_memory(tmp_path):
    unit, people, probes, gallery = tied_set(seed=4)
    np.save(tmp_path / "M.npy", unit)
    mapped = np.load(tmp_path / "M.npy", mmap_mode="r")
    here, there = (
        best_others(rows, people, probes=probes, gallery=gallery, top=2) for rows in (unit, mapped)
    )
    assert (here == there).all()


@pytest.mark.usefixtures("blocks")
def test_no_more_matches_are_kept_than_the_gallery_has_rows():
    """Two thousand million would be 480 GB for 30 probes."""
    unit, people, probes, gallery = tied_set()
    sides = {"probes": probes, "gallery": gallery}
    found = best_rows(unit, people, **sides, top=2_000_000_000)
    assert found.scores.shape == found.rows.shape == (30, 60)
    assert (np.sort(found.rows, axis=1) == np.sort(gallery)).all()
    others = best_others(unit, people, **sides, top=2_000_000_000)
    assert (others == others_by_hand(unit, people, probes, gallery, 60)).all()


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("search", [best_others, best_rows, best_of_cross])
def test_progress_rises_to_every_probe_with_every_row(search):
    unit, people, probes, gallery = tied_set()
    told = []
    given = (unit,) if search is best_of_cross else (unit, people)
    search(*given, probes=probes, gallery=gallery, top=2, progress=lambda *n: told.append(n))
    assert {total for _, total in told} == {30 * 60}
    done = [n for n, _ in told]
    assert done == sorted(set(done))
    assert done[-1] == 30 * 60
    people_or_rows = 60 if search is not best_others else len({*people[gallery].tolist()})
    blocks = 1 if top_matches._BLOCK_ROWS > 60 else people_or_rows // top_matches._BLOCK_ROWS
    assert len(done) >= -(-30 // top_matches._TILE_ROWS) * blocks


def test_searches_one_after_another_count_as_one():
    told = []

    def tell(*counts):
        told.append(counts)

    part_of(tell, before=0, total=50)(20, 20)
    part_of(tell, before=20, total=50)(30, 30)
    assert told == [(20, 50), (50, 50)]
    assert part_of(None, before=0, total=1) is None


def test_an_empty_gallery_has_nobody_and_no_probes_ask_nothing():
    unit, people, probes, gallery = tied_set()
    none = np.empty(0, np.int64)
    assert np.isneginf(best_others(unit, people, probes=probes, gallery=none)).all()
    assert (best_rows(unit, people, probes=probes, gallery=none, top=2).rows == -1).all()
    assert np.isneginf(mate_scores(unit, people, probes=probes, gallery=none)).all()
    assert best_others(unit, people, probes=none, gallery=gallery, top=3).shape == (0, 3)


def test_labels_that_do_not_fit_are_refused():
    unit, people, probes, gallery = tied_set()
    with pytest.raises(
        BadArray, match=r"^each of the 90 rows needs a whole number for its person;"
    ):
        best_others(unit, people[1:], probes=probes, gallery=gallery)


def test_a_row_that_is_not_there_is_refused():
    unit, people, probes, _ = tied_set()
    with pytest.raises(BadArray, match=r"^gallery must be numbers of rows, 0 to 89; got int64"):
        best_others(unit, people, probes=probes, gallery=np.array([3, 90]))


def test_no_match_asked_for_is_refused():
    unit, people, probes, gallery = tied_set()
    with pytest.raises(BadInput, match=r"^a search returns one match or more; got 0"):
        best_rows(unit, people, probes=probes, gallery=gallery, top=0)
