r"""Head pose: which way a face looks, as yaw, pitch and roll in radians.

Axes are the image's: x right, y down, z away from the camera, into the picture. A face
with all angles 0 looks straight into the camera; its nose points along -z.

        yaw > 0                 pitch > 0                roll > 0
        .-----.                 .-----.                    _--_
        | o  o|                 | o  o|                  /o   o\        clockwise
        |    >|->               |  ^  |                  \  <  /  )     as seen in
        | --- |                 | --- |                   \ \_/  v      the image
        '-----'                 '-----'                     --
     turned to the            looks up                the right eye is
     image's right                                    lower than the left

    R = Rz(roll) Ry(yaw) Rx(pitch)              the face is pitched, then turned, then rolled

         | cos r  -sin r  0 |        | cos y  0  -sin y |        | 1     0       0    |
    Rz = | sin r   cos r  0 |   Ry = |   0    1     0   |   Rx = | 0   cos p   sin p  |
         |   0       0    1 |        | sin y  0   cos y |        | 0  -sin p   cos p  |

Roll comes last, so turning the photograph changes roll alone, and mirroring it changes
the signs of yaw and roll alone. Yaw lies in [-pi/2, pi/2], the others in (-pi, pi]. At a
yaw of exactly pi/2 pitch and roll turn about one axis; roll is then given as 0.

Pose from five points: weak perspective (one scale for the whole face, no vanishing point),

    minimize over scale s, rotation R and shift t:      sum |s * (R X)_xy + t - x|^2

where X is the generic face below and x the five points. Good for sorting faces into
frontal and turned; a person's own nose and mouth shift pitch by several degrees.

Letters: N faces.
Source of the face: the neutral shape of ICT-FaceKit (USC Institute for Creative
Technologies, 2020, MIT licence). Eyes are the means of their outer and inner corners
(iBUG points 36, 39 and 42, 45), the nose tip is 30, the mouth corners 48 and 54; made
symmetric, eyes at distance 1, the origin halfway between them; a test derives it anew.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]

FIVE_POINT_FACE: tuple[tuple[float, float, float], ...] = (
    (-0.5, 0.0, 0.0),
    (0.5, 0.0, 0.0),
    (0.0, 0.46584, -0.66157),
    (-0.40218, 1.08865, -0.20439),
    (0.40218, 1.08865, -0.20439),
)
"""Five points of a generic face that looks into the camera; x y z, eye distance 1."""

_STEPS = 30  # a dozen are enough for faces; the rest costs little and serves odd ones


def pose_from_five_points(landmarks: Floats) -> NDArray[np.float64]:
    """Yaw, pitch and roll of each face, in radians.

    Args:
        landmarks: Shape (N, 5, 2), x y in pixels, ordered as in `landmarks`.

    Returns:
        Shape (N, 3): the angles of the least-squares pose.

    Raises:
        BadArray: another shape, a point that is not finite, or five points in one place.
    """
    if landmarks.ndim != 3 or landmarks.shape[1:] != (5, 2):
        raise BadArray(f"pose needs five points a face, (N, 5, 2); got shape {landmarks.shape}")
    if not np.isfinite(landmarks).all():
        raise BadArray("points must be finite to give a pose; got NaN or infinity")
    face = np.array(FIVE_POINT_FACE)
    face = face - face.mean(axis=0)
    points = landmarks.astype(np.float64)
    points = points - points.mean(axis=1, keepdims=True)
    size = np.sqrt((points**2).sum(axis=(1, 2)))
    if not (size > 1e-12 * np.abs(landmarks).max(initial=0.0)).all():
        row = int(np.argmin(size))
        raise BadArray(f"the five points of face {row} lie in one place and give no pose")
    points = points / size[:, None, None]
    return angles_from_matrix(_refine(_first_guess(points, face), points, face))


def matrix_from_angles(angles: Floats) -> NDArray[np.float64]:
    """Rotation matrices (..., 3, 3) from yaw, pitch, roll (..., 3) in radians.

    Raises:
        BadArray: `angles` does not end in an axis of 3.
    """
    if angles.shape[-1:] != (3,):
        raise BadArray(f"angles must have shape (..., 3): yaw, pitch, roll; got {angles.shape}")
    exact = angles.astype(np.float64)
    sy, sp, sr = np.moveaxis(np.sin(exact), -1, 0)
    cy, cp, cr = np.moveaxis(np.cos(exact), -1, 0)
    zero, one = np.zeros_like(sy), np.ones_like(sy)
    yaw = _matrix([[cy, zero, -sy], [zero, one, zero], [sy, zero, cy]])
    pitch = _matrix([[one, zero, zero], [zero, cp, sp], [zero, -sp, cp]])
    roll = _matrix([[cr, -sr, zero], [sr, cr, zero], [zero, zero, one]])
    return np.asarray(roll @ yaw @ pitch)


def angles_from_matrix(matrices: Floats) -> NDArray[np.float64]:
    """Yaw, pitch, roll (..., 3) in radians from rotation matrices (..., 3, 3).

    Raises:
        BadArray: `matrices` does not end in (3, 3), or is no rotation to within 1e-6.
    """
    if matrices.ndim < 2 or matrices.shape[-2:] != (3, 3):
        raise BadArray(f"rotations must have shape (..., 3, 3); got shape {matrices.shape}")
    m = matrices.astype(np.float64)
    off = np.abs(m @ np.swapaxes(m, -1, -2) - np.eye(3)).max(initial=0.0)
    if not (off <= 1e-6 and (np.linalg.det(m) > 0).all()):
        raise BadArray("a rotation has orthonormal rows and determinant 1; got another matrix")
    across = np.hypot(m[..., 0, 0], m[..., 1, 0])  # cos of yaw
    turned = across < 1e-9
    pitch = np.where(
        turned,
        np.arctan2(m[..., 1, 2], m[..., 1, 1]),
        np.arctan2(-m[..., 2, 1], m[..., 2, 2]),
    )
    roll = np.where(turned, 0.0, np.arctan2(m[..., 1, 0], m[..., 0, 0]))
    return np.stack([np.arctan2(m[..., 2, 0], across), pitch, roll], axis=-1)


def _first_guess(points: Doubles, face: Doubles) -> Doubles:
    """The rotation nearest to the best affine map; exact where the points fit exactly."""
    affine = np.swapaxes(points, 1, 2) @ face @ np.linalg.inv(face.T @ face)
    u, _, vt = np.linalg.svd(affine, full_matrices=False)
    rows = u @ vt
    third = np.cross(rows[:, 0], rows[:, 1])
    return np.concatenate([rows, third[:, None, :]], axis=1)


def _refine(rotation: Doubles, points: Doubles, face: Doubles) -> Doubles:
    """Levenberg-Marquardt on rotation and scale; a step that does not help is not taken."""
    scale, error = _best_scale(rotation, points, face)
    damping = np.full(len(points), 1e-3)
    for _ in range(_STEPS):
        turned = face @ np.swapaxes(rotation, 1, 2)
        residual = (points - scale[:, None, None] * turned[..., :2]).reshape(-1, 10)
        slope = _slopes(turned, scale)
        normal = np.swapaxes(slope, 1, 2) @ slope
        normal += (damping * np.trace(normal, axis1=1, axis2=2))[:, None, None] * np.eye(4)
        pull = np.swapaxes(slope, 1, 2) @ residual[..., None]
        step = np.asarray(np.linalg.solve(normal, pull)[..., 0], np.float64)
        tried = _small_turn(step[:, :3]) @ rotation
        tried_scale, tried_error = _best_scale(tried, points, face)
        better = tried_error < error
        rotation = np.where(better[:, None, None], tried, rotation)
        scale, error = np.where(better, tried_scale, scale), np.minimum(tried_error, error)
        damping = np.where(better, damping / 10, damping * 10).clip(1e-12, 1e6)
    return rotation


def _best_scale(rotation: Doubles, points: Doubles, face: Doubles) -> tuple[Doubles, Doubles]:
    flat = (face @ np.swapaxes(rotation, 1, 2))[..., :2]
    scale = (flat * points).sum(axis=(1, 2)) / (flat**2).sum(axis=(1, 2))
    return scale, ((points - scale[:, None, None] * flat) ** 2).sum(axis=(1, 2))


def _slopes(turned: Doubles, scale: Doubles) -> Doubles:
    """How the projected points (N, 10) move with three small turns and the scale: (N, 10, 4)."""
    x, y, z = np.moveaxis(turned, -1, 0)
    zero = np.zeros_like(x)
    moves_x = scale[:, None, None] * np.stack([zero, z, -y], axis=-1)
    moves_y = scale[:, None, None] * np.stack([-z, zero, x], axis=-1)
    across = np.concatenate([moves_x, x[..., None]], axis=-1)
    down = np.concatenate([moves_y, y[..., None]], axis=-1)
    return np.stack([across, down], axis=2).reshape(len(turned), 10, 4)


def _small_turn(vector: Doubles) -> Doubles:
    """Cayley's rotation for a small turn (N, 3): orthonormal for any length of the vector."""
    x, y, z = np.moveaxis(vector / 2, -1, 0)
    zero = np.zeros_like(x)
    skew = _matrix([[zero, -z, y], [z, zero, -x], [-y, x, zero]])
    return np.asarray(np.linalg.solve(np.eye(3) - skew, np.eye(3) + skew))


def _matrix(rows: list[list[Doubles]]) -> Doubles:
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
