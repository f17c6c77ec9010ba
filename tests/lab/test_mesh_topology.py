"""The mesh: a closed count of its parts, its Laplacian, and how it is enlarged."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.mesh_topology import (  # noqa: E402 - only where torch is
    enlarging,
    face_vertices,
    grid_triangles,
    scaled_laplacian,
)

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("side", [2, 5, 9])
def test_vertices_edges_and_triangles_are_those_of_a_disc(side):
    """Euler: V - E + T = 1. Each edge inside lies in two triangles, each at the rim in one."""
    triangles = grid_triangles(side)
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    single, count = np.unique(edges, axis=0, return_counts=True)
    assert len(face_vertices(side)) - len(single) + len(triangles) == 1
    assert (count == 1).sum() == 4 * (side - 1)
    assert count.max() <= 2
    assert set(triangles.ravel()) == set(range(side**2))


def test_the_face_is_symmetric_fits_a_disc_and_its_nose_is_nearest():
    vertices = face_vertices(33).reshape(33, 33, 3)
    np.testing.assert_allclose(vertices[:, ::-1, 0], -vertices[..., 0], atol=1e-6)
    np.testing.assert_allclose(vertices[:, ::-1, 1:], vertices[..., 1:], atol=1e-6)
    assert np.abs(vertices[..., 0]).max() == pytest.approx(0.75)
    assert (((vertices[..., 0] / 0.75) ** 2 + vertices[..., 1] ** 2) < 1 + 1e-6).all()
    row, column = np.unravel_index(vertices[..., 2].argmin(), (33, 33))
    assert column == 16
    assert 14 <= row <= 18


def test_triangles_point_to_the_camera():
    vertices = face_vertices(17)
    a, b, c = (vertices[grid_triangles(17)[:, n]] for n in range(3))
    assert (np.cross(b - a, c - a)[:, 2] < 0).all()


@pytest.mark.parametrize("side", [3, 9])
def test_the_laplacian_is_degrees_less_edges_scaled_to_one(side):
    scaled = scaled_laplacian(side).astype(np.float64)
    values = np.linalg.eigvalsh(scaled)
    assert values[0] == pytest.approx(-1, abs=1e-5)
    assert values[-1] == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(scaled @ np.ones(side**2), -1, atol=1e-5)  # L 1 = 0
    middle = (side // 2) * side + side // 2
    neighbors = np.flatnonzero(np.delete(scaled[middle], middle) < -1e-9)
    assert len(neighbors) == 6


@pytest.mark.parametrize("side", [2, 5])
def test_enlarging_keeps_planes_and_the_old_vertices(side):
    larger = 2 * side - 1
    shares = enlarging(side)
    place = np.stack(np.meshgrid(*[np.linspace(0, 1, side)] * 2, indexing="ij"), -1).reshape(-1, 2)
    wanted = np.stack(np.meshgrid(*[np.linspace(0, 1, larger)] * 2, indexing="ij"), -1)
    np.testing.assert_allclose(shares @ place, wanted.reshape(-1, 2), atol=1e-6)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    old = shares.reshape(larger, larger, -1)[::2, ::2].reshape(side**2, -1)
    np.testing.assert_array_equal(old, np.eye(side**2))


def test_a_new_vertex_lies_on_an_edge_of_the_old_mesh():
    triangles = grid_triangles(4)
    edges = {tuple(sorted(pair)) for t in triangles for pair in (t[:2], t[1:], t[::2])}
    for row in enlarging(4):
        ends = np.flatnonzero(row)
        assert len(ends) == 1 or tuple(ends) in edges
