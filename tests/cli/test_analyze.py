"""detect, align and embed: what is printed, what is written, and what is refused."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import toys
from cli.toy_models import held_by_permissions, write_detector
from tronie.cli import analyze
from working_tree import environment


@pytest.fixture
def album(tmp_path, toy):
    """Three photographs in a folder: person 0, 1 and 2."""
    folder = tmp_path / "album"
    folder.mkdir()
    for person in range(3):
        shutil.copy(toy.photo(person), folder / f"{person}.png")
    return folder


def bomb(path: Path, side: int = 20_000) -> Path:
    """A PNG of a few kilobytes that says it has 400 million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(side * (side // 8 + 1)))
    pixels = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + pixels)
    return path


def truncated(path: Path, photo: Path) -> Path:
    Image.open(photo).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:-2000])
    return path


# --- detect ------------------------------------------------------------------------------


def test_detect_prints_one_object_a_photograph(cli_here, album, toy):
    ran = cli_here("detect", album / "0.png", album / "1.png", "--detector", toy.detector, "--json")
    assert (ran.code, ran.err) == (0, "")
    first, second = ran.json_lines()
    assert list(first) == ["file", "faces"]
    assert [first["file"], second["file"]] == [str(album / "0.png"), str(album / "1.png")]
    (face,) = first["faces"]
    assert list(face) == ["box", "score", "landmarks"]
    assert face["box"] == list(toys.BOX)
    assert face["landmarks"] == [list(point) for point in toys.FIVE_POINTS]
    assert face["score"] == pytest.approx(0.9)


def test_detect_takes_folders_and_patterns_in_the_order_of_their_names(cli_here, album, toy):
    by_folder = cli_here("detect", album, "--detector", toy.detector, "--json")
    by_pattern = cli_here("detect", album / "*.png", "--detector", toy.detector, "--json")
    assert by_folder.out == by_pattern.out
    assert [row["file"][-5:] for row in by_folder.json_lines()] == ["0.png", "1.png", "2.png"]


def test_detect_reads_standard_input(cli_here, album, toy, standard_input):
    standard_input((album / "0.png").read_bytes())
    ran = cli_here("detect", "-", "--detector", toy.detector, "--json")
    assert ran.json_lines()[0]["file"] == "-"
    assert len(ran.json_lines()[0]["faces"]) == 1


def test_detect_as_a_table_tells_each_face_on_a_line(cli_here, album, toy, tmp_path):
    two = write_detector(tmp_path / "two.onnx", scores=(0.9, 0.8), step=100.0)
    ran = cli_here("detect", album / "0.png", "--detector", two)
    lines = ran.out.splitlines()
    assert lines[0].split() == ["file", "face", "score", "x1", "y1", "x2", "y2"]
    assert lines[2].split() == ["0.png", "0", "0.900", "38", "28", "122", "136"]
    assert lines[3].split() == ["1", "0.800", "138", "28", "222", "136"]


@pytest.mark.parametrize(("policy", "kept"), [("all", 3), ("largest", 1), ("center", 1)])
def test_detect_keeps_the_faces_of_the_policy(cli_here, album, tmp_path, policy, kept):
    three = write_detector(tmp_path / "three.onnx", scores=(0.9, 0.8, 0.7), step=100.0)
    words = ["--detector", three, "--policy", policy, "--json"]
    (row,) = cli_here("detect", album / "0.png", *words).json_lines()
    assert len(row["faces"]) == kept


def test_detect_says_why_a_face_was_left_out(cli_here, album, toy):
    words = ["--detector", toy.detector, "--min-size", "100", "--json"]
    ran = cli_here("detect", album / "0.png", *words)
    (row,) = ran.json_lines()
    assert ran.code == 3
    assert row["faces"] == []
    assert "84 px is under the 100 px asked for" in row["notes"][0]


