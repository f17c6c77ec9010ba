r"""The shapes of masks: surfaces before a generic face, and where they fall in a photograph.

Lengths are in distances between the eyes, 62 mm; axes and origin are those of `rotation`: x
right, y down, z away from the camera, the origin between the eyes. A point of a surface has two
coordinates of its own:

    u       -1 at the edge on the image's left, 0 in the middle, 1 at the right edge
    v       0 at the upper edge, 1 at the lower one

Five rows, at v = 0, 1/4, ... 1, say where its middle and its right edge are (X, Y, Z at |u| = 1,
y and z at u = 0); a polynomial through them says it for every v, and across

    x = u X         y = y + (Y - y) |u|^(1 + 1.2 v)         z = z + (Z - z) |u|^fold

so that `fold` 1 is a crease in the middle and 2 is round. The left half is the mirror image.

A photograph is seen through an affine camera: the weak perspective pose of the five points, bent
a little so that this person's own points fit better,

    minimize over B        sum |B (X, 1) - x|^2 + 0.15 |B - pose|^2           (no price on shift)

The surface is sampled finer than the pixels; of the samples that face the camera the nearest
one is kept in each of up to 3 x 3 parts of a pixel, and the share of parts that has one is the
mask's opacity there. Around each eye (0.34 by 0.24) nothing is ever covered.

Letters: M pixels that are covered.
Source of the lengths: cheeks, nose, mouth and jaw of the neutral face of ICT-FaceKit (USC
Institute for Creative Technologies, 2020, MIT licence), and masks laid on it a few mm away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray
from tronie.geometry.rotation import FIVE_POINT_FACE, matrix_from_angles, pose_from_five_points

Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One kind of mask."""

    rows: tuple[tuple[float, float, float, float, float], ...]
    """Five of (y, z, X, Y, Z), from the upper edge to the lower one."""
    fold: float
    straps: tuple[tuple[float, float, float, float], ...]
    """For each strap of the right side: v where it begins, and the point x y z it leads to."""


_EAR_UPPER, _EAR_LOWER, _NAPE = (1.16, 0.36, 0.7), (1.13, 0.72, 0.68), (1.11, 0.95, 0.75)
SHAPES: Mapping[str, Shape] = {
    "surgical": Shape(
        rows=(
            (0.24, -0.56, 0.93, 0.46, 0.13),
            (0.56, -0.74, 1.00, 0.66, 0.27),
            (0.97, -0.64, 1.00, 0.88, 0.33),
            (1.40, -0.50, 0.96, 1.10, 0.38),
            (1.83, -0.24, 0.87, 1.34, 0.42),
        ),
        fold=1.6,
        straps=((0.03, *_EAR_UPPER), (0.97, *_EAR_LOWER)),
    ),
    "folded": Shape(
        rows=(
            (0.22, -0.55, 0.90, 0.48, 0.10),
            (0.55, -0.80, 1.00, 0.68, 0.30),
            (0.95, -0.90, 1.01, 0.88, 0.36),
            (1.38, -0.68, 0.97, 1.10, 0.40),
            (1.80, -0.22, 0.86, 1.34, 0.42),
        ),
        fold=1.15,
        straps=((0.06, *_EAR_UPPER), (0.94, *_EAR_LOWER)),
    ),
    "cup": Shape(
        rows=(
            (0.22, -0.54, 0.55, 0.36, -0.10),
            (0.52, -0.88, 0.84, 0.58, 0.04),
            (0.92, -0.98, 0.91, 0.92, 0.14),
            (1.36, -0.80, 0.82, 1.28, 0.16),
            (1.72, -0.30, 0.55, 1.58, 0.06),
        ),
        fold=2.0,
        straps=((0.28, *_EAR_UPPER), (0.62, *_NAPE)),
    ),
    "cloth": Shape(
        rows=(
            (0.20, -0.53, 0.98, 0.44, 0.20),
            (0.55, -0.74, 1.05, 0.66, 0.36),
            (0.97, -0.66, 1.05, 0.90, 0.42),
            (1.42, -0.52, 1.00, 1.16, 0.44),
            (1.86, -0.20, 0.88, 1.44, 0.44),
        ),
        fold=1.4,
        straps=((0.05, *_EAR_UPPER), (0.95, *_EAR_LOWER)),
    ),
    "scarf": Shape(
        rows=(
            (0.28, -0.60, 1.17, 0.36, 0.72),
            (0.75, -0.72, 1.16, 0.80, 0.70),
            (1.25, -0.56, 1.08, 1.30, 0.62),
            (1.75, -0.36, 0.98, 1.78, 0.60),
            (2.25, -0.10, 0.95, 2.25, 0.62),
        ),
        fold=1.7,
        straps=(),
    ),
}
"""Each kind of mask by its name. A scarf is a tube that goes around the neck."""

