"""Distance of points from a surface of triangles, after one was moved onto the other.

    move        the rotation and shift (and scale, where asked) that bring landmarks onto
                landmarks with the least squared error
    distance    of a point to a triangle: to its plane where the foot lies inside, else to
                the nearest of its three edges

Exact for every point and triangle. Triangles are kept in small groups with a box around
each: a group whose box is farther than what was found already is not looked into.

Letters: N points, V vertices, T triangles, K landmarks. Lengths have the unit of the
coordinates; reports are in millimeters.

Source: Kabsch 1976 and Umeyama, PAMI 1991 (the move); scan-to-surface distance as in Sanyal
et al., "Learning to Regress 3D Face Shape ...", CVPR 2019 (the NoW challenge).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray

Floats = NDArray[np.floating]

GROUP = 32
"""Triangles in a group, and points that are worked on together, times eight."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Move:
    """scale * rotation @ point + shift."""

    rotation: NDArray[np.float64]
    """(3, 3), determinant 1."""
    shift: NDArray[np.float64]
    """(3,)"""
    scale: float = 1.0

    def apply(self, points: Floats) -> NDArray[np.float64]:
        """Points (N, 3), moved."""
        return np.asarray(self.scale * (points @ self.rotation.T) + self.shift, np.float64)


def fit_move(source: Floats, target: Floats, *, scaled: bool = False) -> Move:
    """The move that brings landmarks (K, 3) onto others (K, 3), least squares, no mirror.

    Args:
        scaled: Whether the size may change too. By default it is part of what is judged.

    Raises:
        BadArray: shapes that do not fit, fewer than three points, values that are not
            finite, or points on one line, which leave a turn open.
    """
    if source.shape != target.shape or source.ndim != 2 or source.shape[1:] != (3,):
        raise BadArray(f"landmarks must share the shape (K, 3); got {source.shape}, {target.shape}")
    if len(source) < 3 or not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise BadArray(f"a move needs three finite landmarks or more; got {len(source)}")
    from_mean, to_mean = (
        source.mean(axis=0, dtype=np.float64),
        target.mean(axis=0, dtype=np.float64),
    )
    centered = source - from_mean
    u, sizes, vt = np.linalg.svd((target - to_mean).T @ centered)
    spread = float((centered**2).sum())
    if spread == 0 or sizes[1] <= 1e-12 * sizes[0]:
        raise BadArray("the landmarks lie on one line, so that no rotation can be told")
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = (u * signs) @ vt
    scale = float((sizes * signs).sum() / spread) if scaled else 1.0
    return Move(rotation=rotation, shift=to_mean - scale * rotation @ from_mean, scale=scale)


def surface_distances(
    points: Floats, vertices: Floats, triangles: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Distance of each point to the nearest point of a surface, shape (N,).

    Args:
        points: Shape (N, 3).
        vertices: Shape (V, 3).
        triangles: Rows of `vertices`, shape (T, 3), from 0; any orientation, and triangles
            without area count as the lines they are.

    Raises:
        BadArray: shapes that do not fit, no triangle, a row that is not there, or a value
            that is not finite.

    Example:
        >>> floor = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
        >>> surface_distances(np.array([[0.2, 0.2, 3.0]]), floor, np.array([[0, 1, 2]]))
        array([3.])
    """
    for name, rows in (("points", points), ("vertices", vertices)):
        if rows.ndim != 2 or rows.shape[1] != 3 or not np.isfinite(rows).all():
            raise BadArray(f"{name} must have shape (N, 3) and be finite; got {rows.shape}")
    if triangles.ndim != 2 or triangles.shape[1] != 3 or len(triangles) == 0:
        raise BadArray(f"triangles must have shape (T, 3), T >= 1; got {triangles.shape}")
    if triangles.min() < 0 or triangles.max() >= len(vertices):
        raise BadArray(
            f"triangles must name rows of {len(vertices)} vertices;"
            f" got {triangles.min()} to {triangles.max()}"
        )
    corners = vertices.astype(np.float64)[triangles]
    groups = _groups(corners.mean(axis=1), GROUP)
    low = np.array([corners[g].min(axis=(0, 1)) for g in groups])
    high = np.array([corners[g].max(axis=(0, 1)) for g in groups])
    exact = points.astype(np.float64)
    squared = np.full(len(points), np.inf)
    for block in _groups(exact, 8 * GROUP):
        near = exact[block]
        # Squared distance of every point to every group's box: never above the true one.
        gap = np.maximum(np.maximum(low - near[:, None], near[:, None] - high), 0.0)
        bound = (gap**2).sum(axis=2)
        best = np.full(len(block), np.inf)
        for g in np.argsort(bound.min(axis=0)):
            open_ones = np.flatnonzero(bound[:, g] < best)
            if len(open_ones):
                found = squared_distances(near[open_ones], corners[groups[g]]).min(axis=1)
                best[open_ones] = np.minimum(best[open_ones], found)
            elif bound[:, g].min() > best.max():
                break
        squared[block] = best
    return np.asarray(np.sqrt(squared), np.float64)


def squared_distances(
    points: NDArray[np.float64], corners: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Squared distance of every point (N, 3) to every triangle (T, 3, 3): shape (N, T)."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    edges = ((a, b), (b, c), (c, a))
    result = np.minimum.reduce([_to_edge(points, p, q) for p, q in edges])
    normal = np.cross(b - a, c - a)
    length = (normal * normal).sum(axis=1)
    solid = length > 0
    offset = points[:, None] - a
    height = (offset * normal).sum(axis=2)
    inside = np.broadcast_to(solid, result.shape)
    for p, q in edges:
        side = np.cross(q - p, points[:, None] - p)
        inside = inside & ((side * normal).sum(axis=2) >= 0)
    plane = height**2 / np.where(solid, length, 1.0)
    return np.asarray(np.where(inside, np.minimum(plane, result), result))


def _to_edge(
    points: NDArray[np.float64], p: NDArray[np.float64], q: NDArray[np.float64]
) -> NDArray[np.float64]:
    along, offset = q - p, points[:, None] - p
    length = (along * along).sum(axis=1)
    share = (offset * along).sum(axis=2) / np.where(length > 0, length, 1.0)
    rest = offset - np.clip(share, 0.0, 1.0)[..., None] * along
    return np.asarray((rest * rest).sum(axis=2))


def _groups(points: NDArray[np.float64], size: int) -> list[NDArray[np.int64]]:
    """Rows of neighboring points, at most `size` each: halved along the longest side."""
    waiting, done = [np.arange(len(points))], []
    while waiting:
        rows = waiting.pop()
        if len(rows) <= size:
            done.append(rows)
            continue
        own = points[rows]
        axis = int(np.ptp(own, axis=0).argmax())
        order = rows[np.argsort(own[:, axis], kind="stable")]
        waiting += [order[: len(rows) // 2], order[len(rows) // 2 :]]
    return [rows for rows in done if len(rows)]
