"""PSNR and SSIM: closed forms, and SSIM with every window as a double loop."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tronie.errors import BadArray, BadInput
from tronie.evaluation.metrics.image_quality import identity_kept, psnr, ssim


def picture(seed: int, height: int = 17, width: int = 15) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def noisy(a: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(9).normal(0, 12, a.shape)
    return np.clip(a + noise, 0, 255).astype(np.uint8)


def luma(a: np.ndarray) -> np.ndarray:
    r, g, b = (a[..., n].astype(float) for n in range(3))
    return 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255


def ssim_by_loops(a: np.ndarray, b: np.ndarray) -> float:
    """One plane, one window after the other, with variances around the mean."""
    weights = np.array(
        [[math.exp(-((y - 5) ** 2 + (x - 5) ** 2) / 4.5) for x in range(11)] for y in range(11)]
    )
    weights /= weights.sum()
    c1, c2, total, windows = 6.5025, 58.5225, 0.0, 0
    for y in range(a.shape[0] - 10):
        for x in range(a.shape[1] - 10):
            p, q = a[y : y + 11, x : x + 11], b[y : y + 11, x : x + 11]
            mp, mq = (weights * p).sum(), (weights * q).sum()
            vp, vq = (weights * (p - mp) ** 2).sum(), (weights * (q - mq) ** 2).sum()
            cov = (weights * (p - mp) * (q - mq)).sum()
            total += (2 * mp * mq + c1) * (2 * cov + c2) / ((mp**2 + mq**2 + c1) * (vp + vq + c2))
            windows += 1
    return total / windows


@pytest.mark.parametrize("shift", [1, 5, 50])
def test_a_constant_shift_is_20_log_of_255_over_it(shift):
    a = np.full((12, 12, 3), 100, np.uint8)
    found = psnr(a, a + np.uint8(shift), color="rgb", border=0)
    assert found == pytest.approx(20 * math.log10(255 / shift))


def test_psnr_on_luma_is_that_of_the_weighted_sum():
    a, b = picture(0), picture(1)
    error = ((luma(a) - luma(b))[2:-2, 2:-2] ** 2).mean()
    assert psnr(a, b, color="y", border=2) == pytest.approx(10 * math.log10(255**2 / error))


def test_luma_goes_from_16_to_235():
    black, white = np.zeros((1, 1, 3)), np.full((1, 1, 3), 255)
    assert (luma(black)[0, 0], luma(white)[0, 0]) == (16, pytest.approx(235))


def test_equal_pictures_have_infinite_psnr_and_an_ssim_of_one():
    a = picture(0)
    assert psnr(a, a, color="rgb", border=0) == math.inf
    assert ssim(a, a, color="rgb", border=0) == pytest.approx(1.0)


@pytest.mark.parametrize("border", [0, 1])
def test_ssim_agrees_with_a_loop_over_the_windows(border):
    a = picture(3)
    b = noisy(a)
    inner = np.s_[border : 17 - border, border : 15 - border]
    planes = [ssim_by_loops(a[inner][..., n].astype(float), b[inner][..., n].astype(float))
              for n in range(3)]  # fmt: skip
    assert ssim(a, b, color="rgb", border=border) == pytest.approx(np.mean(planes), abs=1e-10)
    gray = ssim_by_loops(luma(a)[inner], luma(b)[inner])
    assert ssim(a, b, color="y", border=border) == pytest.approx(gray, abs=1e-10)


def test_what_lies_in_the_border_does_not_count():
    a = picture(4)
    b = a.copy()
    b[0], b[-1], b[:, 0], b[:, -1] = 0, 0, 0, 0
    assert psnr(a, b, color="rgb", border=0) < math.inf
    assert psnr(a, b, color="rgb", border=1) == math.inf


def test_identity_is_the_cosine_before_and_after():
    before, after = np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[30.0, 40.0], [0.0, -2.0]])
    assert identity_kept(before, after).tolist() == pytest.approx([1.0, 0.0])


def test_pictures_that_do_not_fit_are_refused():
    with pytest.raises(BadArray, match="must be uint8 RGB of one shape"):
        psnr(picture(0), picture(0, height=16), color="rgb", border=0)
    with pytest.raises(BadArray, match="must be uint8 RGB of one shape"):
        psnr(picture(0), picture(0).astype(float), color="rgb", border=0)


def test_a_border_that_leaves_nothing_is_refused():
    with pytest.raises(BadArray, match="15 x 17 has nothing within a border of 8"):
        psnr(picture(0), picture(0), color="rgb", border=8)


def test_a_picture_smaller_than_the_window_is_refused():
    with pytest.raises(BadArray, match="SSIM needs 11 x 11 pixels within the border"):
        ssim(picture(0), picture(1), color="rgb", border=3)


@pytest.mark.parametrize(("color", "border"), [("bgr", 0), ("y", -1)])
def test_other_settings_are_refused(color, border):
    with pytest.raises(BadInput, match="need color 'rgb' or 'y' and a border >= 0"):
        psnr(picture(0), picture(1), color=color, border=border)


def test_embeddings_that_do_not_fit_are_refused():
    with pytest.raises(BadArray, match="need one embedding each, before and after"):
        identity_kept(np.ones((2, 3)), np.ones((1, 3)))
