"""Reconstructions against scans, in millimeters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tronie.errors import NotEnoughData
from tronie.evaluation.protocols.mesh_distance import PROTOCOL, Scan

SQUARE = np.array([[0.0, 0, 0], [100, 0, 0], [100, 100, 0], [0, 100, 0]])
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]])
TURN = Rotation.from_euler("xyz", [0.3, -0.4, 1.0]).as_matrix()


def scan(size: float = 1.0) -> Scan:
    """Points 3 mm above, 4 mm below and 12 mm beside a square that lies elsewhere, turned."""
    elsewhere = size * SQUARE @ TURN.T + [7, 8, 9]
    return Scan(
        points=np.array([[10.0, 10, 3], [50, 60, -4], [-12, 50, 0]]),
        landmarks=SQUARE,
        vertices=elsewhere,
        triangles=TRIANGLES,
        found_landmarks=elsewhere,
    )


def test_distances_are_those_after_the_move():
    values = PROTOCOL.score([scan()]).values
    assert values["median"].value == pytest.approx(4.0)
    assert values["mean"].value == pytest.approx(19 / 3)
    assert values["rmse"].value == pytest.approx(np.sqrt(169 / 3))
    assert {values[k].unit for k in ("median", "mean", "std", "rmse")} == {"millimeters"}
    assert (values["points"].value, values["scans"].value) == (3, 1)


def test_size_is_judged_unless_it_is_fitted():
    assert PROTOCOL.score([scan(1.1)]).values["mean"].value < 19 / 3 - 1  # it reaches the third
    report = PROTOCOL.score([scan(1.1)], scaled=True)
    assert report.values["mean"].value == pytest.approx(19 / 3)
    assert report.notes == ("aligned by landmarks, size fitted",)


def test_no_scan_has_no_distance():
    with pytest.raises(NotEnoughData, match="got none in 0 scans"):
        PROTOCOL.score([])
