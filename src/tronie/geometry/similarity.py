r"""Similarity: the rotation, uniform scale and shift that best carry points onto points.

With points read as complex numbers z (from) and w (to), both without their means,

    c = sum(conj(z) * w) / sum(|z|^2)           scale = |c|, angle = arg c
    shift = mean(w) - c * mean(z)

minimizes sum |c * z + shift - w|^2. c has two real parts and enters linearly, so this is
the plain least-squares answer, with no search and no decomposition. As multiplication by
a complex number cannot reflect, neither can the result, even for mirrored input.

A matrix is [[a, -b, x], [b, a, y]] with c = a + bi; it acts on columns (x, y, 1).

Letters: K points. Leading axes are a batch.
Source: Umeyama, "Least-squares estimation of transformation parameters between two point
patterns", PAMI 1991.
Differs from the source: in two dimensions its singular value decomposition is not needed;
the optimum is the same (a test compares both).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray

Floats = NDArray[np.floating[Any]]

_SAME_PLACE = 1e-12  # spread of points, relative to their coordinates, that is only rounding


def fit_similarity(source: Floats, target: Floats) -> NDArray[np.float64]:
    """Matrices (..., 2, 3) that carry `source` onto `target` with the least squared error.

    Args:
        source: Shape (..., K, 2), K of at least 2.
        target: Shape (K, 2), the same for all, or of the shape of `source`.

    Returns:
        float64, shape (..., 2, 3): use with `apply_affine`.

    Raises:
        BadArray: shapes that do not fit, a value that is not finite, or source points
            that all lie in one place, so that no scale can be found.

    Example:
        >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        >>> fit_similarity(square, 2 * square + 5).round(9) + 0.0
        array([[2., 0., 5.],
               [0., 2., 5.]])
    """
    if source.ndim < 2 or source.shape[-1] != 2 or source.shape[-2] < 2:
        raise BadArray(f"source must have shape (..., K, 2), K >= 2; got shape {source.shape}")
    if target.shape not in (source.shape, source.shape[-2:]):
        raise BadArray(
            f"target must have shape {source.shape[-2:]} or that of the source, {source.shape};"
            f" got shape {target.shape}"
        )
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise BadArray("points must be finite to be aligned; got NaN or infinity")

    z, w = _complex(source), _complex(target)
    z_mean, w_mean = z.mean(axis=-1, keepdims=True), w.mean(axis=-1, keepdims=True)
    z, w = z - z_mean, w - w_mean
    spread = (np.abs(z) ** 2).sum(axis=-1)
    _refuse_single_places(spread, z_mean[..., 0])

    c = (np.conj(z) * w).sum(axis=-1) / spread
    shift = w_mean[..., 0] - c * z_mean[..., 0]
    rows = [np.stack([c.real, -c.imag, shift.real], axis=-1)]
    rows += [np.stack([c.imag, c.real, shift.imag], axis=-1)]
    return np.stack(rows, axis=-2)


def apply_affine(points: Floats, matrices: Floats) -> NDArray[np.float64]:
    """The points (..., K, 2) under matrices (..., 2, 3); leading axes broadcast.

    Raises:
        BadArray: `points` does not end in (K, 2), or `matrices` in (2, 3).
    """
    if points.ndim < 2 or points.shape[-1] != 2:
        raise BadArray(f"points must have shape (..., K, 2); got shape {points.shape}")
    _expect_matrices(matrices)
    turned = points.astype(np.float64) @ np.swapaxes(matrices[..., :2], -1, -2)
    return np.asarray(turned + matrices[..., None, :, 2], np.float64)


def _complex(points: Floats) -> NDArray[np.complex128]:
    exact = points.astype(np.float64)
    return np.asarray(exact[..., 0] + 1j * exact[..., 1])


def _refuse_single_places(spread: NDArray[np.float64], center: NDArray[np.complex128]) -> None:
    single = np.atleast_1d(np.sqrt(spread) <= _SAME_PLACE * np.abs(center))
    if single.any():
        raise BadArray(
            f"all points of {int(single.sum())} of {single.size} sets lie in one place"
            f" (first: set {int(np.argmax(single))}), so no similarity can be fitted"
        )


def _expect_matrices(matrices: Floats) -> None:
    if matrices.ndim < 2 or matrices.shape[-2:] != (2, 3):
        raise BadArray(f"matrices must have shape (..., 2, 3); got shape {matrices.shape}")
