"""Distance to a surface: places known by hand, and every triangle sampled or minimized."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from tronie.errors import BadArray
from tronie.evaluation.metrics.mesh_error import fit_move, squared_distances, surface_distances

CORNER = np.array([[0.0, 0, 0], [2, 0, 0], [0, 2, 0]])


def distance(point) -> float:
    return float(surface_distances(np.array([point], float), CORNER, np.array([[0, 1, 2]]))[0])


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ((0.5, 0.5, 3), 3.0),  # above the inside
        ((0.5, 0.5, 0), 0.0),  # on it
        ((1, -2, 0), 2.0),  # beside an edge, in the plane
        ((1, -3, 4), 5.0),  # beside and above
        ((-3, -4, 0), 5.0),  # beyond a corner
        ((2, 2, 0), np.sqrt(2)),  # beside the long edge
        ((5, 0, 0), 3.0),  # beyond another corner
    ],
)
def test_every_region_around_a_triangle(point, expected):
    assert distance(point) == pytest.approx(expected, abs=1e-12)


def test_random_triangles_agree_with_a_minimizer():
    """The nearest point is a mixture of the corners: minimize over the mixture."""
    rng = np.random.default_rng(0)
    for _ in range(25):
        corners, point = rng.normal(size=(3, 3)), 2 * rng.normal(size=3)
        found = np.sqrt(squared_distances(point[None], corners[None])[0, 0])

        def gap(weights, corners=corners, point=point):
            return ((weights @ corners - point) ** 2).sum()

        best = minimize(
            gap,
            np.full(3, 1 / 3),
            bounds=[(0, 1)] * 3,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
            options={"ftol": 1e-14},
        )
        assert found == pytest.approx(np.sqrt(best.fun), abs=1e-5)


def test_groups_change_nothing():
    """A bumpy sheet of 1,800 triangles against all pairs at once."""
    rng = np.random.default_rng(1)
    x, y = np.meshgrid(np.arange(31.0), np.arange(31.0))
    vertices = np.stack([x, y, rng.normal(size=x.shape)], axis=-1).reshape(-1, 3)
    corner = (np.arange(30)[:, None] * 31 + np.arange(30)).ravel()
    lower = np.stack([corner, corner + 1, corner + 31], axis=1)
    triangles = np.concatenate([lower, lower + np.array([1, 31, 0])])
    points = rng.uniform(-5, 35, (600, 3)) * [1, 1, 0.3]
    expected = np.sqrt(squared_distances(points, vertices[triangles]).min(axis=1))
    np.testing.assert_allclose(surface_distances(points, vertices, triangles), expected, atol=1e-12)


@pytest.mark.parametrize("triangle", [[0, 1, 1], [0, 0, 0]])
def test_a_triangle_without_area_is_the_line_or_point_that_it_is(triangle):
    point = np.array([[1.0, 3.0, 0.0]])
    expected = 3.0 if len(set(triangle)) == 2 else np.sqrt(10)
    assert surface_distances(point, CORNER, np.array([triangle]))[0] == pytest.approx(expected)


def test_no_points_have_no_distances():
    assert surface_distances(np.zeros((0, 3)), CORNER, np.array([[0, 1, 2]])).shape == (0,)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_move_is_found_again(scaled):
    rng = np.random.default_rng(2)
    source = rng.normal(size=(7, 3))
    turn, shift = Rotation.random(rng=3).as_matrix(), np.array([5.0, -2.0, 9.0])
    scale = 2.5 if scaled else 1.0
    target = scale * source @ turn.T + shift
    move = fit_move(source, target, scaled=scaled)
    np.testing.assert_allclose(move.rotation, turn, atol=1e-12)
    np.testing.assert_allclose(move.apply(source), target, atol=1e-12)
    assert move.scale == pytest.approx(scale)


def test_a_mirrored_set_is_turned_and_never_mirrored():
    source = np.random.default_rng(4).normal(size=(6, 3))
    move = fit_move(source, source * [-1, 1, 1])
    assert np.linalg.det(move.rotation) == pytest.approx(1.0)
    best, _ = Rotation.align_vectors(
        (source * [-1, 1, 1]) - (source * [-1, 1, 1]).mean(0), source - source.mean(0)
    )
    np.testing.assert_allclose(move.rotation, best.as_matrix(), atol=1e-6)


def test_points_on_a_line_leave_a_turn_open():
    with pytest.raises(BadArray, match="lie on one line"):
        fit_move(np.outer(np.arange(4.0), [1, 2, 3]), np.random.default_rng(0).normal(size=(4, 3)))


@pytest.mark.parametrize(
    ("source", "message"),
    [(np.zeros((3, 2)), r"share the shape \(K, 3\)"), (np.zeros((2, 3)), "three finite landmarks")],
)
def test_landmarks_that_do_not_fit_are_refused(source, message):
    with pytest.raises(BadArray, match=message):
        fit_move(source, source)


@pytest.mark.parametrize(
    ("points", "triangles", "message"),
    [
        (np.zeros((1, 2)), [[0, 1, 2]], r"points must have shape \(N, 3\)"),
        (np.full((1, 3), np.nan), [[0, 1, 2]], "points must .* be finite"),
        (np.zeros((1, 3)), np.zeros((0, 3), int), r"triangles must have shape \(T, 3\)"),
        (np.zeros((1, 3)), [[0, 1, 3]], "must name rows of 3 vertices; got 0 to 3"),
    ],
)
def test_surfaces_that_do_not_fit_are_refused(points, triangles, message):
    with pytest.raises(BadArray, match=message):
        surface_distances(points, CORNER, np.array(triangles))