def test_the_detectors_own_threshold_can_be_replaced(cli_here, album, tmp_path):
    faint = write_detector(tmp_path / "faint.onnx", scores=(0.3,))
    photo = album / "0.png"
    assert cli_here("detect", photo, "--detector", faint).code == 3
    assert cli_here("detect", photo, "--detector", faint, "--det-threshold", "0.2").code == 0


def test_where_no_photograph_shows_a_face_the_exit_code_is_three(cli_here, album, tmp_path):
    blind = write_detector(tmp_path / "blind.onnx", scores=())
    one = cli_here("detect", album / "0.png", "--detector", blind)
    assert (one.code, one.err) == (3, "tronie: no face found in the photograph\n")
    assert "none" in one.out
    several = cli_here("detect", album, "--detector", blind, "--json")
    assert (several.code, several.err) == (3, "tronie: no face found in the 3 photographs\n")
    assert [row["faces"] for row in several.json_lines()] == [[], [], []]


def test_draw_writes_a_copy_beside_which_the_photograph_stays(cli_here, album, toy, tmp_path):
    before = (album / "0.png").read_bytes()
    ran = cli_here(
        "detect", album, "--detector", toy.detector, "--draw", tmp_path / "new" / "drawn"
    )
    assert ran.code == 0
    assert sorted(p.name for p in (tmp_path / "new" / "drawn").iterdir()) == [
        "0.faces.jpg",
        "1.faces.jpg",
        "2.faces.jpg",
    ]
    drawn = np.asarray(Image.open(tmp_path / "new" / "drawn" / "0.faces.jpg")).astype(int)
    assert drawn.shape == (toys.SIDE, toys.SIDE, 3)
    assert np.abs(drawn - np.asarray(Image.open(album / "0.png"))).max() > 100
    assert (album / "0.png").read_bytes() == before


def test_two_photographs_of_one_name_are_drawn_into_two_files(cli_here, toy, tmp_path):
    for folder, person in (("a", 0), ("b", 1)):
        (tmp_path / folder).mkdir()
        shutil.copy(toy.photo(person), tmp_path / folder / "face.png")
    words = ["--detector", toy.detector, "--draw", tmp_path / "out"]
    assert cli_here("detect", tmp_path / "a", tmp_path / "b", *words).code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "face-2.faces.jpg",
        "face.faces.jpg",
    ]


# --- a photograph that cannot be used ------------------------------------------------------


def test_one_unreadable_photograph_does_not_stop_the_others(cli_here, album, toy):
    (album / "1.png").write_text("this is no picture")
    ran = cli_here("detect", album, "--detector", toy.detector, "--json")
    rows = ran.json_lines()
    assert ran.code == 2
    assert [("faces" in row) for row in rows] == [True, False, True]
    assert list(rows[1]) == ["file", "error"]
    assert rows[1]["error"]["code"] == "bad_image"
    assert "begins with b'this is '" in rows[1]["error"]["message"]
    assert "JPEG, PNG, WebP" in rows[1]["error"]["message"]
    assert ran.err == f"tronie: {rows[1]['error']['message']}\n"


def test_a_truncated_photograph_is_refused_by_name(cli_here, album, toy, tmp_path):
    ran = cli_here("detect", truncated(tmp_path / "cut.jpg", album / "0.png"),
                   "--detector", toy.detector)  # fmt: skip
    assert (ran.code, ran.out) == (2, "")
    assert "cut.jpg' is a damaged or truncated JPEG picture" in ran.err


