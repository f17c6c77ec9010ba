"""mask: every face of a photograph, the same mask again, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import toys
from cli.toy_models import write_detector
from tronie.data.augment.masks import KIND_SHARES, mask_for, put_on
from tronie.images.io import read_image


@pytest.fixture
def eyes(toy):
    return ("--detector", toy.detector)


def test_every_face_gets_a_mask_and_the_rest_is_unchanged(tmp_path, toy, cli_here):
    photo, out = tmp_path / "wide.png", tmp_path / "masked.png"
    Image.fromarray(toys.toy_face(1)).resize((320, 320)).save(photo)
    two = write_detector(tmp_path / "two.onnx", scores=(0.9, 0.8), step=60.0)
    ran = cli_here("mask", photo, "--out", out, "--detector", two, "--json")
    assert ran.code == 0
    (told,) = ran.json_lines()
    assert [face["box"][0] for face in told["faces"]] == sorted(f["box"][0] for f in told["faces"])
    assert len(told["faces"]) == 2
    assert {face["kind"] for face in told["faces"]} <= set(KIND_SHARES)
    before, after = read_image(photo), read_image(out)
    np.testing.assert_array_equal(before[:120], after[:120])
    assert (before[190:230] != after[190:230]).any(axis=2).mean() > 0.3


def test_the_mask_is_the_one_that_training_gives_to_the_same_key(tmp_path, toy, eyes, cli_here):
    out = tmp_path / "masked.png"
    words = ("mask", toy.photo(0), "--out", out, *eyes, "--key", "Ada", "--seed", 4, "--json")
    (told,) = cli_here(*words).json_lines()
    points = np.array(told["faces"][0]["landmarks"], np.float32)
    asked = put_on(read_image(toy.photo(0)), points, mask_for("Ada", seed=4))
    np.testing.assert_array_equal(read_image(out), asked)
    assert told["faces"][0]["color"] == list(mask_for("Ada", seed=4).fabric.color)


def test_the_same_photograph_and_seed_give_the_same_file(tmp_path, toy, eyes, cli_here):
    outs = [tmp_path / f"{name}.png" for name in "abc"]
    for out, seed in zip(outs, (0, 0, 1), strict=True):
        assert cli_here("mask", toy.photo(0), "--out", out, *eyes, "--seed", seed).code == 0
    assert outs[0].read_bytes() == outs[1].read_bytes() != outs[2].read_bytes()


def test_a_kind_may_be_named_and_people_are_told(tmp_path, toy, eyes, cli_here):
    out = tmp_path / "masked.jpg"
    ran = cli_here("mask", toy.photo(0), "--out", out, *eyes, "--kind", "cup")
    assert ran.out == f"{out}: 1 face with a mask, cup\n"
    refused = cli_here("mask", toy.photo(0), "--out", out, *eyes, "--kind", "cap")
    assert refused.code == 2
    assert "no entry 'cap' in the kinds of masks. Did you mean 'cup'?" in refused.err


def test_a_photograph_may_come_from_standard_input(tmp_path, toy, eyes, cli_here, standard_input):
    named, piped = tmp_path / "a.png", tmp_path / "b.png"
    cli_here("mask", toy.photo(0), "--out", named, *eyes)
    standard_input(toy.photo(0).read_bytes())
    assert cli_here("mask", "-", "--out", piped, *eyes).code == 0
    assert piped.read_bytes() == named.read_bytes()


def test_without_a_face_nothing_is_written_and_the_code_is_3(tmp_path, toy, cli_here):
    nobody = write_detector(tmp_path / "nobody.onnx", scores=())
    out = tmp_path / "masked.jpg"
    ran = cli_here("mask", toy.photo(0), "--out", out, "--detector", nobody)
    assert ran.code == 3
    assert "no face found in" in ran.err
    assert not out.exists()


@pytest.mark.parametrize(
    ("photo", "out", "told"),
    [
        ("{photo}", "masked.tif", "--out must end in one of .jpg .jpeg .png .webp .bmp; got"),
        ("{photo}", "nowhere/masked.jpg", "there is no folder"),
        ("{people}", "masked.jpg", "one photograph at a time is masked"),
        ("nobody.jpg", "masked.jpg", "nobody.jpg is not there"),
        ("damaged.jpg", "masked.jpg", "damaged.jpg' cannot be used: the JPEG header is cut off"),
        ("own.png", "own.png", "own.png is the photograph itself, and is not written over"),
    ],
)
def test_what_cannot_be_done_is_refused(
    tmp_path, toy, eyes, cli_here, monkeypatch, photo, out, told
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF")
    (tmp_path / "own.png").write_bytes(toy.photo(0).read_bytes())
    ran = cli_here("mask", photo.format(photo=toy.photo(0), people=toy.people), "--out", out, *eyes)
    assert ran.code == 2
    assert told in ran.err
    assert ran.err.count("\n") == 1
