"""SCRFD-2.5G on real photographs, against its published post-processing written out again.

The transcription takes the network's raw outputs for the letterbox that the Detector runs on,
decodes them one anchor level at a time as published, maps them to the photograph, and then
suppresses with the published rule (a box is x2 - x1 + 1 wide). Only the scale differs from the
published runner, which uses the height's for both axes; see tronie.runtime.detectors.scrfd.
"""

from __future__ import annotations

import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from tronie.images.resize import letterbox
from tronie.runtime import zoo
from tronie.runtime.detector import Detector
from tronie.runtime.session import EngineOptions

pytestmark = [pytest.mark.data, pytest.mark.onnx]

SIDE = 640
SCORE, OVERLAP = 0.5, 0.4
TIE = 1e-4


class Off(NamedTuple):
    """Largest differences of one photograph, and how many faces each side found."""

    ours: int
    theirs: int
    boxes_px: float
    points_px: float
    scores: float


def published(outputs, canvas, scale_x, scale_y):
    """Scores (N,), boxes (N, 4) and points (N, 5, 2) as the authors' runner gives them."""
    scores, boxes, points = [], [], []
    for level, stride in enumerate((8, 16, 32)):
        score = outputs[level].reshape(-1)
        distance = outputs[level + 3].reshape(-1, 4) * stride
        offset = outputs[level + 6].reshape(-1, 10) * stride
        side = canvas // stride
        for n in np.flatnonzero(score >= SCORE):
            row, column = divmod(int(n) // 2, side)  # two anchors a cell
            x, y = column * stride, row * stride
            left, top, right, bottom = distance[n]
            scores.append(score[n])
            boxes.append([(x - left) / scale_x, (y - top) / scale_y,
                          (x + right) / scale_x, (y + bottom) / scale_y])  # fmt: skip
            points.append([
                [(x + offset[n][2 * k]) / scale_x, (y + offset[n][2 * k + 1]) / scale_y]
                for k in range(5)
            ])  # fmt: skip
    order = sorted(range(len(scores)), key=lambda n: -scores[n])
    kept: list[int] = []
    for n in order:
        if all(overlap(boxes[n], boxes[other]) <= OVERLAP for other in kept):
            kept.append(n)
    return [scores[n] for n in kept], [boxes[n] for n in kept], [points[n] for n in kept]


def overlap(a, b):
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return wide * high / (sum(areas) - wide * high)


@pytest.fixture(scope="module")
def detector(test_data):
    file = zoo.find(test_data / "weights" / "scrfd_2.5g_kps_dyn.onnx")
    session, contract = zoo.open_model(file, EngineOptions(threads=2), kind="detector")
    return Detector(session, contract)


def photographs(test_data):
    with tarfile.open(test_data / "wider" / "val_subset_183.tar") as tar:
        for item in sorted(tar.getmembers(), key=lambda item: item.name):
            if item.name.endswith(".jpg"):
                data = tar.extractfile(item).read()
                yield np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def first_look(faces, scores):
    """Our faces without those that only the second, close-up look added: those whose score
    is a published one."""
    apart = [np.abs(score - np.array(scores)).min(initial=1.0) for score in faces.scores]
    return faces.take(np.flatnonzero(np.array(apart) < TIE))


def compared(detector, photo) -> Off:
    boxed = letterbox(photo, width=SIDE, height=SIDE)
    pixels = (boxed.image.astype(np.float32) - 127.5) / 128.0
    outputs = detector.session.run_beside(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]))
    scores, boxes, points = published(outputs, SIDE, boxed.scale_x, boxed.scale_y)
    faces = first_look(detector.detect_beside(photo), scores)
    if len(faces) != len(scores):
        return Off(len(faces), len(scores), np.inf, np.inf, np.inf)
    if not scores:
        return Off(0, 0, 0.0, 0.0, 0.0)
    return Off(
        len(faces),
        len(scores),
        float(np.abs(faces.boxes - np.array(boxes)).max()),
        float(np.abs(faces.landmarks - np.array(points)).max()),
        float(np.abs(faces.scores - np.array(scores)).max()),
    )


def check(detector, photos, *, faces_at_least):
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda photo: compared(detector, photo), photos))
    assert [(n, off) for n, off in enumerate(found) if off.ours != off.theirs] == []
    assert sum(off.ours for off in found) >= faces_at_least
    assert max(off.boxes_px for off in found) < 0.5
    assert max(off.points_px for off in found) < 0.5
    assert max(off.scores for off in found) < 1e-4


def test_twenty_photographs_agree_with_the_published_decoding(detector, test_data):
    check(detector, list(photographs(test_data))[::10][:20], faces_at_least=50)


@pytest.mark.slow
def test_all_photographs_agree_with_the_published_decoding(detector, test_data):
    photos = list(photographs(test_data))
    assert len(photos) == 183
    check(detector, photos, faces_at_least=700)
