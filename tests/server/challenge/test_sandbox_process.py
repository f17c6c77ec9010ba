"""A child may do what it likes: every wait ends, and nothing of it is left."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tronie.server.challenge import sandbox_process
from tronie.server.challenge.sandbox_process import Ended, Overdue, Process, TooLarge

GIB = 2**30


@pytest.fixture
def start():
    """`start(source)`: a child that runs this Python source; closed at the end, and gone."""
    running: list[Process] = []

    def run(source: str, *, memory_bytes: int = GIB) -> Process:
        command = [sys.executable, "-I", "-S", "-B", "-c", "import os, sys, time\n" + source]
        running.append(Process(command, memory_bytes=memory_bytes))
        return running[-1]

    yield run
    for process in running:
        process.close()
        assert not Path(f"/proc/{process.pid}").exists()


def within(seconds: float) -> float:
    return time.monotonic() + seconds


def test_bytes_go_both_ways_whatever_their_number(start):
    process = start("while d := os.read(0, 10000): os.write(1, d.swapcase())")
    process.send(b"a" * 3_000, within(20))
    assert process.receive(3_000, within(20)) == b"A" * 3_000


def test_a_child_that_does_not_answer_is_left_at_the_deadline(start):
    process = start("time.sleep(60)")
    begin = time.monotonic()
    with pytest.raises(Overdue, match="the deadline passed"):
        process.receive(1, within(0.2))
    assert 0.2 <= time.monotonic() - begin < 5


def test_a_child_that_does_not_read_is_left_at_the_deadline(start):
    process = start("time.sleep(60)")
    with pytest.raises(Overdue, match="the deadline passed"):
        process.send(bytes(4 * 2**20), within(0.2))


def test_a_child_that_drips_is_left_at_the_deadline(start):
    process = start("while True: os.write(1, b'x'); time.sleep(0.01)")
    with pytest.raises(Overdue, match="the deadline passed"):
        process.receive(10**6, within(0.3))


@pytest.mark.parametrize("call", ["receive", "send"])
def test_a_child_that_is_gone_is_told_with_its_ending(start, call):
    process = start("sys.exit(7)")
    calls = {
        "receive": lambda: process.receive(1, within(20)),
        "send": lambda: process.send(bytes(4 * 2**20), within(20)),
    }
    with pytest.raises(Ended, match="the child closed its pipe"):
        calls[call]()
    process.await_end()
    process.close()
    assert (process.code, process.ending) == (7, "exit status 7")


def test_a_child_that_ends_by_a_signal_is_told_by_its_name(start):
    process = start("os.abort()")
    with pytest.raises(Ended, match="the child closed its pipe"):
        process.receive(1, within(20))
    process.await_end()
    process.close()
    assert process.ending == "SIGABRT"


def test_a_child_that_closes_its_pipe_and_stays_is_killed(start, monkeypatch):
    monkeypatch.setattr(sandbox_process, "GONE_S", 0.2)
    process = start("os.close(1); time.sleep(60)")
    with pytest.raises(Ended, match="the child closed its pipe"):
        process.receive(1, within(20))
    process.await_end()
    assert process.ending == "still there"
    process.close()
    assert process.ending == "SIGKILL"


def test_a_child_that_grows_is_told_from_its_real_memory(start):
    process = start("x = bytearray(200 * 2**20)\ntime.sleep(60)", memory_bytes=100 * 2**20)
    with pytest.raises(TooLarge, match="the child uses too much memory"):
        process.receive(1, within(20))


def test_a_child_that_ignores_signals_is_killed_with_its_group(start):
    process = start(
        "import signal\n"
        "for s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        "if child == 0: time.sleep(60)\n"
        "os.write(1, child.to_bytes(4, 'little')); time.sleep(60)"
    )
    grandchild = int.from_bytes(process.receive(4, within(20)), "little")
    process.close()
    assert process.code == -signal.SIGKILL
    until = within(5)
    while is_running(grandchild) and time.monotonic() < until:
        time.sleep(0.01)  # an orphan is collected by init in its own time
    assert not is_running(grandchild)


def test_a_group_is_killed_whose_leader_has_gone(start):
    process = start(
        "child = os.fork()\nif child == 0: time.sleep(60)\nos.write(1, child.to_bytes(4, 'little'))"
    )
    grandchild = int.from_bytes(process.receive(4, within(20)), "little")
    process.await_end()
    process.close()
    until = within(5)
    while is_running(grandchild) and time.monotonic() < until:
        time.sleep(0.01)
    assert not is_running(grandchild)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_of_what_is_printed_the_end_is_kept_and_escaped(start):
    process = start(
        "os.write(2, b'a' * 300000 + b'\\x1b[31m\\xff\\0\\xe2\\x80\\xae end\\n')\n"
        "os.write(1, b'.'); time.sleep(60)"
    )
    process.receive(1, within(20))
    process.close()
    assert process.log.endswith(r"\x1b[31m\xff\x00\xe2\x80\xae end" + "\n")
    assert len(process.log) < 4 * sandbox_process.LOG_KEPT


def test_a_child_that_prints_without_end_is_no_longer_listened_to(start, monkeypatch):
    monkeypatch.setattr(sandbox_process, "LOG_MOST", 10**6)
    process = start(
        "try:\n"
        "    while True: os.write(2, bytes(65536))\n"
        "except BrokenPipeError:\n"
        "    os.write(1, b'!')\n"
        "    time.sleep(60)\n"
    )
    assert process.receive(1, within(20)) == b"!"


def test_a_child_inherits_no_file_no_variable_and_no_folder(start, monkeypatch, tmp_path):
    monkeypatch.setenv("TRONIE_SECRET", "not for you")
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        process = start(
            "found = sorted(os.environ), sorted(os.listdir('/proc/self/fd')), os.getcwd()\n"
            "os.write(1, repr(found).ljust(1000).encode())"
        )
        variables, files, folder = eval(process.receive(1000, within(20)))
    assert variables == sorted(sandbox_process.QUIET)
    assert files == ["0", "1", "2", "3"]  # the fourth is the folder being listed
    assert folder == "/"


def test_no_pipe_is_left_open(start):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        start("time.sleep(60)").close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_closing_again_is_harmless(start):
    process = start("pass")
    process.close()
    process.close()


@pytest.mark.parametrize(
    ("text", "safe"),
    [("a\nb", "a\nb"), ("\x1b[0m\r", r"\x1b[0m\x0d"), ("é\u202e", r"\xe9\u202e")],
)
def test_escaped_text_moves_no_cursor_and_hides_nothing(text, safe):
    assert sandbox_process.escaped(text) == safe
