"""Head pose: a generic face turned by known angles is read back."""

import json

import numpy as np
import pytest
from scipy.optimize import least_squares

from tronie.errors import BadArray
from tronie.geometry.alignment import five_point_template
from tronie.geometry.landmarks import mirror
from tronie.geometry.rotation import (
    FIVE_POINT_FACE,
    angles_from_matrix,
    matrix_from_angles,
    pose_from_five_points,
)

FACE = np.array(FIVE_POINT_FACE)
NOSE = np.array([0.0, 0.0, -1.0])  # the way a face looks when all angles are 0


def some_angles(seed, count=200):
    return np.random.default_rng(seed).uniform(-1, 1, (count, 3)) * [1.4, 1.4, 3.1]


def photographs(angles, seed):
    """The face under each pose, seen without perspective at some size and place."""
    rng = np.random.default_rng(seed)
    turned = FACE @ np.swapaxes(matrix_from_angles(angles), 1, 2)
    size, place = (
        rng.uniform(5, 300, (len(angles), 1, 1)),
        rng.uniform(0, 2000, (len(angles), 1, 2)),
    )
    return size * turned[..., :2] + place


def test_known_angles_are_read_back_from_five_points():
    angles = some_angles(0)
    np.testing.assert_allclose(pose_from_five_points(photographs(angles, 1)), angles, atol=1e-6)


def test_a_face_that_turns_to_the_images_right_has_positive_yaw():
    turned = matrix_from_angles(np.array([0.5, 0.0, 0.0])) @ NOSE
    assert turned[0] == pytest.approx(np.sin(0.5))  # x grows to the right
    frontal, right = FACE[2, 0], (matrix_from_angles(np.array([0.5, 0, 0])) @ FACE[2])[0]
    assert right > frontal


def test_a_face_that_looks_up_has_positive_pitch():
    assert (matrix_from_angles(np.array([0.0, 0.5, 0.0])) @ NOSE)[1] == pytest.approx(-np.sin(0.5))


def test_a_head_tilted_clockwise_in_the_image_has_positive_roll():
    eyes = FACE[:2] @ matrix_from_angles(np.array([0.0, 0.0, 0.3])).T
    assert np.arctan2(*(eyes[1] - eyes[0])[[1, 0]]) == pytest.approx(0.3)  # y grows downward


def test_turning_the_photograph_changes_roll_alone():
    angles = some_angles(2, count=30) * [1, 1, 0.5]
    points = photographs(angles, 3)
    c, s = np.cos(0.4), np.sin(0.4)
    turned = pose_from_five_points(points @ np.array([[c, -s], [s, c]]).T)
    np.testing.assert_allclose(turned, angles + np.array([0, 0, 0.4]), atol=1e-6)


def test_mirroring_the_photograph_changes_the_signs_of_yaw_and_roll():
    rng = np.random.default_rng(4)
    points = photographs(some_angles(4, count=30), 5) + rng.normal(size=(30, 5, 2))
    plain, flipped = pose_from_five_points(points), pose_from_five_points(mirror(points, width=640))
    np.testing.assert_allclose(flipped, plain * [-1, 1, -1], atol=1e-6)


def test_the_pose_of_disturbed_points_is_the_least_squares_one():
    rng = np.random.default_rng(6)
    angles = some_angles(6, count=15) * 0.5
    points = photographs(angles, 7)
    points += rng.normal(size=points.shape) * 0.03 * np.ptp(points, axis=(1, 2))[:, None, None]
    found = pose_from_five_points(points)
    for n in range(len(points)):

        def residual(v, seen=points[n]):
            shape = FACE @ matrix_from_angles(v[:3]).T
            return (np.exp(v[3]) * shape[:, :2] + v[4:] - seen).ravel()

        start = [*angles[n], np.log(np.ptp(points[n])), *points[n].mean(axis=0)]
        best = least_squares(residual, start, xtol=1e-14, ftol=1e-14, gtol=1e-14)
        np.testing.assert_allclose(found[n], best.x[:3], atol=1e-5)


