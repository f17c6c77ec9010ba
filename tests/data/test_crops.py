"""Crops: mirrored, moved and cut images, against indices written out."""

import numpy as np
import pytest

from tronie.data.augment.crops import cut, flip, move
from tronie.errors import BadArray, BadInput

RNG = np.random.default_rng(5)
IMAGE = RNG.integers(0, 256, (12, 10, 3), dtype=np.uint8)


def test_a_mirror_exchanges_left_and_right():
    found = flip(IMAGE, np.random.default_rng(0), p=1)
    for x in range(10):
        np.testing.assert_array_equal(found[:, x], IMAGE[:, 9 - x])
    np.testing.assert_array_equal(flip(found, np.random.default_rng(0), p=1), IMAGE)


def test_half_of_the_images_are_mirrored():
    mirrored = sum(flip(IMAGE, np.random.default_rng(n)) is not IMAGE for n in range(1000))
    assert 450 < mirrored < 550  # three standard deviations


class Scripted:
    """A generator whose numbers are known."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def random(self):
        return self.numbers.pop(0)


def test_a_shift_by_whole_pixels_moves_every_pixel_and_leaves_black():
    happens, right, down = 0.0, 1.0, 0.25  # of -0.2 ... 0.2: 2 pixels right of 10, 1.2 up of 12
    found = move(
        IMAGE[:10], Scripted(happens, right, down, 0.5, 0.5), shift=0.2, scale=0, turn=0, p=1
    )
    np.testing.assert_array_equal(found[:9, 2:], IMAGE[1:10, :8])
    assert (found[:, :2] == 0).all()
    assert (found[9:] == 0).all()


def test_a_quarter_turn_turns_about_the_middle():
    square = IMAGE[:10]
    found = move(square, Scripted(0, 0.5, 0.5, 0.5, 1.0), shift=0, scale=0, turn=np.pi / 2, p=1)
    turned = np.rot90(square, k=-1)  # clockwise as seen in the image
    assert np.abs(found[1:-1, 1:-1].astype(int) - turned[1:-1, 1:-1]).max() <= 1


def test_growing_keeps_the_middle_where_it_is():
    ramp = np.tile(np.arange(0, 220, 20, dtype=np.uint8)[:, None, None], (1, 11, 3))
    found = move(ramp, Scripted(0, 0.5, 0.5, 1.0, 0.5), shift=0, scale=0.5, turn=0, p=1)
    assert found[5, 5, 0] == 100
    assert abs(int(found[8, 5, 0]) - 140) <= 1  # 3 pixels below the middle shows what was 2 below


def test_a_cut_of_the_whole_is_the_image_and_a_smaller_one_is_a_window():
    np.testing.assert_array_equal(cut(IMAGE, np.random.default_rng(0), side=(1, 1)), IMAGE)
    ramp = np.tile(np.arange(100, dtype=np.uint8)[None, :, None], (100, 1, 3))
    found = cut(ramp, Scripted(0, 0.0, 0.0, 0.999), side=(0.5, 0.5), p=1)
    assert found.shape == ramp.shape
    assert found.min() == 50  # the window at the right edge: columns 50 to 99
    assert found.max() == 99


def test_windows_lie_everywhere_and_nowhere_outside():
    ramp = np.tile(np.arange(100, dtype=np.uint8)[None, :, None], (100, 1, 3))
    first = [int(cut(ramp, np.random.default_rng(n), side=(0.9, 0.9)).min()) for n in range(300)]
    assert set(first) == set(range(11))


@pytest.mark.parametrize("change", [flip, move, cut])
def test_at_probability_0_the_image_itself_comes_back(change):
    assert change(IMAGE, np.random.default_rng(0), p=0) is IMAGE


@pytest.mark.parametrize("change", [flip, move, cut])
def test_the_same_seed_gives_the_same_image_and_the_original_is_kept(change):
    before = IMAGE.copy()
    first = change(IMAGE, np.random.default_rng(3), p=1)
    np.testing.assert_array_equal(first, change(IMAGE, np.random.default_rng(3), p=1))
    np.testing.assert_array_equal(IMAGE, before)
    assert first.shape == IMAGE.shape
    assert first.flags.c_contiguous


@pytest.mark.parametrize("odd", [{"shift": 1.1}, {"scale": 1.0}, {"turn": -1}])
def test_a_move_out_of_range_is_refused(odd):
    with pytest.raises(BadInput, match=r"shift is a share in \[0, 1\], scale in \[0, 1\), turn"):
        move(IMAGE, np.random.default_rng(0), **odd)


@pytest.mark.parametrize("side", [(0, 1), (0.9, 0.8), (0.5, 1.1)])
def test_a_window_out_of_range_is_refused(side):
    with pytest.raises(BadInput, match=r"a window's side is a range of shares in \(0, 1\]; got"):
        cut(IMAGE, np.random.default_rng(0), side=side)


@pytest.mark.parametrize("change", [flip, move, cut])
def test_floats_are_refused(change):
    with pytest.raises(BadArray, match="an image must be uint8"):
        change(IMAGE / 255, np.random.default_rng(0))
