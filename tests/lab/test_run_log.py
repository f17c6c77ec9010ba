"""The log of a run: a line a step, and nothing of what was forgotten."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from tronie.errors import BadInput

pytest.importorskip("torch")

from tronie.lab.training.run_log import LOG, RunLog, read_log

pytestmark = pytest.mark.lab


def write(folder, steps, **given):
    with RunLog(folder, tensorboard=False, **given) as log:
        for step in steps:
            log.write({"step": step, "loss": step / 2})


def test_lines_are_read_as_they_were_written(tmp_path):
    write(tmp_path, [1, 2])
    assert read_log(tmp_path) == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 1.0}]
    assert read_log(tmp_path / "nowhere") == []


def test_a_run_that_goes_on_forgets_later_steps(tmp_path):
    write(tmp_path, range(1, 8))
    write(tmp_path, [4, 5], after_step=3)
    assert [line["step"] for line in read_log(tmp_path)] == [1, 2, 3, 4, 5]


def test_a_line_that_a_crash_cut_off_is_dropped(tmp_path):
    write(tmp_path, [1, 2])
    with (tmp_path / LOG).open("a") as file:
        file.write('{"step": 3, "lo')
    assert [line["step"] for line in read_log(tmp_path)] == [1, 2]
    write(tmp_path, [3], after_step=2)
    assert [line["step"] for line in read_log(tmp_path)] == [1, 2, 3]


def test_what_is_no_number_becomes_null(tmp_path):
    with RunLog(tmp_path, tensorboard=False) as log:
        log.write({"step": 1, "loss": math.nan, "validation": {"lfw": math.inf}})
    (line,) = read_log(tmp_path)
    assert line == {"step": 1, "loss": None, "validation": {"lfw": None}}
    json.dumps(line, allow_nan=False)


def test_tensorboard_gets_each_number_by_its_name(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with RunLog(tmp_path) as log:
        log.write({"step": 7, "loss": 0.5, "validation": {"lfw": 0.75}})
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert set(events.Tags()["scalars"]) == {"loss", "validation/lfw"}
    (scalar,) = events.Scalars("validation/lfw")
    assert (scalar.step, scalar.value) == (7, 0.75)


def test_a_file_that_is_no_log_is_refused(tmp_path):
    (tmp_path / LOG).write_text("hello\n")
    with pytest.raises(BadInput, match="is no log of a run"):
        RunLog(tmp_path, tensorboard=False)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be written: No such file"):
        RunLog(tmp_path / "nowhere", tensorboard=False)


def test_a_folder_whose_name_is_no_text_has_a_log_and_nothing_for_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    with RunLog(folder) as log:
        log.write({"step": 1, "loss": 0.5})
    assert [path.name for path in folder.iterdir()] == [LOG]