def test_the_alignment_template_looks_straight_ahead():
    yaw, pitch, roll = np.degrees(pose_from_five_points(five_point_template()[None])[0])
    assert abs(yaw) < 1
    assert abs(roll) < 1
    assert abs(pitch) < 10  # two faces' noses differ by several degrees


def test_a_batch_is_each_face_alone_and_none_is_fine():
    points = photographs(some_angles(8, count=5), 9)
    alone = [pose_from_five_points(points[n : n + 1])[0] for n in range(5)]
    np.testing.assert_allclose(pose_from_five_points(points), alone, atol=1e-12)
    assert pose_from_five_points(np.zeros((0, 5, 2))).shape == (0, 3)


def test_angles_and_matrices_convert_into_each_other():
    angles = some_angles(10)
    matrices = matrix_from_angles(angles)
    np.testing.assert_allclose(angles_from_matrix(matrices), angles, atol=1e-9)
    np.testing.assert_allclose(
        matrices @ np.swapaxes(matrices, 1, 2), np.tile(np.eye(3), (200, 1, 1)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(matrices), 1.0)


@pytest.mark.parametrize("yaw", [np.pi / 2, -np.pi / 2])
def test_in_full_profile_roll_is_given_as_zero_and_the_matrix_is_the_same(yaw):
    matrix = matrix_from_angles(np.array([yaw, 0.3, 0.2]))
    angles = angles_from_matrix(matrix)
    assert angles[2] == 0.0
    np.testing.assert_allclose(matrix_from_angles(angles), matrix, atol=1e-9)


@pytest.mark.data
def test_the_generic_face_is_the_neutral_shape_of_ict_facekit(test_data):
    model = np.load(test_data / "face3d" / "ict_face_model_f16.npz")
    named = json.loads((test_data / "face3d" / "vertex_indices.json").read_text())
    points = model["neutral"].astype(np.float64)[named["idx_to_landmark_verts"]]
    eyes = [(points[36] + points[39]) / 2, (points[42] + points[45]) / 2]
    five = np.stack([*eyes, points[30], points[48], points[54]]) * [1, -1, -1]  # y down, z away
    five = (five + five[[1, 0, 2, 4, 3]] * [-1, 1, 1]) / 2
    five = (five - five[:2].mean(axis=0)) / np.linalg.norm(five[1] - five[0])
    np.testing.assert_allclose(FACE, five, atol=1e-5)


def test_five_points_in_one_place_are_refused():
    points = np.tile(five_point_template(), (2, 1, 1))
    points[1] = 5.0
    with pytest.raises(BadArray, match="the five points of face 1 lie in one place"):
        pose_from_five_points(points)


def test_points_that_are_not_finite_are_refused():
    with pytest.raises(BadArray, match="points must be finite to give a pose"):
        pose_from_five_points(np.full((1, 5, 2), np.nan))


def test_other_shapes_are_refused():
    with pytest.raises(BadArray, match=r"pose needs five points a face, \(N, 5, 2\)"):
        pose_from_five_points(np.zeros((1, 68, 2)))
    with pytest.raises(BadArray, match=r"angles must have shape \(\.\.\., 3\)"):
        matrix_from_angles(np.zeros((3, 2)))
    with pytest.raises(BadArray, match=r"rotations must have shape \(\.\.\., 3, 3\)"):
        angles_from_matrix(np.zeros((3, 2)))


@pytest.mark.parametrize("matrix", [np.zeros((3, 3)), 2 * np.eye(3), np.diag([1.0, 1.0, -1.0])])
def test_a_matrix_that_is_no_rotation_is_refused(matrix):
    with pytest.raises(BadArray, match="a rotation has orthonormal rows and determinant 1"):
        angles_from_matrix(matrix)
