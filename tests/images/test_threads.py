"""Threads: OpenCV uses as many as it was told."""

import cv2
import numpy as np
import pytest

from tronie.errors import BadInput
from tronie.images.resize import resize
from tronie.images.threads import set_opencv_threads


@pytest.fixture(autouse=True)
def restored():
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


def test_the_number_is_set_and_changes_no_pixel():
    image = np.random.default_rng(0).integers(0, 255, (900, 1200, 3), dtype=np.uint8)
    results = []
    for count in (1, 2):
        set_opencv_threads(count)
        assert cv2.getNumThreads() == count
        results.append(resize(image, width=777, height=640))
    np.testing.assert_array_equal(results[0], results[1])


def test_no_threads_are_refused():
    with pytest.raises(BadInput, match="OpenCV needs at least 1 thread; asked for 0"):
        set_opencv_threads(0)
