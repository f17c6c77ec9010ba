"""Images of every size to Faces: where boxes come back, what is tried twice, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from toys import BOX, FIVE_POINTS, toy_constants, toy_detector, toy_face
from tronie.errors import BadArray, BadModel
from tronie.images.io import read_image
from tronie.images.resize import resize
from tronie.runtime import zoo
from tronie.runtime.contract import Contract, infer_contract
from tronie.runtime.detector import Detector
from tronie.runtime.session import EngineOptions, open_session

DECODED = Contract(kind="detector", format="decoded", width=160, height=160)


def detector(file, *, contract=DECODED, **options):
    return Detector(open_session(file, EngineOptions(threads=2)), contract, **options)


def black(width, height):
    return np.zeros((height, width, 3), np.uint8)


def recorded(found, answers):
    """Replace the session's run: the shapes it was shown, and what it answers by its side."""
    shown = []

    def run(pixels):
        shown.append(pixels.shape)
        return answers(pixels.shape[2:])

    found.session.run = run
    return shown


def faces_of(*boxes, scores=None):
    n = len(boxes)
    return [
        np.array(boxes, np.float32).reshape(1, n, 4),
        np.array(scores or [0.9] * n, np.float32).reshape(1, n),
        np.zeros((1, n, 10), np.float32),
    ]


def test_a_picture_of_the_canvas_size_comes_back_as_it_was_found(detector_file):
    faces = detector(detector_file).detect(toy_face(0))
    np.testing.assert_allclose(faces.boxes, [BOX], rtol=1e-6)
    np.testing.assert_allclose(faces.landmarks, [FIVE_POINTS], rtol=1e-6)
    np.testing.assert_allclose(faces.scores, [0.9], rtol=1e-6)


@pytest.mark.parametrize(
    ("width", "height", "fitted"),
    [
        (320, 320, (160, 160)),
        (1000, 333, (160, 53)),  # int(160 * 0.333): each axis has its own exact scale
        (333, 1000, (53, 160)),
        (10000, 2, (160, 1)),
        (2, 10000, (1, 160)),
        (1, 1, (160, 160)),
        (7680, 4320, (160, 90)),
    ],
)
def test_coordinates_come_back_through_the_exact_scale_of_each_axis(
    width, height, fitted, detector_file
):
    faces = detector(detector_file).detect(black(width, height))
    back = np.array([width / fitted[0], height / fitted[1]])
    np.testing.assert_allclose(faces.boxes, [np.array(BOX) * np.tile(back, 2)], rtol=1e-5)
    np.testing.assert_allclose(faces.landmarks, [np.array(FIVE_POINTS) * back], rtol=1e-5)


def test_500_faces_are_all_found_by_falling_score(tmp_path):
    scores = np.random.default_rng(0).permutation(np.linspace(0.5, 1.0, 500))
    faces = detector(toy_detector(tmp_path / "crowd.onnx", scores=scores, step=90.0)).detect(
        toy_face(0)
    )
    assert len(faces) == 500
    np.testing.assert_allclose(faces.scores, np.sort(scores)[::-1], rtol=1e-6)
    place = np.argsort(-scores, kind="stable") * 90.0
    np.testing.assert_allclose(faces.boxes[:, 0], BOX[0] + place, rtol=1e-6)
    np.testing.assert_allclose(faces.landmarks[:, 0, 0], FIVE_POINTS[0][0] + place, rtol=1e-6)


def test_one_face_found_twice_is_one_face(tmp_path):
    file = toy_detector(tmp_path / "double.onnx", scores=(0.8, 0.9), step=5.0)
    faces = detector(file).detect(toy_face(0))
    np.testing.assert_allclose(faces.boxes[:, 0], [BOX[0] + 5.0])
    assert len(detector(file, nms_threshold=1.0).detect(toy_face(0))) == 2


def test_the_overlap_is_measured_as_the_contract_says(detector_file):
    """Boxes of 9 pixels' distance that share 3: IoU 3/15 = 0.2, or 4 x 10/160 = 0.25 with + 1."""
    boxes = [[0, 0, 9, 9], [6, 0, 15, 9]]
    for offset, survivors in ((0.0, 2), (1.0, 1)):
        contract = Contract(
            kind="detector", format="decoded", nms_threshold=0.22, nms_pixel_offset=offset,
            width=160, height=160,
        )  # fmt: skip
        found = detector(detector_file, contract=contract)
        recorded(found, lambda _: faces_of(*boxes, scores=[0.9, 0.8]))
        assert len(found.detect(black(160, 160))) == survivors


@pytest.mark.parametrize(("threshold", "found"), [(None, 1), (0.3, 2), (0.95, 0), (0.9, 1)])
def test_faces_under_the_score_threshold_are_not_told(threshold, found, tmp_path):
    file = toy_detector(tmp_path / "unsure.onnx", scores=(0.90001, 0.4), step=200.0)
    assert len(detector(file, score_threshold=threshold).detect(toy_face(0))) == found