_STRAIGHT, _ROUND = 1.0, 1.2  # the upper edge, and how much rounder the lower one is
_NOSE_SLOPE = 0.6  # how much the nose comes forward, a length down
_ROUNDING = 0.06  # of the ridge, so that it has a normal
_STRAP_WIDTH = 0.03
_EYE_HALF_WIDTH, _EYE_HALF_HEIGHT = 0.34, 0.24
_STIFFNESS = 0.15
_MESH = 49
_MOST_PARTS = 800  # of pixels, down a mask
_MOST_SAMPLES = 2001  # along a side; faces have fewer, five points that are no face may not
_KEPT = 32


@dataclass(frozen=True, eq=False, kw_only=True)
class Worn:
    """The pixels of a photograph that a mask covers, (M, ...) each. Arrays are read-only."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    opacity: Doubles
    """How much of the pixel is covered, in (0, 1], (M, 1)."""
    u: Doubles
    v: Doubles
    """Which point of the surface covers it, the mean over the pixel; NaN on straps."""
    normals: Doubles
    """The way it faces there, (M, 3), in the camera's axes, about of length 1."""
    pixel: float
    """How long a pixel is on the surface, in steps of v."""


def worn(
    landmarks: NDArray[np.floating[Any]], shape: str, *, lowered: float, size: tuple[int, int]
) -> Worn | None:
    """Where a mask covers a photograph; None where it covers nothing of it.

    What is asked for again with the same values is remembered, 32 answers in all: training
    on aligned crops asks for the same few again and again.

    Args:
        landmarks: Shape (5, 2), x y in pixels, ordered as in `tronie.geometry.landmarks`.
        shape: One of `SHAPES`.
        lowered: How far down the nose the upper edge has slipped, in eye distances.
        size: Height and width of the photograph.

    Raises:
        BadArray: another shape, a point that is not finite, or five points in one place.
    """
    if landmarks.shape != (5, 2):
        raise BadArray(f"a mask needs five points, shape (5, 2); got shape {landmarks.shape}")
    points = tuple(float(value) for value in landmarks.reshape(10))
    return _worn(points, shape, float(lowered), size)


@lru_cache(maxsize=_KEPT)
def _worn(
    points: tuple[float, ...], shape: str, lowered: float, size: tuple[int, int]
) -> Worn | None:
    camera = _camera(np.array(points).reshape(5, 2))
    samples, extent = _sampled(camera, SHAPES[shape], lowered)
    samples = _visible(samples, camera, size)
    if len(samples.u) == 0:
        return None
    parts = _parts(extent)
    cells = np.floor((samples.seen + 0.5) * parts).astype(np.int64)
    nearest = _nearest(cells[:, 1] * (size[1] * parts) + cells[:, 0], samples.depth)
    samples = _Samples(*(column[nearest] for column in samples))
    pixels = cells[nearest] // parts
    pixel, of = np.unique(pixels[:, 1] * size[1] + pixels[:, 0], return_inverse=True)
    strap = np.isnan(samples.u)
    count = np.bincount(of)
    cloth = np.bincount(of, ~strap)
    means = [
        np.where(cloth > count / 2, np.bincount(of, np.where(strap, 0, x)) / cloth.clip(1), np.nan)
        for x in (samples.u, samples.v)
    ]
    found = Worn(
        rows=pixel // size[1],
        columns=pixel % size[1],
        opacity=(count / parts**2)[:, None],
        u=means[0],
        v=means[1],
        normals=np.stack([np.bincount(of, n) / count for n in samples.normals.T], axis=1),
        pixel=1 / extent,
    )
    for array in (found.rows, found.columns, found.opacity, found.u, found.v, found.normals):
        array.setflags(write=False)
    return found


