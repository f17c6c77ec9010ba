"""Files of half-made judgements: kept for who goes on, for one at a time, and not for ever."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from tronie.server.challenge import unfinished
from tronie.server.challenge.unfinished import Unfinished, temporary_files_in

ONE, OTHER = "1" * 32, "2" * 32

HOLD = """
import sys
from pathlib import Path
from tronie.server.challenge.unfinished import Unfinished, temporary_files_in
with temporary_files_in(Path(sys.argv[1])) as own, Unfinished(Path(sys.argv[1])).of(
    sys.argv[2], lambda: None
) as kept:
    kept.file("npy").write_bytes(b"rows")
    (own / "matrix").write_bytes(b"large")
    print("held", flush=True)
    sys.stdin.read()
"""


def alive():
    """Go on."""


class Stopped(Exception):
    """Do not."""


def fill(folder, id):
    (folder / f"{id}.npy.parts").mkdir()
    (folder / f"{id}.npy.parts" / "00000000.npy").write_bytes(b"part")
    (folder / f"{id}.pairs.all").write_bytes(b"pairs")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def killed(tmp_path):
    """A folder in which a process was killed while it was at ONE."""
    words = [sys.executable, "-c", HOLD, str(tmp_path), ONE]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield tmp_path, process
        process.kill()


def test_files_stay_until_they_are_forgotten(tmp_path):
    files = Unfinished(tmp_path)
    with files.of(ONE, alive) as kept:
        assert names(tmp_path) == [f"{ONE}.lock"]
        kept.file("npy").write_bytes(b"rows")
        fill(tmp_path, ONE)
        fill(tmp_path, OTHER)
    with files.of(ONE, alive) as kept:
        assert kept.file("npy").read_bytes() == b"rows"
        kept.forget()
    assert names(tmp_path) == [f"{OTHER}.npy.parts", f"{OTHER}.pairs.all"]


def test_two_are_never_at_the_same_files(tmp_path, monkeypatch):
    monkeypatch.setattr(unfinished, "WAIT_S", 0.001)
    inside, most = [], []

    def work():
        for _ in range(20):
            with Unfinished(tmp_path).of(ONE, alive):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 80
    assert names(tmp_path) == []


def test_a_lock_whose_file_was_removed_meanwhile_is_none(tmp_path, monkeypatch):
    calls, lock = [], unfinished.fcntl.flock

    def removed_before(file, how):
        calls.append(how)
        if len(calls) == 1:  # its holder ends between our opening of the file and our lock
            (tmp_path / f"{ONE}.lock").unlink()
        lock(file, how)

    monkeypatch.setattr(unfinished.fcntl, "flock", removed_before)
    monkeypatch.setattr(unfinished, "WAIT_S", 0.001)
    with Unfinished(tmp_path).of(ONE, alive):
        assert (tmp_path / f"{ONE}.lock").exists(), "else a third one could lock a new file"
        assert len(calls) == 2


def test_who_waits_can_be_told_to_stop(tmp_path, monkeypatch):
    monkeypatch.setattr(unfinished, "WAIT_S", 0.001)
    asked = []

    def third_time():
        asked.append(1)
        if len(asked) == 3:
            raise Stopped("no more")

    files = Unfinished(tmp_path)
    with (
        files.of(ONE, alive),
        pytest.raises(Stopped, match="no more"),
        files.of(ONE, third_time),
    ):
        raise AssertionError("two are at the same files")


def test_files_of_who_was_killed_go_to_the_next(killed):
    folder, process = killed
    process.kill()
    process.wait()
    with Unfinished(folder).of(ONE, alive) as kept:
        assert kept.file("npy").read_bytes() == b"rows"


def test_what_has_ended_is_forgotten_and_nothing_else(tmp_path):
    for id in (ONE, OTHER):
        fill(tmp_path, id)
        (tmp_path / f"{id}.lock").touch()
    (tmp_path / "notes.txt").write_text("mine")
    Unfinished(tmp_path).forget_ended(lambda id: id == ONE)
    assert names(tmp_path) == [
        f"{OTHER}.lock",
        f"{OTHER}.npy.parts",
        f"{OTHER}.pairs.all",
        "notes.txt",
    ]


def test_what_somebody_is_at_is_left_to_them(killed):
    folder, process = killed
    files = Unfinished(folder)
    files.forget_ended(lambda id: True)
    assert (folder / f"{ONE}.npy").is_file()
    process.kill()
    process.wait()
    files.forget_ended(lambda id: True)
    assert [name for name in names(folder) if name.startswith(ONE)] == []


def test_temporary_files_of_a_process_are_gone_when_it_ends_and_when_it_was_killed(killed):
    folder, process = killed
    before = tempfile.gettempdir()
    with temporary_files_in(folder) as own:
        with tempfile.NamedTemporaryFile() as file:
            assert Path(file.name).parent == own
        assert len([p for p in folder.glob("while-*") if p.is_dir()]) == 2, "the other one lives"
    assert tempfile.gettempdir() == before
    process.kill()
    process.wait()
    with temporary_files_in(folder) as own:
        assert [p for p in folder.glob("while-*") if p.is_dir()] == [own]
    assert list(folder.glob("while-*")) == []
