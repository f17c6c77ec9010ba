"""Drawing: on a copy, where it was asked for, at any size."""

import numpy as np
import pytest

from tronie.errors import BadArray, BadInput
from tronie.geometry.faces import Faces
from tronie.images.draw import GREEN, contact_sheet, draw_faces

RED = (230, 20, 20)


def faces(*boxes, points=True):
    n = len(boxes)
    corners = np.array(boxes, np.float32).reshape(n, 4)
    middle = (corners[:, :2] + corners[:, 2:]) / 2
    spots = np.array([[-1, -1], [1, -1], [0, 0], [-1, 1], [1, 1]]) * 20
    return Faces(
        boxes=corners,
        scores=np.ones(n, np.float32),
        landmarks=(middle[:, None] + spots).astype(np.float32) if points else None,
    )


def has(image, color):
    return (np.abs(image.astype(int) - color).sum(axis=2) < 12).any()


def grey(height, width):
    return np.full((height, width, 3), 128, np.uint8)


def test_the_sides_of_a_box_and_the_points_have_its_color():
    drawn = draw_faces(grey(300, 400), faces((100, 80, 220, 240)))
    for x, y in [(100, 160), (220, 160), (160, 80), (160, 240)]:  # the middle of each side
        assert drawn[y, x].tolist() == list(GREEN)
    for x, y in [(140, 140), (180, 140), (160, 160), (140, 180), (180, 180)]:
        assert drawn[y, x].tolist() == list(GREEN)
    assert drawn[120, 120].tolist() == [128, 128, 128]  # inside, nothing
    assert (drawn[:60] == 128).all()
    assert (drawn[:, 250:] == 128).all()


def test_the_photograph_itself_is_left_alone():
    image = grey(100, 100)
    drawn = draw_faces(image, faces((10, 10, 50, 50)), labels=["A"])
    assert (image == 128).all()
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8


def test_a_label_stands_above_its_box_on_a_plate_of_its_color():
    plain = draw_faces(grey(300, 400), faces((100, 150, 220, 240)))
    drawn = draw_faces(grey(300, 400), faces((100, 150, 220, 240)), labels=["Ardern 0.81"])
    rows, columns = np.nonzero((plain != drawn).any(axis=2))
    assert rows.max() < 150
    assert columns.min() >= 100
    plate = drawn[rows.min() : rows.max(), columns.min() : columns.max()]
    assert has(plate, GREEN)
    assert has(plate, (0, 0, 0))


@pytest.mark.parametrize("box", [(0, 0, 90, 90), (380, 0, 400, 20), (-40, 280, 30, 340)])
def test_a_label_stays_inside_the_picture(box):
    empty = draw_faces(grey(300, 400), faces(box, points=False))
    drawn = draw_faces(grey(300, 400), faces(box, points=False), labels=["Jacinda\nArdern"])
    rows, columns = np.nonzero((empty != drawn).any(axis=2))
    assert (rows.max() - rows.min() > 20) & (columns.max() - columns.min() > 30)


@pytest.mark.parametrize("name", ["José Núñez", "Зоя", "Ωμέγα", "王"])
def test_names_in_many_scripts_are_drawn_and_not_replaced(name):
    def with_label(text):
        return draw_faces(grey(200, 400), faces((50, 80, 90, 120), points=False), labels=[text])

    assert (with_label(name) != with_label("?" * len(name))).any()


def test_each_face_may_have_its_own_color_and_letters_that_stand_out():
    two = faces((20, 60, 90, 140), (200, 60, 280, 140), points=False)
    drawn = draw_faces(
        grey(200, 400), two, labels=["known", "stranger"], color=[GREEN, (20, 20, 90)]
    )
    assert has(drawn[:, :150], GREEN)
    assert has(drawn[:, 180:], (20, 20, 90))
    assert has(drawn[20:60, 200:300], (255, 255, 255))  # light letters on the dark plate
    assert has(drawn[20:60, 20:90], (0, 0, 0))


