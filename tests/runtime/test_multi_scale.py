"""Several looks at one picture: the sizes that are shown, the way back, and one answer."""

from __future__ import annotations

import numpy as np
import pytest

from toys import toy_detector
from tronie.errors import BadArray, BadInput, BadModel
from tronie.geometry.boxes import mirror as mirrored_boxes
from tronie.geometry.landmarks import mirror as mirrored_points
from tronie.runtime.contract import Contract
from tronie.runtime.detector import Detector
from tronie.runtime.multi_scale import (
    CANVAS,
    ORIGINAL,
    Looks,
    Within,
    check_looks,
    look,
    scales,
    size_of,
)
from tronie.runtime.session import EngineOptions, TensorSpec, open_session

CONTRACT = Contract(
    kind="detector", format="decoded", width=160, height=160, mean=(0.0,) * 3, std=(255.0,) * 3
)


def bright(pixels, score=0.9):
    """One face around what is bright, with its nose where it is red alone."""
    red, green = pixels[0, 0], pixels[0, 1]
    rows, columns = np.nonzero(red > 0.5)
    if len(rows) == 0:
        return [np.zeros((1, 0, 4)), np.zeros((1, 0)), np.zeros((1, 0, 10))]
    x1, x2, y1, y2 = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
    nose_y, nose_x = (axis.mean() for axis in np.nonzero((red > 0.5) & (green < 0.5)))
    across = [x1 - 0.5 + (x2 - x1) * part for part in (0.3, 0.7)]
    down = [y1 + (y2 - y1) * part for part in (0.4, 0.8)]
    points = [(across[0], down[0]), (across[1], down[0]), (nose_x, nose_y)]
    points += [(across[0], down[1]), (across[1], down[1])]
    return [
        np.array([[[x1, y1, x2, y2]]], np.float32),
        np.array([[score]], np.float32),
        np.array(points, np.float32).reshape(1, 1, 10),
    ]


@pytest.fixture
def seeing(detector_file):
    """A detector that finds what is bright, and the shapes that it was shown."""
    found = Detector(
        open_session(detector_file, EngineOptions(threads=1)), CONTRACT, score_threshold=0.02
    )
    shown = []

    def run(pixels):
        shown.append(pixels.shape[2:])
        return bright(pixels)

    found.session.run = run
    return found, shown


def picture(width=100, height=60, box=(20, 10, 44, 40), nose=(28, 20, 32, 24)):
    """A white square with a red nose left of its middle, on black."""
    image = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = 255
    x1, y1, x2, y2 = nose
    image[y1:y2, x1:x2, 1:] = 0
    return image


def test_by_default_it_is_one_look_at_the_canvas(seeing):
    detector, shown = seeing
    faces = look(detector, picture(), Looks())
    assert shown == [(160, 160)]
    np.testing.assert_allclose(faces.boxes, [[20, 10, 44, 40]], atol=0.4)


@pytest.mark.parametrize(
    ("size", "canvas"),
    [
        (ORIGINAL, (64, 128)),  # 60 x 100, up to multiples of 32
        (Within(120, 400), (128, 224)),  # twice as large: 120 x 200
        (Within(120, 150), (96, 160)),  # one and a half times: 90 x 150
        (Within(30, 400), (32, 64)),
        (CANVAS, (160, 160)),
    ],
)
def test_every_size_is_shown_as_it_says_and_brought_back(seeing, size, canvas):
    detector, shown = seeing
    faces = look(detector, picture(), Looks(sizes=(size,)))
    assert shown == [canvas]
    np.testing.assert_allclose(faces.boxes, [[20, 10, 44, 40]], atol=1.1)
    np.testing.assert_allclose(faces.landmarks[0, 2], [29.5, 21.5], atol=1.6)


def test_the_original_comes_back_to_the_pixel(seeing):
    detector, _ = seeing
    faces = look(detector, picture(), Looks(sizes=(ORIGINAL,)))
    assert faces.boxes.tolist() == [[20, 10, 44, 40]]
    assert faces.landmarks[0, 2].tolist() == [29.5, 21.5]


