r"""A simple face-like mesh, drawn by a formula: vertices on a grid, at several resolutions.

    place    row r and column c of a grid of s x s, as v and u in [-1, 1]
    outline  a square is bent to a disc, x = u sqrt(1 - v^2 / 2), y = v sqrt(1 - u^2 / 2), and the
             disc to an oval of width 3/4
    depth    z = -0.6 sqrt(1 - 0.9 r^2) - 0.25 exp(-(x / 0.15)^2 - ((y - 0.05) / 0.3)^2): a bowl,
             and a nose

x points right, y down and z away from whoever looks, so that the nose comes toward the camera. Each
square of the grid is two triangles, whose corners are ordered so that (b - a) x (c - a) points out.

It is nobody's head: no scan, no morphable model, no published topology. It gives the dense branch
something to bend, and promises nothing about anatomy.

    Laplacian    L = D - E, degrees less edges; scaled to 2 L / largest eigenvalue - 1
    enlarging    a grid of s x s to one of (2s - 1)^2: old vertices stay, new ones lie at the middle
                 of two old ones (along an edge of a triangle, so that planes stay planes)

Source: the Laplacian of RetinaFace, CVPR 2020, arXiv:1905.00641, section 3.2, where CoMA has the
normalized one; the rest is tronie's own.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def face_vertices(side: int) -> NDArray[np.float32]:
    """(side^2, 3) x y z of the surface above, row by row."""
    v, u = np.meshgrid(*[np.linspace(-1, 1, side)] * 2, indexing="ij")
    x = 0.75 * u * np.sqrt(1 - v**2 / 2)
    y = v * np.sqrt(1 - u**2 / 2)
    square = np.minimum((x / 0.75) ** 2 + y**2, 1)
    nose = 0.25 * np.exp(-((x / 0.15) ** 2) - ((y - 0.05) / 0.3) ** 2)
    z = -0.6 * np.sqrt(1 - 0.9 * square) - nose
    return np.stack([x, y, z], axis=-1).reshape(-1, 3).astype(np.float32)


def grid_triangles(side: int) -> NDArray[np.int64]:
    """(2 (side - 1)^2, 3) rows of vertices."""
    index = np.arange(side**2).reshape(side, side)
    a, b = index[:-1, :-1].ravel(), index[:-1, 1:].ravel()
    c, d = index[1:, :-1].ravel(), index[1:, 1:].ravel()
    return np.concatenate([np.stack([a, c, b], axis=1), np.stack([b, c, d], axis=1)])


@lru_cache(maxsize=8)
def scaled_laplacian(side: int) -> NDArray[np.float32]:
    """(side^2, side^2) of the grid's edges, with eigenvalues from -1 to 1; not to be written to."""
    triangles = grid_triangles(side)
    edges = np.zeros((side**2, side**2))
    for first, second in ((0, 1), (1, 2), (2, 0)):
        edges[triangles[:, first], triangles[:, second]] = 1
        edges[triangles[:, second], triangles[:, first]] = 1
    laplacian = np.diag(edges.sum(axis=1)) - edges
    largest = np.linalg.eigvalsh(laplacian)[-1]
    scaled: NDArray[np.float32] = (2 * laplacian / largest - np.eye(side**2)).astype(np.float32)
    scaled.setflags(write=False)
    return scaled


def enlarging(side: int) -> NDArray[np.float32]:
    """((2 side - 1)^2, side^2): each row holds the shares of the old vertices in a new one."""
    larger = 2 * side - 1
    result = np.zeros((larger, larger, side, side), dtype=np.float32)
    for row in range(larger):
        for column in range(larger):
            up, left = row // 2, column // 2
            down, right = up + row % 2, left + column % 2
            # A new vertex inside a square lies on the edge that its triangles share.
            result[row, column, up, right] += 0.5
            result[row, column, down, left] += 0.5
    return result.reshape(larger**2, side**2)