def test_three_faces_and_one_color_are_not_taken_for_three_colors():
    three = faces((20, 60, 50, 90), (80, 60, 120, 90), (150, 60, 190, 90), points=False)
    drawn = draw_faces(grey(200, 400), three, color=RED)
    assert all(has(drawn[:, left : left + 50], RED) for left in (20, 80, 150))


def test_lines_grow_with_the_picture():
    def thickness(side):
        drawn = draw_faces(
            grey(side, side), faces((side // 4,) * 2 + (side // 2,) * 2, points=False)
        )
        return (drawn[side // 3] == GREEN).all(axis=1).sum()

    assert thickness(2000) > 3 * thickness(200)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3000), (3000, 2)])
def test_any_size_of_picture_can_be_drawn_on(shape):
    drawn = draw_faces(grey(*shape), faces((0, 0, 1, 1)), labels=["a long label"])
    assert drawn.shape == (*shape, 3)


@pytest.mark.parametrize("value", [1e30, -1e30, np.nan, np.inf])
def test_boxes_far_outside_do_no_harm(value):
    assert draw_faces(grey(50, 60), faces((value, 5, 20, value)), labels=["x"]).shape == (50, 60, 3)


def test_no_faces_leave_the_picture_as_it_is():
    np.testing.assert_array_equal(draw_faces(grey(20, 20), Faces.none(), labels=[]), grey(20, 20))


def test_a_sheet_shows_each_picture_in_its_cell_on_white():
    colors = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    pictures = [np.full((40, 20, 3), c, np.uint8) for c in colors]
    sheet = contact_sheet(pictures, columns=2, cell=50, gap=10)
    assert sheet.shape == (2 * 60 + 10, 2 * 60 + 10, 3)
    for (x, y), color in zip([(35, 35), (95, 35), (35, 95)], colors, strict=True):
        assert sheet[y, x].tolist() == list(color)
        assert sheet[y, x - 12].tolist() == list(color)  # 25 of 50 pixels wide, in the middle
        assert sheet[y, x - 14].tolist() == [255, 255, 255]
    assert (sheet[70:, 70:] == 255).all()


def test_two_pictures_stand_side_by_side():
    sheet = contact_sheet([grey(10, 10), grey(10, 10)], columns=5, cell=10, gap=0)
    np.testing.assert_array_equal(sheet, grey(10, 20))


def test_extreme_shapes_fit_into_a_sheet():
    assert contact_sheet([grey(1, 4000), grey(4000, 1)], columns=2, cell=32).shape == (48, 88, 3)


def test_a_wrong_number_of_labels_or_colors_is_refused():
    with pytest.raises(
        BadInput, match="1 faces need as many labels and colors; got 2 labels and 1"
    ):
        draw_faces(grey(9, 9), faces((1, 1, 5, 5)), labels=["a", "b"])
    with pytest.raises(BadInput, match=r"2 faces need .* got 2 labels and 1 colors"):
        draw_faces(grey(9, 9), faces((1, 1, 5, 5), (1, 1, 5, 5)), color=[RED])


def test_what_is_no_image_is_refused():
    with pytest.raises(BadArray, match="an image must be uint8"):
        draw_faces(np.zeros((5, 5)), Faces.none())
    with pytest.raises(BadArray, match="an image must be uint8"):
        contact_sheet([np.zeros((5, 5))], columns=1)


@pytest.mark.parametrize("changes", [{"images": []}, {"columns": 0}, {"cell": 0}, {"gap": -1}])
def test_numbers_that_make_no_sheet_are_refused(changes):
    asked = {"images": [grey(4, 4)], "columns": 1, "cell": 8, "gap": 1} | changes
    with pytest.raises(BadInput, match="a sheet needs at least one image, column and pixel; got"):
        contact_sheet(asked.pop("images"), **asked)
