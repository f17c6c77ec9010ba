"""A matrix on disk from many photographs: in pieces, killed, gone on with, refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tronie.errors import BadArray, BadFile, BadInput, NotEnoughData, NotFound
from tronie.evaluation.embedding import embed_to_matrix, one_row_each
from working_tree import environment

PHOTOS = 23


class Stopped(Exception):
    """What stops a run in a test."""


@pytest.fixture
def photos(tmp_path) -> list[Path]:
    """Files that hold a number each; of every seventh nobody can be seen."""
    (tmp_path / "photos").mkdir()
    paths = [tmp_path / "photos" / f"{n:02d}.jpg" for n in range(PHOTOS)]
    for n, path in enumerate(paths):
        path.write_text(str(n))
    return paths


def by_number(files):
    rows = np.array([[float(file), 2.5 * float(file) + len(files)] for file in files], np.float32)
    rows[[int(file) % 7 == 6 for file in files]] = np.nan
    return rows


def expected(chunk):
    rows = [by_number([b"%d" % n] * min(chunk, PHOTOS - n // chunk * chunk)) for n in range(PHOTOS)]
    return np.array([row[0] for row in rows])


def stops_after(chunks):
    left = [chunks]

    def embed(files):
        if left[0] == 0:
            raise Stopped("stopped")
        left[0] -= 1
        return by_number(files)

    return embed


def started(photos, out, **rest):
    """A run that was stopped when 10 of 23 rows were done."""
    with pytest.raises(Stopped, match="stopped"):
        embed_to_matrix(photos, stops_after(2), out, run="m", chunk=5, **rest)
    return out.with_name(f"{out.name}.journal"), out.with_name(f"{out.name}.part")


def test_each_photograph_has_its_row_and_those_without_a_face_are_listed(photos, tmp_path):
    made = embed_to_matrix(photos, by_number, tmp_path / "M.npy", run="m", chunk=5)
    matrix = np.load(made.path, mmap_mode="r")
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, expected(5))
    assert (made.path, made.rows, made.dimension) == (tmp_path / "M.npy", 23, 2)
    assert made.without_face.tolist() == [6, 13, 20]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["M.npy", "photos"]


@pytest.mark.parametrize("chunk", [1, 22, 23, 100])
def test_any_chunk_holds_all_rows(photos, tmp_path, chunk):
    made = embed_to_matrix(photos, by_number, tmp_path / "M.npy", run="m", chunk=chunk)
    np.testing.assert_array_equal(np.load(made.path), expected(chunk))


def test_no_face_anywhere_is_a_matrix_of_nan(photos, tmp_path):
    made = embed_to_matrix(
        photos, lambda files: np.full((len(files), 3), np.nan), tmp_path / "M.npy", run="m"
    )
    assert made.without_face.tolist() == list(range(23))
    assert np.isnan(np.load(made.path)).all()


def test_a_run_that_stopped_goes_on_where_it_was_and_tells_so(photos, tmp_path):
    out = tmp_path / "M.npy"
    journal, part = started(photos, out)
    assert json.loads(journal.read_text())["done"] == 10
    assert not out.exists()
    asked, told = [], []

    def embed(files):
        asked.extend(int(file) for file in files)
        return by_number(files)

    made = embed_to_matrix(
        photos, embed, out, run="m", chunk=5, progress=lambda *counts: told.append(counts)
    )
    assert asked == list(range(10, 23))
    assert told == [(10, 23), (15, 23), (20, 23), (23, 23)]
    np.testing.assert_array_equal(np.load(made.path), expected(5))
    assert not journal.exists()
    assert not part.exists()


CHILD = """
import os, signal, sys
from pathlib import Path
import numpy as np
from tronie.evaluation import embedding
folder, where, after = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
calls = 0
def dies(*args, **rest):
    global calls
    calls += 1
    if calls == after:
        os.kill(os.getpid(), signal.SIGKILL)
    return true(*args, **rest)
def embed(files):
    rows = np.array([[float(f), 2.5 * float(f) + len(files)] for f in files], np.float32)
    rows[[int(f) % 7 == 6 for f in files]] = np.nan
    return rows
if where == "embed":
    true, embed = embed, dies
elif where == "half":
    def true(part, rows, start):  # the first row of the chunk is written, then no more
        write(part, rows[:1], start)
        os.kill(os.getpid(), signal.SIGKILL)
    write = embedding._write_rows
    calls = after - 1
    def dies(part, rows, start):
        return true(part, rows, start) if start == 5 * after else write(part, rows, start)
    embedding._write_rows = dies
else:
    true = getattr(embedding, where)
    setattr(embedding, where, dies)
