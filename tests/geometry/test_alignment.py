"""Alignment: the template's size rule, and matrices against independent least squares."""

import numpy as np
import pytest

from tronie.errors import BadArray, BadInput
from tronie.geometry.alignment import alignment_matrices, crop_width_height, five_point_template
from tronie.geometry.landmarks import interocular_distance

TEMPLATE = five_point_template()


def some_faces(seed, count=30):
    """The template turned, scaled, moved and disturbed."""
    rng = np.random.default_rng(seed)
    angle, size = rng.uniform(-1, 1, count), rng.uniform(0.2, 5, count)
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], -1)
    faces = TEMPLATE @ (size[:, None] * turn).reshape(-1, 2, 2)
    return faces + rng.uniform(0, 800, (count, 1, 2)) + rng.normal(size=(count, 5, 2)) * 3


def linear_system(face, template):
    """Two rows a point for the unknowns a, b, x, y of [[a, -b, x], [b, a, y]]."""
    left = np.zeros((10, 4))
    left[0::2] = np.column_stack([face[:, 0], -face[:, 1], np.ones(5), np.zeros(5)])
    left[1::2] = np.column_stack([face[:, 1], face[:, 0], np.zeros(5), np.ones(5)])
    return left, template.reshape(10)


@pytest.mark.parametrize("size", [112, 128, 224, 256, (96, 112)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_matrices_are_the_least_squares_answer_to_1e_9(size, mirrored):
    faces = some_faces(0)
    if mirrored:
        faces = faces * [-1.0, 1.0] + [900.0, 0.0]
    found = alignment_matrices(faces, size=size)
    for face, matrix in zip(faces, found, strict=True):
        left, right = linear_system(face, five_point_template(size))
        (a, b, x, y), *_ = np.linalg.lstsq(left, right, rcond=None)
        np.testing.assert_allclose(matrix, [[a, -b, x], [b, a, y]], rtol=1e-9, atol=1e-9)


def test_float32_landmarks_give_the_matrices_of_the_same_numbers_in_float64():
    faces = some_faces(1).astype(np.float32)
    expected = alignment_matrices(faces.astype(np.float64))
    np.testing.assert_array_equal(alignment_matrices(faces), expected)
    assert expected.dtype == np.float64


def test_the_template_itself_needs_no_moving():
    identity = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    np.testing.assert_allclose(alignment_matrices(TEMPLATE[None])[0], identity, atol=1e-12)


@pytest.mark.parametrize("size", [112, 224, 336, 448, 896])
def test_multiples_of_112_scale_plainly(size):
    np.testing.assert_allclose(five_point_template(size), TEMPLATE * size / 112, rtol=1e-14)


@pytest.mark.parametrize("size", [128, 256, 384, 512])
def test_multiples_of_128_show_a_smaller_face_with_more_around_it(size):
    expected = TEMPLATE * size / 128 + [8 * size / 128, 0.0]
    np.testing.assert_allclose(five_point_template(size), expected, rtol=1e-14)
    assert interocular_distance(five_point_template(256)[None])[0] == pytest.approx(70.5, abs=0.1)


def test_the_narrow_crop_lacks_eight_pixels_on_each_side():
    np.testing.assert_allclose(five_point_template((96, 112)), TEMPLATE - [8.0, 0.0], rtol=1e-14)


def test_the_template_lies_in_its_crop_in_the_order_of_the_five_points():
    left_eye, right_eye, nose, left_mouth, right_mouth = TEMPLATE
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert left_eye[1] < nose[1] < left_mouth[1]
    assert ((TEMPLATE > 0) & (TEMPLATE < 112)).all()


def test_a_template_that_was_changed_by_its_receiver_is_not_changed_for_others():
    five_point_template()[:] = 0
    assert five_point_template().min() > 0


def test_a_size_is_a_side_or_width_and_height():
    assert crop_width_height(112) == crop_width_height((112, 112)) == (112, 112)
    assert crop_width_height((96, 112)) == (96, 112)


@pytest.mark.parametrize("size", [0, -112, 96, 100, 160, (112, 96), (112, 224)])
def test_a_size_without_a_rule_is_refused(size):
    with pytest.raises(BadInput, match=r"squares of a multiple of 112 or of 128 .* got "):
        five_point_template(size)


@pytest.mark.parametrize("shape", [(5, 2), (2, 68, 2), (1, 5, 3)])
def test_other_than_five_points_are_refused(shape):
    with pytest.raises(BadArray, match=r"five points a face, shape \(N, 5, 2\); got shape"):
        alignment_matrices(np.ones(shape))


def test_no_faces_give_no_matrices():
    assert alignment_matrices(np.zeros((0, 5, 2))).shape == (0, 2, 3)