@dataclass(frozen=True, eq=False, kw_only=True)
class _Camera:
    """x = matrix X + shift, in pixels; depth along the third row of `rotation`."""

    matrix: Doubles
    shift: Doubles
    rotation: Doubles
    scale: float
    """Pixels an eye distance, for a face that looks into the camera."""
    roll: float
    eyes: Doubles


class _Samples(NamedTuple):
    """Points of a surface, (M, ...) each."""

    seen: Doubles
    depth: Doubles
    normals: Doubles
    u: Doubles
    v: Doubles


def _camera(points: Doubles) -> _Camera:
    angles = pose_from_five_points(points[None])[0]
    rotation = matrix_from_angles(angles)
    face = np.array(FIVE_POINT_FACE)
    flat = (face @ rotation.T)[:, :2]
    flat, centered = flat - flat.mean(axis=0), points - points.mean(axis=0)
    scale = float((flat * centered).sum() / (flat**2).sum())
    pose = np.zeros((4, 2))
    pose[:3] = scale * rotation[:2].T
    known = np.column_stack([face, np.ones(5)])
    price = np.diag([_STIFFNESS, _STIFFNESS, _STIFFNESS, 0.0])
    solved = np.linalg.solve(known.T @ known + price, known.T @ points + price @ pose)
    return _Camera(
        matrix=solved[:3].T,
        shift=solved[3],
        rotation=rotation,
        scale=scale,
        roll=float(angles[2]),
        eyes=points[:2],
    )


def _sampled(camera: _Camera, shape: Shape, lowered: float) -> tuple[_Samples, float]:
    """Samples of the surface and its straps, and how many pixels the surface is high."""
    u, v = np.meshgrid(np.linspace(-1, 1, _MESH), np.linspace(0, 1, _MESH))
    mesh = _surface(shape, u, v, lowered)
    flat = mesh @ camera.matrix.T
    across, down = (_longest(np.diff(flat, axis=axis)) * (_MESH - 1) for axis in (1, 0))
    parts = _parts(down)
    pieces = [_samples(camera, mesh, u, v, _count(down * parts), _count(across * parts))]
    for begins, *ends in shape.straps:
        start = _surface(shape, np.ones((1, 1)), np.full((1, 1), begins), lowered)[0, 0]
        pieces += _strap(camera, start, np.array(ends), parts)
    return _Samples(*(np.concatenate(column) for column in zip(*pieces, strict=True))), down


def _surface(shape: Shape, u: Doubles, v: Doubles, lowered: float) -> Doubles:
    """The points (..., 3) of the surface at u, v (...)."""
    at = np.vander(np.linspace(0, 1, 5), increasing=True)
    powers = np.vander(v.ravel(), 5, increasing=True)
    values = (powers @ np.linalg.solve(at, np.array(shape.rows))).T.reshape(5, *v.shape)
    middle_y, middle_z, edge_x, edge_y, edge_z = values
    slipped = lowered * (1 - v) ** 2
    middle_y, middle_z = middle_y + slipped, middle_z - _NOSE_SLOPE * slipped
    side = (np.sqrt(u**2 + _ROUNDING**2) - _ROUNDING) / (np.hypot(1, _ROUNDING) - _ROUNDING)
    y = middle_y + (edge_y - middle_y) * side ** (_STRAIGHT + _ROUND * v)
    z = middle_z + (edge_z - middle_z) * side**shape.fold
    return np.stack([edge_x * u, y, z], axis=-1)