photos = sorted((folder / "photos").iterdir())
embedding.embed_to_matrix(photos, embed, folder / "M.npy", run="m", chunk=5)
"""


@pytest.mark.parametrize(
    ("where", "after", "done"),
    [("embed", 3, 10), ("half", 3, 15), ("_write_journal", 4, 15), ("_sync_folder", 6, None)],
)
def test_a_run_killed_at_any_step_ends_with_the_identical_matrix(
    photos, tmp_path, where, after, done
):
    """Before a chunk, within its rows, before the journal, and after the name was taken."""
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), where, str(after)],
        env=environment(),
        capture_output=True,
        timeout=60,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    journal, out = tmp_path / "M.npy.journal", tmp_path / "M.npy"
    assert out.exists() is (done is None)
    asked = []

    def embed(files):
        asked.extend(int(file) for file in files)
        return by_number(files)

    if done is not None:
        assert json.loads(journal.read_text())["done"] == done
    embed_to_matrix(photos, embed, out, run="m", chunk=5)
    if done is not None:
        assert asked == list(range(done, 23))
    np.testing.assert_array_equal(np.load(out), expected(5))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["M.npy", "photos"]


def test_killed_between_its_name_and_its_journal_it_is_whole(photos, tmp_path):
    out = tmp_path / "M.npy"
    journal, part = started(photos, out)
    with pytest.raises(Stopped, match="stopped"):
        embed_to_matrix(photos, by_number, out, run="m", chunk=5, progress=stop_at(23))
    assert json.loads(journal.read_text())["done"] == 23
    part.replace(out)  # the step before the journal goes
    made = embed_to_matrix(photos, stops_after(0), out, run="m", chunk=5)
    np.testing.assert_array_equal(np.load(made.path), expected(5))
    assert not journal.exists()


def stop_at(count):
    def progress(done, total):
        if done == count:
            raise Stopped("stopped")

    return progress


def test_rows_without_a_journal_claim_nothing(photos, tmp_path):
    (tmp_path / "M.npy.part").write_bytes(b"half a header")
    made = embed_to_matrix(photos, by_number, tmp_path / "M.npy", run="m", chunk=5)
    np.testing.assert_array_equal(np.load(made.path), expected(5))


@pytest.mark.parametrize("change", ["model", "chunk", "list", "photograph"])
def test_a_journal_of_another_run_is_refused(photos, tmp_path, change):
    out = tmp_path / "M.npy"
    journal, part = started(photos, out)
    run, chunk = ("other", 5) if change == "model" else ("m", 6 if change == "chunk" else 5)
    if change == "list":
        photos = photos[::-1]
    if change == "photograph":
        os.utime(photos[20], ns=(1, 1))
    before = part.read_bytes()
    with pytest.raises(BadInput, match=r"M\.npy\.part belongs to another run .*; delete it and"):
        embed_to_matrix(photos, by_number, out, run=run, chunk=chunk)
    assert journal.exists()
    assert part.read_bytes() == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 2, "run": "m"}'])
def test_a_damaged_journal_is_refused(photos, tmp_path, text):
    (tmp_path / "M.npy.journal").write_text(text)
    with pytest.raises(BadFile, match=r"M\.npy\.journal is no journal of a matrix; delete it"):
        embed_to_matrix(photos, by_number, tmp_path / "M.npy", run="m")


@pytest.mark.parametrize("spoil", [Path.unlink, lambda part: os.truncate(part, 100)])
def test_rows_that_a_journal_counts_and_are_gone_are_refused(photos, tmp_path, spoil):
    _, part = started(photos, tmp_path / "M.npy")
    spoil(part)
    with pytest.raises(BadFile, match=r"counts 10 rows and .*M\.npy\.part does not hold them"):
        embed_to_matrix(photos, by_number, tmp_path / "M.npy", run="m", chunk=5)


@pytest.mark.parametrize(
    "answer", [np.ones((4, 2)), np.ones(5), np.ones((5, 0)), np.ones((5, 2, 2))]
)
def test_what_is_no_row_a_photograph_is_refused(photos, tmp_path, answer):
    with pytest.raises(BadArray, match=r"one row a photograph, shape \(5, D\); got shape"):
        embed_to_matrix(photos, lambda files: answer, tmp_path / "M.npy", run="m", chunk=5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["photos"]


def test_embeddings_that_change_their_length_are_refused(photos, tmp_path):
    def embed(files):
        return np.ones((len(files), 2 if files[0] == b"0" else 3))

    with pytest.raises(BadArray, match=r"shape \(5, 2\); got shape \(5, 3\)"):
        embed_to_matrix(photos, embed, tmp_path / "M.npy", run="m", chunk=5)


@pytest.mark.parametrize("row", [[np.nan, 1.0], [np.inf, 1.0]])
def test_a_row_that_is_broken_in_part_is_refused_by_its_photograph(row):
    with pytest.raises(BadArray, match=r"embedding of b\.jpg must be finite, or all NaN"):
        one_row_each(np.array([[1.0, 2.0], row]), ["a.jpg", "b.jpg"])


def test_a_photograph_that_is_not_there_is_named(photos, tmp_path):
    photos[4].unlink()
    with pytest.raises(NotFound, match=r"photograph .*04\.jpg cannot be read: No such file"):
        embed_to_matrix(photos, by_number, tmp_path / "M.npy", run="m")


def test_a_photograph_that_goes_in_the_middle_is_named(photos, tmp_path):
    def embed(files):
        photos[7].unlink(missing_ok=True)
        return by_number(files)

    with pytest.raises(NotFound, match=r"photograph .*07\.jpg cannot be read: No such file"):
        embed_to_matrix(photos, embed, tmp_path / "M.npy", run="m", chunk=5)


def test_other_arguments_are_refused(photos, tmp_path):
    with pytest.raises(NotEnoughData, match="needs a photograph; no file was named"):
        embed_to_matrix([], by_number, tmp_path / "M.npy", run="m")
    with pytest.raises(BadInput, match=r"rows go to an \.npy, .* got .*M\.bin and 64"):
        embed_to_matrix(photos, by_number, tmp_path / "M.bin", run="m")
    with pytest.raises(BadInput, match=r"M\.npy cannot be written: No such file or directory"):
        embed_to_matrix(photos, by_number, tmp_path / "gone" / "M.npy", run="m")


def test_a_full_disk_is_told_before_the_work(photos, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(BadInput, match=r"M\.npy cannot be written: No space left on device"):
        embed_to_matrix(photos, by_number, tmp_path / "M.npy", run="m")