@pytest.mark.parametrize("voting", [False, True])
def test_a_mirror_image_finds_the_same_face_with_its_left_eye_on_the_left(seeing, voting):
    """Boxes of both looks are the same, so whether one is kept or both vote is the same too."""
    detector, shown = seeing
    alone = look(detector, picture(), Looks(sizes=(ORIGINAL,)))
    both = look(detector, picture(), Looks(sizes=(ORIGINAL,), flip=True, voting=voting))
    assert shown == [(64, 128)] * 3
    assert both.boxes.tolist() == alone.boxes.tolist()
    np.testing.assert_allclose(both.landmarks, alone.landmarks, atol=1e-4)
    assert both.landmarks[0, 0, 0] < both.landmarks[0, 1, 0]


def test_flipping_is_an_involution(seeing):
    """With mirror images, a picture and its mirror image have mirrored faces; what the mirror
    look finds is what the plain look would find in the mirror image, turned back."""
    detector, _ = seeing
    image = picture()
    turned = np.ascontiguousarray(image[:, ::-1])
    width = image.shape[1]
    looks = Looks(sizes=(ORIGINAL, Within(90, 300)), flip=True)
    one, other = look(detector, image, looks), look(detector, turned, looks)
    np.testing.assert_allclose(mirrored_boxes(other.boxes, width=width), one.boxes, atol=1e-4)
    np.testing.assert_allclose(
        mirrored_points(other.landmarks, width=width), one.landmarks, atol=1e-4
    )


def test_voting_takes_the_mean_of_all_looks(seeing):
    """Two looks of scores .9 and .3, of which the second is 4 pixels too far right: the mean is
    4 * .3 / 1.2 = 1 pixel off."""
    detector, _ = seeing
    answers = iter([bright, lambda pixels: bright(np.roll(pixels, 4, axis=3), score=0.3)])
    detector.session.run = lambda pixels: next(answers)(pixels)
    sizes = (ORIGINAL, Within(60, 100))  # the same size, asked for twice
    faces = look(detector, picture(), Looks(sizes=sizes, voting=True))
    np.testing.assert_allclose(faces.boxes, [[21, 10, 45, 40]], atol=1e-4)
    np.testing.assert_allclose(faces.scores, [0.9], atol=1e-6)
    np.testing.assert_allclose(faces.landmarks[0, 2], [29.5, 21.5])  # those of the best


def test_without_voting_the_surest_look_is_kept(seeing):
    detector, _ = seeing
    answers = iter([lambda pixels: bright(np.roll(pixels, 4, axis=3), score=0.3), bright])
    detector.session.run = lambda pixels: next(answers)(pixels)
    faces = look(detector, picture(), Looks(sizes=(ORIGINAL, Within(60, 100))))
    assert faces.boxes.tolist() == [[20, 10, 44, 40]]


@pytest.mark.parametrize(
    "looks", [Looks(), Looks(flip=True, voting=True), Looks(sizes=(ORIGINAL,))]
)
def test_no_face_in_any_look_is_an_empty_answer(seeing, looks):
    detector, _ = seeing
    faces = look(detector, np.zeros((60, 100, 3), np.uint8), looks)
    assert (faces.boxes.shape, faces.landmarks.shape) == ((0, 4), (0, 5, 2))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 3000), (3000, 2)])
def test_pictures_of_any_shape_can_be_looked_at(seeing, width, height):
    detector, shown = seeing
    looks = Looks(sizes=(CANVAS, ORIGINAL, *scales(64)), flip=True)
    look(detector, np.zeros((height, width, 3), np.uint8), looks)
    assert len(shown) == 6
    assert all(side % 32 == 0 and side >= 32 for shape in shown for side in shape)


