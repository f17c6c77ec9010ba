"""Shapes of masks: where they fall, for any pose, and never on an eye."""

import numpy as np
import pytest

from tronie.data.augment.mask_shapes import SHAPES, _nearest, worn
from tronie.errors import BadArray
from tronie.geometry.alignment import five_point_template
from tronie.geometry.rotation import FIVE_POINT_FACE, matrix_from_angles

TEMPLATE = five_point_template(112)


def points(yaw=0.0, pitch=0.0, roll=0.0, *, scale=40.0, center=(100.0, 90.0)):
    """Five points of the generic face under a pose in degrees."""
    turned = np.array(FIVE_POINT_FACE) @ matrix_from_angles(np.radians([yaw, pitch, roll])).T
    return scale * turned[:, :2] + np.array(center)


def opacity(landmarks, shape, size, lowered=0.0):
    found = np.zeros(size)
    on = worn(landmarks, shape, lowered=lowered, size=size)
    if on is not None:
        found[on.rows, on.columns] = on.opacity[:, 0]
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_nose_tip_mouth_and_chin_are_covered_and_the_forehead_is_not(shape):
    covered = opacity(points(), shape, (200, 200))
    nose, left, right = points()[2:].round().astype(int)
    for x, y in (nose, left, right, (left + right) // 2):
        assert covered[y, x] == 1
    chin = round(90 + 1.6 * 40)
    assert covered[chin, 100] == 1
    assert covered[:90].max() == 0  # nothing above the line of the eyes
    assert 0.99 < covered.max() <= 1


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "pose", [(0, 0, 0), (0, 30, 75), (0, -25, 0), (-60, 20, 0), (35, -10, -75), (80, 0, 10)]
)
def test_an_eye_is_never_covered(shape, pose):
    """A disc of 0.24 eye distances, whatever the pose, and also with an edge that sits high."""
    landmarks = points(*pose)
    covered = opacity(landmarks, shape, (240, 240), lowered=-0.04)
    y, x = np.mgrid[:240, :240]
    for eye_x, eye_y in landmarks[:2]:
        near = np.hypot(x - eye_x, y - eye_y) < 0.24 * 40 - 1
        assert covered[near].max(initial=0) == 0
    assert covered.sum() > 1000


@pytest.mark.parametrize("shape", SHAPES)
def test_a_symmetric_face_has_a_symmetric_mask(shape):
    covered = opacity(points(center=(99.5, 60.0)), shape, (200, 200))
    assert np.abs(covered - covered[:, ::-1]).max() <= 0.34 + 1e-9  # three of nine parts, at edges
    assert np.abs(covered - covered[:, ::-1]).sum() < 0.004 * covered.sum()


def test_a_mirrored_face_has_the_mirrored_mask():
    one = opacity(points(30, 10, 5, center=(99.5, 80)), "surgical", (200, 200))
    other = opacity(points(-30, 10, -5, center=(99.5, 80)), "surgical", (200, 200))
    assert np.abs(one - other[:, ::-1]).sum() < 0.01 * one.sum()


def test_a_larger_face_has_a_larger_mask():
    small = opacity(points(scale=20, center=(200, 150)), "folded", (400, 400)).sum()
    large = opacity(points(scale=60, center=(200, 150)), "folded", (400, 400)).sum()
    assert large / small == pytest.approx(9, rel=0.03)


def test_a_turned_head_shows_more_of_the_side_that_faces_the_camera():
    on = worn(points(yaw=35), "surgical", lowered=0.0, size=(200, 240))
    cloth = ~np.isnan(on.u)
    shown = {side: int(((np.sign(on.u) == side) & cloth).sum()) for side in (-1, 1)}
    # yaw > 0 turns to the image's right: its left cheek faces the camera
    assert shown[-1] > 2 * shown[1]
    assert (on.normals[:, 2] < 0).all()


def test_straps_on_the_far_side_of_a_turned_head_are_hidden():
    on = worn(points(yaw=60), "surgical", lowered=0.0, size=(200, 200))
    straps = on.columns[np.isnan(on.u)]
    assert len(straps) > 20
    assert straps.max() < 100 - 0.5 * 40  # left of the near cheek: its own ear


def test_of_several_samples_in_a_part_the_nearest_is_kept():
    rng = np.random.default_rng(2)
    cells, depth = rng.integers(0, 40, 500), rng.normal(size=500)
    kept = _nearest(cells, depth)
    asked = [min(np.flatnonzero(cells == c), key=lambda n: depth[n]) for c in np.unique(cells)]
    assert kept.tolist() == asked


def test_a_lowered_edge_uncovers_the_bridge_of_the_nose_alone():
    high = opacity(TEMPLATE, "surgical", (112, 112))
    low = opacity(TEMPLATE, "surgical", (112, 112), lowered=0.12)
    assert high.sum() > low.sum()
    assert np.abs(high[85:] - low[85:]).sum() < 0.01 * high[85:].sum()


def holes(landmarks, shape, size):
    """Pixels that are not full while their four neighbors are, none of them a strap."""
    on = worn(landmarks, shape, lowered=0.0, size=size)
    covered, full = np.zeros(size, bool), np.zeros(size, bool)
    covered[on.rows, on.columns] = on.opacity[:, 0] == 1
    full[on.rows, on.columns] = (on.opacity[:, 0] == 1) & ~np.isnan(on.u)
    inner = covered[1:-1, 1:-1]
    around = full[:-2, 1:-1] & full[2:, 1:-1] & full[1:-1, :-2] & full[1:-1, 2:]
    return int((around & ~inner).sum())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [12, 60])
def test_the_surface_has_no_holes(shape, scale):
    landmarks = points(20, 10, 15, scale=scale, center=(2.5 * scale, 1.5 * scale))
    assert holes(landmarks, shape, (5 * scale, 5 * scale)) == 0


def test_only_the_part_inside_the_photograph_is_given():
    whole = opacity(points(center=(100, 60)), "surgical", (200, 200))
    cut = opacity(points(center=(30, 60)), "surgical", (100, 80))
    np.testing.assert_array_equal(cut, whole[:100, 70:150])
    assert worn(points(center=(900, 60)), "surgical", lowered=0.0, size=(100, 80)) is None


def test_what_was_asked_before_is_remembered_and_cannot_be_written_to():
    one = worn(TEMPLATE, "cup", lowered=0.0, size=(112, 112))
    assert worn(TEMPLATE.copy(), "cup", lowered=0.0, size=(112, 112)) is one
    for array in (one.rows, one.columns, one.opacity, one.u, one.v, one.normals):
        assert not array.flags.writeable


def test_other_than_five_points_are_refused():
    with pytest.raises(
        BadArray, match=r"a mask needs five points, shape \(5, 2\); got shape \(68, 2\)"
    ):
        worn(np.zeros((68, 2)), "cup", lowered=0.0, size=(112, 112))
    with pytest.raises(BadArray, match="points must be finite"):
        worn(np.full((5, 2), np.nan), "cup", lowered=0.0, size=(112, 112))
    with pytest.raises(BadArray, match="the five points of face 0 lie in one place"):
        worn(np.ones((5, 2)), "cup", lowered=0.0, size=(112, 112))