def test_no_face_is_an_empty_answer(tmp_path):
    faces = detector(toy_detector(tmp_path / "none.onnx", scores=())).detect(toy_face(0))
    assert len(faces) == 0
    assert faces.landmarks.shape == (0, 5, 2)


# --- close-ups ----------------------------------------------------------------------------


def test_where_nothing_is_found_the_picture_is_tried_once_more_at_a_quarter(detector_file):
    found = detector(detector_file, canvas=640)
    shown = recorded(
        found, lambda side: faces_of([8, 8, 152, 152]) if side == (160, 160) else faces_of()
    )
    faces = found.detect(black(1280, 1280))
    assert shown == [(1, 3, 640, 640), (1, 3, 160, 160)]
    np.testing.assert_allclose(faces.boxes, [[64, 64, 1216, 1216]])


@pytest.mark.parametrize(("side", "looks"), [(200, 2), (214, 1)])
def test_a_picture_with_a_large_face_is_not_looked_at_again(side, looks, detector_file):
    """A third of the shorter side is 213.3 of 640 canvas pixels; the longer side of the box."""
    found = detector(detector_file, canvas=640)
    shown = recorded(found, lambda _: faces_of([8, 8, 28, 8 + side]))
    found.detect(black(2560, 1280))
    assert shown == [(1, 3, 640, 640), (1, 3, 160, 160)][:1]  # 427 px are a third of 1280
    found.detect(black(1280, 1280))
    assert shown[1:] == [(1, 3, 640, 640), (1, 3, 160, 160)][:looks]


def test_a_close_up_beside_a_small_face_in_the_background_is_found(detector_file):
    """The second look adds large faces only, and none that the first look has."""
    found = detector(detector_file, canvas=640)
    small, other = [600, 10, 630, 50], [100, 590, 140, 630]
    first = faces_of(small, other, scores=[0.7, 0.95])
    second = faces_of(
        [20, 30, 140, 150],  # the close-up: 80..560 on the large canvas
        [150, 2.5, 157.5, 12.5],  # the small face again
        [60, 80, 75, 95],  # a small one that is new
        scores=[0.9, 0.99, 0.98],
    )
    recorded(found, lambda side: second if side == (160, 160) else first)
    faces = found.detect(black(640, 640))
    np.testing.assert_allclose(faces.boxes, [other, [80, 120, 560, 600], small])
    np.testing.assert_allclose(faces.scores, [0.95, 0.9, 0.7])
    assert faces.landmarks.shape == (3, 5, 2)


def test_a_face_that_both_looks_see_stays_as_the_first_saw_it(detector_file):
    found = detector(detector_file, canvas=640)
    first, again = [100, 100, 310, 310], [25, 25, 80, 80]  # 100..320 on the large canvas
    recorded(found, lambda side: faces_of(again if side == (160, 160) else first))
    np.testing.assert_allclose(found.detect(black(640, 640)).boxes, [first])


def test_the_second_try_of_a_fixed_canvas_is_filled_up_with_black(tmp_path):
    arrays = dict(zip(("boxes", "scores", "landmarks"), faces_of([1, 1, 2, 2]), strict=True))
    found = detector(toy_constants(tmp_path / "fixed.onnx", arrays, shape=(1, 3, 128, 256)))
    shown = []

    def run(pixels):
        shown.append(pixels)
        return faces_of() if len(shown) == 1 else faces_of([0, 0, 32, 32])

    found.session.run = run
    faces = found.detect(np.full((512, 512, 3), 255, np.uint8))
    assert [p.shape for p in shown] == [(1, 3, 128, 256)] * 2
    assert (shown[1][0, 0, :32, :32] > 0).all()
    assert (shown[1][0, 0, 32:] < 0).all()
    np.testing.assert_allclose(faces.boxes, [[0, 0, 512, 512]])


@pytest.mark.onnx
@pytest.mark.data
@pytest.mark.parametrize("side", [640, 4000])
def test_the_default_detector_finds_a_face_that_fills_the_picture(side, default_pair, test_data):
    found = Detector(*zoo.open_model(zoo.find(default_pair[0]), EngineOptions(), kind="detector"))
    photo = read_image(test_data / "photos" / "bbt" / "amy" / "amy1.png")
    x1, y1, x2, y2 = (int(v) for v in found.detect(photo).boxes[0])
    close = resize(np.ascontiguousarray(photo[max(y1, 0) : y2, max(x1, 0) : x2]), width=side,
                   height=side)  # fmt: skip
    faces = found.detect(close)
    assert len(faces) >= 1
    middle = (faces.boxes[0, :2] + faces.boxes[0, 2:]) / 2
    np.testing.assert_allclose(middle, [side / 2, side / 2], atol=side / 5)


