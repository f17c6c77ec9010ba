"""Answers on stdout, the bar on stderr and only for a person who has waited."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tronie.cli import terminal
from tronie.errors import BadImage, NoFace


def test_json_is_one_line_of_plain_values(capsys):
    terminal.print_json(
        {
            "file": Path("a/b.jpg"),
            "score": np.float32(0.5),
            "rank": np.int64(3),
            "match": True,
            "points": [(1, 2.5)],
            "nothing": None,
        }
    )
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {
        "file": "a/b.jpg",
        "score": 0.5,
        "rank": 3,
        "match": True,
        "points": [[1, 2.5]],
        "nothing": None,
    }


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), np.float32("nan")])
def test_what_json_cannot_say_is_null(capsys, number):
    terminal.print_json([number])
    assert capsys.readouterr().out == "[null]\n"


def test_a_file_name_that_is_no_text_can_still_be_printed(capsys):
    terminal.print_json({"file": Path("\udcff.jpg")})
    assert json.loads(capsys.readouterr().out) == {"file": "\udcff.jpg"}


def test_an_array_is_refused_as_json():
    with pytest.raises(TypeError, match=r"a JSON answer holds plain values; got ndarray"):
        terminal.print_json(np.zeros(3))


def test_a_table_fits_eighty_columns_and_loses_nothing(capsys):
    long = "x" * 100
    terminal.print_table(["name", "value"], [["short", 1], [long, "[bold]2[/bold]"]])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert out.count("x") == 100
    assert "[bold]2[/bold]" in out  # cells are text, not markup


def test_a_table_without_rows_has_its_columns(capsys):
    terminal.print_table(["name", "value"], [])
    assert capsys.readouterr().out.split()[:2] == ["name", "value"]


@pytest.fixture
def waits(monkeypatch):
    """A clock in the test's hand: `waits(2.0)` is two seconds later."""
    now_s = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now_s[0])

    def wait(seconds: float) -> None:
        now_s[0] += seconds

    return wait


def test_work_under_a_second_shows_no_bar(monkeypatch, capsys, waits):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with terminal.progress(10, "embedding") as advance:
        for _ in range(10):
            waits(0.09)
            advance(1)
    assert capsys.readouterr() == ("", "")


def test_longer_work_shows_a_bar_on_stderr_only(monkeypatch, capsys, waits):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with terminal.progress(10, "embedding") as advance:
        for _ in range(10):
            waits(0.3)
            advance(1)
    out, err = capsys.readouterr()
    assert out == ""
    assert "embedding" in err
    assert "10/10" in err


def test_where_stderr_is_no_terminal_nothing_is_shown(capsys, waits):
    with terminal.progress(None, "embedding") as advance:
        waits(60.0)
        advance(1)
    assert capsys.readouterr() == ("", "")


def test_the_bar_is_closed_when_the_work_fails(monkeypatch, waits):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bars = []
    opened = terminal._Bar._open
    monkeypatch.setattr(terminal._Bar, "_open", lambda self: bars.append(opened(self)) or bars[-1])
    with pytest.raises(RuntimeError, match="broken"):
        fail_late(waits)
    assert not bars[0][0].live.is_started


def fail_late(waits):
    with terminal.progress(2, "embedding") as advance:
        waits(2.0)
        advance(1)
        raise RuntimeError("broken")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, Ünïcode, 顔 and 🙂", "plain, Ünïcode, 顔 and 🙂"),
        ("non-breaking\u00a0space", "non-breaking\u00a0space"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("two\nlines\r", r"two\nlines\r"),
        ("\udcff", r"\udcff"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("a\u2028b", r"a\u2028b"),
    ],
)
def test_what_could_steer_a_terminal_is_written_out(capsys, text, shown):
    assert terminal.visible(text) == shown
    terminal.tell(text)
    terminal.say(text)
    assert capsys.readouterr() == (f"{shown}\n", f"tronie: {shown}\n")
    terminal.print_table(["name"], [[text]])
    assert shown.replace("\u00a0", " ") in capsys.readouterr().out.replace("\u00a0", " ")


def test_short_cells_are_not_broken_for_a_long_neighbor(capsys):
    long = "x" * 150
    terminal.print_table(["file", "person", "score"], [[long, "Emmanuel Macron", "0.123"]])
    out = capsys.readouterr().out
    assert "Emmanuel Macron" in out
    assert max(map(len, out.splitlines())) <= 80
    assert out.count("x") == 150


def test_several_long_columns_share_the_room(capsys):
    terminal.print_table(["a", "b"], [["x" * 200, "y" * 200]])
    out = capsys.readouterr().out
    assert (out.count("x"), out.count("y")) == (200, 200)
    assert max(map(len, out.splitlines())) <= 80


def test_numbers_stand_to_the_right(capsys):
    terminal.print_table(["name", "count"], [["a", 5], ["b", 1234]])
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.rstrip() for row in rows] == ["a          5", "b       1234"]


def test_work_that_says_how_far_it_is_shows_its_total(monkeypatch, capsys, waits):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with terminal.progress_of("embedding") as show:
        show(0, 80)
        waits(2.0)
        show(64, 80)
        show(80, 80)
    out, err = capsys.readouterr()
    assert out == ""
    assert "80/80" in err


def test_answers_printed_beside_a_bar_still_go_to_stdout(monkeypatch, capsys, waits):
    """Rich, left to itself, takes stdout over and prints to the bar's stderr."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with terminal.progress(2, "detecting", answering=True) as advance:
        waits(2.0)
        advance(1)
        print('{"file": "a.jpg"}')
    out, err = capsys.readouterr()
    assert out == '{"file": "a.jpg"}\n'
    assert "detecting" in err


def test_where_answers_scroll_by_on_the_terminal_no_bar_runs_through_them(
    monkeypatch, capsys, waits
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with terminal.progress(2, "detecting", answering=True) as advance:
        waits(2.0)
        advance(1)
    assert capsys.readouterr() == ("", "")


def test_a_refusal_has_a_name_for_programs():
    assert terminal.error_code(BadImage("x")) == "bad_image"
    assert terminal.error_code(NoFace("x")) == "no_face"


def test_a_sentence_is_broken_between_words_on_a_terminal_and_nowhere_else(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "30")
    path = "/a/path/that-is-longer-than/thirty-columns.jpg"
    sentence = f"The photograph {path} shows two people."
    terminal.tell(sentence)
    assert capsys.readouterr().out == f"{sentence}\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    terminal.tell(sentence)
    assert capsys.readouterr().out == f"The photograph\n{path}\nshows two people.\n"


def test_a_noun_stands_with_its_number():
    assert terminal.number_of(1, "person", "people") == "1 person"
    assert [terminal.number_of(n, "person", "people") for n in (0, 2)] == ["0 people", "2 people"]


def test_a_reader_of_a_table_that_goes_away_is_told_as_by_print(monkeypatch):
    """Rich itself would end the program with exit code 1; the verbs answer 141."""

    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    with pytest.raises(BrokenPipeError, match="nobody reads on"):
        terminal.print_table(["name"], [["Ada"]])


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.4, "0 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_a_time_is_told_as_people_say_it(seconds, told):
    assert terminal.span(seconds) == told
