"""Every detector format: its outputs decoded again with plain loops, cell by cell.

An entry of the catalogue gets a case here: outputs of random heads for a small canvas, and the
faces they stand for, computed one number at a time from the formulas of the papers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from tronie.catalog import docstring, entries, load
from tronie.errors import BadModel
from tronie.runtime.contract import DETECTOR_FORMATS, Contract
from tronie.runtime.session import TensorSpec

WIDTH, HEIGHT = 64, 32
THRESHOLD = 0.5

Face = tuple[float, list[float], list[list[float]] | None]
"""Score, box, five points."""


@dataclass(frozen=True)
class Case:
    """Outputs by name, in file order, and the faces they stand for."""

    entry: str
    name: str
    make: Callable[[], tuple[dict[str, np.ndarray], list[Face]]]


def numbers(*shape: int, seed: int, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def grid(stride: int) -> list[tuple[int, int]]:
    """Column and row of each cell, row by row."""
    columns, rows = math.ceil(WIDTH / stride), math.ceil(HEIGHT / stride)
    return [(column, row) for row in range(rows) for column in range(columns)]


def scrfd(levels: int, *, points: bool, batch: bool):
    per_cell = 2 if levels == 3 else 1
    heads: dict[str, dict[int, np.ndarray]] = {"score": {}, "bbox": {}, "kps": {}}
    faces: list[Face] = []
    for level in range(levels):
        stride = 8 * 2**level
        anchors = [cell for cell in grid(stride) for _ in range(per_cell)]
        score = numbers(len(anchors), 1, seed=level)
        bbox = numbers(len(anchors), 4, seed=10 + level, high=3)
        kps = numbers(len(anchors), 10, seed=20 + level, low=-2, high=2)
        heads["score"][stride], heads["bbox"][stride], heads["kps"][stride] = score, bbox, kps
        for n, (column, row) in enumerate(anchors):
            if score[n, 0] < THRESHOLD:
                continue
            x, y = column * stride, row * stride
            left, top, right, bottom = (float(v) * stride for v in bbox[n])
            five = [
                [x + float(kps[n, 2 * k]) * stride, y + float(kps[n, 2 * k + 1]) * stride]
                for k in range(5)
            ]
            box = [x - left, y - top, x + right, y + bottom]
            faces.append((float(score[n, 0]), box, five if points else None))
    outputs = {
        f"{head}_{stride}": value[None] if batch else value
        for head in (("score", "bbox", "kps") if points else ("score", "bbox"))
        for stride, value in heads[head].items()
    }
    return outputs, faces


def yunet():
    heads: dict[str, list[np.ndarray]] = {"cls": [], "obj": [], "bbox": [], "kps": []}
    faces: list[Face] = []
    for level, stride in enumerate((8, 16, 32)):
        cells = grid(stride)
        cls = numbers(len(cells), 1, seed=level, low=-0.1, high=1.1)
        obj = numbers(len(cells), 1, seed=10 + level, low=0.3, high=1.1)
        bbox = numbers(len(cells), 4, seed=20 + level, low=-1, high=1)
        kps = numbers(len(cells), 10, seed=30 + level, low=-1, high=1)
        for head, value in zip(heads, (cls, obj, bbox, kps), strict=True):
            heads[head].append(value[None])
        for n, (column, row) in enumerate(cells):
            sure = min(max(float(cls[n, 0]), 0), 1) * min(max(float(obj[n, 0]), 0), 1)
            if math.sqrt(sure) < THRESHOLD:
                continue
            middle_x = (column + float(bbox[n, 0])) * stride
            middle_y = (row + float(bbox[n, 1])) * stride
            wide = math.exp(float(bbox[n, 2])) * stride
            high = math.exp(float(bbox[n, 3])) * stride
            box = [middle_x - wide / 2, middle_y - high / 2, middle_x + wide / 2,
                   middle_y + high / 2]  # fmt: skip
            five = [
                [
                    (float(kps[n, 2 * k]) + column) * stride,
                    (float(kps[n, 2 * k + 1]) + row) * stride,
                ]
                for k in range(5)
            ]
            faces.append((math.sqrt(sure), box, five))
    outputs = {
        f"{head}_{stride}": value
        for head, values in heads.items()
        for stride, value in zip((8, 16, 32), values, strict=True)
    }
    return outputs, faces


def retinaface():
    priors = [
        ((column + 0.5) * stride, (row + 0.5) * stride, side)
        for stride, sides in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
        for column, row in grid(stride)
        for side in sides
    ]
    loc = numbers(len(priors), 4, seed=0, low=-2, high=2)
    conf = numbers(len(priors), 2, seed=1)
    landms = numbers(len(priors), 10, seed=2, low=-3, high=3)
    faces: list[Face] = []
    for n, (x, y, side) in enumerate(priors):
        if conf[n, 1] < THRESHOLD:
            continue
        middle_x, middle_y = x + 0.1 * side * float(loc[n, 0]), y + 0.1 * side * float(loc[n, 1])
        wide = side * math.exp(0.2 * float(loc[n, 2]))
        high = side * math.exp(0.2 * float(loc[n, 3]))
        box = [middle_x - wide / 2, middle_y - high / 2, middle_x + wide / 2, middle_y + high / 2]
        five = [
            [x + 0.1 * side * float(landms[n, 2 * k]), y + 0.1 * side * float(landms[n, 2 * k + 1])]
            for k in range(5)
        ]
        faces.append((float(conf[n, 1]), box, five))
    return {"loc": loc[None], "conf": conf[None], "landms": landms[None]}, faces


def decoded(*, points: bool):
    boxes = numbers(1, 9, 4, seed=0, high=64)
    scores = numbers(1, 9, seed=1)
    landmarks = numbers(1, 9, 10, seed=2, high=64)
    outputs = {"boxes": boxes, "scores": scores} | ({"landmarks": landmarks} if points else {})
    faces: list[Face] = [
        (
            float(scores[0, n]),
            [float(v) for v in boxes[0, n]],
            landmarks[0, n].reshape(5, 2).tolist() if points else None,
        )
        for n in range(9)
        if scores[0, n] >= THRESHOLD
    ]
    return outputs, faces


CASES = [
    Case("decoded", "2 outputs", lambda: decoded(points=False)),
    Case("decoded", "3 outputs", lambda: decoded(points=True)),
    Case("retinaface", "3 outputs", retinaface),
    Case("yunet", "12 outputs", yunet),
    Case("scrfd", "6 outputs", lambda: scrfd(3, points=False, batch=True)),
    Case("scrfd", "9 outputs", lambda: scrfd(3, points=True, batch=True)),
    Case("scrfd", "10 outputs", lambda: scrfd(5, points=False, batch=True)),
    Case("scrfd", "15 outputs", lambda: scrfd(5, points=True, batch=True)),
    Case("scrfd", "6 outputs, no batch axis", lambda: scrfd(3, points=False, batch=False)),
    Case("scrfd", "9 outputs, no batch axis", lambda: scrfd(3, points=True, batch=False)),
    Case("scrfd", "10 outputs, no batch axis", lambda: scrfd(5, points=False, batch=False)),
    Case("scrfd", "15 outputs, no batch axis", lambda: scrfd(5, points=True, batch=False)),
]
FORMATS = entries(DETECTOR_FORMATS)


def decode(case: Case, outputs: dict[str, np.ndarray], *, threshold: float = THRESHOLD):
    function = load(DETECTOR_FORMATS, case.entry, "decode")
    return function(list(outputs.values()), width=WIDTH, height=HEIGHT, score_threshold=threshold)


def specs(outputs: dict[str, np.ndarray]) -> list[TensorSpec]:
    return [TensorSpec(name, "float32", value.shape) for name, value in outputs.items()]


def test_every_format_has_a_case():
    assert {case.entry for case in CASES} == set(FORMATS)


@pytest.mark.parametrize("entry", FORMATS)
def test_a_format_says_what_it_is_and_what_it_takes(entry):
    contract = load(DETECTOR_FORMATS, entry, "CONTRACT")
    assert isinstance(contract, Contract)
    assert (contract.kind, contract.format) == ("detector", entry)
    assert len(docstring(DETECTOR_FORMATS, entry)) > 100


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.entry}: {c.name}")
def test_the_faces_are_those_of_the_formulas(case):
    outputs, faces = case.make()
    assert len(faces) > 2
    got = decode(case, outputs)
    order, wanted = np.argsort(got.scores), sorted(faces, key=lambda face: face[0])
    assert len(got) == len(wanted)
    np.testing.assert_allclose(got.scores[order], [f[0] for f in wanted], rtol=1e-6)
    # float32: 7 digits of coordinates up to some hundred pixels
    np.testing.assert_allclose(got.boxes[order], [f[1] for f in wanted], atol=2e-4)
    if wanted[0][2] is None:
        assert got.landmarks is None
    else:
        np.testing.assert_allclose(got.landmarks[order], [f[2] for f in wanted], atol=2e-4)
    assert {got.boxes.dtype, got.scores.dtype} == {np.dtype(np.float32)}


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.entry}: {c.name}")
def test_a_format_knows_its_own_outputs_and_no_other_claims_them(case):
    outputs = specs(case.make()[0])
    claiming = [e for e in FORMATS if load(DETECTOR_FORMATS, e, "matches")(outputs)]
    assert claiming == [case.entry]


@pytest.mark.parametrize("entry", FORMATS)
def test_a_format_does_not_claim_an_embedder_or_nothing(entry):
    matches = load(DETECTOR_FORMATS, entry, "matches")
    assert not matches([TensorSpec("embedding", "float32", (None, 512))])
    assert not matches([])
    assert not matches([TensorSpec("scalar", "float32", ())] * 9)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.entry}: {c.name}")
def test_under_the_threshold_there_is_nothing(case):
    got = decode(case, case.make()[0], threshold=1.0)
    assert got.boxes.shape == (int((got.scores >= 1).sum()), 4)
    quiet = {name: np.zeros_like(value) for name, value in case.make()[0].items()}
    assert len(decode(case, quiet)) == 0


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.entry}: {c.name}")
def test_a_score_at_the_threshold_is_a_face(case):
    outputs, _ = case.make()
    scores = decode(case, outputs).scores
    least = float(np.sort(scores)[len(scores) // 2])
    assert len(decode(case, outputs, threshold=least)) == int((scores >= np.float32(least)).sum())


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.entry}: {c.name}")
def test_the_outputs_are_left_alone(case):
    outputs, _ = case.make()
    decode(case, outputs)
    again, _ = case.make()
    for name, value in outputs.items():
        np.testing.assert_array_equal(value, again[name])


def test_scrfd_heads_may_come_in_any_order():
    outputs, _ = scrfd(3, points=True, batch=True)
    case = CASES[5]
    shuffled = {name: outputs[name] for name in sorted(outputs, reverse=True)}
    np.testing.assert_array_equal(decode(case, shuffled).boxes, decode(case, outputs).boxes)


def test_retinaface_outputs_may_come_in_any_order_and_with_free_axes():
    outputs, _ = retinaface()
    shuffled = {name: outputs[name] for name in ("landms", "loc", "conf")}
    np.testing.assert_array_equal(decode(CASES[2], shuffled).boxes, decode(CASES[2], outputs).boxes)
    free = [
        TensorSpec(name, "float32", (None, None, None)) for name in ("bbox", "conf", "landmark")
    ]
    assert load(DETECTOR_FORMATS, "retinaface", "matches")(free)


# --- refusals -----------------------------------------------------------------------------


def test_scrfd_rows_that_do_not_fit_the_canvas_are_refused():
    outputs, _ = scrfd(3, points=True, batch=True)
    function = load(DETECTOR_FORMATS, "scrfd", "decode")
    with pytest.raises(BadModel, match=r"must give 128 scores at stride 8 for 64x64 .* gave 64"):
        function(list(outputs.values()), width=64, height=64, score_threshold=0.5)


def test_retinaface_priors_that_do_not_fit_the_canvas_are_refused():
    outputs, _ = retinaface()
    function = load(DETECTOR_FORMATS, "retinaface", "decode")
    with pytest.raises(BadModel, match="must give 168 priors for 64x64 pixels; it gave 84"):
        function(list(outputs.values()), width=64, height=64, score_threshold=0.5)


def test_retinaface_outputs_of_other_widths_are_refused():
    outputs, _ = retinaface()
    outputs["conf"] = outputs["conf"][..., :1]
    with pytest.raises(BadModel, match=r"boxes \(P, 4\), confidences \(P, 2\) and landmarks"):
        decode(CASES[2], outputs)