def test_a_decompression_bomb_is_refused_before_it_goes_off(cli_here, toy, tmp_path):
    ran = cli_here("detect", bomb(tmp_path / "bomb.png"), "--detector", toy.detector)
    assert ran.code == 2
    assert "20000 x 20000 = 400000000 pixels, over the limit of 100000000" in ran.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere.jpg"], "nowhere.jpg is not there; give a photograph, a folder or a pattern"),
        (["*.webp"], "no photograph matches *.webp"),
        (["empty"], "the folder empty holds no photograph (looked for"),
        (["-", "-"], "standard input can be read once; - was given twice"),
        ([""], "an empty word names no photograph; was a variable not set?"),
        (["x" * 5000], "File name too long"),
        (["a\0b.jpg"], r"a\x00b.jpg is not there"),
    ],
)
def test_words_that_name_no_photograph(cli_here, toy, tmp_path, monkeypatch, words, sentence):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    ran = cli_here("detect", *words, "--detector", toy.detector)
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err
    assert ran.err.count("\n") == 1


def test_nothing_on_standard_input(cli_here, toy, standard_input):
    standard_input(b"")
    ran = cli_here("detect", "-", "--detector", toy.detector)
    assert ran.code == 2
    assert "standard input must hold one picture" in ran.err


def test_what_is_wrong_with_standard_input_is_told_by_that_name(cli_here, toy, standard_input):
    standard_input(b"GIF but not really")
    ran = cli_here("detect", "-", "--detector", toy.detector, "--json")
    message = ran.json_lines()[0]["error"]["message"]
    assert message.startswith("standard input begins with b'GIF but ")


def test_endless_standard_input_is_refused(cli_here, toy, standard_input, monkeypatch):
    monkeypatch.setattr("tronie.cli.photos.MAX_BYTES", 1000)
    standard_input(bytes(1001))
    ran = cli_here("detect", "-", "--detector", toy.detector)
    assert ran.code == 2
    assert "one picture of at most 1000 bytes; got more" in ran.err


