r"""Overlap of a drawn ellipse with a rectangle or with another ellipse, by exact area.

An affine map turns an ellipse into the unit circle; a rectangle becomes a parallelogram, and
all areas are divided by the two radii. The area that a circle shares with a polygon is the
sum over its edges of the area shared with the triangle (center, edge), counted with sign:

    both ends inside     half the cross product of the ends
    outside the circle   half the angle between the ends
    otherwise            the parts before, inside and after the two crossings

Nothing is sampled, so a rectangle's overlap is exact to rounding. An ellipse that a detector
gave is taken as a polygon of `SIDES` sides and equal area: its overlap with another is exact
to about 1e-5. Photographs' borders cut neither region unless their sizes are given.

Letters: N found regions, M faces. An ellipse is (major radius, minor radius, angle, x, y);
the angle in radians, from the x axis towards the y axis.

Source: the overlap ratio of Jain and Learned-Miller, "FDDB", UM-CS-2010-009, equation 2.
Differs from its program: that paints both regions into the photograph and counts pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray

SIDES = 1024


def region_iou(
    shapes: NDArray[np.floating],
    ellipses: NDArray[np.floating],
    *,
    size: tuple[float, float] | None = None,
) -> NDArray[np.float64]:
    """Area shared over area covered, of every found region with every face.

    Args:
        shapes: Rectangles (N, 4), x1 y1 x2 y2, or ellipses (N, 5).
        ellipses: The faces, shape (M, 5).
        size: Width and height of the photograph; regions are cut to it. Default: not cut.

    Returns:
        Shape (N, M), in [0, 1].

    Raises:
        BadArray: another shape, a value that is not finite, or a radius not above zero.

    Example:
        >>> circle = np.array([[1.0, 1.0, 0.0, 0.0, 0.0]])
        >>> round(float(region_iou(np.array([[-1.0, -1.0, 1.0, 1.0]]), circle)[0, 0]), 4)
        0.7854
    """
    for name, rows, widths in (("shapes", shapes, (4, 5)), ("ellipses", ellipses, (5,))):
        if rows.ndim != 2 or rows.shape[1] not in widths or not np.isfinite(rows).all():
            raise BadArray(
                f"{name} must have shape (N, {' or '.join(map(str, widths))}) and be finite;"
                f" got shape {rows.shape}"
            )
        if rows.shape[1] == 5 and not (rows[:, :2] > 0).all():
            raise BadArray(f"the radii of {name} must be above 0")
    faces = ellipses.astype(np.float64)
    polygons = [_cut(_outline(shape), size) for shape in shapes.astype(np.float64)]
    own = np.array([polygon_area(polygon) for polygon in polygons])
    whole = np.array([_face_area(face, size) for face in faces])
    shared = np.zeros((len(polygons), len(faces)))
    for m, face in enumerate(faces):
        for n, polygon in enumerate(polygons):
            if _near(polygon, face):
                shared[n, m] = shared_area(face, polygon)
    covered = own[:, None] + whole - shared
    ratio = np.zeros_like(shared)
    np.divide(shared, covered, out=ratio, where=covered > 0)
    return np.asarray(np.clip(ratio, 0.0, 1.0), np.float64)


def shared_area(ellipse: NDArray[np.float64], polygon: NDArray[np.float64]) -> float:
    """Area that an ellipse (5,) shares with a polygon (K, 2), in square pixels."""
    if len(polygon) < 3:
        return 0.0
    major, minor, angle, x, y = ellipse
    turned = _turn(polygon - np.array([x, y]), -angle)
    ends = turned / np.array([major, minor])
    area = _circle_edges(ends, np.roll(ends, -1, axis=0)).sum()
    return float(abs(area) * major * minor)


def polygon_area(polygon: NDArray[np.float64]) -> float:
    """Area of a polygon (K, 2) by the shoelace sum, without sign."""
    if len(polygon) < 3:
        return 0.0
    return abs(float(_cross(polygon, np.roll(polygon, -1, axis=0)).sum())) / 2


def _circle_edges(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signed area shared by the unit circle and the triangles (0, a, b)."""
    along = b - a
    squared = np.maximum((along * along).sum(axis=1), np.finfo(np.float64).tiny)
    middle = -(a * along).sum(axis=1) / squared
    # Where the line comes nearest to the center, and how far from there it stays inside.
    gap = ((a + middle[:, None] * along) ** 2).sum(axis=1)
    half = np.sqrt(np.maximum(1.0 - gap, 0.0) / squared)
    enter, leave = np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)
    p, q = a + enter[:, None] * along, a + leave[:, None] * along
    return np.asarray((_angle(a, p) + _cross(p, q) + _angle(q, b)) / 2)


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def _angle(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.arctan2(_cross(a, b), (a * b).sum(axis=1)))


def _turn(points: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.array([[c, s], [-s, c]]), np.float64)


def _outline(shape: NDArray[np.float64]) -> NDArray[np.float64]:
    """The corners of a rectangle, or an ellipse as a polygon of the same area."""
    if len(shape) == 4:
        x1, y1, x2, y2 = shape
        return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
    major, minor, angle, x, y = shape
    steps = 2 * np.pi * np.arange(SIDES) / SIDES
    grown = np.sqrt(2 * np.pi / (SIDES * np.sin(2 * np.pi / SIDES)))
    round_ = grown * np.stack([major * np.cos(steps), minor * np.sin(steps)], axis=1)
    return np.asarray(_turn(round_, angle) + np.array([x, y]), np.float64)


def _face_area(face: NDArray[np.float64], size: tuple[float, float] | None) -> float:
    if size is None:
        return float(np.pi * face[0] * face[1])
    return shared_area(face, _outline(np.array([0.0, 0.0, *size])))


def _cut(polygon: NDArray[np.float64], size: tuple[float, float] | None) -> NDArray[np.float64]:
    """A convex polygon cut to a photograph, half-plane by half-plane."""
    if size is None:
        return polygon
    for axis, sign, limit in ((0, 1, 0.0), (0, -1, size[0]), (1, 1, 0.0), (1, -1, size[1])):
        if len(polygon) == 0:
            break
        depth = sign * (polygon[:, axis] - limit)
        kept = []
        for n in range(len(polygon)):
            here, there = depth[n - 1], depth[n]
            if (here < 0) != (there < 0):
                share = here / (here - there)
                kept.append(polygon[n - 1] + share * (polygon[n] - polygon[n - 1]))
            if there >= 0:
                kept.append(polygon[n])
        polygon = np.array(kept).reshape(-1, 2)
    return polygon


def _near(polygon: NDArray[np.float64], face: NDArray[np.float64]) -> bool:
    """Whether a polygon's bounding box comes within the face's greatest radius."""
    if len(polygon) == 0:
        return False
    reach = face[:2].max()
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    return bool((low <= face[3:] + reach).all() and (high >= face[3:] - reach).all())
