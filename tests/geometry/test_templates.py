"""Pooling: against a plain loop, and by what must not change it."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest

from tronie.errors import BadArray, BadInput
from tronie.geometry.hypersphere import normalize
from tronie.geometry.templates import POOLINGS, pool

ONE_ULP = 1.2e-7
WITHOUT_MEDIA = [name for name in POOLINGS if name != "media_then_sum"]


def by_hand(rows, template_of, pooling, media_of=None, weights=None):
    """The sums at the top of templates.py, over Python numbers."""
    media_of = range(len(rows)) if media_of is None else media_of
    weights = np.ones(len(rows)) if weights is None else weights
    found = {}
    for name in sorted(set(template_of)):
        media = defaultdict(list)
        for row, whose, medium, weight in zip(rows, template_of, media_of, weights, strict=True):
            if whose == name:
                norm = math.sqrt(sum(float(x) ** 2 for x in row))
                power = {"mean_of_unit": -1, "norm_cubed": 3}.get(pooling, 0)
                media[medium].append([float(x) * float(weight) * norm**power for x in row])
        total = [0.0] * len(rows[0])
        for frames in media.values():
            for k in range(len(total)):
                total[k] += sum(frame[k] for frame in frames) / len(frames)
        norm = math.sqrt(sum(x * x for x in total))
        found[name] = [x / norm for x in total]
    return np.array(list(found.values()))


def cloud(n=60, d=7, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, d)) * rng.uniform(0.2, 30, (n, 1))
    return rows.astype(np.float32), rng.integers(0, 9, n) * 5 - 3, rng.integers(0, 4, n)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling_is_the_plain_loop(pooling, weighted):
    rows, names, media = cloud()
    media = media if pooling == "media_then_sum" else None
    weights = np.random.default_rng(1).uniform(0, 1, len(rows)) if weighted else None
    found = pool(rows, names, pooling=pooling, media_of=media, weights=weights)
    assert found.names.tolist() == sorted(set(names.tolist()))
    assert found.unit.dtype == np.float32
    expected = by_hand(rows, names, pooling, media, weights)
    np.testing.assert_allclose(found.unit, expected, atol=ONE_ULP)


def test_ijb_means_inside_a_medium_and_sums_over_media():
    """Two media of template 1, three frames and one photograph; template 2 has one row."""
    rows = np.array([[3, 0], [0, 3], [3, 3], [0, 4], [5, 0]], np.float32)
    found = pool(
        rows,
        np.array([1, 1, 1, 1, 2]),
        pooling="media_then_sum",
        media_of=np.array([8, 8, 8, 2, 8]),
    )
    total = np.array([2.0, 2.0]) + np.array([0.0, 4.0])  # mean of the frames, plus the photograph
    np.testing.assert_allclose(found.unit[0], total / np.linalg.norm(total), atol=ONE_ULP)
    assert found.unit[1].tolist() == [1, 0]


def test_a_detector_score_multiplies_its_row_and_not_the_number_of_rows():
    rows = np.array([[2, 0], [0, 2], [0, 1]], np.float32)
    names, media = np.zeros(3, int), np.array([0, 0, 1])
    found = pool(
        rows, names, pooling="media_then_sum", media_of=media, weights=np.array([0.5, 1, 1])
    )
    total = np.array([0.5, 1 + 1])  # (1, 0) and (0, 2) halved, plus (0, 1)
    np.testing.assert_allclose(found.unit[0], total / np.linalg.norm(total), atol=ONE_ULP)


@pytest.mark.parametrize("pooling", WITHOUT_MEDIA)
def test_a_single_row_is_its_own_direction(pooling):
    rows, _, _ = cloud(n=5)
    found = pool(rows, np.arange(5), pooling=pooling)
    np.testing.assert_allclose(found.unit, normalize(rows)[0], atol=ONE_ULP)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_order_of_the_rows_does_not_matter(pooling):
    rows, names, media = cloud()
    mixed = np.random.default_rng(2).permutation(len(rows))
    media = media if pooling == "media_then_sum" else None
    one = pool(rows, names, pooling=pooling, media_of=media).unit
    media = None if media is None else media[mixed]
    other = pool(rows[mixed], names[mixed], pooling=pooling, media_of=media).unit
    np.testing.assert_allclose(one, other, atol=ONE_ULP)


@pytest.mark.parametrize("pooling", WITHOUT_MEDIA)
def test_every_row_twice_is_every_row_once(pooling):
    rows, names, _ = cloud()
    once = pool(rows, names, pooling=pooling).unit
    twice = pool(np.repeat(rows, 2, axis=0), np.repeat(names, 2), pooling=pooling).unit
    np.testing.assert_allclose(once, twice, atol=ONE_ULP)


def test_a_frame_twice_changes_its_video_but_a_video_counts_once():
    rows = np.array([[1, 0], [0, 1]], np.float32)
    long_video = np.repeat(rows, [50, 1], axis=0)
    found = pool(
        long_video, np.zeros(51, int), pooling="media_then_sum", media_of=np.repeat([0, 1], [50, 1])
    )
    np.testing.assert_allclose(found.unit[0], np.sqrt([0.5, 0.5]), atol=ONE_ULP)


@pytest.mark.parametrize("frames", ["uniform", "two kinds"])
def test_longer_frames_are_clearer_so_norms_help_and_cubed_norms_help_more(frames):
    """x_k = a_k mu + noise: the error of the direction falls from unit to raw to cubed."""
    rng = np.random.default_rng(3)
    people, shots, d = 400, 10, 128
    centers = normalize(rng.normal(size=(people, d)))[0].astype(float)
    if frames == "uniform":
        gains = rng.uniform(0.2, 1, (people, shots, 1))
    else:
        gains = rng.choice([0.2, 1.0], (people, shots, 1))
    noise = rng.normal(size=(people, shots, d)) * 0.3 / math.sqrt(d)
    rows = (gains * centers[:, None] + noise).reshape(-1, d)
    whose = np.repeat(np.arange(people), shots)
    error = {
        name: 1 - (pool(rows, whose, pooling=name).unit * centers).sum(axis=1).mean()
        for name in WITHOUT_MEDIA
    }
    assert error["mean_of_unit"] > error["mean_of_raw"] > error["norm_cubed"]


def test_huge_lengths_do_not_overflow():
    rows = np.array([[1e38, 0], [0, 1e38]], np.float32)
    found = pool(rows, np.zeros(2, int), pooling="norm_cubed")
    np.testing.assert_allclose(found.unit[0], np.sqrt([0.5, 0.5]), atol=ONE_ULP)


def test_a_mapped_matrix_is_pooled_in_pieces_like_one_in_memory(tmp_path, monkeypatch):
    rows, names, _ = cloud()
    np.save(tmp_path / "M.npy", rows)
    whole = pool(rows, names, pooling="mean_of_raw").unit
    monkeypatch.setattr("tronie.geometry.templates._TEMPLATES_AT_ONCE", 2)
    monkeypatch.setattr("tronie.geometry.templates._ROWS_AT_ONCE", 7)
    mapped = np.load(tmp_path / "M.npy", mmap_mode="r")
    assert (pool(mapped, names, pooling="mean_of_raw").unit == whole).all()


ROWS = np.array([[1.0, 2.0], [-1.0, -2.0], [0.5, 0.0]])


def test_a_template_that_cancels_out_is_named():
    with pytest.raises(BadArray, match=r"^the rows of template 4 add up to zero, which has no dir"):
        pool(ROWS, np.array([4, 4, 5]), pooling="mean_of_unit")


def test_a_template_without_weight_is_named():
    with pytest.raises(BadArray, match=r"template 5 add up to zero.* give one of them a weight"):
        pool(ROWS, np.array([3, 4, 5]), pooling="mean_of_raw", weights=np.array([1, 1, 0.0]))


@pytest.mark.parametrize(
    ("value", "fault"), [(math.nan, "holds NaN or infinity"), (0.0, "is all zeros")]
)
def test_a_row_without_direction_is_named(value, fault):
    rows = ROWS.copy()
    rows[1] = value
    with pytest.raises(BadArray, match=f"^row 1 of 3 features {fault}"):
        pool(rows, np.zeros(3, int), pooling="mean_of_raw")


def test_an_unknown_pooling_is_refused_with_the_list():
    with pytest.raises(BadInput, match=r"^there is no pooling 'mean'; choose from mean_of_unit, "):
        pool(ROWS, np.zeros(3, int), pooling="mean")


def test_media_are_asked_for_where_they_are_needed():
    with pytest.raises(BadInput, match=r"media_then_sum needs the media of the rows"):
        pool(ROWS, np.zeros(3, int), pooling="media_then_sum")
    with pytest.raises(BadInput, match=r"mean_of_raw has no use for the media"):
        pool(ROWS, np.zeros(3, int), pooling="mean_of_raw", media_of=np.zeros(3, int))


def test_a_negative_weight_is_refused():
    with pytest.raises(BadArray, match=r"^the weight of row 2 is -0\.5; weights are finite and 0"):
        pool(ROWS, np.zeros(3, int), pooling="mean_of_raw", weights=np.array([1, 1, -0.5]))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(BadArray, match=r"^features must be floats of shape \(N, D\); got int64"):
        pool(np.ones((3, 2), np.int64), np.zeros(3, int), pooling="mean_of_raw")
    with pytest.raises(BadArray, match=r"^template_of must hold a whole number for each of the 3"):
        pool(ROWS, np.zeros(2, int), pooling="mean_of_raw")
    with pytest.raises(BadArray, match=r"^weights must hold a number for each of the 3 rows"):
        pool(ROWS, np.zeros(3, int), pooling="mean_of_raw", weights=np.ones((3, 1)))