def test_a_folder_without_permission_is_named(toy, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir()
    shutil.copy(toy.photo(0), closed / "face_0001.png")
    closed.chmod(0)
    words = ["--gallery", tmp_path / "G.db", *toy.words]
    for path in (closed, closed / "face_0001.png"):
        code, out, err = held_by_permissions("enroll", path, *words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "Permission denied" in err
        assert str(path) in err
    assert not (tmp_path / "G.db").exists()


def test_a_photograph_without_permission_does_not_stop_the_others(toy, album):
    (album / "1.png").chmod(0)
    code, out, err = held_by_permissions("detect", album, "--detector", toy.detector, "--json")
    assert code == 2
    assert out.count('"faces": [{') == 2
    assert "1.png' cannot be read: Permission denied" in err


# --- align -------------------------------------------------------------------------------


def test_align_writes_a_crop_a_face_the_best_first(cli_here, album, tmp_path):
    two = write_detector(tmp_path / "two.onnx", scores=(0.7, 0.9), step=20.0)
    out = tmp_path / "crops"
    words = ["--detector", two, "--out", out, "--det-threshold", "0.1", "--json"]
    ran = cli_here("align", album / "0.png", *words)
    (row,) = ran.json_lines()
    assert list(row) == ["file", "crops"]
    best = np.asarray(Image.open(row["crops"][0])).astype(int)
    assert best.shape == (112, 112, 3)
    assert Path(row["crops"][0]) == out / "0_0.png"


def test_align_moves_the_eyes_where_recognizers_expect_them(cli_here, tmp_path, toy):
    """A black picture with white eyes: they must be white at the template's places."""
    picture = np.zeros((toys.SIDE, toys.SIDE, 3), np.uint8)
    for x, y in toys.FIVE_POINTS[:2]:
        picture[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4] = 255
    Image.fromarray(picture).save(tmp_path / "eyes.png")
    words = ["--out", tmp_path, "--detector", toy.detector, "--size", "224"]
    assert cli_here("align", tmp_path / "eyes.png", *words).code == 0
    crop = np.asarray(Image.open(tmp_path / "eyes_0.png"))
    assert crop.shape == (224, 224, 3)
    assert crop[103, 77].min() > 200  # twice (38.3, 51.7)
    assert crop[103, 147].min() > 200  # twice (73.5, 51.5)
    assert crop[103, 112].max() < 50


def test_align_refuses_a_size_that_recognizers_do_not_take(cli_here, album, toy, tmp_path):
    words = ["--out", tmp_path / "no", "--detector", toy.detector, "--size", "100"]
    ran = cli_here("align", album, *words)
    assert ran.code == 2
    assert "100" in ran.err
    assert not (tmp_path / "no").exists()


def test_photographs_of_one_name_give_crops_of_two_names(cli_here, toy, tmp_path):
    for folder, person in (("a", 0), ("b", 1)):
        (tmp_path / folder).mkdir()
        shutil.copy(toy.photo(person), tmp_path / folder / "face.png")
    words = ["--out", tmp_path / "out", "--detector", toy.detector]
    ran = cli_here("align", tmp_path / "a" / "face.png", tmp_path / "b" / "face.png", *words)
    assert ran.code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["face-2_0.png", "face_0.png"]


@pytest.fixture
def people(tmp_path, toy):
    """Two people with two photographs each, one loose, and one without a face."""
    for name, person in (("Ada", 0), ("Bo", 1)):
        (tmp_path / "people" / name).mkdir(parents=True)
        for shot in range(2):
            shutil.copy(
                toy.photo(person, shot), tmp_path / "people" / name / f"{name}_000{shot}.png"
            )
    shutil.copy(toy.photo(2), tmp_path / "people" / "loose.png")
    return tmp_path / "people"


def written(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png"))


@pytest.mark.parametrize("policy", ["center", "largest"])
def test_one_face_a_photograph_stays_in_the_folder_of_its_person(
    cli_here, people, toy, tmp_path, policy
):
    words = ["--out", tmp_path / "out", "--detector", toy.detector, "--policy", policy]
    assert cli_here("align", people, *words).code == 0
    named = [f"{name}/{name}_000{shot}.png" for name in ("Ada", "Bo") for shot in range(2)]
    assert written(tmp_path / "out") == [*named, "loose_0.png"]
    (tmp_path / "out" / "loose_0.png").unlink()
    packed = cli_here("pack", tmp_path / "out", "--out", tmp_path / "shards")
    assert "4 images of 2 people" in packed.out


def test_all_faces_of_photographs_lie_side_by_side(cli_here, people, toy, tmp_path):
    words = ["--out", tmp_path / "out", "--detector", toy.detector]
    assert cli_here("align", people, *words).code == 0
    names = ["Ada_0000_0.png", "Ada_0001_0.png", "Bo_0000_0.png", "Bo_0001_0.png", "loose_0.png"]
    assert written(tmp_path / "out") == names


def test_several_folders_give_their_names(cli_here, people, toy, tmp_path):
    """As a shell makes them of people/*."""
    words = ["--out", tmp_path / "out", "--detector", toy.detector, "--policy", "center"]
    assert cli_here("align", people / "Ada", f"{people}/Bo/", *words).code == 0
    named = [f"{name}/{name}_000{shot}.png" for name in ("Ada", "Bo") for shot in range(2)]
    assert written(tmp_path / "out") == named
    alone = ["--out", tmp_path / "alone", "--detector", toy.detector, "--policy", "center"]
    assert cli_here("align", people / "Ada", *alone).code == 0
    assert written(tmp_path / "alone") == ["Ada_0000_0.png", "Ada_0001_0.png"]


def test_crops_are_not_written_over_the_photographs_in_their_folders(cli_here, people, toy):
    before = (people / "Ada" / "Ada_0000.png").read_bytes()
    words = ["--out", people, "--detector", toy.detector, "--policy", "center"]
    ran = cli_here("align", people, *words)
    assert ran.code == 2
    assert "Ada_0000.png is one of the photographs, and is not written over" in ran.err
    assert (people / "Ada" / "Ada_0000.png").read_bytes() == before


def test_align_never_writes_over_a_photograph(cli_here, album, toy):
    shutil.copy(album / "1.png", album / "0_0.png")
    before = (album / "0_0.png").read_bytes()
    ran = cli_here("align", album, "--out", album / ".." / "album", "--detector", toy.detector)
    assert ran.code == 2
    assert "0_0.png is one of the photographs, and is not written over" in ran.err
    assert (album / "0_0.png").read_bytes() == before


def test_a_link_under_a_crops_name_is_replaced_and_not_followed(cli_here, album, toy, tmp_path):
    precious = tmp_path / "precious.txt"
    precious.write_text("keep me")
    out = tmp_path / "out"
    out.mkdir()
    (out / "0_0.png").symlink_to(precious)
    words = ["--out", out, "--detector", toy.detector]
    assert cli_here("align", album / "0.png", *words).code == 0
    assert precious.read_text() == "keep me"
    assert not (out / "0_0.png").is_symlink()


@pytest.mark.parametrize("name", ["..png", "...png", "~.png", "-rf.png", "a;b&c.png", "x" * 250])
def test_crops_stay_in_their_folder_whatever_a_photograph_is_called(cli_here, toy, tmp_path, name):
    source = tmp_path / "in" / name
    source.parent.mkdir()
    shutil.copy(toy.photo(0), source)
    words = ["--out", tmp_path / "deep" / "out", "--detector", toy.detector]
    assert cli_here("align", source, *words).code == 0
    files = [p for p in tmp_path.rglob("*_0.png")]
    assert [p.parent for p in files] == [tmp_path / "deep" / "out"]


def test_a_file_where_a_folder_should_be(cli_here, album, toy, tmp_path):
    (tmp_path / "taken").write_text("mine")
    for words in (["align", album, "--out"], ["detect", album, "--draw"]):
        ran = cli_here(*words, tmp_path / "taken", "--detector", toy.detector)
        assert ran.code == 2
        assert f"{words[-1]} {tmp_path / 'taken'} is a file; name a folder" in ran.err
    ran = cli_here("align", album, "--out", tmp_path / "taken" / "in", "--detector", toy.detector)
    assert ran.code == 2
    assert "cannot be made: Not a directory" in ran.err
    assert (tmp_path / "taken").read_text() == "mine"


# --- embed -------------------------------------------------------------------------------


def test_embed_writes_the_matrix_and_its_list(cli_here, album, toy, tmp_path):
    ran = cli_here("embed", album, "--out", tmp_path / "E.npy", *toy.words, "--json")
    assert (ran.code, ran.err) == (0, "")
    (told,) = ran.json_lines()
    assert list(told) == [
        "rows", "dimension", "photos", "without_face", "unreadable", "model", "contract", "out",
    ]  # fmt: skip
    assert (told["rows"], told["dimension"], told["model"]) == (3, 64, "toy")
    matrix = np.load(tmp_path / "E.npy")
    assert (matrix.shape, matrix.dtype) == ((3, 64), np.float32)
    assert (tmp_path / "E.txt").read_text().splitlines() == [
        str(album / f"{n}.png") for n in range(3)
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["E.npy", "E.txt", "album"]


def test_embed_rows_are_those_of_the_photographs_one_by_one(cli_here, album, toy, tmp_path):
    assert cli_here("embed", album, "--out", tmp_path / "E.npy", *toy.words).code == 0
    together = np.load(tmp_path / "E.npy")
    for n in range(3):
        words = ["--out", tmp_path / "one.npy", *toy.words, "--threads", "1", "--batch-size", "1"]
        assert cli_here("embed", album / f"{n}.png", *words).code == 0
        np.testing.assert_allclose(np.load(tmp_path / "one.npy")[0], together[n], rtol=1e-5)


def test_embed_of_all_faces_repeats_the_photograph_in_the_list(cli_here, album, toy, tmp_path):
    two = write_detector(tmp_path / "two.onnx", scores=(0.9, 0.8), step=100.0)
    words = ["--model", toy.model, "--detector", two, "--policy", "all"]
    assert cli_here("embed", album / "0.png", "--out", tmp_path / "E.npy", *words).code == 0
    assert np.load(tmp_path / "E.npy").shape == (2, 64)
    assert (tmp_path / "E.txt").read_text() == f"{album / '0.png'}\n" * 2


def test_embed_with_flip_averages_with_the_mirror_image(cli_here, album, toy, tmp_path):
    plain, flipped = tmp_path / "plain.npy", tmp_path / "flipped.npy"
    assert cli_here("embed", album, "--out", plain, *toy.words).code == 0
    assert cli_here("embed", album, "--out", flipped, *toy.words, "--flip").code == 0
    assert np.abs(np.load(plain) - np.load(flipped)).max() > 0.1


def test_embed_leaves_out_what_it_cannot_read(cli_here, album, toy, tmp_path):
    (album / "1.png").write_text("no picture")
    ran = cli_here("embed", album, "--out", tmp_path / "E.npy", *toy.words, "--json")
    (told,) = ran.json_lines()
    assert ran.code == 2
    assert (told["rows"], told["unreadable"], told["without_face"]) == (2, 1, 0)
    assert np.load(tmp_path / "E.npy").shape == (2, 64)
    assert "1.png" in ran.err


def test_embed_without_any_face_writes_nothing(cli_here, album, toy, tmp_path):
    blind = write_detector(tmp_path / "blind.onnx", scores=())
    words = ["--model", toy.model, "--detector", blind, "--json"]
    ran = cli_here("embed", album, "--out", tmp_path / "E.npy", *words)
    assert ran.code == 3
    assert ran.json_lines()[0]["out"] is None
    assert "0.png: no face found" in ran.err
    assert not list(tmp_path.glob("E.*"))


def test_a_model_that_gives_nan_is_refused_and_nothing_is_written(cli_here, album, toy, tmp_path):
    toys.toy_embedder(tmp_path / "broken.onnx", dimension=64, nan=True)
    words = ["--model", tmp_path / "broken.onnx", "--detector", toy.detector]
    ran = cli_here("embed", album, "--out", tmp_path / "E.npy", *words)
    assert ran.code == 2
    assert "model broken gave NaN or infinity" in ran.err
    assert not list(tmp_path.glob("E.*"))


def test_a_file_name_that_is_no_text_is_kept_byte_by_byte(cli_here, toy, tmp_path):
    odd = os.fsdecode(b"\xff\xfe.png")
    shutil.copy(toy.photo(0), tmp_path / odd)
    ran = cli_here("embed", tmp_path / odd, "--out", tmp_path / "E.npy", *toy.words)
    assert ran.code == 0
    assert (tmp_path / "E.txt").read_bytes() == os.fsencode(tmp_path / odd) + b"\n"


@pytest.mark.parametrize("odd", ["two\nlines.png", "two\rlines.png", "two\u2028lines.png"])
def test_a_file_name_with_a_line_break_is_refused_before_the_work(cli_here, toy, tmp_path, odd):
    shutil.copy(toy.photo(0), tmp_path / odd)
    ran = cli_here("embed", tmp_path / odd, "--out", tmp_path / "E.npy", *toy.words)
    assert ran.code == 2
    assert "has a line break in its name" in ran.err
    assert ran.err.count("\n") == 1
    assert not list(tmp_path.glob("E.*"))


def test_embed_refuses_names_it_cannot_write(cli_here, album, toy, tmp_path):
    (tmp_path / "folder.npy").mkdir()
    os.mkfifo(tmp_path / "pipe.npy")
    for out, sentence in (
        (tmp_path / "E.csv", "--out must end in .npy"),
        (tmp_path / "missing" / "E.npy", "there is no folder"),
        (tmp_path / "folder.npy", "is a folder; name a file"),
        (tmp_path / "pipe.npy", "is no plain file, and is not replaced"),
    ):
        ran = cli_here("embed", album, "--out", out, *toy.words)
        assert (ran.code, ran.out) == (2, "")
        assert sentence in ran.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["album", "folder.npy", "pipe.npy"]


def test_a_folder_that_may_not_be_written_is_told_before_the_work(toy, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    words = ["--out", closed / "E.npy", *toy.words]
    code, out, err = held_by_permissions("embed", toy.photo(0), *words)
    assert (code, out) == (2, "")
    assert f"the folder {closed} may not be written" in err


def test_an_earlier_matrix_stays_when_the_work_fails(cli_here, album, toy, tmp_path, monkeypatch):
    np.save(tmp_path / "E.npy", np.ones((1, 2), np.float32))
    (tmp_path / "E.txt").write_text("old\n")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(analyze.np, "save", full)
    ran = cli_here("embed", album, "--out", tmp_path / "E.npy", *toy.words)
    monkeypatch.undo()
    assert ran.code == 2
    assert "No space left on device" in ran.err
    assert np.load(tmp_path / "E.npy").shape == (1, 2)
    assert (tmp_path / "E.txt").read_text() == "old\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["E.npy", "E.txt", "album"]


INTERRUPTED = """
import os, signal, sys, time
from tronie.cli.main import main
from tronie.runtime import pipeline

read = pipeline.read_image

def interrupted(source):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.5)
    return read(source)

pipeline.read_image = interrupted
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits "ignore"
sys.exit(main(sys.argv[1:]))
"""


def test_an_interrupted_run_leaves_no_half_matrix(album, toy, tmp_path):
    """Ctrl-C comes while the first photograph is read."""
    words = [*map(str, sorted(album.iterdir())), "--out", str(tmp_path / "E.npy"), *toy.words]
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, "embed", *words],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"", b"")
    assert [p.name for p in tmp_path.iterdir()] == ["album"]


# --- the options that decide what runs -----------------------------------------------------


def test_an_engine_a_device_or_a_precision_that_is_missing_is_never_replaced(cli_here, album, toy):
    refused = cli_here("detect", album, "--detector", toy.detector, "--device", "cuda")
    assert refused.code == 2
    assert "device cuda was asked for" in refused.err
    refused = cli_here("detect", album, "--detector", toy.detector, "--precision", "bfloat16")
    assert refused.code == 2
    assert "bfloat16 needs the engine openvino" in refused.err


def test_an_engine_gives_what_the_other_gives(cli_here, album, toy, tmp_path):
    pytest.importorskip("openvino")
    for engine in ("onnxruntime", "openvino"):
        words = ["--out", tmp_path / f"{engine}.npy", *toy.words, "--engine", engine]
        assert cli_here("embed", album, *words, "--threads", "1").code == 0
    one, other = (np.load(tmp_path / f"{e}.npy") for e in ("onnxruntime", "openvino"))
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_an_unknown_model_is_answered_with_the_nearest(cli_here, album, toy):
    ran = cli_here("detect", album, "--detector", "yunet-2023")
    assert (ran.code, ran.out) == (2, "")
    assert "Did you mean 'yunet-2023mar'?" in ran.err
    words = ["--out", album.parent / "E.npy", "--detector", toy.detector]
    for model, sentence in (
        ("sface-2021", "Did you mean 'sface-2021dec'?"),
        ("no/such.onnx", "no model file at no/such.onnx"),
        (album / "0.png", "0.png"),
    ):
        ran = cli_here("embed", album, *words, "--model", model)
        assert (ran.code, ran.out) == (2, "")
        assert sentence in ran.err


def test_what_had_to_be_assumed_of_a_model_is_told(cli_here, album, tmp_path):
    toys.toy_detector(tmp_path / "found.onnx")
    ran = cli_here("detect", album, "--detector", tmp_path / "found.onnx", "--json")
    assert ran.code == 0
    assert "assumed: found: taken for a detector of the decoded format" in ran.err
