"""Face scales: the published shares of WIDER FACE, and which sizes the crop strategies make."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.data.augment.data_anchors import data_anchor_window
from tronie.data.augment.face_photo import boxes_only, faces_of
from tronie.data.augment.scale_enhancement import scale_enhanced_window
from tronie.data.augment.square_crops import PLAIN_SCALES, SCALES, square_window
from tronie.data.augment.windows import Window
from tronie.data.face_scales import LabeledSize, crop_scales, shares_below, sizes_at
from tronie.data.readers.widerface import read_labels, read_truth
from tronie.errors import BadInput, NotEnoughData


def test_sizes_are_longer_sides_at_a_long_side():
    boxes = np.array([[0, 0, 10, 30], [5, 5, 45, 10.0]])
    assert sizes_at(boxes, width=320, height=100).tolist() == [60, 80]
    assert sizes_at(boxes, width=100, height=320, long_side=320).tolist() == [30, 40]
    assert sizes_at(boxes[:0], width=9, height=9).shape == (0,)


def test_shares_count_what_is_strictly_below():
    assert shares_below(np.array([4.0, 8.0, 16.0, 20.0]), [8, 16, 100]) == (0.25, 0.5, 1.0)


def test_faces_of_crops_are_counted_by_their_level():
    """Windows of 100 and of 400 pixels, by turns, shown at 200: faces of 20 become 40 and 10."""
    sides = iter([100, 400] * 5)
    photo = LabeledSize(boxes_only([[10, 10, 30, 30], [50, 50, 50, 80]]), 500, 500)
    found = crop_scales([photo], lambda *_: Window(0, 0, next(sides)), crops=10, size=200, seed=0)
    assert (found.crops, found.faces, found.faces_per_crop) == (10, 10, 1.0)
    assert found.levels == (0, 0.5, 0.5, 0, 0, 0, 0)
    assert found.small == 0.5


def test_ignored_faces_are_not_counted():
    photo = LabeledSize(boxes_only([[10, 10, 30, 30], [40, 40, 80, 80]]), 100, 100)
    photo.labels.ignore[0] = True
    found = crop_scales([photo], lambda *_: Window(0, 0, 100), crops=3, size=100)
    assert found.faces == 3
    assert found.small == 0


def test_nothing_to_count_is_refused():
    photo = LabeledSize(boxes_only([]), 100, 100)
    with pytest.raises(NotEnoughData, match="shares need one face or more; got none"):
        crop_scales([photo], lambda *_: Window(0, 0, 50), crops=3)
    with pytest.raises(NotEnoughData, match="statistics of crops need one photograph or more"):
        crop_scales([], lambda *_: Window(0, 0, 50), crops=3)
    with pytest.raises(BadInput, match="statistics need one crop or more; asked for 0"):
        crop_scales([photo], lambda *_: Window(0, 0, 50), crops=0)
    with pytest.raises(BadInput, match="a photograph has at least 1 x 1 pixels; got 0 x 5"):
        sizes_at(np.zeros((1, 4)), width=0, height=5)


@pytest.mark.data
def test_hard_faces_of_wider_face_are_as_small_as_published(test_data):
    """78.93, 51.85 and 13.36 % below 32, 16 and 8 pixels; arXiv:2105.04714."""
    truth = read_truth(test_data / "wider")
    sizes = {one.name: one.size for one in read_labels(test_data / "wider" / "val_labelv2.txt")}
    found = []
    for name, photo in truth.items():
        width, height = sizes[f"{name}.jpg"]
        hard = photo.boxes[photo.counted["hard"]]
        found.append(sizes_at(hard, width=width, height=height))
    every = np.concatenate(found)
    assert len(every) == 31_958
    shares = [round(100 * share, 2) for share in shares_below(every, [32, 16, 8])]
    assert shares == [78.93, 51.85, 13.36]


@pytest.mark.slow
@pytest.mark.data
def test_strategies_make_the_sizes_that_were_computed_of_them(test_data):
    """One crop of each photograph. Bounds are wide: a few photographs have a thousand faces."""
    photos = [
        LabeledSize(faces_of(one), *one.size)
        for one in read_labels(test_data / "wider" / "val_labelv2.txt")
    ]

    def of(window_of):
        return crop_scales(photos, window_of, crops=len(photos), seed=1)

    plain = of(lambda f, r, w, h: square_window(f, r, width=w, height=h, scales=PLAIN_SCALES))
    spread = of(lambda f, r, w, h: square_window(f, r, width=w, height=h, scales=SCALES))
    anchors = of(lambda f, r, w, h: data_anchor_window(f, r, width=w, height=h, size=640))
    enhanced = of(lambda f, r, w, h: scale_enhanced_window(f, r, width=w, height=h, size=640))
    assert 3.5 < plain.faces_per_crop < 7
    assert 6.5 < spread.faces_per_crop < 11
    assert 0.5 < plain.small < 0.7
    assert 0.7 < spread.small < 0.87
    assert spread.faces_per_crop > 1.4 * plain.faces_per_crop
    assert spread.small > plain.small + 0.1
    np.testing.assert_allclose(
        anchors.levels, [0.099, 0.529, 0.228, 0.090, 0.035, 0.014, 0.006], atol=0.06
    )
    np.testing.assert_allclose(
        enhanced.levels, [0.020, 0.197, 0.272, 0.306, 0.131, 0.073, 0], atol=0.05
    )
