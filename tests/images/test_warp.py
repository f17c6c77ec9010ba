"""Warp: crops against bilinear sampling written out, and against OpenCV one by one."""

import cv2
import numpy as np
import pytest

from tronie.errors import BadArray, BadInput
from tronie.geometry.alignment import alignment_matrices, five_point_template
from tronie.geometry.similarity import apply_affine
from tronie.images import warp
from tronie.images.warp import aligned_crops, warp_affine

RNG = np.random.default_rng(19)
IMAGE = RNG.integers(0, 255, (120, 160, 3), dtype=np.uint8)


def some_matrices(count):
    angle, size = RNG.uniform(-3, 3, count), RNG.uniform(0.2, 4, count)
    c, s = size * np.cos(angle), size * np.sin(angle)
    linear = np.stack([c, -s, s, c], -1).reshape(-1, 2, 2)
    shift = [20, 20] - (linear @ RNG.uniform([0, 0], [160, 120], (count, 2))[..., None])[..., 0]
    return np.concatenate([linear, shift[..., None]], axis=2)


def sampled(image, matrix, width, height):
    """Where each pixel of the crop comes from, mixed from four; black outside the image."""
    y, x = np.mgrid[:height, :width]
    grid = np.stack([x, y], -1).reshape(-1, 2).astype(float)
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    sx, sy = apply_affine(grid, inverse).T
    black = np.zeros((image.shape[0] + 4, image.shape[1] + 4, 3))
    black[2:-2, 2:-2] = image
    sx, sy = np.clip(sx, -2, image.shape[1]), np.clip(sy, -2, image.shape[0])
    x0, y0 = np.floor(sx).astype(int), np.floor(sy).astype(int)
    fx, fy = (sx - x0)[:, None], (sy - y0)[:, None]
    x0, y0 = x0 + 2, y0 + 2
    top = black[y0, x0] * (1 - fx) + black[y0, x0 + 1] * fx
    low = black[y0 + 1, x0] * (1 - fx) + black[y0 + 1, x0 + 1] * fx
    return (top * (1 - fy) + low * fy).reshape(height, width, 3)


def test_crops_are_mixed_from_the_four_pixels_around():
    matrices = some_matrices(20)
    crops = warp_affine(IMAGE, matrices, width=40, height=30)
    assert crops.shape == (20, 30, 40, 3)
    for crop, matrix in zip(crops, matrices, strict=True):
        assert (
            np.abs(crop - sampled(IMAGE, matrix, 40, 30)).max() < 1.0
        )  # half a level, and float32


@pytest.mark.parametrize("count", [1, 3, 50])
@pytest.mark.parametrize("within", [0, 8, 10**6])
def test_every_bit_is_opencvs_whichever_way_is_taken(count, within, monkeypatch):
    monkeypatch.setattr(warp, "_PAD_WITHIN", within)
    monkeypatch.setattr(warp, "_BLOCK_BYTES", 4 * 30 * 40 * 7)  # several blocks, the last not full
    matrices = some_matrices(count)
    crops = warp_affine(IMAGE, matrices, width=40, height=30)
    for crop, matrix in zip(crops, matrices, strict=True):
        np.testing.assert_array_equal(crop, cv2.warpAffine(IMAGE, matrix, (40, 30)))


def test_the_five_points_land_on_the_template():
    """Five dots are painted at the landmarks; the crop must show them at the template."""
    template = five_point_template()
    turn = np.array([[0.9, -0.3], [0.3, 0.9]]) * 2
    landmarks = template @ turn.T + [120.0, 40.0]
    y, x = np.mgrid[:400, :500]
    image = np.zeros((400, 500, 3), np.uint8)
    for px, py in landmarks:
        dot = 255 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 4.0**2))
        image = np.maximum(image, dot[..., None].astype(np.uint8))
    (crop,) = aligned_crops(image, landmarks[None])
    y, x = np.mgrid[:112, :112]
    for px, py in template:
        weight = crop[..., 0] * (np.hypot(x - px, y - py) < 7)
        center = [(weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()]
        np.testing.assert_allclose(center, [px, py], atol=0.15)


@pytest.mark.parametrize(
    ("size", "shape"), [(112, (112, 112)), (128, (128, 128)), ((96, 112), (112, 96))]
)
def test_aligned_crops_are_warped_by_the_alignment_matrices(size, shape):
    landmarks = five_point_template()[None] * 0.8 + RNG.normal(size=(4, 5, 2))
    crops = aligned_crops(IMAGE, landmarks, size=size)
    assert crops.shape == (4, *shape, 3)
    expected = warp_affine(
        IMAGE, alignment_matrices(landmarks, size=size), width=shape[1], height=shape[0]
    )
    np.testing.assert_array_equal(crops, expected)


def test_what_lies_outside_the_image_is_black():
    far = np.array([[[1.0, 0.0, 5000.0], [0.0, 1.0, 5000.0]]])
    assert warp_affine(np.full((9, 9, 3), 200, np.uint8), far, width=8, height=8).max() == 0


def test_no_faces_give_no_crops():
    assert aligned_crops(IMAGE, np.zeros((0, 5, 2))).shape == (0, 112, 112, 3)


@pytest.mark.parametrize("shape", [(1, 1), (2, 40000), (40000, 2)])
def test_tiny_and_very_long_images_can_be_sampled(shape):
    image = np.full((*shape, 3), 50, np.uint8)
    here = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    crop = warp_affine(image, here, width=4, height=4)[0]
    expected = np.zeros((4, 4, 3))
    expected[: shape[0], : shape[1]] = 50
    np.testing.assert_array_equal(crop, expected)


def test_a_picture_that_may_only_be_read_and_one_seen_backwards_are_fine():
    matrices = some_matrices(2)
    frozen, backwards = IMAGE.copy(), IMAGE[:, ::-1]
    frozen.flags.writeable = False
    np.testing.assert_array_equal(
        warp_affine(frozen, matrices, width=40, height=30),
        warp_affine(IMAGE, matrices, width=40, height=30),
    )
    np.testing.assert_array_equal(
        warp_affine(backwards, matrices, width=40, height=30),
        warp_affine(backwards.copy(), matrices, width=40, height=30),
    )


def test_what_is_no_image_is_refused():
    with pytest.raises(BadArray, match=r"an image must be uint8 .* got float64"):
        warp_affine(np.zeros((4, 4, 3)), some_matrices(1), width=8, height=8)


@pytest.mark.parametrize(
    "matrices", [np.zeros((2, 3)), np.zeros((1, 3, 3)), np.full((1, 2, 3), np.nan)]
)
def test_what_is_no_batch_of_matrices_is_refused(matrices):
    with pytest.raises(BadArray, match=r"matrices must be finite, of shape \(N, 2, 3\); got"):
        warp_affine(IMAGE, matrices, width=8, height=8)


def test_a_crop_without_pixels_is_refused():
    with pytest.raises(BadInput, match="a crop needs at least 1 x 1 pixels; asked for 0 x 8"):
        warp_affine(IMAGE, some_matrices(1), width=0, height=8)


def test_five_points_in_one_place_are_refused():
    with pytest.raises(BadArray, match="lie in one place"):
        aligned_crops(IMAGE, np.ones((1, 5, 2)))


def test_a_size_without_a_template_is_refused():
    with pytest.raises(BadInput, match="aligned crops are squares of a multiple of 112 or of 128"):
        aligned_crops(IMAGE, np.ones((1, 5, 2)), size=100)
