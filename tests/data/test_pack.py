"""Packing: counts, classes, duplicates, and a run that is stopped."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys

import pytest

import toys
from tronie.data.pack import Encoded, write_shards
from tronie.data.readers.shards import Shards
from tronie.errors import BadImage, BadInput, NoFace, NotFound
from tronie.images.io import encode_image
from working_tree import environment


def picture(person, shot=0, side=24):
    return encode_image(toys.toy_face(person, shot=shot)[:side, :side], ".png")


def image(person, shot=0, data=None):
    name = f"person {person}"
    return Encoded(name, f"{name}/{shot}.png", picture(person, shot) if data is None else data)


def test_images_keep_their_order_and_classes_are_sorted_by_name(tmp_path):
    source = [Encoded(name, f"{name}.png", picture(n)) for n, name in enumerate("cabca")]
    packed = write_shards(source, tmp_path / "out")
    with Shards(tmp_path / "out") as shards:
        assert shards.classes == ("a", "b", "c")
        assert shards.labels.tolist() == [2, 0, 1, 2, 0]
        assert [shards.read(n) for n in range(5)] == [i.data for i in source]
    assert (packed.images, packed.classes, packed.shards) == (5, 3, 1)


def test_classes_that_are_numbers_are_sorted_as_numbers(tmp_path):
    write_shards([Encoded(str(n), "x", picture(n)) for n in (10, 9, 100)], tmp_path / "out")
    assert Shards(tmp_path / "out").classes == ("9", "10", "100")


def test_a_shard_ends_where_its_size_is_passed(tmp_path):
    source = [image(n) for n in range(9)]
    packed = write_shards(source, tmp_path / "out", shard_bytes=2 * len(source[0].data))
    sizes = [path.stat().st_size for path in sorted((tmp_path / "out").glob("shard-*.bin"))]
    assert len(sizes) == packed.shards > 3
    assert sum(sizes) == packed.bytes == sum(len(i.data) for i in source)


def test_sizes_are_counted(tmp_path):
    source = [image(0), image(1, data=picture(1, side=30)), image(2)]
    assert write_shards(source, tmp_path / "out").sizes == {(24, 24): 2, (30, 30): 1}


def test_duplicates_are_kept_counted_and_told_across_classes(tmp_path):
    twin = picture(0)
    source = [image(0), image(0, 1), image(0, 2, data=twin), image(1, data=twin), image(1, 1)]
    packed = write_shards(source, tmp_path / "out")
    assert packed.images == 5
    assert packed.duplicates == 2
    assert packed.duplicates_across == 1
    assert packed.examples_across == ("person 0 and person 1",)


def test_progress_is_told_for_each_image(tmp_path):
    told = []
    write_shards([image(n) for n in range(3)], tmp_path / "out", progress=told.append)
    assert told == [1, 1, 1]


# --- what cannot be read


def test_a_picture_that_cannot_be_read_refuses_all_and_is_named(tmp_path):
    source = [image(0), image(1, data=picture(1)[:-200])]
    with pytest.raises(BadImage, match=r"'person 1/0\.png' is a damaged .*skip such pictures"):
        write_shards(source, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_pictures_that_cannot_be_read_are_skipped_and_counted_if_asked(tmp_path):
    source = [
        image(0),
        image(0, 1, data=b"no picture"),
        image(1, data=BadImage("cannot read person 1/0.png: no permission")),
        image(2, data=NoFace("person 2/0.png shows no face")),
        image(3),
    ]
    packed = write_shards(source, tmp_path / "out", skip_unreadable=True)
    assert (packed.images, packed.classes, packed.without_face) == (2, 2, 1)
    assert packed.empty_classes == ("person 1", "person 2")
    assert [text.split(" ")[0] for text in packed.unreadable] == ["'person", "cannot"]
    with Shards(tmp_path / "out") as shards:  # no holes
        assert shards.classes == ("person 0", "person 3")
        assert shards.labels.tolist() == [0, 1]


def test_a_photograph_without_a_face_is_no_fault(tmp_path):
    source = [image(0), image(1, data=NoFace("shows no face"))]
    assert write_shards(source, tmp_path / "out").without_face == 1


def test_nothing_left_is_refused_with_the_reasons(tmp_path):
    with pytest.raises(BadInput, match=r"nothing to pack into .*: of 0 pictures 0 could not be"):
        write_shards([], tmp_path / "out")
    told = "of 2 pictures 1 could not be read and 1 show no face"
    with pytest.raises(BadInput, match=told):
        write_shards(
            [image(0, data=b""), image(1, data=NoFace("none"))],
            tmp_path / "out",
            skip_unreadable=True,
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "two\nlines", "two\u2028lines", "caf\udce9"])
def test_a_class_without_a_name_of_one_line_is_refused(tmp_path, name):
    with pytest.raises(BadInput, match=r"a\.png: a class needs a name of one line; got"):
        write_shards([Encoded(name, "a.png", picture(0))], tmp_path / "out")


# --- the folder


def test_a_folder_that_is_there_is_not_written_over_but_an_empty_one_is_used(tmp_path):
    (tmp_path / "out").mkdir()
    write_shards([image(0)], tmp_path / "out")
    with pytest.raises(BadInput, match="out is there already and is not written over"):
        write_shards([image(1)], tmp_path / "out")
    assert Shards(tmp_path / "out").classes == ("person 0",)


def test_a_missing_parent_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"there is no folder .*nowhere; make it first"):
        write_shards([image(0)], tmp_path / "nowhere" / "out")


def test_another_run_on_the_same_folder_is_refused(tmp_path):
    part = tmp_path / "out.part"
    part.mkdir()
    with (part / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BadInput, match=r"another run is filling .*out\.part; wait for it"):
            write_shards([image(0)], tmp_path / "out")
        assert part.is_dir()


def test_what_is_not_ours_is_not_removed(tmp_path):
    part = tmp_path / "out.part"
    part.mkdir()
    (part / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match=r"thesis\.txt was not left by a stopped run; move it"):
        write_shards([image(0)], tmp_path / "out")
    assert (part / "thesis.txt").read_text() == "years of work"


def test_a_fault_in_the_source_leaves_nothing(tmp_path):
    def source():
        yield image(0)
        raise KeyboardInterrupt("stopped")

    with pytest.raises(KeyboardInterrupt, match="stopped"):
        write_shards(source(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadInput, match=r"cannot write .*out: No space left on device"):
        write_shards([image(0)], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


ENDLESS = """
import sys
sys.path.insert(0, {tests!r})
from data.test_pack import image
from tronie.data.pack import write_shards

def source():
    for n in range(10**9):
        yield image(n % 3, n)
        if n == 20:
            print("under way", flush=True)

write_shards(source(), {out!r}, shard_bytes=4000)
"""


def test_a_run_that_is_killed_leaves_nothing_under_the_name_and_the_next_one_clears_it(tmp_path):
    out = tmp_path / "out"
    code = ENDLESS.format(tests=environment()["PYTHONPATH"].split(os.pathsep)[1], out=str(out))
    run = subprocess.Popen(
        [sys.executable, "-c", code], env=environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert run.stdout.readline() == "under way\n"
        with pytest.raises(BadInput, match="another run is filling"):
            write_shards([image(0)], out)
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
        run.stdout.close()
    assert not out.exists()
    assert len(list((tmp_path / "out.part").glob("shard-*.bin"))) > 2
    write_shards([image(0)], out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert len(Shards(out)) == 1
