"""A network judged as it would be once exported: where faces come back, and by which rules."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from bright_detector import Bright  # noqa: E402 - only where torch is
from tronie.data.augment.face_photo import FaceLabels, boxes_only  # noqa: E402
from tronie.data.readers.widerface import WiderPhoto  # noqa: E402
from tronie.errors import BadArray, BadImage, BadInput, BadModel, NotFound  # noqa: E402
from tronie.lab.training import detection_validation as module  # noqa: E402
from tronie.lab.training.detection_validation import (  # noqa: E402
    detect_photos,
    judge,
    truth_of,
)
from tronie.lab.training.export_detector import export_detector  # noqa: E402
from tronie.runtime import zoo  # noqa: E402
from tronie.runtime.canvas import fitted, suppressed  # noqa: E402
from tronie.runtime.contract import Contract  # noqa: E402
from tronie.runtime.detector import Detector as Runner  # noqa: E402
from tronie.runtime.session import EngineOptions  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


def encoded(image) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def white_at(*boxes, width=128, height=64, level=255) -> bytes:
    image = np.zeros((height, width, 3), np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = level
    return encoded(image)


def faces(*boxes, ignore=()):
    """A ground truth with one subset, in which all but the ignored rows count."""
    rows = np.array(boxes, np.float64).reshape(-1, 4)
    counts = np.ones(len(rows), np.bool_)
    counts[list(ignore)] = False
    return WiderPhoto(rows, {"all": counts})


def test_boxes_are_in_pixels_of_the_photograph_and_the_rest_of_the_canvas_is_black():
    """128 x 64 on a canvas of 64 shrinks to a half, and the lower half of the canvas is filled.
    Were it filled with the middle grey of normalized zeros, it would be found."""
    found = detect_photos(Bright(), [("a", white_at((64, 0, 128, 64)))], size=64)
    np.testing.assert_allclose(found["a"].boxes, [[64, 0, 128, 64]], atol=1e-4)
    np.testing.assert_allclose(found["a"].scores, [1.0], atol=1e-6)
    assert found["a"].boxes.dtype == np.float64


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_every_photograph_gets_its_own_faces_in_any_batch(batch):
    boxes = [(0, 0, 64, 64), (64, 0, 128, 64)] * 2
    photos = [(str(n), white_at(box)) for n, box in enumerate(boxes)]
    found = detect_photos(Bright(), iter(photos), size=64, batch=batch)
    assert list(found) == ["0", "1", "2", "3"]
    for (name, one), box in zip(found.items(), boxes, strict=True):
        np.testing.assert_allclose(one.boxes, [box], atol=1e-4, err_msg=name)


def test_a_photograph_without_a_face_has_no_rows():
    found = detect_photos(Bright(), [("dark", white_at())], size=64)["dark"]
    assert (found.boxes.shape, found.scores.shape) == ((0, 4), (0,))
    assert detect_photos(Bright(), [], size=64) == {}


def test_one_pixel_is_a_photograph():
    found = detect_photos(Bright(), [("dot", encoded(np.full((1, 1, 3), 255, np.uint8)))], size=64)
    assert len(found["dot"].boxes) == 4  # the dot fills the canvas of two by two cells
    assert found["dot"].boxes.max() == pytest.approx(1.0)


def test_torch_and_the_exported_file_answer_alike():
    draw = np.random.default_rng(0)
    pictures = [draw.integers(0, 256, (60, 90, 3), dtype=np.uint8) for _ in range(3)]
    contract = Contract(kind="detector", format="decoded", std=(128.0,) * 3)
    laid = [fitted(picture, contract, width=96, height=96) for picture in pictures]
    net = Bright()
    with module.ThreadPoolExecutor(1) as pool:
        of_file = module._by_file(net, pool, 1)(laid)
    of_torch = module._by_torch(net, torch.device("cpu"))(laid)
    for one, other in zip(of_file, of_torch, strict=True):
        for mine, theirs in zip(one, other, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-6)


def test_what_is_found_is_what_the_exported_file_finds(tmp_path):
    net, draw = Bright(0.9), np.random.default_rng(1)
    picture = draw.integers(0, 256, (75, 110, 3), dtype=np.uint8)
    found = detect_photos(net, [("a", encoded(picture))], size=160, score_threshold=0.4)["a"]
    export_detector(net, tmp_path / "det.onnx", threads=1)
    session, contract = zoo.open_model(
        zoo.find(tmp_path / "det.onnx"), EngineOptions(threads=1), kind="detector"
    )
    runner = Runner(session, contract, canvas=160, score_threshold=0.4)
    wanted = suppressed(runner.candidates(picture), iou_threshold=0.45)
    assert len(found.scores) == len(wanted) > 5
    np.testing.assert_allclose(found.boxes, wanted.boxes, atol=1e-4)
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-6)


def test_the_network_is_judged_in_evaluation_and_stays_as_it_was():
    net = Bright().train()
    found = detect_photos(net, [("a", white_at((0, 0, 64, 64)))], size=64)["a"]
    np.testing.assert_allclose(found.scores, [1.0], atol=1e-6)
    assert net.training


def test_only_the_surest_candidates_are_compared(monkeypatch):
    monkeypatch.setattr(module, "CANDIDATES", 2)
    image = np.zeros((64, 64, 3), np.uint8)
    for n, (x, y) in enumerate([(0, 0), (32, 0), (0, 32), (32, 32)]):
        image[y : y + 32, x : x + 32] = 250 - 50 * n
    found = detect_photos(Bright(), [("a", encoded(image))], size=64)["a"]
    np.testing.assert_allclose(found.scores * 255, [250, 200], atol=1e-3)


def test_the_value_is_the_average_precision_worked_out_by_hand():
    """Scores 1.0 right, 0.8 wrong, 0.6 right, of three faces: precision 1, 1/2, 2/3 at recalls
    1/3, 1/3, 2/3; made to fall, the area is 1/3 * 1 + 1/3 * 2/3 = 5/9."""
    bright = [(0, 0, 32, 32), (32, 0, 64, 32), (0, 32, 32, 64)]
    image = np.zeros((64, 64, 3), np.uint8)
    for (x1, y1, x2, y2), level in zip(bright, (255, 204, 153), strict=True):
        image[y1:y2, x1:x2] = level
    image[32:, 32:] = 51  # the lowest score, which normalization takes to 0; wrong
    truth = {"a": faces(bright[0], bright[2], (70, 70, 90, 90)), "b": faces((0, 0, 9, 9))}
    report = judge(Bright(), truth=truth, photos=[("a", encoded(image))], size=64)
    value = report.values["all"]
    assert value.value == pytest.approx(5 / 9)
    assert (value.count, value.total) == (2, 3)
    assert report.values["photographs"].count == 1
    assert report.name == "labeled-faces"
    assert report.notes[-1].startswith("canvas of 64 x 64, one look; scores from 0.02")


def test_of_the_official_subsets_each_has_its_value():
    counted = {"easy": [True, False], "medium": [True, True], "hard": [True, True]}
    marks = {subset: np.array(rows) for subset, rows in counted.items()}
    truth = {"a": WiderPhoto(np.array([[0, 0, 64, 64], [64, 0, 128, 64.0]]), marks)}
    photo = np.zeros((64, 128, 3), np.uint8)
    photo[:, :64] = 255
    photo[:, 64:] = 30
    report = judge(Bright(), truth=truth, photos=[("a", encoded(photo))], size=64)
    assert list(report.values)[:3] == ["easy", "medium", "hard"]
    assert [report.values[name].value for name in ("easy", "medium", "hard")] == [1.0, 1.0, 1.0]
    assert report.name == "widerface"


def test_a_network_that_sees_nothing_scores_zero():
    truth = {"a": faces((0, 0, 64, 64))}
    report = judge(Bright(0.0), truth=truth, photos=[("a", white_at((0, 0, 64, 64)))], size=64)
    assert report.values["all"].value == 0.0


class Labels:
    """A source of two photographs, 1280 and 640 pixels wide."""

    boxes = ((0, 0, 16, 4), (0, 0, 15, 15), (0, 0, 0, 99), (-40, -40, -10, 9))

    def __len__(self):
        return 3

    def name_of(self, n):
        return ("wide", "narrow", "empty")[n]

    def read(self, n):
        return white_at(width=(1280, 640, 640)[n], height=320)

    def faces(self, n):
        if n == 2:
            return boxes_only([])
        one = boxes_only(self.boxes)
        ignore = np.array([False, False, False, n == 1])
        return FaceLabels(
            boxes=one.boxes, ignore=ignore, points=one.points, has_points=one.has_points
        )


def test_labels_become_a_truth_in_which_large_faces_count():
    """At a long side of 640, the faces of the wide photograph are half as large: 8 and 7.5."""
    truth = truth_of(Labels(), least_side=8)
    assert list(truth) == ["wide", "narrow", "empty"]
    np.testing.assert_array_equal(truth["wide"].counted["all"], [True, False, False, True])
    np.testing.assert_array_equal(truth["narrow"].counted["all"], [True, True, False, False])
    np.testing.assert_array_equal(truth["narrow"].boxes, Labels.boxes)
    assert truth["empty"].boxes.shape == (0, 4)


def test_a_face_that_is_ignored_is_neither_right_nor_wrong():
    photo = [("a", white_at((0, 0, 64, 64), (64, 0, 128, 64)))]
    photo += [("b", white_at((0, 0, 64, 64), level=99))]
    truth = {"a": faces((0, 0, 64, 64), (64, 0, 128, 64), ignore=[0]), "b": faces((0, 0, 64, 64))}
    report = judge(Bright(), truth=truth, photos=photo, size=64)
    assert (report.values["all"].value, report.values["all"].total) == (1.0, 2)


# --- refusals -----------------------------------------------------------------------------


def test_a_network_that_gives_nan_is_refused():
    with pytest.raises(BadModel, match="the network gave NaN or infinity; its training diverged"):
        detect_photos(Bright(float("nan")), [("a", white_at())], size=64)


def test_a_photograph_that_cannot_be_read_is_named():
    with pytest.raises(BadImage, match="'broken' begins with b'no pictu'"):
        detect_photos(Bright(), [("broken", b"no picture")], size=64)


@pytest.mark.parametrize("batch", [1, 2])
def test_a_name_twice_is_refused(batch):
    photos = [("a", white_at()), ("a", white_at())]
    with pytest.raises(BadInput, match="a photograph is given twice: a"):
        detect_photos(Bright(), photos, size=64, batch=batch)


def test_a_batch_of_nothing_is_refused():
    with pytest.raises(BadInput, match="in batches of at least 1; got 0"):
        detect_photos(Bright(), [], batch=0)


def test_a_size_that_is_no_multiple_of_32_is_refused():
    with pytest.raises(BadArray, match="must be a multiple of 32 up to 8192; got 100"):
        detect_photos(Bright(), [], size=100)


def test_a_photograph_without_a_truth_is_named():
    with pytest.raises(NotFound, match="no entry 'b' in the ground truth"):
        judge(Bright(), truth={"a": faces()}, photos=[("b", white_at())], size=64)


def test_a_least_side_below_nothing_is_refused():
    with pytest.raises(BadInput, match="is 0 or more; got -1"):
        truth_of(Labels(), least_side=-1)


def test_a_photograph_that_is_labeled_twice_is_refused():
    class Twice(Labels):
        def name_of(self, n):
            return "same"

    with pytest.raises(BadInput, match="same is labeled twice"):
        truth_of(Twice())
