"""Reconstructed faces: distance of a scan's points from the surface, in millimeters.

    median, mean, std, rmse     over the points of all scans
    points, scans               how many

The reconstruction is moved onto each scan by landmarks, turned and shifted only: its size is
part of what is judged, unless `scaled`. Distances go from the scan to the surface, so that
parts of a head that were not scanned do not count.

Inputs, one `Scan` each: points of the scan (N, 3) in millimeters, and the landmarks on it
(K, 3); vertices (V, 3), triangles (T, 3) and landmarks (K, 3) of the reconstruction.

Source: Sanyal et al., "Learning to Regress 3D Face Shape and Expression from an Image without
3D Supervision", CVPR 2019 (the NoW challenge). Differs from it: no second, iterated
alignment follows the landmarks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tronie.errors import NotEnoughData
from tronie.evaluation.metrics.mesh_error import fit_move, surface_distances
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report, Value
from tronie.provenance import Provenance


@dataclass(frozen=True, eq=False, kw_only=True)
class Scan:
    """A scan, and what was reconstructed for it."""

    points: NDArray[np.floating]
    """(N, 3), millimeters."""
    landmarks: NDArray[np.floating]
    """(K, 3), millimeters, on the scan."""
    vertices: NDArray[np.floating]
    """(V, 3), in the reconstruction's own place and, unless scaled, in millimeters."""
    triangles: NDArray[np.integer]
    """(T, 3), rows of `vertices`."""
    found_landmarks: NDArray[np.floating]
    """(K, 3), on the reconstruction."""


def score(
    scans: Iterable[Scan], *, scaled: bool = False, provenance: Provenance | None = None
) -> Report:
    """Judge reconstructions by their distance from scans.

    Args:
        scans: One at a time in memory.
        scaled: Whether each reconstruction may be enlarged to fit its landmarks.

    Raises:
        BadArray: shapes that do not fit, or landmarks on one line.
        NotEnoughData: no scan, or none with a point.
    """
    parts = []
    for scan in scans:
        move = fit_move(scan.found_landmarks, scan.landmarks, scaled=scaled)
        parts.append(surface_distances(scan.points, move.apply(scan.vertices), scan.triangles))
    distances = np.concatenate([np.zeros(0), *parts])
    if len(distances) == 0:
        raise NotEnoughData(f"need a point of a scan to judge; got none in {len(parts)} scans")
    measured = {
        "median": np.median(distances),
        "mean": distances.mean(),
        "std": distances.std(),
        "rmse": np.sqrt((distances**2).mean()),
    }
    values = {key: Value(value=float(v), unit="millimeters") for key, v in measured.items()}
    values["points"] = Value(value=len(distances), unit="points")
    values["scans"] = Value(value=len(parts), unit="scans")
    return Report(
        name=PROTOCOL.name,
        version=PROTOCOL.version,
        values=values,
        notes=(f"aligned by landmarks, size {'fitted' if scaled else 'as reconstructed'}",),
        provenance=provenance,
    )


PROTOCOL = Protocol(
    name="mesh-distance",
    version="1",
    source="Sanyal et al., the NoW challenge, CVPR 2019 (scan to surface, millimeters)",
    needs=("scans with landmarks, and a mesh with the same landmarks for each",),
    score=score,
)