# --- many, and beside each other ----------------------------------------------------------


def test_many_images_are_the_single_ones_in_order(detector_file):
    found = detector(detector_file)
    images = [black(160, 160), black(100, 300), black(320, 320), black(1, 1)]
    for one, other in zip(map(found.detect, images), found.detect_many(images), strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
    assert found.detect_many([]) == []
    assert len(found.detect_many(images[:1])) == 1


def test_a_free_model_takes_the_canvas_that_is_asked_for(detector_file):
    found = detector(detector_file, canvas=320)
    shown = recorded(found, lambda _: faces_of([0, 0, 10, 10]))
    found.detect(black(640, 640))
    assert (found.width, found.height, shown[0]) == (320, 320, (1, 3, 320, 320))


# --- refusals -----------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["boxes", "scores", "landmarks"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_that_gives_nan_or_infinity_is_refused(which, value, tmp_path):
    arrays = dict(zip(("boxes", "scores", "landmarks"), faces_of([1, 1, 2, 2]), strict=True))
    arrays[which] = np.full_like(arrays[which], value)
    found = detector(toy_constants(tmp_path / "sick.onnx", arrays))
    with pytest.raises(BadModel, match="detector sick gave NaN or infinity; its file is damaged"):
        found.detect(toy_face(0))


def test_numbers_that_overflow_on_the_way_to_pixels_are_refused(tmp_path):
    """exp(1000) is infinite, though every output is finite."""
    arrays = {}
    for head, size, value in (("cls", 1, 1), ("obj", 1, 1), ("bbox", 4, 1000), ("kps", 10, 0)):
        for stride in (8, 16, 32):
            arrays[f"{head}_{stride}"] = np.full((1, (32 // stride) ** 2, size), value)
    file = toy_constants(tmp_path / "loud.onnx", arrays, shape=(1, 3, 32, 32))
    found = detector(file, contract=infer_contract(open_session(file)))
    with pytest.raises(BadModel, match="detector loud gave NaN or infinity"):
        found.detect(toy_face(0))


def test_outputs_that_do_not_belong_together_are_refused_with_their_shapes(tmp_path):
    arrays = {"boxes": np.zeros((1, 5, 4)), "scores": np.ones((1, 6))}
    found = detector(toy_constants(tmp_path / "torn.onnx", arrays))
    words = (
        r"detector torn gave outputs of shapes \(1, 5, 4\), \(1, 6\), which do not fit the decod"
    )
    with pytest.raises(BadModel, match=words):
        found.detect(toy_face(0))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((160, 160), np.uint8), "shape .H, W, 3. .* got uint8 of shape .160, 160."),
        (np.zeros((160, 160, 4), np.uint8), "got uint8 of shape .160, 160, 4."),
        (np.zeros((160, 160, 3), np.float32), "got float32 of shape .*tronie.read_image"),
        (np.zeros((0, 160, 3), np.uint8), "at least one pixel"),
    ],
)
def test_an_array_that_is_no_image_is_refused(image, words, detector_file):
    with pytest.raises(BadArray, match=words):
        detector(detector_file).detect(image)


@pytest.mark.parametrize("canvas", [0, -32, 100, 16, 8224])
def test_a_canvas_that_no_stride_divides_or_no_memory_holds_is_refused(canvas, detector_file):
    with pytest.raises(BadArray, match=f"must be a multiple of 32 up to 8192; got {canvas}"):
        detector(detector_file, canvas=canvas)


def test_a_canvas_other_than_the_fixed_one_is_refused(tmp_path):
    arrays = {"boxes": np.zeros((1, 1, 4)), "scores": np.zeros((1, 1))}
    file = toy_constants(tmp_path / "fixed.onnx", arrays, shape=(1, 3, 128, 256))
    with pytest.raises(BadModel, match="fixed works on 256x128 pixels only; 640 was asked for"):
        detector(file, canvas=640)
    assert (detector(file).width, detector(file).height) == (256, 128)


def test_a_model_that_takes_only_batches_is_refused(tmp_path):
    arrays = {"boxes": np.zeros((4, 1, 4)), "scores": np.zeros((4, 1))}
    file = toy_constants(tmp_path / "four.onnx", arrays, shape=(4, 3, 128, 128))
    with pytest.raises(BadModel, match="detector four takes 4 pictures at once; export it with a"):
        detector(file)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_threshold_outside_0_and_1_is_refused(value, detector_file):
    with pytest.raises(BadArray, match=r"the score threshold must lie in \[0, 1\]; got"):
        detector(detector_file, score_threshold=value)
    with pytest.raises(BadArray, match=r"the nms threshold must lie in \[0, 1\]; got"):
        detector(detector_file, nms_threshold=value)


def test_a_model_that_breaks_its_contract_is_refused(embedder_file):
    with pytest.raises(BadModel, match="1 outputs that are not of the decoded format"):
        detector(embedder_file)