def test_two_thousand_faces_are_all_told(seeing):
    """Twenty rows of a hundred, in two looks; voting tells the 750 that the rule allows."""
    detector, _ = seeing
    corner = np.stack(np.meshgrid(np.arange(100) * 12.0, np.arange(20) * 12.0), -1).reshape(-1, 2)
    boxes = np.concatenate([corner, corner + 10], axis=1).astype(np.float32)[None]
    scores = np.linspace(0.9, 0.5, 2000, dtype=np.float32)[None]
    points = np.zeros((1, 2000, 10), np.float32)
    detector.session.run = lambda pixels: [boxes, scores, points]
    image, sizes = np.zeros((240, 1200, 3), np.uint8), (ORIGINAL, Within(240, 1200))
    assert len(look(detector, image, Looks(sizes=sizes))) == 2000
    assert len(look(detector, image, Looks(sizes=sizes, voting=True))) == 750


def test_sizes_are_those_of_the_published_tests():
    """SCRFD's 1100x1650, and the rule of RetinaFace: of a base of 800 within 1200, s / 800."""
    assert size_of(np.zeros((768, 1024, 3), np.uint8), Within(1100, 1650)) == (1467, 1100)
    draw = np.random.default_rng(0)
    for height, width in draw.integers(10, 3000, (20, 2)).tolist():
        image = np.zeros((height, width, 3), np.uint8)
        base = min(800 / min(height, width), 1200 / max(height, width))
        for side, within in zip((500, 1100, 1700), scales(500, 1100, 1700), strict=True):
            factor = base * side / 800
            wanted = (width * factor, height * factor)
            np.testing.assert_allclose(size_of(image, within), wanted, atol=0.51)


def test_what_was_done_can_be_told():
    assert str(Looks()) == "canvas"
    looks = Looks(sizes=scales(500, 800), flip=True, voting=True)
    assert str(looks) == "500x750, 800x1200; mirrored too; box voting"


# --- refusals -----------------------------------------------------------------------------


def test_a_file_of_one_size_takes_no_other(tmp_path, seeing):
    detector, _ = seeing
    fixed = toy_detector(tmp_path / "fixed.onnx")
    session = open_session(fixed, EngineOptions(threads=1))
    session.input = TensorSpec("image", "float32", (1, 3, 160, 160))
    stuck = Detector(session, CONTRACT)
    check_looks(stuck, Looks(flip=True))
    for use in (
        lambda looks: check_looks(stuck, looks),
        lambda looks: look(stuck, picture(), looks),
    ):
        with pytest.raises(BadModel, match="detector fixed works on 160 x 160 pixels only; pict"):
            use(Looks(sizes=(ORIGINAL,)))
    check_looks(detector, Looks(sizes=(ORIGINAL,)))


def test_a_picture_that_would_be_too_large_is_refused(seeing):
    detector, _ = seeing
    with pytest.raises(BadArray, match=r"no more than 8192 pixels a side; a picture of 9000 x 2 "):
        look(detector, np.zeros((2, 9000, 3), np.uint8), Looks(sizes=(ORIGINAL,)))


def test_what_is_no_picture_is_refused(seeing):
    with pytest.raises(BadArray, match="image"):
        look(seeing[0], np.zeros((4, 4), np.uint8), Looks())


@pytest.mark.parametrize("sizes", [(), (CANVAS, CANVAS)])
def test_no_size_and_a_size_twice_are_refused(sizes):
    with pytest.raises(BadInput, match="looks need sizes, each once; got "):
        Looks(sizes=sizes)


def test_an_unknown_size_is_refused():
    with pytest.raises(BadInput, match="no size 'large' to look at; there is canvas, original, or"):
        Looks(sizes=("large",))


@pytest.mark.parametrize(
    ("size", "told"), [(Within(0, 9), "0x9"), (Within(9, 8), "9x8"), (Within(9, 9000), "9x9000")]
)
def test_room_that_is_none_is_refused(size, told):
    with pytest.raises(BadInput, match=f"is SHORTxLONG, from 1 to 8192 pixels; got {told}"):
        Looks(sizes=(size,))
