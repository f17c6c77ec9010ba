"""Crops of an organizer, packed and by a list."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.data.pack import Encoded, write_shards
from tronie.errors import BadFile, BadInput, NotFound
from tronie.images.io import encode_image, write_image
from tronie.server.challenge.crops import open_crops


def pixels(n, side=112):
    return np.full((side, side, 3), 10 * n, np.uint8)


@pytest.fixture
def listed(tmp_path):
    for n in range(5):
        write_image(tmp_path / f"{n}.png", pixels(n))
    (tmp_path / "images.txt").write_text("".join(f"{n}.png\n" for n in (3, 1, 4, 0)))
    return tmp_path


def test_both_forms_give_the_crops_in_their_order(listed, tmp_path):
    packed = tmp_path / "other"
    packed.mkdir()
    encoded = [Encoded("z", f"{n}", encode_image(pixels(n), ".png")) for n in (3, 1)]
    encoded += [Encoded("a", f"{n}", encode_image(pixels(n), ".png")) for n in (4, 0)]
    write_shards(encoded, packed / "crops")
    for crops in (open_crops(listed), open_crops(packed)):
        assert crops.count == 4
        assert [int(crops.crop(n)[0, 0, 0]) for n in range(4)] == [30, 10, 40, 0]
        assert crops.batch(1, 3)[:, 5, 5, 1].tolist() == [10, 40]
        assert crops.sample(2)[:, 0, 0, 0].tolist() == [30, 0]
        assert len(crops.sample(99)) == 4


def test_other_crops_have_another_name(listed):
    before = open_crops(listed).sha256
    assert open_crops(listed).sha256 == before
    (listed / "images.txt").write_text("1.png\n3.png\n4.png\n0.png\n")
    assert open_crops(listed).sha256 != before


def test_a_folder_without_crops_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"holds no crops: put a folder crops there, .* images.txt"):
        open_crops(tmp_path)


def test_two_forms_at_once_are_refused(listed):
    (listed / "crops").mkdir()
    with pytest.raises(BadInput, match=r"holds crops and images.txt; keep the one"):
        open_crops(listed)


def test_a_file_of_the_list_that_is_not_there_is_named_by_its_line(listed):
    (listed / "images.txt").write_text("1.png\n9.png\n")
    with pytest.raises(NotFound, match=r"images.txt:2: .*9.png cannot be read: No such file"):
        open_crops(listed)


def test_a_picture_of_another_size_is_refused_by_its_number_alone(listed):
    write_image(listed / "4.png", pixels(4, side=64))
    with pytest.raises(BadFile, match=r"^crop 2 of 4 must have 112 x 112 pixels; got 64 x 64"):
        open_crops(listed).crop(2)


def test_damage_and_loss_are_told_by_number_and_not_by_file(listed):
    crops = open_crops(listed)
    (listed / "4.png").write_bytes(b"not a picture")
    (listed / "0.png").unlink()
    with pytest.raises(BadFile, match=r"^crop 2 of 4 cannot be read: 'crop 2' begins with"):
        crops.crop(2)
    with pytest.raises(BadFile, match=r"^crop 3 of 4 cannot be read: its file is gone"):
        crops.crop(3)
    with pytest.raises(NotFound, match=r"there is no crop 4; there are 4"):
        crops.crop(4)