def _strap(camera: _Camera, start: Doubles, end: Doubles, parts: int) -> list[_Samples]:
    """A band from the mask's edge to the ear, on both sides of the face."""
    way = end - start
    upright = np.array([0.0, 1.0, 0.0]) - way * way[1] / (way @ way)
    upright *= _STRAP_WIDTH / np.linalg.norm(upright)
    across, along = np.meshgrid(np.array([-0.5, 0.5]), np.array([1.0, 0.0]))
    right = start + along[..., None] * way + across[..., None] * upright
    left = (right * [-1.0, 1.0, 1.0])[:, ::-1]  # the other way round, to face outwards too
    nowhere = np.full((2, 2), np.nan)
    long = _count(parts * camera.scale * float(np.linalg.norm(way)))
    wide = _count(parts * camera.scale * _STRAP_WIDTH)
    return [_samples(camera, band, nowhere, nowhere, long, wide) for band in (right, left)]


def _samples(
    camera: _Camera, mesh: Doubles, u: Doubles, v: Doubles, rows: int, columns: int
) -> _Samples:
    """What the camera sees of a mesh (a, b, 3), spread bilinearly to `rows` x `columns` points."""
    normals = np.cross(np.gradient(mesh, axis=0), np.gradient(mesh, axis=1))
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    seen = mesh @ camera.matrix.T + camera.shift
    depth = mesh @ camera.rotation[2]
    known = np.concatenate(
        [seen, depth[..., None], normals @ camera.rotation.T, u[..., None], v[..., None]], axis=2
    )
    down, across = _spread(len(mesh), rows), _spread(mesh.shape[1], columns)
    half = np.tensordot(down, known, axes=(1, 0))
    spread = np.tensordot(across, half, axes=(1, 1)).reshape(-1, known.shape[2])
    return _Samples(spread[:, :2], spread[:, 2], spread[:, 3:6], spread[:, 6], spread[:, 7])


def _spread(few: int, many: int) -> Doubles:
    """The matrix (many, few) that interpolates evenly spaced values linearly."""
    at = np.linspace(0, few - 1, many)
    return np.asarray((1 - np.abs(at[:, None] - np.arange(few))).clip(0))


def _visible(samples: _Samples, camera: _Camera, size: tuple[int, int]) -> _Samples:
    """Those inside the photograph that face the camera and are not at an eye."""
    inside = (samples.seen >= -0.5) & (samples.seen < np.array([size[1], size[0]]) - 0.5)
    kept = inside.all(axis=1) & (samples.normals[:, 2] < 0)
    kept &= ~_near_an_eye(samples.seen, camera)
    return _Samples(*(column[kept] for column in samples))


def _nearest(cells: NDArray[np.int64], depth: Doubles) -> NDArray[np.int64]:
    """Of the samples in each cell the one of the least depth: indices, sorted by cell."""
    share = (depth - depth.min()) / max(float(np.ptp(depth)), 1e-12)
    order = np.argsort(cells + 0.999 * share, kind="stable")
    first = np.ones(len(order), np.bool_)
    first[1:] = cells[order[1:]] != cells[order[:-1]]
    return np.asarray(order[first])


def _near_an_eye(seen: Doubles, camera: _Camera) -> NDArray[np.bool_]:
    """Which points lie within the ellipse around either eye."""
    c, s = math.cos(camera.roll), math.sin(camera.roll)
    inside = np.zeros(len(seen), np.bool_)
    for eye in camera.eyes:
        away = (seen - eye) / camera.scale
        across, down = away[:, 0] * c + away[:, 1] * s, away[:, 1] * c - away[:, 0] * s
        inside |= (across / _EYE_HALF_WIDTH) ** 2 + (down / _EYE_HALF_HEIGHT) ** 2 < 1
    return inside


def _longest(steps: Doubles) -> float:
    return float(np.linalg.norm(steps, axis=-1).max())


def _parts(extent: float) -> int:
    """How many parts a pixel's side has."""
    return next((parts for parts in (3, 2) if parts * extent <= _MOST_PARTS), 1)


def _count(length: float) -> int:
    """An odd number of samples for a length in parts, close enough to leave no part out."""
    return min(2 * math.ceil(0.8 * length) + 3, _MOST_SAMPLES)
