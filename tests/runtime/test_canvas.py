"""A picture on a canvas: black before it becomes numbers, and exactly brought back."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import BadArray, BadInput, BadModel
from tronie.geometry.faces import Faces
from tronie.runtime.canvas import (
    brought_back,
    expect_finite,
    expect_side,
    fitted,
    resized,
    suppressed,
)
from tronie.runtime.contract import Contract

CONTRACT = Contract(
    kind="detector", format="decoded", mean=(127.5,) * 3, std=(128.0,) * 3, width=64, height=64
)
BLACK = np.float32(-127.5 / 128)


def gray(width, height, level=255):
    return np.full((height, width, 3), level, np.uint8)


def one_face(box, points=None):
    return Faces(
        boxes=np.array([box], np.float32),
        scores=np.array([0.9], np.float32),
        landmarks=None if points is None else np.array([points], np.float32),
    )


def test_the_rest_of_a_canvas_is_what_black_pixels_are():
    laid = fitted(gray(64, 32), CONTRACT, width=64, height=64)
    assert (laid.pixels.shape, laid.pixels.dtype) == ((1, 3, 64, 64), np.float32)
    assert (laid.width, laid.height) == (64, 64)
    assert (laid.pixels[:, :, :32] == np.float32(127.5 / 128)).all()
    assert (laid.pixels[:, :, 32:] == BLACK).all()


def test_a_file_that_fixes_its_size_gets_black_up_to_there():
    laid = fitted(gray(64, 32), CONTRACT, width=32, height=32, fixed=(96, 64))
    assert (laid.width, laid.height) == (64, 96)
    assert (laid.scale_x, laid.scale_y) == (0.5, 0.5)
    assert (laid.pixels[:, :, 16:] == BLACK).all()
    assert (laid.pixels[:, :, :, 32:] == BLACK).all()
    assert (laid.pixels[:, :, :16, :32] > 0).all()


def test_a_picture_can_be_laid_out_at_a_size_and_filled_up_to_multiples_of_32():
    laid = resized(gray(100, 50), CONTRACT, width=40, height=64)
    assert (laid.width, laid.height) == (64, 64)
    assert (laid.scale_x, laid.scale_y) == (0.4, 1.28)
    assert (laid.pixels[:, :, :, :40] > 0).all()
    assert (laid.pixels[:, :, :, 40:] == BLACK).all()


def test_a_picture_that_is_large_enough_is_not_filled_up():
    laid = resized(gray(64, 32), CONTRACT, width=64, height=32)
    assert laid.pixels.shape == (1, 3, 32, 64)
    assert (laid.scale_x, laid.scale_y) == (1.0, 1.0)


def test_each_axis_comes_back_through_its_own_scale():
    laid = resized(gray(100, 50), CONTRACT, width=50, height=100)
    faces = brought_back(one_face((1, 2, 3, 4), [(1, 2)] * 5), laid)
    assert faces.boxes.tolist() == [[2, 1, 6, 2]]
    assert faces.landmarks.tolist() == [[[2, 1]] * 5]
    assert faces.landmarks.dtype == faces.boxes.dtype == np.float32
    assert brought_back(one_face((1, 2, 3, 4)), laid).landmarks is None


def test_the_best_of_those_that_overlap_stay_by_falling_score():
    """The first two share 90 of 110."""
    faces = Faces(
        boxes=np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 0, 60, 10]], np.float32),
        scores=np.array([0.6, 0.7, 0.9], np.float32),
    )
    assert suppressed(faces, iou_threshold=0.5).boxes[:, 0].tolist() == [50, 1]
    assert suppressed(faces, iou_threshold=0.9).boxes[:, 0].tolist() == [50, 1, 0]


@pytest.mark.parametrize(("candidates", "kept"), [(1, [50]), (2, [50, 1]), (3, [50, 1]), (0, [])])
def test_only_so_many_candidates_are_looked_at(candidates, kept):
    faces = Faces(
        boxes=np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 0, 60, 10]], np.float32),
        scores=np.array([0.6, 0.7, 0.9], np.float32),
    )
    found = suppressed(faces, iou_threshold=0.5, candidates=candidates)
    assert found.boxes[:, 0].tolist() == kept


def test_a_side_that_no_detector_looks_at_is_refused():
    with pytest.raises(BadArray, match=r"8192 pixels a side; a picture of 4 x 4 .* at 8193 x 9$"):
        resized(gray(4, 4), CONTRACT, width=8193, height=9)


def test_a_size_below_one_is_refused():
    with pytest.raises(BadInput, match="at least 1 x 1 pixels; asked for 0 x 9"):
        resized(gray(4, 4), CONTRACT, width=0, height=9)


@pytest.mark.parametrize("side", [0, 31, 100, 8224])
def test_a_canvas_that_is_no_multiple_of_32_is_refused(side):
    with pytest.raises(BadArray, match=f"must be a multiple of 32 up to 8192; got {side}"):
        expect_side(side)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_outputs_that_are_no_numbers_are_refused_with_the_reason(number):
    expect_finite("it", [None, np.zeros(3)])
    with pytest.raises(BadModel, match="it gave NaN or infinity; its file is damaged"):
        expect_finite("it", [np.zeros(3), np.array([number])])
    with pytest.raises(BadModel, match="it gave NaN or infinity; so there"):
        expect_finite("it", [np.array([number])], why="so there")
